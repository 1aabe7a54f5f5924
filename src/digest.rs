//! BLAKE3 digests: checksums of stored bytes and fingerprints of what a result depends on. Must not know what is digested.

/// The digest of some bytes as 64 hexadecimal digits.
pub fn of(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
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
    fn parts_do_not_run_into_each_other() {
        assert_ne!(super::of_parts([("a", "bc")]), super::of_parts([("ab", "c")]));
    }
}
