//! What a model's file or folder holds, as facts for programs (serde) and a table for people (`Display`). Must not know
//! terminals, and runs nothing: everything follows from the file and its shapes.

mod network;
mod onnx;
mod text;
mod weights;

pub use network::NetworkFacts;
pub use onnx::{GraphFacts, OperatorCount, Port, PortRole};
pub use weights::{TensorFacts, WeightsFacts};

pub(super) use onnx::weights_of_model;

use crate::stage::Error;
use crate::stage::artifact::ARTIFACT;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Endings of files of weights.
const WEIGHTS: [&str; 5] = ["safetensors", "pth", "pt", "bin", "ckpt"];

/// What a file does not say.
#[derive(Clone, Debug, Default)]
pub struct InspectSettings {
    /// Lengths of axes that a graph leaves open, by their names; `INPUT.AXIS` for those without.
    pub lengths: BTreeMap<String, usize>,
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Inspection {
    /// An ONNX file.
    Graph(Box<GraphFacts>),
    /// A file of weights.
    Weights(Box<WeightsFacts>),
    /// A folder with an `artifact.toml`.
    Artifact(Box<ArtifactFacts>),
}

/// An artifact: graphs and weights that belong together.
#[derive(Clone, Debug, Serialize)]
pub struct ArtifactFacts {
    /// The folder.
    pub folder: String,
    /// What `artifact.toml` says, nested keys joined by dots.
    pub metadata: BTreeMap<String, String>,
    /// The graphs in the folder, by name.
    pub graphs: Vec<GraphFacts>,
    /// The files of weights in the folder, by name.
    pub weights: Vec<WeightsFacts>,
}

/// Looks into an ONNX file (own or foreign), a file of weights (`.safetensors`, PyTorch checkpoint), or a folder with an
/// `artifact.toml`. A graph that cannot be understood is no error: its facts say why operations and memory are unknown.
pub fn inspect(path: &Path, settings: &InspectSettings) -> Result<Inspection, Error> {
    if path.is_dir() {
        return artifact(path, settings).map(|facts| Inspection::Artifact(Box::new(facts)));
    }
    if is_model(path)? {
        return onnx::facts(path, settings).map(|facts| Inspection::Graph(Box::new(facts)));
    }
    weights::facts(path).map(|facts| Inspection::Weights(Box::new(facts)))
}

/// Whether a file is an ONNX model, by its name, else by its first bytes.
pub(super) fn is_model(path: &Path) -> Result<bool, Error> {
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or("").to_ascii_lowercase();
    if ending == "onnx" || WEIGHTS.contains(&ending.as_str()) {
        return Ok(ending == "onnx");
    }
    let mut start = Vec::new();
    let read = File::open(path).and_then(|file| file.take(9).read_to_end(&mut start));
    read.map_err(|error| unreadable(path, &error))?;
    // A message of ONNX begins with its version, field 1; safetensors have a brace behind the length of their header.
    Ok(start.first() == Some(&0x08) && start.get(8) != Some(&b'{'))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Error {
    Error::Usage(format!("{}: {error}; give an ONNX file, a file of weights or an artifact's folder", path.display()))
}

fn artifact(folder: &Path, settings: &InspectSettings) -> Result<ArtifactFacts, Error> {
    let about = folder.join(ARTIFACT);
    let text = std::fs::read_to_string(&about).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Error::Usage(format!(
            "{} has no {ARTIFACT}, so it is no artifact; give one of its files, or a folder made by `model export`",
            folder.display()
        )),
        _ => unreadable(&about, &error),
    })?;
    let table: toml::Table =
        text.parse().map_err(|error| Error::Failed(format!("{}: {error}; export it anew", about.display())))?;
    let mut metadata = BTreeMap::new();
    flatten("", &toml::Value::Table(table), &mut metadata);
    let mut facts =
        ArtifactFacts { folder: folder.display().to_string(), metadata, graphs: Vec::new(), weights: Vec::new() };
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut files: Vec<_> =
        entries.map_err(|error| unreadable(folder, &error))?.iter().map(std::fs::DirEntry::path).collect();
    files.sort();
    for file in files.iter().filter(|file| file.is_file()) {
        match file.extension().and_then(|ending| ending.to_str()) {
            Some("onnx") => facts.graphs.push(onnx::facts(file, settings)?),
            Some("safetensors" | "pth" | "pt") => facts.weights.push(weights::facts(file)?),
            _ => {}
        }
    }
    Ok(facts)
}

fn flatten(prefix: &str, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, into);
            }
        }
        toml::Value::String(text) => {
            into.insert(prefix.to_owned(), text.clone());
        }
        other => {
            into.insert(prefix.to_owned(), other.to_string());
        }
    }
}
