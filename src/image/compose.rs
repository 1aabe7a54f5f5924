//! Picture and matte to a cutout with straight alpha. Must not know where the matte came from, nor encode.
//!
//! Where the matte is soft a photo shows garment and backdrop mixed. Straight alpha needs the garment's own colour
//! there: left as it is the backdrop shines as a halo, and scaled by alpha (as others do) edges darken. Both colours are
//! estimated from their sure neighbours and corrected by what the pixel itself shows, and only in the soft band.

use super::colour::product;
use super::error::area;
use super::{Cutout, DecodedImage, Error, Matte};

/// Side in pixels of a cell of the finest grid.
const CELL: usize = 4;
/// How much a coarser grid counts beside a finer one, for equal areas: little, so that it speaks only where the finer
/// one is silent.
const COARSER: f32 = 1.0 / 32.0;
/// From here on (of 1.0) a pixel counts as sure.
const SURE: f32 = 0.8;

/// Cuts the picture out. Alpha is the matte times the source's own alpha; colour is the source's own where the matte is
/// 255 and exactly (0, 0, 0) where alpha is 0; in between it is the foreground's estimated colour with `colour`, and the
/// source's own without.
pub fn compose(image: &DecodedImage, matte: &Matte, colour: bool) -> Result<Cutout, Error> {
    if (image.width, image.height) != (matte.width, matte.height) {
        let detail = format!("{} × {} for {} × {} pixels", matte.width, matte.height, image.width, image.height);
        return Err(Error::Shape { what: "matte", detail });
    }
    let (width, height) = (image.width as usize, image.height as usize);
    let source = image.straight_rgb.as_deref().unwrap_or(&image.rgb);
    Error::expect_len("picture to cut", source.len(), area(image.width, image.height, 3))?;
    Error::expect_len("matte", matte.alpha.len(), area(image.width, image.height, 1))?;
    let own = image.alpha.as_deref();
    if let Some(own) = own {
        Error::expect_len("source's alpha", own.len(), area(image.width, image.height, 1))?;
    }

    let (colours, _) = source.as_chunks::<3>();
    let mut rgba = vec![0; width * height * 4];
    let (pixels, _) = rgba.as_chunks_mut::<4>();
    let mut soft = false;
    match own {
        None => {
            for ((pixel, [red, green, blue]), alpha) in pixels.iter_mut().zip(colours).zip(&matte.alpha) {
                if *alpha != 0 {
                    *pixel = [*red, *green, *blue, *alpha];
                    soft |= *alpha != 255;
                }
            }
        }
        Some(own) => {
            let alphas = matte.alpha.iter().zip(own);
            for ((pixel, [red, green, blue]), (alpha, own)) in pixels.iter_mut().zip(colours).zip(alphas) {
                let both = product(*alpha, *own);
                if both != 0 {
                    *pixel = [*red, *green, *blue, both];
                    soft |= *alpha != 255;
                }
            }
        }
    }
    if soft && colour {
        let grids = Grids::new(colours, &matte.alpha, own, width, height);
        let alphas = matte.alpha.chunks_exact(width);
        for (y, ((row, colours), alphas)) in
            pixels.chunks_exact_mut(width).zip(colours.chunks_exact(width)).zip(alphas).enumerate()
        {
            for (x, ((pixel, colour), alpha)) in row.iter_mut().zip(colours).zip(alphas).enumerate() {
                // What the source itself shows half transparent has its own colour already.
                let unmixed = own.is_some_and(|own| own[y * width + x] != 255);
                if !matches!(*alpha, 0 | 255) && pixel[3] != 0 && !unmixed {
                    let [red, green, blue] = grids.foreground(x, y, *colour, *alpha);
                    *pixel = [red, green, blue, pixel[3]];
                }
            }
        }
    }
    Ok(Cutout { width: image.width, height: image.height, rgba })
}

/// Sums over a cell of sure foreground and sure background: red, green, blue, weight of each.
type Sums = [f32; 8];

/// Averages of the sure colours around every place: the finest grid, into which the coarser ones have been folded.
struct Grids {
    width: usize,
    height: usize,
    cells: Vec<Sums>,
}

impl Grids {
    fn new(colours: &[[u8; 3]], alphas: &[u8], own: Option<&[u8]>, width: usize, height: usize) -> Self {
        let mut levels = vec![Self::finest(colours, alphas, own, width, height)];
        while let Some(last) = levels.last().filter(|last| last.width > 1 || last.height > 1) {
            levels.push(last.coarser());
        }
        let mut below = levels.pop();
        while let Some(mut level) = levels.pop() {
            if let Some(coarse) = &below {
                level.fold(coarse);
            }
            below = Some(level);
        }
        below.unwrap_or(Self { width: 0, height: 0, cells: Vec::new() })
    }

