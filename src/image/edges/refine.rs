//! A coarse map refined by the photo, from coarse to fine. Must not know networks, nor pieces and holes.
//!
//! The photo is halved until it is about as coarse as the map. There the map's unsure band is wide in the photo's
//! pixels but only a few of the small picture's: a few rounds settle it. Each finer picture then only has to settle the
//! narrow band that the coarser one left open, so that the cost follows the length of the edge and not the photo's area.

use super::solve::{Level, TILE, Tile, solve};
use crate::image::geometry::{Filter, resize_plane_f32};
use crate::image::{DecodedImage, Error, Matte, Probabilities};

pub(crate) fn knob(name: &str, or: f32) -> f32 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(or)
}

/// Brings the map to the photo's size, refined where it is unsure or near its boundary.
pub(super) fn refine(image: &DecodedImage, map: &Probabilities) -> Result<Matte, Error> {
    let levels = pyramid(image, map)?;
    let noise = knob("NOISE", 1e-4);
    let Some(coarsest) = levels.last() else {
        return Err(Error::Shape { what: "picture to refine", detail: "it has no pixels".to_owned() });
    };
    let clean: Vec<f32> =
        map.plane.iter().map(|value| if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }).collect();
    let to = (coarsest.width as u32, coarsest.height as u32);
    let mut alpha = resize_plane_f32(&clean, (map.width, map.height), to, Filter::Bilinear)?;
    let sure = knob("SURE", 0.05);
    let mut open: Vec<bool> = alpha.iter().map(|a| *a > sure && *a < 1.0 - sure).collect();
    edges_open(&alpha, coarsest.width, 0.5, &mut open);
    for _ in 0..knob("DILATE", 2.0) as usize {
        open = dilated(&open, coarsest.width);
    }
    let gain = knob("GAIN", 1.5);
    let (base, more) = (knob("HOLD", 0.02), knob("MORE", 0.1));
    for a in &mut alpha {
        *a = ((*a - 0.5) * gain + 0.5).clamp(0.0, 1.0);
    }
    let tiles = tiles(coarsest, &alpha, &open, |a| base + more * (2.0 * a - 1.0).abs().powi(4));
    solve(coarsest, &mut alpha, &tiles, knob("ROUNDS", 10.0) as usize, noise);
    for at in (0..levels.len() - 1).rev() {
        let (fine, coarse) = (&levels[at], &levels[at + 1]);
        let low = knob("LOW", 0.02);
        let mut open: Vec<bool> = alpha.iter().map(|a| *a > low && *a < 1.0 - low).collect();
        edges_open(&alpha, coarse.width, 0.1, &mut open);
        let flat = flat(&alpha, coarse.width);
        for (o, f) in open.iter_mut().zip(&flat) {
            *o &= !f;
        }
        for _ in 0..knob("WIDEN", 1.0) as usize {
            open = dilated(&open, coarse.width);
        }
        let mut finer = enlarge(&alpha, (coarse.width, coarse.height), (fine.width, fine.height));
        let open = doubled(&open, (coarse.width, coarse.height), (fine.width, fine.height));
        for (a, o) in finer.iter_mut().zip(&open) {
            if !o {
                if *a < low {
                    *a = 0.0
                } else if *a > 1.0 - low {
                    *a = 1.0
                }
            }
        }
        let hold = knob("FINEHOLD", 0.02);
        let tiles = self::tiles(fine, &finer, &open, |_| hold);
        solve(fine, &mut finer, &tiles, if at == 0 { knob("LAST", 2.0) } else { knob("FINE", 4.0) } as usize, noise);
        alpha = finer;
    }
    let low = knob("SNAP", 0.02);
    let bytes = alpha.iter().map(|a| (((a - low) / (1.0 - 2.0 * low)).clamp(0.0, 1.0) * 255.0 + 0.5) as u8).collect();
    Ok(Matte { width: image.width, height: image.height, alpha: bytes })
}

/// The photo and its halves, down to about the map's size.
fn pyramid(image: &DecodedImage, map: &Probabilities) -> Result<Vec<Level>, Error> {
    let (width, height) = (image.width as usize, image.height as usize);
    Error::expect_len("picture to refine", image.rgb.len(), crate::image::error::area(image.width, image.height, 3))?;
    if width == 0 || height == 0 || map.width == 0 || map.height == 0 {
        return Err(Error::Shape { what: "picture to refine", detail: "a side is 0".to_owned() });
    }
    let mut levels = vec![Level { width, height, rgb: image.rgb.as_chunks::<3>().0.to_vec() }];
    let long = map.width.max(map.height) as f32 * knob("COARSE", 1.6);
    while let Some(last) = levels.last().filter(|last| last.width.max(last.height) as f32 > long) {
        levels.push(half(last));
    }
    Ok(levels)
}

