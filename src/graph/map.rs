//! A file as shared bytes, without reading it: weights are gigabytes, and most are only handed on. Must not know formats.

use super::Error;
use bytes::Bytes;
use memmap2::Mmap;
use std::fs::File;
use std::path::Path;

/// The bytes of a file. It must not be changed while they are in use; every file this program writes is put in place by
/// renaming, which leaves maps of the old one whole.
pub(crate) fn map_file(path: &Path) -> Result<Bytes, Error> {
    let file = File::open(path).map_err(|error| Error::file(path, &error))?;
    let length = file.metadata().map_err(|error| Error::file(path, &error))?;
    if !length.is_file() {
        return Err(Error::file(path, &"it is no file"));
    }
    // An empty file cannot be mapped.
    if length.len() == 0 {
        return Ok(Bytes::new());
    }
    #[expect(unsafe_code, reason = "mapping is the only way to hand weights on without a copy")]
    // SAFETY: the map is read only. Another process that cuts the file short while it is read would end this one with
    // SIGBUS; that is the price of not copying, and the same as of every loader of weights.
    let map = unsafe { Mmap::map(&file) }.map_err(|error| Error::file(path, &error))?;
    Ok(Bytes::from_owner(map))
}
