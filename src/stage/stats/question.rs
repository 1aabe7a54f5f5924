//! One SQL file as a question or a check: its header, the words it uses, and its answer as plain values. Pure.

use super::{Answer, AnswerColumn};
use crate::page::plot::Plot;
use crate::page::report::Severity;
use crate::stage::Error;
use crate::table;
use polars::prelude::{AnyValue, DataFrame};
use std::collections::BTreeSet;

/// Words that a line of the header begins with, besides `column NAME`.
const KEYS: [&str; 10] =
    ["title", "question", "grain", "section", "chart", "numbers", "keep", "optional", "severity", "advice"];

/// Figures of an answer that are kept for later reports: for each row one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keep {
    /// What they are called, such as `class_share`.
    pub figure: String,
    /// The column that says what each figure is of; none where the answer has one row.
    pub item: Option<String>,
    /// The column that holds them.
    pub value: String,
}

/// What makes a question a check: its answer is to have no rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Whether rows block what the tables are used for, or are told only.
    pub severity: Severity,
    /// What to do about them.
    pub advice: String,
}

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// The file's name without its ending.
    pub name: String,
    /// The title; the name where the file gives none.
    pub title: String,
    /// The question in words.
    pub question: String,
    /// What one row of the answer is.
    pub grain: String,
    /// Which part of the report it belongs to, and which section of that: `Dataset / Classes`.
    pub section: (String, String),
    /// How the answer is drawn.
    pub plot: Option<Plot>,
    /// The columns of label and value, when the rows are headline figures.
    pub numbers: Option<(String, String)>,
    /// What is kept of the answer.
    pub keeps: Vec<Keep>,
    /// Tables that it can do without: it is asked of those that are there.
    pub optional: Vec<String>,
    /// Whether it is a check, and which.
    pub rule: Option<Rule>,
    /// What each column of the answer holds.
    pub meanings: Vec<AnswerColumn>,
    /// The file's text.
    pub text: String,
    /// The tables that the query names, as it spells them.
    pub tables: BTreeSet<String>,
    /// Every word of the query outside comments and strings, in lower case: names of columns among them.
    pub words: BTreeSet<String>,
    /// Whether the query asks for all columns (`*` other than in `COUNT(*)` and products).
    pub star: bool,
}

