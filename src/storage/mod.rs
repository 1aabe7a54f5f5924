//! Stores of objects: a local folder, a bucket, a web folder or this process's memory behind one set of operations with one
//! meaning. Must not know what the objects are, or who wants them.
//!
//! | location | store |
//! |---|---|
//! | `dir`, `/dir`, `file:///dir` | folder; writes are atomic and synced to disk |
//! | `memory://NAME/prefix` | memory of this process, the same for every open of NAME |
//! | `s3://bucket/prefix` | S3 and what speaks its protocol (option `endpoint`); tested against a server |
//! | `gs://bucket/prefix`, `az://container/prefix` | Google, Azure; so far only the set-up is tested, not a server |
//! | `https://host/folder` | any web server, for reading objects whose names are known |
//!
//! Keys are opaque UTF-8, parts joined by `/`: spaces, `%`, `+`, `#`, `?` mean themselves. Refused everywhere: empty parts
//! (`a//b`), `.` and `..`, a slash at an end, NUL; by buckets also control characters. Credentials come from the environment
//! or from files, and are shown nowhere. Calls wait on a tokio runtime, which must be a multi-threaded one.

mod checksum;
mod connect;
mod credentials;
mod error;
mod folder;
mod listing;
mod location;
mod memory;
mod options;
mod probe;
mod reader;
mod refusal;
mod remote;
mod walk;
mod wire;

pub use error::Error;
pub use location::{redact, split_location};
pub use options::{KNOWN as KNOWN_OPTIONS, Options};
pub use probe::{Check, ProbeReport, probe};
pub use reader::Reader;

use crate::clock::Timestamp;
use crate::id;
use bytes::Bytes;
use folder::Folder;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use location::{Place, check_key, joined, trimmed};
use memory::Memory;
use remote::Remote;
use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::runtime::Handle;

/// What a store says of an object without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectInfo {
    /// Its key relative to the root of the store that was asked.
    pub key: String,
    /// Its size in bytes.
    pub size: u64,
    /// What changes whenever the object does: the store's entity tag without quotes; of a local file its time of
    /// modification, size and inode.
    pub etag: String,
    /// When it was written, by the store's clock; buckets may cut it to seconds.
    pub modified: Timestamp,
}

/// How a create-if-absent ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Created {
    /// The object is there and holds the given bytes.
    New,
    /// There was one already, with these other bytes.
    Exists(Bytes),
}

/// A root (folder, or bucket and prefix) and the runtime that waits for it. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    backend: Backend,
    /// What every key of this store begins with in the backend; no slash at either end.
    prefix: String,
    url: String,
    handle: Handle,
}

#[derive(Clone)]
enum Backend {
    Folder(Arc<Folder>),
    Memory(Arc<Memory>),
    Remote(Arc<Remote>),
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.url)
    }
}

impl Store {
    /// Opens the store at a location. Nothing is asked of it yet, so a wrong bucket or credential shows at the first call.
    pub fn open(location: &str, options: &Options, handle: Handle) -> Result<Self, Error> {
        let url = location::redact(location).trim_end_matches('/').to_owned();
        let url = if url.is_empty() || url.ends_with(':') { location::redact(location) } else { url };
        let (backend, prefix) = match location::parse(location)? {
            Place::Folder(root) => (Backend::Folder(Arc::new(Folder { root })), String::new()),
            Place::Memory { name, prefix } => (Backend::Memory(Memory::named(&name)), prefix),
            Place::Bucket { cloud, bucket, prefix } => {
                let client = connect::bucket(cloud, &bucket, options)?;
                let below = if prefix.is_empty() { url.as_str() } else { url.strip_suffix(&prefix).unwrap_or(&url) };
                let url = below.trim_end_matches('/').to_owned();
                (Backend::Remote(Arc::new(Remote { client, url, read_only: false })), prefix)
            }
            Place::Web(base) => {
                let client = connect::web(&base, options)?;
                (Backend::Remote(Arc::new(Remote { client, url: url.clone(), read_only: true })), String::new())
            }
        };
        Ok(Self { backend, prefix, url, handle })
    }

