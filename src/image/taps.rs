//! Resizing as the pipelines do it that networks are trained by, but only the window that is seen: two taps an axis whatever
//! the reduction, in the fixed point of OpenCV, so that a network has the very bytes that its recipe's numbers were trained
//! on. Must not know why the window lies where it lies.

use super::Error;
use super::error::area;

/// The weight of a whole pixel.
const ONE: f32 = 2048.0;

/// The part of one axis that is seen, in pixels after the resize.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    /// Pixels of the whole axis, at least 1.
    pub target: u32,
    /// The first pixel that is seen.
    pub first: u32,
    /// How many are seen.
    pub count: u32,
    /// Whether the last pixel comes first.
    pub reversed: bool,
}

impl Axis {
    fn pixels(self) -> impl Iterator<Item = u32> {
        let last = (u64::from(self.first) + u64::from(self.count)).saturating_sub(1) as u32;
        (0..self.count).map(move |index| if self.reversed { last - index } else { self.first + index })
    }

    /// Source pixels in one target pixel. The reciprocal of the reciprocal, as the reference has it: at whole numbers the
    /// last bit decides which pixel is the nearest.
    fn step(self, source: u32) -> f64 {
        1.0 / (f64::from(self.target) / f64::from(source))
    }
}

/// The source pixel of each pixel seen, for class numbers: that at its upper left corner, not its middle.
pub fn nearest(source: u32, axis: Axis) -> Vec<u32> {
    let step = axis.step(source);
    axis.pixels().map(|pixel| ((f64::from(pixel) * step).floor() as u32).min(source.saturating_sub(1))).collect()
}

/// Two source pixels and their weights, which add up to 2048.
struct Tap {
    pixels: [usize; 2],
    weights: [i32; 2],
}

/// The taps of each pixel seen. At an edge that is `sharp` the outermost pixel gets the whole weight; else both taps are that
/// pixel, which rounds differently (columns are sharp in the reference, rows are not).
fn taps(source: u32, axis: Axis, sharp: bool) -> Vec<Tap> {
    let step = axis.step(source);
    let last = i64::from(source) - 1;
    axis.pixels()
        .map(|pixel| {
            let middle = ((f64::from(pixel) + 0.5) * step - 0.5) as f32;
            let first = middle.floor() as i64;
            let mut share = middle - first as f32;
            if sharp && (first < 0 || first >= last) {
                share = 0.0;
            }
            let weight = |share: f32| (share * ONE).round_ties_even() as i32;
            Tap {
                pixels: [first, first + 1].map(|pixel| pixel.clamp(0, last.max(0)) as usize),
                weights: [weight(1.0 - share), weight(share)],
            }
        })
        .collect()
}

/// A window of a resized picture: `rows.count × columns.count × 3` bytes. The picture is `height × width × 3` bytes,
/// row-major; `size` is its (width, height).
pub fn bilinear(rgb: &[u8], size: (u32, u32), rows: Axis, columns: Axis) -> Result<Vec<u8>, Error> {
    Error::expect_len("picture to resize", rgb.len(), area(size.0, size.1, 3))?;
    if rgb.is_empty() || rows.target == 0 || columns.target == 0 {
        let detail = format!("from {} × {} to {} × {} pixels", size.0, size.1, columns.target, rows.target);
        return Err(Error::Shape { what: "size to resize", detail });
    }
    let columns = taps(size.0, columns, true);
    let rows = taps(size.1, rows, false);
    let row_len = columns.len() * 3;
    let mut seen = vec![0_u8; rows.len() * row_len];
    // The two source rows needed last, narrowed; an enlarged photo needs each of them several times.
    let mut narrowed = [vec![[0_i16; 3]; columns.len()], vec![[0_i16; 3]; columns.len()]];
    let mut held = [None; 2];
    for (tap, target) in rows.iter().zip(seen.chunks_exact_mut(row_len.max(1))) {
        if held[1] == Some(tap.pixels[0]) && held[0] != held[1] {
            narrowed.swap(0, 1);
            held.swap(0, 1);
        }
        for ((held, narrowed), row) in held.iter_mut().zip(&mut narrowed).zip(tap.pixels) {
            if *held != Some(row) {
                narrow(row_of(rgb, size.0, row)?, &columns, narrowed);
                *held = Some(row);
            }
        }
        let [upper, lower] = &narrowed;
        // 16 bits throughout, and wrapping where nothing can overflow: what the vector units multiply eight or sixteen at a time.
        let weights = tap.weights.map(|weight| weight as i16);
        let weighed = |value: i16, weight: i16| (i32::from(value).wrapping_mul(i32::from(weight)) >> 16) as i16;
        let pairs = upper.as_flattened().iter().zip(lower.as_flattened());
        for (byte, (upper, lower)) in target.iter_mut().zip(pairs) {
            let sum = weighed(*upper, weights[0]).wrapping_add(weighed(*lower, weights[1]));
            *byte = (sum.wrapping_add(2) >> 2) as u8;
        }
    }
    Ok(seen)
}

fn row_of(rgb: &[u8], width: u32, row: usize) -> Result<&[[u8; 3]], Error> {
    let len = width as usize * 3;
    let bytes = row.checked_mul(len).and_then(|at| rgb.get(at..)).and_then(|rest| rest.get(..len));
    bytes.map(|bytes| bytes.as_chunks().0).ok_or_else(|| Error::Shape {
        what: "picture to resize",
        detail: format!("{} bytes, and no row {row} of {width} pixels", rgb.len()),
    })
}

/// Narrows one row of pixels to the columns seen. Values are sixteenths of 2048 × 255, so that they fit 16 bits.
fn narrow(row: &[[u8; 3]], columns: &[Tap], narrowed: &mut [[i16; 3]]) {
    for (value, tap) in narrowed.iter_mut().zip(columns) {
        let (left, right) = (row[tap.pixels[0]], row[tap.pixels[1]]);
        *value = std::array::from_fn(|channel| {
            let left = i32::from(left[channel]).wrapping_mul(tap.weights[0]);
            let right = i32::from(right[channel]).wrapping_mul(tap.weights[1]);
            (left.wrapping_add(right) >> 4) as i16
        });
    }
}
