//! The facts of a file of weights. Must not know graphs in files.

use super::network::{self, NetworkFacts};
use crate::graph::weights::{detect, read_weights};
use crate::graph::{Stock, TensorType};
use crate::stage::Error;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// What a file of weights holds.
#[derive(Clone, Debug, Serialize)]
pub struct WeightsFacts {
    /// The file.
    pub file: String,
    /// Its bytes.
    pub file_bytes: u64,
    /// `safetensors`, `PyTorch checkpoint` or `PyTorch checkpoint (before 1.6)`.
    pub format: &'static str,
    /// Whose names the tensors bear; `None` when nobody's that is known.
    pub naming: Option<String>,
    /// The network that they seem to be of, by their shapes.
    pub network: Option<NetworkFacts>,
    /// All tensors together, counters among them.
    pub total: Stock,
    /// Each tensor, by name.
    pub tensors: Vec<TensorFacts>,
    /// Words of the file; `skipped.NAME` for what stands beside the tensors in a checkpoint.
    pub metadata: BTreeMap<String, String>,
}

/// One tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TensorFacts {
    /// Its name.
    pub name: String,
    /// The type of its elements: `f32`, `i64`, ….
    pub element: String,
    /// Its shape, the slowest axis first.
    pub shape: Vec<usize>,
}

pub(super) fn facts(path: &Path) -> Result<WeightsFacts, Error> {
    let weights = read_weights(path)?;
    let mut total = Stock::default();
    let tensors = weights.tensors.iter().map(|(name, tensor)| {
        total.add(&TensorType::new(tensor.element(), tensor.dims()));
        TensorFacts { name: name.clone(), element: tensor.element().to_string(), shape: tensor.dims().to_vec() }
    });
    let tensors: Vec<TensorFacts> = tensors.collect();
    let naming = detect(weights.tensors.keys().map(String::as_str));
    Ok(WeightsFacts {
        file: path.display().to_string(),
        file_bytes: std::fs::metadata(path).map_or(0, |found| found.len()),
        format: format(path),
        naming: naming.map(|naming| naming.to_string()),
        metadata: weights.metadata.clone(),
        network: naming.and_then(|_| network::of(weights)),
        total,
        tensors,
    })
}

fn format(path: &Path) -> &'static str {
    let mut start = [0_u8; 2];
    match File::open(path).and_then(|mut file| file.read_exact(&mut start)).map(|()| start) {
        Ok([b'P', b'K']) => "PyTorch checkpoint",
        Ok([0x80, 2..=5]) => "PyTorch checkpoint (before 1.6)",
        _ => "safetensors",
    }
}
