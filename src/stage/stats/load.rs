//! The rows of the tables that questions name, as frames: those columns only that some question may use. Must not know what
//! is asked.

use super::photos::Photos;
use super::tables::{Found, Open, Source, Version, is_used};
use super::{Question, changes, runs};
use crate::clock;
use crate::stage::{Context, Error, check};
use crate::table::schema::{ATTEMPTS, IMAGES, Table};
use crate::table::{self, Manifest, frame, labels, part};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray, UInt8Array, UInt16Array, UInt32Array};
use arrow::datatypes::{DataType, Field, Schema, TimestampMillisecondType, UInt32Type, UInt64Type};
use polars::prelude::DataFrame;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// The frames of the found tables. `stats` has rows of this report too, and is given.
pub(super) fn load<'a>(
    found: &'a [Found],
    questions: &[&Question],
    present: Option<&HashSet<String>>,
    context: &Context,
) -> Result<Vec<(&'a str, DataFrame)>, Error> {
    let mut frames = Vec::with_capacity(found.len());
    let photos = photos(found, questions, present, context)?;
    for entry in found {
        let batches = match entry.open.source {
            Source::Stats => continue,
            Source::Labels => vec![class_list()?],
            Source::Attributes => vec![attribute_list()?],
            Source::Runs => vec![runs::rows(&entry.runs, context)?],
            Source::Changes => {
                let versions: Vec<&Manifest> = entry.versions.iter().map(|version| &version.manifest).collect();
                vec![changes::rows(&versions, context)?]
            }
            Source::Images => vec![photos.images()?],
            Source::Duplicates => vec![photos.duplicates()?],
            Source::Stored(_) | Source::Folders(..) | Source::Attempts => stored(entry, questions, context)?,
        };
        let batches: Vec<RecordBatch> = batches.iter().map(readable).collect::<Result<_, _>>()?;
        frames.push((entry.name(), frame::of(&batches)?));
    }
    Ok(frames)
}

/// The photos, when a question is about them; duplicates are looked for only when one asks for them.
fn photos(
    found: &[Found],
    questions: &[&Question],
    present: Option<&HashSet<String>>,
    context: &Context,
) -> Result<Photos, Error> {
    let entries = || found.iter().filter(|entry| matches!(entry.open.source, Source::Images | Source::Duplicates));
    let compared = entries().any(|entry| {
        matches!(entry.open.source, Source::Duplicates)
            || ["group", "alike"].iter().any(|column| is_used(entry.open, column, questions))
    });
    let mut columns = vec!["key"];
    for entry in entries() {
        let used = entry.open.columns.iter().filter(|column| is_used(entry.open, column, questions));
        columns.extend(used.filter(|column| **column != "key"));
    }
    if compared {
        columns.retain(|column| *column != "content");
        columns.extend(["content", "look"]);
    }
    let version = entries().find_map(|entry| entry.versions.first());
    Photos::read(version, &columns, empty(&IMAGES, &columns)?, present, compared, context)
}

/// The used columns of a table of the store, with those that are computed.
fn stored(entry: &Found, questions: &[&Question], context: &Context) -> Result<Vec<RecordBatch>, Error> {
    let open = entry.open;
    let used = |column: &&&str| is_used(open, column, questions);
    let mut columns: Vec<&str> = open.columns.iter().filter(used).copied().collect();
    if columns.is_empty() {
        columns.push(open.columns[0]); // Rows are counted.
    }
    let shapes = shapes(entry, questions, context)?;
    if shapes.is_some() && !columns.contains(&"row") {
        columns.push("row");
    }
    let finish = |batch| match &shapes {
        Some(shapes) => with_shapes(&batch, shapes),
        None => Ok(batch),
    };
    let mut batches = Vec::new();
    for version in &entry.versions {
        for (manifest, names) in pieces(open, version) {
            for batch in context.tables.scan(version.place(), &manifest, Some(&columns)) {
                check(&context.cancel)?;
                batches.push(with_texts(&finish(batch?)?, &names)?);
            }
        }
    }
    if batches.is_empty() {
        let table = schema_of(open).ok_or_else(|| Error::Failed(format!("{} has no schema", open.name)))?;
        let names: Vec<_> = levels(open).iter().map(|level| (*level, String::new())).collect();
        batches.push(with_texts(&finish(empty(table, &columns)?)?, &names)?);
    }
    Ok(batches)
}

fn schema_of(open: &Open) -> Option<&'static Table> {
    match open.source {
        Source::Stored(table) | Source::Folders(table, _) => Some(table),
        Source::Attempts => Some(&ATTEMPTS),
        _ => None,
    }
}

/// The columns before a table's own that say where rows come from.
fn levels(open: &Open) -> &'static [&'static str] {
    match open.source {
        Source::Folders(_, levels) => levels,
        Source::Attempts => &["pipeline", "stage"],
        _ => &[],
    }
}

