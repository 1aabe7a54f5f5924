//! Versions of tables on a store: the one door through which stages read and publish them. Data first, manifest last, and
//! the manifest's create-if-absent is the commit. Must not know what the rows mean.

use super::{Context, Error};
use crate::storage::{Created, Store};
use crate::table::{Manifest, Part, PartEntry, Table, manifest, read};
use crate::{clock, digest, digest::Fingerprint, id};
use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::TryStreamExt;
use std::collections::BTreeMap;

/// The tables below one root.
#[derive(Clone)]
pub struct Tables {
    store: Store,
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
        Self { store }
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
        let Some(version) = self.versions(place)?.pop() else { return Ok(None) };
        self.version(place, version).map(Some)
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

    /// Publishes the parts as the version after `base` (the one that was current when the work began). Refuses when the
    /// right to publish is lost, or when another writer was quicker.
    pub fn publish(
        self,
        base: Option<&Manifest>,
        depends_on: Fingerprint,
        facts: BTreeMap<String, u64>,
    ) -> Result<Manifest, Error> {
        (self.context.fence)()?;
        let version = Manifest {
            schema: self.place.table.tag(),
            version: base.map_or(1, |base| base.version + 1),
            rows: self.parts.iter().map(|part| part.rows).sum(),
            parts: self.parts,
            depends_on,
            run: self.context.run.clone(),
            owner: self.attempt,
            epoch: self.context.epoch,
            created: clock::now(),
            facts,
        };
        let key = format!("{}/_versions/{}", self.place.folder, manifest::version_file(version.version));
        let store = self.context.tables.store();
        match store.wait(store.create(&key, Bytes::from(version.to_json())))? {
            Created::New => Ok(version),
            Created::Exists(_) => Err(Error::Conflict(format!("{}/{}", store.url(), self.place.folder))),
        }
    }
}
