//! A published checkpoint, or any file behind an address, fetched to a local file: nothing is left unless its SHA-256
//! fits. Must not know formats: bytes in, bytes out.

use super::known::{KNOWN, Known};
use crate::cancel::Cancel;
use crate::event::{Event, Events};
use crate::outcome::{Counts, Outcome};
use crate::stage::{Error, check};
use crate::storage::{Options, Store, split_location};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use tempfile::NamedTempFile;
use tokio::runtime::Handle;

/// Bytes read at a time.
const CHUNK: usize = 1 << 20;
/// Objects up to this many bytes are read by one request: small web servers know no ranges.
const WHOLE: u64 = 64 << 20;
/// What the events call this work.
const STAGE: &str = "fetch";

/// How to fetch.
#[derive(Clone)]
pub struct FetchSettings {
    /// The file to write, or the folder to write it to under its own name.
    pub to: PathBuf,
    /// The SHA-256 of the file, 64 hexadecimal digits. Without it the file's name must end with the beginning of it, as
    /// `-bc533b08.pth`.
    pub sha256: Option<String>,
    /// Whether the licence is accepted.
    pub accept: bool,
    /// Whether another file that is there may be replaced.
    pub force: bool,
    /// How stores are reached.
    pub options: Options,
    /// The runtime that waits for stores; multi-threaded, and not the caller's own thread.
    pub handle: Handle,
    /// Where to tell how far it is.
    pub events: Events,
    /// The wish to stop.
    pub cancel: Cancel,
}

/// A file that was fetched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// Where it came from, without what could be a secret.
    pub from: String,
    /// The file.
    pub path: PathBuf,
    /// Its bytes.
    pub bytes: u64,
    /// Its SHA-256, in full.
    pub sha256: String,
    /// Whether it was there already.
    pub cached: bool,
}

impl fmt::Display for Fetched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = if self.cached { "was there already" } else { "fetched" };
        write!(f, "{}: {verb}, {} bytes, SHA-256 {}", self.path.display(), self.bytes, self.sha256)
    }
}

/// Fetches a known name ([`KNOWN`]) or a file at a location of any store. The bytes go to a temporary file, which takes
/// its name only when the checksum fits; a file that is there and fits is left as it is.
pub fn fetch(what: &str, settings: &FetchSettings) -> Result<Fetched, Error> {
    let known = Known::find(what);
    if known.is_none() && !is_location(what) {
        return Err(unknown(what));
    }
    let location = known.map_or_else(|| what.to_owned(), Known::url);
    let (folder, key) = split_location(&location)?;
    let name = file_name(&key)?;
    // A known file fetched from a mirror is under the same licence.
    let known = known.or_else(|| Known::find(name));
    let expected = Expected::of(name, known.is_some(), settings.sha256.as_deref())?;
    let store = Store::open(&folder, &settings.options, settings.handle.clone())?;
    let from = format!("{}/{key}", store.url());
    if !settings.accept {
        return Err(Error::Usage(licence(&from, known)));
    }
    let path = if settings.to.is_dir() { settings.to.join(name) } else { settings.to.clone() };
    if let Some(found) = present(&path, &from, &expected, settings)? {
        return Ok(found);
    }
    let started = Instant::now();
    let (file, bytes, sha256) = download(&store, &key, &path, settings)?;
    expected.verify(&sha256).map_err(|wanted| {
        Error::Failed(format!(
            "{from}: its SHA-256 is {sha256}, and {wanted}; nothing was kept. The download may be damaged, or the file \
             another one: try again, and do not use it otherwise"
        ))
    })?;
    publish(file, &path, settings.force)?;
    let done = Fetched { from, path, bytes, sha256, cached: false };
    let mut counts = Counts::default();
    counts.add(Outcome::Ok);
    settings.events.emit(Event::StageFinished {
        stage: STAGE.to_owned(),
        counts,
        summary: done.to_string(),
        seconds: started.elapsed().as_secs_f64(),
    });
    Ok(done)
}

