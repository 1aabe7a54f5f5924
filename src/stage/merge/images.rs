//! The images of a portion, merged: rows of the table `masks`. Must not know where rows come from or go to.

use super::Rules;
use super::policy::{Policy, Standing};
use crate::image::spans::{BACKGROUND, Coverage, Layer, Merger};
use crate::stage::Error;
use crate::stage::portions::{Piece, Portion};
use crate::table::labels;
use crate::table::schema::MASKS;
use arrow::array::{
    Array, ArrayRef, Float32Array, ListArray, PrimitiveArray, RecordBatch, StringArray, UInt8Array, UInt32Array,
    UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{ArrowPrimitiveType, DataType, UInt8Type, UInt32Type, UInt64Type};
use std::ops::Range;
use std::sync::Arc;

/// What the masks of many images came to.
#[derive(Clone, Debug)]
pub(super) struct Sums {
    /// Images.
    pub(super) images: u64,
    /// Rows merged.
    pub(super) rows: u64,
    /// Images without a row of a main class.
    pub(super) no_main: u64,
    /// Images without any mask under the chosen classes.
    pub(super) bare: u64,
    /// Pixels of all images.
    pub(super) pixels: u64,
    /// Pixels claimed by more than one class.
    pub(super) contested: u64,
    /// Pixels as annotated, by value.
    pub(super) annotated: [u64; 256],
    /// Pixels after the merge, by value.
    pub(super) visible: [u64; 256],
}

impl Default for Sums {
    fn default() -> Self {
        let none = [0; 256];
        Self { images: 0, rows: 0, no_main: 0, bare: 0, pixels: 0, contested: 0, annotated: none, visible: none }
    }
}

impl Sums {
    /// Adds those of others.
    pub(super) fn add(&mut self, other: &Self) {
        self.images += other.images;
        self.rows += other.rows;
        self.no_main += other.no_main;
        self.bare += other.bare;
        self.pixels += other.pixels;
        self.contested += other.contested;
        add(&mut self.annotated, &other.annotated);
        add(&mut self.visible, &other.visible);
    }
}

fn add(sums: &mut [u64; 256], more: &[u64; 256]) {
    sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

/// Rows of the table, column by column.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<&'a str>,
    heights: Vec<u32>,
    widths: Vec<u32>,
    spans: Vec<usize>,
    classes: Vec<u8>,
    lengths: Vec<u32>,
    values: Vec<usize>,
    class_ids: Vec<u8>,
    class_pixels: Vec<u64>,
    class_annotated: Vec<u64>,
    conflicted: Vec<f32>,
    rows: Vec<u32>,
}

/// One mask of an image.
struct Mask<'a> {
    standing: Standing,
    starts: &'a [u32],
    lengths: &'a [u32],
}

/// Merges some images of a portion: their rows, the weight of these in bytes, and the sums.
pub(super) fn merge(
    portion: &Portion,
    which: Range<usize>,
    rules: &Rules,
) -> Result<(RecordBatch, usize, Sums), Error> {
    let pieces: Vec<Piece<'_>> = portion.pieces.iter().map(Piece::of).collect();
    let mut merger = Merger::default();
    let mut columns = Columns::default();
    let mut sums = Sums::default();
    let mut masks: Vec<Mask<'_>> = Vec::new();
    for image in &portion.images[which] {
        let places = &portion.places[image.clone()];
        let (piece, row) = places[0];
        let first = &pieces[piece as usize];
        let (id, size) = (first.ids.value(row as usize), size(first, row as usize));
        let pixels = size.0.checked_mul(size.1).filter(|pixels| *pixels > 0);
        let Some(pixels) = pixels else { return Err(damaged(id, "its size is no size of an image")) };
        masks.clear();
        let mut main = false;
        for (piece, row) in places {
            let (piece, row) = (&pieces[*piece as usize], *row as usize);
            if self::size(piece, row) != size {
                return Err(damaged(id, "its rows disagree on the size"));
            }
            let class = piece.classes.value(row);
            if class > 253 {
                return Err(damaged(id, "it has a class beyond 253"));
            }
            let starts = piece.starts(row);
            main |= !starts.is_empty() && labels::CLASSES.get(class as usize).is_some_and(|class| class.main);
            if rules.chosen[class as usize] && !starts.is_empty() {
                let standing = Standing { class, area: piece.areas.value(row), row: piece.rows.value(row) };
                masks.push(Mask { standing, starts, lengths: piece.lengths(row) });
            }
        }
        masks.sort_by(|one, other| rules.policy.above(&one.standing, &other.standing, &rules.ranks));
        let layers = masks.iter().map(|mask| Layer {
            starts: mask.starts,
            lengths: mask.lengths,
            value: mask.standing.class + 1,
        });
        let begin = columns.classes.len();
        let coverage = merger
            .merge(layers, pixels, rules.policy.conflict(), &mut columns.classes, &mut columns.lengths)
            .map_err(|error| damaged(id, &error.to_string()))?;
        let mut annotated = [0; 256];
        for mask in &masks {
            let value = if rules.policy == Policy::Foreground { 1 } else { mask.standing.class + 1 };
            annotated[value as usize] += mask.standing.area;
        }
        let coverage = if rules.policy == Policy::Foreground { columns.flatten(begin, coverage) } else { coverage };
        columns.image(id, size, begin, &coverage, &annotated, masks.len());
        sums.images += 1;
        sums.rows += masks.len() as u64;
        sums.no_main += u64::from(!main);
        sums.bare += u64::from(masks.is_empty());
        sums.pixels += u64::from(pixels);
        sums.contested += coverage.contested;
        add(&mut sums.annotated, &annotated);
        add(&mut sums.visible, &coverage.pixels);
    }
    let weight = 5 * columns.classes.len() + 128 * columns.ids.len();
    Ok((columns.batch(rules.policy)?, weight, sums))
}

