//! Rows of the table `annotations` as whole images, in bounded portions. Where the rows of an image are neighbours, one pass
//! suffices; otherwise they are brought together through buckets on the local disk. Must not know what is done with them.

use crate::stage::tables::Tables;
use crate::stage::{Context, Error, check};
use crate::table::Manifest;
use crate::table::schema::ANNOTATIONS;
use crate::table::spill::{self, Buckets};
use arrow::array::{
    ArrayRef, AsArray, ListArray, PrimitiveArray, RecordBatch, StringArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Schema, UInt8Type, UInt32Type, UInt64Type};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// A portion ends with the image that takes its spans beyond this many bytes.
const PORTION_BYTES: usize = 4 << 20;
/// What is read of each row.
const COLUMNS: [&str; 8] = ["image_id", "class_id", "height", "width", "starts", "lengths", "area_px", "row"];

/// Whole images.
pub(in crate::stage) struct Portion {
    /// Batches of the columns above.
    pub(in crate::stage) pieces: Vec<RecordBatch>,
    /// Rows as piece and row in it, image after image.
    pub(in crate::stage) places: Vec<(u32, u32)>,
    /// The places of each image.
    pub(in crate::stage) images: Vec<Range<usize>>,
}

/// How a pass over neighbours ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::stage) enum End {
    /// All images were given.
    Whole,
    /// An image came back after others.
    Scattered,
}

/// The columns of one piece.
pub(in crate::stage) struct Piece<'a> {
    /// `image_id`.
    pub(in crate::stage) ids: &'a StringArray,
    /// `class_id`.
    pub(in crate::stage) classes: &'a UInt8Array,
    /// Pixels.
    pub(in crate::stage) heights: &'a UInt32Array,
    /// Pixels.
    pub(in crate::stage) widths: &'a UInt32Array,
    starts: &'a ListArray,
    lengths: &'a ListArray,
    /// Pixels of each mask.
    pub(in crate::stage) areas: &'a UInt64Array,
    /// Row in the source.
    pub(in crate::stage) rows: &'a UInt64Array,
}

impl<'a> Piece<'a> {
    /// The columns of a batch that `read` conformed to the schema.
    pub(in crate::stage) fn of(batch: &'a RecordBatch) -> Self {
        Self {
            ids: batch.column(0).as_string(),
            classes: numbers::<UInt8Type>(batch, 1),
            heights: numbers::<UInt32Type>(batch, 2),
            widths: numbers::<UInt32Type>(batch, 3),
            starts: batch.column(4).as_list(),
            lengths: batch.column(5).as_list(),
            areas: numbers::<UInt64Type>(batch, 6),
            rows: numbers::<UInt64Type>(batch, 7),
        }
    }

    /// First pixel of each span of a row.
    pub(in crate::stage) fn starts(&self, row: usize) -> &'a [u32] {
        items(self.starts, row)
    }

    /// Pixels of each span of a row.
    pub(in crate::stage) fn lengths(&self, row: usize) -> &'a [u32] {
        items(self.lengths, row)
    }
}

fn numbers<T: ArrowPrimitiveType>(batch: &RecordBatch, column: usize) -> &PrimitiveArray<T> {
    batch.column(column).as_primitive()
}

fn items(list: &ListArray, row: usize) -> &[u32] {
    let offsets = list.value_offsets();
    let values = list.values().as_primitive::<UInt32Type>().values();
    &values[offsets[row] as usize..offsets[row + 1] as usize]
}

/// The rows to read.
pub(in crate::stage) struct Annotations<'a> {
    pub(in crate::stage) context: &'a Context,
    pub(in crate::stage) source: &'a Tables,
    pub(in crate::stage) manifest: &'a Manifest,
}