/// Whether it can be no name: names have no slash, and no ending.
fn is_location(what: &str) -> bool {
    what.contains(['/', '.'])
}

fn unknown(what: &str) -> Error {
    let near = KNOWN.iter().map(|known| known.name).min_by_key(|name| strsim::damerau_levenshtein(what, name));
    let all: Vec<_> = KNOWN.iter().map(|known| known.name).collect();
    Error::Usage(format!(
        "`{what}` is not known; did you mean `{}`? Known are {}; anything else by its URL",
        near.unwrap_or_default(),
        all.join(", ")
    ))
}

/// The name of the file behind a key: one part, so that it lies in the folder where it is wanted.
fn file_name(key: &str) -> Result<&str, Error> {
    let name = Path::new(key).file_name().and_then(|name| name.to_str());
    name.filter(|name| *name == key && !name.chars().any(char::is_control))
        .ok_or_else(|| Error::Usage(format!("{key:?} is no name for a file; name the file by --out")))
}

fn licence(from: &str, known: Option<&Known>) -> String {
    match known {
        Some(known) => format!("{from}\n{}\nIf you accept this, say so with --accept-licence", known.licence),
        None => format!(
            "{from}: its licence is not known here. Read what its publisher says; if you may use it, say so with \
             --accept-licence"
        ),
    }
}

/// What the SHA-256 must be.
#[derive(Debug, PartialEq, Eq)]
struct Expected {
    /// All of it, in lower case.
    whole: Option<String>,
    /// How it begins, by the file's name.
    start: Option<String>,
}

impl Expected {
    /// Of a known file both must fit; of others the name counts only when nothing else is said.
    fn of(name: &str, known: bool, sha256: Option<&str>) -> Result<Self, Error> {
        let is_hex = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let whole = match sha256.map(str::to_ascii_lowercase) {
            Some(digits) if digits.len() == 64 && is_hex(&digits) => Some(digits),
            Some(digits) => {
                return Err(Error::Usage(format!("--sha256 {digits:?}: a SHA-256 has 64 hexadecimal digits")));
            }
            None => None,
        };
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let start = stem.rsplit_once('-').map(|(_, digits)| digits.to_ascii_lowercase());
        let start = start.filter(|digits| digits.len() == 8 && is_hex(digits)).filter(|_| known || whole.is_none());
        if whole.is_none() && start.is_none() {
            return Err(Error::Usage(format!(
                "give the checksum of {name} with --sha256 (64 hexadecimal digits, from its publisher): it is fetched \
                 only to be checked"
            )));
        }
        Ok(Self { whole, start })
    }

    /// The error says what was expected.
    fn verify(&self, sha256: &str) -> Result<(), String> {
        match (&self.whole, &self.start) {
            (Some(whole), _) if sha256 != whole => Err(format!("--sha256 says {whole}")),
            (_, Some(start)) if !sha256.starts_with(start.as_str()) => {
                Err(format!("by its name it begins with {start} (if those digits are no checksum, give --sha256)"))
            }
            _ => Ok(()),
        }
    }
}

/// The file if it is there and fits; an error if another one is.
fn present(path: &Path, from: &str, expected: &Expected, settings: &FetchSettings) -> Result<Option<Fetched>, Error> {
    let failed = |error: std::io::Error| Error::Failed(format!("{}: {error}", path.display()));
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut bytes = 0;
    loop {
        check(&settings.cancel)?;
        let count = file.read(&mut buffer).map_err(failed)?;
        if count == 0 {
            break;
        }
        hash.update(buffer.get(..count).unwrap_or_default());
        bytes += count as u64;
    }
    let sha256 = hex(&hash.finalize());
    match expected.verify(&sha256) {
        Ok(()) => {
            let (from, path) = (from.to_owned(), path.to_path_buf());
            Ok(Some(Fetched { from, path, bytes, sha256, cached: true }))
        }
        Err(_) if settings.force => Ok(None),
        Err(wanted) => Err(Error::Usage(format!(
            "{} is there already with the SHA-256 {sha256}, and {wanted}; replace it with --force",
            path.display()
        ))),
    }
}