fn half(from: &Level) -> Level {
    let (width, height) = (from.width.div_ceil(2), from.height.div_ceil(2));
    let mut rgb = Vec::with_capacity(width * height);
    for y in 0..height {
        let upper = &from.rgb[2 * y * from.width..][..from.width];
        let lower = &from.rgb[(2 * y + 1).min(from.height - 1) * from.width..][..from.width];
        for (upper, lower) in upper.chunks(2).zip(lower.chunks(2)) {
            let (a, b) = (upper[0], upper[upper.len() - 1]);
            let (c, d) = (lower[0], lower[lower.len() - 1]);
            rgb.push([0, 1, 2].map(|i: usize| {
                ((u16::from(a[i]) + u16::from(b[i]) + u16::from(c[i]) + u16::from(d[i]) + 2) / 4) as u8
            }));
        }
    }
    Level { width, height, rgb }
}

fn edges_open(alpha: &[f32], width: usize, step: f32, open: &mut [bool]) {
    for at in 0..alpha.len() {
        let right = at % width + 1 < width && (alpha[at + 1] - alpha[at]).abs() > step;
        let below = at + width < alpha.len() && (alpha[at + width] - alpha[at]).abs() > step;
        if right || below {
            open[at] = true;
        }
        if right {
            open[at + 1] = true;
        }
        if below {
            open[at + width] = true;
        }
    }
}

fn flat(alpha: &[f32], width: usize) -> Vec<bool> {
    let height = alpha.len() / width;
    let mut out = vec![false; alpha.len()];
    for y in 0..height {
        for x in 0..width {
            let (mut lo, mut hi) = (1.0_f32, 0.0_f32);
            for yy in y.saturating_sub(1)..(y + 2).min(height) {
                for xx in x.saturating_sub(1)..(x + 2).min(width) {
                    let a = alpha[yy * width + xx];
                    lo = lo.min(a);
                    hi = hi.max(a);
                }
            }
            out[y * width + x] = hi - lo < 0.02;
        }
    }
    out
}

fn dilated(open: &[bool], width: usize) -> Vec<bool> {
    let mut out = open.to_vec();
    let height = open.len() / width;
    for y in 0..height {
        for x in 0..width {
            if open[y * width + x] {
                for yy in y.saturating_sub(1)..(y + 2).min(height) {
                    for xx in x.saturating_sub(1)..(x + 2).min(width) {
                        out[yy * width + xx] = true;
                    }
                }
            }
        }
    }
    out
}

fn doubled(open: &[bool], from: (usize, usize), to: (usize, usize)) -> Vec<bool> {
    let mut out = Vec::with_capacity(to.0 * to.1);
    for y in 0..to.1 {
        for x in 0..to.0 {
            out.push(open[y / 2 * from.0 + x / 2]);
        }
    }
    out
}

fn enlarge(alpha: &[f32], from: (usize, usize), to: (usize, usize)) -> Vec<f32> {
    let mut out = Vec::with_capacity(to.0 * to.1);
    let place = |at: usize, size: usize| {
        let (near, far) =
            (at / 2, if at.is_multiple_of(2) { (at / 2).saturating_sub(1) } else { (at / 2 + 1).min(size - 1) });
        (near, far)
    };
    for y in 0..to.1 {
        let (near, far) = place(y, from.1);
        let (near, far) = (&alpha[near * from.0..][..from.0], &alpha[far * from.0..][..from.0]);
        for x in 0..to.0 {
            let (a, b) = place(x, from.0);
            out.push(0.75 * (0.75 * near[a] + 0.25 * near[b]) + 0.25 * (0.75 * far[a] + 0.25 * far[b]));
        }
    }
    out
}

fn tiles(level: &Level, alpha: &[f32], open: &[bool], hold: impl Fn(f32) -> f32) -> Vec<Tile> {
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
                        tile.hold[y * TILE + x] = hold(alpha[at]);
                    }
                }
            }
            tiles.push(tile);
        }
    }
    tiles
}
