//! Locations and keys as people and tables write them, taken apart without touching any store. Must not know any backend.

use super::Error;
use std::path::PathBuf;
use url::Url;

/// The schemes that `Store::open` knows.
const SCHEMES: [&str; 7] = ["file", "memory", "s3", "gs", "az", "https", "http"];

/// How the names of half-written local files begin and end; listings skip them and keys may not look like them.
pub(super) const PARTIAL: (&str, &str) = (".selvedge-", ".tmp");

/// A cloud whose objects live in buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cloud {
    S3,
    Google,
    Azure,
}

/// A location, taken apart. Prefixes have no slash at either end.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    Folder(PathBuf),
    Memory {
        name: String,
        prefix: String,
    },
    Bucket {
        cloud: Cloud,
        bucket: String,
        prefix: String,
    },
    /// Without a slash at the end of the path; the query, if any, goes with every request.
    Web(Url),
}

/// Takes a location apart. Buckets and memory stores take their prefix as it stands: `%20`, `#` and `?` mean themselves.
pub(super) fn parse(location: &str) -> Result<Place, Error> {
    let Some((scheme, rest)) = location.split_once("://") else {
        if location.is_empty() {
            return Err(Error::usage("an empty location; name a folder or a URL, e.g. `.` or `s3://bucket/prefix`"));
        }
        return Ok(Place::Folder(PathBuf::from(location)));
    };
    let bucket = |cloud| {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if bucket.is_empty() || bucket.contains(['@', ':', '?', '#', ' ']) {
            return Err(Error::usage(format!(
                "`{}` names no bucket; write {scheme}://BUCKET/PREFIX, and put credentials into the environment",
                redact(location)
            )));
        }
        Ok(Place::Bucket { cloud, bucket: bucket.to_owned(), prefix: trimmed(prefix)? })
    };
    match scheme {
        "file" => {
            let path = Url::parse(location).ok().and_then(|url| url.to_file_path().ok()).ok_or_else(|| {
                Error::usage(format!("`{location}` is no path of this machine; write file:///absolute/path"))
            })?;
            Ok(Place::Folder(path))
        }
        "memory" => {
            let (name, prefix) = rest.split_once('/').unwrap_or((rest, ""));
            Ok(Place::Memory { name: name.to_owned(), prefix: trimmed(prefix)? })
        }
        "s3" => bucket(Cloud::S3),
        "gs" => bucket(Cloud::Google),
        "az" => bucket(Cloud::Azure),
        "https" | "http" => {
            let shown = redact(location);
            let mut url =
                Url::parse(location).map_err(|error| Error::usage(format!("`{shown}` is no URL: {error}")))?;
            if !url.username().is_empty() || url.password().is_some() {
                return Err(Error::usage(format!("`{shown}` holds a user name or password, which is not supported")));
            }
            url.set_fragment(None);
            let path = url.path().trim_end_matches('/').to_owned();
            url.set_path(&path);
            Ok(Place::Web(url))
        }
        other => {
            let nearest = SCHEMES.into_iter().min_by_key(|known| strsim::levenshtein(known, other)).unwrap_or("s3");
            Err(Error::usage(format!(
                "`{}`: unknown scheme `{other}`, did you mean `{nearest}`? Known: {}, or a plain path",
                redact(location),
                SCHEMES.join(", ")
            )))
        }
    }
}

/// Splits the location of one object into that of its folder and its key there: `s3://b/p/a.csv` gives (`s3://b/p`, `a.csv`),
/// `dir/a.csv` gives (`dir`, `a.csv`), `a.csv` gives (`.`, `a.csv`). The query of a web address stays with the folder, since
/// it may hold a signature and keys are written to tables.
pub fn split_location(location: &str) -> Result<(String, String), Error> {
    let no_name = || Error::usage(format!("`{}` names no file, only where one could be", redact(location)));
    let (folder, key) = match parse(location)? {
        Place::Folder(path) => {
            let name = path.file_name().filter(|_| !location.ends_with('/')).ok_or_else(no_name)?;
            let text = |part: &std::ffi::OsStr| {
                part.to_str().map(str::to_owned).ok_or_else(|| Error::usage(format!("`{location}` is not UTF-8")))
            };
            let parent = path.parent().map_or(Ok(String::new()), |parent| text(parent.as_os_str()))?;
            (if parent.is_empty() { ".".to_owned() } else { parent }, text(name)?)
        }
        Place::Web(mut url) => {
            let path = url.path().to_owned();
            let (folder, name) = path.rsplit_once('/').ok_or_else(no_name)?;
            let name = decoded(name).ok_or_else(no_name)?;
            url.set_path(folder);
            (url.to_string(), name)
        }
        Place::Memory { .. } | Place::Bucket { .. } => {
            let (scheme, rest) = location.split_once("://").ok_or_else(no_name)?;
            let (folder, name) = rest.rsplit_once('/').ok_or_else(no_name)?;
            (format!("{scheme}://{folder}"), name.to_owned())
        }
    };
    if key.is_empty() { Err(no_name()) } else { Ok((folder, key)) }
}

