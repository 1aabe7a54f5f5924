//! Objects as files of a local folder: atomic and durable writes, create-if-absent by hard link. Blocks; must not know async.

use super::location::{PARTIAL, is_partial};
use super::{Created, Error, ObjectInfo};
use crate::clock::Timestamp;
use crate::id;
use bytes::Bytes;
use std::fs::{self, File, Metadata};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A folder; keys are paths below it.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) root: PathBuf,
}

impl Folder {
    /// Where the object of this key lies.
    pub(super) fn path(&self, key: &str) -> PathBuf {
        if key.is_empty() { self.root.clone() } else { self.root.join(key) }
    }

    pub(super) fn head(&self, key: &str) -> Result<Option<ObjectInfo>, Error> {
        let path = self.path(key);
        match fs::metadata(&path) {
            Ok(found) if found.is_file() => Ok(Some(info(key, &found))),
            Ok(_) => Ok(None),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(Error::from_io(path.display().to_string(), &error)),
        }
    }

    /// Opens the file of an object, and only when it is still the one of `etag`.
    pub(super) fn open(&self, key: &str, etag: Option<&str>) -> Result<(File, ObjectInfo), Error> {
        let path = self.path(key);
        let place = || path.display().to_string();
        // Looked at before it is opened: opening a named pipe would wait for a writer.
        let found = fs::metadata(&path).map_err(|error| match is_absent(&error) {
            true => Error::NotFound { place: place(), cause: "no such file".to_owned() },
            false => Error::from_io(place(), &error),
        })?;
        if !found.is_file() {
            let cause = if found.is_dir() { "it is a folder" } else { "it is no regular file" };
            return Err(Error::NotFound { place: place(), cause: cause.to_owned() });
        }
        let file = File::open(&path).map_err(|error| Error::from_io(place(), &error))?;
        let found = file.metadata().map_err(|error| Error::from_io(place(), &error))?;
        let info = info(key, &found);
        unchanged(&path, etag, &info)?;
        Ok((file, info))
    }

    /// The bytes of an object, or of a range of it whose end is cut to the object's.
    pub(super) fn read(&self, key: &str, range: Option<Range<u64>>, etag: Option<&str>) -> Result<Bytes, Error> {
        let path = self.path(key);
        let place = || path.display().to_string();
        let (mut file, before) = self.open(key, etag)?;
        let range = range.unwrap_or(0..before.size);
        let length = range.end.min(before.size).saturating_sub(range.start);
        if length == 0 && range.start < range.end {
            let cause = format!("bytes {}..{} were asked for of {} there are", range.start, range.end, before.size);
            return Err(Error::Other { place: place(), cause });
        }
        let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
        file.seek(SeekFrom::Start(range.start))
            .and_then(|_| (&mut file).take(length).read_to_end(&mut bytes))
            .map_err(|error| Error::from_io(place(), &error))?;
        // A file written in place while it was read would give a mixture of two versions.
        let after = file.metadata().map_err(|error| Error::from_io(place(), &error))?;
        unchanged(&path, Some(&before.etag), &info(key, &after))?;
        if bytes.len() as u64 != length {
            let cause = format!("{} of {length} bytes could be read", bytes.len());
            return Err(Error::Changed { place: place(), cause });
        }
        Ok(Bytes::from(bytes))
    }

    /// Writes an object whole or not at all, and durably: temporary file, fsync, rename, fsync of the folder.
    pub(super) fn put(&self, key: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.path(key);
        let partial = self.write_partial(&path, bytes)?;
        fs::rename(&partial.0, &path)
            .and_then(|()| sync_folder(folder_of(&path)))
            .map_err(|error| Error::from_io(path.display().to_string(), &error))
    }

