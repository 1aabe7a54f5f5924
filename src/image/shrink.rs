//! A picture brought to a smaller size by the mean of areas: every source pixel counts once. Must not know what the small
//! picture is for.

/// A picture of `height × width` pixels, row-major, sRGB.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Small {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) pixels: Vec<[u8; 3]>,
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

/// The picture (`height × width × 3` bytes) with at most `longest` pixels on the longer side, each the mean of a block of
/// whole source pixels; blocks of one picture differ by at most one row and one column. Empty when the bytes are not of
/// that size.
pub(super) fn shrink(rgb: &[u8], width: u32, height: u32, longest: u32) -> Small {
    let (small_width, small_height) = fitted(width, height, longest);
    let [width, height, small_width, small_height] =
        [width, height, small_width, small_height].map(|side| side as usize);
    let pixels = rgb.as_chunks::<3>().0;
    if width == 0 || height == 0 || width.checked_mul(height) != Some(pixels.len()) {
        return Small { width: 0, height: 0, pixels: Vec::new() };
    }
    if (small_width, small_height) == (width, height) {
        return Small { width, height, pixels: pixels.to_vec() };
    }
    let bound = |index: usize, of: usize, small: usize| index * of / small;
    let columns: Vec<usize> = (0..=small_width).map(|x| bound(x, width, small_width)).collect();
    let mut sums = vec![0_u32; width * 3];
    let mut small = Vec::with_capacity(small_width * small_height);
    for y in 0..small_height {
        let (top, bottom) = (bound(y, height, small_height), bound(y + 1, height, small_height));
        sums.fill(0);
        for row in rgb.chunks_exact(width * 3).take(bottom).skip(top) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(u32::from(*value));
            }
        }
        let sums = sums.as_chunks::<3>().0;
        for pair in columns.windows(2) {
            let (left, right) = (pair[0], pair[1]);
            let area = ((right - left) * (bottom - top)) as u64;
            let mut sum = [0_u64; 3];
            for column in &sums[left..right] {
                for (sum, value) in sum.iter_mut().zip(column) {
                    *sum += u64::from(*value);
                }
            }
            small.push(sum.map(|sum| ((sum + area / 2) / area) as u8));
        }
    }
    Small { width: small_width, height: small_height, pixels: small }
}

/// The mean of each cell of a `rows × columns` grid over the picture, in levels: cells share the pixels that their borders
/// cross, so that the same picture in another size has nearly the same means. The picture must not be empty.
pub(super) fn grid(small: &Small, rows: usize, columns: usize) -> Vec<[f32; 3]> {
    let across = shares(small.width, columns);
    let down = shares(small.height, rows);
    // Rows first narrowed to the columns, then added up by their own shares.
    let narrowed: Vec<[f32; 3]> = small
        .pixels
        .chunks_exact(small.width.max(1))
        .flat_map(|row| across.iter().map(move |share| share.mean(|x| row.get(x).map(|pixel| pixel.map(f32::from)))))
        .collect();
    let cell = |down: &Share, column: usize| down.mean(|y| narrowed.get(y * columns + column).copied());
    down.iter().flat_map(|share| (0..columns).map(move |column| cell(share, column))).collect()
}

/// The part of an axis that a cell covers: whole pixels but for the first and the last.
struct Share {
    first: usize,
    weights: Vec<f32>,
}

impl Share {
    fn mean(&self, value: impl Fn(usize) -> Option<[f32; 3]>) -> [f32; 3] {
        let mut sum = [0.0_f32; 3];
        for (index, weight) in self.weights.iter().enumerate() {
            let Some(value) = value(self.first + index) else { continue };
            for (sum, value) in sum.iter_mut().zip(value) {
                *sum += value * weight;
            }
        }
        sum
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
        assert_eq!((small.width, small.height, small.pixels.len()), (512, 359, 512 * 359));
        let mean = |channel: usize| {
            small.pixels.iter().map(|pixel| f64::from(pixel[channel])).sum::<f64>() / small.pixels.len() as f64
        };
        assert!((mean(0) - 127.0).abs() < 0.7 && (mean(1) - 127.0).abs() < 0.7 && mean(2) == 9.0);
        assert!(small.pixels[..512].is_sorted_by_key(|pixel| pixel[0]));
    }

    #[test]
    fn bytes_of_another_size_give_nothing() {
        assert!(shrink(&[0; 7], 2, 2, 512).pixels.is_empty());
        assert!(shrink(&[], 0, 5, 512).pixels.is_empty());
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
