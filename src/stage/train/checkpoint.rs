//! Where a training stands, kept so that it goes on as if it had never stopped: parameters, momenta, statistics, the places
//! in schedule and data, the history, and which step was the best. Must not know networks.
//!
//! Files first, each under a name that no other attempt can have; then `STEP.json`, created if absent, which names them with
//! their digests. What no manifest names was never there.

use super::history::{self, Row};
use super::order::Place;
use crate::digest;
use crate::event::{Level, note};
use crate::graph::weights::{Weights, encode_safetensors, read_bytes};
use crate::id;
use crate::stage::{Context, Error};
use crate::storage::{self, Created, Store};
use bytes::Bytes;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const SCHEMA: &str = "selvedge.checkpoint/1";
/// A file of tensors ends once it holds so many bytes: what is in memory twice while it is written.
const FILE_BYTES: usize = 256 << 20;
const HISTORY: &str = "history.parquet";

/// A training at one step.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Steps that are done.
    pub step: u64,
    /// The next sample.
    pub place: Place,
    /// What the state held, by name.
    pub tensors: Weights,
    /// All rows so far.
    pub history: Vec<Row>,
    /// The validation at this step, 0–1, if there was one.
    pub score: Option<f64>,
}

/// The manifest of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    schema: String,
    /// Steps that are done.
    pub step: u64,
    place: Place,
    /// The validation at this step, 0–1.
    pub score: Option<f64>,
    folder: String,
    files: BTreeMap<String, File>,
    run: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct File {
    bytes: u64,
    blake3: String,
}

/// The checkpoints of one training.
pub struct Checkpoints<'a> {
    store: Store,
    context: &'a Context,
}

impl<'a> Checkpoints<'a> {
    /// Those at the root of a store.
    pub fn new(store: Store, context: &'a Context) -> Self {
        Self { store, context }
    }

    /// Where they lie, for people.
    pub fn url(&self) -> &str {
        self.store.url()
    }

    /// All that are there and can be read, by step ascending.
    pub fn list(&self) -> Result<Vec<Manifest>, Error> {
        let listed: Vec<_> = self.store.wait(self.store.list("").try_collect())?;
        let mut manifests = Vec::new();
        for object in listed.iter().filter(|object: &&crate::storage::ObjectInfo| is_manifest(&object.key)) {
            let bytes = self.store.wait(self.store.get(&object.key))?;
            let manifest: Manifest = match serde_json::from_slice(&bytes) {
                Ok(manifest) => manifest,
                Err(error) => {
                    self.give_up(&object.key, &error.to_string())?;
                    continue;
                }
            };
            if manifest.schema != SCHEMA {
                let (url, found) = (self.store.child(&object.key), &manifest.schema);
                return Err(Error::Usage(format!("{} is {found}, and {SCHEMA} is read here", url.url())));
            }
            manifests.push(manifest);
        }
        manifests.sort_by_key(|manifest| manifest.step);
        Ok(manifests)
    }

    /// The latest one that is whole. Damaged ones are told of and removed: the training comes by their steps again, and
    /// then they must not stand in the way of good ones.
    pub fn latest(&self) -> Result<Option<Checkpoint>, Error> {
        for manifest in self.list()?.iter().rev() {
            match self.read(manifest) {
                Ok(checkpoint) => return Ok(Some(checkpoint)),
                Err(Error::Storage(error)) if !matches!(error, storage::Error::NotFound { .. }) => {
                    return Err(error.into());
                }
                Err(error) => self.give_up(&key_of(manifest.step), &error.to_string())?,
            }
        }
        Ok(None)
    }

    fn give_up(&self, key: &str, why: &str) -> Result<(), Error> {
        let text = format!("the checkpoint {} cannot be used and is left out: {why}", self.store.child(key).url());
        note(&self.context.events, Level::Warn, text);
        Ok(self.store.wait(self.store.delete(key))?)
    }

    /// One of them.
    pub fn read(&self, manifest: &Manifest) -> Result<Checkpoint, Error> {
        let mut tensors = Weights::default();
        let mut rows = Vec::new();
        for (name, file) in &manifest.files {
            let key = format!("{}/{name}", manifest.folder);
            let bytes = self.store.wait(self.store.get(&key))?;
            if bytes.len() as u64 != file.bytes || digest::of(&bytes) != file.blake3 {
                return Err(Error::Failed(format!("{} is damaged", self.store.child(&key).url())));
            }
            if name == HISTORY {
                rows = history::decode(bytes)?;
            } else {
                tensors.tensors.extend(read_bytes(&key, &bytes)?.tensors);
            }
        }
        let Manifest { step, place, score, .. } = *manifest;
        Ok(Checkpoint { step, place, tensors, history: rows, score })
    }

