//! Why a run could not be done. Must not know which words or codes tell it to a person.

use super::lock::Holder;

/// Why a run could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another run holds the lock (exit 5).
    #[error(
        "the pipeline {pipeline} is being run already: run {} since {} on {}, process {}; wait for it, or stop it",
        holder.run, holder.since, holder.host, holder.pid
    )]
    Busy {
        /// The pipeline.
        pipeline: String,
        /// Who holds it.
        holder: Box<Holder>,
    },
    /// An array job of the same pipeline is under way (exit 5).
    #[error("{0}")]
    ArrayBusy(String),
    /// Something else has to happen first (exit 75).
    #[error("{0}; try again later")]
    NotYet(String),
    /// The request does not fit what is there (exit 2).
    #[error("{0}")]
    Usage(String),
    /// An object of a run that cannot be read.
    #[error("{key} cannot be read ({detail}); remove it if it was damaged, or restore it")]
    State {
        /// Its key.
        key: String,
        /// The cause.
        detail: String,
    },
    /// An object of a run that another major version wrote (exit 2).
    #[error("{key}: {detail}")]
    Incompatible {
        /// Its key.
        key: String,
        /// The cause and what to do.
        detail: String,
    },
    /// A stage stopped.
    #[error("{stage}: {error}")]
    Stage {
        /// The stage's name.
        stage: String,
        /// Why.
        error: crate::stage::Error,
    },
    /// The pipeline file is wrong.
    #[error(transparent)]
    Pipeline(#[from] crate::pipeline::Error),
    /// A table could not be read or written.
    #[error(transparent)]
    Table(#[from] crate::table::Error),
    /// The store could not be read or written.
    #[error(transparent)]
    Storage(#[from] crate::storage::Error),
}

impl Error {
    /// An error of a stage.
    pub fn of_stage(stage: &str) -> impl Fn(crate::stage::Error) -> Self + '_ {
        move |error| Self::Stage { stage: stage.to_owned(), error }
    }

    /// The same as the error of a stage that could not go on; a store's stays one, since its kind decides the exit code.
    pub fn into_stage(self) -> crate::stage::Error {
        match self {
            Self::Storage(error) => crate::stage::Error::Storage(error),
            other => crate::stage::Error::Failed(other.to_string()),
        }
    }
}
