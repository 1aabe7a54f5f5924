//! The matte that fits a photo best where it is open: closed-form matting (Levin et al.) by repeated guided filtering (He
//! et al.), tile by tile. Must not know where the first guess came from.
//!
//! In each small window of a photo the colours of garment and backdrop lie near a line, so that alpha is a linear
//! function of colour there. A guided filter finds the best such function for every window; done again and again, with
//! what is known held fast, it comes to the matte that all windows agree on.

use std::borrow::Cow;

/// Side of a tile in pixels.
pub(super) const TILE: usize = 16;
/// Pixels that a window reaches from its middle.
const REACH: usize = 1;
/// Side of the patch that holds a tile and all windows' pixels.
const PATCH: usize = TILE + 4 * REACH;
/// Side of the patch of windows whose pixels are in a tile.
const WINDOWS: usize = TILE + 2 * REACH;
/// Tiles whose windows are kept at a time: their memory is bounded, however much is open.
const AT_ONCE: usize = 1024;
/// Variance of colour (of 0 to 1) below which a window says nothing: the noise of a photo.
const NOISE: f32 = 1e-4;
/// Pixels of a window.
const COUNT: f32 = ((2 * REACH + 1) * (2 * REACH + 1)) as f32;

type Patch = [f32; PATCH * PATCH];
type Windows = [f32; WINDOWS * WINDOWS];

/// A picture at one size, and the matte so far.
pub(super) struct Level<'a> {
    /// Columns.
    pub(super) width: usize,
    /// Rows.
    pub(super) height: usize,
    /// sRGB, row by row.
    pub(super) rgb: Cow<'a, [[u8; 3]]>,
}

/// A tile with open pixels.
pub(super) struct Tile {
    /// Column of its first pixel.
    pub(super) left: usize,
    /// Row of its first pixel.
    pub(super) top: usize,
    /// What each pixel was thought to be before.
    pub(super) prior: [f32; TILE * TILE],
    /// How strongly it is held to that, 0 to 1 (known).
    pub(super) hold: [f32; TILE * TILE],
}

/// What a tile's windows show: colours about their means, and the inverse of their covariance.
struct Windowed {
    guide: [Patch; 3],
    means: [Windows; 3],
    inverse: [Windows; 6],
}

/// Fits `alpha` (0 to 1, `level`'s size) in the open tiles, so many times.
pub(super) fn solve(level: &Level<'_>, alpha: &mut [f32], tiles: &[Tile], rounds: usize) {
    for tiles in tiles.chunks(AT_ONCE) {
        let windowed: Vec<Windowed> = tiles.iter().map(|tile| look(level, tile)).collect();
        for round in 0..rounds {
            // Back and forth, so that what is known spreads as fast in all directions.
            for at in 0..tiles.len() {
                let at = if round % 2 == 0 { at } else { tiles.len() - 1 - at };
                fit(level, alpha, &tiles[at], &windowed[at]);
            }
        }
    }
}

fn look(level: &Level<'_>, tile: &Tile) -> Windowed {
    let mut guide = [[0.0; PATCH * PATCH]; 3];
    for_patch(level, tile, |to, from| {
        for (plane, value) in guide.iter_mut().zip(level.rgb[from]) {
            plane[to] = f32::from(value) / 255.0;
        }
    });
    let [red, green, blue] = &guide;
    let means = [mean(red), mean(green), mean(blue)];
    let covariance = |one: usize, other: usize| {
        let mut product = [0.0; PATCH * PATCH];
        for ((product, one), other) in product.iter_mut().zip(&guide[one]).zip(&guide[other]) {
            *product = one * other;
        }
        let mut found = mean(&product);
        for ((found, one), other) in found.iter_mut().zip(&means[one]).zip(&means[other]) {
            *found -= one * other;
        }
        found
    };
    let (rr, rg, rb) = (covariance(0, 0), covariance(0, 1), covariance(0, 2));
    let (gg, gb, bb) = (covariance(1, 1), covariance(1, 2), covariance(2, 2));
    let mut inverse = [[0.0; WINDOWS * WINDOWS]; 6];
    for at in 0..WINDOWS * WINDOWS {
        let (rr, gg, bb) = (rr[at].max(0.0) + NOISE, gg[at].max(0.0) + NOISE, bb[at].max(0.0) + NOISE);
        let (rg, rb, gb) = (rg[at], rb[at], gb[at]);
        let (one, two, three) = (gg * bb - gb * gb, rb * gb - rg * bb, rg * gb - rb * gg);
        // Positive in exact numbers; rounding could spoil that only far below this.
        let scale = 1.0 / (rr * one + rg * two + rb * three).max(NOISE * NOISE * NOISE * 0.5);
        inverse[0][at] = one * scale;
        inverse[1][at] = two * scale;
        inverse[2][at] = three * scale;
        inverse[3][at] = (rr * bb - rb * rb) * scale;
        inverse[4][at] = (rb * rg - rr * gb) * scale;
        inverse[5][at] = (rr * gg - rg * rg) * scale;
    }
    Windowed { guide, means, inverse }
}

