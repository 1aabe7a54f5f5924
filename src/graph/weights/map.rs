//! A file as bytes that the system reads in when they are looked at. Must not know what the bytes mean.

use crate::graph::Error;
use bytes::Bytes;
use memmap2::Mmap;
use std::fs::File;
use std::path::Path;

/// The bytes of a regular file, mapped, not read: cheap for gigabytes, shared between processes. Slices of it keep the
/// map alive. Whoever writes such files writes a new one and renames it; a file cut short while it is mapped kills the
/// process (SIGBUS).
pub(crate) fn map_file(path: &Path) -> Result<Bytes, Error> {
    let file = File::open(path).map_err(|e| Error::file(path, &e))?;
    let about = file.metadata().map_err(|e| Error::file(path, &e))?;
    if !about.is_file() {
        return Err(Error::file(path, &"it is no regular file"));
    }
    if about.len() == 0 {
        return Ok(Bytes::new());
    }
    #[expect(
        unsafe_code,
        reason = "a map can change under its reader; weights are renamed into place, never rewritten"
    )]
    // SAFETY: the map is read-only and every reader checks its bounds against the mapped length; the bytes are only
    // undefined if another process writes into this very file, which no writer of weights here does: they rename.
    let map = unsafe { Mmap::map(&file) }.map_err(|e| Error::file(path, &e))?;
    Ok(Bytes::from_owner(map))
}