fn size(piece: &Piece<'_>, row: usize) -> (u32, u32) {
    (piece.heights.value(row), piece.widths.value(row))
}

fn damaged(id: &str, cause: &str) -> Error {
    Error::Failed(format!("the table annotations cannot be merged at the image {id:?}: {cause}; run ingest again"))
}

impl Columns<'_> {
    /// Makes all classes of the last image one, and joins the neighbours that this makes equal.
    fn flatten(&mut self, begin: usize, mut coverage: Coverage) -> Coverage {
        let mut kept = begin;
        for span in begin..self.classes.len() {
            let (value, length) = (u8::from(self.classes[span] != BACKGROUND), self.lengths[span]);
            if kept > begin && self.classes[kept - 1] == value {
                self.lengths[kept - 1] += length;
            } else {
                (self.classes[kept], self.lengths[kept]) = (value, length);
                kept += 1;
            }
        }
        self.classes.truncate(kept);
        self.lengths.truncate(kept);
        let covered = coverage.pixels[1..].iter().sum();
        coverage.pixels[1..].fill(0);
        coverage.pixels[1] = covered;
        coverage
    }
}

impl<'a> Columns<'a> {
    fn image(
        &mut self,
        id: &'a str,
        (height, width): (u32, u32),
        begin: usize,
        coverage: &Coverage,
        annotated: &[u64; 256],
        rows: usize,
    ) {
        self.ids.push(id);
        self.heights.push(height);
        self.widths.push(width);
        self.spans.push(self.classes.len() - begin);
        let before = self.class_ids.len();
        for (value, pixels) in (0..=255_u8).zip(coverage.pixels).filter(|(_, pixels)| *pixels > 0) {
            self.class_ids.push(value);
            self.class_pixels.push(pixels);
            self.class_annotated.push(annotated[value as usize]);
        }
        self.values.push(self.class_ids.len() - before);
        let pixels = f64::from(height) * f64::from(width);
        self.conflicted.push((coverage.contested as f64 / pixels) as f32);
        self.rows.push(rows as u32);
    }

    fn batch(self, policy: Policy) -> Result<RecordBatch, Error> {
        let count = self.ids.len();
        let columns: Vec<ArrayRef> = vec![
            Arc::new(StringArray::from_iter_values(self.ids)),
            Arc::new(UInt32Array::from(self.heights)),
            Arc::new(UInt32Array::from(self.widths)),
            list::<UInt8Type>("classes", &self.spans, UInt8Array::from(self.classes))?,
            list::<UInt32Type>("lengths", &self.spans, UInt32Array::from(self.lengths))?,
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(policy.name(), count))),
            list::<UInt8Type>("class_ids", &self.values, UInt8Array::from(self.class_ids))?,
            list::<UInt64Type>("class_pixels", &self.values, UInt64Array::from(self.class_pixels))?,
            list::<UInt64Type>("class_annotated", &self.values, UInt64Array::from(self.class_annotated))?,
            Arc::new(Float32Array::from(self.conflicted)),
            Arc::new(UInt32Array::from(self.rows)),
        ];
        Ok(RecordBatch::try_new(MASKS.schema(), columns).map_err(crate::table::Error::from)?)
    }
}

fn list<T: ArrowPrimitiveType>(name: &str, lengths: &[usize], values: PrimitiveArray<T>) -> Result<ArrayRef, Error>
where
    PrimitiveArray<T>: Array,
{
    let item = match MASKS.schema().field_with_name(name).map(|field| field.data_type().clone()) {
        Ok(DataType::List(item)) => item,
        _ => return Err(Error::Failed(format!("the column {name} is declared as no list"))),
    };
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Ok(Arc::new(ListArray::try_new(item, offsets, Arc::new(values), None).map_err(crate::table::Error::from)?))
}
