//! The photo at half sizes, and a matte taken from one size to the next. Must not know how a matte is fitted.

use super::solve::{Level, TILE, Tile};
use std::borrow::Cow;

/// Half a tile: what it is made of at half the size.
const HALF: usize = TILE / 2;
/// Half a tile and the pixels around.
const PATCH: usize = HALF + 2;

/// A picture and its halves, the last of which is the first whose longer side is at most `long` pixels.
pub(super) fn halves(picture: Level<'_>, long: usize) -> (Vec<Level<'_>>, Level<'_>) {
    let (mut finer, mut last) = (Vec::new(), picture);
    while last.width.max(last.height) > long.max(1) {
        let smaller = half(&last);
        finer.push(last);
        last = smaller;
    }
    (finer, last)
}

/// Means of two by two pixels.
fn half(from: &Level<'_>) -> Level<'static> {
    let (width, height) = (from.width.div_ceil(2), from.height.div_ceil(2));
    let mut rgb = vec![[0; 3]; width * height];
    for (y, row) in rgb.chunks_exact_mut(width).enumerate() {
        let upper = &from.rgb[2 * y * from.width..][..from.width];
        let lower = &from.rgb[(2 * y + 1).min(from.height - 1) * from.width..][..from.width];
        for ((pixel, upper), lower) in row.iter_mut().zip(upper.chunks(2)).zip(lower.chunks(2)) {
            let ([a, b], [c, d]) = ([upper[0], upper[upper.len() - 1]], [lower[0], lower[lower.len() - 1]]);
            for (index, value) in pixel.iter_mut().enumerate() {
                let sum = u16::from(a[index]) + u16::from(b[index]) + u16::from(c[index]) + u16::from(d[index]);
                *value = ((sum + 2) / 4) as u8;
            }
        }
    }
    Level { width, height, rgb: Cow::Owned(rgb) }
}

/// A matte of `coarse`'s size at `fine`'s, bilinear, and the tiles in which it is open: those with an open pixel, held
/// by `hold` to what they are. What is not open and within `low` of 0 or 1 becomes that.
pub(super) fn grow(
    (alpha, open): (&[f32], &[bool]),
    (coarse, fine): (&Level<'_>, &Level<'_>),
    low: f32,
    hold: f32,
) -> (Vec<f32>, Vec<Tile>) {
    let mut finer = vec![0.0; fine.width * fine.height];
    let mut tiles = Vec::new();
    let mut patch = [0.0_f32; PATCH * PATCH];
    for top in (0..fine.height).step_by(TILE) {
        for left in (0..fine.width).step_by(TILE) {
            let (wide, high) = (TILE.min(fine.width - left), TILE.min(fine.height - top));
            for (y, row) in patch.chunks_exact_mut(PATCH).enumerate() {
                let from = (top / 2 + y).saturating_sub(1).min(coarse.height - 1) * coarse.width;
                let from = &alpha[from..from + coarse.width];
                if left > 0 && left / 2 + HALF < coarse.width {
                    row.copy_from_slice(&from[left / 2 - 1..][..PATCH]);
                } else {
                    for (x, value) in row.iter_mut().enumerate() {
                        *value = from[(left / 2 + x).saturating_sub(1).min(coarse.width - 1)];
                    }
                }
            }
            let opens = |y: usize| &open[(top + y) / 2 * coarse.width + left / 2..][..wide.div_ceil(2)];
            let any_open = (0..high).step_by(2).any(|y| opens(y).contains(&true));
            if !any_open && patch.iter().fold(true, |all, value| all & (*value < low)) {
                continue;
            }
            let mut tile = Tile { left, top, prior: enlarged(&patch), hold: [1.0; TILE * TILE] };
            for y in 0..high {
                let row = y * TILE..y * TILE + wide;
                let values = tile.prior[row.clone()].iter_mut().zip(&mut tile.hold[row.clone()]);
                for ((value, held), open) in values.zip(opens(y).iter().flat_map(|open| [open, open])) {
                    if *open {
                        *held = hold;
                    } else {
                        *value = settled(*value, low);
                    }
                }
                finer[(top + y) * fine.width + left..][..wide].copy_from_slice(&tile.prior[row]);
            }
            if any_open {
                tiles.push(tile);
            }
        }
    }
    (finer, tiles)
}

/// 0 or 1 for what is within `low` of them.
pub(super) fn settled(value: f32, low: f32) -> f32 {
    if value < low {
        0.0
    } else if value > 1.0 - low {
        1.0
    } else {
        value
    }
}

fn enlarged(patch: &[f32; PATCH * PATCH]) -> [f32; TILE * TILE] {
    let mut tile = [0.0; TILE * TILE];
    for (y, row) in tile.chunks_exact_mut(TILE).enumerate() {
        let (near, far) = (y / 2 + 1, if y % 2 == 0 { y / 2 } else { y / 2 + 2 });
        let mut mixed = [0.0; PATCH];
        for ((mixed, near), far) in mixed.iter_mut().zip(&patch[near * PATCH..]).zip(&patch[far * PATCH..]) {
            *mixed = 0.75 * near + 0.25 * far;
        }
        for (pair, mixed) in row.chunks_exact_mut(2).zip(mixed.windows(3)) {
            pair[0] = 0.75 * mixed[1] + 0.25 * mixed[0];
            pair[1] = 0.75 * mixed[1] + 0.25 * mixed[2];
        }
    }
    tile
}
