//! Class maps: spans to pixels, at full size or sampled, and the colours to show them in. Must not know tables or files.
//!
//! Spans lie in column-major order (down each column, columns left to right), as the annotations do; class maps are
//! row-major like every plane of this room. Turning one into the other pixel by pixel is what costs: it is done in
//! strips of 64 columns, one cache line wide, and to a smaller size only the pixels wanted are looked up.

use super::Error;
use super::error::area;

/// Columns that are turned from column-major to row-major at a time: one cache line of the class map.
const STRIP: usize = 64;
/// What void is shown as.
const VOID_COLOUR: [u8; 3] = [255, 255, 255];
/// How much of the class's colour covers the photo, of 256.
const OVERLAY: u16 = 140;

/// The spans of one whole image.
#[derive(Clone, Copy, Debug)]
pub struct ClassSpans<'a> {
    /// Height of the image in pixels.
    pub height: u32,
    /// Width of the image in pixels.
    pub width: u32,
    /// The class of each span: 0 background, class id + 1, 255 void.
    pub classes: &'a [u8],
    /// Pixels of each span, column-major; they add up to `height × width`.
    pub lengths: &'a [u32],
}

impl ClassSpans<'_> {
    /// Refuses spans that do not cover the image exactly.
    fn check(&self) -> Result<(), Error> {
        let covered: u64 = self.lengths.iter().map(|length| u64::from(*length)).sum();
        let pixels = u64::from(self.height) * u64::from(self.width);
        if self.classes.len() == self.lengths.len() && covered == pixels {
            return Ok(());
        }
        let detail = format!(
            "{} classes and {} lengths of {covered} pixels for {} × {}",
            self.classes.len(),
            self.lengths.len(),
            self.height,
            self.width
        );
        Err(Error::Shape { what: "mask spans", detail })
    }

    /// The class map at full size: `height × width` bytes, row-major.
    pub fn rasterise(&self) -> Result<Vec<u8>, Error> {
        self.check()?;
        let (height, width) = (self.height as usize, self.width as usize);
        let mut map = blank(self.width, self.height)?;
        let mut strip = vec![0_u8; height * STRIP.min(width)];
        let mut spans = self.classes.iter().zip(self.lengths);
        let (mut class, mut left) = (0_u8, 0_usize);
        for first in (0..width).step_by(STRIP) {
            let columns = STRIP.min(width - first);
            let mut open = &mut strip[..columns * height];
            while !open.is_empty() {
                if left == 0 {
                    let Some((next, length)) = spans.next() else { break };
                    (class, left) = (*next, *length as usize);
                }
                let (filled, rest) = open.split_at_mut(left.min(open.len()));
                filled.fill(class);
                left -= filled.len();
                open = rest;
            }
            turn(&strip[..columns * height], height, &mut map, width, first);
        }
        Ok(map)
    }

    /// The class map at `to_width × to_height` pixels, row-major: pixel (x, y) is the class at
    /// ((x + ½) · width / to_width, (y + ½) · height / to_height), exactly; the full size is never made.
    pub fn sample(&self, to_width: u32, to_height: u32) -> Result<Vec<u8>, Error> {
        self.check()?;
        let mut map = blank(to_width, to_height)?;
        if map.is_empty() || self.lengths.is_empty() {
            return Ok(map);
        }
        let (to_height, to_width) = (to_height as usize, to_width as usize);
        let rows: Vec<u64> = (0..to_height).map(|y| nearest(y, self.height, to_height)).collect();
        let mut strip = vec![0_u8; to_height * STRIP.min(to_width)];
        // The span under the walk and the pixel after its end; `above` is that at the top of the column sampled last.
        let mut at = (0_usize, u64::from(self.lengths[0]));
        let (mut above, mut last) = (at, None);
        for first in (0..to_width).step_by(STRIP) {
            let columns = STRIP.min(to_width - first);
            for (offset, column) in strip[..columns * to_height].chunks_exact_mut(to_height).enumerate() {
                let x = nearest(first + offset, self.width, to_width);
                if last == Some(x) {
                    at = above; // Enlarged: the same column once more.
                } else {
                    (above, last) = (at, Some(x));
                }
                for (pixel, y) in column.iter_mut().zip(&rows) {
                    let wanted = x * u64::from(self.height) + y;
                    while wanted >= at.1 {
                        at = (at.0 + 1, at.1 + u64::from(self.lengths[at.0 + 1]));
                    }
                    *pixel = self.classes[at.0];
                }
            }
            turn(&strip[..columns * to_height], to_height, &mut map, to_width, first);
        }
        Ok(map)
    }
}

/// The source pixel under the middle of pixel `to` of `to_size`, of `size` pixels on one axis.
fn nearest(to: usize, size: u32, to_size: usize) -> u64 {
    (2 * to as u64 + 1) * u64::from(size) / (2 * to_size as u64)
}

fn blank(width: u32, height: u32) -> Result<Vec<u8>, Error> {
    let Some(pixels) = area(width, height, 1) else {
        return Err(Error::Shape { what: "class map", detail: format!("{width} × {height} is beyond the memory") });
    };
    Ok(vec![0; pixels])
}

/// Writes a strip of whole columns, each `height` bytes, into the row-major map from column `first` on: eight columns at a
/// time, so that eight bytes are stored at once.
fn turn(strip: &[u8], height: usize, map: &mut [u8], width: usize, first: usize) {
    let columns = strip.len() / height.max(1);
    let (eights, rest) = strip.split_at(columns / 8 * 8 * height);
    for (block, columns) in eights.chunks_exact(8 * height).enumerate() {
        let column = |index: usize| &columns[index * height..(index + 1) * height];
        let columns = [0, 1, 2, 3, 4, 5, 6, 7].map(column);
        let at = first + block * 8;
        for (y, row) in map.chunks_exact_mut(width).enumerate() {
            row[at..at + 8].copy_from_slice(&columns.map(|column| column[y]));
        }
    }
    let at = first + columns / 8 * 8;
    for (x, column) in rest.chunks_exact(height.max(1)).enumerate() {
        for (row, value) in map.chunks_exact_mut(width).zip(column) {
            row[at + x] = *value;
        }
    }
}