    fn finest(colours: &[[u8; 3]], alphas: &[u8], own: Option<&[u8]>, width: usize, height: usize) -> Self {
        let (columns, rows) = (width.div_ceil(CELL), height.div_ceil(CELL));
        let mut cells = vec![[0.0; 8]; columns * rows];
        for (row, cells) in cells.chunks_exact_mut(columns).enumerate() {
            for (column, sums) in cells.iter_mut().enumerate() {
                for y in row * CELL..(row * CELL + CELL).min(height) {
                    let run = y * width + column * CELL..y * width + (column * CELL + CELL).min(width);
                    let (colours, alphas) = (&colours[run.clone()], &alphas[run.clone()]);
                    // Far from any edge one pixel of a row speaks for its neighbours: the sums there only ever matter
                    // from afar.
                    if own.is_none() && (alphas == [0; CELL] || alphas == [255; CELL]) {
                        let side = if alphas[0] == 0 { 4 } else { 0 };
                        add(sums, side, colours[y % CELL], CELL as f32);
                        continue;
                    }
                    for (index, (colour, alpha)) in colours.iter().zip(alphas).enumerate() {
                        let whole = own.is_none_or(|own| own[run.start + index] == 255);
                        let alpha = f32::from(*alpha) / 255.0;
                        let sure = alpha.max(1.0 - alpha) - SURE;
                        if whole && sure > 0.0 {
                            let weight = (sure / (1.0 - SURE)).powi(2);
                            add(sums, if alpha < 0.5 { 4 } else { 0 }, *colour, weight);
                        }
                    }
                }
            }
        }
        Self { width: columns, height: rows, cells }
    }

    /// The grid of half as many cells a side.
    fn coarser(&self) -> Self {
        let (width, height) = (self.width.div_ceil(2), self.height.div_ceil(2));
        let mut cells = vec![[0.0; 8]; width * height];
        for (y, row) in self.cells.chunks_exact(self.width).enumerate() {
            for (x, sums) in row.iter().enumerate() {
                let into = &mut cells[y / 2 * width + x / 2];
                for (into, value) in into.iter_mut().zip(sums) {
                    *into += value;
                }
            }
        }
        Self { width, height, cells }
    }

    fn fold(&mut self, coarse: &Self) {
        for (y, row) in self.cells.chunks_exact_mut(self.width).enumerate() {
            for (x, sums) in row.iter_mut().enumerate() {
                let from = coarse.at((x as f32 - 0.5) / 2.0, (y as f32 - 0.5) / 2.0);
                for (value, from) in sums.iter_mut().zip(from) {
                    // A quarter: a coarse cell is the sum of four.
                    *value += from * (COARSER / 4.0);
                }
            }
        }
    }

    /// The sums around a place, in cells (0.0 is the middle of the first), bilinear.
    fn at(&self, x: f32, y: f32) -> Sums {
        let (x, y) = (x.clamp(0.0, (self.width - 1) as f32), y.clamp(0.0, (self.height - 1) as f32));
        let (left, top) = (x as usize, y as usize);
        let (right, bottom) = ((left + 1).min(self.width - 1), (top + 1).min(self.height - 1));
        let (to_right, to_bottom) = (x - left as f32, y - top as f32);
        let rows = [(top, 1.0 - to_bottom), (bottom, to_bottom)];
        let mut sums = [0.0; 8];
        for (row, share) in rows {
            let (one, other) = (&self.cells[row * self.width + left], &self.cells[row * self.width + right]);
            for ((sum, one), other) in sums.iter_mut().zip(one).zip(other) {
                *sum += share * (one * (1.0 - to_right) + other * to_right);
            }
        }
        sums
    }

    /// The foreground's colour of a pixel that shows `colour` and is foreground by `alpha`.
    fn foreground(&self, x: usize, y: usize, colour: [u8; 3], alpha: u8) -> [u8; 3] {
        let middle = |at: usize| (at as f32 + 0.5) / CELL as f32 - 0.5;
        let [f_red, f_green, f_blue, f_weight, b_red, b_green, b_blue, b_weight] = self.at(middle(x), middle(y));
        if f_weight <= f32::MIN_POSITIVE || b_weight <= f32::MIN_POSITIVE {
            // Nothing sure on one side anywhere: nothing to tell the two apart by.
            return colour;
        }
        let alpha = f32::from(alpha) / 255.0;
        let mut estimate = [0; 3];
        let sides = [f_red, f_green, f_blue].into_iter().zip([b_red, b_green, b_blue]);
        for ((estimate, shown), (fore, back)) in estimate.iter_mut().zip(colour).zip(sides) {
            let (fore, back, shown) = (fore / f_weight, back / b_weight, f32::from(shown));
            // What the two averages do not explain is the foreground's own, the more so the more of it is seen.
            let own = shown - alpha * fore - (1.0 - alpha) * back;
            *estimate = (fore + alpha * own + 0.5).clamp(0.0, 255.0) as u8;
        }
        estimate
    }
}

fn add(sums: &mut Sums, side: usize, colour: [u8; 3], weight: f32) {
    for (sum, value) in sums[side..].iter_mut().zip(colour) {
        *sum += f32::from(value) * weight;
    }
    sums[side + 3] += weight;
}