impl Question {
    /// Reads a file; one in a folder `checks` is a check.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let name = file.strip_suffix(".sql").unwrap_or(file).to_owned();
        let refuse = |error: polars::error::PolarsError| table::Error::Query {
            name: file.to_owned(),
            detail: error.to_string(),
        };
        let tables = polars::sql::extract_table_identifiers(text, false, true).map_err(refuse)?;
        let (words, star) = words(text);
        let mut parsed = Self {
            title: name.clone(),
            name,
            question: String::new(),
            grain: String::new(),
            section: ("Dataset".to_owned(), "More".to_owned()),
            plot: None,
            numbers: None,
            keeps: Vec::new(),
            optional: Vec::new(),
            rule: None,
            meanings: Vec::new(),
            text: text.to_owned(),
            tables: tables.into_iter().collect(),
            words,
            star,
        };
        let mut rule = Rule { severity: Severity::Warn, advice: String::new() };
        for line in text.lines().map(str::trim).take_while(|line| line.starts_with("--") || line.is_empty()) {
            let Some((key, value)) = line.trim_start_matches('-').split_once(':') else { continue };
            let wrong =
                |detail: String| Error::Usage(format!("{file}: `{}`: {detail}", line.trim_start_matches("-- ")));
            let value = value.trim();
            match key.trim() {
                "title" => value.clone_into(&mut parsed.title),
                "question" => value.clone_into(&mut parsed.question),
                "grain" => value.clone_into(&mut parsed.grain),
                "section" => {
                    let (part, section) = value.split_once('/').unwrap_or((value, "Overview"));
                    parsed.section = (part.trim().to_owned(), section.trim().to_owned());
                }
                "chart" => parsed.plot = Plot::parse(value).map_err(wrong)?,
                "numbers" => {
                    let pairs = pairs(value).map_err(wrong)?;
                    let [("label", label), ("value", value)] = pairs[..] else {
                        return Err(wrong("write numbers: label=COLUMN value=COLUMN".to_owned()));
                    };
                    parsed.numbers = Some((label.to_owned(), value.to_owned()));
                }
                "keep" => parsed.keeps.push(keep(value).map_err(wrong)?),
                "optional" => parsed.optional = value.split(',').map(|table| table.trim().to_owned()).collect(),
                "severity" => {
                    rule.severity = match value {
                        "block" => Severity::Block,
                        "warn" => Severity::Warn,
                        _ => return Err(wrong("it is either block or warn".to_owned())),
                    }
                }
                "advice" => value.clone_into(&mut rule.advice),
                key => {
                    if let Some(column) = key.strip_prefix("column ") {
                        let column = AnswerColumn { name: column.trim().to_owned(), meaning: value.to_owned() };
                        parsed.meanings.push(column);
                    } else if let Some(meant) = KEYS.iter().find(|known| strsim::damerau_levenshtein(key, known) <= 2) {
                        // Other comments are free; a misspelt severity must not turn a check into a warning.
                        return Err(wrong(format!("did you mean {meant}?")));
                    }
                }
            }
        }
        if let Some(("checks", name)) = parsed.name.rsplit_once('/') {
            if parsed.title == parsed.name {
                name.clone_into(&mut parsed.title);
            }
            parsed.name = name.to_owned();
            parsed.rule = Some(rule);
        }
        Ok(parsed)
    }

    /// Columns that the header names and the answer must have.
    fn promised(&self) -> impl Iterator<Item = &str> {
        let plot = self.plot.iter().flat_map(Plot::columns);
        let numbers = self.numbers.iter().flat_map(|(label, value)| [label.as_str(), value.as_str()]);
        let keeps = self.keeps.iter().flat_map(|keep| keep.item.as_deref().into_iter().chain([keep.value.as_str()]));
        plot.chain(numbers).chain(keeps)
    }

    /// The answer as plain values.
    pub(super) fn answered(&self, frame: &DataFrame, absent: Vec<String>) -> Result<Answer, Error> {
        let meaning = |name: &str| {
            let known = self.meanings.iter().find(|column| column.name == name);
            known.map_or_else(String::new, |column| column.meaning.clone())
        };
        let names = frame.get_column_names();
        if let Some(column) = self.promised().find(|column| !names.iter().any(|name| name.as_str() == *column)) {
            let detail = format!("its header speaks of a column {column}, and the answer has none of that name");
            return Err(table::Error::Query { name: self.name.clone(), detail }.into());
        }
        let columns =
            names.iter().map(|name| AnswerColumn { name: name.to_string(), meaning: meaning(name) }).collect();
        let mut rows = Vec::with_capacity(frame.height());
        for row in 0..frame.height() {
            let mut values = Vec::with_capacity(names.len());
            for column in frame.columns() {
                values.push(plain(&column.get(row).map_err(table::Error::from)?));
            }
            rows.push(values);
        }
        Ok(Answer {
            name: self.name.clone(),
            title: self.title.clone(),
            question: self.question.clone(),
            grain: self.grain.clone(),
            columns,
            rows,
            absent,
        })
    }
}

/// `key=value key=value`
fn pairs(text: &str) -> Result<Vec<(&str, &str)>, String> {
    text.split_whitespace()
        .map(|pair| pair.split_once('=').ok_or_else(|| format!("{pair}: write KEY=COLUMN")))
        .collect()
}

fn keep(text: &str) -> Result<Keep, String> {
    let wanted = || "write keep: FIGURE item=COLUMN value=COLUMN; item may be left out".to_owned();
    let (figure, rest) = text.split_once(char::is_whitespace).ok_or_else(wanted)?;
    let (mut item, mut value) = (None, None);
    for (key, column) in pairs(rest)? {
        match key {
            "item" => item = Some(column.to_owned()),
            "value" => value = Some(column.to_owned()),
            _ => return Err(wanted()),
        }
    }
    Ok(Keep { figure: figure.to_owned(), item, value: value.ok_or_else(wanted)? })
}