fn fit(level: &Level<'_>, alpha: &mut [f32], tile: &Tile, windowed: &Windowed) {
    let mut patch = [0.0; PATCH * PATCH];
    for_patch(level, tile, |to, from| patch[to] = alpha[from]);
    let mean_alpha = mean(&patch);
    let [mut red, mut green, mut blue] = [0, 1, 2].map(|channel: usize| {
        let mut product = [0.0; PATCH * PATCH];
        for ((product, guide), alpha) in product.iter_mut().zip(&windowed.guide[channel]).zip(&patch) {
            *product = guide * alpha;
        }
        mean(&product)
    });
    let mut offset = mean_alpha;
    let [rr, rg, rb, gg, gb, bb] = &windowed.inverse;
    let [mean_r, mean_g, mean_b] = &windowed.means;
    for at in 0..WINDOWS * WINDOWS {
        let (r, g, b) = (
            red[at] - mean_r[at] * mean_alpha[at],
            green[at] - mean_g[at] * mean_alpha[at],
            blue[at] - mean_b[at] * mean_alpha[at],
        );
        red[at] = rr[at] * r + rg[at] * g + rb[at] * b;
        green[at] = rg[at] * r + gg[at] * g + gb[at] * b;
        blue[at] = rb[at] * r + gb[at] * g + bb[at] * b;
        offset[at] -= red[at] * mean_r[at] + green[at] * mean_g[at] + blue[at] * mean_b[at];
    }
    let (red, green, blue, offset) = (inner(&red), inner(&green), inner(&blue), inner(&offset));
    let (wide, high) = (TILE.min(level.width - tile.left), TILE.min(level.height - tile.top));
    for y in 0..high {
        let row = &mut alpha[(tile.top + y) * level.width + tile.left..][..wide];
        for (x, alpha) in row.iter_mut().enumerate() {
            let (at, around) = (y * TILE + x, (y + 2 * REACH) * PATCH + x + 2 * REACH);
            let [r, g, b] = [0, 1, 2].map(|channel: usize| windowed.guide[channel][around]);
            let fitted = red[at] * r + green[at] * g + blue[at] * b + offset[at];
            let hold = tile.hold[at];
            *alpha = (fitted.clamp(0.0, 1.0) * (1.0 - hold) + tile.prior[at] * hold).clamp(0.0, 1.0);
        }
    }
}

/// Gives for each place of a tile's patch the pixel of the plane; beyond the border the border's pixels go on.
fn for_patch(level: &Level<'_>, tile: &Tile, mut each: impl FnMut(usize, usize)) {
    let inside = |at: usize, first: usize, size: usize| (first + at).saturating_sub(2 * REACH).min(size - 1);
    for y in 0..PATCH {
        let row = inside(y, tile.top, level.height) * level.width;
        for x in 0..PATCH {
            each(y * PATCH + x, row + inside(x, tile.left, level.width));
        }
    }
}

/// Mean of each window.
fn mean(patch: &Patch) -> Windows {
    let mut rows = [0.0; PATCH * WINDOWS];
    for (into, from) in rows.chunks_exact_mut(WINDOWS).zip(patch.chunks_exact(PATCH)) {
        for (x, sum) in into.iter_mut().enumerate() {
            *sum = from[x] + from[x + 1] + from[x + 2];
        }
    }
    let mut means = [0.0; WINDOWS * WINDOWS];
    for (at, mean) in means.iter_mut().enumerate() {
        *mean = (rows[at] + rows[at + WINDOWS] + rows[at + 2 * WINDOWS]) / COUNT;
    }
    means
}

/// Mean over the windows that a pixel is in, for each pixel of the tile.
fn inner(windows: &Windows) -> [f32; TILE * TILE] {
    let mut rows = [0.0; WINDOWS * TILE];
    for (into, from) in rows.chunks_exact_mut(TILE).zip(windows.chunks_exact(WINDOWS)) {
        for (x, sum) in into.iter_mut().enumerate() {
            *sum = from[x] + from[x + 1] + from[x + 2];
        }
    }
    let mut means = [0.0; TILE * TILE];
    for (at, mean) in means.iter_mut().enumerate() {
        *mean = (rows[at] + rows[at + TILE] + rows[at + 2 * TILE]) / COUNT;
    }
    means
}