    /// The location of the root, for people; never a credential.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The store whose root is a folder of this one. A prefix that is no valid key shows at the first call.
    pub fn child(&self, prefix: &str) -> Self {
        let prefix = prefix.trim_end_matches('/');
        let url = if self.url.ends_with('/') { format!("{}{prefix}", self.url) } else { joined(&self.url, prefix) };
        Self { prefix: joined(&self.prefix, prefix), url, ..self.clone() }
    }

    /// Whether it is a local folder: there an error of one file is that file's matter, not the store's.
    pub fn is_folder(&self) -> bool {
        matches!(self.backend, Backend::Folder(_))
    }

    /// Its folder, if it is a local one.
    pub fn folder(&self) -> Option<PathBuf> {
        match &self.backend {
            Backend::Folder(folder) => Some(folder.path(&self.prefix)),
            Backend::Memory(_) | Backend::Remote(_) => None,
        }
    }

    /// The runtime that waits, for opening further stores.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Waits for a future of this room on a plain thread. Must not be called on a thread of the runtime.
    pub fn wait<F: Future>(&self, future: F) -> F::Output {
        self.handle.block_on(future)
    }

    /// What the store says of an object, or that there is none.
    pub async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, Error> {
        let full = self.full(key)?;
        let found = match &self.backend {
            Backend::Folder(folder) => {
                let folder = Arc::clone(folder);
                self.blocking(move || folder.head(&full)).await?
            }
            Backend::Memory(memory) => memory.head(&full),
            Backend::Remote(remote) => remote.head(&full).await?,
        };
        Ok(found.map(|found| ObjectInfo { key: key.to_owned(), ..found }))
    }

    /// The bytes of an object as it is now.
    pub async fn get(&self, key: &str) -> Result<Bytes, Error> {
        self.read(key, None, None).await
    }

    /// The bytes of an object that was listed: `Error::Changed` when it is another by now, `Error::NotFound` when it is gone.
    pub async fn get_if(&self, info: &ObjectInfo) -> Result<Bytes, Error> {
        self.read(&info.key, None, Some(&info.etag)).await
    }

    /// Some bytes of an object; a range that ends past the object's end is cut, one that begins there is an error.
    pub async fn get_range(&self, key: &str, range: Range<u64>) -> Result<Bytes, Error> {
        self.read(key, Some(range), None).await
    }

    /// Some bytes of an object that was listed, bound to it as in [`Store::get_if`].
    pub async fn get_range_if(&self, info: &ObjectInfo, range: Range<u64>) -> Result<Bytes, Error> {
        self.read(&info.key, Some(range), Some(&info.etag)).await
    }

    async fn read(&self, key: &str, range: Option<Range<u64>>, etag: Option<&str>) -> Result<Bytes, Error> {
        let full = self.full(key)?;
        match &self.backend {
            Backend::Folder(folder) => {
                let (folder, etag) = (Arc::clone(folder), etag.map(str::to_owned));
                self.blocking(move || folder.read(&full, range, etag.as_deref())).await
            }
            Backend::Memory(memory) => memory.read(&full, range, etag),
            Backend::Remote(remote) => remote.read(&full, range, etag).await,
        }
    }

    /// Writes an object, whole or not at all, over one that is there.
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Error> {
        let full = self.full(key)?;
        match &self.backend {
            Backend::Folder(folder) => {
                let folder = Arc::clone(folder);
                self.blocking(move || folder.put(&full, &bytes)).await
            }
            Backend::Memory(memory) => {
                memory.put(&full, bytes);
                Ok(())
            }
            Backend::Remote(remote) => remote.put(&full, bytes).await,
        }
    }

    /// Writes an object unless there is one: of several writers exactly one wins. The bytes must hold a token of their owner,
    /// since equal bytes count as one's own: that is how a lost answer is settled.
    pub async fn create(&self, key: &str, bytes: Bytes) -> Result<Created, Error> {
        let full = self.full(key)?;
        match &self.backend {
            Backend::Folder(folder) => {
                let folder = Arc::clone(folder);
                self.blocking(move || folder.create(&full, &bytes)).await
            }
            Backend::Memory(memory) => Ok(memory.create(&full, bytes)),
            Backend::Remote(remote) => remote.create(&full, bytes).await,
        }
    }

