//! Objects in the memory of this process, for tests and dry runs. Must not know any other backend.

use super::{Created, Error, ObjectInfo};
use crate::clock;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// The stores of this process by name, so that two opens of `memory://NAME` see the same objects.
static STORES: LazyLock<Mutex<BTreeMap<String, Arc<Memory>>>> = LazyLock::new(Mutex::default);

/// One memory store.
#[derive(Debug, Default)]
pub(super) struct Memory {
    name: String,
    objects: Mutex<Objects>,
}

#[derive(Debug, Default)]
struct Objects {
    /// How many writes there were: each gives a new tag.
    writes: u64,
    by_key: BTreeMap<String, (ObjectInfo, Bytes)>,
}

impl Memory {
    /// The store of this name, empty when it is the first time.
    pub(super) fn named(name: &str) -> Arc<Self> {
        let mut stores = STORES.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Self { name: name.to_owned(), ..Self::default() });
        Arc::clone(stores.entry(name.to_owned()).or_insert_with(new))
    }

    fn objects(&self) -> MutexGuard<'_, Objects> {
        // Every change is a single insert or remove, so a panic elsewhere leaves nothing half done.
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(&self, key: &str) -> String {
        format!("memory://{}/{key}", self.name)
    }

    pub(super) fn head(&self, key: &str) -> Option<ObjectInfo> {
        self.objects().by_key.get(key).map(|(info, _)| info.clone())
    }

    pub(super) fn read(&self, key: &str, range: Option<Range<u64>>, etag: Option<&str>) -> Result<Bytes, Error> {
        let place = self.place(key);
        let Some((info, bytes)) = self.objects().by_key.get(key).cloned() else {
            return Err(Error::NotFound { place, cause: "no such object".to_owned() });
        };
        if etag.is_some_and(|etag| etag != info.etag) {
            return Err(Error::Changed { place, cause: format!("it was written again {}", info.modified) });
        }
        let Some(range) = range else { return Ok(bytes) };
        if range.start >= info.size && range.start < range.end {
            let cause = format!("bytes {}..{} were asked for of {} there are", range.start, range.end, info.size);
            return Err(Error::Other { place, cause });
        }
        let (start, end) = (range.start.min(info.size), range.end.min(info.size));
        let index = |at: u64| usize::try_from(at).unwrap_or(bytes.len());
        Ok(bytes.slice(index(start)..index(end.max(start))))
    }

    pub(super) fn put(&self, key: &str, bytes: Bytes) {
        let mut objects = self.objects();
        Self::write(&mut objects, key, bytes);
    }

    pub(super) fn create(&self, key: &str, bytes: Bytes) -> Created {
        let mut objects = self.objects();
        match objects.by_key.get(key) {
            Some((_, found)) if *found == bytes => Created::New,
            Some((_, found)) => Created::Exists(found.clone()),
            None => {
                Self::write(&mut objects, key, bytes);
                Created::New
            }
        }
    }

    fn write(objects: &mut Objects, key: &str, bytes: Bytes) {
        objects.writes += 1;
        let etag = objects.writes.to_string();
        let info = ObjectInfo { key: key.to_owned(), size: bytes.len() as u64, etag, modified: clock::now() };
        objects.by_key.insert(key.to_owned(), (info, bytes));
    }

    pub(super) fn delete(&self, key: &str) {
        self.objects().by_key.remove(key);
    }

    /// Up to so many objects whose keys begin with `start` and come after `after`.
    pub(super) fn batch(&self, start: &str, after: Option<&str>, most: usize) -> Vec<ObjectInfo> {
        let from = match after.filter(|after| *after >= start) {
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(start),
        };
        let objects = self.objects();
        let found =
            objects.by_key.range::<str, _>((from, Bound::Unbounded)).take_while(|(key, _)| key.starts_with(start));
        found.take(most).map(|(_, (info, _))| info.clone()).collect()
    }

    /// The names of the folders directly below `start` (empty, or ending in a slash), in byte order.
    pub(super) fn folders(&self, start: &str) -> Vec<String> {
        let objects = self.objects();
        let keys = objects.by_key.range::<str, _>((Bound::Included(start), Bound::Unbounded)).map(|(key, _)| key);
        let below =
            keys.take_while(|key| key.starts_with(start)).filter_map(|key| key.get(start.len()..)?.split_once('/'));
        let mut names: Vec<_> = below.map(|(name, _)| name.to_owned()).collect();
        names.dedup();
        names.sort_unstable();
        names.dedup();
        names
    }
}
