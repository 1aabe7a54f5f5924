//! Evaluations side by side: the table that models are compared by. Must not evaluate anything.

use super::figures::Evaluation;
use super::text::percent;
use super::{CODE_VERSION, FIGURES, SCHEMA};
use crate::digest::Fingerprint;
use crate::event::{Level, note};
use crate::outcome::Counts;
use crate::stage::{Context, Error, Report};
use crate::storage::{self, Store};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// The columns: heading and key.
const COLUMNS: [(&str, &str); 5] = [
    ("aAcc", "aAcc"),
    ("mAcc", "mAcc"),
    ("mIoU", "mIoU"),
    ("foreground IoU", "foreground_iou"),
    ("boundary IoU", "boundary_iou"),
];

/// Evaluations in the order given.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// One a model.
    pub models: Vec<Evaluation>,
}

/// Reads the evaluations in the folders at the roots of some stores.
pub fn compare(models: &[Store]) -> Result<Comparison, Error> {
    let mut read = Vec::with_capacity(models.len());
    for store in models {
        read.push(Evaluation::read(store).map_err(|error| match error {
            Error::Storage(storage::Error::NotFound { .. }) => Error::Usage(format!(
                "{} holds no {FIGURES}; evaluate the model first, then name STORE/models/NAME",
                store.url()
            )),
            other => other,
        })?);
    }
    Ok(Comparison { models: read })
}

/// The file of a comparison, below `models/`.
const COMPARISON: &str = "comparison.json";

/// What a comparison depends on: the figures of each model.
pub fn fingerprint_of(models: &[Store]) -> Result<Fingerprint, Error> {
    let compared = compare(models)?.models;
    Ok(compared.iter().fold(Fingerprint::default().with("code", CODE_VERSION), |parts, model| {
        parts.with(&format!("model {}", model.name), model.fingerprint.digest())
    }))
}

/// What the last comparison that was kept depends on.
pub fn last_comparison(context: &Context) -> Result<Option<Fingerprint>, Error> {
    let store = context.tables.store().child("models");
    let bytes = match store.wait(store.get(COMPARISON)) {
        Ok(bytes) => bytes,
        Err(storage::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    // One that cannot be read is made anew.
    let object: Option<Value> = serde_json::from_slice(&bytes).ok();
    Ok(object.and_then(|mut object| serde_json::from_value(object["fingerprint"].take()).ok()))
}

/// Keeps a comparison as `models/comparison.txt` and `.json`.
pub fn run_comparison(models: &[Store], wanted: &Fingerprint, context: &Context) -> Result<Report, Error> {
    let comparison = compare(models)?;
    if let Some(text) = comparison.unlike() {
        note(&context.events, Level::Warn, text);
    }
    let mut object = comparison.json();
    object["fingerprint"] = json!(wanted);
    (context.fence)()?;
    let store = context.tables.store().child("models");
    let text = comparison.text();
    store.wait(store.put("comparison.txt", text.into()))?;
    store.wait(store.put(COMPARISON, format!("{object:#}\n").into()))?;
    Ok(Report {
        counts: Counts { ok: comparison.models.len() as u64, ..Counts::default() },
        summary: format!("{} models side by side", comparison.models.len()),
        artifacts: vec![store.child("comparison.txt").url().to_owned(), store.child(COMPARISON).url().to_owned()],
    })
}

impl Comparison {
    /// Why the models cannot be compared figure by figure, if they cannot.
    pub fn unlike(&self) -> Option<String> {
        let first = self.models.first()?;
        let other = self.models.iter().find(|other| {
            let data = |of: &Evaluation| {
                let part = |name: &str| of.fingerprint.0.get(name).cloned();
                (of.split.clone(), of.images, of.pixels, part("masks"), part("splits"))
            };
            data(other) != data(first)
        })?;
        Some(format!(
            "{} was evaluated on {} images of {}, and {} on {} of {}, or on other masks: their figures cannot be compared",
            first.name, first.images, first.split, other.name, other.images, other.split
        ))
    }

    /// The table, in per cent.
    pub fn text(&self) -> String {
        let names = self.models.iter().map(|model| model.name.chars().count());
        let width = names.chain(["model".len()]).max().unwrap_or(0);
        let mut text = format!("{:<width$}", "model");
        for (heading, _) in COLUMNS {
            let _ = write!(text, "  {heading:>7}");
        }
        text.push('\n');
        for model in &self.models {
            let _ = write!(text, "{:<width$}", model.name);
            for (heading, key) in COLUMNS {
                let _ = write!(text, "  {:>wide$}", percent(figure(model, key)), wide = heading.len().max(7));
            }
            text.push('\n');
        }
        text
    }

    /// The same as an object.
    pub fn json(&self) -> Value {
        let row = |model: &Evaluation| {
            let mut row = json!({
                "name": model.name,
                "model": model.model,
                "split": model.split,
                "images": model.images,
                "look": model.look,
                "mIoU_common": model.common,
                "images_per_second": model.images_per_second,
            });
            for (_, key) in COLUMNS {
                row[key] = json!(figure(model, key));
            }
            row
        };
        json!({"schema": "selvedge.comparison/1", "of": SCHEMA, "models": self.models.iter().map(row).collect::<Vec<_>>()})
    }
}

fn figure(model: &Evaluation, key: &str) -> Option<f64> {
    if key == "boundary_iou" { model.boundary_iou } else { model.figure(key) }
}