/// The bytes in a temporary file beside `path`, which goes away unless it is published; how many they are; their digest.
fn download(
    store: &Store,
    key: &str,
    path: &Path,
    settings: &FetchSettings,
) -> Result<(NamedTempFile, u64, String), Error> {
    check(&settings.cancel)?;
    let missing = || Error::Usage(format!("{}/{key}: there is no such file", store.url()));
    let info = store.wait(store.head(key))?.ok_or_else(missing)?;
    let total = Some(info.size);
    settings.events.emit(Event::StageStarted { stage: STAGE.to_owned(), total, unit: "bytes" });
    let mut source: Box<dyn Read> = match info.size <= WHOLE {
        true => Box::new(std::io::Cursor::new(store.wait(store.get_if(&info))?)),
        false => Box::new(store.reader(&info)),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let full = |error: std::io::Error| Error::Failed(format!("{}: {error}", folder.display()));
    let mut file = tempfile::Builder::new().prefix(".selvedge-").suffix(".tmp").tempfile_in(folder).map_err(full)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; CHUNK];
    let mut bytes = 0_u64;
    loop {
        check(&settings.cancel)?;
        let count = source.read(&mut buffer).map_err(|error| broken(error, store, key))?;
        let part = buffer.get(..count).unwrap_or_default();
        if part.is_empty() {
            break;
        }
        hash.update(part);
        file.write_all(part).map_err(full)?;
        bytes += count as u64;
        settings.events.emit(Event::Advanced { stage: STAGE.to_owned(), by: count as u64 });
    }
    file.as_file().sync_all().map_err(full)?;
    Ok((file, bytes, hex(&hash.finalize())))
}

/// A store's own error, where a reader holds one.
fn broken(error: std::io::Error, store: &Store, key: &str) -> Error {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<crate::storage::Error>()) {
        Some(inner) => Error::Storage(inner.clone()),
        None => Error::Failed(format!("{}/{key}: {error}", store.url())),
    }
}

fn publish(file: NamedTempFile, path: &Path, force: bool) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::Failed(format!("{}: {error}", path.display()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
    }
    let kept = if force { file.persist(path) } else { file.persist_noclobber(path) };
    kept.map(drop).map_err(|error| failed(error.error))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_asked_for_unless_the_name_has_it() {
        let of = |name, known, sha256| Expected::of(name, known, sha256);
        let whole = "AB".repeat(32);
        let expected = of("a-0123abcd.pth", false, None).unwrap();
        assert_eq!(expected, Expected { whole: None, start: Some("0123abcd".to_owned()) });
        let expected = of("a-0123abcd.pth", false, Some(&whole)).unwrap();
        assert_eq!(expected, Expected { whole: Some("ab".repeat(32)), start: None });
        expected.verify(&"ab".repeat(32)).unwrap();
        let expected = of("a-0123abcd.pth", true, Some(&whole)).unwrap();
        assert!(expected.verify(&"ab".repeat(32)).unwrap_err().contains("begins with 0123abcd"));
        for name in ["a.pth", "a-0123abc.pth", "a-0123abcg.pth", "0123abcd.pth", "a-0123abcd.tar.gz"] {
            assert!(of(name, false, None).unwrap_err().to_string().contains("--sha256"), "{name}");
        }
        for digits in ["", "ab", &"g".repeat(64), &"a".repeat(65)] {
            assert!(of("a-0123abcd.pth", true, Some(digits)).unwrap_err().to_string().contains("64 hex"), "{digits}");
        }
    }

    #[test]
    fn a_name_that_would_leave_its_folder_is_refused() {
        for key in ["a/b.pth", "..", ".", "", "/a.pth", "a\n.pth"] {
            assert!(file_name(key).is_err(), "{key:?}");
        }
        assert_eq!(file_name("a b.pth").unwrap(), "a b.pth");
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        let error = unknown("setr-pup-ade").to_string();
        assert!(error.contains("did you mean `setr-pup-ade20k`") && error.contains("setr-mla"), "{error}");
    }
}
