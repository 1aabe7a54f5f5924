//! An object as a `std::io::Read` for plain threads. Must not know the backends beyond `Store`, save that files are read in place.

use super::folder::{info as file_info, unchanged};
use super::{Backend, Error, ObjectInfo, Store};
use bytes::{Buf, Bytes};
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use tokio::task::JoinHandle;

/// Bytes fetched at a time.
const RANGE: u64 = 8 << 20;

/// Reads one version of an object from start to end; another version is an error, never a mixture. From a bucket it holds at
/// most two ranges of 8 MiB: the one being read and the next, fetched meanwhile. Must not be read on a runtime's thread.
pub struct Reader {
    store: Store,
    info: ObjectInfo,
    source: Source,
    /// The first failure, told again at every later read, which could otherwise look like the end.
    failure: Option<Error>,
}

enum Source {
    File(Option<File>),
    Ranges { current: Bytes, next: Option<JoinHandle<Result<Bytes, Error>>>, asked: u64 },
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({}/{})", self.store.url, self.info.key)
    }
}

impl Reader {
    pub(super) fn new(store: Store, info: ObjectInfo) -> Self {
        let source = match store.backend {
            Backend::Folder(_) => Source::File(None),
            Backend::Memory(_) | Backend::Remote(_) => Source::Ranges { current: Bytes::new(), next: None, asked: 0 },
        };
        Self { store, info, source, failure: None }
    }

    fn read_file(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let (Backend::Folder(folder), Source::File(opened)) = (&self.store.backend, &mut self.source) else {
            return Ok(0);
        };
        let key = self.store.full(&self.info.key)?;
        let file = match opened {
            Some(file) => file,
            None => opened.insert(Arc::clone(folder).open(&key, Some(&self.info.etag))?.0),
        };
        let path = folder.path(&key);
        let fail = |error: io::Error| Error::from_io(path.display().to_string(), &error);
        let count = file.read(buffer).map_err(fail)?;
        if count == 0 {
            // Written in place since it was opened: what was read is no version of it.
            unchanged(&path, Some(&self.info.etag), &file_info(&key, &file.metadata().map_err(fail)?))?;
        }
        Ok(count)
    }

    fn read_ranges(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let Source::Ranges { current, next, asked } = &mut self.source else { return Ok(0) };
        while current.is_empty() {
            let mut ask = || {
                let range = *asked..self.info.size.min(*asked + RANGE);
                let (store, info) = (self.store.clone(), self.info.clone());
                *asked = range.end;
                (range.start < range.end).then(|| {
                    let handle = self.store.handle.clone();
                    handle.spawn(async move { store.get_range_if(&info, range).await })
                })
            };
            let Some(fetch) = next.take().or_else(&mut ask) else { return Ok(0) };
            *next = ask();
            let fetched = self.store.handle.block_on(fetch);
            let place = || format!("{}/{}", self.store.url, self.info.key);
            *current =
                fetched.unwrap_or_else(|error| Err(Error::Other { place: place(), cause: error.to_string() }))?;
        }
        let count = current.len().min(buffer.len());
        current.split_to(count).copy_to_slice(&mut buffer[..count]);
        Ok(count)
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        if let Some(failure) = &self.failure {
            return Err(failure.clone().into());
        }
        let outcome = match self.source {
            Source::File(_) => self.read_file(buffer),
            Source::Ranges { .. } => self.read_ranges(buffer),
        };
        outcome.map_err(|error| {
            self.failure = Some(error.clone());
            error.into()
        })
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let Source::Ranges { next: Some(next), .. } = &self.source {
            next.abort(); // Nobody is left to read it.
        }
    }
}
