//! What can be said of a picture in figures, all of it from one small copy: light, sharpness, colour, backdrop, look. Must
//! not know what the figures are judged by.

use super::DecodedImage;
use super::look::Look;
use super::shrink::{Small, shrink};

/// Pixels on the longer side of the copy that everything is measured on, so that figures of photos of all sizes compare.
const LONGEST: u32 = 512;
/// Levels a channel may be off the backdrop's colour and still belong to it.
const NEAR: u8 = 16;

/// Figures of a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Survey {
    /// Mean luma, 0 black to 1 white.
    pub brightness: f32,
    /// Standard deviation of luma, on the same scale: at most 0.5.
    pub contrast: f32,
    /// Variance of the Laplacian of luma in levels (0–255), on a copy of at most 512 pixels on the longer side: low is
    /// blurred.
    pub sharpness: f32,
    /// Bits of the histogram of luma, 0 for one level to 8 for all 256 alike.
    pub entropy: f32,
    /// Mean distance of the strongest channel from the weakest, 0–1: about 0 is grey.
    pub saturation: f32,
    /// The commonest colour of the border, sRGB.
    pub backdrop: [u8; 3],
    /// Share of the border's pixels within 16 levels of it, 0–1: 1 is an even backdrop.
    pub backdrop_share: f32,
    /// What it looks like.
    pub look: Look,
}

/// Surveys a picture as networks see it, over white. A picture without pixels has zeros.
pub fn survey(image: &DecodedImage) -> Survey {
    let small = shrink(&image.rgb, image.width, image.height, LONGEST);
    if small.pixels.is_empty() {
        let look = Look { hash: 0, colours: [0; 48] };
        return Survey {
            brightness: 0.0,
            contrast: 0.0,
            sharpness: 0.0,
            entropy: 0.0,
            saturation: 0.0,
            backdrop: [0; 3],
            backdrop_share: 0.0,
            look,
        };
    }
    let luma: Vec<u8> = small.pixels.iter().map(|pixel| luma(*pixel)).collect();
    let light = Light::of(&luma);
    let (backdrop, backdrop_share) = backdrop(&border(&small));
    Survey {
        brightness: light.mean / 255.0,
        contrast: light.deviation / 255.0,
        sharpness: sharpness(&luma, small.width),
        entropy: light.entropy,
        saturation: saturation(&small.pixels),
        backdrop,
        backdrop_share,
        look: Look::of(&small),
    }
}

/// Luma by the weights of JPEG, rounded to a level.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    // The weights are 256ths and add up to 256.
    ((77 * u16::from(red) + 150 * u16::from(green) + 29 * u16::from(blue) + 128) >> 8) as u8
}

/// What the histogram of luma says, in levels.
struct Light {
    mean: f32,
    deviation: f32,
    entropy: f32,
}

impl Light {
    fn of(luma: &[u8]) -> Self {
        let mut counts = [0_u32; 256];
        for value in luma {
            counts[usize::from(*value)] += 1;
        }
        let pixels = luma.len() as f64;
        let shares = || counts.iter().enumerate().map(|(level, count)| (level as f64, f64::from(*count) / pixels));
        let mean: f64 = shares().map(|(level, share)| level * share).sum();
        let variance: f64 = shares().map(|(level, share)| (level - mean).powi(2) * share).sum();
        let entropy: f64 = shares().filter(|(_, share)| *share > 0.0).map(|(_, share)| -share * share.log2()).sum();
        // A sum of one share is −0.
        Self { mean: mean as f32, deviation: variance.sqrt() as f32, entropy: entropy.max(0.0) as f32 }
    }
}

/// Variance of the Laplacian of four neighbours; the outermost pixels have not all of them and are left out.
fn sharpness(luma: &[u8], width: usize) -> f32 {
    let rows: Vec<&[u8]> = luma.chunks_exact(width.max(1)).collect();
    let (mut sum, mut squares, mut count) = (0_i64, 0_i64, 0_i64);
    for rows in rows.windows(3) {
        let &[above, row, below] = rows else { continue };
        let inner = row.len().saturating_sub(2);
        let (left, middle, right) = (row, row.get(1..).unwrap_or_default(), row.get(2..).unwrap_or_default());
        let upright = above.iter().zip(below).skip(1).take(inner);
        let level = left.iter().zip(middle).zip(right);
        // A row has at most 512 values of at most 1020: neither sum leaves 32 bits.
        let (mut row_sum, mut row_squares) = (0_i32, 0_i32);
        for ((above, below), ((left, middle), right)) in upright.zip(level) {
            let around = i32::from(*above) + i32::from(*below) + i32::from(*left) + i32::from(*right);
            let value = around - 4 * i32::from(*middle);
            row_sum = row_sum.wrapping_add(value);
            row_squares = row_squares.wrapping_add(value.wrapping_mul(value));
        }
        sum += i64::from(row_sum);
        squares += i64::from(row_squares);
        count += inner as i64;
    }
    if count == 0 {
        return 0.0;
    }
    let mean = sum as f64 / count as f64;
    (squares as f64 / count as f64 - mean * mean).max(0.0) as f32
}

