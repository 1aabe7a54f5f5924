//! What garment and backdrop look like around each place, read off the pixels that are sure, and what that says of those
//! that are not. Must not know windows or rounds.

use super::solve::Level;
use std::f32::consts::FRAC_1_SQRT_2;

/// Side in pixels of a cell of the finest grid.
const CELL: usize = 4;
/// Only every so many-th pixel of a row and row of a plane is read.
const EVERY: usize = 2;
/// How much a coarser grid counts beside a finer one, for equal areas.
const COARSER: f32 = 0.5;
/// From this weight of sure pixels on, of garment and of backdrop, the colours around count in full.
const NEAR: f32 = 0.25;
/// Variance (of coordinates of 0 to 1) that every colour is granted: the noise of a photo.
const NOISE: f32 = 3e-4;
/// How heavy the tails of a distribution of colours are: more is nearer to a Gaussian.
const TAILS: f32 = 3.0;

/// Sums over a cell, first of the garment's sure pixels, then of the backdrop's: weight, three coordinates, their squares.
type Sums = [[f32; 7]; 2];

/// The sure colours around every place: the finest grid, into which the coarser ones have been folded.
pub(super) struct Colours {
    width: usize,
    height: usize,
    cells: Vec<Sums>,
}

impl Colours {
    /// Reads them off the pixels that are not open.
    pub(super) fn read(level: &Level<'_>, alpha: &[f32], open: &[bool]) -> Self {
        let (width, height) = (level.width.div_ceil(CELL), level.height.div_ceil(CELL));
        let mut cells = vec![Sums::default(); width * height];
        let rows = level.rgb.chunks_exact(level.width).zip(alpha.chunks_exact(level.width));
        for (y, ((colours, alphas), open)) in rows.zip(open.chunks_exact(level.width)).enumerate().step_by(EVERY) {
            let cells = &mut cells[y / CELL * width..][..width];
            for x in (0..level.width).step_by(EVERY).filter(|x| !open[*x]) {
                let sums = &mut cells[x / CELL][usize::from(alphas[x] < 0.5)];
                sums[0] += 1.0;
                for (index, value) in coordinates(colours[x]).into_iter().enumerate() {
                    sums[1 + index] += value;
                    sums[4 + index] += value * value;
                }
            }
        }
        let mut levels = vec![Self { width, height, cells }];
        while let Some(last) = levels.last().filter(|last| last.width > 1 || last.height > 1) {
            levels.push(last.coarser());
        }
        let mut below: Option<Self> = None;
        while let Some(mut level) = levels.pop() {
            if let Some(coarse) = &below {
                level.fold(coarse);
            }
            below = Some(level);
        }
        below.unwrap_or(Self { width: 0, height: 0, cells: Vec::new() })
    }

    /// The logarithm of how much more the pixel looks like the garment around it than like the backdrop; 0 where one of
    /// the two is not known.
    pub(super) fn odds(&self, x: usize, y: usize, colour: [u8; 3]) -> f32 {
        let middle = |at: usize| (at as f32 + 0.5) / CELL as f32 - 0.5;
        let [front, back] = self.at(middle(x), middle(y));
        if front[0] < f32::MIN_POSITIVE || back[0] < f32::MIN_POSITIVE {
            return 0.0;
        }
        let (mut ratio, mut odds) = (1.0_f32, 0.0);
        for (index, value) in coordinates(colour).into_iter().enumerate() {
            // Student's distribution: a shadow is unlike its backdrop, and no garment for that.
            let [(front, front_tail), (back, back_tail)] = [front, back].map(|sums| {
                let mean = sums[1 + index] / sums[0];
                let variance = (sums[4 + index] / sums[0] - mean * mean).max(0.0) + NOISE;
                (variance, 1.0 + (value - mean) * (value - mean) / (2.0 * TAILS * variance))
            });
            ratio *= back / front;
            odds += TAILS * (back_tail / front_tail).ln();
        }
        (odds + 0.5 * ratio.ln()) * (front[0].min(back[0]) / NEAR).min(1.0)
    }

    fn coarser(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut cells = vec![Sums::default(); width * height];
        for (at, sums) in self.cells.iter().enumerate() {
            let (x, y) = (at % self.width, at / self.width);
            add(&mut cells[y / 2 * width + x / 2], sums, 1.0);
        }
        Self { width, height, cells }
    }

    fn fold(&mut self, coarse: &Self) {
        let width = self.width;
        for (at, sums) in self.cells.iter_mut().enumerate() {
            let (x, y) = (at % width, at / width);
            // A quarter: a coarse cell is the sum of four.
            add(sums, &coarse.at((x as f32 - 0.5) / 2.0, (y as f32 - 0.5) / 2.0), COARSER / 4.0);
        }
    }

    /// The sums around a place, in cells (0.0 is the middle of the first), bilinear.
    fn at(&self, x: f32, y: f32) -> Sums {
        let (x, y) = (x.clamp(0.0, (self.width - 1) as f32), y.clamp(0.0, (self.height - 1) as f32));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (across, down) = (x - left as f32, y - top as f32);
        let mut sums = Sums::default();
        for (row, share) in [(top, 1.0 - down), (bottom, down)] {
            add(&mut sums, &self.cells[row * self.width + left], share * (1.0 - across));
            add(&mut sums, &self.cells[row * self.width + right], share * across);
        }
        sums
    }
}

fn add(into: &mut Sums, from: &Sums, share: f32) {
    for (into, from) in into.as_flattened_mut().iter_mut().zip(from.as_flattened()) {
        *into += from * share;
    }
}

/// Brightness and two differences of colour, at right angles to each other: fabrics vary mostly along the first.
fn coordinates([red, green, blue]: [u8; 3]) -> [f32; 3] {
    /// 1 / √3 and 1 / √6.
    const ALL: f32 = 0.577_350_3;
    const TWICE: f32 = 0.408_248_3;
    let [red, green, blue] = [red, green, blue].map(|value| f32::from(value) / 255.0);
    [(red + green + blue) * ALL, (red - blue) * FRAC_1_SQRT_2, (red - 2.0 * green + blue) * TWICE]
}
