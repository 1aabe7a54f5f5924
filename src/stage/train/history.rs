//! What a training said of itself: a row for each step and for each validation, as they are kept in the table `history`. Must
//! not know how it is drawn.

use crate::stage::Error;
use crate::table::part;
use crate::table::read;
use crate::table::schema::HISTORY;
use arrow::array::{Array, AsArray, Float32Array, Float64Array, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{Float32Type, Float64Type, UInt64Type};
use bytes::Bytes;
use std::sync::Arc;

/// Which part of the data a row speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The batch of one step.
    Train,
    /// A validation.
    Val,
}

impl Part {
    fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
        }
    }
}

/// One step or one validation.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Steps that are done.
    pub step: u64,
    /// Epochs that are done, with their fraction.
    pub epoch: f64,
    /// Of what.
    pub part: Part,
    /// The mean loss over the pixels.
    pub loss: Option<f32>,
    /// The rate of the step.
    pub learning_rate: Option<f32>,
    /// Share of the pixels that are right, 0–1.
    pub pixel_accuracy: Option<f32>,
    /// Mean over the classes, 0–1.
    pub mean_iou: Option<f32>,
    /// Any class but background against background, 0–1.
    pub foreground_iou: Option<f32>,
    /// Wall time.
    pub seconds: f32,
    /// Of which waited for data.
    pub wait_seconds: f32,
}

/// The rows as one Parquet part.
pub fn encode(rows: &[Row]) -> Result<part::Part, Error> {
    let share = |of: fn(&Row) -> Option<f32>| Arc::new(rows.iter().map(of).collect::<Float32Array>());
    let seconds = |of: fn(&Row) -> f32| Arc::new(Float32Array::from_iter_values(rows.iter().map(of)));
    let batch = RecordBatch::try_new(
        HISTORY.schema(),
        vec![
            Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.step))),
            Arc::new(Float64Array::from_iter_values(rows.iter().map(|row| row.epoch))),
            Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.part.word()))),
            share(|row| row.loss),
            share(|row| row.learning_rate),
            share(|row| row.pixel_accuracy),
            share(|row| row.mean_iou),
            share(|row| row.foreground_iou),
            seconds(|row| row.seconds),
            seconds(|row| row.wait_seconds),
        ],
    );
    Ok(part::whole(&HISTORY, &[batch.map_err(crate::table::Error::from)?])?)
}

/// The rows of a part.
pub fn decode(bytes: Bytes) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    for batch in read::batches(&HISTORY, bytes, None)? {
        let batch = batch?;
        let share = |column: usize, row: usize| {
            let values = batch.column(column).as_primitive::<Float32Type>();
            (!values.is_null(row)).then(|| values.value(row))
        };
        let seconds = |column: usize, row: usize| batch.column(column).as_primitive::<Float32Type>().value(row);
        for row in 0..batch.num_rows() {
            let part = if batch.column(2).as_string::<i32>().value(row) == "val" { Part::Val } else { Part::Train };
            rows.push(Row {
                step: batch.column(0).as_primitive::<UInt64Type>().value(row),
                epoch: batch.column(1).as_primitive::<Float64Type>().value(row),
                part,
                loss: share(3, row),
                learning_rate: share(4, row),
                pixel_accuracy: share(5, row),
                mean_iou: share(6, row),
                foreground_iou: share(7, row),
                seconds: seconds(8, row),
                wait_seconds: seconds(9, row),
            });
        }
    }
    Ok(rows)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were() {
        let step = Row {
            step: 7,
            epoch: 0.25,
            part: Part::Train,
            loss: Some(1.5),
            learning_rate: Some(0.01),
            pixel_accuracy: Some(0.5),
            mean_iou: None,
            foreground_iou: None,
            seconds: 0.1,
            wait_seconds: 0.0,
        };
        let val = Row { part: Part::Val, loss: None, foreground_iou: Some(0.9), ..step.clone() };
        let rows = [step, val];
        assert_eq!(decode(encode(&rows).unwrap().bytes).unwrap(), rows);
        assert_eq!(decode(encode(&[]).unwrap().bytes).unwrap(), []);
    }
}
