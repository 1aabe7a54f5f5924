//! One whole picture: who or what is where, before which backdrop. Must not know of files.

use super::backdrop;
use super::canvas::{Canvas, Light};
use super::cloth::{Cloth, Weave};
use super::dice::{Dice, speckle};
use super::figure::{self, Body};
use super::garment::{Style, Tailor};
use super::lookbook;
use super::shape::{Cover, ellipse};
use super::sketch::{Placing, Sketch};

/// Something that annotators would outline, as far as it is visible.
#[derive(Clone, Debug)]
pub struct Instance {
    /// 0..=26 a garment or accessory, 27..=45 a part.
    pub class: u8,
    /// The position in [`Picture::instances`] of the garment that a part belongs to.
    pub parent: Option<usize>,
    /// Attribute ids, rising; often none.
    pub attributes: Vec<u16>,
    /// Its visible pixels; a garment's include those of its parts.
    pub cover: Cover,
}

/// A drawn picture and the truth about it.
#[derive(Clone, Debug)]
pub struct Picture {
    /// Pixels across.
    pub width: usize,
    /// Pixels down.
    pub height: usize,
    /// sRGB, 3 bytes a pixel, row-major.
    pub rgb: Vec<u8>,
    /// How much of each pixel shows garments (never skin, hair or backdrop), 255 is all; row-major.
    pub matte: Vec<u8>,
    /// What can be seen of garments and parts.
    pub instances: Vec<Instance>,
}

/// What kind of picture is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As in a data set: people, mannequins and laid-out clothes in all places.
    Mixed,
    /// A product photo before plain paper.
    Studio,
    /// A catalogue photo in a place.
    Scene,
    /// One whole person upright before light paper, in clothes of usual cuts.
    Lookbook,
}

/// Visible remains smaller than this many pixels are not annotated.
const LEAST_PIXELS: usize = 24;

/// Draws picture `number` of a seed; it depends on the arguments only.
/// `long_side` fixes the longer side in pixels, else it is 600 to 1600.
pub fn draw(seed: u64, number: u64, kind: Kind, long_side: Option<usize>) -> Picture {
    let mut dice = Dice::new(seed, number);
    let dice = &mut dice;
    if kind == Kind::Lookbook {
        let side = long_side.unwrap_or(lookbook::LONG_SIDE);
        let (short, long) = lookbook::FORMAT;
        let (width, height) = ((side * short / long).max(8), side);
        let light = Light { from: [dice.sign() * dice.range(0.2, 0.7), -dice.range(0.3, 0.8)], ground: 0.12 };
        let mut sketch = Sketch::default();
        let canvas = lookbook::stand(&mut sketch, width, height, dice);
        return expose(sketch, canvas, light, true, dice);
    }
    let (short, long) = dice.pick(&[(2, 3), (2, 3), (2, 3), (3, 4), (3, 4), (4, 5), (1, 1), (9, 16)]);
    let side =
        long_side.unwrap_or([600, 640, 720, 750, 800, 900, 1024, 1200, 1600][(dice.below(9) * dice.below(10)) / 9]);
    let other = (side * short / long).max(8);
    let (width, height) = if dice.chance(0.12) { (side, other) } else { (other, side) };
    let light = Light { from: [dice.sign() * dice.range(0.2, 0.7), -dice.range(0.3, 0.8)], ground: 0.0 };
    let flat = dice.chance(match kind {
        Kind::Mixed => 0.22,
        Kind::Studio => 0.5,
        Kind::Scene => 0.2,
        Kind::Lookbook => 0.0,
    });
    let mut sketch = Sketch::default();
    if flat {
        lay_out(&mut sketch, width as f32, height as f32, dice, kind == Kind::Studio);
    } else {
        stand(&mut sketch, width as f32, height as f32, dice, kind == Kind::Studio);
    }
    let light = Light { ground: if flat { 1.0 } else { 0.12 }, ..light };
    let plain = kind == Kind::Studio || kind == Kind::Mixed && dice.chance(0.4);
    let canvas = if plain {
        let same = kind == Kind::Mixed && dice.chance(0.3);
        let worn: Vec<_> =
            sketch.layers.iter().filter(|l| l.instance.is_some() && !l.detail).map(|l| l.cloth.colours[0]).collect();
        let near = if same && !worn.is_empty() { Some(dice.pick(&worn)) } else { None };
        backdrop::studio(width, height, dice, near)
    } else {
        backdrop::scene(width, height, dice, light, flat)
    };
    expose(sketch, canvas, light, plain, dice)
}