/// What is read of a version: its parts, and what the columns before hold. Of attempts those of each stage's newest run.
fn pieces(open: &Open, version: &Version) -> Vec<(Manifest, Vec<(&'static str, String)>)> {
    let named = |place: &str| levels(open).iter().copied().zip(place.split('/').map(str::to_owned)).collect();
    if !matches!(open.source, Source::Attempts) {
        let (_, place) = version.folder.split_once('/').unwrap_or_default();
        return vec![(version.manifest.clone(), named(place))];
    }
    // Parts are marked pipeline/stage/run, and runs are named by when they began.
    let mut newest: BTreeMap<&str, &str> = BTreeMap::new();
    for part in &version.manifest.parts {
        let Some((stage, run)) = part.stage.rsplit_once('/') else { continue };
        let known = newest.entry(stage).or_default();
        *known = run.max(known);
    }
    let pieces = newest.iter().map(|(stage, run)| {
        let mut manifest = version.manifest.clone();
        manifest.parts.retain(|part| part.stage.rsplit_once('/') == Some((stage, run)));
        (manifest, named(stage))
    });
    pieces.collect()
}

/// Where the mask of each row of annotations lies: spans, left, top, right and bottom, by row.
type Shapes = HashMap<u64, [u32; 5]>;

/// These, when a question may use them.
fn shapes(entry: &Found, questions: &[&Question], context: &Context) -> Result<Option<Shapes>, Error> {
    if !entry.open.made.iter().any(|column| is_used(entry.open, column, questions)) {
        return Ok(None);
    }
    let mut shapes = Shapes::new();
    if let Some(version) = &entry.shapes {
        for batch in context.tables.scan(version.place(), &version.manifest, None) {
            let batch = batch?;
            let rows = batch.column(0).as_primitive::<UInt64Type>();
            let sides: [_; 5] = std::array::from_fn(|side| batch.column(side + 1).as_primitive::<UInt32Type>());
            for row in 0..batch.num_rows() {
                shapes.insert(rows.value(row), sides.map(|side| side.value(row)));
            }
        }
    }
    Ok(Some(shapes))
}

/// Rows of annotations with where their masks lie.
fn with_shapes(batch: &RecordBatch, shapes: &Shapes) -> Result<RecordBatch, Error> {
    let missing = || Error::Failed("the table annotations was read without its column row".to_owned());
    let rows = batch.column_by_name("row").ok_or_else(missing)?.as_primitive::<UInt64Type>().values();
    let of = |side: usize| rows.iter().map(move |row| shapes.get(row).map_or(0, |shape| shape[side]));
    let columns = ["spans", "left", "top", "right", "bottom"].into_iter().enumerate();
    let columns = columns.map(|(side, name)| (name, Arc::new(UInt32Array::from_iter_values(of(side))) as ArrayRef));
    with_columns(batch, columns)
}

/// A batch with further columns behind its own.
pub(super) fn with_columns<'a>(
    batch: &RecordBatch,
    more: impl Iterator<Item = (&'a str, ArrayRef)>,
) -> Result<RecordBatch, Error> {
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    for (name, column) in more {
        fields.push(Arc::new(Field::new(name, column.data_type().clone(), true)));
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(table::Error::from)?)
}

/// A batch with columns of one text each.
fn with_texts(batch: &RecordBatch, texts: &[(&str, String)]) -> Result<RecordBatch, Error> {
    let column = |text: &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, batch.num_rows())))
    };
    with_columns(batch, texts.iter().map(|(name, text)| (*name, column(text))))
}

/// No rows of some columns.
fn empty(table: &Table, columns: &[&str]) -> Result<RecordBatch, table::Error> {
    let schema = table.schema();
    let whole = part::empty(table);
    let places = columns.iter().map(|column| schema.index_of(column)).collect::<Result<Vec<_>, _>>()?;
    Ok(whole.project(&places)?)
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

fn class_list() -> Result<RecordBatch, Error> {
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
    Ok(RecordBatch::try_from_iter(columns).map_err(table::Error::from)?)
}

fn attribute_list() -> Result<RecordBatch, Error> {
    let attributes = &labels::ATTRIBUTES;
    let texts = |of: fn(&labels::Attribute) -> &'static str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(attributes.iter().map(of)))
    };
    let columns: [(&str, ArrayRef); 3] = [
        ("attribute_id", Arc::new(UInt16Array::from_iter_values(attributes.iter().map(|attribute| attribute.id)))),
        ("name", texts(|attribute| attribute.name)),
        ("supercategory", texts(|attribute| attribute.supercategory)),
    ];
    Ok(RecordBatch::try_from_iter(columns).map_err(table::Error::from)?)
}
