//! Where masks of one image meet, and where on the image they lie: figures of spans, as in [`spans`](super::spans) counted
//! column-major from 0. Must not know classes, policies or files.

/// Cells of a [`Grid`] along each side.
pub const CELLS: usize = 32;

/// Finds the stretches that several masks cover; its buffer is used again from image to image.
#[derive(Debug, Default)]
pub struct Contests {
    events: Vec<u64>,
    active: Vec<u32>,
}

impl Contests {
    /// Calls `each` with the pixels of every stretch that at least two masks cover and with these masks, by their places
    /// in `masks`, in no order. A mask is its first pixels and its pixels, span by span, ascending and disjoint.
    pub fn each<'a>(&mut self, masks: impl Iterator<Item = (&'a [u32], &'a [u32])>, mut each: impl FnMut(u32, &[u32])) {
        // Position, then ends before beginnings, then the mask: each mask brings an ascending stretch, which the sort of the
        // standard library finds and merges.
        const BEGINS: u64 = 1 << 31;
        self.events.clear();
        for (mask, (starts, lengths)) in masks.enumerate() {
            let mask = mask as u64;
            for (start, length) in starts.iter().zip(lengths) {
                let end = u64::from(*start) + u64::from(*length);
                self.events.push(u64::from(*start) << 32 | BEGINS | mask);
                self.events.push(end << 32 | mask);
            }
        }
        self.events.sort();
        self.active.clear();
        let mut from = 0;
        for event in &self.events {
            let (at, mask) = (event >> 32, (event & (BEGINS - 1)) as u32);
            if self.active.len() > 1 && at > from {
                each((at - from) as u32, &self.active);
            }
            from = at;
            if event & BEGINS > 0 {
                self.active.push(mask);
            } else if let Some(place) = self.active.iter().position(|active| *active == mask) {
                self.active.swap_remove(place);
            }
        }
    }
}

/// The box around a mask in an image of `height` rows, in pixels: left, top, right, bottom, the last two just outside. All
/// 0 for a mask without spans.
pub fn bounds(starts: &[u32], lengths: &[u32], height: u32) -> [u32; 4] {
    let (Some(first), Some(last), height) = (starts.first(), starts.last().zip(lengths.last()), height.max(1)) else {
        return [0; 4];
    };
    let (mut top, mut bottom) = (height, 0);
    for (start, length) in starts.iter().zip(lengths) {
        let from = start % height;
        let to = from.saturating_add(*length);
        if to > height {
            // It goes on in the next column.
            (top, bottom) = (0, height);
            break;
        }
        (top, bottom) = (top.min(from), bottom.max(to));
    }
    let end = last.0.saturating_add(*last.1).saturating_sub(1);
    [first / height, top, end / height + 1, bottom]
}

/// A grid of 32 × 32 cells over an image, and how many pixels of masks lie in each.
#[derive(Debug)]
pub struct Grid {
    height: u32,
    width: u32,
    /// Row after row.
    pixels: [u32; CELLS * CELLS],
}

impl Grid {
    /// Over an image; `None` for one that has fewer pixels than the grid has cells on a side.
    pub fn over(height: u32, width: u32) -> Option<Self> {
        let fits = |side: u32| (CELLS as u32..1 << 26).contains(&side);
        (fits(height) && fits(width)).then_some(Self { height, width, pixels: [0; CELLS * CELLS] })
    }

    /// Adds a mask.
    pub fn add(&mut self, starts: &[u32], lengths: &[u32]) {
        for (start, length) in starts.iter().zip(lengths) {
            let (mut column, mut from, mut left) = (start / self.height, start % self.height, *length);
            while left > 0 && column < self.width {
                let taken = left.min(self.height - from);
                self.stretch(column, from, from + taken);
                (column, from, left) = (column + 1, 0, left - taken);
            }
        }
    }

    /// Rows `from..to` of one column.
    fn stretch(&mut self, column: u32, from: u32, to: u32) {
        let across = (column * CELLS as u32 / self.width) as usize;
        let mut down = from * CELLS as u32 / self.height;
        let mut from = from;
        while from < to {
            let end = edge(down + 1, self.height).min(to);
            self.pixels[down as usize * CELLS + across] += end - from;
            (from, down) = (end, down + 1);
        }
    }

