//! masks, splits and photos → a trained model: which pictures come when, at which rate, with which weights and draws; steps,
//! validations and checkpoints. Killed at any moment, it goes on from its last checkpoint as if it had never stopped. Must
//! not know how graphs are made.

mod cache;
mod checkpoint;
mod crop;
mod distort;
mod draws;
mod history;
mod kept;
mod label;
mod loader;
pub mod masks;
pub mod model;
pub mod order;
mod outputs;
mod picture;
mod prepare;
mod progress;
mod run;
pub mod sample;
pub mod schedule;
mod settings;
mod stepper;
pub mod weights;

pub use checkpoint::Keep;
pub use run::run;
pub use settings::{Length, Rates, Settings, Sources, Validation, fingerprint, last};

/// Why training cannot go on as it was set: the settings do not fit together, or do not fit the data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(pub String);

impl From<Mismatch> for super::Error {
    fn from(mismatch: Mismatch) -> Self {
        Self::Usage(mismatch.0)
    }
}

impl From<crate::collective::Error> for super::Error {
    fn from(error: crate::collective::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod fixture {
    use serde_json::Value;

    /// What `tests/fixtures/train/make.py` wrote.
    pub fn read() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/train/cases.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    pub fn whole_numbers(value: &Value) -> Vec<u64> {
        value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
    }

    pub fn numbers(value: &Value) -> Vec<f64> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
    }
}
