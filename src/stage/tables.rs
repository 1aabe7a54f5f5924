//! Versions of tables on a store: the one door through which stages read and publish them. Data first, manifest last, and
//! the manifest's create-if-absent is the commit. Where checks are to see tables first, versions wait in staging until they
//! are promoted. Must not know what the rows mean, nor what is checked.

use super::{Context, Error, Fence};
use crate::storage::{Created, Store};
use crate::table::schema::{ANNOTATIONS, MASKS, SPLITS};
use crate::table::{Manifest, Part, PartEntry, Table, manifest, read};
use crate::{clock, digest, digest::Fingerprint, id};
use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;
use std::collections::BTreeMap;

/// The tables that can wait in staging, in the order in which they are promoted: each is made from the one before.
const STAGED: [&Table; 3] = [&ANNOTATIONS, &MASKS, &SPLITS];

/// The tables below one root.
#[derive(Clone)]
pub struct Tables {
    store: Store,
    /// Whether those that can wait in staging are read and published there.
    staged: bool,
}

/// A table's place: its schema and its folder, which is its name unless several tables share a schema.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The schema.
    pub table: &'static Table,
    /// The folder below the root, such as `masks` or `ledger/demo/cutout`.
    pub folder: &'a str,
}

impl From<&'static Table> for Place<'_> {
    fn from(table: &'static Table) -> Self {
        Place { table, folder: table.name }
    }
}

impl Tables {
    /// The tables of a store.
    pub fn new(store: Store) -> Self {
        Self { store, staged: false }
    }

    /// The same, as those see them who work ahead of a check: what waits in staging goes before what is published, and what
    /// they publish waits there too.
    pub fn staged(store: Store) -> Self {
        Self { store, staged: true }
    }

    /// Whether what waits in staging is seen.
    pub fn is_staged(&self) -> bool {
        self.staged
    }

    /// The root.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The current version, if the table was ever published.
    pub fn current(&self, place: impl Into<Place<'static>>) -> Result<Option<Manifest>, Error> {
        self.current_at(place.into())
    }

    /// As `current`, for a folder known only at run time.
    pub fn current_at(&self, place: Place<'_>) -> Result<Option<Manifest>, Error> {
        let published = self.versions(place)?.pop();
        if let Some(waiting) =
            self.waiting(place)?.filter(|waiting| published.is_none_or(|newest| waiting.version > newest))
        {
            return Ok(Some(waiting));
        }
        let Some(version) = published else { return Ok(None) };
        self.version(place, version).map(Some)
    }

    /// The version that waits in staging, for those who work there.
    fn waiting(&self, place: Place<'_>) -> Result<Option<Manifest>, Error> {
        if !self.staged || !STAGED.iter().any(|table| table.name == place.folder) {
            return Ok(None);
        }
        let key = staging_key(place.folder);
        match self.store.wait(self.store.get(&key)) {
            Ok(bytes) => Ok(Some(Manifest::parse(place.table, &key, &bytes)?)),
            Err(crate::storage::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Publishes what waits in staging, and gives the names of the tables. Killed in between, the next call does the rest; a
    /// version that somebody else published meanwhile is a conflict.
    pub fn promote(&self, fence: &Fence) -> Result<Vec<&'static str>, Error> {
        let mut promoted = Vec::new();
        for table in STAGED {
            let place = Place::from(table);
            let Some(waiting) = self.waiting(place)? else { continue };
            fence()?;
            if self.versions(place)?.pop().is_none_or(|newest| waiting.version > newest) {
                self.create(place, &waiting)?;
                promoted.push(table.name);
            }
            self.store.wait(self.store.delete(&staging_key(place.folder)))?;
        }
        Ok(promoted)
    }

    /// The commit of a version. That another one is there already, though not of the same writer, is a conflict.
    fn create(&self, place: Place<'_>, version: &Manifest) -> Result<(), Error> {
        let key = format!("{}/_versions/{}", place.folder, manifest::version_file(version.version));
        match self.store.wait(self.store.create(&key, Bytes::from(version.to_json())))? {
            Created::New => Ok(()),
            Created::Exists(_) => Err(Error::Conflict(format!("{}/{}", self.store.url(), place.folder))),
        }
    }

    /// The numbers of all versions, ascending.
    pub fn versions(&self, place: Place<'_>) -> Result<Vec<u64>, Error> {
        let prefix = format!("{}/_versions/", place.folder);
        let listed: Vec<_> = self.store.wait(self.store.list(&prefix).try_collect())?;
        let mut versions: Vec<u64> = listed
            .iter()
            .filter_map(|object: &crate::storage::ObjectInfo| manifest::version_of(object.key.strip_prefix(&prefix)?))
            .collect();
        versions.sort_unstable();
        Ok(versions)
    }

    /// One version.
    pub fn version(&self, place: Place<'_>, version: u64) -> Result<Manifest, Error> {
        let key = format!("{}/_versions/{}", place.folder, manifest::version_file(version));
        let bytes = self.store.wait(self.store.get(&key))?;
        Ok(Manifest::parse(place.table, &key, &bytes)?)
    }

    /// The bytes of one part, checked against the manifest.
    pub fn part(&self, place: Place<'_>, entry: &PartEntry) -> Result<Bytes, Error> {
        let key = format!("{}/{}", place.folder, entry.file);
        let bytes = self.store.wait(self.store.get(&key))?;
        if bytes.len() as u64 != entry.size || digest::of(&bytes) != entry.blake3 {
            return Err(crate::table::Error::Checksum { file: key }.into());
        }
        Ok(bytes)
    }

    /// All rows of a version, batch by batch, one part in memory at a time.
    pub fn scan<'a>(
        &'a self,
        place: Place<'a>,
        version: &'a Manifest,
        columns: Option<&'a [&'a str]>,
    ) -> impl Iterator<Item = Result<RecordBatch, Error>> + 'a {
        version.parts.iter().flat_map(move |entry| {
            let opened = self.part(place, entry).and_then(|bytes| Ok(read::batches(place.table, bytes, columns)?));
            let (batches, failed) = match opened {
                Ok(batches) => (Some(batches), None),
                Err(error) => (None, Some(Err(error))),
            };
            failed.into_iter().chain(batches.into_iter().flatten().map(|batch| batch.map_err(Error::from)))
        })
    }
}

