//! Settings as pairs of a key and a text, as a table of a pipeline file and `KEY=VALUE,…` on the command line both give
//! them: read key by key, and a key that nobody asked for is an error that names the nearest known one. Must not know which
//! keys there are.

use super::nearest;
use std::str::FromStr;

/// Pairs that are being read.
pub struct Pairs {
    pairs: Vec<(String, String)>,
    asked: Vec<&'static str>,
}

impl Pairs {
    /// Pairs as they stand in a file.
    pub fn new(pairs: Vec<(String, String)>) -> Self {
        Self { pairs, asked: Vec::new() }
    }

    /// Pairs as they are written on the command line: `key=value,key=value`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
            let (key, value) = pair.split_once('=').ok_or_else(|| format!("{pair:?} is not KEY=VALUE"))?;
            if pairs.iter().any(|(earlier, _)| earlier == key.trim()) {
                return Err(format!("{} is given twice", key.trim()));
            }
            pairs.push((key.trim().to_owned(), value.trim().to_owned()));
        }
        Ok(Self::new(pairs))
    }

    /// The text of a key.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        self.asked.push(key);
        self.pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone())
    }

    /// A value that is written as `wanted` says.
    pub fn value<T: FromStr>(&mut self, key: &'static str, wanted: &str) -> Result<Option<T>, String> {
        let Some(text) = self.text(key) else { return Ok(None) };
        text.replace('_', "").parse().map(Some).map_err(|_| format!("{key}: {text:?} is not {wanted}"))
    }

    /// A number within bounds.
    pub fn number(&mut self, key: &'static str, least: f32, most: f32) -> Result<Option<f32>, String> {
        let number: Option<f32> = self.value(key, "a number")?;
        match number {
            Some(number) if !(least..=most).contains(&number) => {
                Err(format!("{key}: {number} is not from {least} to {most}"))
            }
            number => Ok(number),
        }
    }

    /// True or false.
    pub fn flag(&mut self, key: &'static str) -> Result<Option<bool>, String> {
        self.value(key, "true or false")
    }

    /// What a word stands for.
    pub fn word<T>(
        &mut self,
        key: &'static str,
        known: &[&str],
        find: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(word) = self.text(key) else { return Ok(None) };
        let unknown = || format!("{key}: there is no {word:?}{}", nearest(&word, known.iter().copied()));
        find(&word).map(Some).ok_or_else(unknown)
    }

    /// Ends the reading.
    pub fn finish(self) -> Result<(), String> {
        let unknown = self.pairs.iter().find(|(key, _)| !self.asked.contains(&key.as_str()));
        unknown.map_or(Ok(()), |(key, _)| Err(format!("unknown key {key}{}", nearest(key, self.asked.iter().copied()))))
    }
}
