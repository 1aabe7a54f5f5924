//! Segmentation by colour thresholding: the classical method, with no network. Must not know what garments are.
//!
//! What differs from the backdrop is foreground: the backdrop's colours are read off the border, every pixel's distance
//! from them is measured in a space made for it (CIELAB, where 1 is just about seen), and Otsu's method puts the
//! threshold where it splits the distances best. Straight loops and no threads: the same picture gives the same map.

use super::geometry::{Filter, resize_rgb};
use super::{DecodedImage, Error, Probabilities};

/// Longest side of the map in pixels.
const LONG_SIDE: u32 = 1024;
/// Distances below this (in CIELAB units) are never taken for foreground, whatever the split.
const LEAST_DISTANCE: f32 = 6.0;
/// Distances are measured up to this; everything beyond is foreground in any case.
const MOST_DISTANCE: f32 = 64.0;
/// How many times its own spread a backdrop may differ from itself.
const SPREADS: f32 = 4.0;
/// Less than this share of the picture beyond the threshold is dust, and the map is empty.
const LEAST_SHARE: f64 = 0.0005;
/// Lightness counts for less than hue and chroma, because a backdrop has shadows.
const LIGHTNESS: f32 = 0.75;
/// Side of a bin in which border colours are counted, in CIELAB units.
const BIN: f32 = 6.0;

/// Finds what differs from the backdrop. The map is at most 1024 pixels long; it is empty (all 0.0) when nothing in the
/// picture stands out, for nothing is stretched to fill the range.
pub fn threshold(image: &DecodedImage) -> Result<Probabilities, Error> {
    let long = image.width.max(image.height).max(1);
    let scaled = |side: u32| {
        let exact = f64::from(side) * f64::from(LONG_SIDE.min(long)) / f64::from(long);
        (exact.round() as u32).max(1)
    };
    let (width, height) = (scaled(image.width), scaled(image.height));
    let rgb = resize_rgb(image, width, height, Filter::Bilinear)?;
    let lab = Lab::new().convert(&rgb);
    let empty = Probabilities { width, height, plane: vec![0.0; lab.len()] };

    let border = border(&lab, width as usize, height as usize);
    let backdrop = Backdrop::read(&border);
    let distances: Vec<f32> = lab.iter().map(|pixel| backdrop.distance(pixel)).collect();
    let Some(limit) = otsu(&distances).map(|limit| limit.max(LEAST_DISTANCE).max(backdrop.spread * SPREADS)) else {
        return Ok(empty);
    };
    let beyond = distances.iter().filter(|distance| **distance > limit).count();
    if (beyond as f64) < LEAST_SHARE * distances.len() as f64 {
        return Ok(empty);
    }
    // A soft ramp around the threshold, in bytes: cleaned as a byte plane, then spread to numbers.
    let ramp: Vec<u8> = distances
        .iter()
        .map(|distance| {
            let share = ((distance / limit - 0.7) / 0.6).clamp(0.0, 1.0);
            (share * share * (3.0 - 2.0 * share) * 255.0 + 0.5) as u8
        })
        .collect();
    let cleaned = median(&ramp, width as usize, height as usize);
    Ok(Probabilities { width, height, plane: cleaned.iter().map(|value| f32::from(*value) / 255.0).collect() })
}

/// sRGB bytes to CIELAB (D65), by tables.
struct Lab {
    linear: [f32; 256],
    root: Vec<f32>,
}

impl Lab {
    /// Steps of the table of CIELAB's root over 0.0..=1.0.
    const STEPS: usize = 4096;

    fn new() -> Self {
        let mut linear = [0.0; 256];
        for (value, linear) in linear.iter_mut().enumerate() {
            let encoded = value as f32 / 255.0;
            *linear = if encoded <= 0.040_45 { encoded / 12.92 } else { ((encoded + 0.055) / 1.055).powf(2.4) };
        }
        let root = (0..=Self::STEPS + 1).map(|step| {
            let share = step as f32 / Self::STEPS as f32;
            if share > 0.008_856 { share.cbrt() } else { 7.787 * share + 16.0 / 116.0 }
        });
        Self { linear, root: root.collect() }
    }

