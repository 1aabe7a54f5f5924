//! What the masks of images come to, added up: boxes, pairs of classes that meet, what policies leave of each class, where
//! each class lies. Must not know tables.

use crate::image::contest::{CELLS, Contests, Grid, bounds};
use std::cmp::Reverse;

/// Policies of the merge that are compared, by the names that the table `masks` has for them.
pub(super) const POLICIES: [&str; 4] = ["small-on-top", "annotation-order", "first-wins", "void-on-conflict"];
/// Of these the one that leaves nothing where classes meet.
const VOID: usize = 3;

/// One mask of an image.
pub(super) struct Mask<'a> {
    pub(super) class: u8,
    pub(super) area: u64,
    /// Row in the source.
    pub(super) row: u64,
    pub(super) starts: &'a [u32],
    pub(super) lengths: &'a [u32],
}

/// Where one mask lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) row: u64,
    pub(super) spans: u32,
    /// Left, top, right, bottom.
    pub(super) bounds: [u32; 4],
}

/// One class beside another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) images: u64,
    pub(super) overlapping: u64,
    pub(super) pixels: u64,
    pub(super) hidden: u64,
}

/// The sums over some images.
pub(super) struct Sums {
    /// Classes are 0 to this.
    classes: usize,
    /// Which policy says what is hidden.
    policy: usize,
    pub(super) shapes: Vec<Shape>,
    /// Class after class, each with every class.
    pairs: Vec<Pair>,
    annotated: Vec<u64>,
    /// Pixels that a class loses, policy after policy.
    lost: Vec<u64>,
    /// Images of at least the grid's size that show a class.
    gridded: Vec<u64>,
    /// Class after class the cells of its grid, images added up.
    cells: Vec<f64>,
}

impl Sums {
    /// Of no images; `classes` is one more than the highest class.
    pub(super) fn new(classes: usize, policy: usize) -> Self {
        Self {
            classes,
            policy,
            shapes: Vec::new(),
            pairs: vec![Pair::default(); classes * classes],
            annotated: vec![0; classes],
            lost: vec![0; classes * POLICIES.len()],
            gridded: vec![0; classes],
            cells: vec![0.0; classes * CELLS * CELLS],
        }
    }

    /// Adds an image of a size, in pixels, by its masks.
    pub(super) fn image(&mut self, (height, width): (u32, u32), masks: &[Mask<'_>], contests: &mut Contests) {
        self.shapes.extend(masks.iter().map(|mask| Shape {
            row: mask.row,
            spans: mask.starts.len() as u32,
            bounds: bounds(mask.starts, mask.lengths, height),
        }));
        let shown = distinct(masks.iter().filter(|mask| !mask.starts.is_empty()).map(|mask| mask.class));
        for (one, other) in shown.iter().flat_map(|one| shown.iter().map(move |other| (*one, *other))) {
            self.pairs[usize::from(one) * self.classes + usize::from(other)].images += 1;
        }
        for mask in masks {
            self.annotated[usize::from(mask.class)] += mask.area;
        }
        self.contested(masks, contests);
        if let Some(mut grid) = Grid::over(height, width) {
            for class in shown {
                masks.iter().filter(|mask| mask.class == class).for_each(|mask| grid.add(mask.starts, mask.lengths));
                let first = usize::from(class) * CELLS * CELLS;
                grid.add_to(&mut self.cells[first..first + CELLS * CELLS]);
                self.gridded[usize::from(class)] += 1;
            }
        }
    }

    fn contested(&mut self, masks: &[Mask<'_>], contests: &mut Contests) {
        let mut met: Vec<usize> = Vec::new();
        for (places, pixels) in contests.of(masks.iter().map(|mask| (mask.starts, mask.lengths))) {
            let pixels = *pixels;
            let meeting = || places.iter().map(|place| &masks[*place as usize]);
            let classes = distinct(meeting().map(|mask| mask.class));
            for (policy, tops) in tops(meeting()).into_iter().enumerate() {
                let Some(top) = tops else { continue };
                let nobody = policy == VOID && classes.len() > 1;
                for mask in meeting().filter(|mask| nobody || mask.row != top.row) {
                    self.lost[policy * self.classes + usize::from(mask.class)] += pixels;
                }
                if policy == self.policy {
                    for class in classes.iter().filter(|class| **class != top.class) {
                        self.pairs[usize::from(*class) * self.classes + usize::from(top.class)].hidden += pixels;
                    }
                }
            }
            for (one, other) in classes.iter().flat_map(|one| classes.iter().map(move |other| (*one, *other))) {
                if one != other || meeting().filter(|mask| mask.class == one).count() > 1 {
                    let pair = usize::from(one) * self.classes + usize::from(other);
                    self.pairs[pair].pixels += pixels;
                    if !met.contains(&pair) {
                        met.push(pair);
                    }
                }
            }
        }
        met.into_iter().for_each(|pair| self.pairs[pair].overlapping += 1);
    }

    /// Adds the sums of others, of the same classes.
    pub(super) fn add(&mut self, other: Self) {
        self.shapes.extend(other.shapes);
        for (pair, more) in self.pairs.iter_mut().zip(other.pairs) {
            pair.images += more.images;
            pair.overlapping += more.overlapping;
            pair.pixels += more.pixels;
            pair.hidden += more.hidden;
        }
        let add = |sums: &mut [u64], more: Vec<u64>| sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        add(&mut self.annotated, other.annotated);
        add(&mut self.lost, other.lost);
        add(&mut self.gridded, other.gridded);
        self.cells.iter_mut().zip(other.cells).for_each(|(sum, more)| *sum += more);
    }

    /// Every ordered pair of classes that some image shows.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (u8, u8, Pair)> {
        let places = (0..self.classes).flat_map(|one| (0..self.classes).map(move |other| (one as u8, other as u8)));
        places.zip(&self.pairs).filter(|(_, pair)| pair.images > 0).map(|((one, other), pair)| (one, other, *pair))
    }

    /// Of each policy and class that has a mask: the policy's name, class, pixels as annotated, pixels left.
    pub(super) fn policies(&self) -> impl Iterator<Item = (&'static str, u8, u64, u64)> {
        POLICIES.into_iter().zip(self.lost.chunks(self.classes.max(1))).flat_map(|(policy, lost)| {
            let classes = self.annotated.iter().zip(lost).enumerate().filter(|(_, (annotated, _))| **annotated > 0);
            classes.map(move |(class, (annotated, lost))| {
                (policy, class as u8, *annotated, annotated.saturating_sub(*lost))
            })
        })
    }

    /// The cells of each class that has any: class, row, column, share.
    pub(super) fn grids(&self) -> impl Iterator<Item = (u8, u8, u8, f64)> {
        let grids = self.cells.chunks(CELLS * CELLS).zip(&self.gridded).enumerate();
        grids.filter(|(_, (_, images))| **images > 0).flat_map(|(class, (cells, images))| {
            cells
                .iter()
                .enumerate()
                .map(move |(cell, sum)| (class as u8, (cell / CELLS) as u8, (cell % CELLS) as u8, sum / *images as f64))
        })
    }
}

/// The mask on top under each policy.
fn tops<'a, 'b: 'a>(masks: impl Iterator<Item = &'a Mask<'b>> + Clone) -> [Option<&'a Mask<'b>>; POLICIES.len()] {
    let last = masks.clone().max_by_key(|mask| mask.row);
    let small = masks.clone().min_by_key(|mask| (mask.area, Reverse(mask.row)));
    [small, last, masks.min_by_key(|mask| mask.row), last]
}

