//! A table of values as an answer gives it, and how a column is read for a chart. Must not know charts.

use super::number;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Beyond these, two values of a chart could be further apart than a number can say.
const FURTHEST: f64 = 1e300;

/// An answer: named columns and rows of values.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// The columns.
    pub columns: Vec<Column>,
    /// The rows: a value a column (null, truth, number, text, list). A row that is shorter ends in nulls.
    pub rows: Vec<Vec<Value>>,
}

/// A column of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds, with its unit; may be empty.
    pub meaning: String,
}

impl Table {
    /// Where a column is.
    pub(super) fn place(&self, name: &str) -> Result<usize, String> {
        self.columns.iter().position(|column| column.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
            format!("the chart names a column {name}, which the answer has not: it has {}", names.join(", "))
        })
    }

    /// A column's values as text, and as they are where it has none.
    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, String> {
        let place = self.place(name)?;
        Ok(self.rows.iter().map(|row| text(cell(row, place))).collect())
    }

    /// A column's numbers; none where a row has no finite one.
    ///
    /// # Errors
    /// Words, where there are rows and none has a number.
    pub(super) fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, String> {
        let place = self.place(name)?;
        let numbers: Vec<Option<f64>> = self.rows.iter().map(|row| as_number(cell(row, place))).collect();
        match numbers.iter().any(Option::is_some) || numbers.is_empty() {
            true => Ok(numbers),
            false => Err(format!("the column {name} holds no numbers, and the chart needs them")),
        }
    }

    /// What a column is called beside an axis or in a legend: its name and its meaning, or the meaning alone where that begins
    /// with the name.
    pub(super) fn called(&self, name: &str) -> String {
        let meaning =
            self.columns.iter().find(|column| column.name == name).map_or("", |column| column.meaning.as_str());
        match meaning.strip_prefix(name) {
            _ if meaning.is_empty() => name.to_owned(),
            Some(rest) if !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_') => meaning.to_owned(),
            _ => format!("{name}: {meaning}"),
        }
    }

    /// Whether all values of a column that are there are numbers, and there is one.
    pub(in super::super) fn is_numeric(&self, place: usize) -> bool {
        let mut values = self.rows.iter().map(|row| cell(row, place)).filter(|value| !value.is_null()).peekable();
        values.peek().is_some() && values.all(Value::is_number)
    }
}

/// A value of a row; null behind its end.
pub(in super::super) fn cell(row: &[Value], place: usize) -> &Value {
    row.get(place).unwrap_or(&Value::Null)
}

/// A value in words for people.
pub(in super::super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "—".to_owned(),
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::Number(number) => number::exact(number),
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
        Value::Object(_) => value.to_string(),
    }
}

fn as_number(value: &Value) -> Option<f64> {
    let number = match value {
        Value::Number(number) => number.as_f64()?,
        Value::Bool(truth) => f64::from(u8::from(*truth)),
        _ => return None,
    };
    number.is_finite().then(|| number.clamp(-FURTHEST, FURTHEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_column_is_called_by_its_name_once() {
        let all = [("share", "share of all rows, 0–1"), ("px", "pixels"), ("train", ""), ("image", "images in it")];
        let columns = all.map(|(name, meaning)| Column { name: name.to_owned(), meaning: meaning.to_owned() });
        let table = Table { columns: columns.to_vec(), rows: Vec::new() };
        let called = ["share", "px", "train", "image", "gone"].map(|name| table.called(name));
        assert_eq!(called, ["share of all rows, 0–1", "px: pixels", "train", "image: images in it", "gone"]);
    }

    #[test]
    fn values_are_words_for_people() {
        let values = [json!(null), json!(true), json!(12_345), json!("a b"), json!(["tie", 2]), json!({"a": 1})];
        let words = values.map(|value| text(&value));
        assert_eq!(words, ["—", "yes", "12\u{202f}345", "a b", "tie 2", "{\"a\":1}"]);
    }

    #[test]
    fn a_row_that_is_too_short_ends_in_nulls() {
        let names = ["a", "b"].map(|name| Column { name: name.to_owned(), meaning: String::new() });
        let table = Table { columns: names.to_vec(), rows: vec![vec![json!(1)], vec![json!(2), json!(3)]] };
        assert_eq!(table.numbers("b"), Ok(vec![None, Some(3.0)]));
        assert!(table.is_numeric(1) && !table.is_numeric(2));
    }
}
