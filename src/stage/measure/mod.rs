//! A network against the labels of a split: windows over each photo, one confusion matrix over all of them, and the figures
//! that it gives. Shared by the validation within a training and the evaluation after it. Must not know how the network is
//! trained, nor where figures are kept.

pub mod boundary;
pub mod confusion;
pub mod enlarge;
pub mod legend;
pub mod look;
pub mod network;
pub mod photos;
pub mod windows;
pub mod wish;

/// Why something cannot be evaluated: what was given does not fit together.
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

    /// What `tests/fixtures/evaluate/make.py` wrote.
    pub fn read(name: &str) -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/evaluate/");
        serde_json::from_slice(&std::fs::read(format!("{path}{name}.json")).unwrap()).unwrap()
    }

    /// Bytes from their hexadecimal digits.
    pub fn bytes(value: &Value) -> Vec<u8> {
        let digits = value.as_str().unwrap().as_bytes();
        let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks_exact(2).map(pair).collect()
    }

    pub fn whole(value: &Value) -> usize {
        value.as_u64().unwrap() as usize
    }

    pub fn floats(value: &Value) -> Vec<f32> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
    }
}
