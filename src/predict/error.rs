//! What can go wrong between a picture and its probabilities. Must not know which item it was.

use crate::outcome::Reason;
use crate::{image, runtime};
use std::path::PathBuf;

/// Why a model cannot be used, or a picture not be judged by it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A model's file, or its sidecar, cannot be read.
    #[error("{path} cannot be read as {what}: {source}; check the path given with --model", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// `a model` or `a sidecar`.
        what: &'static str,
        /// The system's words.
        source: std::io::Error,
    },
    /// A sidecar with a key that means nothing.
    #[error("{sidecar}:{line}: unknown key `{key}`; {advice}")]
    UnknownKey {
        /// The sidecar's name.
        sidecar: String,
        /// The line, counted from 1.
        line: usize,
        /// The key.
        key: String,
        /// The nearest key, or all of them.
        advice: String,
    },
    /// A sidecar that cannot be understood.
    #[error("{sidecar}: {detail}")]
    Sidecar {
        /// The sidecar's name.
        sidecar: String,
        /// What is wrong with it, with the place.
        detail: String,
    },
    /// A model without a sidecar that is none of the known ones.
    #[error(
        "{model} is no model that is known by its name or shape (it takes {inputs} and gives {outputs}); write {sidecar} beside it:\n\n{example}"
    )]
    Unrecognised {
        /// The model's name.
        model: String,
        /// Its inputs.
        inputs: String,
        /// Its outputs.
        outputs: String,
        /// The file to write.
        sidecar: String,
        /// What to write into it.
        example: String,
    },
    /// The sidecar does not describe the model beside it.
    #[error("the sidecar of {model} does not fit the model: {detail}; correct the sidecar")]
    Mismatch {
        /// The model's name.
        model: String,
        /// What does not fit.
        detail: String,
    },
    /// The model must not be used commercially, and nobody said that this use is allowed.
    #[error(
        "{model} is under `{licence}`, which forbids commercial use; pass --accept-nc if your use is allowed, or choose another model"
    )]
    NonCommercial {
        /// The model's name.
        model: String,
        /// The licence as stated.
        licence: String,
    },
    /// The model's numbers are no probabilities after the sidecar's activation.
    #[error(
        "{model} gives numbers from {least} to {most} where probabilities from 0 to 1 are wanted; set `activation` in its sidecar ({advice})"
    )]
    NotProbabilities {
        /// The model's name.
        model: String,
        /// The least number found.
        least: f32,
        /// The greatest number found.
        most: f32,
        /// What to try.
        advice: &'static str,
    },
    /// The model computed no number at all for this picture.
    #[error(
        "{model} gives NaN for this picture; open the picture and see whether it is one that the model was made for"
    )]
    NotANumber {
        /// The model's name.
        model: String,
    },
    /// The picture could not be resized.
    #[error(transparent)]
    Image(#[from] image::Error),
    /// ONNX Runtime could not be found, or the model not be opened or run.
    #[error(transparent)]
    Runtime(#[from] runtime::Error),
}

impl Error {
    /// The code for the item, when the fault may lie with this one picture; `None` when the model, its sidecar or the
    /// machine is at fault and every other picture would fail as well.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::NotANumber { .. } | Self::Runtime(runtime::Error::Run { .. }) => Some(Reason::InferenceError),
            Self::Image(error) => Some(error.reason()),
            _ => None,
        }
    }

    /// Whether somebody asked to stop, so that nothing is to be reported of the item.
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Runtime(runtime::Error::Cancelled { .. }))
    }
}
