//! The label of a window, looked up in the spans of the whole image: no raster of the image is ever painted. Must not know
//! how the window was chosen.

use crate::image::Error;
use crate::image::raster::ClassSpans;
use std::ops::Range;

/// Columns that are turned from column-major to row-major at a time: one cache line of the label.
const STRIP: usize = 64;

/// The spans of an image, ready to be looked up by pixel.
pub(super) struct Label<'a> {
    spans: ClassSpans<'a>,
    /// The pixel after the last of each span, column-major.
    ends: Vec<u64>,
}

impl<'a> Label<'a> {
    /// Refuses spans that do not cover the image exactly.
    pub(super) fn new(spans: ClassSpans<'a>) -> Result<Self, Error> {
        let mut covered = 0_u64;
        let mut end = |length: &u32| {
            covered += u64::from(*length);
            covered
        };
        let ends: Vec<u64> = spans.lengths.iter().map(&mut end).collect();
        let (height, width) = (spans.height, spans.width);
        if spans.classes.len() != ends.len() || covered != u64::from(height) * u64::from(width) {
            let counts = (spans.classes.len(), ends.len());
            let detail =
                format!("{} classes and {} lengths of {covered} pixels for {height} × {width}", counts.0, counts.1);
            return Err(Error::Shape { what: "mask spans", detail });
        }
        Ok(Self { spans, ends })
    }

    /// Height and width of the whole image in pixels.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.spans.height, self.spans.width)
    }

    /// How many pixels of each class the given columns and rows of the image hold; rows ascending.
    pub(super) fn counts(&self, columns: &[u32], rows: &[u32]) -> [u64; 256] {
        let mut counts = [0; 256];
        for column in columns {
            self.walk(*column, rows, |class, part| counts[usize::from(class)] += part.len() as u64);
        }
        counts
    }

    /// Writes the classes of the given columns and rows, rows ascending, into the upper left of a row-major label with `row`
    /// pixels a row, and void around them.
    pub(super) fn paint(&self, columns: &[u32], rows: &[u32], label: &mut [u8], row: usize) {
        let height = rows.len();
        let mut strip = vec![0_u8; height * STRIP.min(columns.len())];
        label.fill(super::sample::IGNORED);
        if height == 0 {
            return;
        }
        for (index, columns) in columns.chunks(STRIP).enumerate() {
            let mut last = None;
            for (at, column) in columns.iter().enumerate() {
                let (before, open) = strip.split_at_mut(at * height);
                match before.len().checked_sub(height).filter(|_| last == Some(column)) {
                    // Enlarged: the same column once more.
                    Some(previous) => open[..height].copy_from_slice(&before[previous..]),
                    None => self.walk(*column, rows, |class, part| open[part].fill(class)),
                }
                last = Some(column);
            }
            for (y, line) in label.chunks_exact_mut(row.max(1)).take(height).enumerate() {
                let line = line.iter_mut().skip(index * STRIP);
                for (pixel, column) in line.zip(strip.chunks_exact(height).take(columns.len())) {
                    *pixel = column[y];
                }
            }
        }
    }

    /// Goes down one column of the image, and says for each span which of the rows lie in it.
    fn walk(&self, column: u32, rows: &[u32], mut each: impl FnMut(u8, Range<usize>)) {
        let top = u64::from(column) * u64::from(self.spans.height);
        let first = top + rows.first().map_or(0, |row| u64::from(*row));
        let mut span = self.ends.partition_point(|end| *end <= first);
        let mut done = 0;
        while let (Some(rest), Some(end), Some(class)) =
            (rows.get(done..).filter(|rest| !rest.is_empty()), self.ends.get(span), self.spans.classes.get(span))
        {
            let part = rest.partition_point(|row| top + u64::from(*row) < *end);
            if part > 0 {
                each(*class, done..done + part);
            }
            done += part;
            span += 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::taps::{Axis, nearest};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_window_of_the_spans_is_the_window_of_the_raster(
            height in 1_u32..40, width in 1_u32..40, target_height in 1_u32..90, target_width in 1_u32..90,
            cut in any::<[u16; 4]>(), reversed in any::<bool>(), runs in prop::collection::vec((0_u8..4, 0_u32..60), 1..40),
        ) {
            let (mut classes, mut lengths, mut left) = (Vec::new(), Vec::new(), height * width);
            for (class, length) in runs {
                classes.push(if class == 3 { 255 } else { class });
                lengths.push(length.min(left));
                left -= length.min(left);
            }
            classes.push(7);
            lengths.push(left);
            let spans = ClassSpans { height, width, classes: &classes, lengths: &lengths };
            let raster = spans.rasterise().unwrap();

            let part = |cut: u16, below: u32| u32::from(cut) % below;
            let (top, wide) = (part(cut[0], target_height), part(cut[1], target_width));
            let (rows_seen, columns_seen) = (1 + part(cut[2], target_height - top), 1 + part(cut[3], target_width - wide));
            let rows = nearest(height, Axis { target: target_height, first: top, count: rows_seen, reversed: false });
            let columns = nearest(width, Axis { target: target_width, first: wide, count: columns_seen, reversed });

            let (crop_height, row) = (rows.len() + 2, columns.len() + 3);
            let mut label = vec![9; crop_height * row];
            let spans = Label::new(spans).unwrap();
            spans.paint(&columns, &rows, &mut label, row);
            let mut counts = [0_u64; 256];
            for y in 0..crop_height {
                for x in 0..row {
                    let wanted = match (rows.get(y), columns.get(x)) {
                        (Some(source), Some(column)) => raster[(source * width + column) as usize],
                        _ => 255,
                    };
                    prop_assert_eq!(label[y * row + x], wanted, "at {}, {}", x, y);
                    counts[usize::from(wanted)] += u64::from(y < rows.len() && x < columns.len());
                }
            }
            prop_assert_eq!(spans.counts(&columns, &rows), counts);
        }
    }

    #[test]
    fn spans_that_do_not_cover_the_image_are_refused() {
        let label = |classes, lengths| Label::new(ClassSpans { height: 2, width: 3, classes, lengths });
        assert!(label(&[0, 1], &[2, 4]).is_ok());
        assert!(label(&[0, 1], &[2, 5]).is_err());
        assert!(label(&[0], &[2, 4]).is_err());
    }
}
