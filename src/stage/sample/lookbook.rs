//! Photos of a brand's own lookbook: one person, or a mannequin, upright and whole before light paper, in an outfit of
//! a capsule wardrobe. Easy beside what data sets hold, and learnt from scratch in minutes; colours still give no class
//! away. Must not know of files.

use super::backdrop;
use super::canvas::Canvas;
use super::cloth::{any_colour, blend};
use super::dice::Dice;
use super::figure::{self, Body};
use super::garment::{Style, Tailor};
use super::picture::ground;
use super::sketch::{Placing, Sketch};

/// Width and height of every photo, as a ratio.
pub(super) const FORMAT: (usize, usize) = (1, 2);
/// The height of photos in pixels, unless another is asked for.
pub(super) const LONG_SIDE: usize = 480;

/// Sketches the person and what is worn, and returns the paper behind, `width` by `height` pixels.
pub(super) fn stand(sketch: &mut Sketch, width: usize, height: usize, dice: &mut Dice) -> Canvas {
    let paper = blend([dice.range(0.88, 0.97); 3], any_colour(dice), 0.05);
    let mannequin = dice.chance(0.25);
    let (body, mut own) = (Body::upright(dice, mannequin), Sketch::default());
    let skin = figure::draw(&mut own, &body, dice, mannequin);
    let style = Style::Usual([paper, skin]);
    Tailor { sketch: &mut own, body: &body, dice, under: false, tucked: false, style }.capsule();
    let (b, photo) = (own.bounds(), [width as f32, height as f32]);
    let full = (photo[0] / (b[2] - b[0])).min(photo[1] / (b[3] - b[1]));
    let scale = full * dice.range(0.92, 0.97);
    let placing = Placing::new(scale, dice.range(-0.02, 0.02), dice.chance(0.5), [0.0, 0.0]);
    let middle = placing.vector([(b[0] + b[2]) * 0.5, (b[1] + b[3]) * 0.5]);
    // What room the figure leaves it may use half of.
    let at = [0, 1].map(|axis| {
        let room = photo[axis] - scale * (b[axis + 2] - b[axis]);
        photo[axis] * 0.5 - middle[axis] + room * dice.range(-0.25, 0.25)
    });
    let placing = Placing { shift: at, ..placing };
    ground(sketch, &body, &placing, scale);
    sketch.place(own, &placing, 0);
    backdrop::studio(width, height, dice, Some(paper))
}