    fn root(&self, share: f32) -> f32 {
        let place = share.clamp(0.0, 1.0) * Self::STEPS as f32;
        let (step, rest) = (place as usize, place.fract());
        self.root[step] * (1.0 - rest) + self.root[step + 1] * rest
    }

    fn convert(&self, rgb: &[u8]) -> Vec<[f32; 3]> {
        let pixels = rgb.as_chunks::<3>().0.iter();
        pixels
            .map(|pixel| {
                let [red, green, blue] = pixel.map(|value| self.linear[usize::from(value)]);
                let x = self.root((0.412_456 * red + 0.357_576 * green + 0.180_438 * blue) / 0.950_47);
                let y = self.root(0.212_673 * red + 0.715_152 * green + 0.072_175 * blue);
                let z = self.root((0.019_334 * red + 0.119_192 * green + 0.950_304 * blue) / 1.088_83);
                [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
            })
            .collect()
    }
}

/// The pixels of a frame of a fiftieth of the picture, by side: top, bottom, left, right.
fn border(lab: &[[f32; 3]], width: usize, height: usize) -> [Vec<[f32; 3]>; 4] {
    let depth = |side: usize| (side / 50).max(1);
    let (across, down) = (depth(width), depth(height));
    let columns = |range: std::ops::Range<usize>| -> Vec<[f32; 3]> {
        lab.chunks_exact(width).flat_map(|row| row[range.clone()].iter().copied()).collect()
    };
    [
        lab[..down * width].to_vec(),
        lab[(height - down) * width..].to_vec(),
        columns(0..across),
        columns(width - across..width),
    ]
}

/// The colours of what lies behind, and how far they spread.
struct Backdrop {
    colours: Vec<[f32; 3]>,
    /// Median distance of the backdrop's own border pixels from its colours.
    spread: f32,
}

impl Backdrop {
    /// The commonest colour of the border, and those others that belong to it: shades of the same colour (a gradient,
    /// a shadow), and colours seen on three sides or more. A garment that runs out of the picture on a side or two is
    /// neither.
    fn read(border: &[Vec<[f32; 3]>; 4]) -> Self {
        let mut left: Vec<(usize, [f32; 3])> = Vec::new();
        for (side, pixels) in border.iter().enumerate() {
            left.extend(pixels.iter().map(|pixel| (side, *pixel)));
        }
        let all = left.len();
        let mut colours: Vec<[f32; 3]> = Vec::new();
        let mut own = Vec::new();
        for _ in 0..4 {
            let Some(colour) = commonest(&left) else { break };
            let near: Vec<(usize, [f32; 3])> =
                left.iter().filter(|(_, pixel)| distance(pixel, &colour) < 2.0 * BIN).copied().collect();
            if near.len() * 20 < all {
                break;
            }
            let sides = (0..4)
                .filter(|side| near.iter().filter(|(of, _)| of == side).count() * 10 >= border[*side].len())
                .count();
            let shade = colours.first().is_some_and(|first| {
                (first[1] - colour[1]).hypot(first[2] - colour[2]) < BIN && (first[0] - colour[0]).abs() < 25.0
            });
            left.retain(|(_, pixel)| distance(pixel, &colour) >= 2.0 * BIN);
            if colours.is_empty() || shade || sides >= 3 {
                own.extend(near.iter().map(|(_, pixel)| distance(pixel, &colour)));
                colours.push(colour);
            }
        }
        own.sort_unstable_by(f32::total_cmp);
        Self { spread: own.get(own.len() / 2).copied().unwrap_or(0.0), colours }
    }

