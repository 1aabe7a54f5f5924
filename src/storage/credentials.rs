//! Keys from the shared AWS credentials file, which another program may replace while a run lasts: the file is looked at
//! before every request and read again when it is another. Must not show what it holds.

use super::Error;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The credentials of one section of one file, as they are now.
pub(super) struct FileCredentials {
    path: PathBuf,
    section: String,
    held: Mutex<Held>,
}

struct Held {
    /// What the file looked like when it was read.
    look: Option<Look>,
    credential: Arc<AwsCredential>,
    /// Counts the different credentials that were seen.
    generation: u64,
}

/// Time of modification in seconds and nanoseconds, size, inode.
type Look = (i64, i64, u64, u64);

impl fmt::Debug for FileCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileCredentials({} [{}])", self.path.display(), self.section)
    }
}

impl FileCredentials {
    /// Reads a section of a file; `None` when the file, or the keys in it, are not there and nobody `named` them.
    pub(super) fn open(path: PathBuf, section: &str, named: bool) -> Result<Option<Self>, Error> {
        let wrong = |what: String| Error::usage(format!("AWS credentials file {}: {what}", path.display()));
        let look = look_of(&path);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => return Ok(None),
            Err(error) => return Err(wrong(error.to_string())),
        };
        let credential = match section_of(&text, section) {
            None if named => {
                return Err(wrong(format!("no section [{section}]; name another by the option `profile`")));
            }
            None => return Ok(None),
            Some(keys) => match keys.credential() {
                Some(credential) => Arc::new(credential),
                None if named => {
                    return Err(wrong(format!(
                        "[{section}] lacks aws_access_key_id or aws_secret_access_key; write both, or name another section by \
                         the option `profile`"
                    )));
                }
                None => return Ok(None),
            },
        };
        let held = Mutex::new(Held { look, credential, generation: 0 });
        Ok(Some(Self { path, section: section.to_owned(), held }))
    }

    /// The credentials as they are now, and a number that is another once they are. A file that cannot be read at the
    /// moment, or is half-written, leaves the last ones in place.
    pub(super) fn now(&self) -> (Arc<AwsCredential>, u64) {
        // A thread that panicked left whole values behind.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let look = look_of(&self.path);
        if look != held.look
            && let Ok(text) = std::fs::read_to_string(&self.path)
            && let Some(credential) = section_of(&text, &self.section).and_then(|keys| keys.credential())
        {
            if credential != *held.credential {
                held.credential = Arc::new(credential);
                held.generation += 1;
            }
            held.look = look;
        }
        (Arc::clone(&held.credential), held.generation)
    }
}

#[async_trait::async_trait]
impl CredentialProvider for FileCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        Ok(self.now().0)
    }
}

fn look_of(path: &Path) -> Option<Look> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.size(), found.ino()))
}

/// What one section holds.
#[derive(Default)]
struct Keys {
    id: Option<String>,
    secret: Option<String>,
    token: Option<String>,
}

impl Keys {
    fn credential(self) -> Option<AwsCredential> {
        Some(AwsCredential { key_id: self.id?, secret_key: self.secret?, token: self.token })
    }
}

/// The keys of one section of an INI file that hold credentials.
fn section_of(text: &str, section: &str) -> Option<Keys> {
    let mut found: Option<Keys> = None;
    let mut inside = false;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = name.trim() == section;
            if inside {
                found.get_or_insert_default();
            }
        } else if let (true, Some((name, value)), Some(keys)) = (inside, line.split_once('='), found.as_mut()) {
            let place = match name.trim() {
                "aws_access_key_id" => &mut keys.id,
                "aws_secret_access_key" => &mut keys.secret,
                "aws_session_token" => &mut keys.token,
                _ => continue,
            };
            *place = Some(value.trim().to_owned()).filter(|value| !value.is_empty());
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::FileCredentials;
    use std::fs;

    #[test]
    fn a_file_that_is_replaced_is_read_again_and_a_half_written_one_is_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let text = |id: &str| format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = s\n");
        fs::write(&path, text("first")).unwrap();
        let credentials = FileCredentials::open(path.clone(), "default", true).unwrap().unwrap();
        let (first, generation) = credentials.now();
        assert_eq!(first.key_id, "first");
        fs::write(&path, "[default]\naws_access_key_id = half").unwrap();
        assert_eq!(credentials.now().0.key_id, "first");
        let new = folder.path().join("new");
        fs::write(&new, text("other")).unwrap();
        fs::rename(&new, &path).unwrap();
        let (other, later) = credentials.now();
        assert!(other.key_id == "other" && later > generation);
        fs::remove_file(&path).unwrap();
        assert_eq!(credentials.now().0.key_id, "other");
        assert!(!format!("{credentials:?}").contains("other"));
    }
}