    /// Writes an object unless there is one already; then the bytes of that one come back.
    pub(super) fn create(&self, key: &str, bytes: &[u8]) -> Result<Created, Error> {
        let path = self.path(key);
        let place = || path.display().to_string();
        for _ in 0..16 {
            let partial = self.write_partial(&path, bytes)?;
            match fs::hard_link(&partial.0, &path) {
                Ok(()) => {
                    sync_folder(folder_of(&path)).map_err(|error| Error::from_io(place(), &error))?;
                    return Ok(Created::New);
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    match self.read(key, None, None) {
                        // Over a network the answer to a link that was made can be lost, and the second try meets the first.
                        Ok(found) if found == bytes => return Ok(Created::New),
                        Ok(found) => return Ok(Created::Exists(found)),
                        Err(Error::NotFound { .. }) if !path.is_dir() => {} // Deleted in between: try again.
                        Err(error) => return Err(error),
                    }
                }
                Err(error) if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::Unsupported) => {
                    let cause = format!(
                        "this file system cannot create a file only if it is absent ({error}); keep the store on one with hard \
                         links, or in a bucket"
                    );
                    return Err(Error::Unsupported { place: place(), cause });
                }
                Err(error) => return Err(Error::from_io(place(), &error)),
            }
        }
        Err(Error::Transient {
            place: place(),
            cause: "it kept coming and going while it was to be created".to_owned(),
        })
    }

    /// Removes an object and the folders that this leaves empty, as a bucket would. Absent is fine.
    pub(super) fn delete(&self, key: &str) -> Result<(), Error> {
        let path = self.path(key);
        match fs::remove_file(&path) {
            Ok(()) => {}
            Err(error) if is_absent(&error) => return Ok(()),
            Err(_) if path.is_dir() => return Ok(()), // A folder is no object, so there is none of this key.
            Err(error) => return Err(Error::from_io(path.display().to_string(), &error)),
        }
        let mut folder = folder_of(&path);
        while folder != self.root && folder.starts_with(&self.root) && fs::remove_dir(folder).is_ok() {
            folder = folder_of(folder);
        }
        match sync_folder(folder) {
            Err(error) if !is_absent(&error) => Err(Error::from_io(folder.display().to_string(), &error)),
            _ => Ok(()),
        }
    }

    /// The names of the folders directly below one, in byte order. A folder that is not there has none.
    pub(super) fn folders(&self, folder: &str) -> Result<Vec<String>, Error> {
        let path = self.path(folder);
        let fail = |error: io::Error| Error::from_io(path.display().to_string(), &error);
        let entries = match fs::read_dir(&path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(fail)?;
            if fs::metadata(entry.path()).is_ok_and(|found| found.is_dir()) {
                let name = entry.file_name().into_string().map_err(|name| Error::Unsupported {
                    place: path.join(&name).display().to_string(),
                    cause: "its name is not UTF-8; rename it".to_owned(),
                })?;
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Removes temporary files below `path` that were last written before a time. Follows no links.
    pub(super) fn remove_partials(&self, path: &Path, before: Timestamp) -> Result<u64, Error> {
        let fail = |error: io::Error| Error::from_io(path.display().to_string(), &error);
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if is_absent(&error) => return Ok(0),
            Err(error) => return Err(fail(error)),
        };
        let mut removed = 0;
        for entry in entries {
            let entry = entry.map_err(fail)?;
            // What is gone by now, its writer has finished.
            let Ok(found) = entry.metadata() else { continue };
            if found.is_dir() {
                removed += self.remove_partials(&entry.path(), before)?;
            } else if is_partial(entry.file_name().as_bytes()) && info("", &found).modified < before {
                removed += u64::from(fs::remove_file(entry.path()).is_ok());
            }
        }
        Ok(removed)
    }

    /// Writes and syncs a temporary file beside `path`.
    fn write_partial(&self, path: &Path, bytes: &[u8]) -> Result<Partial, Error> {
        let folder = folder_of(path);
        let partial = Partial(folder.join(format!("{}{}{}", PARTIAL.0, id::token(), PARTIAL.1)));
        let mut tries = 0;
        let made = loop {
            // A delete may remove the empty folder between the two calls; it cannot once the file is in it.
            match make_folder(folder).and_then(|()| File::options().write(true).create_new(true).open(&partial.0)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound && tries < 16 => tries += 1,
                made => break made,
            }
        };
        made.and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .map_err(|error| Error::from_io(path.display().to_string(), &error))?;
        Ok(partial)
    }
}

/// A temporary file, gone when dropped, whether it was renamed, linked or given up.
struct Partial(PathBuf);

impl Drop for Partial {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// What a listing says of a file.
pub(super) fn info(key: &str, found: &Metadata) -> ObjectInfo {
    let nanoseconds = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
    ObjectInfo {
        key: key.to_owned(),
        size: found.len(),
        etag: format!("{nanoseconds:x}-{:x}-{:x}", found.len(), found.ino()),
        modified: Timestamp::from_nanosecond(nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH),
    }
}

/// Refuses a file that is not the one of `etag`.
pub(super) fn unchanged(path: &Path, etag: Option<&str>, found: &ObjectInfo) -> Result<(), Error> {
    match etag {
        Some(etag) if etag != found.etag => Err(Error::Changed {
            place: path.display().to_string(),
            cause: format!("it is now of {} bytes, written {}", found.size, found.modified),
        }),
        _ => Ok(()),
    }
}

/// Makes a folder and those above it, each durably.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    let above = folder_of(folder);
    make_folder(above)?;
    match fs::create_dir(folder) {
        Ok(()) => sync_folder(above),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && folder.is_dir() => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the names in a folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

/// The folder that holds a path; empty for a bare name in the current folder.
fn folder_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new(""))
}

/// Whether an error means that there is no such object: also when a part of its key is a file.
pub(super) fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
