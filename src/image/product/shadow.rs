//! A soft shadow where the subject stands. Must not know what it falls on.
//!
//! The subject's lowest part is laid flat around its lowest row, sampled on a grid as coarse as the blur allows, and
//! smeared there by three box filters: the cost does not grow with the blur.

use super::super::Cutout;
use super::Shadow;
use super::layout::Placed;

/// The share of the subject's height, from below, that casts it.
const LOWER: f64 = 0.15;
/// How much less it is smeared, and how much flatter it lies, down than across: it is seen from a low place.
const FLAT: f64 = 0.35;
/// Cells of the grid for one standard deviation of the smear.
const CELLS: f64 = 4.0;
/// Most cells of the grid a side.
const MOST: usize = 4096;

/// How dark the ground is, on a grid over a part of the canvas.
pub(super) struct Shade {
    /// Canvas place of the middle of the first cell, and canvas pixels from one cell to the next, across and down.
    first: (f64, f64),
    step: (f64, f64),
    width: usize,
    height: usize,
    /// 0.0 to 255.0.
    cells: Vec<f32>,
}

/// The shade that the subject casts; `None` without a subject.
pub(super) fn cast(cutout: &Cutout, placed: &Placed, shadow: &Shadow) -> Option<Shade> {
    let subject = placed.subject?;
    let tall = f64::from(subject.height()) * placed.scale;
    let across = f64::from(shadow.blur) * tall;
    let down = across * FLAT;
    let (left, _) = placed.to_canvas((f64::from(subject.left), 0.0));
    let (right, lowest) = placed.to_canvas((f64::from(subject.right), f64::from(subject.bottom)));
    let ground = lowest + f64::from(shadow.offset) * tall;
    // How far the part laid flat reaches to either side of the ground line.
    let reach = (down * 1.5).max(1.0);
    let cells = |from: f64, to: f64, smear: f64| {
        let step = (smear / CELLS).max(1.0).max((to - from) / MOST as f64);
        (step, (((to - from) / step).ceil() as usize).clamp(1, MOST))
    };
    let (west, east) = (left - 3.0 * across - 1.0, right + 3.0 * across + 1.0);
    let (north, south) = (ground - reach - 3.0 * down - 1.0, ground + reach + 3.0 * down + 1.0);
    let (step_x, width) = cells(west, east, across);
    let (step_y, height) = cells(north, south, down);
    let first = (west + step_x / 2.0, north + step_y / 2.0);

    let (pixels, _) = cutout.rgba.as_chunks::<4>();
    let mut grid = Vec::with_capacity(width * height);
    for row in 0..height {
        let away = ((first.1 + row as f64 * step_y - ground) / reach).abs();
        let (_, bottom) = placed.to_picture((0.0, lowest));
        let y = bottom - 0.5 - away * LOWER * f64::from(subject.height());
        for column in 0..width {
            let (x, _) = placed.to_picture((first.0 + column as f64 * step_x, 0.0));
            let inside = away < 1.0 && x >= 0.0 && x < f64::from(cutout.width) && y >= 0.0;
            let pixel = if inside { pixels.get(y as usize * cutout.width as usize + x as usize) } else { None };
            // What is higher above the ground casts less.
            grid.push(pixel.map_or(0.0, |pixel| f32::from(pixel[3]) * (1.0 - away) as f32));
        }
    }
    for _ in 0..3 {
        grid = smeared_and_turned(&grid, width, radius(across / step_x));
        grid = smeared_and_turned(&grid, height, radius(down / step_y));
    }
    let darkest = grid.iter().copied().fold(0.0, f32::max);
    if darkest < 1.0 {
        return None;
    }
    grid.iter_mut().for_each(|value| *value *= 255.0 / darkest * shadow.opacity);
    Some(Shade { first, step: (step_x, step_y), width, height, cells: grid })
}

/// The reach of a box filter that, done three times, smears by so many cells.
fn radius(deviation: f64) -> usize {
    (((4.0 * deviation * deviation + 1.0).sqrt() - 1.0) / 2.0).round() as usize
}

/// Box-filters each row and gives the result with rows and columns exchanged; beyond the grid there is nothing.
fn smeared_and_turned(grid: &[f32], width: usize, radius: usize) -> Vec<f32> {
    let height = grid.len() / width.max(1);
    let mut turned = vec![0.0; grid.len()];
    let share = 1.0 / (2 * radius + 1) as f32;
    for (y, row) in grid.chunks_exact(width.max(1)).enumerate() {
        let mut sum: f32 = row.iter().take(radius).sum();
        for x in 0..width {
            sum += row.get(x + radius).copied().unwrap_or(0.0);
            turned[x * height + y] = sum * share;
            sum -= x.checked_sub(radius).and_then(|x| row.get(x)).copied().unwrap_or(0.0);
        }
    }
    turned
}

impl Shade {
    /// Calls for each row of the canvas that it falls on, with the canvas' values there, of so many channels, and how dark
    /// each pixel is, 0 to 255.
    pub(super) fn each_row(
        &self,
        canvas: &mut [u8],
        channels: usize,
        width: u32,
        mut paint: impl FnMut(&mut [u8], &[u8]),
    ) {
        let end = |first: f64, step: f64, cells: usize| (first + step * cells as f64).ceil().max(0.0) as usize;
        let from = |first: f64, step: f64| (first - step).floor().max(0.0) as usize;
        let rows = from(self.first.1, self.step.1)..end(self.first.1, self.step.1, self.height);
        let right = end(self.first.0, self.step.0, self.width).min(width as usize);
        let left = from(self.first.0, self.step.0).min(right);
        let mut strengths = vec![0; right - left];
        let mut line = vec![0.0; self.width];
        for (y, row) in canvas.chunks_exact_mut(width as usize * channels).enumerate().take(rows.end).skip(rows.start) {
            let (above, below, part) = neighbours(y, self.first.1, self.step.1, self.height);
            for (x, value) in line.iter_mut().enumerate() {
                let at = |row: Option<usize>| row.map_or(0.0, |row| self.cells[row * self.width + x]);
                *value = at(above) * (1.0 - part) + at(below) * part;
            }
            for (x, strength) in (left..).zip(&mut strengths) {
                let (before, after, part) = neighbours(x, self.first.0, self.step.0, self.width);
                let at = |column: Option<usize>| column.map_or(0.0, |column| line[column]);
                *strength = (at(before) * (1.0 - part) + at(after) * part + 0.5) as u8;
            }
            paint(&mut row[left * channels..right * channels], &strengths);
        }
    }
}

/// The cells on either side of a canvas pixel's middle, and how far it is from the first to the second.
fn neighbours(pixel: usize, first: f64, step: f64, cells: usize) -> (Option<usize>, Option<usize>, f32) {
    let place = (pixel as f64 + 0.5 - first) / step;
    let before = place.floor();
    let cell = |at: f64| (at >= 0.0 && at < cells as f64).then_some(at as usize);
    (cell(before), cell(before + 1.0), (place - before) as f32)
}
