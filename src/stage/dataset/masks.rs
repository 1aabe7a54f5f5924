//! The masks and splits of a store, image by image, small enough that those of a whole dataset fit in memory. Must not know
//! photos.

use crate::image::raster::ClassSpans;
use crate::stage::tables::Place;
use crate::stage::{Context, Error, check};
use crate::table::schema::{MASKS, SPLITS};
use arrow::array::AsArray;
use arrow::datatypes::{UInt8Type, UInt32Type, UInt64Type};
use std::collections::{BTreeMap, BTreeSet};

const COLUMNS: [&str; 7] = ["image_id", "height", "width", "classes", "lengths", "class_ids", "class_pixels"];

/// The masks of one image, packed: a real image has thousands of spans, and a dataset tens of thousands of images.
pub(super) struct Masks {
    pub(super) height: u32,
    pub(super) width: u32,
    pub(super) class_ids: Vec<u8>,
    pub(super) class_pixels: Vec<u64>,
    pub(super) packed: Vec<u8>,
    pub(super) spans: usize,
}

/// The spans of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans {
    /// Height of the image in pixels.
    pub height: u32,
    /// Width of the image in pixels.
    pub width: u32,
    /// The class of each span: 0 background, class id + 1, 255 void.
    pub classes: Vec<u8>,
    /// Pixels of each span, column-major; they add up to the image.
    pub lengths: Vec<u32>,
}

impl Spans {
    /// The spans as the room `image` takes them.
    pub fn view(&self) -> ClassSpans<'_> {
        ClassSpans { height: self.height, width: self.width, classes: &self.classes, lengths: &self.lengths }
    }

    pub(super) fn unpack(height: u32, width: u32, packed: &[u8], spans: usize) -> Result<Self, Error> {
        let failed = |detail: String| Error::Failed(format!("masks that were packed in memory are damaged: {detail}"));
        let bytes = zstd::bulk::decompress(packed, spans * 5).map_err(|error| failed(error.to_string()))?;
        if bytes.len() != spans * 5 {
            return Err(failed(format!("{} bytes for {spans} spans", bytes.len())));
        }
        let (classes, planes) = bytes.split_at(spans);
        let mut lengths = vec![0_u32; spans];
        for (plane, shift) in planes.chunks_exact(spans.max(1)).zip([0, 8, 16, 24]) {
            for (length, byte) in lengths.iter_mut().zip(plane) {
                *length |= u32::from(*byte) << shift;
            }
        }
        Ok(Self { height, width, classes: classes.to_vec(), lengths })
    }
}

/// Classes, then the lowest byte of every length, then the next ones: neighbours are alike, and compress.
fn pack(classes: &[u8], lengths: &[u32]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::with_capacity(classes.len() * 5);
    bytes.extend_from_slice(classes);
    for shift in [0, 8, 16, 24] {
        bytes.extend(lengths.iter().map(|length| (length >> shift) as u8));
    }
    zstd::bulk::compress(&bytes, 1).map_err(|error| Error::Failed(format!("masks cannot be packed: {error}")))
}

/// The split of every image, and the names of all splits.
pub(super) fn splits(context: &Context) -> Result<(BTreeMap<String, String>, Vec<String>), Error> {
    let version = context.tables.current(&SPLITS)?.ok_or_else(|| super::missing("splits", "split", context))?;
    let mut split_of = BTreeMap::new();
    let mut known = BTreeSet::new();
    for batch in context.tables.scan(Place::from(&SPLITS), &version, Some(&["image_id", "split"])) {
        let batch = batch?;
        let (ids, splits) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        for row in 0..batch.num_rows() {
            split_of.insert(ids.value(row).to_owned(), splits.value(row).to_owned());
            if !known.contains(splits.value(row)) {
                known.insert(splits.value(row).to_owned());
            }
        }
    }
    Ok((split_of, known.into_iter().collect()))
}

/// The masks of the images that are wanted.
pub(super) fn read<T>(wanted: &BTreeMap<String, T>, context: &Context) -> Result<BTreeMap<String, Masks>, Error> {
    let version = context.tables.current(&MASKS)?.ok_or_else(|| super::missing("masks", "merge", context))?;
    let mut found = BTreeMap::new();
    for batch in context.tables.scan(Place::from(&MASKS), &version, Some(&COLUMNS)) {
        check(&context.cancel)?;
        let batch = batch?;
        let ids = batch.column(0).as_string::<i32>();
        let number = |column: usize, row: usize| batch.column(column).as_primitive::<UInt32Type>().value(row);
        let list = |column: usize, row: usize| batch.column(column).as_list::<i32>().value(row);
        for row in 0..batch.num_rows() {
            if !wanted.contains_key(ids.value(row)) {
                continue;
            }
            let (classes, lengths) = (list(3, row), list(4, row));
            let classes = classes.as_primitive::<UInt8Type>().values();
            let masks = Masks {
                height: number(1, row),
                width: number(2, row),
                class_ids: list(5, row).as_primitive::<UInt8Type>().values().to_vec(),
                class_pixels: list(6, row).as_primitive::<UInt64Type>().values().to_vec(),
                packed: pack(classes, lengths.as_primitive::<UInt32Type>().values())?,
                spans: classes.len(),
            };
            found.insert(ids.value(row).to_owned(), masks);
        }
    }
    Ok(found)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn packed_spans_come_back_as_they_were() {
        for spans in [0, 1, 5000_usize] {
            let classes: Vec<u8> = (0..spans).map(|index| (index % 29) as u8).collect();
            let lengths: Vec<u32> = (0..spans).map(|index| (index as u32).wrapping_mul(2_654_435_761)).collect();
            let unpacked = Spans::unpack(7, 9, &pack(&classes, &lengths).unwrap(), spans).unwrap();
            assert_eq!(unpacked, Spans { height: 7, width: 9, classes, lengths });
        }
        assert!(Spans::unpack(1, 1, &[1, 2, 3], 4).is_err());
    }
}
