//! The photos of a cutout stage, listed once in the order of their names. Must not know what is made of them.

use crate::clock::Timestamp;
use crate::stage::Error;
use crate::stage::photos::is_state;
use crate::storage::{ObjectInfo, Options, Store, split_location};
use futures::StreamExt;
use futures::stream::BoxStream;
use std::collections::BTreeMap;
use tokio::runtime::Handle;

/// One photo to cut out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Which of the stage's roots it lies below.
    pub root: u32,
    /// Its name: the key below its root, mirrored by the output.
    pub name: String,
    /// Its version.
    pub etag: String,
    /// Its bytes.
    pub size: u64,
    /// The shard that it was planned into; 0 while it is being listed.
    pub shard: u32,
}

impl Source {
    /// The object as it was listed.
    pub fn info(&self) -> ObjectInfo {
        ObjectInfo { key: self.name.clone(), size: self.size, etag: self.etag.clone(), modified: Timestamp::UNIX_EPOCH }
    }
}

/// One step of a listing.
#[derive(Debug)]
pub enum Listed {
    /// A photo.
    Source(Source),
    /// Something that cannot be read as a photo, in words; the listing goes on behind it.
    Unreadable(String),
}

/// Where photos are read from.
pub struct Inputs {
    roots: Vec<Root>,
}

struct Root {
    store: Store,
    /// The files named one by one; the whole folder when empty.
    files: Vec<String>,
}

impl Inputs {
    /// Opens files, folders and prefixes. Files of one folder share a root; nothing is listed yet.
    pub fn open(locations: &[String], keys: &[String], options: &Options, handle: &Handle) -> Result<Self, Error> {
        if !keys.is_empty() {
            let [folder] = locations else {
                return Err(Error::Usage(
                    "a list of keys goes with one input: the folder that they lie below".to_owned(),
                ));
            };
            let store = Store::open(folder, options, handle.clone())?;
            return Ok(Self { roots: vec![Root { store, files: keys.to_vec() }] });
        }
        let mut roots = Vec::new();
        let mut folders_of_files: BTreeMap<String, usize> = BTreeMap::new();
        for location in locations {
            if is_folder(location, options, handle)? {
                roots.push(Root { store: Store::open(location, options, handle.clone())?, files: Vec::new() });
                continue;
            }
            let (folder, file) = split_location(location)?;
            let at = match folders_of_files.get(&folder) {
                Some(at) => *at,
                None => {
                    roots.push(Root { store: Store::open(&folder, options, handle.clone())?, files: Vec::new() });
                    folders_of_files.insert(folder, roots.len() - 1);
                    roots.len() - 1
                }
            };
            roots[at].files.push(file);
        }
        Ok(Self { roots })
    }

    /// The store that a source is read from.
    pub fn store(&self, source: &Source) -> Result<&Store, Error> {
        let root = self.roots.get(source.root as usize);
        root.map(|root| &root.store)
            .ok_or_else(|| Error::Usage(format!("{} belongs to an input that is no longer given", source.name)))
    }

    /// The URLs of the folders that are read whole: nothing may be written below them.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.roots.iter().filter(|root| root.files.is_empty()).map(|root| root.store.url())
    }

    /// Whether all there is was asked for, so that what is not listed is gone; not so when files are named one by one.
    pub fn is_whole(&self) -> bool {
        self.roots.iter().all(|root| root.files.is_empty())
    }

    /// Every photo in ascending order of names, one at a time. Two photos of one name are refused, both named.
    pub fn list(&self) -> Result<Listing<'_>, Error> {
        let mut heads = Vec::new();
        for (root, Root { store, files }) in self.roots.iter().enumerate() {
            let stream = if files.is_empty() { store.list("") } else { named(store, files)? };
            heads.push(Head { root: root as u32, store, stream, next: None });
        }
        let mut listing = Listing { heads, last: None };
        listing.heads.iter_mut().for_each(|head| drop(head.advance()));
        Ok(listing)
    }
}

