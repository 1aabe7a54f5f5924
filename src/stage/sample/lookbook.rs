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
pub(super) const FORMAT: (usize, usize) = (9, 16);
/// The height of photos in pixels, unless another is asked for.
pub(super) const LONG_SIDE: usize = 480;

/// Sketches the person and what is worn, and returns the paper behind, `width` by `height` pixels.
pub(super) fn stand(sketch: &mut Sketch, width: usize, height: usize, dice: &mut Dice) -> Canvas {
    let paper = blend([dice.range(0.82, 0.96); 3], any_colour(dice), 0.12);
    let mannequin = dice.chance(0.25);
    let (body, mut own) = (Body::upright(dice, mannequin), Sketch::default());
    let skin = figure::draw(&mut own, &body, dice, mannequin);
    let style = Style::Usual([paper, skin]);
    Tailor { sketch: &mut own, body: &body, dice, under: false, tucked: false, style }.capsule();
    // From which height of the body (heads from the neck) to which the frame reaches.
    let (top, bottom) = (dice.range(-1.95, -1.7), dice.range(6.7, 7.0));
    let scale = height as f32 / (bottom - top);
    let shift = width as f32 * (0.5 + dice.range(-0.05, 0.05));
    let placing = Placing::new(scale, dice.range(-0.02, 0.02), dice.chance(0.5), [shift, -top * scale]);
    ground(sketch, &body, &placing, scale);
    sketch.place(own, &placing, 0);
    backdrop::studio(width, height, dice, Some(paper))
}
