//! A model on its way between a store and the local folder that graphs are opened from. Must not know what is in it.

use super::{ARTIFACT, Artifact};
use crate::digest;
use crate::stage::{Context, Error, check};
use crate::storage::{self, Store};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A model's folder on this machine: its own, or a copy that is removed with this value.
pub struct Local {
    /// The description.
    pub artifact: Artifact,
    folder: PathBuf,
    _copy: Option<TempDir>,
}

impl Local {
    /// Opens the model at the root of a store. Of one that lies elsewhere, those of `files` that it has are copied here.
    pub fn open(store: &Store, files: &[&str]) -> Result<Self, Error> {
        if let Some(folder) = store.folder() {
            let artifact = Artifact::read(&folder)?;
            return Ok(Self { artifact, folder, _copy: None });
        }
        let copy = tempfile::tempdir().map_err(|error| Error::Failed(format!("a temporary folder: {error}")))?;
        fetch(store, ARTIFACT, copy.path()).map_err(|error| match error {
            Error::Storage(storage::Error::NotFound { .. }) => Error::Usage(format!(
                "{} holds no model: there is no {ARTIFACT}; make one with `selvedge train` or `selvedge model export`",
                store.url()
            )),
            other => other,
        })?;
        let artifact = Artifact::read(copy.path())?;
        for name in artifact.files.keys().filter(|name| files.iter().any(|wanted| belongs(name, wanted))) {
            fetch(store, name, copy.path())?;
        }
        let folder = copy.path().to_path_buf();
        Ok(Self { artifact, folder, _copy: Some(copy) })
    }

    /// The path of one of the files, whose bytes are still those that were written.
    pub fn file(&self, name: &str) -> Result<PathBuf, Error> {
        self.artifact.file(&self.folder, name)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

/// Whether a file is the one wanted, or holds the large tensors of it.
fn belongs(name: &str, wanted: &str) -> bool {
    name.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn fetch(store: &Store, name: &str, folder: &Path) -> Result<(), Error> {
    let bytes = store.wait(store.get(name))?;
    let path = folder.join(name);
    std::fs::write(&path, &bytes).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))
}

/// Puts a model that was written into a local folder to the root of a store. While the files of an older one are replaced,
/// there is no description, so that nobody takes half of each.
pub fn publish(folder: &Path, store: &Store, context: &Context) -> Result<(), Error> {
    let artifact = Artifact::read(folder)?;
    (context.fence)()?;
    store.wait(store.delete(ARTIFACT))?;
    for (name, file) in &artifact.files {
        check(&context.cancel)?;
        let bytes = read(&folder.join(name))?;
        if digest::of(&bytes) != file.blake3 {
            return Err(Error::Failed(format!("{}: it was changed while it was copied", folder.join(name).display())));
        }
        store.wait(store.put(name, bytes))?;
    }
    Ok(store.wait(store.put(ARTIFACT, read(&folder.join(ARTIFACT))?))?)
}

fn read(path: &Path) -> Result<Bytes, Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::Failed(format!("{}: {error}", path.display())))?;
    Ok(Bytes::from(bytes))
}
