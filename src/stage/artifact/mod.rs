//! The folder that a model is exported into: its graphs, its weights, and `artifact.toml`, which says what they are and is
//! written last. Shared by the stages that make, train and use models. Must not know how graphs are made.

mod network;
mod transfer;

pub use network::{Network, NetworkSettings};
pub use transfer::{Local, publish};

use super::Error;
use crate::cancel::Cancel;
use crate::digest;
use crate::graph::net::{MaskInput, MaskKind, Normalisation};
use crate::graph::onnx::write_model;
use crate::graph::train::{AdamW, Denominator, Optimiser, Recipe, Recompute, Sgd, Trainee};
use crate::graph::weights::{Weights, write_safetensors};
use crate::graph::{self, Graph, map_file, replace};
use crate::stage::check;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The name of the description.
pub const ARTIFACT: &str = "artifact.toml";
/// The name of the weights.
pub const WEIGHTS: &str = "weights.safetensors";
/// The version of its form: readers refuse another.
pub const SCHEMA: &str = "artifact/1.0";

/// What a folder holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Artifact {
    /// [`SCHEMA`].
    pub schema: String,
    /// The network's name, or the file that it was made from.
    pub model: String,
    /// Number of classes, background counted.
    pub classes: usize,
    /// Height and width of the pictures.
    pub size: [usize; 2],
    /// Pictures in a step.
    pub batch: usize,
    /// Trained numbers.
    pub parameters: usize,
    /// `fp32`, `bf16` or `fp16`.
    pub precision: String,
    /// What is computed again on the way back: `none`, `attention` or `blocks`.
    #[serde(default = "nothing")]
    pub recompute: String,
    /// Mean and deviation of the pictures, red, green and blue, 0..=255; unknown for graphs from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub normalisation: Option<[[f32; 3]; 2]>,
    /// The loss.
    pub loss: Loss,
    /// The update.
    pub optimiser: OptimiserUsed,
    /// Learning rates of parameters that are not the step's, as multiples of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rates: BTreeMap<String, f32>,
    /// Inputs of a step that are drawn anew for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub masks: Vec<Mask>,
    /// The files beside, by name.
    pub files: BTreeMap<String, File>,
}

fn nothing() -> String {
    Recompute::None.name().to_owned()
}

/// The loss of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// `all` or `valid` pixels are what the sum is divided by.
    pub denominator: String,
    /// The label that is ignored.
    pub ignore: u8,
    /// A weight for each class.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_weights: Option<Vec<f32>>,
    /// The heads and the shares of their losses.
    pub heads: BTreeMap<String, f32>,
}

/// The update of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum OptimiserUsed {
    /// Descent with momentum.
    Sgd {
        /// The momentum.
        momentum: f32,
        /// The weight decay.
        weight_decay: f32,
        /// Whether it looks ahead.
        nesterov: bool,
    },
    /// Adam with decoupled weight decay.
    Adamw {
        /// How slowly the means of gradients and of their squares follow.
        betas: [f64; 2],
        /// Keeps the division from 0.
        epsilon: f32,
        /// The weight decay.
        weight_decay: f32,
    },
}

/// An input that is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mask {
    /// The input.
    pub name: String,
    /// Its shape.
    pub dims: Vec<usize>,
    /// `paths`: f32, row k holds `1 / keep[k]` with probability `keep[k]`, else 0. `numbers`: u8, 1 with probability
    /// `keep[0]`.
    pub kind: String,
    /// How likely something stays.
    pub keep: Vec<f32>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of its bytes, hexadecimal.
    pub blake3: String,
}

impl Artifact {
    /// What is known of a training step; files come with [`Artifact::seal`].
    pub fn new(model: &str, trainee: &Trainee, recipe: &Recipe, normalisation: Option<&Normalisation>) -> Self {
        let graph = &trainee.graph;
        let classes = trainee.heads.first().and_then(|head| graph.dims(head.logits).last().copied()).unwrap_or(0);
        let mask = |mask: &MaskInput| Mask {
            name: mask.name.clone(),
            dims: mask.dims.clone(),
            kind: match mask.kind {
                MaskKind::Paths => "paths".to_owned(),
                MaskKind::Numbers => "numbers".to_owned(),
            },
            keep: mask.keep_probabilities.clone(),
        };
        let own_rate = trainee.parameters.iter().filter(|parameter| parameter.rate != 1.0);
        Self {
            schema: SCHEMA.to_owned(),
            model: model.to_owned(),
            classes,
            size: [trainee.size.0, trainee.size.1],
            batch: graph.dims(trainee.image).first().copied().unwrap_or(1),
            parameters: trainee.parameters.iter().map(|parameter| graph.kind(parameter.value).len()).sum(),
            precision: recipe.precision.name().to_owned(),
            recompute: recipe.recompute.name().to_owned(),
            normalisation: normalisation.map(|values| [values.mean, values.deviation]),
            loss: Loss {
                denominator: match recipe.loss.denominator {
                    Denominator::All => "all".to_owned(),
                    Denominator::Valid => "valid".to_owned(),
                },
                ignore: crate::graph::train::IGNORED,
                class_weights: recipe.loss.class_weights.clone(),
                heads: trainee.heads.iter().map(|head| (head.name.clone(), head.weight)).collect(),
            },
            optimiser: match recipe.optimiser {
                Optimiser::Sgd(Sgd { momentum, weight_decay, nesterov }) => {
                    OptimiserUsed::Sgd { momentum, weight_decay, nesterov }
                }
                Optimiser::AdamW(AdamW { betas, epsilon, weight_decay }) => {
                    OptimiserUsed::Adamw { betas, epsilon, weight_decay }
                }
            },
            rates: own_rate.map(|parameter| (parameter.name.clone(), parameter.rate)).collect(),
            masks: trainee.masks.iter().map(mask).collect(),
            files: BTreeMap::new(),
        }
    }

