//! Arrow batches to polars frames without a copy. Must not know what the columns mean.

use super::Error;
use arrow::array::{Array, RecordBatch};
use polars::prelude::{Column, DataFrame, PlSmallStr, Series};

/// The batches as one frame, one after the other.
pub fn of(batches: &[RecordBatch]) -> Result<DataFrame, Error> {
    let mut whole: Option<DataFrame> = None;
    for batch in batches {
        let frame = of_batch(batch)?;
        match &mut whole {
            None => whole = Some(frame),
            Some(whole) => {
                whole.vstack_mut_owned(frame)?;
            }
        }
    }
    Ok(whole.unwrap_or_default())
}

/// One batch as a frame.
pub fn of_batch(batch: &RecordBatch) -> Result<DataFrame, Error> {
    let mut columns = Vec::with_capacity(batch.num_columns());
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let name = PlSmallStr::from_str(field.name());
        columns.push(Column::from(Series::from_arrow(name, import(array.as_ref())?)?));
    }
    Ok(DataFrame::new(batch.num_rows(), columns)?)
}

/// One array handed over through Arrow's C data interface, which both crates implement.
#[allow(
    unsafe_code,
    reason = "the C data interface is the only way between the two crates, and it is unsafe by nature"
)]
fn import(array: &dyn Array) -> Result<Box<dyn polars_arrow::array::Array>, Error> {
    let (array, schema) = arrow::ffi::to_ffi(&array.to_data())?;
    // SAFETY: both sides are `repr(C)` structs of the same published layout; each is moved, so that exactly one side releases it.
    unsafe {
        let array: polars_arrow::ffi::ArrowArray = std::mem::transmute(array);
        let schema: polars_arrow::ffi::ArrowSchema = std::mem::transmute(schema);
        let field = polars_arrow::ffi::import_field_from_c(&schema)?;
        Ok(polars_arrow::ffi::import_array_from_c(array, field.dtype)?)
    }
}
