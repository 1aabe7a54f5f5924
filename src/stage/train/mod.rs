//! The training loop: which pictures come when, at which rate, with which weights and draws. Must not know how a model is
//! evaluated on full pictures.

mod crop;
mod distort;
mod draws;
mod kept;
mod label;
pub mod masks;
pub mod order;
mod picture;
pub mod sample;
pub mod schedule;
pub mod weights;

/// Why training cannot go on as it was set: the settings do not fit together, or do not fit the data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Mismatch(pub String);

impl From<Mismatch> for super::Error {
    fn from(mismatch: Mismatch) -> Self {
        Self::Usage(mismatch.0)
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
