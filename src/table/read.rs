//! The bytes of a Parquet part in, Arrow batches out, by the schema's rules: the own major version only, unknown columns
//! ignored, missing minor ones filled. Must not know where the bytes came from.

use super::Error;
use super::schema::{SCHEMA_KEY, Table};
use arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use std::sync::Arc;

/// Rows in one batch read, at most.
const BATCH_ROWS: usize = 4096;
/// Bytes in one batch read, as encoded and before compression: rows of many spans come in smaller batches.
const BATCH_BYTES: i64 = 1 << 20;

/// Batches of one part, in order.
pub struct Batches {
    inner: ParquetRecordBatchReader,
    schema: SchemaRef,
}

/// Opens a part. `columns` names what to read (all of the table's when `None`), in the order wanted.
pub fn batches(table: &Table, bytes: Bytes, columns: Option<&[&str]>) -> Result<Batches, Error> {
    open(table, bytes, columns, None)
}

/// Opens one row group of a part.
pub fn row_group(table: &Table, bytes: Bytes, group: usize) -> Result<Batches, Error> {
    open(table, bytes, None, Some(group))
}

fn open(table: &Table, bytes: Bytes, columns: Option<&[&str]>, group: Option<usize>) -> Result<Batches, Error> {
    let mut builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let metadata = builder.metadata().file_metadata().key_value_metadata();
    let tag = metadata
        .and_then(|pairs| pairs.iter().find(|pair| pair.key == SCHEMA_KEY))
        .and_then(|pair| pair.value.as_deref());
    check_tag(table, tag.unwrap_or("no schema of selvedge"))?;
    let full = table.schema();
    let wanted: Vec<Arc<Field>> = match columns {
        None => full.fields().iter().cloned().collect(),
        Some(names) => {
            let mut fields = Vec::with_capacity(names.len());
            for name in names {
                let field =
                    full.field_with_name(name).map_err(|_| missing(table, name, "no such column is declared"))?;
                fields.push(Arc::new(field.clone()));
            }
            fields
        }
    };
    let stored = builder.parquet_schema();
    let roots: Vec<usize> = stored
        .root_schema()
        .get_fields()
        .iter()
        .enumerate()
        .filter(|(_, column)| wanted.iter().any(|field| field.name() == column.name()))
        .map(|(index, _)| index)
        .collect();
    let mask = ProjectionMask::roots(stored, roots);
    let groups = builder.metadata().row_groups();
    let heaviest = groups.iter().map(|group| group.total_byte_size() / group.num_rows().max(1)).max().unwrap_or(0);
    let rows = usize::try_from(BATCH_BYTES / heaviest.max(1)).unwrap_or(1).clamp(1, BATCH_ROWS);
    if let Some(group) = group {
        builder = builder.with_row_groups(vec![group]);
    }
    let inner = builder.with_projection(mask).with_batch_size(rows).build()?;
    Ok(Batches { inner, schema: Arc::new(Schema::new(wanted)) })
}

/// Refuses another table or another major version.
pub fn check_tag(table: &Table, tag: &str) -> Result<(), Error> {
    let major = tag
        .split_once('/')
        .filter(|(name, _)| *name == table.name)
        .and_then(|(_, version)| version.split('.').next()?.parse::<u32>().ok());
    if major == Some(table.major) {
        return Ok(());
    }
    Err(Error::OtherMajor { table: table.name.to_owned(), found: tag.to_owned(), major: table.major })
}

fn missing(table: &Table, column: &str, detail: &str) -> Error {
    Error::Column { table: table.name.to_owned(), column: column.to_owned(), detail: detail.to_owned() }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match self.inner.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error.into())),
        };
        Some(conform(&self.schema, &batch))
    }
}

/// The batch in the declared order and types; a column that an older minor version lacks is null or empty.
fn conform(schema: &SchemaRef, batch: &RecordBatch) -> Result<RecordBatch, Error> {
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = match batch.column_by_name(field.name()) {
            Some(column) if column.data_type() == field.data_type() => Arc::clone(column),
            Some(column) => relabel(field, column)?,
            None if field.is_nullable() => new_null_array(field.data_type(), batch.num_rows()),
            None => {
                let detail = "absent, and it has no default".to_owned();
                return Err(Error::Column { table: "the part".to_owned(), column: field.name().clone(), detail });
            }
        };
        columns.push(column);
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

/// Takes a column whose type differs only in how its items are named or may be null (other writers call them `element`).
fn relabel(field: &Field, column: &ArrayRef) -> Result<ArrayRef, Error> {
    let same = match (field.data_type(), column.data_type()) {
        (DataType::List(wanted), DataType::List(found)) => wanted.data_type() == found.data_type(),
        _ => false,
    };
    if !same {
        return Err(Error::Column {
            table: "the part".to_owned(),
            column: field.name().clone(),
            detail: format!("found {}, expected {}", column.data_type(), field.data_type()),
        });
    }
    let data = column.to_data().into_builder().data_type(field.data_type().clone()).build()?;
    Ok(arrow::array::make_array(data))
}