/// Colours for the values 0 to `count − 1` (at most 255): black for background, then each as unlike all before it as can
/// be, bright enough to be told from shadows. A shorter palette is the beginning of a longer one. sRGB.
pub fn palette(count: usize) -> Vec<[u8; 3]> {
    let levels = [0_u8, 51, 102, 153, 204, 255];
    let mut free: Vec<([u8; 3], [f64; 3])> = Vec::new();
    for red in levels {
        for green in levels {
            for blue in levels {
                let colour = [red, green, blue];
                let seen = oklab(colour);
                let greyish = seen[1].hypot(seen[2]) < 0.04;
                if (0.35..0.95).contains(&seen[0]) && !greyish {
                    free.push((colour, seen));
                }
            }
        }
    }
    // Black is background, white is void and middle grey is what photos are made of: all three are kept away from.
    let mut distance: Vec<f64> = free
        .iter()
        .map(|(_, seen)| {
            let taken = [[0, 0, 0], [255, 255, 255], [128, 128, 128]].map(oklab);
            taken.iter().map(|other| apart(seen, other)).fold(f64::INFINITY, f64::min)
        })
        .collect();
    let mut colours = vec![[0, 0, 0]];
    while colours.len() < count {
        let mut best = 0;
        for (index, value) in distance.iter().enumerate() {
            if *value > distance[best] {
                best = index;
            }
        }
        let (colour, seen) = free[best];
        colours.push(colour);
        for ((_, other), value) in free.iter().zip(&mut distance) {
            *value = value.min(apart(&seen, other));
        }
    }
    colours.truncate(count);
    colours
}

fn apart(one: &[f64; 3], other: &[f64; 3]) -> f64 {
    one.iter().zip(other).map(|(one, other)| (one - other).powi(2)).sum()
}

/// A colour in Oklab, where equal distances look equally far apart: lightness 0–1, two opponent axes.
fn oklab(colour: [u8; 3]) -> [f64; 3] {
    let [red, green, blue] = colour.map(|value| {
        let value = f64::from(value) / 255.0;
        if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    });
    let long = (0.412_221_470_8 * red + 0.536_332_536_3 * green + 0.051_445_992_9 * blue).cbrt();
    let middle = (0.211_903_498_2 * red + 0.680_699_545_1 * green + 0.107_396_956_6 * blue).cbrt();
    let short = (0.088_302_461_9 * red + 0.281_718_837_6 * green + 0.629_978_700_5 * blue).cbrt();
    [
        0.210_454_255_3 * long + 0.793_617_785_0 * middle - 0.004_072_046_8 * short,
        1.977_998_495_1 * long - 2.428_592_205_0 * middle + 0.450_593_709_9 * short,
        0.025_904_037_1 * long + 0.782_771_766_2 * middle - 0.808_675_766_0 * short,
    ]
}

/// The colour of a value: its own in the palette, white for void and for values beyond it.
pub fn colour_of(value: u8, palette: &[[u8; 3]]) -> [u8; 3] {
    palette.get(usize::from(value)).copied().unwrap_or(VOID_COLOUR)
}

/// Lays a class map (`height × width` bytes) over a photo of the same size (`height × width × 3` bytes, sRGB, changed in
/// place): every class but background tinted in its colour, with a solid line of one pixel where it meets another.
pub fn overlay(rgb: &mut [u8], map: &[u8], width: u32, palette: &[[u8; 3]]) -> Result<(), Error> {
    Error::expect_len("photo under a mask", rgb.len(), map.len().checked_mul(3))?;
    let width = width as usize;
    for (index, (pixel, value)) in rgb.chunks_exact_mut(3).zip(map).enumerate() {
        if *value == 0 {
            continue;
        }
        let colour = colour_of(*value, palette);
        let inside = |other: Option<&u8>| other.is_none_or(|other| other == value);
        let row_start = index - index % width;
        let left = index.checked_sub(1).filter(|left| *left >= row_start).and_then(|left| map.get(left));
        let right = map.get(index + 1).filter(|_| index + 1 < row_start + width);
        let up = index.checked_sub(width).and_then(|up| map.get(up));
        let solid = !(inside(left) && inside(right) && inside(up) && inside(map.get(index + width)));
        for (channel, tint) in pixel.iter_mut().zip(colour) {
            let mixed = (u16::from(tint) * OVERLAY + u16::from(*channel) * (256 - OVERLAY)) / 256;
            *channel = if solid { tint } else { mixed as u8 };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::palette;
    use std::collections::BTreeSet;

    #[test]
    fn a_shorter_palette_begins_a_longer_one_and_no_colour_comes_twice() {
        let long = palette(47);
        assert_eq!(palette(28), long[..28]);
        assert_eq!(long[0], [0, 0, 0]);
        assert_eq!(long.iter().collect::<BTreeSet<_>>().len(), 47);
    }

    #[test]
    fn colours_of_a_palette_are_far_apart() {
        let colours = palette(47);
        for (index, one) in colours.iter().enumerate() {
            for other in &colours[..index] {
                let apart = super::apart(&super::oklab(*one), &super::oklab(*other)).sqrt();
                assert!(apart > 0.07, "{one:?} and {other:?} are {apart} apart");
            }
        }
    }
}
