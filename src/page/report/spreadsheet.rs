//! A table as the text of a CSV file, safe to open in a spreadsheet. Must not know where it is written to.

use super::super::plot::Table;
use super::super::plot::value::cell;
use serde_json::Value;
use std::borrow::Cow;

/// What a spreadsheet takes for the beginning of a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The table as RFC 4180 has it, in UTF-8 and with lines that end in `\n`: a line of names, then one a row. Null is nothing,
/// the values of a list have spaces between them, numbers are as exact as they came. A text that a spreadsheet would take for
/// a formula begins with an apostrophe.
pub fn csv(table: &Table) -> String {
    let mut text = String::new();
    line(&mut text, table.columns.iter().map(|column| defused(&column.name).into_owned()));
    for row in &table.rows {
        line(&mut text, (0..table.columns.len()).map(|place| field(cell(row, place))));
    }
    text
}

fn line(text: &mut String, fields: impl Iterator<Item = String>) {
    let fields: Vec<String> = fields.collect();
    if let [only] = fields.as_slice()
        && only.is_empty()
    {
        // An empty line would be no row.
        text.push_str("\"\"");
    }
    for (index, field) in fields.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&quoted(field));
    }
    text.push('\n');
}

fn field(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::String(text) => defused(text).into_owned(),
        Value::Array(values) => {
            let words = values.iter().map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
            let text = words.collect::<Vec<_>>().join(" ");
            // A list of numbers may begin with a minus.
            if values.first().is_some_and(Value::is_number) { text } else { defused(&text).into_owned() }
        }
        Value::Object(_) => value.to_string(),
    }
}

fn defused(text: &str) -> Cow<'_, str> {
    match text.starts_with(FORMULA) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}

fn quoted(field: &str) -> Cow<'_, str> {
    match field.contains([',', '"', '\n', '\r']) {
        true => Cow::Owned(format!("\"{}\"", field.replace('"', "\"\""))),
        false => Cow::Borrowed(field),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::plot::Column;
    use super::*;
    use serde_json::json;

    fn table(names: &[&str], rows: Vec<Vec<Value>>) -> Table {
        let column = |name: &&str| Column { name: (*name).to_owned(), meaning: String::new() };
        Table { columns: names.iter().map(column).collect(), rows }
    }

    #[test]
    fn values_are_written_as_the_standard_has_them() {
        let rows = vec![
            vec![json!("shirt, blouse"), json!(1), json!(0.1), json!(null), json!(true)],
            vec![json!("say \"hi\"\nthere"), json!(-5), json!(1e300), json!([1, 2, 3]), json!({"a": 1})],
            vec![json!("short")],
        ];
        let text = csv(&table(&["name", "a", "b", "c", "d,e"], rows));
        assert_eq!(
            text,
            "name,a,b,c,\"d,e\"\n\"shirt, blouse\",1,0.1,,true\n\"say \"\"hi\"\"\nthere\",-5,1e+300,1 2 3,\"{\"\"a\"\":1}\"\nshort,,,,\n"
        );
    }

    #[test]
    fn formulas_stay_text_and_numbers_stay_numbers() {
        for (value, wanted) in [
            (json!("=1+1"), "'=1+1"),
            (json!("+1"), "'+1"),
            (json!("-1"), "'-1"),
            (json!("@SUM(A1)"), "'@SUM(A1)"),
            (json!("\t=1"), "'\t=1"),
            (json!(["=1", "b"]), "'=1 b"),
            (json!(-1), "-1"),
            (json!([-1, 2]), "-1 2"),
            (json!("a=1"), "a=1"),
            (json!("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\""),
        ] {
            assert_eq!(csv(&table(&["a"], vec![vec![value]])), format!("a\n{wanted}\n"));
        }
        assert_eq!(csv(&table(&["=a"], Vec::new())), "'=a\n");
    }

    #[test]
    fn a_row_of_one_null_is_still_a_row() {
        assert_eq!(csv(&table(&["a"], vec![vec![Value::Null], vec![json!("")]])), "a\n\"\"\n\"\"\n");
    }
}
