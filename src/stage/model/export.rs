//! A network from its name as a folder that can be trained, evaluated and used. Must not know training.

use super::{Error, load_weights};
use crate::cancel::Cancel;
use crate::graph::weights::{Line, Report};
use crate::stage::artifact::{Network, NetworkSettings, check_free, prepare};
use std::path::PathBuf;

/// What to export.
#[derive(Clone, Debug)]
pub struct ExportSettings {
    /// The network.
    pub network: NetworkSettings,
    /// Weights to begin with: safetensors, a PyTorch checkpoint, or an ONNX model.
    pub init: Option<PathBuf>,
    /// The folder.
    pub out: PathBuf,
    /// Whether a model that is there may be replaced.
    pub force: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Exported {
    /// The files.
    pub files: Vec<PathBuf>,
    /// What became of each tensor.
    pub lines: Vec<Line>,
    /// Trained numbers.
    pub parameters: usize,
}

impl Exported {
    /// What became of the tensors, for people.
    pub fn table(&self) -> String {
        Report(&self.lines).to_string()
    }
}

/// Builds the graphs, loads or draws the weights, and writes the folder.
pub fn export(settings: &ExportSettings, cancel: &Cancel) -> Result<Exported, Error> {
    check_free(&settings.out, settings.force)?;
    let network = Network::make(&settings.network)?;
    let init = settings.init.as_deref().map(load_weights).transpose()?;
    let (weights, lines) = network.begin(init)?;
    prepare(&settings.out)?;
    let files = network.write(&settings.out, &weights, cancel)?;
    Ok(Exported { files, lines, parameters: network.artifact.parameters })
}
