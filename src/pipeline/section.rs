//! One table of a pipeline file, read key by key: every value with its line, every key that nobody asked for an error that
//! names the nearest known one. Must not know which keys there are.

use super::Error;
use super::pairs::Pairs;
use super::params::Params;
use std::cell::RefCell;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The file being read: its name and text for messages, its parameters for filling values in.
pub struct Source<'a> {
    /// The file's name.
    pub file: &'a Path,
    /// Its whole text.
    pub text: &'a str,
    /// What `{name}` stands for.
    pub params: &'a Params,
}

impl Source<'_> {
    /// The line that a byte of the text lies in, from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }

    fn error(&self, offset: usize, detail: String) -> Error {
        Error::Line { file: self.file.to_owned(), line: self.line(offset), detail }
    }
}

/// A table of the file.
pub struct Section<'a> {
    source: &'a Source<'a>,
    name: String,
    offset: usize,
    table: &'a DeTable<'a>,
    asked: RefCell<Vec<&'static str>>,
}

impl<'a> Section<'a> {
    /// Reads a table; `name` is how messages call it.
    pub fn new(source: &'a Source<'a>, name: impl Into<String>, offset: usize, table: &'a DeTable<'a>) -> Self {
        Self { source, name: name.into(), offset, table, asked: RefCell::default() }
    }

    fn get(&self, key: &'static str) -> Option<(&'a Spanned<DeValue<'a>>, usize)> {
        self.asked.borrow_mut().push(key);
        let value = self.table.get(key)?;
        Some((value, value.span().start))
    }

    /// An error at this section's head.
    pub fn error(&self, detail: impl Into<String>) -> Error {
        self.source.error(self.offset, format!("[{}] {}", self.name, detail.into()))
    }

    /// An error at a key's value.
    pub fn error_at(&self, key: &str, detail: impl Into<String>) -> Error {
        let offset = self.table.get(key).map_or(self.offset, |value| value.span().start);
        self.source.error(offset, format!("{key}: {}", detail.into()))
    }

    fn wrong(&self, key: &str, offset: usize, found: &DeValue<'_>, wanted: &str) -> Error {
        self.source.error(offset, format!("{key} must be {wanted}, not {}", found.type_str()))
    }

    /// A string with its parameters filled in.
    pub fn text(&self, key: &'static str) -> Result<Option<String>, Error> {
        let Some((value, offset)) = self.get(key) else { return Ok(None) };
        let Some(text) = value.get_ref().as_str() else {
            return Err(self.wrong(key, offset, value.get_ref(), "a string"));
        };
        self.fill(key, offset, text).map(Some)
    }

    /// A string that must be there.
    pub fn required_text(&self, key: &'static str) -> Result<String, Error> {
        self.text(key)?.ok_or_else(|| self.error(format!("needs {key}")))
    }

    fn fill(&self, key: &str, offset: usize, text: &str) -> Result<String, Error> {
        self.source.params.fill(text).map_err(|detail| self.source.error(offset, format!("{key}: {detail}")))
    }

    /// A string or a list of strings.
    pub fn texts(&self, key: &'static str) -> Result<Option<Vec<String>>, Error> {
        let Some((value, offset)) = self.get(key) else { return Ok(None) };
        if let Some(text) = value.get_ref().as_str() {
            return Ok(Some(vec![self.fill(key, offset, text)?]));
        }
        let Some(values) = value.get_ref().as_array() else {
            return Err(self.wrong(key, offset, value.get_ref(), "a string or a list of strings"));
        };
        let mut texts = Vec::new();
        for value in values.iter() {
            let Some(text) = value.get_ref().as_str() else {
                return Err(self.wrong(key, value.span().start, value.get_ref(), "a list of strings"));
            };
            texts.push(self.fill(key, value.span().start, text)?);
        }
        Ok(Some(texts))
    }

    /// A number.
    pub fn float(&self, key: &'static str) -> Result<Option<f64>, Error> {
        let Some((value, offset)) = self.get(key) else { return Ok(None) };
        let number = number_text(value.get_ref()).and_then(|text| text.replace('_', "").parse().ok());
        number.map(Some).ok_or_else(|| self.wrong(key, offset, value.get_ref(), "a number"))
    }

    /// A string or a whole number, as text.
    pub fn word_or_number(&self, key: &'static str) -> Result<Option<String>, Error> {
        match self.get(key) {
            Some((value, _)) if value.get_ref().as_integer().is_some() => Ok(number_text(value.get_ref())),
            _ => self.text(key),
        }
    }