/// Refuses keys that would leave the root, or that some backend could not keep apart from another key.
pub(super) fn check_key(key: &str) -> Result<(), Error> {
    let refuse = |why: &str| Err(Error::usage(format!("key {key:?} {why}; rename the object")));
    if key.is_empty() {
        return refuse("is empty");
    }
    if key.contains('\0') {
        return refuse("holds a NUL character");
    }
    for segment in key.split('/') {
        match segment {
            "" => return refuse("has an empty part between slashes, or a slash at an end"),
            "." | ".." => return refuse("has a relative part and could leave its folder"),
            _ => {}
        }
    }
    let name = key.rsplit('/').next().unwrap_or(key);
    if is_partial(name.as_bytes()) {
        return refuse("looks like a half-written file of Selvedge");
    }
    Ok(())
}

/// Whether a file of this name is one that a put had not finished.
pub(super) fn is_partial(name: &[u8]) -> bool {
    name.starts_with(PARTIAL.0.as_bytes()) && name.ends_with(PARTIAL.1.as_bytes())
}

/// Joins a prefix and a key, either of which may be empty.
pub(super) fn joined(prefix: &str, key: &str) -> String {
    match (prefix.is_empty(), key.is_empty()) {
        (true, _) => key.to_owned(),
        (_, true) => prefix.to_owned(),
        _ => format!("{prefix}/{key}"),
    }
}

/// A location without what could be a secret: the query of a web address, and anything before an `@` in the host.
pub fn redact(location: &str) -> String {
    let Some((scheme, rest)) = location.split_once("://") else { return location.to_owned() };
    let (host, path) = rest.split_once('/').map_or((rest, None), |(host, path)| (host, Some(path)));
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    let mut text = format!("{scheme}://{host}");
    if let Some(path) = path {
        let path = if scheme.starts_with("http") { path.split(['?', '#']).next().unwrap_or("") } else { path };
        text.push('/');
        text.push_str(path);
    }
    text
}

/// A prefix without slashes at its end, checked like a key.
pub(super) fn trimmed(prefix: &str) -> Result<String, Error> {
    let prefix = prefix.trim_end_matches('/');
    if !prefix.is_empty() {
        check_key(prefix)?;
    }
    Ok(prefix.to_owned())
}

/// A URL's `%41` made `A`; `None` when that is not UTF-8.
fn decoded(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hex =
            text.get(at + 1..at + 3).filter(|hex| byte == b'%' && hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) => {
                out.push(value);
                at += 3;
            }
            None => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{check_key, parse, redact, split_location};

    #[test]
    fn a_location_splits_into_folder_and_key() {
        for (location, folder, key) in [
            ("a.csv", ".", "a.csv"),
            ("dir/a.csv", "dir", "a.csv"),
            ("/a.csv", "/", "a.csv"),
            ("file:///d/a%20b.csv", "/d", "a b.csv"),
            ("s3://b/a%20b.csv", "s3://b", "a%20b.csv"),
            ("s3://b/p/a#1?.csv", "s3://b/p", "a#1?.csv"),
            ("memory://m/a.csv", "memory://m", "a.csv"),
            ("https://h/p/a%20b.jpg?v=1", "https://h/p?v=1", "a b.jpg"),
        ] {
            assert_eq!(split_location(location).unwrap(), (folder.to_owned(), key.to_owned()), "{location}");
        }
        for location in ["", "/", "dir/", "s3://b", "s3://b/", "https://h", "s3:///a"] {
            assert!(split_location(location).is_err(), "{location}");
        }
    }

    #[test]
    fn a_key_that_could_leave_its_folder_is_refused() {
        for key in ["", "/a", "a/", "a//b", "..", "a/../b", "./a", "a\0b", "a/.selvedge-1.tmp"] {
            assert!(check_key(key).is_err(), "{key:?}");
        }
        for key in ["a", "a b+c#1?.jpg", "..a", "a/...", "ü/😀", "100%"] {
            assert!(check_key(key).is_ok(), "{key:?}");
        }
    }

    #[test]
    fn an_unknown_scheme_is_refused_with_the_nearest() {
        let text = parse("s4://b/p").unwrap_err().to_string();
        assert!(text.contains("`s4`") && text.contains("`s3`"), "{text}");
    }

    #[test]
    fn what_could_be_a_secret_is_not_shown() {
        assert_eq!(redact("https://me:secret@h/p?sig=secret#x"), "https://h/p");
        assert_eq!(redact("s3://b/what?#.jpg"), "s3://b/what?#.jpg");
        for location in ["https://me:secret@h/p", "s3://id:secret@b/p", "sx://id:secret@b/p"] {
            assert!(!parse(location).unwrap_err().to_string().contains("secret"), "{location}");
        }
    }
}
