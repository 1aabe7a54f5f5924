//! A CSV as an object of a store: what it is, and its text, unpacked on the way. Must not know rows.

use crate::stage::Error;
use crate::storage::{ObjectInfo, Store};
use std::io::{self, Cursor, Read, Seek, Write};
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes looked at to tell what a file is.
const HEAD: usize = 4096;

/// An object of a store.
#[derive(Clone, Debug)]
pub struct Source {
    /// The store.
    pub store: Store,
    /// Its key there.
    pub key: String,
}

impl Source {
    /// The URL, for people.
    pub fn url(&self) -> String {
        format!("{}/{}", self.store.url().trim_end_matches('/'), self.key)
    }

    /// The last part of the key.
    pub(super) fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or(&self.key)
    }

    /// What the store says of it now.
    pub(super) fn stat(&self) -> Result<ObjectInfo, Error> {
        match self.store.wait(self.store.head(&self.key))? {
            Some(info) => Ok(info),
            None => Err(Error::Usage(format!("{} is not there; check the name", self.url()))),
        }
    }

    /// All its bytes: for small files.
    pub(super) fn bytes(&self) -> Result<bytes::Bytes, Error> {
        Ok(self.store.wait(self.store.get(&self.key))?)
    }

    /// Refuses when the object is no longer the one that was listed.
    pub(super) fn unchanged(&self, listed: &ObjectInfo) -> Result<(), Error> {
        let now = self.stat()?;
        if (now.size, &now.etag) == (listed.size, &listed.etag) {
            return Ok(());
        }
        Err(self.changed(&format!("{} bytes before, {} now", listed.size, now.size)))
    }

    fn changed(&self, cause: &str) -> Error {
        let url = self.url();
        Error::Failed(format!(
            "{url} changed while it was read ({cause}): nothing is published; run again once it is whole"
        ))
    }

    /// Gives the text to `work`: as it is, or unpacked from gzip, zstd, or a zip with exactly one member. `read` counts the
    /// bytes taken from the store.
    pub(super) fn with_text<T>(
        &self,
        info: &ObjectInfo,
        read: &AtomicU64,
        work: impl FnOnce(&mut dyn Read) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut raw = Counted { inner: self.store.reader(info), read };
        let head = self.head(&mut raw)?;
        let url = self.url();
        let packed = Cursor::new(&head).chain(raw);
        match head.as_slice() {
            [0x1f, 0x8b, ..] => self.plain(flate2::read::MultiGzDecoder::new(packed), work),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => {
                let decoder = zstd::stream::read::Decoder::new(packed).map_err(|error| self.failed(&error))?;
                self.plain(decoder, work)
            }
            [b'P', b'K', 3 | 5, 4 | 6, ..] => self.zip(packed, work),
            [b'B', b'Z', b'h', ..] | [0xfd, b'7', b'z', b'X', b'Z', ..] | [b'7', b'z', 0xbc, 0xaf, ..] => {
                Err(Error::Failed(format!(
                    "{url} is packed in a way that is not read here; unpack it, or pack it with gzip or zstd"
                )))
            }
            _ => self.plain(packed, work),
        }
    }

    fn plain<T>(&self, mut text: impl Read, work: impl FnOnce(&mut dyn Read) -> Result<T, Error>) -> Result<T, Error> {
        let head = self.head(&mut text)?;
        check_text(&head, &self.url())?;
        work(&mut Cursor::new(&head).chain(text))
    }

    /// A zip has its list at the end, so that it goes to a local file first.
    fn zip<T>(&self, mut packed: impl Read, work: impl FnOnce(&mut dyn Read) -> Result<T, Error>) -> Result<T, Error> {
        let mut file = tempfile::tempfile().map_err(|error| self.failed(&error))?;
        io::copy(&mut packed, &mut file).map_err(|error| self.failed(&error))?;
        file.flush().and_then(|()| file.rewind()).map_err(|error| self.failed(&error))?;
        let bad = |error: zip::result::ZipError| {
            Error::Failed(format!("{} is no whole zip ({error}); fetch it again", self.url()))
        };
        let mut archive = zip::ZipArchive::new(io::BufReader::new(file)).map_err(bad)?;
        if archive.len() != 1 {
            let count = archive.len();
            return Err(Error::Failed(format!(
                "{} has {count} members, expected exactly one; unpack it first",
                self.url()
            )));
        }
        let member = archive.by_index(0).map_err(bad)?;
        self.plain(member, work)
    }

    fn head(&self, text: &mut impl Read) -> Result<Vec<u8>, Error> {
        let mut head = Vec::with_capacity(HEAD);
        text.take(HEAD as u64).read_to_end(&mut head).map_err(|error| self.failed(&error))?;
        Ok(head)
    }

    /// What a failed read means.
    pub(super) fn failed(&self, error: &io::Error) -> Error {
        match error.get_ref().and_then(|inner| inner.downcast_ref::<crate::storage::Error>()) {
            Some(crate::storage::Error::Changed { cause, .. }) => self.changed(cause),
            Some(inner) => inner.clone().into(),
            None => Error::Failed(format!("{} cannot be read to its end ({error}); fetch it again", self.url())),
        }
    }
}

/// Refuses what is no CSV at all.
fn check_text(head: &[u8], url: &str) -> Result<(), Error> {
    if head.is_empty() {
        return Err(Error::Failed(format!("{url} is empty (0 bytes)")));
    }
    let nuls = memchr::memchr_iter(0, head).count();
    // A field may hold a stray NUL, which is then a matter of its row; UTF-16 has one beside nearly every character.
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") || nuls * 4 > head.len() {
        return Err(Error::Failed(format!("{url} is UTF-16; convert to UTF-8 (iconv -f UTF-16 -t UTF-8)")));
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head).trim_ascii_start();
    if text.starts_with(b"<") {
        let shown: String = String::from_utf8_lossy(text).chars().take(80).collect();
        return Err(Error::Failed(format!(
            "{url} is a page and no CSV, most likely an error of the server it came from: {shown:?}; fetch it again"
        )));
    }
    Ok(())
}

/// Counts what passes.
struct Counted<'a, R> {
    inner: R,
    read: &'a AtomicU64,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}
