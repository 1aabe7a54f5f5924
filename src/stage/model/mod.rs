//! Tools for models: made, looked at, brought into other forms, and held to the numbers of a reference. Must not know
//! tables or runs.

pub mod bench;
pub mod compare;
pub mod convert;
pub mod differentiate;
pub mod export;
pub mod exported;
pub mod fetch;
pub mod golden;
pub mod inspect;
pub mod known;
pub mod quantize;

use super::Error;
use crate::graph::weights::{Weights, read_weights};
use inspect::{is_model, weights_of_model};
use std::path::Path;

/// The weights of a safetensors file, a PyTorch checkpoint, or an ONNX model.
pub fn load_weights(path: &Path) -> Result<Weights, Error> {
    load(path).map(|(weights, _)| weights)
}

/// Weights from a safetensors file, a PyTorch checkpoint, or the initialisers of an ONNX model; and what of a model is no
/// weight, with the reason.
fn load(path: &Path) -> Result<(Weights, Vec<(String, String)>), Error> {
    match is_model(path)? {
        true => weights_of_model(path),
        false => Ok((read_weights(path)?, Vec::new())),
    }
}