impl Annotations<'_> {
    fn scan<'b>(&'b self, columns: &'b [&'b str]) -> impl Iterator<Item = Result<RecordBatch, Error>> + 'b {
        self.source.scan((&ANNOTATIONS).into(), self.manifest, Some(columns))
    }

    /// One pass over neighbours. `give` says `false` when nobody wants more.
    pub(in crate::stage) fn contiguous(&self, give: &mut dyn FnMut(Portion) -> bool) -> Result<End, Error> {
        let mut seen: HashMap<Box<str>, ()> = HashMap::new();
        let mut open = Open::default();
        let mut current = String::new();
        for batch in self.scan(&COLUMNS) {
            check(&self.context.cancel)?;
            let batch = batch?;
            let piece = Piece::of(&batch);
            open.pieces.push(batch.clone());
            for row in 0..batch.num_rows() {
                let id = piece.ids.value(row);
                if id != current || seen.is_empty() {
                    if seen.insert(id.into(), ()).is_some() {
                        return Ok(End::Scattered);
                    }
                    current.replace_range(.., id);
                    if open.weight >= PORTION_BYTES {
                        let whole = open.cut();
                        open.pieces.push(batch.clone());
                        if !give(whole) {
                            return Ok(End::Whole);
                        }
                    }
                    open.first = open.places.len();
                    open.images.push(open.first..open.first);
                }
                open.add(row, 8 * piece.starts(row).len());
            }
        }
        if !open.places.is_empty() {
            give(open.cut());
        }
        Ok(End::Whole)
    }

    /// Two passes and buckets between them, for rows in any order.
    pub(in crate::stage) fn scattered(&self, give: &mut dyn FnMut(Portion) -> bool) -> Result<(), Error> {
        let mut numbers: HashMap<Box<str>, u32> = HashMap::new();
        let mut weights: Vec<u64> = Vec::new();
        for batch in self.scan(&["image_id", "lengths"]) {
            check(&self.context.cancel)?;
            let batch = batch?;
            let (ids, lengths) = (batch.column(0).as_string::<i32>(), batch.column(1).as_list::<i32>());
            for row in 0..batch.num_rows() {
                let next = weights.len() as u32;
                let number = *numbers.entry(ids.value(row).into()).or_insert(next);
                if number == next {
                    weights.push(0);
                }
                weights[number as usize] += 8 * lengths.value_length(row) as u64 + 64;
            }
        }
        let (bucket_of, count) = spill::ranges(&weights, PORTION_BYTES as u64);
        let mut buckets = Buckets::create(count)?;
        for batch in self.scan(&COLUMNS) {
            check(&self.context.cancel)?;
            let batch = batch?;
            let piece = Piece::of(&batch);
            for row in 0..batch.num_rows() {
                let number = numbers.get(piece.ids.value(row)).copied().unwrap_or_default();
                let bytes = frame(number, &piece, row);
                buckets.push(usize::from(bucket_of[number as usize]), &bytes)?;
            }
        }
        drop(numbers);
        for bucket in buckets.drain() {
            check(&self.context.cancel)?;
            if !give(unframe(&bucket?)?) {
                break;
            }
        }
        Ok(())
    }
}

/// A portion being gathered.
#[derive(Default)]
struct Open {
    pieces: Vec<RecordBatch>,
    places: Vec<(u32, u32)>,
    images: Vec<Range<usize>>,
    first: usize,
    weight: usize,
}

impl Open {
    fn add(&mut self, row: usize, weight: usize) {
        self.places.push((self.pieces.len() as u32 - 1, row as u32));
        if let Some(image) = self.images.last_mut() {
            image.end = self.places.len();
        }
        self.weight += weight;
    }

    fn cut(&mut self) -> Portion {
        let Open { pieces, places, images, .. } = std::mem::take(self);
        Portion { pieces, places, images }
    }
}

/// Bytes of a spilled row before its id and spans.
const FRAME: usize = 41;

