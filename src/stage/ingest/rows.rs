//! Judged rows as Arrow batches of the table `annotations`. Must not know where they go.

use super::checks::Fate;
use super::judge::{Chunk, Row};
use super::records::Record;
use crate::stage::Error;
use crate::table::schema::ANNOTATIONS;
use arrow::array::{
    ArrayRef, ListArray, RecordBatch, StringArray, StringBuilder, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Schema};
use std::sync::Arc;

/// The kept rows of one chunk, and their weight in bytes. `data` is the batch's buffer.
pub(super) fn batch(
    data: &[u8],
    records: &[Record],
    mut chunk: Chunk,
    fates: &[Fate],
) -> Result<Option<(RecordBatch, usize)>, Error> {
    if fates.iter().any(|fate| *fate != Fate::Kept) {
        keep(&mut chunk, fates);
    }
    let rows = &chunk.rows;
    if rows.is_empty() {
        return Ok(None);
    }
    let schema = ANNOTATIONS.schema();
    let weight = 8 * chunk.starts.len() + 64 * rows.len();
    let ids: StringArray =
        rows.iter().map(|row| std::str::from_utf8(&data[row.id.clone()]).ok()).map(|id| id.or(Some(""))).collect();
    let notes = notes(rows, &schema)?;
    let spans = |row: &Row| row.spans.len();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(ids),
        // `checks` lets only classes of the list pass, which fit a byte.
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.class as u8))),
        list(&schema, 2, rows, |row| row.attributes.len(), Arc::new(UInt16Array::from(chunk.attributes)))?,
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.height))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.width))),
        list(&schema, 5, rows, spans, Arc::new(UInt32Array::from(chunk.starts)))?,
        list(&schema, 6, rows, spans, Arc::new(UInt32Array::from(chunk.lengths)))?,
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.area))),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| records[row.record].row))),
        notes,
    ];
    let batch = RecordBatch::try_new(schema, columns).map_err(crate::table::Error::from)?;
    Ok(Some((batch, weight)))
}

/// Leaves out all rows but the kept ones, and their spans with them.
fn keep(chunk: &mut Chunk, fates: &[Fate]) {
    let mut kept = Chunk::default();
    for (row, _) in chunk.rows.iter().zip(fates).filter(|(_, fate)| **fate == Fate::Kept) {
        let (first, first_attribute) = (kept.starts.len(), kept.attributes.len());
        kept.starts.extend_from_slice(&chunk.starts[row.spans.clone()]);
        kept.lengths.extend_from_slice(&chunk.lengths[row.spans.clone()]);
        kept.attributes.extend_from_slice(&chunk.attributes[row.attributes.clone()]);
        kept.rows.push(Row {
            spans: first..kept.starts.len(),
            attributes: first_attribute..kept.attributes.len(),
            ..row.clone()
        });
    }
    *chunk = kept;
}

fn list(
    schema: &Schema,
    column: usize,
    rows: &[Row],
    length: impl Fn(&Row) -> usize,
    values: ArrayRef,
) -> Result<ArrayRef, Error> {
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(length));
    wrap(schema, column, offsets, values)
}

fn wrap(schema: &Schema, column: usize, offsets: OffsetBuffer<i32>, values: ArrayRef) -> Result<ArrayRef, Error> {
    let DataType::List(item) = schema.field(column).data_type() else {
        let name = schema.field(column).name();
        return Err(Error::Failed(format!("the column {name} is declared as no list")));
    };
    let list = ListArray::try_new(Arc::clone(item), offsets, values, None).map_err(crate::table::Error::from)?;
    Ok(Arc::new(list))
}

fn notes(rows: &[Row], schema: &Schema) -> Result<ArrayRef, Error> {
    let mut codes = StringBuilder::new();
    let mut offsets: Vec<i32> = Vec::with_capacity(rows.len() + 1);
    offsets.push(0);
    let mut count = 0;
    for row in rows {
        for note in row.notes.iter() {
            codes.append_value(note.code());
            count += 1;
        }
        offsets.push(count);
    }
    wrap(schema, 9, OffsetBuffer::new(ScalarBuffer::from(offsets)), Arc::new(codes.finish()))
}
