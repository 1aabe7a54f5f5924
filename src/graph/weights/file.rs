//! Named tensors and the file they come from, told apart by what the file holds. Must not know networks.

use super::values::short;
use super::{checkpoint, map_file, safetensors_file};
use crate::graph::{Error, Tensor};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;

const NAME_LIMIT: usize = 512;

/// Tensors by name, and what else the file says in words.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    /// The tensors; their bytes are slices of the mapped file where its layout allows.
    pub tensors: BTreeMap<String, Tensor>,
    /// Words. A PyTorch checkpoint's other entries stand here as `skipped.NAME`, in short.
    pub metadata: BTreeMap<String, String>,
}

/// Reads a safetensors file or a PyTorch checkpoint (zip or older), whatever its name. Nothing in the file is run.
pub fn read_weights(path: &Path) -> Result<Weights, Error> {
    read_bytes(&path.display().to_string(), &map_file(path)?)
}

/// As [`read_weights`], of bytes that `what` names in errors.
pub fn read_bytes(what: &str, bytes: &Bytes) -> Result<Weights, Error> {
    let broken = |detail| Error::Format { what: what.into(), wanted: "safetensors file or PyTorch checkpoint", detail };
    let weights = match kind(bytes) {
        Kind::Safetensors => safetensors_file::read(what, bytes),
        Kind::Zip => checkpoint::read_zip(what, bytes),
        Kind::Legacy => checkpoint::read_legacy(what, bytes),
        Kind::Unknown(seen) => Err(broken(format!("{seen}; give a .safetensors or .pth file"))),
    }?;
    // Names are told to people and become names of nodes.
    match weights.tensors.keys().find(|name| name.len() > NAME_LIMIT || name.chars().any(char::is_control)) {
        Some(name) => Err(broken(format!("{} is no name for a tensor", short(name)))),
        None => Ok(weights),
    }
}

enum Kind {
    Safetensors,
    Zip,
    Legacy,
    Unknown(String),
}

/// Tells files apart by their first bytes. A safetensors file opens with the length of its JSON header.
fn kind(bytes: &[u8]) -> Kind {
    let header = bytes.first_chunk::<8>().map(|length| u64::from_le_bytes(*length));
    if bytes.get(8) == Some(&b'{') && header.is_some_and(|length| length <= bytes.len() as u64 - 8) {
        return Kind::Safetensors;
    }
    match bytes {
        [] => Kind::Unknown("it is empty".into()),
        [b'P', b'K', 3, 4, ..] => Kind::Zip,
        [0x80, 2..=5, ..] => Kind::Legacy,
        _ if bytes.starts_with(b"version https://git-lfs") => {
            Kind::Unknown("it is a Git LFS pointer, not the file itself (run git lfs pull)".into())
        }
        [b'<', ..] => Kind::Unknown("it is a web page; the download did not give the file".into()),
        _ if bytes.get(8) == Some(&b'{') => {
            Kind::Unknown("its header is longer than the file, which is cut short".into())
        }
        _ => Kind::Unknown(format!("it begins with {:02x?}", bytes.get(..8).unwrap_or(bytes))),
    }
}

/// A part of shared bytes, or `None` where it reaches past the end.
pub(super) fn part(bytes: &Bytes, start: usize, length: usize) -> Option<Bytes> {
    let end = start.checked_add(length)?;
    (end <= bytes.len()).then(|| bytes.slice(start..end))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_neither_is_refused_with_a_reason() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w.pth");
        for (content, reason) in [
            (&b""[..], "it is empty"),
            (b"<!DOCTYPE html>", "web page"),
            (b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
            (b"\xff\xff\0\0\0\0\0\0{\"a\":", "cut short"),
            (b"\x08\x03\x12\x07pytorch", "it begins with [08, 03"),
            (b"PK\x03\x04 nothing behind it", "zip"),
            (b"\x80\x02", "ends"),
        ] {
            std::fs::write(&path, content).unwrap();
            let error = read_weights(&path).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("w.pth"), "{error}");
        }
        let error = read_weights(&folder.path().join("absent.pth")).unwrap_err().to_string();
        assert!(error.contains("absent.pth") && error.contains("check that it is there"), "{error}");
        assert!(read_weights(folder.path()).is_err());
    }

    #[test]
    fn a_name_that_a_terminal_would_obey_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("w");
        for name in ["a\u{1b}[2J".to_owned(), "a".repeat(513)] {
            let tensors = BTreeMap::from([(name, Tensor::scalar(1.0))]);
            crate::graph::weights::write_pth(&path, &Weights { tensors, ..Weights::default() }, None).unwrap();
            let error = read_weights(&path).unwrap_err().to_string();
            assert!(error.contains("is no name for a tensor") && !error.contains('\u{1b}'), "{error}");
            assert!(error.len() < 300);
        }
    }
}
