//! What a run leaves in the store, object by object: its record, its stages' plans, its committed shards, its end. Each is
//! created if absent and never changed. Must not know what a stage does.

use super::Error;
use crate::clock::Timestamp;
use crate::digest::Fingerprint;
use crate::outcome::Counts;
use crate::storage::{Created, Store};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The form of these objects; a reader refuses another major number.
const SCHEMA: &str = "run/1.2";

/// `runs/<run>/run.json`: what was started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    /// `run/1.2`.
    pub schema: String,
    /// The run's name.
    pub run: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline file's name and text, secrets still as `${NAME}`.
    pub file: String,
    /// See `file`.
    pub text: String,
    /// The day that `{date}` stands for.
    pub date: String,
    /// Parameters that were given.
    pub sets: BTreeMap<String, String>,
    /// Whether shards are worked on by an array job rather than by the process that planned.
    pub array: bool,
    /// The epoch of the lock under which it was planned.
    pub epoch: u64,
    /// The host that planned it.
    pub host: String,
    /// When, by that host's clock.
    pub started: Timestamp,
    /// The program's version.
    pub program: String,
}

/// `runs/<run>/stages/<stage>/plan.json`: the frozen plan of a stage that works through items.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StagePlan {
    /// `run/1.2`.
    pub schema: String,
    /// Settles who planned when two did at once.
    pub owner: String,
    /// The stage's name.
    pub stage: String,
    /// What every item's result depends on besides its source.
    pub fingerprint: Fingerprint,
    /// How many items are to be done for which reason.
    pub decisions: BTreeMap<String, u64>,
    /// Items that need nothing done.
    pub cached: u64,
    /// Of these, how many stand quarantined since an earlier run.
    pub standing_quarantined: u64,
    /// Items of the ledger that are no longer listed.
    pub gone: u64,
    /// Inputs that could not be listed; they count as failed.
    pub unreadable: u64,
    /// Items left for a later run because of `--limit`.
    pub left_over: u64,
    /// Files of keys that are gone.
    pub gone_files: usize,
    /// The version of the ledger that the plan was made against; 0 when there was none.
    pub ledger: u64,
    /// The shards in order of keys.
    pub shards: Vec<ShardPlan>,
    /// Files of items, below the stage's folder; shards name them by place.
    pub files: Vec<String>,
}

/// One shard of a plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShardPlan {
    /// Which of the plan's files.
    pub file: usize,
    /// Which row group of it.
    pub group: usize,
    /// Its items.
    pub items: usize,
    /// Bytes of its items' sources.
    pub bytes: u64,
}

/// `runs/<run>/stages/<stage>/shards/<5 digits>.json`: the commit of a shard.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShardCommit {
    /// `run/1.2`.
    pub schema: String,
    /// The attempt that did it.
    pub owner: String,
    /// The file of its rows, below the stage's folder.
    pub file: String,
    /// The file's bytes.
    pub size: u64,
    /// BLAKE3 of the file.
    pub blake3: String,
    /// How its items ended.
    pub counts: Counts,
}