    /// Two whole numbers.
    pub fn pair(&self, key: &'static str) -> Result<Option<(u32, u32)>, Error> {
        let Some(numbers) = self.floats(key)? else { return Ok(None) };
        let whole = |number: f64| (number.fract() == 0.0 && (0.0..=4e9).contains(&number)).then_some(number as u32);
        match numbers.as_slice() {
            [one, other] => match (whole(*one), whole(*other)) {
                (Some(one), Some(other)) => Ok(Some((one, other))),
                _ => Err(self.error_at(key, "takes two whole numbers")),
            },
            _ => Err(self.error_at(key, "takes two whole numbers")),
        }
    }

    /// A list of numbers.
    pub fn floats(&self, key: &'static str) -> Result<Option<Vec<f64>>, Error> {
        let Some((value, offset)) = self.get(key) else { return Ok(None) };
        let Some(values) = value.get_ref().as_array() else {
            return Err(self.wrong(key, offset, value.get_ref(), "a list of numbers"));
        };
        let mut numbers = Vec::new();
        for value in values.iter() {
            let number = number_text(value.get_ref()).and_then(|text| text.parse().ok());
            let wrong = || self.wrong(key, value.span().start, value.get_ref(), "a list of numbers");
            numbers.push(number.ok_or_else(wrong)?);
        }
        Ok(Some(numbers))
    }

    /// A whole number from 0.
    pub fn number(&self, key: &'static str) -> Result<Option<u64>, Error> {
        let Some((value, offset)) = self.get(key) else { return Ok(None) };
        let number =
            value.get_ref().as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        number.map(Some).ok_or_else(|| self.wrong(key, offset, value.get_ref(), "a whole number from 0"))
    }

    /// True or false.
    pub fn flag(&self, key: &'static str) -> Result<Option<bool>, Error> {
        let Some((value, offset)) = self.get(key) else { return Ok(None) };
        value.get_ref().as_bool().map(Some).ok_or_else(|| self.wrong(key, offset, value.get_ref(), "true or false"))
    }

    /// A table within this one.
    pub fn section(&self, key: &'static str) -> Result<Option<Section<'a>>, Error> {
        let Some((value, offset)) = self.get(key) else { return Ok(None) };
        let table = value.get_ref().as_table().ok_or_else(|| self.wrong(key, offset, value.get_ref(), "a table"))?;
        Ok(Some(Section::new(self.source, key, offset, table)))
    }

    /// The tables of `[[key]]`, in the order of the file.
    pub fn sections(&self, key: &'static str) -> Result<Vec<Section<'a>>, Error> {
        let Some((value, offset)) = self.get(key) else { return Ok(Vec::new()) };
        let wrong = |found: &DeValue<'_>| self.wrong(key, offset, found, &format!("a list of tables ([[{key}]])"));
        let values = value.get_ref().as_array().ok_or_else(|| wrong(value.get_ref()))?;
        let mut sections = Vec::new();
        for value in values.iter() {
            let table = value.get_ref().as_table().ok_or_else(|| wrong(value.get_ref()))?;
            sections.push(Section::new(self.source, key, value.span().start, table));
        }
        Ok(sections)
    }

    /// Every key and its value as text, for tables whose keys are the user's (parameters, store options).
    pub fn entries(&self) -> Result<Vec<(String, String)>, Error> {
        let mut entries = Vec::new();
        for (key, value) in self.table {
            let (name, offset) = (key.get_ref().to_string(), value.span().start);
            let text = match value.get_ref() {
                DeValue::String(text) => self.fill(&name, offset, text)?,
                DeValue::Boolean(flag) => flag.to_string(),
                DeValue::Datetime(date) => date.to_string(),
                other => number_text(other).ok_or_else(|| self.wrong(&name, offset, other, "a plain value"))?,
            };
            entries.push((name, text));
        }
        Ok(entries)
    }

    /// The same as pairs, to be read by those who take words from the command line too.
    pub fn pairs(&self) -> Result<Pairs, Error> {
        self.entries().map(Pairs::new)
    }

    /// Whether a key holds a table.
    pub fn is_table(&self, key: &str) -> bool {
        self.table.get(key).is_some_and(|value| value.get_ref().is_table())
    }

    /// Ends the reading: a key that was never asked for is an error with the nearest known one.
    pub fn finish(&self) -> Result<(), Error> {
        let asked = self.asked.borrow();
        for (key, _) in self.table {
            let name: &str = key.get_ref();
            if !asked.contains(&name) {
                let hint = super::nearest(name, asked.iter().copied());
                let detail = format!("unknown key {name} in [{}]{hint}", self.name);
                return Err(self.source.error(key.span().start, detail));
            }
        }
        Ok(())
    }
}

fn number_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}