    /// Writes one. One of the same step that is there already stays, since equal steps of a training are equal, unless only
    /// the new one was validated.
    pub fn write(&self, checkpoint: &Checkpoint) -> Result<(), Error> {
        (self.context.fence)()?;
        let Checkpoint { step, place, score, .. } = *checkpoint;
        let folder = format!("{step:010}-{}", id::token());
        let mut files = BTreeMap::new();
        let mut put = |name: String, bytes: Bytes| -> Result<(), Error> {
            let file = File { bytes: bytes.len() as u64, blake3: digest::of(&bytes) };
            self.store.wait(self.store.put(&format!("{folder}/{name}"), bytes))?;
            files.insert(name, file);
            Ok(())
        };
        for (number, group) in groups(&checkpoint.tensors).iter().enumerate() {
            put(format!("state-{number:05}.safetensors"), Bytes::from(encode_safetensors(group)?))?;
        }
        put(HISTORY.to_owned(), history::encode(&checkpoint.history)?.bytes)?;
        let run = self.context.run.clone();
        let manifest = Manifest { schema: SCHEMA.to_owned(), step, place, score, folder, files, run };
        let text = serde_json::to_vec_pretty(&manifest)
            .map_err(|error| Error::Failed(format!("a checkpoint cannot be described: {error}")))?;
        (self.context.fence)()?;
        let text = Bytes::from(text);
        match self.store.wait(self.store.create(&key_of(step), text.clone()))? {
            Created::New => Ok(()),
            // It was written when the training was stopped before it was validated.
            Created::Exists(_) if score.is_some() => Ok(self.store.wait(self.store.put(&key_of(step), text))?),
            Created::Exists(_) => self.drop_files(&manifest),
        }
    }

    /// Removes what need not be kept, the manifest first, and files that no manifest names.
    pub fn tidy(&self, keep: Keep) -> Result<(), Error> {
        let manifests = self.list()?;
        let scores: Vec<(u64, Option<f64>)> =
            manifests.iter().map(|manifest| (manifest.step, manifest.score)).collect();
        let kept = kept(&scores, keep);
        let (stay, go): (Vec<&Manifest>, Vec<&Manifest>) =
            manifests.iter().partition(|manifest| kept.contains(&manifest.step));
        for manifest in go {
            self.store.wait(self.store.delete(&key_of(manifest.step)))?;
        }
        let listed: Vec<_> = self.store.wait(self.store.list("").try_collect())?;
        for object in listed.iter().filter(|object: &&crate::storage::ObjectInfo| !is_manifest(&object.key)) {
            let folder = object.key.split('/').next().unwrap_or_default();
            if !stay.iter().any(|manifest| manifest.folder == folder) {
                self.store.wait(self.store.delete(&object.key))?;
            }
        }
        Ok(())
    }

    fn drop_files(&self, manifest: &Manifest) -> Result<(), Error> {
        for name in manifest.files.keys() {
            self.store.wait(self.store.delete(&format!("{}/{name}", manifest.folder)))?;
        }
        Ok(())
    }
}

fn key_of(step: u64) -> String {
    format!("{step:010}.json")
}

fn is_manifest(key: &str) -> bool {
    key.strip_suffix(".json").is_some_and(|step| step.len() == 10 && step.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The tensors, by name, in files of bounded size.
fn groups(tensors: &Weights) -> Vec<Weights> {
    let mut groups = vec![Weights::default()];
    let mut size = 0;
    for (name, tensor) in &tensors.tensors {
        let bytes = tensor.data().len();
        if size > 0 && size + bytes > FILE_BYTES {
            groups.push(Weights::default());
            size = 0;
        }
        size += bytes;
        if let Some(group) = groups.last_mut() {
            group.tensors.insert(name.clone(), tensor.clone());
        }
    }
    groups
}

/// How many checkpoints stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// The latest ones, at least 1.
    pub last: usize,
    /// The best ones by their validation.
    pub best: usize,
}

impl Default for Keep {
    /// The last one, to go on from, and the best one, to publish.
    fn default() -> Self {
        Self { last: 1, best: 1 }
    }
}

/// Which of the steps, each with its score, stay. Of equal scores the earlier one is better.
pub fn kept(steps: &[(u64, Option<f64>)], keep: Keep) -> BTreeSet<u64> {
    let mut by_step: Vec<u64> = steps.iter().map(|(step, _)| *step).collect();
    by_step.sort_unstable();
    let mut by_score: Vec<(f64, u64)> = steps.iter().filter_map(|(step, score)| Some(((*score)?, *step))).collect();
    by_score.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
    let last = by_step.iter().rev().take(keep.last.max(1));
    last.copied().chain(by_score.iter().take(keep.best).map(|(_, step)| *step)).collect()
}

/// The best of some checkpoints by step ascending, if any was validated; of equal ones the earlier.
pub fn best(manifests: &[Manifest]) -> Option<&Manifest> {
    let validated = manifests.iter().filter(|manifest| manifest.score.is_some());
    validated.fold(None, |best: Option<&Manifest>, manifest| match best {
        Some(best) if best.score >= manifest.score => Some(best),
        _ => Some(manifest),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_and_the_best_stay() {
        let steps = [(10, Some(0.3)), (20, Some(0.5)), (25, None), (30, Some(0.5)), (40, Some(0.4))];
        assert_eq!(kept(&steps, Keep::default()), [20, 40].into());
        assert_eq!(kept(&steps, Keep { last: 2, best: 2 }), [20, 30, 40].into());
        assert_eq!(kept(&steps, Keep { last: 0, best: 0 }), [40].into());
        assert_eq!(kept(&[(5, None)], Keep::default()), [5].into());
        assert!(kept(&[], Keep::default()).is_empty());
    }

    #[test]
    fn names_of_manifests_are_told_from_files() {
        assert!(is_manifest(&key_of(12)) && is_manifest("0000000012.json"));
        assert!(!is_manifest("0000000012-ab/state-00000.safetensors") && !is_manifest("training.json"));
    }
}