    /// Removes an object; absent is fine.
    pub async fn delete(&self, key: &str) -> Result<(), Error> {
        let full = self.full(key)?;
        match &self.backend {
            Backend::Folder(folder) => {
                let folder = Arc::clone(folder);
                self.blocking(move || folder.delete(&full)).await
            }
            Backend::Memory(memory) => {
                memory.delete(&full);
                Ok(())
            }
            Backend::Remote(remote) => remote.delete(&full).await,
        }
    }

    /// The objects below a folder (empty: all), keys ascending by their bytes, as a stream of bounded memory: a page at a time
    /// from buckets, the names of one folder per level locally. A folder that is not there is empty. Half-written files and
    /// the empty markers of folders are left out. What cannot be listed (a local name that is not UTF-8, a folder unreadable, a
    /// link in a circle, a key in S3 that is none of ours) is an error item that names it, and the stream goes on; after any
    /// other error it ends.
    pub fn list(&self, folder: &str) -> BoxStream<'static, Result<ObjectInfo, Error>> {
        self.list_from(folder, "")
    }

    /// The same from the first key greater than `after` (a key of this store; empty: from the start).
    pub fn list_from(&self, folder: &str, after: &str) -> BoxStream<'static, Result<ObjectInfo, Error>> {
        let start = match trimmed(&joined(&self.prefix, folder)) {
            Ok(start) => start,
            Err(error) => return stream::iter([Err(error)]).boxed(),
        };
        let after = (!after.is_empty()).then(|| joined(&self.prefix, after));
        let listing = match &self.backend {
            Backend::Folder(folder) => listing::of_folder(Arc::clone(folder), start, after, self.handle.clone()),
            Backend::Memory(memory) => listing::of_memory(Arc::clone(memory), &start, after),
            Backend::Remote(remote) => listing::of_remote(Arc::clone(remote), start, after),
        };
        listing::ordered(listing, &self.prefix, self.child(folder).url)
    }

    /// The names of the folders directly below one, in byte order; held in memory, so for folders of few.
    pub async fn list_folders(&self, folder: &str) -> Result<Vec<String>, Error> {
        let start = trimmed(&joined(&self.prefix, folder))?;
        match &self.backend {
            Backend::Folder(folder) => {
                let folder = Arc::clone(folder);
                self.blocking(move || folder.folders(&start)).await
            }
            Backend::Memory(memory) => {
                Ok(memory.folders(&if start.is_empty() { String::new() } else { format!("{start}/") }))
            }
            Backend::Remote(remote) => remote.folders(&start).await,
        }
    }

    /// Removes what writers that were killed left half-written below the root before a time, and says how many. Only folders
    /// hold such files; a bucket clears away unfinished uploads by its own rules, if it is told to.
    pub async fn remove_partials(&self, before: Timestamp) -> Result<u64, Error> {
        let start = trimmed(&self.prefix)?;
        match &self.backend {
            Backend::Folder(folder) => {
                let folder = Arc::clone(folder);
                self.blocking(move || folder.remove_partials(&folder.path(&start), before)).await
            }
            Backend::Memory(_) | Backend::Remote(_) => Ok(0),
        }
    }

    /// The bytes of an object that was listed, as a stream for plain threads.
    pub fn reader(&self, info: &ObjectInfo) -> Reader {
        Reader::new(self.clone(), info.clone())
    }

    /// The time by the store's own clock, cut to seconds by most: what a small object written now, `FOLDER/.clock-…`, says of
    /// its writing. It is removed again.
    pub async fn server_time(&self, folder: &str) -> Result<Timestamp, Error> {
        let key = joined(folder, &format!(".clock-{}", id::token()));
        self.put(&key, Bytes::from_static(b"clock")).await?;
        let found = self.head(&key).await;
        self.delete(&key).await?;
        match found? {
            Some(info) => Ok(info.modified),
            None => Err(Error::Other {
                place: joined(&self.url, &key),
                cause: "written a moment ago and gone; does another program clean up here, or the store list late?"
                    .to_owned(),
            }),
        }
    }

    /// A key as the backend knows it.
    fn full(&self, key: &str) -> Result<String, Error> {
        check_key(key)?;
        let full = joined(&self.prefix, key);
        check_key(&full)?;
        Ok(full)
    }

    /// Runs what blocks on a thread where it may.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let place = || self.url.clone();
        let done = self.handle.spawn_blocking(work).await;
        done.unwrap_or_else(|error| Err(Error::Other { place: place(), cause: error.to_string() }))
    }
}
