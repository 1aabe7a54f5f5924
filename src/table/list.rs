//! A list that somebody else made, as CSV or Parquet: one of its columns as texts. Must not know what the texts name.

use super::Error;
use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

/// The first of the wanted columns that the list has, and its values in order; empty ones are left out.
pub fn column(name: &str, bytes: Bytes, wanted: &[&'static str]) -> Result<(&'static str, Vec<String>), Error> {
    if bytes.starts_with(b"PAR1") { of_parquet(name, bytes, wanted) } else { of_csv(name, &bytes, wanted) }
}

fn refuse(name: &str, detail: impl Into<String>) -> Error {
    Error::List { name: name.to_owned(), detail: detail.into() }
}

fn find(name: &str, wanted: &[&'static str], found: &[String]) -> Result<(&'static str, usize), Error> {
    let at = |wanted: &&'static str| Some((*wanted, found.iter().position(|column| column.trim() == *wanted)?));
    let missing = || refuse(name, format!("has no column {}, only {}", wanted.join(" or "), found.join(", ")));
    wanted.iter().find_map(at).ok_or_else(missing)
}

fn of_csv(name: &str, bytes: &[u8], wanted: &[&'static str]) -> Result<(&'static str, Vec<String>), Error> {
    let mut reader = csv::Reader::from_reader(bytes);
    let wrong = |error: csv::Error| refuse(name, error.to_string());
    let columns: Vec<String> = reader
        .headers()
        .map_err(wrong)?
        .iter()
        .map(|column| column.trim_start_matches('\u{feff}').to_owned())
        .collect();
    let (column, at) = find(name, wanted, &columns)?;
    let mut values = Vec::new();
    for record in reader.records() {
        let record = record.map_err(wrong)?;
        values.extend(record.get(at).filter(|value| !value.is_empty()).map(str::to_owned));
    }
    Ok((column, values))
}

fn of_parquet(name: &str, bytes: Bytes, wanted: &[&'static str]) -> Result<(&'static str, Vec<String>), Error> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
    let columns: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
    let (column, at) = find(name, wanted, &columns)?;
    let mut values = Vec::new();
    for batch in builder.build()? {
        let batch = batch?;
        let texts = batch.column(at);
        let mut take = |text: Option<&str>| values.extend(text.filter(|text| !text.is_empty()).map(str::to_owned));
        match texts.data_type() {
            DataType::Utf8 => texts.as_string::<i32>().iter().for_each(&mut take),
            DataType::LargeUtf8 => texts.as_string::<i64>().iter().for_each(&mut take),
            DataType::Utf8View => texts.as_string_view().iter().for_each(&mut take),
            other => return Err(refuse(name, format!("the column {column} holds {other}, not text"))),
        }
    }
    Ok((column, values))
}
