//! What may be removed: old versions of tables, parts that no version names, and what ended runs left behind. The decision is
//! a value that explains itself; `--dry-run` prints it and removes nothing. Must not touch outputs.

use super::{Error, state};
use crate::clock::Timestamp;
use crate::stage::tables::{Place, Tables};
use crate::storage::{ObjectInfo, Store};
use crate::table::manifest::version_file;
use crate::table::schema;
use futures::TryStreamExt;
use std::collections::BTreeSet;

/// A part that no version names is left alone for this long: somebody may be about to publish it.
const GRACE_SECONDS: i64 = 24 * 3600;

/// One object that may go, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// Its key.
    pub key: String,
    /// Its bytes.
    pub size: u64,
    /// Why it may go.
    pub why: &'static str,
}

/// Which objects may go when the last `keep` versions of each table and the last `keep` ended runs stay.
pub fn decide(store: &Store, keep: usize) -> Result<Vec<Removal>, Error> {
    let keep = keep.max(1);
    let now = store.wait(store.server_time("locks"))?;
    let mut removals = Vec::new();
    for (schema, folder) in folders(store)? {
        table(store, Place { table: schema, folder: &folder }, keep, now, &mut removals)?;
    }
    trainings(store, keep, now, &mut removals)?;
    runs(store, keep, &mut removals)?;
    locks(store, &mut removals)?;
    Ok(removals)
}

/// Removes what was decided, one that is gone already is fine; and what writers that were killed left half-written.
pub fn remove(store: &Store, removals: &[Removal]) -> Result<(), Error> {
    for removal in removals {
        store.wait(store.delete(&removal.key))?;
    }
    let now = store.wait(store.server_time("locks"))?;
    if let Ok(before) = Timestamp::from_second(now.as_second() - GRACE_SECONDS) {
        store.wait(store.remove_partials(before))?;
    }
    Ok(())
}

/// Checkpoints of trainings that were given up for others of the same name: all but the latest `keep`, once nobody has
/// written to them for a while.
fn trainings(store: &Store, keep: usize, now: Timestamp, removals: &mut Vec<Removal>) -> Result<(), Error> {
    for name in store.wait(store.list_folders("train"))? {
        let mut trainings = Vec::new();
        for folder in store.wait(store.list_folders(&format!("train/{name}")))? {
            let listed = store.list(&format!("train/{name}/{folder}"));
            let objects: Vec<ObjectInfo> = store.wait(listed.try_collect())?;
            trainings.push((objects.iter().map(|object| object.modified).max(), objects));
        }
        trainings.sort_by_key(|(modified, _)| std::cmp::Reverse(*modified));
        for (modified, objects) in trainings.into_iter().skip(keep) {
            if modified.is_none_or(|modified| now.as_second() - modified.as_second() < GRACE_SECONDS) {
                continue;
            }
            let why = "a checkpoint of a training that was given up";
            removals.extend(objects.iter().map(|object| removal(object, why)));
        }
    }
    Ok(())
}

fn folders(store: &Store) -> Result<Vec<(&'static schema::Table, String)>, Error> {
    let mut folders: Vec<(&'static schema::Table, String)> = Vec::new();
    for table in schema::ALL {
        if table.name == schema::LEDGER.name {
            for pipeline in store.wait(store.list_folders("ledger"))? {
                for stage in store.wait(store.list_folders(&format!("ledger/{pipeline}")))? {
                    folders.push((table, format!("ledger/{pipeline}/{stage}")));
                }
            }
        } else if [schema::HISTORY.name, schema::CONFUSION.name].contains(&table.name) {
            for model in store.wait(store.list_folders(table.name))? {
                folders.push((table, format!("{}/{model}", table.name)));
            }
        } else {
            folders.push((table, table.name.to_owned()));
        }
    }
    Ok(folders)
}

fn table(
    store: &Store,
    place: Place<'_>,
    keep: usize,
    now: Timestamp,
    removals: &mut Vec<Removal>,
) -> Result<(), Error> {
    let tables = Tables::new(store.clone());
    let of_stage = Error::of_stage("gc");
    let versions = tables.versions(place).map_err(&of_stage)?;
    let (old, kept) = versions.split_at(versions.len().saturating_sub(keep));
    let parts = |versions: &[u64]| -> Result<BTreeSet<String>, Error> {
        let mut parts = BTreeSet::new();
        for version in versions {
            parts.extend(tables.version(place, *version).map_err(&of_stage)?.parts.into_iter().map(|part| part.file));
        }
        Ok(parts)
    };
    let (mut named, published) = (parts(kept)?, parts(old)?);
    // What waits in staging is needed too.
    let waiting = Tables::staged(store.clone()).current_at(place).map_err(&of_stage)?;
    named.extend(waiting.into_iter().flat_map(|version| version.parts).map(|part| part.file));
    let old: BTreeSet<String> = old.iter().map(|version| format!("_versions/{}", version_file(*version))).collect();
    let prefix = format!("{}/", place.folder);
    let mut listing = store.list(place.folder);
    while let Some(object) = store.wait(listing.try_next())? {
        let file = object.key.strip_prefix(&prefix).unwrap_or(&object.key);
        // A part of an old version was published, so nobody is about to; others may be, unless they are old.
        let settled = published.contains(file) || now.as_second() - object.modified.as_second() > GRACE_SECONDS;
        if old.contains(file) {
            removals.push(removal(&object, "an old version"));
        } else if file.starts_with("part-") && !named.contains(file) && settled {
            removals.push(removal(&object, "a part that no kept version names"));
        }
    }
    Ok(())
}

fn runs(store: &Store, keep: usize, removals: &mut Vec<Removal>) -> Result<(), Error> {
    let mut ended = Vec::new();
    for run in state::runs(store)? {
        if store.wait(store.head(&format!("{}/outcome.json", state::folder(&run))))?.is_some() {
            ended.push(run);
        }
    }
    for run in &ended[..ended.len().saturating_sub(keep)] {
        let folder = state::folder(run);
        let mut listing = store.list(&folder);
        while let Some(object) = store.wait(listing.try_next())? {
            // The record and the end of a run are its history; plans, shards and rows are folded into the tables.
            let file = object.key.strip_prefix(&folder).unwrap_or_default();
            if !matches!(file, "/run.json" | "/outcome.json") {
                removals.push(removal(&object, "left by a run that has ended"));
            }
        }
    }
    Ok(())
}

fn locks(store: &Store, removals: &mut Vec<Removal>) -> Result<(), Error> {
    for pipeline in store.wait(store.list_folders("locks"))? {
        let folder = format!("locks/{pipeline}");
        let objects: Vec<ObjectInfo> = store.wait(store.list(&folder).try_collect())?;
        let epoch = |object: &ObjectInfo| {
            let file = object.key.rsplit('/').next().unwrap_or_default();
            file.get(..10).and_then(|digits| digits.parse::<u64>().ok())
        };
        let highest = objects.iter().filter_map(epoch).max().unwrap_or(0);
        // The highest epoch is the lock; everything below it was given back or taken over long since.
        removals.extend(
            objects
                .iter()
                .filter(|object| epoch(object).is_some_and(|epoch| epoch < highest))
                .map(|object| removal(object, "an epoch that is over")),
        );
    }
    Ok(())
}

fn removal(object: &ObjectInfo, why: &'static str) -> Removal {
    Removal { key: object.key.clone(), size: object.size, why }
}
