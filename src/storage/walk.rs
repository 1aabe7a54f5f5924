//! The files below a local folder, in the byte order of their whole keys. Blocks; must not know async.

use super::folder::{Folder, info, is_absent};
use super::location::{check_key, is_partial, joined};
use super::{Error, ObjectInfo};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// A walk in progress. Holds the names of the folders it is inside of, and nothing of what it has passed.
pub(super) struct Walk {
    /// Keys up to and including this one are left out.
    after: Option<String>,
    levels: Vec<Level>,
}

/// One folder that the walk is inside of.
struct Level {
    key: String,
    path: PathBuf,
    /// Device and inode, to notice a symbolic link that leads back up.
    identity: (u64, u64),
    /// Names not yet visited, last first; those of folders end in a slash, so that they sort as their keys do.
    names: Vec<Vec<u8>>,
}

impl Walk {
    /// A walk below the folder of this key (empty: the root). A folder that is not there has no files, as in a bucket.
    pub(super) fn new(folder: &Folder, start: &str, after: Option<String>) -> Result<Self, Error> {
        let path = folder.path(start);
        let mut walk = Self { after, levels: Vec::new() };
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => walk.enter(start.to_owned(), path, (found.dev(), found.ino()))?,
            Ok(_) => {
                let cause = "it is a file, not a folder; give the folder that holds it".to_owned();
                return Err(Error::Unsupported { place: path.display().to_string(), cause });
            }
            Err(error) if is_absent(&error) => {}
            Err(error) => return Err(Error::from_io(path.display().to_string(), &error)),
        }
        Ok(walk)
    }

    fn enter(&mut self, key: String, path: PathBuf, identity: (u64, u64)) -> Result<(), Error> {
        let fail = |error: std::io::Error| Error::from_io(path.display().to_string(), &error);
        let mut names = Vec::new();
        for entry in fs::read_dir(&path).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name();
            if is_partial(name.as_bytes()) {
                continue;
            }
            // Only a symbolic link costs a look at the file itself here; the others are looked at when their turn comes.
            let is_folder = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => fs::metadata(entry.path()).is_ok_and(|found| found.is_dir()),
                Ok(kind) => kind.is_dir(),
                Err(_) => false,
            };
            let mut name = name.into_vec();
            if is_folder {
                name.push(b'/');
            }
            names.push(name);
        }
        names.sort_unstable_by(|left, right| right.cmp(left));
        self.levels.push(Level { key, path, identity, names });
        Ok(())
    }

    /// The next file, or what could not be read; the walk goes on behind it.
    fn step(&mut self) -> Option<Result<ObjectInfo, Error>> {
        loop {
            let level = self.levels.last_mut()?;
            let Some(name) = level.names.pop() else {
                self.levels.pop();
                continue;
            };
            let is_folder = name.ends_with(b"/");
            let bare = name.strip_suffix(b"/").unwrap_or(&name);
            let path = level.path.join(OsStr::from_bytes(bare));
            let Ok(text) = std::str::from_utf8(bare) else {
                let place = level.path.join(OsString::from_vec(bare.to_vec())).display().to_string();
                let cause = "its name is not UTF-8, so no table could hold it; rename it".to_owned();
                return Some(Err(Error::Unsupported { place, cause }));
            };
            let key = joined(&level.key, text);
            if self.is_passed(&key, is_folder) {
                continue;
            }
            let found = match fs::metadata(&path) {
                Ok(found) => found,
                // Removed since its folder was read, as opposed to a symbolic link that leads nowhere.
                Err(error) if is_absent(&error) && fs::symlink_metadata(&path).is_err() => continue,
                Err(error) => return Some(Err(Error::from_io(path.display().to_string(), &error))),
            };
            if found.is_dir() != is_folder {
                let cause = "it became another kind of thing while it was listed".to_owned();
                return Some(Err(Error::Changed { place: path.display().to_string(), cause }));
            }
            if is_folder {
                let identity = (found.dev(), found.ino());
                if self.levels.iter().any(|level| level.identity == identity) {
                    let cause = "this symbolic link leads back to a folder it lies in; remove it".to_owned();
                    return Some(Err(Error::Unsupported { place: path.display().to_string(), cause }));
                }
                if let Err(error) = self.enter(key, path, identity) {
                    return Some(Err(error));
                }
            } else if found.is_file() {
                return Some(check_key(&key).map(|()| info(&key, &found)));
            } else {
                let cause = "it is neither a file nor a folder; remove it".to_owned();
                return Some(Err(Error::Unsupported { place: path.display().to_string(), cause }));
            }
        }
    }

    /// Whether a file, or every file of a folder, lies before the start of the walk.
    fn is_passed(&self, key: &str, is_folder: bool) -> bool {
        match (&self.after, is_folder) {
            (None, _) => false,
            (Some(after), false) => key <= after.as_str(),
            (Some(after), true) => {
                let start = format!("{key}/");
                start.as_str() <= after.as_str() && !after.starts_with(&start)
            }
        }
    }

    /// Up to so many of the next items; none at the end.
    pub(super) fn batch(&mut self, most: usize) -> Vec<Result<ObjectInfo, Error>> {
        std::iter::from_fn(|| self.step()).take(most).collect()
    }
}
