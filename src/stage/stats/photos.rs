//! The table of images as questions see it: one row a photo that is there, with its image, and the photo that it duplicates;
//! and the table of duplicates. Must not know any question.

use super::tables::Version;
use crate::image::Look;
use crate::stage::photos::alike::{Alike, alike};
use crate::stage::{Context, Error, check};
use crate::table;
use arrow::array::{ArrayRef, AsArray, Float32Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// Photos as they are known, and which of them duplicate others.
pub(super) struct Photos {
    /// One row a photo, ascending by key.
    rows: RecordBatch,
    alike: Vec<Alike>,
}

impl Photos {
    /// Reads some columns of all photos, or of those that are `present`; `compared` says whether duplicates are looked for.
    pub(super) fn read(
        version: Option<&Version>,
        columns: &[&str],
        empty: RecordBatch,
        present: Option<&HashSet<String>>,
        compared: bool,
        context: &Context,
    ) -> Result<Self, Error> {
        let mut batches = vec![empty];
        if let Some(version) = version {
            for batch in context.tables.scan(version.place(), &version.manifest, Some(columns)) {
                check(&context.cancel)?;
                batches.push(batch?);
            }
        }
        let wrong = |error: arrow::error::ArrowError| Error::from(table::Error::from(error));
        let all = concat_batches(&batches[0].schema(), &batches).map_err(wrong)?;
        let keys = texts(&all, "key")?;
        // The last row of a photo counts.
        let last: BTreeMap<&str, u32> = keys.iter().flatten().zip(0..).collect();
        let is_there = |key: &&str| present.is_none_or(|present| present.contains(*key));
        let order: Vec<u32> = last.iter().filter(|(key, _)| is_there(key)).map(|(_, row)| *row).collect();
        let rows = take_record_batch(&all, &UInt32Array::from(order)).map_err(wrong)?;
        let alike = if compared { compare(&rows)? } else { Vec::new() };
        Ok(Self { rows, alike })
    }

    /// The table `images`.
    pub(super) fn images(&self) -> Result<RecordBatch, Error> {
        let of: HashMap<&str, &Alike> = self.alike.iter().map(|alike| (alike.key.as_str(), alike)).collect();
        let keys = texts(&self.rows, "key")?;
        let image = keys.iter().map(|key| key.map(image_of)).collect::<StringArray>();
        let group = keys.iter().map(|key| key.map(|key| of.get(key).map_or(key, |alike| alike.of.as_str())));
        let kind = keys.iter().map(|key| of.get(key?).map(|alike| alike.kind.word()));
        let made: [(&str, ArrayRef); 3] = [
            ("image_id", Arc::new(image)),
            ("group", Arc::new(group.collect::<StringArray>())),
            ("alike", Arc::new(kind.collect::<StringArray>())),
        ];
        super::load::with_columns(&self.rows, made.into_iter())
    }

    /// The table `duplicates`.
    pub(super) fn duplicates(&self) -> Result<RecordBatch, Error> {
        let text = |of: &dyn Fn(&Alike) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(self.alike.iter().map(of)))
        };
        let columns: [(&str, ArrayRef); 7] = [
            ("key", text(&|alike| alike.key.clone())),
            ("image_id", text(&|alike| image_of(&alike.key).to_owned())),
            ("of", text(&|alike| alike.of.clone())),
            ("of_image_id", text(&|alike| image_of(&alike.of).to_owned())),
            ("kind", text(&|alike| alike.kind.word().to_owned())),
            ("bits", Arc::new(UInt32Array::from_iter_values(self.alike.iter().map(|alike| alike.bits)))),
            ("colour", Arc::new(Float32Array::from_iter_values(self.alike.iter().map(|alike| alike.colour)))),
        ];
        Ok(RecordBatch::try_from_iter(columns).map_err(table::Error::from)?)
    }
}

/// The image that a photo is of: its file's name without folders and ending.
fn image_of(key: &str) -> &str {
    let file = key.rsplit('/').next().unwrap_or_default();
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

fn texts<'a>(batch: &'a RecordBatch, column: &str) -> Result<&'a StringArray, Error> {
    let missing = || Error::Failed(format!("the table images was read without its column {column}"));
    batch.column_by_name(column).and_then(|column| column.as_string_opt()).ok_or_else(missing)
}

/// Which photos duplicate others; those whose content was never read are like none.
fn compare(rows: &RecordBatch) -> Result<Vec<Alike>, Error> {
    let (keys, contents, looks) = (texts(rows, "key")?, texts(rows, "content")?, texts(rows, "look")?);
    let parsed: Vec<Option<Look>> = looks.iter().map(|look| look.and_then(Look::parse)).collect();
    let photos = keys.iter().zip(contents.iter()).zip(&parsed);
    Ok(alike(photos.filter_map(|((key, content), look)| Some((key?, content?, look.as_ref())))))
}
