//! A picture brought to a smaller size by the mean of areas: every source pixel counts once. Must not know what the small
//! picture is for.

use super::geometry::reduce_rgb;

/// A picture of `height × width` pixels, row-major, sRGB.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Small {
    pub(super) width: usize,
    pub(super) height: usize,
    /// `height × width × 3` bytes.
    pub(super) bytes: Vec<u8>,
}

impl Small {
    /// The pixels, row by row.
    pub(super) fn pixels(&self) -> &[[u8; 3]] {
        self.bytes.as_chunks().0
    }
}

/// The size with at most `longest` pixels on the longer side; no side below 1, none larger than before.
pub(super) fn fitted(width: u32, height: u32, longest: u32) -> (u32, u32) {
    let longer = width.max(height);
    if longer <= longest {
        return (width, height);
    }
    let part = |side: u32| (u64::from(side) * u64::from(longest)).div_ceil(u64::from(longer)).max(1) as u32;
    (part(width), part(height))
}

/// The picture (`height × width × 3` bytes) with at most `longest` pixels on the longer side, each the mean of those that it
/// takes the place of; where these are four rows or more, of two or three of their rows, since reading all of a large photo
/// would cost more than it tells. Empty when the bytes are not of that size.
pub(super) fn shrink(rgb: &[u8], width: u32, height: u32, longest: u32) -> Small {
    let to = fitted(width, height, longest);
    let rows_each = (f64::from(height) / f64::from(to.1.max(1))).round() as u32;
    let bytes = match to == (width, height) {
        true => Ok(rgb.to_vec()),
        false => reduce_rgb(rgb, (width, height), to, rows_each / 2),
    };
    let (width, height) = (to.0 as usize, to.1 as usize);
    match bytes {
        Ok(bytes) if bytes.len() / 3 == width * height && !bytes.is_empty() => Small { width, height, bytes },
        Ok(_) | Err(_) => Small { width: 0, height: 0, bytes: Vec::new() },
    }
}

/// The mean of each cell of a `rows × columns` grid over the picture, in levels: cells share the pixels that their borders
/// cross, so that the same picture in another size has nearly the same means. The picture must not be empty.
pub(super) fn grid(small: &Small, rows: usize, columns: usize) -> Vec<[f32; 3]> {
    let across = shares(small.width, columns);
    let mut cells = Vec::with_capacity(rows * columns);
    let mut sums = vec![0.0_f32; small.width * 3];
    for down in shares(small.height, rows) {
        sums.fill(0.0);
        let lines = small.bytes.chunks_exact(sums.len().max(1)).skip(down.first);
        for (line, weight) in lines.zip(&down.weights) {
            for (sum, value) in sums.iter_mut().zip(line) {
                *sum += f32::from(*value) * weight;
            }
        }
        cells.extend(across.iter().map(|share| share.mean(sums.as_chunks::<3>().0)));
    }
    cells
}

/// The part of an axis that a cell covers: whole pixels but for the first and the last. The weights add up to 1.
struct Share {
    first: usize,
    weights: Vec<f32>,
}

impl Share {
    fn mean(&self, pixels: &[[f32; 3]]) -> [f32; 3] {
        let mut mean = [0.0_f32; 3];
        for (pixel, weight) in pixels.iter().skip(self.first).zip(&self.weights) {
            for (mean, value) in mean.iter_mut().zip(pixel) {
                *mean += value * weight;
            }
        }
        mean
    }
}

fn shares(side: usize, cells: usize) -> Vec<Share> {
    let step = side as f64 / cells as f64;
    (0..cells)
        .map(|cell| {
            let (from, to) = (cell as f64 * step, (cell + 1) as f64 * step);
            let (first, last) = (from.floor() as usize, (to.ceil() as usize).min(side));
            let covered = |pixel: usize| (to.min((pixel + 1) as f64) - from.max(pixel as f64)).max(0.0);
            let weights = (first..last).map(|pixel| (covered(pixel) / step) as f32).collect();
            Share { first, weights }
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// A picture whose levels rise from the left and from the top.
    fn slope(width: u32, height: u32) -> Vec<u8> {
        let level = |at: u32, of: u32| ((f64::from(at) + 0.5) * 255.0 / f64::from(of)) as u8;
        (0..height).flat_map(|y| (0..width).flat_map(move |x| [level(x, width), level(y, height), 9])).collect()
    }

    #[test]
    fn sizes_keep_the_aspect_and_never_vanish() {
        assert_eq!(fitted(3000, 2000, 512), (512, 342));
        assert_eq!(fitted(10, 20_000, 512), (1, 512));
        assert_eq!(fitted(100, 50, 512), (100, 50));
    }

    #[test]
    fn every_pixel_counts_once() {
        let small = shrink(&slope(1000, 700), 1000, 700, 512);
        let pixels = small.pixels();
        assert_eq!((small.width, small.height, pixels.len()), (512, 359, 512 * 359));
        let mean =
            |channel: usize| pixels.iter().map(|pixel| f64::from(pixel[channel])).sum::<f64>() / pixels.len() as f64;
        assert!((mean(0) - 127.0).abs() < 0.7 && (mean(1) - 127.0).abs() < 0.7 && mean(2) == 9.0);
        assert!(pixels[..512].is_sorted_by_key(|pixel| pixel[0]));
    }

    #[test]
    fn bytes_of_another_size_give_nothing() {
        assert!(shrink(&[0; 7], 2, 2, 512).bytes.is_empty());
        assert!(shrink(&[], 0, 5, 512).bytes.is_empty());
    }

    #[test]
    fn a_grid_is_the_same_whatever_the_size() {
        let of = |width, height| grid(&shrink(&slope(width, height), width, height, 512), 4, 4);
        for (width, height) in [(640, 480), (301, 211), (37, 29), (1200, 90)] {
            for (one, other) in of(512, 512).iter().zip(of(width, height)) {
                assert!(one.iter().zip(other).all(|(one, other)| (one - other).abs() < 2.0), "{one:?} {other:?}");
            }
        }
        let tiny = grid(&shrink(&[10, 20, 30], 1, 1, 512), 32, 32);
        assert!(tiny.iter().flatten().zip([10.0, 20.0, 30.0].iter().cycle()).all(|(a, b)| (a - b).abs() < 0.01));
    }
}
