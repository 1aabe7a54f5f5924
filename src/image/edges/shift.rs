//! The edge of a matte moved and softened. Must not know the photo.

use super::blocks::{BLOCK, change_blocks};

/// The furthest that an edge is moved, in pixels.
const FURTHEST: f32 = 64.0;
/// The widest softening, as a standard deviation in pixels.
const SOFTEST: f32 = 32.0;
/// Discs up to this radius are applied one after another: many small ones cost less than one large.
const STEP: f32 = 4.0;

/// Moves the edge inwards by so many pixels (outwards when negative): the least level within a disc, and for the
/// fraction of a pixel a mix of the discs before and after. An edge at the picture's border stays there.
pub(super) fn shrink(alpha: &mut [u8], width: usize, pixels: f32) {
    if pixels.is_nan() {
        return;
    }
    let flip = if pixels < 0.0 { 255 } else { 0 };
    let mut left = pixels.abs().min(FURTHEST);
    while left > 0.0 {
        let step = left.min(STEP);
        left -= step;
        let (inner, share) = (step.floor() as usize, step.fract());
        let reach = inner + usize::from(share > 0.0);
        let side = BLOCK + 2 * reach;
        let (near, far) = (disc(inner), disc(reach));
        let mut further = vec![0; BLOCK * BLOCK];
        change_blocks(alpha, width, reach, |patch, block| {
            least(patch, side, reach, &near, flip, block);
            if share > 0.0 {
                least(patch, side, reach, &far, flip, &mut further);
                for (level, far) in block.iter_mut().zip(&further) {
                    let mixed = f32::from(*level) * (1.0 - share) + f32::from(*far) * share;
                    *level = (mixed + 0.5) as u8;
                }
            }
        });
    }
}

/// Offsets (right, down) within a disc.
fn disc(radius: usize) -> Vec<(isize, isize)> {
    let reach = radius as isize;
    let all = (-reach..=reach).flat_map(|y| (-reach..=reach).map(move |x| (x, y)));
    all.filter(|(x, y)| x * x + y * y <= reach * reach).collect()
}

/// The least level around each pixel of the block (the greatest, where levels are flipped).
fn least(patch: &[u8], side: usize, reach: usize, around: &[(isize, isize)], flip: u8, block: &mut [u8]) {
    for (y, row) in block.chunks_exact_mut(BLOCK).enumerate() {
        row.fill(255);
        for (right, down) in around {
            let begin = (y + reach).saturating_add_signed(*down) * side + reach.saturating_add_signed(*right);
            for (level, other) in row.iter_mut().zip(&patch[begin..begin + BLOCK]) {
                *level = (*level).min(other ^ flip);
            }
        }
        row.iter_mut().for_each(|level| *level ^= flip);
    }
}

/// Softens by a Gaussian of that standard deviation in pixels.
pub(super) fn feather(alpha: &mut [u8], width: usize, deviation: f32) {
    if deviation.is_nan() || deviation <= 0.0 {
        return;
    }
    let deviation = deviation.min(SOFTEST);
    let reach = (deviation * 3.0).ceil() as usize;
    let weigh = |at: usize| (-0.5 * ((at as f32 - reach as f32) / deviation).powi(2)).exp();
    let weights: Vec<f32> = (0..=2 * reach).map(weigh).collect();
    let sum: f32 = weights.iter().sum();
    let weights: Vec<f32> = weights.iter().map(|weight| weight / sum).collect();
    let side = BLOCK + 2 * reach;
    let mut across = vec![0.0_f32; side * BLOCK];
    let mut line = vec![0.0_f32; side];
    change_blocks(alpha, width, reach, |patch, block| {
        for (row, into) in patch.chunks_exact(side).zip(across.chunks_exact_mut(BLOCK)) {
            line.iter_mut().zip(row).for_each(|(value, level)| *value = f32::from(*level));
            weighted(into, &weights, |at| &line[at..at + BLOCK]);
        }
        let mut sums = [0.0; BLOCK];
        for (y, row) in block.chunks_exact_mut(BLOCK).enumerate() {
            weighted(&mut sums, &weights, |at| &across[(y + at) * BLOCK..][..BLOCK]);
            row.iter_mut().zip(sums).for_each(|(level, sum)| *level = (sum + 0.5) as u8);
        }
    });
}

fn weighted<'a>(into: &mut [f32], weights: &[f32], line: impl Fn(usize) -> &'a [f32]) {
    into.fill(0.0);
    for (at, weight) in weights.iter().enumerate() {
        into.iter_mut().zip(line(at)).for_each(|(sum, value)| *sum += weight * value);
    }
}
