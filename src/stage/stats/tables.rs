//! What can be queried: tables of the store by their names, and which of their columns. Must not know any question.
//!
//! Spans (`starts`, `lengths`, `classes`) stay closed: they are most of the bytes, and no query says anything with them.
//!
//! | table | columns |
//! |---|---|
//! | `annotations` | `image_id`, `class_id`, `attribute_ids`, `height`, `width`, `area_px`, `row`, `notes` |
//! | `masks` | `image_id`, `height`, `width`, `policy`, `class_ids`, `class_pixels`, `class_annotated`, `conflicted_share`, `rows` |
//! | `quarantine` | `stage`, `item`, `reason`, `detail`, `where` (quote it), `first_seen` (text, UTC) |
//! | `splits` | `image_id`, `split`, `group` (quote it) |
//! | `labels` | `class_id`, `value` (of the class in `masks`), `name`, `supercategory`, `kind` (`main`, `part`), `public_masks` (rows in the public training file) |

use super::Question;
use crate::stage::tables::Place;
use crate::stage::{Context, Error, check};
use crate::table::schema::{ANNOTATIONS, MASKS, QUARANTINE, SPLITS};
use crate::table::{self, Manifest, Table, frame, labels};
use crate::{clock, digest};
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt8Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, TimestampMillisecondType};
use polars::prelude::DataFrame;
use std::sync::Arc;

/// The tables of the store that are open to queries, each with its open columns.
const OPEN: [(&Table, &[&str]); 4] = [
    (&ANNOTATIONS, &["image_id", "class_id", "attribute_ids", "height", "width", "area_px", "row", "notes"]),
    (
        &MASKS,
        &[
            "image_id",
            "height",
            "width",
            "policy",
            "class_ids",
            "class_pixels",
            "class_annotated",
            "conflicted_share",
            "rows",
        ],
    ),
    (&QUARANTINE, &["stage", "item", "reason", "detail", "where", "first_seen"]),
    (&SPLITS, &["image_id", "split", "group"]),
];
/// The class list, offered as a table.
const LABELS: &str = "labels";

/// A table that some question names.
pub struct Found {
    /// Its name.
    pub name: String,
    /// The schema and the columns open to queries; none for the class list.
    stored: Option<(&'static Table, &'static [&'static str])>,
    /// The current version, if it was ever published.
    version: Option<Manifest>,
}

impl Found {
    /// Whether it was never published.
    pub fn is_absent(&self) -> bool {
        self.stored.is_some() && self.version.is_none()
    }

    /// Whether it has a version in the store.
    pub fn is_present(&self) -> bool {
        self.version.is_some()
    }

    /// Of its rows: the checksums of its parts.
    pub(super) fn digest(&self) -> String {
        let parts = self.version.iter().flat_map(|version| &version.parts);
        let parts: Vec<&str> = parts.map(|part| part.blake3.as_str()).collect();
        digest::of(parts.join("\n").as_bytes())
    }
}

/// The tables that the questions name and that there can be, with their current versions. A name that is none of them is
/// left to the query itself: it may be the name of a subquery.
pub(super) fn find(questions: &[Question], context: &Context) -> Result<Vec<Found>, Error> {
    let named = |name: &str| questions.iter().any(|question| question.tables.contains(name));
    let mut found = Vec::new();
    for (table, columns) in OPEN {
        if named(table.name) {
            let version = context.tables.current(table)?;
            found.push(Found { name: table.name.to_owned(), stored: Some((table, columns)), version });
        }
    }
    if named(LABELS) {
        found.push(Found { name: LABELS.to_owned(), stored: None, version: None });
    }
    Ok(found)
}

/// The frames of the found tables, with those columns only that some question may use.
pub(super) fn load<'a>(
    found: &'a [Found],
    questions: &[Question],
    context: &Context,
) -> Result<Vec<(&'a str, DataFrame)>, Error> {
    let mut frames = Vec::with_capacity(found.len());
    for entry in found {
        let Some((table, open)) = entry.stored else {
            frames.push((entry.name.as_str(), frame::of_batch(&class_list()?)?));
            continue;
        };
        let asking: Vec<&Question> = questions.iter().filter(|question| question.tables.contains(table.name)).collect();
        let used = |column: &str| asking.iter().any(|question| question.star || question.words.contains(column));
        let mut columns: Vec<&str> = open.iter().copied().filter(|column| used(column)).collect();
        if columns.is_empty() {
            columns.push(open[0]); // Rows are counted.
        }
        let mut batches = Vec::new();
        if let Some(version) = &entry.version {
            for batch in context.tables.scan(Place::from(table), version, Some(&columns)) {
                check(&context.cancel)?;
                batches.push(readable(&batch?)?);
            }
        }
        if batches.is_empty() {
            batches.push(readable(&empty(table, &columns)?)?);
        }
        frames.push((entry.name.as_str(), frame::of(&batches)?));
    }
    Ok(frames)
}

/// No rows of some columns.
fn empty(table: &Table, columns: &[&str]) -> Result<RecordBatch, table::Error> {
    let schema = table.schema();
    let fields = columns.iter().map(|column| Ok(schema.field_with_name(column)?.clone()));
    let fields = fields.collect::<Result<Vec<_>, arrow::error::ArrowError>>()?;
    Ok(RecordBatch::new_empty(Arc::new(Schema::new(fields))))
}

/// Points in time as text (RFC 3339, UTC), which sorts as they do.
fn readable(batch: &RecordBatch) -> Result<RecordBatch, table::Error> {
    let schema = batch.schema();
    let mut fields = Vec::with_capacity(batch.num_columns());
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let Some(times) = column.as_primitive_opt::<TimestampMillisecondType>() else {
            fields.push(field.as_ref().clone());
            columns.push(Arc::clone(column));
            continue;
        };
        let texts = times.iter().map(|time| Some(clock::Timestamp::from_millisecond(time?).ok()?.to_string()));
        columns.push(Arc::new(texts.collect::<StringArray>()));
        fields.push(Field::new(field.name(), DataType::Utf8, true));
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?)
}

fn class_list() -> Result<RecordBatch, table::Error> {
    let classes = &labels::CLASSES;
    let texts = |of: fn(&labels::Class) -> &'static str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(classes.iter().map(of)))
    };
    let columns: [(&str, ArrayRef); 6] = [
        ("class_id", Arc::new(UInt8Array::from_iter_values(classes.iter().map(|class| class.id)))),
        ("value", Arc::new(UInt8Array::from_iter_values(classes.iter().map(|class| class.id + 1)))),
        ("name", texts(|class| class.name)),
        ("supercategory", texts(|class| class.supercategory)),
        ("kind", texts(|class| if class.main { "main" } else { "part" })),
        ("public_masks", Arc::new(UInt32Array::from_iter_values(classes.iter().map(|class| class.instances)))),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}