    fn distance(&self, pixel: &[f32; 3]) -> f32 {
        let nearest = self.colours.iter().map(|colour| distance(pixel, colour)).fold(MOST_DISTANCE, f32::min);
        nearest.min(MOST_DISTANCE)
    }
}

fn distance(one: &[f32; 3], other: &[f32; 3]) -> f32 {
    let lightness = (one[0] - other[0]) * LIGHTNESS;
    let (green_red, blue_yellow) = (one[1] - other[1], one[2] - other[2]);
    (lightness * lightness + green_red * green_red + blue_yellow * blue_yellow).sqrt()
}

/// The mean colour of the fullest bin; of equally full ones the first in order.
fn commonest(pixels: &[(usize, [f32; 3])]) -> Option<[f32; 3]> {
    let mut bins: std::collections::BTreeMap<[i16; 3], (usize, [f64; 3])> = std::collections::BTreeMap::new();
    for (_, pixel) in pixels {
        let (count, sums) = bins.entry(pixel.map(|value| (value / BIN).round() as i16)).or_default();
        *count += 1;
        for (sum, value) in sums.iter_mut().zip(pixel) {
            *sum += f64::from(*value);
        }
    }
    let mut fullest: Option<(usize, [f64; 3])> = None;
    for (count, sums) in bins.into_values() {
        if fullest.is_none_or(|(most, _)| count > most) {
            fullest = Some((count, sums));
        }
    }
    fullest.map(|(count, sums)| sums.map(|sum| (sum / count as f64) as f32))
}

/// Otsu's threshold: the split with the greatest variance between its two sides. `None` when all distances are alike.
fn otsu(distances: &[f32]) -> Option<f32> {
    const BINS: usize = 256;
    let mut counts = [0_u64; BINS];
    for distance in distances {
        counts[((distance / MOST_DISTANCE * BINS as f32) as usize).min(BINS - 1)] += 1;
    }
    let weigh = |(bin, count): (usize, &u64)| bin as f64 * *count as f64;
    let (all, sum) = (distances.len() as f64, counts.iter().enumerate().map(weigh).sum::<f64>());
    let (mut below, mut sum_below) = (0.0, 0.0);
    let mut best: Option<(f64, usize, usize)> = None;
    for (bin, count) in counts.iter().enumerate() {
        below += *count as f64;
        sum_below += bin as f64 * *count as f64;
        if below == 0.0 || below == all {
            continue;
        }
        let apart = sum_below / below - (sum - sum_below) / (all - below);
        let variance = below * (all - below) * apart * apart;
        match &mut best {
            // Empty bins between the two sides split equally well: the middle of them is meant.
            Some((most, _, last)) if variance == *most => *last = bin,
            Some((most, ..)) if variance <= *most => {}
            _ => best = Some((variance, bin, bin)),
        }
    }
    best.map(|(_, first, last)| ((first + last) as f32 / 2.0 + 1.0) * MOST_DISTANCE / BINS as f32)
}

/// The median of each pixel and its eight neighbours: takes dust away and leaves edges where they are. The outermost
/// pixels stay as they are.
fn median(plane: &[u8], width: usize, height: usize) -> Vec<u8> {
    let mut cleaned = plane.to_vec();
    if width < 3 || height < 3 {
        return cleaned;
    }
    for y in 1..height - 1 {
        let rows = [y - 1, y, y + 1].map(|row| &plane[row * width..(row + 1) * width]);
        let into = &mut cleaned[y * width..(y + 1) * width];
        for x in 1..width - 1 {
            let mut near = [0; 9];
            for (three, row) in near.as_chunks_mut::<3>().0.iter_mut().zip(rows) {
                three.copy_from_slice(&row[x - 1..x + 2]);
            }
            // Most neighbourhoods are of one value.
            if near != [near[0]; 9] {
                near.select_nth_unstable(4);
                into[x] = near[4];
            }
        }
    }
    cleaned
}
