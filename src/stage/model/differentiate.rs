//! A training step for anyone's forward graph. Must not know which network it is.

use super::Error;
use crate::cancel::Cancel;
use crate::graph::onnx::read_model;
use crate::graph::train::{Recipe, Trainee};
use crate::graph::weights::Weights;
use crate::graph::{ImportSettings, import};
use crate::stage::artifact::{Artifact, check_free, prepare};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How a forward graph is to be trained.
#[derive(Clone, Debug)]
pub struct DifferentiateSettings {
    /// Outputs that hold logits, and the shares of their losses; the first output with share 1 if none is given.
    pub outputs: Vec<(String, f32)>,
    /// Loss, update, precision.
    pub recipe: Recipe,
    /// Lengths of open axes, by their words.
    pub lengths: BTreeMap<String, usize>,
    /// Beginnings of the names of weights that are not trained.
    pub frozen: Vec<String>,
    /// The folder.
    pub out: PathBuf,
    /// Whether a model that is there may be replaced.
    pub force: bool,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Differentiated {
    /// The files.
    pub files: Vec<PathBuf>,
    /// What was changed or left behind on the way.
    pub notes: Vec<String>,
    /// Trained tensors.
    pub tensors: usize,
    /// Trained numbers.
    pub parameters: usize,
}

/// Reads the graph and writes the folder: step, gradient, update, weights.
pub fn differentiate(path: &Path, settings: &DifferentiateSettings, cancel: &Cancel) -> Result<Differentiated, Error> {
    check_free(&settings.out, settings.force)?;
    let source = read_model(path)?;
    let reading = ImportSettings { training: true, lengths: settings.lengths.clone(), frozen: settings.frozen.clone() };
    let imported = import(&source, &reading)?;
    let first = imported.outputs.first().map(|(name, _)| (name.clone(), 1.0));
    let outputs = if settings.outputs.is_empty() { first.into_iter().collect() } else { settings.outputs.clone() };
    let trainee = Trainee::of_import(&imported, &outputs)?;
    if trainee.parameters.is_empty() {
        return Err(Error::Usage(format!("{} holds no weights that can be trained", path.display())));
    }
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let artifact = Artifact::new(&name, &trainee, &settings.recipe, None);
    let parameters = artifact.parameters;
    prepare(&settings.out)?;
    let mut names = artifact.write_graph(&settings.out, "train_step.onnx", trainee.step(&settings.recipe)?)?;
    names.extend(artifact.write_graph(&settings.out, "grad.onnx", trainee.gradient(&settings.recipe, false)?)?);
    names.extend(artifact.write_graph(&settings.out, "update.onnx", trainee.update(&settings.recipe)?)?);
    let running = imported.running.iter().map(|running| &running.now);
    let tensors = imported.parameters.iter().chain(running).map(|held| (held.name.clone(), held.tensor.clone()));
    let weights = Weights { tensors: tensors.collect(), metadata: BTreeMap::new() };
    let files = artifact.seal(&settings.out, names, &weights, cancel)?;
    Ok(Differentiated { files, notes: imported.notes, tensors: trainee.parameters.len(), parameters })
}
