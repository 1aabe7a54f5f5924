//! Answers for the terminal and for programs. Pure.

use super::{Answer, Checked, Findings};
use crate::page::report::{CheckOutcome, Severity};
use serde_json::{Value, json as object};

/// Everything as aligned columns: what failed before all else, then each answer; numbers to the right, text to the left.
pub fn text(findings: &Findings) -> String {
    let mut text = String::new();
    for checked in findings.failed() {
        let word = if checked.rule.severity == Severity::Block { "BLOCKED" } else { "WARNING" };
        text.push_str(&format!("{word}: {}\n{}\n", checked.question.title, checked.rule.advice));
        answer(&checked.answer, &mut text);
        text.push('\n');
    }
    for asked in &findings.asked {
        text.push_str(&format!("{}\n", asked.answer.title));
        answer(&asked.answer, &mut text);
        text.push('\n');
    }
    for Checked { question, outcome, .. } in &findings.checks {
        match outcome {
            CheckOutcome::Passed => text.push_str(&format!("check passed: {}\n", question.title)),
            CheckOutcome::NotAsked(why) => text.push_str(&format!("check not asked: {}: {why}\n", question.title)),
            CheckOutcome::Failed => {}
        }
    }
    text.push_str(&format!("{}\n", findings.summary()));
    text
}

fn answer(answer: &Answer, text: &mut String) {
    if !answer.question.is_empty() {
        text.push_str(&format!("{}\n", answer.question));
    }
    if !answer.absent.is_empty() {
        text.push_str(&format!("(not in the store, taken as empty: {})\n", answer.absent.join(", ")));
    }
    text.push('\n');
    table(answer, text);
}

fn table(answer: &Answer, text: &mut String) {
    if answer.rows.is_empty() {
        text.push_str("no rows\n");
        return;
    }
    let mut lines: Vec<Vec<String>> = vec![answer.columns.iter().map(|column| column.name.clone()).collect()];
    lines.extend(answer.rows.iter().map(|row| row.iter().map(cell).collect()));
    let width = |column: usize| lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<usize> = (0..answer.columns.len()).map(|column| width(column).unwrap_or(0)).collect();
    let numeric: Vec<bool> = (0..answer.columns.len())
        .map(|column| {
            answer.rows.iter().filter_map(|row| row.get(column)).all(|value| value.is_number() || value.is_null())
        })
        .collect();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .zip(&numeric)
            .map(
                |((cell, width), numeric)| if *numeric { format!("{cell:>width$}") } else { format!("{cell:<width$}") },
            )
            .collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
}

/// One value as text, on one line.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.replace(['\n', '\r', '\t'], " "),
        Value::Array(values) => values.iter().map(cell).collect::<Vec<_>>().join(" "),
        other => other.to_string(),
    }
}

/// The answers as one JSON value: a list of objects, each with its name, its words, its columns, and its rows as objects
/// from column to value.
pub fn json<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Value {
    let row = |answer: &Answer, row: &Vec<Value>| -> Value {
        let pairs = answer.columns.iter().zip(row).map(|(column, value)| (column.name.clone(), value.clone()));
        Value::Object(pairs.collect())
    };
    let answers = answers.into_iter().map(|answer| {
        object!({
            "name": answer.name,
            "title": answer.title,
            "question": answer.question,
            "grain": answer.grain,
            "columns": answer.columns,
            "absent": answer.absent,
            "rows": answer.rows.iter().map(|values| row(answer, values)).collect::<Vec<_>>(),
        })
    });
    Value::Array(answers.collect())
}