fn is_folder(location: &str, options: &Options, handle: &Handle) -> Result<bool, Error> {
    if location.ends_with('/') {
        return Ok(true);
    }
    let (folder, file) = split_location(location)?;
    if file.is_empty() {
        return Ok(true);
    }
    let store = Store::open(&folder, options, handle.clone())?;
    if store.wait(store.head(&file))?.is_some() {
        return Ok(false);
    }
    let below = store.child(&file);
    // An error is told by the listing itself, which names what cannot be listed and goes on.
    if store.wait(below.list("").next()).is_some() || is_local_folder(location) {
        return Ok(true);
    }
    Err(Error::Usage(format!("{location}: no such file or folder; check the spelling, or end a prefix with /")))
}

/// An empty local folder exists though nothing can be listed in it.
fn is_local_folder(location: &str) -> bool {
    std::path::Path::new(location.strip_prefix("file://").unwrap_or(location)).is_dir()
}

fn named<'a>(
    store: &Store,
    files: &[String],
) -> Result<BoxStream<'a, Result<ObjectInfo, crate::storage::Error>>, Error> {
    let mut infos = Vec::with_capacity(files.len());
    for file in files {
        let info = store.wait(store.head(file))?;
        infos.push(info.ok_or_else(|| Error::Usage(format!("{}/{file}: no such file", store.url())))?);
    }
    infos.sort_by(|a, b| a.key.cmp(&b.key));
    infos.dedup_by(|a, b| a.key == b.key);
    Ok(futures::stream::iter(infos.into_iter().map(Ok)).boxed())
}

struct Head<'a> {
    root: u32,
    store: &'a Store,
    stream: BoxStream<'a, Result<ObjectInfo, crate::storage::Error>>,
    next: Option<Result<Source, crate::storage::Error>>,
}

impl Head<'_> {
    fn advance(&mut self) -> Option<Result<Source, crate::storage::Error>> {
        let mut listed = self.store.wait(self.stream.next());
        while listed.as_ref().is_some_and(|info| info.as_ref().is_ok_and(|info| is_state(&info.key))) {
            listed = self.store.wait(self.stream.next());
        }
        let source =
            |info: ObjectInfo| Source { root: self.root, name: info.key, etag: info.etag, size: info.size, shard: 0 };
        let next = listed.map(|info| info.map(source));
        std::mem::replace(&mut self.next, next)
    }
}

/// The merged listing of all roots; ascending by name. One that cannot be listed is an error item, and the listing goes on.
pub struct Listing<'a> {
    heads: Vec<Head<'a>>,
    last: Option<Source>,
}

impl Listing<'_> {
    fn pull(&mut self) -> Result<Option<Listed>, Error> {
        if let Some(head) = self.heads.iter_mut().find(|head| matches!(head.next, Some(Err(_)))) {
            let of_one = head.store.is_folder();
            return match head.advance().transpose() {
                Err(error @ crate::storage::Error::Unsupported { .. }) => {
                    Ok(Some(Listed::Unreadable(error.to_string())))
                }
                Err(error) if of_one => Ok(Some(Listed::Unreadable(error.to_string()))),
                Err(error) => Err(error.into()),
                Ok(source) => Ok(source.map(Listed::Source)),
            };
        }
        let name =
            |head: &Head<'_>| head.next.as_ref().and_then(|next| next.as_ref().ok()).map(|source| source.name.clone());
        let waiting = self.heads.iter().enumerate().filter_map(|(at, head)| Some((name(head)?, at)));
        let Some((_, at)) = waiting.min() else { return Ok(None) };
        let source = self.heads[at].advance().transpose()?;
        if let (Some(last), Some(source)) = (&self.last, &source)
            && last.name == source.name
        {
            let url = |source: &Source| format!("{}/{}", self.heads[source.root as usize].store.url(), source.name);
            return Err(Error::Usage(format!(
                "{} and {} would have the same name {}; run them into different output folders",
                url(last),
                url(source),
                source.name
            )));
        }
        self.last.clone_from(&source);
        Ok(source.map(Listed::Source))
    }
}

impl Iterator for Listing<'_> {
    type Item = Result<Listed, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.pull().transpose()
    }
}