    /// Reads the description of a folder.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let path = folder.join(ARTIFACT);
        let text = std::fs::read_to_string(&path).map_err(|error| {
            Error::Usage(format!("{}: {error}; make a model with `selvedge model export`", path.display()))
        })?;
        let artifact: Self =
            toml::from_str(&text).map_err(|error| Error::Usage(format!("{}: {error}", path.display())))?;
        match artifact.schema == SCHEMA {
            true => Ok(artifact),
            false => Err(Error::Usage(format!(
                "{} is of the form {}, and {SCHEMA} is read here; export the model anew",
                path.display(),
                artifact.schema
            ))),
        }
    }

    /// The path of one of the files, whose bytes are still those that were written.
    pub fn file(&self, folder: &Path, name: &str) -> Result<PathBuf, Error> {
        let path = folder.join(name);
        let wrong = |detail: &str| Error::Usage(format!("{}: {detail}; export the model anew", path.display()));
        let written = self.files.get(name).ok_or_else(|| wrong("the model has no such file"))?;
        let bytes = map_file(&path)?;
        match bytes.len() as u64 == written.bytes && digest::of(&bytes) == written.blake3 {
            true => Ok(path),
            false => Err(wrong("it is not the file that was written with this model")),
        }
    }

    /// Writes a graph under its file name, with what it belongs to in its metadata. Gives the names of the files written.
    pub fn write_graph(&self, folder: &Path, name: &str, mut graph: Graph) -> Result<Vec<String>, Error> {
        graph.metadata.insert("selvedge.schema".to_owned(), SCHEMA.to_owned());
        graph.metadata.insert("selvedge.model".to_owned(), self.model.clone());
        graph.metadata.insert("selvedge.graph".to_owned(), name.trim_end_matches(".onnx").to_owned());
        let paths = write_model(&graph, &self.model, &folder.join(name))?;
        let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(paths.iter().map(name).collect())
    }

    /// Writes the weights, and as the last thing the description with the digests of `files` and of the weights. Gives the
    /// paths of them all.
    pub fn seal(
        mut self,
        folder: &Path,
        files: Vec<String>,
        weights: &Weights,
        cancel: &Cancel,
    ) -> Result<Vec<PathBuf>, Error> {
        write_safetensors(&folder.join(WEIGHTS), weights)?;
        self.files.clear();
        let mut paths = Vec::with_capacity(files.len() + 2);
        for name in files.into_iter().chain([WEIGHTS.to_owned()]) {
            check(cancel)?;
            let path = folder.join(&name);
            let bytes = map_file(&path)?;
            self.files.insert(name, File { bytes: bytes.len() as u64, blake3: digest::of(&bytes) });
            paths.push(path);
        }
        let text = toml::to_string(&self).map_err(|error| Error::Failed(format!("{ARTIFACT}: {error}")))?;
        let path = folder.join(ARTIFACT);
        put(&path, &text)?;
        paths.push(path);
        Ok(paths)
    }
}

/// Writes a small file, whole or not at all.
pub fn put(path: &Path, text: &str) -> Result<(), Error> {
    Ok(replace(path, |file| file.write_all(text.as_bytes()).map_err(|error| graph::Error::file(path, &error)))?)
}

/// Refuses a folder that holds a model already, unless it may be replaced.
pub fn check_free(folder: &Path, force: bool) -> Result<(), Error> {
    match folder.join(ARTIFACT).exists() && !force {
        false => Ok(()),
        true => Err(Error::Usage(format!(
            "{} holds a model already; choose another folder, or replace it with --force",
            folder.display()
        ))),
    }
}

/// Makes the folder. Without its description an old model counts as unfinished until the new one is there.
pub fn prepare(folder: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(folder).map_err(|error| Error::Usage(format!("{}: {error}", folder.display())))?;
    let path = folder.join(ARTIFACT);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::Failed(format!("{}: {error}", path.display())))
        }
        _ => Ok(()),
    }
}
