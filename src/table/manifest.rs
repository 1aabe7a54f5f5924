//! A version of a table as a value: which parts it has and what it was made from. Decides what the next version is;
//! must not know where manifests are kept.

use super::Error;
use super::read::check_tag;
use super::schema::Table;
use crate::clock::Timestamp;
use crate::digest::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One version of a table: `STORE/<table>/_versions/<10 digits>.json`, created after its parts and never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// `name/major.minor` of the table's schema.
    pub schema: String,
    /// The number in the file's name; the highest is current.
    pub version: u64,
    /// The parts in order.
    pub parts: Vec<PartEntry>,
    /// All rows.
    pub rows: u64,
    /// What the version was made from: equal fingerprints mean equal rows.
    pub depends_on: Fingerprint,
    /// The run that published it, or `-` for a stage run alone.
    pub run: String,
    /// The attempt that wrote it: settles who won when an answer is lost.
    pub owner: String,
    /// The epoch of the pipeline's lock under which it was published; 0 for a stage run alone.
    pub epoch: u64,
    /// When, by the clock of the host.
    pub created: Timestamp,
    /// Figures of the making, for reports (rows read, images, notes by code).
    #[serde(default)]
    pub facts: BTreeMap<String, u64>,
}

/// One part of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartEntry {
    /// The file below the table's folder.
    pub file: String,
    /// Its bytes.
    pub size: u64,
    /// BLAKE3 of its bytes.
    pub blake3: String,
    /// Its rows.
    pub rows: u64,
    /// Which stage's rows it holds, in tables that several stages share; empty elsewhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub stage: String,
    /// The first key, in tables sorted by key; empty elsewhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub first: String,
    /// The last key, in tables sorted by key; empty elsewhere.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub last: String,
}

impl Manifest {
    /// Reads a manifest of this table.
    pub fn parse(table: &Table, file: &str, bytes: &[u8]) -> Result<Self, Error> {
        let manifest: Self = serde_json::from_slice(bytes)
            .map_err(|error| Error::Manifest { file: file.to_owned(), detail: error.to_string() })?;
        check_tag(table, &manifest.schema)?;
        Ok(manifest)
    }

    /// The bytes to store.
    pub fn to_json(&self) -> Vec<u8> {
        // Strings, numbers and maps with string keys always serialise.
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }
}

/// The file name of a version: ten digits, so that names sort as numbers do.
pub fn version_file(version: u64) -> String {
    format!("{version:010}.json")
}

/// The version that a file name stands for.
pub fn version_of(file: &str) -> Option<u64> {
    let digits = file.strip_suffix(".json")?;
    (digits.len() == 10 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok()).flatten()
}