/// Where a version of a table waits.
pub fn staging_key(folder: &str) -> String {
    format!("{folder}/_staging.json")
}

/// Writes the parts of one version and publishes it.
pub struct Publication<'a> {
    context: &'a Context,
    place: Place<'a>,
    attempt: String,
    parts: Vec<PartEntry>,
}

impl<'a> Publication<'a> {
    /// Begins a version. Nothing of it is visible before `publish`.
    pub fn begin(context: &'a Context, place: Place<'a>) -> Self {
        Self { context, place, attempt: id::token(), parts: Vec::new() }
    }

    /// Stores one more part. Its name holds the attempt, so that no other attempt can ever touch it.
    pub fn put(&mut self, part: Part) -> Result<&mut PartEntry, Error> {
        let file = format!("part-{:05}-{}.parquet", self.parts.len(), self.attempt);
        let store = self.context.tables.store();
        let entry = PartEntry {
            size: part.bytes.len() as u64,
            blake3: digest::of(&part.bytes),
            rows: part.rows,
            stage: String::new(),
            first: String::new(),
            last: String::new(),
            file,
        };
        store.wait(store.put(&format!("{}/{}", self.place.folder, entry.file), part.bytes))?;
        self.parts.push(entry);
        Ok(self.parts.last_mut().unwrap_or_else(|| unreachable!("a part was just pushed")))
    }

    /// The parts so far.
    pub fn parts(&self) -> &[PartEntry] {
        &self.parts
    }

    /// Takes over a part of an earlier version as it is.
    pub fn keep(&mut self, entry: PartEntry) {
        self.parts.push(entry);
    }

    /// Publishes the parts as the version after `base` (the one that was current when the work began), or lets them wait in
    /// staging as that. Refuses when the right to publish is lost, or when another writer was quicker.
    pub fn publish(
        self,
        base: Option<&Manifest>,
        depends_on: Fingerprint,
        facts: BTreeMap<String, u64>,
    ) -> Result<Manifest, Error> {
        (self.context.fence)()?;
        let tables = &self.context.tables;
        let waits = tables.staged && STAGED.iter().any(|table| table.name == self.place.folder);
        let before = match waits {
            // The base may itself be waiting, and is replaced.
            true => tables.versions(self.place)?.pop().unwrap_or(0),
            false => base.map_or(0, |base| base.version),
        };
        let version = Manifest {
            schema: self.place.table.tag(),
            version: before + 1,
            rows: self.parts.iter().map(|part| part.rows).sum(),
            parts: self.parts,
            depends_on,
            run: self.context.run.clone(),
            owner: self.attempt,
            epoch: self.context.epoch,
            created: clock::now(),
            facts,
        };
        if waits {
            let store = tables.store();
            store.wait(store.put(&staging_key(self.place.folder), Bytes::from(version.to_json())))?;
        } else {
            tables.create(self.place, &version)?;
        }
        Ok(version)
    }
}
