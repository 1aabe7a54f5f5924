//! A coarse map refined by the photo, from coarse to fine. Must not know networks, nor pieces and holes.
//!
//! The photo is halved until it is about as coarse as the map. There the band where the map is unsure is only some pixels
//! wide. The colours on both sides of it say what its pixels more likely are, and a few rounds of fitting the matte to
//! the picture settle the rest. Each finer picture then only has to settle the narrow band that the coarser one left
//! open, so that the cost follows the length of the edge and not the photo's area.
//!
//! What the map is sure of, and is not beside its boundary, is never looked at: no print punches a hole.

use super::band::{unsettled, widened};
use super::colours::Colours;
use super::pyramid::{grow, halves, settled};
use super::solve::{Level, TILE, Tile, solve};
use crate::image::error::area;
use crate::image::geometry::{Filter, resize_plane_f32};
use crate::image::{DecodedImage, Error, Matte, Probabilities};
use std::borrow::Cow;

/// The coarsest picture is at most this many times as long as the map.
const COARSEST: usize = 4;
/// The map is sure within this of 0 and 1.
const SURE: f32 = 0.05;
/// A step of the map that is open however sure both sides are.
const STEP: f32 = 0.5;
/// Pixels of the coarsest picture by which the open band is widened: how far the map's boundary may be off.
const WIDENED: usize = 4;
/// What the map's own logit counts.
const GAIN: f32 = 1.5;
/// What the colours' logarithmic odds count: pixels of one place are not independent witnesses.
const TRUST: f32 = 0.5;
/// The most that the colours may say: enough to decide where the map wavers, not to overrule it where it is sure.
const MOST: f32 = 4.0;
/// How strongly an open pixel is held to what map and colours say: at least, and more the surer they are.
const HOLD: (f32, f32) = (0.02, 0.5);
/// Rounds at the coarsest, the finer and the finest size.
const ROUNDS: (usize, usize, usize) = (6, 4, 2);
/// At finer sizes: what is within this of 0 and 1 counts as settled.
const LOW: f32 = 0.02;
/// A step beside which a finer matte is open.
const FINE_STEP: f32 = 0.1;
/// Where a matte differs less than this from its neighbours there is no edge, and nothing to settle.
const FLAT: f32 = 0.02;
/// How strongly a finer open pixel is held to the coarser matte.
const FINE_HOLD: f32 = 0.02;

/// Brings the map to the photo's size, refined where it is unsure or near its boundary. Fails when a plane's length is
/// not what its sizes say, or a side is 0.
pub(super) fn refine(image: &DecodedImage, map: &Probabilities) -> Result<Matte, Error> {
    Error::expect_len("picture to refine", image.rgb.len(), area(image.width, image.height, 3))?;
    let picture = Level {
        width: image.width as usize,
        height: image.height as usize,
        rgb: Cow::Borrowed(image.rgb.as_chunks::<3>().0),
    };
    let (finer, coarsest) = halves(picture, map.width.max(map.height) as usize * COARSEST);
    let clean = |value: &f32| if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
    let plane: Vec<f32> = map.plane.iter().map(clean).collect();
    let to = (coarsest.width as u32, coarsest.height as u32);
    let mut alpha = resize_plane_f32(&plane, (map.width, map.height), to, Filter::Bilinear)?;

    let tiles = first_guess(&coarsest, &mut alpha);
    solve(&coarsest, &mut alpha, &tiles, ROUNDS.0);
    let mut coarse = &coarsest;
    for (index, fine) in finer.iter().enumerate().rev() {
        let open = widened(&unsettled(&alpha, coarse.width, LOW, FINE_STEP, FLAT), coarse.width);
        let (larger, tiles) = grow((&alpha, &open), (coarse, fine), LOW, FINE_HOLD);
        alpha = larger;
        solve(fine, &mut alpha, &tiles, if index == 0 { ROUNDS.2 } else { ROUNDS.1 });
        coarse = fine;
    }
    // What is almost nothing is nothing, and what is almost all is all: exact white beside a garment.
    let (scale, shift) = (255.0 / (1.0 - 2.0 * LOW), 0.5 - 255.0 * LOW / (1.0 - 2.0 * LOW));
    let alpha = alpha.iter().map(|value| (value * scale + shift).clamp(0.0, 255.0) as u8).collect();
    Ok(Matte { width: image.width, height: image.height, alpha })
}

/// What map and colours together say of the open pixels, and the tiles that these are in.
fn first_guess(level: &Level<'_>, alpha: &mut [f32]) -> Vec<Tile> {
    let mut open = unsettled(alpha, level.width, SURE, STEP, 0.0);
    for _ in 0..WIDENED {
        open = widened(&open, level.width);
    }
    let colours = Colours::read(level, alpha, &open);
    let rows = alpha.chunks_exact_mut(level.width).zip(open.chunks_exact(level.width));
    for (y, ((alpha, open), colour)) in rows.zip(level.rgb.chunks_exact(level.width)).enumerate() {
        for (x, ((value, open), colour)) in alpha.iter_mut().zip(open).zip(colour).enumerate() {
            if *open {
                let sure = value.clamp(0.01, 0.99);
                let say = (TRUST * colours.odds(x, y, *colour)).clamp(-MOST, MOST);
                *value = 1.0 / (1.0 + (-GAIN * (sure / (1.0 - sure)).ln() - say).exp());
            } else {
                *value = settled(*value, SURE);
            }
        }
    }
    let mut tiles = Vec::new();
    for top in (0..level.height).step_by(TILE) {
        for left in (0..level.width).step_by(TILE) {
            let (wide, high) = (TILE.min(level.width - left), TILE.min(level.height - top));
            let row = |y: usize| (top + y) * level.width + left..(top + y) * level.width + left + wide;
            if !(0..high).any(|y| open[row(y)].contains(&true)) {
                continue;
            }
            let mut tile = Tile { left, top, prior: [0.0; TILE * TILE], hold: [1.0; TILE * TILE] };
            for y in 0..high {
                for (x, at) in row(y).enumerate() {
                    tile.prior[y * TILE + x] = alpha[at];
                    if open[at] {
                        tile.hold[y * TILE + x] = HOLD.0 + HOLD.1 * (2.0 * alpha[at] - 1.0).powi(4);
                    }
                }
            }
            tiles.push(tile);
        }
    }
    tiles
}
