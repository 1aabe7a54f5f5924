//! The stages: each makes one thing from others, alone or in a pipeline. Stages never import one another; they meet only
//! through tables and objects. Must not know pipeline files, locks or terminals.

pub mod artifact;
pub mod bench;
pub mod cutout;
pub mod dataset;
pub mod evaluate;
pub mod ingest;
pub mod masks;
pub mod measure;
pub mod merge;
pub mod model;
mod parts;
pub mod photos;
mod portions;
pub mod quarantine;
pub mod sample;
pub mod split;
mod stations;
pub mod stats;
pub mod tables;
pub mod train;

use crate::cancel::{Cancel, Cause};
use crate::event::Events;
use crate::outcome::Counts;
use std::sync::Arc;

/// What every stage is given besides its settings.
#[derive(Clone)]
pub struct Context {
    /// The tables of the store that the stage works in.
    pub tables: tables::Tables,
    /// The stage's name in the pipeline file; its kind when it runs alone.
    pub stage: String,
    /// The run, or `-` for a stage alone.
    pub run: String,
    /// The epoch of the pipeline's lock; 0 for a stage alone.
    pub epoch: u64,
    /// Asked before anything is published: refuses when another run holds the lock by now.
    pub fence: Fence,
    /// Where to tell what happens.
    pub events: Events,
    /// The wish to stop.
    pub cancel: Cancel,
    /// Threads that the stage may keep busy.
    pub threads: usize,
}

/// Refuses, with the reason, when the right to publish is lost.
pub type Fence = Arc<dyn Fn() -> Result<(), Error> + Send + Sync>;

/// What a stage did.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// How its items ended.
    pub counts: Counts,
    /// What it did, in a line.
    pub summary: String,
    /// URLs of what it made.
    pub artifacts: Vec<String>,
}

/// Why a stage stopped. A bad item is never an error of the stage: it becomes a row of the quarantine or the ledger.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Asked to stop: nothing half-done is visible.
    #[error("stopped before the end; run it again to continue")]
    Cancelled(Cause),
    /// The settings or the input as a whole cannot be used (exit 2).
    #[error("{0}")]
    Usage(String),
    /// A check of the data blocks the output (exit 4).
    #[error("{0}")]
    Blocked(String),
    /// Another run holds the lock now (exit 75).
    #[error("{0}")]
    LostLock(String),
    /// Another writer published the same table in between.
    #[error("{0} was published by another run at the same time; run it again")]
    Conflict(String),
    /// The input as a whole is bad or something failed (exit 1).
    #[error("{0}")]
    Failed(String),
    /// A table could not be read or written.
    #[error(transparent)]
    Table(#[from] crate::table::Error),
    /// The store could not be read or written.
    #[error(transparent)]
    Storage(#[from] crate::storage::Error),
}

/// Ends a stage that was asked to stop.
pub fn check(cancel: &Cancel) -> Result<(), Error> {
    cancel.cause().map_or(Ok(()), |cause| Err(Error::Cancelled(cause)))
}
