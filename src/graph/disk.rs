//! Files as shared bytes, without reading them: weights are gigabytes, and most are only handed on. And files written whole
//! or not at all. Must not know formats.

use super::Error;
use bytes::Bytes;
use memmap2::Mmap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

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

/// Writes a file through a sibling that is renamed into place, so that nobody ever sees or maps half a file.
pub(crate) fn replace(path: &Path, fill: impl FnOnce(&mut BufWriter<File>) -> Result<(), Error>) -> Result<(), Error> {
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return Err(Error::file(path, &"it is there and is no regular file"));
    }
    let part = sibling(path)?;
    let result = File::create(&part).map_err(|e| Error::file(&part, &e)).and_then(|file| {
        let mut out = BufWriter::with_capacity(1 << 20, file);
        fill(&mut out)?;
        out.flush().and_then(|()| out.get_ref().sync_all()).map_err(|e| Error::file(&part, &e))?;
        fs::rename(&part, path).map_err(|e| Error::file(path, &e))
    });
    if result.is_err() {
        // What matters is the first error; a sibling that cannot be removed is found by its name.
        let _ = fs::remove_file(&part);
    }
    result
}

fn sibling(path: &Path) -> Result<PathBuf, Error> {
    let name = path.file_name().ok_or_else(|| Error::file(path, &"it names no file"))?;
    let mut part = std::ffi::OsString::from(".");
    part.push(name);
    part.push(format!(".{}.part", std::process::id()));
    Ok(path.with_file_name(part))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Error, Write, replace};

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_no_part() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.safetensors");
        std::fs::write(&path, "old").unwrap();
        let failed = replace(&path, |out| {
            out.write_all(b"new").unwrap();
            Err(Error::Weights { detail: "stop".into() })
        });
        assert!(failed.is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
