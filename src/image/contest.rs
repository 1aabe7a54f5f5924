//! Where masks of one image meet, and where on the image they lie: figures of spans, as in [`spans`](super::spans) counted
//! column-major from 0. Must not know classes, policies or files.

/// Cells of a [`Grid`] along each side.
pub const CELLS: usize = 32;

/// Finds the pixels that several masks cover; its buffers are used again from image to image.
#[derive(Debug, Default)]
pub struct Contests {
    events: Vec<u64>,
    active: Vec<u32>,
    /// Masks that meet, with the pixels where exactly they do.
    met: Vec<(Vec<u32>, u64)>,
}

impl Contests {
    /// Every set of masks that meet anywhere, as ascending places in `masks`, with the pixels that these masks and no others
    /// cover. A mask is its first pixels and its pixels, span by span, ascending and disjoint.
    pub fn of<'a>(&mut self, masks: impl Iterator<Item = (&'a [u32], &'a [u32])>) -> &[(Vec<u32>, u64)] {
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
        self.met.clear();
        let (mut from, mut next) = (0, 0);
        while let Some(event) = self.events.get(next) {
            if self.active.is_empty() && self.events.get(next + 1).is_some_and(|after| after & BEGINS == 0) {
                // A span that begins and ends alone, as most do.
                next += 2;
                continue;
            }
            next += 1;
            let (at, mask) = (event >> 32, (event & (BEGINS - 1)) as u32);
            if self.active.len() > 1 && at > from {
                meet(&mut self.met, &self.active, at - from);
            }
            from = at;
            match (event & BEGINS > 0, self.active.binary_search(&mask)) {
                (true, Err(place)) => self.active.insert(place, mask),
                (false, Ok(place)) => drop(self.active.remove(place)),
                // Spans of one mask are disjoint: neither can be.
                _ => {}
            }
        }
        &self.met
    }
}

/// Adds pixels to a set of masks; those met last are looked at first, as the same few take turns.
fn meet(met: &mut Vec<(Vec<u32>, u64)>, active: &[u32], pixels: u64) {
    // Lists of two or three: a loop is quicker than comparing memory.
    let same = |masks: &[u32]| masks.len() == active.len() && masks.iter().zip(active).all(|(one, other)| one == other);
    match met.iter().rposition(|(masks, _)| same(masks)) {
        Some(place) => {
            met[place].1 += pixels;
            let last = met.len() - 1;
            met.swap(place, last);
        }
        None => met.push((active.to_vec(), pixels)),
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
    /// The cell of each pixel along the height.
    cells: Vec<u8>,
    /// The pixel behind each of these cells.
    ends: [u32; CELLS],
    /// Row after row.
    pixels: [u32; CELLS * CELLS],
}

impl Grid {
    /// Over an image; `None` for one that has fewer pixels than the grid has cells on a side.
    pub fn over(height: u32, width: u32) -> Option<Self> {
        let fits = |side: u32| (CELLS as u32..1 << 26).contains(&side);
        if !fits(height) || !fits(width) {
            return None;
        }
        let mut cells = vec![0; height as usize];
        for cell in 0..CELLS as u32 {
            cells[edge(cell, height) as usize..edge(cell + 1, height) as usize].fill(cell as u8);
        }
        let ends = std::array::from_fn(|cell| edge(cell as u32 + 1, height));
        Some(Self { height, width, cells, ends, pixels: [0; CELLS * CELLS] })
    }

    /// Adds a mask.
    pub fn add(&mut self, starts: &[u32], lengths: &[u32]) {
        // Spans ascend, so the column is found by going on from the last one: dividing for each would cost most of the time.
        let (mut column, mut first) = (0, 0);
        let (mut across, mut beyond) = (0, edge(1, self.width));
        for (start, length) in starts.iter().zip(lengths) {
            let (mut from, mut left) = (*start, *length);
            while left > 0 {
                let ahead = from - first;
                if ahead >= self.height {
                    let columns = if ahead < 2 * self.height { 1 } else { ahead / self.height };
                    (column, first) = (column + columns, first + columns * self.height);
                }
                if column >= self.width {
                    return;
                }
                while column >= beyond {
                    across += 1;
                    beyond = edge(across as u32 + 1, self.width);
                }
                let taken = left.min(self.height - (from - first));
                self.stretch(across, from - first, from - first + taken);
                (from, left) = (from.saturating_add(taken), left - taken);
            }
        }
    }

    /// Rows `from..to` of a column of cells.
    fn stretch(&mut self, across: usize, from: u32, to: u32) {
        let (first, last) = (usize::from(self.cells[from as usize]), usize::from(self.cells[to as usize - 1]));
        let mut from = from;
        for down in first..last {
            let end = self.ends[down];
            self.pixels[down * CELLS + across] += end - from;
            from = end;
        }
        self.pixels[last * CELLS + across] += to - from;
    }

    /// Adds the share of each cell that masks cover, row after row, and empties the grid.
    pub fn add_to(&mut self, sums: &mut [f64]) {
        let sides = |side: u32| -> [f64; CELLS] {
            std::array::from_fn(|cell| f64::from(edge(cell as u32 + 1, side) - edge(cell as u32, side)))
        };
        let (heights, widths) = (sides(self.height), sides(self.width));
        for ((height, sums), pixels) in heights.iter().zip(sums.chunks_mut(CELLS)).zip(self.pixels.chunks_mut(CELLS)) {
            for ((width, sum), pixels) in widths.iter().zip(sums).zip(pixels) {
                *sum += f64::from(std::mem::take(pixels)) / (height * width);
            }
        }
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
            let mut sums = [0.0; CELLS * CELLS];
            grid.add_to(&mut sums);
            assert!(sums.iter().all(|share| *share == 1.0));
            grid.add_to(&mut sums);
            assert!(sums.iter().all(|share| *share == 1.0), "it was emptied");
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
            let mut contests = Contests::default();
            let met = contests.of(listed.iter().map(|(s, l)| (s.as_slice(), l.as_slice())));
            let found: BTreeMap<Vec<u32>, u64> = met.iter().cloned().collect();
            prop_assert_eq!(found.len(), met.len(), "each set once");
            let mut painted: BTreeMap<Vec<u32>, u64> = BTreeMap::new();
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