/// A value of polars as JSON; what JSON cannot say (no number, infinity) is null.
fn plain(value: &AnyValue<'_>) -> serde_json::Value {
    match value {
        AnyValue::Null => serde_json::Value::Null,
        AnyValue::Boolean(value) => (*value).into(),
        AnyValue::String(value) => (*value).into(),
        AnyValue::StringOwned(value) => value.as_str().into(),
        AnyValue::UInt8(value) => (*value).into(),
        AnyValue::UInt16(value) => (*value).into(),
        AnyValue::UInt32(value) => (*value).into(),
        AnyValue::UInt64(value) => (*value).into(),
        AnyValue::Int32(value) => (*value).into(),
        AnyValue::Int64(value) => (*value).into(),
        // Through its shortest text, so that 0.1 stays 0.1.
        AnyValue::Float32(value) => value.to_string().parse::<f64>().map_or(serde_json::Value::Null, Into::into),
        AnyValue::Float64(value) => (*value).into(),
        AnyValue::List(values) => values.iter().map(|value| plain(&value)).collect(),
        other => other.to_string().into(),
    }
}

/// The words of a query outside comments and strings, in lower case, and whether it asks for all columns.
fn words(text: &str) -> (BTreeSet<String>, bool) {
    let mut words = BTreeSet::new();
    let mut star = false;
    let mut before = String::new(); // The word or sign before, in lower case.
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let is_word = |sign: char| sign.is_alphanumeric() || sign == '_';
        let taken = if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if matches!(first, '\'' | '"' | '`') {
            let end = rest[1..].find(first).map_or(rest.len(), |end| end + 2);
            if first != '\'' {
                words.insert(rest[1..end].trim_end_matches(first).to_lowercase());
            }
            before = "quoted".to_owned();
            end
        } else if is_word(first) {
            let end = rest.find(|sign| !is_word(sign)).unwrap_or(rest.len());
            before = rest[..end].to_lowercase();
            words.insert(before.clone());
            end
        } else {
            if first == '*' {
                star |= matches!(before.as_str(), "select" | "distinct" | "all" | "," | ".");
            }
            if !first.is_whitespace() {
                before = first.to_string();
            }
            first.len_utf8()
        };
        rest = &rest[taken..];
    }
    (words, star)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read() {
        let text = "-- title: A title: with a colon\n-- grain: one row\n-- column n: how many, rows\nSELECT COUNT(*) AS n FROM masks";
        let question = Question::parse("how_many.sql", text).unwrap();
        assert_eq!(
            (question.name.as_str(), question.title.as_str(), question.grain.as_str()),
            ("how_many", "A title: with a colon", "one row")
        );
        assert_eq!(question.meanings, [AnswerColumn { name: "n".to_owned(), meaning: "how many, rows".to_owned() }]);
        assert_eq!(question.tables.iter().collect::<Vec<_>>(), ["masks"]);
    }

    #[test]
    fn only_a_star_that_means_all_columns_counts() {
        for (text, star) in [
            ("SELECT COUNT(*), a * b FROM t -- SELECT *", false),
            ("SELECT '* , *' FROM t", false),
            ("SELECT * FROM t", true),
            ("SELECT t.* FROM t", true),
            ("SELECT a, * FROM t", true),
            ("SELECT DISTINCT * FROM t", true),
        ] {
            assert_eq!(words(text).1, star, "{text}");
        }
    }

    #[test]
    fn words_in_comments_and_strings_are_no_names() {
        let words = words("SELECT \"Where\", a /* b */ FROM t WHERE c = 'd' -- e").0;
        assert!(["where", "a", "t", "c"].iter().all(|word| words.contains(*word)));
        assert!(["b", "d", "e"].iter().all(|word| !words.contains(*word)));
    }
}