/// Paints what is sketched onto its backdrop and takes the photo; the colour cast is that of places, not of a studio.
fn expose(mut sketch: Sketch, mut canvas: Canvas, light: Light, studio: bool, dice: &mut Dice) -> Picture {
    canvas.paint(&mut sketch, light);
    let (width, height) = (canvas.width, canvas.height);
    let (gain, grain) = (dice.range(0.88, 1.08), dice.range(0.0, 0.03));
    let tint = if studio { [1.0; 3] } else { [dice.range(0.92, 1.05), 1.0, dice.range(0.9, 1.06)] };
    let bits = dice.bits();
    let rgb = (0..width * height)
        .flat_map(|at| {
            let noise = grain * (speckle((at % width) as i32, (at / width) as i32, bits) - 0.5);
            let pixel = canvas.pixels[at];
            std::array::from_fn::<u8, 3, _>(|c| {
                ((pixel[c] * gain * tint[c] + noise).clamp(0.0, 1.0) * 255.0 + 0.5) as u8
            })
        })
        .collect();
    let matte = canvas.matte.iter().map(|m| (m.clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect();
    let mut instances: Vec<Instance> = sketch
        .instances
        .into_iter()
        .zip(canvas.covers)
        .map(|(i, cover)| Instance { class: i.class, parent: i.parent, attributes: i.attributes, cover })
        .collect();
    keep_visible(&mut instances);
    Picture { width, height, rgb, matte, instances }
}

/// Drops what is hidden or cut off, and parts whose garment is.
fn keep_visible(instances: &mut Vec<Instance>) {
    let mut places: Vec<Option<usize>> = Vec::new();
    let mut kept = 0;
    for instance in instances.iter() {
        let seen = instance.cover.alpha.iter().filter(|a| **a >= 128).count() >= LEAST_PIXELS;
        let seen = seen && instance.parent.is_none_or(|p| places[p].is_some());
        places.push(seen.then_some(kept));
        kept += usize::from(seen);
    }
    let mut at = 0..;
    instances.retain(|_| at.next().is_some_and(|i| places[i].is_some()));
    for instance in instances {
        instance.parent = instance.parent.and_then(|p| places[p]);
    }
}

/// One or two people or mannequins, whole or cut by the frame.
fn stand(sketch: &mut Sketch, width: f32, height: f32, dice: &mut Dice, studio: bool) {
    let pair = !studio && dice.chance(if width > height * 0.9 { 0.7 } else { 0.08 });
    let people = if pair { 2 } else { 1 };
    let mut frame = None;
    for i in 0..people {
        let mannequin = dice.chance(if studio { 0.4 } else { 0.06 });
        let (body, mut own) = (Body::standing(dice, mannequin), Sketch::default());
        figure::draw(&mut own, &body, dice, mannequin);
        Tailor { sketch: &mut own, body: &body, dice, under: false, tucked: false, style: Style::Any }.outfit();
        // From which height of the body (heads from the neck) to which the frame reaches.
        let (top, bottom) = *frame.get_or_insert(match dice.below(10) {
            // What is made for the sake of an umbrella or leg warmers shows them.
            _ if own.instances.iter().any(|i| matches!(i.class, 20 | 26)) => (own.bounds()[1] - 0.3, 6.8),
            0 | 1 => (dice.range(-1.7, -1.3), dice.range(2.2, 3.4)),
            2 => (dice.range(-1.0, 0.8), dice.range(3.4, 5.0)),
            3 => (dice.range(0.9, 2.0), dice.range(6.6, 6.9)),
            4 => (dice.range(-3.0, -1.5), dice.range(7.0, 9.0)),
            _ => (dice.range(-1.9, -1.4), dice.range(6.6, 7.2)),
        });
        let scale = height / (bottom - top) * if i > 0 { dice.range(0.85, 1.1) } else { 1.0 };
        let room = (width * 0.5 - scale * 0.9).max(width * 0.08) / people as f32 * if studio { 0.2 } else { 0.8 };
        let middle = if pair { 0.25 + 0.5 * i as f32 } else { 0.5 };
        let to = [width * middle + dice.range(-1.0, 1.0) * room, -top * scale];
        let placing = Placing::new(scale, dice.range(-0.06, 0.06), dice.chance(0.5), to);
        ground(sketch, &body, &placing, scale);
        sketch.place(own, &placing, 200 * i);
    }
}

/// The soft shadow on the floor between the feet of a body; `scale` is pixels a head.
pub(super) fn ground(sketch: &mut Sketch, body: &Body, placing: &Placing, scale: f32) {
    let floor = placing.point([0.0, body.legs[0][3][1].max(body.legs[1][3][1]) + 0.08]);
    let shade = Cloth::plain([0.05; 3], Weave::Smooth, 0);
    for size in [1.3, 1.18, 1.06, 0.94, 0.82, 0.7, 0.58] {
        let path = ellipse(floor, size * scale, size * 0.16 * scale, 0.0);
        sketch.layer(-900, None, vec![path], &shade).feel(0.0, 0.1, 0.0).shadow(0.0).opacity(0.06);
    }
}

/// Clothes without people, each on its own: in a loose grid, turned at will, or hung up straight for a product photo.
fn lay_out(sketch: &mut Sketch, width: f32, height: f32, dice: &mut Dice, studio: bool) {
    // As often as they are seen, but for what nobody would lay out.
    const CLASSES: [u8; 32] =
        [0, 0, 1, 1, 1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9, 10, 10, 11, 13, 14, 16, 17, 18, 19, 22, 23, 23, 24, 24, 25];
    let many = !studio && dice.chance(0.6);
    let (columns, rows) = if many { dice.pick(&[(1, 2), (2, 2), (2, 2), (2, 3), (3, 3)]) } else { (1, 1) };
    let hung = studio && dice.chance(0.7);
    for i in 0..columns * rows {
        let (class, body) = (dice.pick(&CLASSES), Body::laid_out(dice));
        let mut own = Sketch::default();
        Tailor { sketch: &mut own, body: &body, dice, under: false, tucked: false, style: Style::Any }.sew(class);
        let b = own.bounds();
        let (w, h) = (width / columns as f32, height / rows as f32);
        let upside = if dice.chance(0.25) { dice.range(-3.0, 3.0) } else { 0.0 };
        let angle = if hung { dice.range(-0.04, 0.04) } else { dice.range(-0.7, 0.7) + upside };
        let (sin, cos) = (angle.sin().abs(), angle.cos().abs());
        let (wide, high) = (b[2] - b[0], b[3] - b[1]);
        let fit = (w / (wide * cos + high * sin)).min(h / (wide * sin + high * cos));
        // Among others a watch lies there no larger than a shirt.
        let scale = (fit * dice.range(0.72, 1.08)).min(w.max(h) * if many { 0.5 } else { 1.2 });
        let placing = Placing::new(scale, angle, dice.chance(0.5), [0.0, 0.0]);
        let middle = placing.vector([(b[0] + b[2]) * 0.5, (b[1] + b[3]) * 0.5]);
        let (column, row) = ((i % columns) as f32 + 0.5, (i / columns) as f32 + 0.5);
        let (x, y) = (w * (column + dice.range(-0.06, 0.06)), h * (row + dice.range(-0.06, 0.06)));
        sketch.place(own, &Placing { shift: [x - middle[0], y - middle[1]], ..placing }, 200 * i);
    }
}
