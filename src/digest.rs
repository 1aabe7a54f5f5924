//! BLAKE3 digests: checksums of stored bytes and fingerprints of what a result depends on. Must not know what is digested.

use std::collections::BTreeMap;

/// What a result depends on, part by part, so that a change can be explained: the inputs' identities, the settings, and
/// the code version of the stage, which is raised by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(pub BTreeMap<String, String>);

impl Fingerprint {
    /// Adds a part.
    pub fn with(mut self, part: &str, value: impl ToString) -> Self {
        self.0.insert(part.to_owned(), value.to_string());
        self
    }

    /// The digest of all parts.
    pub fn digest(&self) -> String {
        of_parts(self.0.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The names of the parts that differ from an earlier one, in alphabetical order.
    pub fn changed_since(&self, earlier: &Self) -> Vec<String> {
        let names = self.0.keys().chain(earlier.0.keys()).collect::<std::collections::BTreeSet<_>>();
        names.into_iter().filter(|name| self.0.get(*name) != earlier.0.get(*name)).cloned().collect()
    }
}

/// The digest of some bytes as 64 hexadecimal digits.
pub fn of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// The digest of several pieces as if they were one, one after the other.
pub fn of_all<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hasher = blake3::Hasher::new();
    for piece in pieces {
        hasher.update(piece);
    }
    hasher.finalize().to_hex().to_string()
}

/// The digest of named parts, independent of where one part ends and the next begins.
pub fn of_parts<'a>(parts: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (name, value) in parts {
        for text in [name, value] {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        }
    }
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_fingerprint_says_which_part_changed() {
        let old = super::Fingerprint::default().with("csv", "a").with("policy", "x");
        let new = super::Fingerprint::default().with("csv", "a").with("policy", "y").with("classes", "main");
        assert_eq!(new.changed_since(&old), ["classes", "policy"]);
        assert_ne!(new.digest(), old.digest());
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(super::of_parts([("a", "bc")]), super::of_parts([("ab", "c")]));
    }
}
