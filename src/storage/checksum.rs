//! Whether the bytes that came are those that were stored, by what the store itself says of them. Must not know any request.

use md5::{Digest, Md5};
use object_store::HeaderMap;

/// What an S3 server says of an object's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Md5Sum([u8; 16]);

impl Md5Sum {
    /// The sum that an entity tag is, given the headers of the answer it came with. The tag of an object that was uploaded in
    /// parts ends in their number, and one that is encrypted with a key of its own is no sum of what is read.
    pub(super) fn of_tag(etag: &str, headers: &HeaderMap) -> Option<Self> {
        let says = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let own_key = says("x-amz-server-side-encryption").is_some_and(|kind| kind.starts_with("aws:"))
            || says("x-amz-server-side-encryption-customer-algorithm").is_some();
        if own_key || etag.len() != 32 {
            return None;
        }
        let mut sum = [0; 16];
        for (byte, digits) in sum.iter_mut().zip(etag.as_bytes().chunks_exact(2)) {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(sum))
    }

    /// What is wrong with these bytes; nothing when they are the ones.
    pub(super) fn objection(self, bytes: &[u8]) -> Option<String> {
        let found: [u8; 16] = Md5::digest(bytes).into();
        let hex = |sum: [u8; 16]| sum.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        (found != self.0).then(|| {
            format!(
                "the bytes that came are corrupt: their MD5 is {}, and the entity tag says {}; where tags are no MD5 sums, set \
                 the store option `verify` = false",
                hex(found),
                hex(self.0)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Md5Sum;
    use object_store::{HeaderMap, HeaderValue};

    const EMPTY: &str = "d41d8cd98f00b204e9800998ecf8427e";

    #[test]
    fn a_tag_that_is_a_sum_tells_good_bytes_from_bad() {
        let sum = Md5Sum::of_tag(EMPTY, &HeaderMap::new());
        assert!(sum.is_some_and(|sum| sum.objection(b"").is_none()));
        assert!(sum.and_then(|sum| sum.objection(b"x")).is_some_and(|text| text.contains("corrupt")));
    }

    #[test]
    fn a_tag_that_is_none_is_not_taken_for_one() {
        for tag in [
            "",
            "t",
            "d41d8cd98f00b204e9800998ecf8427e-2",
            "d41d8cd98f00b204e9800998ecf8427g",
            "+41d8cd98f00b204e9800998ecf8427e",
        ] {
            assert_eq!(Md5Sum::of_tag(tag, &HeaderMap::new()), None, "{tag}");
        }
        for (name, value, plain) in [
            ("x-amz-server-side-encryption", "AES256", true),
            ("x-amz-server-side-encryption", "aws:kms", false),
            ("x-amz-server-side-encryption", "aws:kms:dsse", false),
            ("x-amz-server-side-encryption-customer-algorithm", "AES256", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static(value));
            assert_eq!(Md5Sum::of_tag(EMPTY, &headers).is_some(), plain, "{name}: {value}");
        }
    }
}