/// Each class once, ascending.
fn distinct(classes: impl Iterator<Item = u8>) -> Vec<u8> {
    let mut classes: Vec<u8> = classes.collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask<'a>(class: u8, row: u64, starts: &'a [u32], lengths: &'a [u32]) -> Mask<'a> {
        Mask { class, area: lengths.iter().map(|length| u64::from(*length)).sum(), row, starts, lengths }
    }

    #[test]
    fn three_masks_that_meet_are_counted_as_by_hand() {
        // A line of 40 pixels: class 0 holds 0–19, class 1 holds 10–29, a second mask of class 1 holds 25–34.
        let masks = [mask(0, 1, &[0], &[20]), mask(1, 2, &[10], &[20]), mask(1, 3, &[25], &[10])];
        let mut sums = Sums::new(2, 0);
        sums.image((40, 1), &masks, &mut Contests::default());
        let pairs: Vec<_> = sums.pairs().collect();
        let pair = |images, overlapping, pixels, hidden| Pair { images, overlapping, pixels, hidden };
        // Of equal areas the later row lies on top: 10 pixels of class 0 below class 1.
        let wanted =
            [(0, 0, pair(1, 0, 0, 0)), (0, 1, pair(1, 1, 10, 10)), (1, 0, pair(1, 1, 10, 0)), (1, 1, pair(1, 1, 5, 0))];
        assert_eq!(pairs, wanted);
        let policies: Vec<_> = sums.policies().collect();
        let wanted = [
            ("small-on-top", 0, 20, 10),
            ("small-on-top", 1, 30, 25),
            ("annotation-order", 0, 20, 10),
            ("annotation-order", 1, 30, 25),
            ("first-wins", 0, 20, 20),
            ("first-wins", 1, 30, 15),
            ("void-on-conflict", 0, 20, 10),
            ("void-on-conflict", 1, 30, 15),
        ];
        assert_eq!(policies, wanted);
        assert_eq!(sums.shapes[2], Shape { row: 3, spans: 1, bounds: [0, 25, 1, 35] });
        assert_eq!(sums.grids().count(), 0, "the image is narrower than the grid");
    }

    #[test]
    fn a_grid_is_the_mean_over_the_images_that_show_the_class() {
        let (all, half) = (32 * 32, 32 * 16);
        let mut sums = Sums::new(1, 0);
        sums.image((32, 32), &[mask(0, 1, &[0], &[all])], &mut Contests::default());
        let mut more = Sums::new(1, 0);
        more.image((32, 32), &[mask(0, 2, &[0], &[half])], &mut Contests::default());
        sums.add(more);
        let grid: Vec<_> = sums.grids().collect();
        assert_eq!((grid[0], grid[31]), ((0, 0, 0, 1.0), (0, 0, 31, 0.5)));
        assert_eq!(sums.shapes.len(), 2);
    }
}
