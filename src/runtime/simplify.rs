//! A model as ONNX Runtime writes it after its basic passes: constants folded, normalisations folded into convolutions,
//! dead nodes gone, standard operators only. Must not know what the model is simplified for.

use super::{Error, Runtime};
use ort::ep;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};

/// Folds what does not depend on the input. The model holds all its weights, before and after.
pub fn simplify(runtime: &Runtime, name: &str, model: &[u8]) -> Result<Vec<u8>, Error> {
    let failed = |detail: String| Error::Model { model: name.to_owned(), detail, hint: "" };
    let folder = tempfile::tempdir().map_err(|error| failed(format!("no temporary folder can be had: {error}")))?;
    let path = folder.path().join("simplified.onnx");
    let configured = || -> Result<SessionBuilder, ort::Error> {
        let builder = ort::session::Session::builder(runtime.environment())?
            .with_execution_providers([ep::CPU::default().build()])?
            .with_optimization_level(GraphOptimizationLevel::Level1)?
            .with_intra_threads(1)?
            .with_optimized_model_path(&path)?;
        Ok(builder)
    };
    let mut builder = configured().map_err(|error| failed(error.to_string()))?;
    builder.commit_from_memory(model).map_err(|error| failed(error.to_string()))?;
    std::fs::read(&path).map_err(|error| failed(format!("its simplified form cannot be read: {error}")))
}
