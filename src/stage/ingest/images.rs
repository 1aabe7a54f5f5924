//! Which images were seen: their order of appearance, how many bytes of rows they have, and which of their ids would meet
//! in a store that is blind to case or to forms of Unicode. Pure.

use std::borrow::Cow;
use std::collections::HashMap;
use unicode_normalization::UnicodeNormalization;

/// The image of a row without a valid id.
pub(super) const NONE: u32 = u32::MAX;
/// Pairs of ids told at most.
const TOLD: usize = 20;

/// The images seen so far.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// By folded id: the number, and the id itself where folding changed it.
    folded: HashMap<Box<str>, (u32, Option<Box<str>>)>,
    /// Ids that meet an earlier one, by themselves.
    meeting: HashMap<Box<str>, u32>,
    pairs: Vec<(String, String)>,
    /// Bytes of rows by number.
    bytes: Vec<u64>,
}

impl Images {
    /// The number of an image, by order of appearance, and whether it is seen for the first time.
    pub(super) fn number(&mut self, id: &str) -> (u32, bool) {
        let folded = fold(id);
        let Some((number, original)) = self.folded.get(folded.as_ref()) else {
            let original = (folded.as_ref() != id).then(|| id.into());
            let number = self.next();
            self.folded.insert(folded.into(), (number, original));
            return (number, true);
        };
        let known = original.as_deref().unwrap_or(&folded);
        if known == id {
            return (*number, false);
        }
        if let Some(number) = self.meeting.get(id) {
            return (*number, false);
        }
        if self.pairs.len() < TOLD {
            self.pairs.push((known.to_owned(), id.to_owned()));
        }
        let number = self.next();
        self.meeting.insert(id.into(), number);
        (number, true)
    }

    fn next(&mut self) -> u32 {
        self.bytes.push(0);
        (self.bytes.len() - 1) as u32
    }

    /// Adds bytes to an image.
    pub(super) fn add(&mut self, number: u32, bytes: u64) {
        self.bytes[number as usize] += bytes;
    }

    /// Bytes of rows by number.
    pub(super) fn bytes(&self) -> &[u64] {
        &self.bytes
    }

    /// Pairs of ids whose outputs would meet, in words; nothing when there is none.
    pub(super) fn collisions(&self) -> Option<String> {
        let more = self.meeting.len() - self.pairs.len();
        let pairs: Vec<String> = self.pairs.iter().map(|(one, other)| format!("{one:?} and {other:?}")).collect();
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        (!pairs.is_empty()).then(|| pairs.join(", ") + &more)
    }
}

/// The form in which stores that are blind to case and Unicode form compare names.
fn fold(id: &str) -> Cow<'_, str> {
    if id.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(id);
    }
    Cow::Owned(id.nfc().flat_map(char::to_lowercase).nfc().collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Images;

    #[test]
    fn ids_that_differ_by_case_or_unicode_form_meet() {
        let mut images = Images::default();
        let numbers: Vec<_> = ["AB", "ab", "AB", "caf\u{e9}", "cafe\u{301}", "ab"].map(|id| images.number(id)).into();
        assert_eq!(numbers, [(0, true), (1, true), (0, false), (2, true), (3, true), (1, false)]);
        let text = images.collisions().unwrap();
        assert!(text.contains("\"AB\" and \"ab\"") && text.contains("caf\u{e9}"), "{text}");
    }
}
