//! Figures by which a matte is judged without a person. Must not set thresholds on them.

use super::pieces::{Side, pieces};
use crate::image::Matte;

/// The plane on which pieces are counted is at most this long, in pixels.
const LONGEST: usize = 512;
/// Pieces and holes below this share of all that is foreground are not counted.
const LEAST_SHARE: f64 = 0.0005;
/// Nor are those of fewer pixels than this, on the plane on which they are counted.
const LEAST_PIXELS: u64 = 4;
/// An edge as wide as this share of the picture's longer side has a sharpness of one half.
const HALF: f64 = 0.01;

/// Figures of a matte's form.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Pieces of the foreground (alpha of one half or more, corners join): those of at least 0.05 % of its area.
    pub components: u32,
    /// Pieces of the background that do not reach the picture's border, by the same measure.
    pub holes: u32,
    /// How steep the edge is, 0 to 1: `1 / (1 + (w / w½)²)`, where `w` is the mean width of the edge in pixels, from
    /// where alpha is 0 to where it is 1, and `w½` is 1 % of the picture's longer side. `w` is `1.5 × Σ 4α(1 − α) / Σ
    /// |∇α|`: for a straight ramp that is the ramp's width, at any angle. 1.0 where nothing is soft.
    pub sharpness: f32,
}

/// Reads the figures off a matte: pieces on a reduced plane of at most 512 pixels, sharpness on all pixels.
pub fn shape(matte: &Matte) -> Shape {
    let (width, height) = (matte.width as usize, matte.height as usize);
    if width == 0 || height == 0 || matte.alpha.len() != width * height {
        return Shape { components: 0, holes: 0, sharpness: 1.0 };
    }
    let (reduced, columns) = reduce(&matte.alpha, width, height);
    let area: u64 = reduced.iter().filter(|alpha| **alpha >= 128).count() as u64;
    let least = ((LEAST_SHARE * area as f64) as u64).max(LEAST_PIXELS.min(area)) * 128;
    let front = pieces(&reduced, columns, Side::Front, 128).pieces;
    let back = pieces(&reduced, columns, Side::Back, 128).pieces;
    Shape {
        components: front.iter().filter(|piece| piece.weight >= least).count() as u32,
        holes: back.iter().filter(|piece| !piece.at_border && piece.weight >= least).count() as u32,
        sharpness: sharpness(&matte.alpha, width, height),
    }
}

/// Means of square cells, and their columns.
fn reduce(alpha: &[u8], width: usize, height: usize) -> (Vec<u8>, usize) {
    let cell = width.max(height).div_ceil(LONGEST);
    if cell == 1 {
        return (alpha.to_vec(), width);
    }
    let columns = width.div_ceil(cell);
    let mut means = Vec::with_capacity(columns * height.div_ceil(cell));
    let mut sums = vec![0_u32; width];
    for rows in alpha.chunks(width * cell) {
        sums.fill(0);
        for row in rows.chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, level)| *sum += u32::from(*level));
        }
        let high = (rows.len() / width) as u32;
        means.extend(sums.chunks(cell).map(|sums| (sums.iter().sum::<u32>() / (high * sums.len() as u32)) as u8));
    }
    (means, columns)
}

fn sharpness(alpha: &[u8], width: usize, height: usize) -> f32 {
    const AT_ONCE: usize = 32;
    let (mut soft, mut steep) = (0.0_f64, 0.0_f64);
    for y in 0..height {
        let row = &alpha[y * width..][..width];
        let below = &alpha[(y + 1).min(height - 1) * width..][..width];
        for begin in (0..width).step_by(AT_ONCE) {
            let end = (begin + AT_ONCE).min(width);
            let first = row[begin];
            let flat = |row: &[u8]| row.iter().fold(0, |differs, level| differs | (level ^ first)) == 0;
            if matches!(first, 0 | 255) && flat(&row[begin..(end + 1).min(width)]) && flat(&below[begin..end]) {
                continue;
            }
            let (mut softs, mut steeps) = (0.0_f32, 0.0_f32);
            for x in begin..end {
                let here = f32::from(row[x]);
                let right = f32::from(row[(x + 1).min(width - 1)]) - here;
                let down = f32::from(below[x]) - here;
                softs += here * (255.0 - here);
                steeps += (right * right + down * down).sqrt();
            }
            soft += f64::from(softs);
            steep += f64::from(steeps);
        }
    }
    if soft == 0.0 {
        return 1.0;
    }
    let (soft, steep) = (4.0 * soft / (255.0 * 255.0), steep / 255.0);
    if steep == 0.0 {
        return 0.0;
    }
    let times = 1.5 * soft / steep / (HALF * width.max(height) as f64);
    (1.0 / (1.0 + times * times)) as f32
}