/// `runs/<run>/outcome.json`: the end of a run. Whoever creates it has ended the run. `docs/outcome.md` describes it for
/// those who read it with other programs. What was not there in run/1.0 is `None` or empty when read from such a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct End {
    /// `run/1.2`.
    pub schema: String,
    /// Settles who ended it when an answer is lost.
    pub owner: String,
    /// The run's name; `None` when none was begun, as when another holds the lock.
    #[serde(default)]
    pub run: Option<String>,
    /// The pipeline's name.
    pub pipeline: String,
    /// The day that `{date}` stood for.
    #[serde(default)]
    pub date: Option<String>,
    /// `done`, `stopped`, `failed`, or `interrupted` when a later run ended it; of no run `refused` or `skipped`.
    pub outcome: String,
    /// The word of the exit code, or `skipped`; `None` when the run was interrupted, as nobody saw it end.
    #[serde(default)]
    pub result: Option<String>,
    /// The exit code that goes with it.
    #[serde(default)]
    pub exit: Option<u8>,
    /// When it began, by the host's clock.
    #[serde(default)]
    pub started: Option<Timestamp>,
    /// When it ended, by the host's clock.
    pub ended: Timestamp,
    /// Seconds between the two; `None` when it was interrupted.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// How the items ended, over all stages.
    pub counts: Counts,
    /// Items that stand quarantined since earlier runs; they are among the cached ones.
    #[serde(default)]
    pub standing_quarantined: u64,
    /// Stages with more quarantined items than their limit allows.
    #[serde(default)]
    pub over_limit: Vec<String>,
    /// Whether every stage found nothing to do.
    #[serde(default)]
    pub nothing_to_do: bool,
    /// Stage by stage, in a line.
    pub stages: BTreeMap<String, String>,
    /// The same in figures, in the order they ran.
    #[serde(default)]
    pub stage_results: Vec<StageEnd>,
    /// Where what it made lies.
    pub artifacts: Vec<String>,
    /// What went wrong, if anything.
    pub error: Option<String>,
    /// All of it in one line for people: what a chat shows.
    #[serde(default)]
    pub text: String,
}

/// What one stage of a run came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageEnd {
    /// Its name.
    pub name: String,
    /// How its items ended.
    pub counts: Counts,
    /// What it did, in a line; empty when it did not come to its end.
    pub summary: String,
    /// When it began, by the host's clock; `None` when it did not come to its end.
    pub started: Option<Timestamp>,
    /// Wall time in seconds; `None` when it did not come to its end.
    pub seconds: Option<f64>,
    /// Bytes of the sources that were planned to be worked on; `None` for a stage that makes tables.
    pub bytes: Option<u64>,
    /// Speed, cost and bottleneck of a stage that works through items.
    pub work: Option<serde_json::Value>,
}

/// The schema that every object of a run carries.
pub fn schema() -> String {
    SCHEMA.to_owned()
}

/// The folder of a run.
pub fn folder(run: &str) -> String {
    format!("runs/{run}")
}

/// The folder of one stage of a run.
pub fn stage_folder(run: &str, stage: &str) -> String {
    format!("runs/{run}/stages/{stage}")
}

/// The key of a shard's commit.
pub fn shard_key(run: &str, stage: &str, shard: u32) -> String {
    format!("{}/shards/{shard:05}.json", stage_folder(run, stage))
}

/// Reads an object of a run; `None` when it is not there.
pub fn read<T: DeserializeOwned>(store: &Store, key: &str) -> Result<Option<T>, Error> {
    store.wait(fetch(store, key))
}

/// The same, for those who wait for several at a time.
pub async fn fetch<T: DeserializeOwned>(store: &Store, key: &str) -> Result<Option<T>, Error> {
    #[derive(Deserialize)]
    struct Versioned {
        schema: String,
    }
    let bytes = match store.get(key).await {
        Ok(bytes) => bytes,
        Err(crate::storage::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let wrong = |error: serde_json::Error| Error::State { key: key.to_owned(), detail: error.to_string() };
    let Versioned { schema } = serde_json::from_slice(&bytes).map_err(wrong)?;
    if !schema.starts_with("run/1.") {
        let detail =
            format!("it is in the form {schema}, and this selvedge reads run/1; use the version that wrote it");
        return Err(Error::Incompatible { key: key.to_owned(), detail });
    }
    serde_json::from_slice(&bytes).map(Some).map_err(wrong)
}

/// Creates an object of a run. Gives `false` when another writer's is there already.
pub fn create<T: Serialize>(store: &Store, key: &str, value: &T) -> Result<bool, Error> {
    let bytes = Bytes::from(serde_json::to_vec_pretty(value).unwrap_or_default());
    Ok(matches!(store.wait(store.create(key, bytes))?, Created::New))
}

/// The runs of a store, oldest first.
pub fn runs(store: &Store) -> Result<Vec<String>, Error> {
    let mut runs = store.wait(store.list_folders("runs/"))?;
    runs.sort();
    Ok(runs)
}