fn saturation(pixels: &[[u8; 3]]) -> f32 {
    let apart = |[red, green, blue]: &[u8; 3]| u32::from(*red.max(green).max(blue) - *red.min(green).min(blue));
    let sum: u64 = pixels.chunks(4096).map(|some| u64::from(some.iter().map(apart).sum::<u32>())).sum();
    (sum as f64 / (pixels.len() as f64 * 255.0)) as f32
}

/// The pixels along the edges, to a depth of a fiftieth of the shorter side.
fn border(small: &Small) -> Vec<[u8; 3]> {
    let depth = (small.width.min(small.height) / 50).max(1);
    let mut border = Vec::new();
    for (y, row) in small.pixels.chunks_exact(small.width).enumerate() {
        if y < depth || y + depth >= small.height || row.len() <= 2 * depth {
            border.extend_from_slice(row);
        } else {
            border.extend_from_slice(&row[..depth]);
            border.extend_from_slice(&row[row.len() - depth..]);
        }
    }
    border
}

/// The commonest colour and the share of pixels near it. Colours are counted in cells of 8 levels; the mean of what lies
/// near the fullest one is the colour, so that it does not matter where a cell ends.
fn backdrop(border: &[[u8; 3]]) -> ([u8; 3], f32) {
    let cell = |[red, green, blue]: [u8; 3]| {
        usize::from(red >> 3) << 10 | usize::from(green >> 3) << 5 | usize::from(blue >> 3)
    };
    let mut counts = vec![0_u32; 1 << 15];
    for pixel in border {
        counts[cell(*pixel)] += 1;
    }
    // The first of equals, so that one picture has one answer.
    let mut fullest = 0;
    for (index, count) in counts.iter().enumerate() {
        if *count > counts[fullest] {
            fullest = index;
        }
    }
    let of_cell: Vec<[u8; 3]> = border.iter().filter(|pixel| cell(**pixel) == fullest).copied().collect();
    let colour = mean(near(border, mean(of_cell.iter())));
    let share = near(border, colour).count() as f32 / border.len().max(1) as f32;
    (colour, share)
}

fn near(border: &[[u8; 3]], colour: [u8; 3]) -> impl Iterator<Item = &[u8; 3]> {
    border.iter().filter(move |pixel| pixel.iter().zip(colour).all(|(one, other)| one.abs_diff(other) <= NEAR))
}

