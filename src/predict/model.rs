//! Which model is meant, and the bytes it consists of. Must not know what is in them.

use super::{CODE_VERSION, Error, Sidecar};
use crate::digest;
use std::fs;
use std::path::{Path, PathBuf};

/// What the user chose. [`ModelChoice::Network`] can be made from files of anywhere.
#[derive(Clone, Debug)]
pub enum ModelChoice {
    /// No network: what differs from a plain backdrop is foreground.
    Threshold,
    /// An ONNX network.
    Network(ModelFiles),
}

impl ModelChoice {
    /// Understands `--model`: the word `threshold`, or a path as [`ModelFiles::read`] takes it.
    pub fn read(text: &str) -> Result<Self, Error> {
        match text {
            "threshold" => Ok(Self::Threshold),
            path => ModelFiles::read(Path::new(path)).map(Self::Network),
        }
    }

    /// Changes when the model, its sidecar, or the code that reads them may change a result: part of the fingerprint. Known
    /// without opening the model, so that planning needs no runtime; a sidecar that cannot be read is refused here already.
    pub fn identity(&self) -> Result<String, Error> {
        let files = match self {
            Self::Threshold => return Ok(digest::of_parts([("predictor", "threshold"), ("code", CODE_VERSION)])),
            Self::Network(files) => files,
        };
        let model = digest::of(&files.model);
        // Without a sidecar, the preset follows from the model's name and its inputs.
        let how = match &files.sidecar {
            Some(text) => ("sidecar", Sidecar::parse(&files.sidecar_name(), text)?.canonical()),
            None => ("name", files.stem().to_owned()),
        };
        let parts = [("predictor", "onnx"), ("code", CODE_VERSION), ("model", &model), (how.0, &how.1)];
        Ok(digest::of_parts(parts))
    }
}

/// A network as it lies in files, wherever those were.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    /// The file's name, for messages and for recognising well-known models: `u2netp.onnx`.
    pub name: String,
    /// The ONNX model, weights inside.
    pub model: Vec<u8>,
    /// The sidecar's text, if there is one beside the model.
    pub sidecar: Option<String>,
}

impl ModelFiles {
    /// What the model is called in the folder of a trained network.
    pub const TRAINED: &str = "infer.onnx";

    /// Reads a model and the sidecar beside it (`u2netp.onnx`, `u2netp.toml`). Of a folder, `infer.onnx` is taken, as
    /// trained models have it, else `model.onnx`.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let path = match path.is_dir() {
            true if path.join(Self::TRAINED).exists() => path.join(Self::TRAINED),
            true => path.join("model.onnx"),
            false => path.to_path_buf(),
        };
        let unreadable = |what: &'static str, path: &PathBuf| {
            let path = path.clone();
            move |source| Error::Unreadable { path, what, source }
        };
        let model = fs::read(&path).map_err(unreadable("a model", &path))?;
        let beside = path.with_extension("toml");
        let sidecar = match fs::read_to_string(&beside) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(unreadable("a sidecar", &beside)(error)),
        };
        let name = path.file_name().map_or_else(|| "model.onnx".into(), |name| name.to_string_lossy().into_owned());
        Ok(Self { name, model, sidecar })
    }

    /// The name without its ending: `u2netp`.
    pub fn stem(&self) -> &str {
        Path::new(&self.name).file_stem().and_then(|stem| stem.to_str()).unwrap_or(&self.name)
    }

    /// The name of the sidecar that belongs to it, there or not.
    pub fn sidecar_name(&self) -> String {
        format!("{}.toml", self.stem())
    }
}