/// A row as it goes to a bucket.
fn frame(number: u32, piece: &Piece<'_>, row: usize) -> Vec<u8> {
    let (id, starts, lengths) = (piece.ids.value(row), piece.starts(row), piece.lengths(row));
    let mut bytes = Vec::with_capacity(FRAME + id.len() + 8 * starts.len());
    for value in [
        number,
        piece.heights.value(row),
        piece.widths.value(row),
        starts.len() as u32,
        lengths.len() as u32,
        id.len() as u32,
    ] {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&piece.areas.value(row).to_le_bytes());
    bytes.extend_from_slice(&piece.rows.value(row).to_le_bytes());
    bytes.push(piece.classes.value(row));
    bytes.extend_from_slice(id.as_bytes());
    for value in starts.iter().chain(lengths) {
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// The rows of a bucket, which this process wrote, as one piece with the rows of an image side by side.
fn unframe(data: &[u8]) -> Result<Portion, Error> {
    let short = |at: usize| u32::from_le_bytes(std::array::from_fn(|byte| data[at + byte]));
    let long = |at: usize| u64::from_le_bytes(std::array::from_fn(|byte| data[at + byte]));
    let mut frames: Vec<(u32, usize)> = Vec::new();
    let mut at = 0;
    while at < data.len() {
        frames.push((short(at), at));
        at += FRAME + short(at + 20) as usize + 4 * (short(at + 12) + short(at + 16)) as usize;
    }
    frames.sort_unstable();
    let column = |of: &dyn Fn(usize) -> u32| UInt32Array::from_iter_values(frames.iter().map(|(_, at)| of(*at)));
    let ids = frames.iter().map(|(_, at)| {
        let first = at + FRAME;
        Some(std::str::from_utf8(&data[first..first + short(at + 20) as usize]).unwrap_or_default())
    });
    let schema = ANNOTATIONS.schema();
    let list = |name: &str, count: usize, before: Option<usize>| -> Result<ArrayRef, Error> {
        let (mut values, mut offsets) = (Vec::new(), vec![0_i32]);
        for (_, at) in &frames {
            let first =
                at + FRAME + short(at + 20) as usize + 4 * before.map_or(0, |before| short(at + before) as usize);
            values.extend((0..short(at + count) as usize).map(|nth| short(first + 4 * nth)));
            offsets.push(values.len() as i32);
        }
        let item = match schema.field_with_name(name).map(|field| field.data_type()) {
            Ok(DataType::List(item)) => Arc::clone(item),
            _ => return Err(Error::Failed(format!("the column {name} is declared as no list"))),
        };
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let list = ListArray::try_new(item, offsets, Arc::new(UInt32Array::from(values)), None);
        Ok(Arc::new(list.map_err(crate::table::Error::from)?))
    };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids.collect::<StringArray>()),
        Arc::new(UInt8Array::from_iter_values(frames.iter().map(|(_, at)| data[at + 40]))),
        Arc::new(column(&|at| short(at + 4))),
        Arc::new(column(&|at| short(at + 8))),
        list("starts", 12, None)?,
        list("lengths", 16, Some(12))?,
        Arc::new(UInt64Array::from_iter_values(frames.iter().map(|(_, at)| long(at + 24)))),
        Arc::new(UInt64Array::from_iter_values(frames.iter().map(|(_, at)| long(at + 32)))),
    ];
    let mut fields = Vec::with_capacity(COLUMNS.len());
    for name in COLUMNS {
        fields.push(schema.field_with_name(name).map_err(crate::table::Error::from)?.clone());
    }
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(crate::table::Error::from)?;
    let mut images: Vec<Range<usize>> = Vec::new();
    for (row, (number, _)) in frames.iter().enumerate() {
        match images.last_mut().filter(|_| frames[row - 1].0 == *number) {
            Some(image) => image.end = row + 1,
            None => images.push(row..row + 1),
        }
    }
    let places = (0..frames.len() as u32).map(|row| (0, row)).collect();
    Ok(Portion { pieces: vec![batch], places, images })
}