fn mean<'a>(pixels: impl Iterator<Item = &'a [u8; 3]>) -> [u8; 3] {
    let (mut sum, mut count) = ([0_u64; 3], 0_u64);
    for pixel in pixels {
        count += 1;
        for (sum, value) in sum.iter_mut().zip(pixel) {
            *sum += u64::from(*value);
        }
    }
    sum.map(|sum| ((sum + count / 2) / count.max(1)) as u8)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Limits, SourceImage, decode, encode};
    use super::*;

    fn surveyed(width: u32, height: u32, pixel: impl Fn(u32, u32) -> [u8; 3]) -> Survey {
        let rgb: Vec<u8> =
            (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect();
        let bytes = encode::png_rgb(width, height, &rgb, None).unwrap().into();
        survey(&decode(&SourceImage { bytes }, &Limits::default()).unwrap())
    }

    fn noise(x: u32, y: u32) -> u8 {
        let mixed = (x.wrapping_mul(0x9e37_79b1) ^ y.wrapping_mul(0x85eb_ca77)).wrapping_mul(0xc2b2_ae3d);
        ((mixed ^ mixed >> 15).wrapping_mul(0x27d4_eb2f) >> 24) as u8
    }

    fn assert_near(found: f32, wanted: f32, off: f32) {
        assert!((found - wanted).abs() <= off, "{found} is not {wanted} ± {off}");
    }

    #[test]
    fn uniform_grey_says_nothing() {
        let grey = surveyed(700, 300, |_, _| [128; 3]);
        assert_near(grey.brightness, 128.0 / 255.0, 1e-6);
        assert_eq!((grey.contrast, grey.sharpness, grey.entropy, grey.saturation), (0.0, 0.0, 0.0, 0.0));
        assert_eq!((grey.backdrop, grey.backdrop_share), ([128; 3], 1.0));
        assert!(grey.look.is_flat());
    }

    #[test]
    fn noise_has_all_of_it() {
        let noise = surveyed(400, 400, |x, y| [noise(x, y); 3]);
        assert_near(noise.brightness, 0.5, 0.01);
        assert_near(noise.contrast, 1.0 / 12_f32.sqrt(), 0.01);
        assert_near(noise.entropy, 8.0, 0.05);
        // Twenty times the variance of one level: one pixel four times, and four others.
        assert_near(noise.sharpness, 20.0 * 65_535.0 / 12.0, 5000.0);
        assert!(noise.backdrop_share < 0.3);
    }

    #[test]
    fn a_slope_has_every_level_alike_and_no_edge() {
        let slope = surveyed(256, 64, |x, _| [x as u8; 3]);
        assert_near(slope.brightness, 0.5, 1e-3);
        assert_near(slope.entropy, 8.0, 1e-4);
        assert_near(slope.contrast, 0.29, 0.005);
        assert_eq!(slope.sharpness, 0.0);
    }

    #[test]
    fn stripes_have_the_sharpness_that_arithmetic_says() {
        // The Laplacian is twice the step, up on one column and down on the next.
        let stripes = surveyed(101, 50, |x, _| if x % 2 == 0 { [100; 3] } else { [110; 3] });
        assert_near(stripes.sharpness, 400.0, 1.0);
        assert_near(stripes.entropy, 1.0, 1e-3);
    }

    #[test]
    fn blurred_is_less_sharp_than_sharp_whatever_the_size() {
        let edge = |at: f32, width: f32| 40.0 + 170.0 * (at / width + 0.5).clamp(0.0, 1.0);
        let of = |side: u32, blur: f32| {
            let scale = side as f32 / 400.0;
            surveyed(side, side, |x, y| {
                let from_middle = (x as f32 - side as f32 / 2.0).hypot(y as f32 - side as f32 / 2.0) / scale;
                [edge(from_middle - 120.0, blur) as u8; 3]
            })
            .sharpness
        };
        assert!(of(400, 1.0) > 10.0 * of(400, 12.0), "{} {}", of(400, 1.0), of(400, 12.0));
        assert!(of(1600, 1.0) > 10.0 * of(1600, 12.0), "{} {}", of(1600, 1.0), of(1600, 12.0));
    }

    #[test]
    fn an_even_backdrop_is_told_from_what_stands_before_it() {
        let garment = |x: u32, y: u32| (60..140).contains(&x) && (40..200).contains(&y);
        let product = surveyed(200, 200, |x, y| if garment(x, y) { [120, 20, 40] } else { [250, 251, 252] });
        assert_eq!(product.backdrop, [250, 251, 252]);
        // The garment leaves the picture below, over two fifths of the lower edge of four.
        assert_near(product.backdrop_share, 0.9, 0.01);
        assert_near(product.saturation, (0.32 * 100.0 + 0.68 * 2.0) / 255.0, 1e-3);
    }

    #[test]
    fn a_backdrop_between_two_cells_of_the_count_is_one() {
        let paper = surveyed(100, 100, |x, y| [if (x + y) % 2 == 0 { 239 } else { 241 }; 3]);
        assert_eq!((paper.backdrop, paper.backdrop_share), ([240; 3], 1.0));
    }

    #[test]
    fn the_smallest_pictures_and_the_thinnest_are_surveyed() {
        for (width, height) in [(1, 1), (2, 2), (1, 700), (2000, 1), (3, 3)] {
            let white = surveyed(width, height, |_, _| [255; 3]);
            assert_eq!(
                (white.brightness, white.sharpness, white.backdrop_share),
                (1.0, 0.0, 1.0),
                "{width} × {height}"
            );
            assert_eq!(white.look.colours, [255; 48]);
        }
    }
}
