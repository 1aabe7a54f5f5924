//! An answer as text that people can review: one line a row. Must not know what was asked.

use super::header::File;
use polars::prelude::{AnyValue, DataFrame};
use selvedge::table::sql;
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Asks a file of the tables.
pub fn ask(file: &File, tables: &[(&str, DataFrame)]) -> DataFrame {
    sql::query(&file.name, &file.text, tables).unwrap_or_else(|error| panic!("{error}"))
}

/// The names of the columns.
pub fn columns(answer: &DataFrame) -> Vec<String> {
    answer.get_column_names().iter().map(|name| name.to_string()).collect()
}

/// The rows as JSON.
pub fn rows(answer: &DataFrame) -> Vec<Vec<Value>> {
    let row = |index: usize| answer.columns().iter().map(|column| value(&column.get(index).unwrap())).collect();
    (0..answer.height()).map(row).collect()
}

/// The columns with their types and the rows, as a JSON text with one line a row.
pub fn text(answer: &DataFrame) -> String {
    let types: Vec<String> = answer.columns().iter().map(|column| column.dtype().to_string()).collect();
    let mut text =
        format!("{{\n \"columns\": {},\n \"types\": {},\n \"rows\": [", json!(columns(answer)), json!(types));
    for (index, row) in rows(answer).into_iter().enumerate() {
        write!(text, "{}\n  {}", if index == 0 { "" } else { "," }, Value::Array(row)).unwrap();
    }
    text + "\n ]\n}\n"
}

fn value(value: &AnyValue) -> Value {
    match value {
        AnyValue::Null => Value::Null,
        AnyValue::Boolean(it) => json!(it),
        AnyValue::String(it) => json!(it),
        AnyValue::StringOwned(it) => json!(it.as_str()),
        AnyValue::UInt8(it) => json!(it),
        AnyValue::UInt16(it) => json!(it),
        AnyValue::UInt32(it) => json!(it),
        AnyValue::UInt64(it) => json!(it),
        AnyValue::Int32(it) => json!(it),
        AnyValue::Int64(it) => json!(it),
        AnyValue::Float32(it) if it.is_finite() => json!(it),
        AnyValue::Float64(it) if it.is_finite() => json!(it),
        other => panic!(
            "{other:?}: an answer holds finite numbers, truth values and texts; divide by NULLIF, or cast the column"
        ),
    }
}
