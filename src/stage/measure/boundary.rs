//! Boundary IoU (Cheng et al., CVPR 2021): the IoU of two masks' inner edges, which a large area cannot hide. Must not know
//! classes by name, models or files.
//!
//! A mask's edge is the mask without what is left after eroding it by a square of ±d pixels; d is a share of the image's
//! diagonal. What lies outside the image is no mask, so that a mask cut off by the frame has an edge there. Edges that both
//! masks share, and those that either has, are summed over the whole split, as every other figure is.

use super::Mismatch;
use super::confusion::IGNORED;

/// The width of an edge as a share of the image's diagonal, as the authors chose it.
pub const RATIO: f64 = 0.02;

/// The edges of a split, foreground against background.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Boundary {
    /// Pixels on the edge of both masks.
    both: u64,
    /// Pixels on the edge of either.
    either: u64,
}

impl Boundary {
    /// Counts an image: class maps of `height × width` bytes, row-major; `foreground` says which classes are. Pixels with
    /// the label 255 do not count, and in them both masks are as predicted, so that no edge arises from not knowing.
    pub fn add(
        &mut self,
        label: &[u8],
        prediction: &[u8],
        (height, width): (usize, usize),
        foreground: impl Fn(u8) -> bool,
    ) -> Result<(), Mismatch> {
        let pixels = height.checked_mul(width);
        if pixels != Some(label.len()) || pixels != Some(prediction.len()) {
            return Err(Mismatch(format!(
                "{} labels and {} predictions for {width} × {height} pixels",
                label.len(),
                prediction.len()
            )));
        }
        let distance = distance((height, width));
        let predicted: Vec<bool> = prediction.iter().map(|value| foreground(*value)).collect();
        let known = label.iter().zip(&predicted);
        let labelled: Vec<bool> =
            known.map(|(value, predicted)| if *value == IGNORED { *predicted } else { foreground(*value) }).collect();
        let labelled = edge(&labelled, width, distance);
        let predicted = edge(&predicted, width, distance);
        for (value, (one, other)) in label.iter().zip(labelled.iter().zip(&predicted)) {
            let counts = *value != IGNORED;
            self.both += u64::from(counts && *one && *other);
            self.either += u64::from(counts && (*one || *other));
        }
        Ok(())
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, other: &Self) {
        self.both += other.both;
        self.either += other.either;
    }

    /// The boundary IoU, 0–1; `None` where no mask had an edge.
    pub fn iou(&self) -> Option<f64> {
        (self.either > 0).then(|| self.both as f64 / self.either as f64)
    }
}

/// The width of an edge in pixels, at least 1; a half goes to the even number.
fn distance((height, width): (usize, usize)) -> usize {
    let (height, width) = (height as f64, width as f64);
    ((RATIO * (height * height + width * width).sqrt()).round_ties_even() as usize).max(1)
}

/// The pixels of a row-major mask within `distance` of a pixel that is not in it, or of the frame, along both axes alike
/// (a square, not a disc). Rows first, then columns, each in one walk: the time does not depend on the distance.
fn edge(mask: &[bool], width: usize, distance: usize) -> Vec<bool> {
    let width = width.max(1);
    let height = mask.len() / width;
    let side = 2 * distance + 1;
    let mut inside = vec![false; mask.len()];
    for (row, inside) in mask.chunks_exact(width).zip(inside.chunks_exact_mut(width)) {
        let mut run = 0_usize;
        for (x, set) in row.iter().enumerate() {
            run = if *set { run + 1 } else { 0 };
            // The square that ends here has its middle `distance` pixels back.
            if run >= side
                && let Some(inside) = x.checked_sub(distance).and_then(|x| inside.get_mut(x))
            {
                *inside = true;
            }
        }
    }
    let mut edge = mask.to_vec();
    let mut runs = vec![0_usize; width];
    for y in 0..height {
        let row = y * width..(y + 1) * width;
        for (run, set) in runs.iter_mut().zip(inside.get(row).unwrap_or_default()) {
            *run = if *set { *run + 1 } else { 0 };
        }
        let Some(middle) = y.checked_sub(distance) else { continue };
        for (edge, run) in edge.iter_mut().skip(middle * width).zip(&runs) {
            *edge &= *run < side;
        }
    }
    edge
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixture::{bytes, read, whole};
    use super::*;

    #[test]
    fn edges_and_sums_equal_the_authors() {
        let cases = read("boundary");
        let mut sum = Boundary::default();
        for case in cases["images"].as_array().unwrap() {
            let (height, width) = (whole(&case["height"]), whole(&case["width"]));
            let bits = |bytes: Vec<u8>| -> Vec<u8> {
                let bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1));
                bits.take(height * width).collect()
            };
            let (label, prediction) = (bits(bytes(&case["label"])), bits(bytes(&case["prediction"])));
            assert_eq!(distance((height, width)), whole(&case["distance"]), "{height} × {width}");
            let mut one = Boundary::default();
            one.add(&label, &prediction, (height, width), |value| value > 0).unwrap();
            assert_eq!((one.both, one.either), (whole(&case["both"]) as u64, whole(&case["either"]) as u64));
            sum.merge(&one);
        }
        assert_eq!(sum.iou(), cases["iou"].as_f64());
    }

    #[test]
    fn a_mask_cut_off_by_the_frame_has_an_edge_there() {
        assert_eq!(edge(&[true; 25], 5, 1).iter().filter(|edge| **edge).count(), 16);
        assert_eq!(edge(&[true; 25], 5, 2).iter().filter(|edge| **edge).count(), 24);
        assert_eq!(edge(&[true; 25], 5, 9).iter().filter(|edge| **edge).count(), 25);
    }

    #[test]
    fn what_is_not_known_makes_no_edge() {
        let prediction: Vec<u8> = (0..100).map(|index| u8::from(index % 10 >= 3)).collect();
        let mut label = prediction.clone();
        for (index, value) in label.iter_mut().enumerate() {
            *value = if (2..5).contains(&(index % 10)) { 255 } else { *value };
        }
        let mut boundary = Boundary::default();
        boundary.add(&label, &prediction, (10, 10), |value| value > 0).unwrap();
        assert_eq!(boundary.iou(), Some(1.0));
    }

    #[test]
    fn sizes_that_differ_are_refused_and_no_mask_has_no_figure() {
        let mut boundary = Boundary::default();
        assert!(boundary.add(&[0; 4], &[0; 4], (2, 3), |value| value > 0).is_err());
        assert!(boundary.add(&[0; 4], &[0; 4], (usize::MAX, 2), |value| value > 0).is_err());
        boundary.add(&[0; 4], &[0; 4], (2, 2), |value| value > 0).unwrap();
        boundary.add(&[], &[], (0, 7), |value| value > 0).unwrap();
        assert_eq!(boundary.iou(), None);
    }
}