    /// The share of each cell that masks cover, row after row, and empties the grid.
    pub fn take(&mut self) -> impl Iterator<Item = f64> {
        let side = |cell: usize, side: u32| edge(cell as u32 + 1, side) - edge(cell as u32, side);
        let (height, width) = (self.height, self.width);
        let pixels = std::mem::replace(&mut self.pixels, [0; CELLS * CELLS]);
        pixels.into_iter().enumerate().map(move |(cell, pixels)| {
            f64::from(pixels) / (f64::from(side(cell / CELLS, height)) * f64::from(side(cell % CELLS, width)))
        })
    }
}

/// The first pixel of a cell along a side.
fn edge(cell: u32, side: u32) -> u32 {
    (cell * side).div_ceil(CELLS as u32)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_box_of_a_mask_is_the_one_drawn_by_hand() {
        // Height 10: pixels 12–14 are rows 2–4 of column 1; 31–32 rows 1–2 of column 3.
        assert_eq!(bounds(&[12, 31], &[3, 2], 10), [1, 1, 4, 5]);
        assert_eq!(bounds(&[18], &[4], 10), [1, 0, 3, 10], "a span that goes on in the next column");
        assert_eq!(bounds(&[], &[], 10), [0; 4]);
    }

    #[test]
    fn a_grid_over_a_whole_image_is_full() {
        for (height, width) in [(32, 32), (33, 100), (517, 64)] {
            let mut grid = Grid::over(height, width).unwrap();
            grid.add(&[0], &[height * width]);
            assert!(grid.take().all(|share| share == 1.0));
            assert!(grid.take().all(|share| share == 0.0), "it is emptied");
        }
        assert!(Grid::over(31, 100).is_none());
    }

    /// Spans of a mask from the pixels it holds.
    fn spans(held: &[bool]) -> (Vec<u32>, Vec<u32>) {
        let (mut starts, mut lengths): (Vec<u32>, Vec<u32>) = Default::default();
        for (pixel, held) in held.iter().enumerate() {
            match (held, pixel > 0 && starts.last().zip(lengths.last()).is_some_and(|(s, l)| s + l == pixel as u32)) {
                (true, true) => *lengths.last_mut().unwrap() += 1,
                (true, false) => {
                    starts.push(pixel as u32);
                    lengths.push(1);
                }
                _ => {}
            }
        }
        (starts, lengths)
    }

    proptest! {
        #[test]
        fn contests_are_those_of_the_painted_masks(
            masks in proptest::collection::vec(proptest::collection::vec(any::<bool>(), 60), 0..6)
        ) {
            let listed: Vec<_> = masks.iter().map(|mask| spans(mask)).collect();
            let mut found: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
            Contests::default().each(listed.iter().map(|(s, l)| (s.as_slice(), l.as_slice())), |pixels, masks| {
                let mut masks = masks.to_vec();
                masks.sort_unstable();
                *found.entry(masks).or_default() += pixels;
            });
            let mut painted: BTreeMap<Vec<u32>, u32> = BTreeMap::new();
            for pixel in 0..60 {
                let on: Vec<u32> = (0..masks.len()).filter(|mask| masks[*mask][pixel]).map(|mask| mask as u32).collect();
                if on.len() > 1 {
                    *painted.entry(on).or_default() += 1;
                }
            }
            prop_assert_eq!(found, painted);
        }

        #[test]
        fn a_grid_counts_every_pixel_once(held in proptest::collection::vec(any::<bool>(), 33 * 40)) {
            let (starts, lengths) = spans(&held);
            let mut grid = Grid::over(33, 40).unwrap();
            grid.add(&starts, &lengths);
            let mut painted = [0_u32; CELLS * CELLS];
            for pixel in (0..held.len()).filter(|pixel| held[*pixel]) {
                let (x, y) = (pixel / 33, pixel % 33);
                painted[(y * 32 / 33) * CELLS + x * 32 / 40] += 1;
            }
            prop_assert_eq!(grid.pixels, painted);
        }
    }
}
