//! One line to fields, and fields to values: ids, sizes, classes, attributes. Pure; must not know files or tables.

use crate::outcome::Reason;

/// Image extensions that an id may end in; the form of 2019 writes `.jpg`.
const EXTENSIONS: [&str; 5] = [".jpg", ".jpeg", ".png", ".webp", ".tiff"];
/// Bytes of an id beyond which no file system takes it as a name with an extension.
const ID_BYTES: usize = 240;

/// Splits a line; a field in quotes comes without them. `None` when a quote opens or closes where none may.
pub(super) fn split(line: &[u8], delimiter: u8) -> Option<Vec<&[u8]>> {
    let mut fields = Vec::with_capacity(8);
    let mut rest = line;
    loop {
        let (field, next) = if rest.first() == Some(&b'"') { quoted(rest, delimiter)? } else { plain(rest, delimiter) };
        if rest.first() != Some(&b'"') && memchr::memchr(b'"', field).is_some() {
            return None;
        }
        fields.push(field);
        match next {
            Some(next) => rest = next,
            None => return Some(fields),
        }
    }
}

fn plain(rest: &[u8], delimiter: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(delimiter, rest) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    }
}

/// A field that begins with a quote: up to the one that a delimiter or the end follows; doubled quotes belong to it.
fn quoted(rest: &[u8], delimiter: u8) -> Option<(&[u8], Option<&[u8]>)> {
    let mut at = 1;
    loop {
        at += memchr::memchr(b'"', &rest[at..])?;
        match rest.get(at + 1) {
            Some(b'"') => at += 2,
            None => return Some((&rest[1..at], None)),
            Some(next) if *next == delimiter => return Some((&rest[1..at], Some(&rest[at + 2..]))),
            Some(_) => return None,
        }
    }
}

/// One field of a line, without splitting what follows it.
pub(super) fn field(line: &[u8], delimiter: u8, index: usize) -> Option<&[u8]> {
    let mut rest = line;
    for _ in 0..index {
        let (_, next) = if rest.first() == Some(&b'"') { quoted(rest, delimiter)? } else { plain(rest, delimiter) };
        rest = next?;
    }
    Some(if rest.first() == Some(&b'"') { quoted(rest, delimiter)?.0 } else { plain(rest, delimiter).0 })
}

/// An id without one image extension, and whether it had one; or why it can be no name of an output.
pub(super) fn image_id(field: &[u8]) -> Result<(&str, bool), Reason> {
    let text = std::str::from_utf8(field).map_err(|_| Reason::NotUtf8)?.trim();
    let cut = EXTENSIONS.iter().find_map(|extension| {
        let at = text.len().checked_sub(extension.len())?;
        text.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(extension)).then_some(at)
    });
    let id = &text[..cut.unwrap_or(text.len())];
    if text.is_empty() {
        return Err(Reason::MissingId);
    }
    let unsafe_char = |char: char| matches!(char, '/' | '\\') || char.is_control();
    if id.is_empty() || id.starts_with('.') || id.contains("..") || id.contains(unsafe_char) || id.len() > ID_BYTES {
        return Err(Reason::UnsafeId);
    }
    Ok((id, cut.is_some()))
}

/// A positive whole number of pixels, and whether it was written like `100.0`.
pub(super) fn side(field: &[u8]) -> Option<(u64, bool)> {
    let (value, float) = whole(field.trim_ascii())?;
    (value > 0).then_some((value, float))
}

/// Digits, or digits with nothing but zeros after a point.
fn whole(text: &[u8]) -> Option<(u64, bool)> {
    let (digits, float) = match memchr::memchr(b'.', text) {
        Some(at) if text.len() > at + 1 && text[at + 1..].iter().all(|byte| *byte == b'0') => (&text[..at], true),
        Some(_) => return None,
        None => (text, false),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, float))
}

/// A class field taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ClassField {
    /// The number, whether known or not.
    pub(super) class: u16,
    /// Written like `6.0`.
    pub(super) float: bool,
    /// Attributes after the class, in the form of 2019: `9_9_20_43`.
    pub(super) attributes: Option<Vec<Attribute>>,
}

/// An attribute as written: its number, or nothing where it is none.
pub(super) type Attribute = Option<u16>;

/// The class; `None` where it is no number at all.
pub(super) fn class(field: &[u8]) -> Option<ClassField> {
    let text = field.trim_ascii();
    let mut parts = text.split(|byte| *byte == b'_');
    let (class, float) = whole(parts.next()?)?;
    let class = u16::try_from(class).unwrap_or(u16::MAX);
    let rest: Vec<Attribute> = parts.map(attribute).collect();
    Some(ClassField { class, float, attributes: text.contains(&b'_').then_some(rest) })
}

/// The attributes of a comma-joined list; an empty field has none.
pub(super) fn attributes(field: &[u8]) -> impl Iterator<Item = Attribute> {
    field.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty()).map(attribute)
}

fn attribute(token: &[u8]) -> Attribute {
    whole(token.trim_ascii()).and_then(|(value, _)| u16::try_from(value).ok())
}

/// Whether a field is one attribute and nothing else: what an unquoted list falls apart into.
pub(super) fn is_attribute(field: &[u8]) -> bool {
    let token = field.trim_ascii();
    !token.is_empty() && token.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn quotes_open_and_close_only_at_the_ends_of_a_field() {
        let fields = |line: &'static str| split(line.as_bytes(), b',');
        assert_eq!(fields("a,\"1,2\",").unwrap(), [&b"a"[..], b"1,2", b""]);
        assert_eq!(fields("\"a\"\"b\",c").unwrap(), [&b"a\"\"b"[..], b"c"]);
        for line in ["a,\"1,2", "a,1\"2", "a,\"1\"2,3"] {
            assert_eq!(fields(line), None, "{line}");
        }
        assert_eq!(field(b"\"a,b\",c,d", b',', 1), Some(&b"c"[..]));
        assert_eq!(field(b"a", b',', 1), None);
    }

    #[test]
    fn ids_lose_one_extension_and_may_not_leave_the_folder() {
        assert_eq!(image_id(b"0f.JPG"), Ok(("0f", true)));
        assert_eq!(image_id(b"0f.jpg.jpg"), Ok(("0f.jpg", true)));
        assert_eq!(image_id(b" 000123 "), Ok(("000123", false)));
        assert_eq!(image_id(b" "), Err(Reason::MissingId));
        assert_eq!(image_id(b"\xff"), Err(Reason::NotUtf8));
        for id in ["../a", "a/b", "a\\b", ".a", "a..b", "a\0", ".jpg"] {
            assert_eq!(image_id(id.as_bytes()), Err(Reason::UnsafeId), "{id}");
        }
    }

    #[test]
    fn numbers_are_whole_and_plain() {
        assert_eq!(side(b"100"), Some((100, false)));
        assert_eq!(side(b"100.0"), Some((100, true)));
        for text in ["0", "-5", "", "1e3", "100.5", "+7", "100."] {
            assert_eq!(side(text.as_bytes()), None, "{text}");
        }
        assert_eq!(class(b"9_9_20").unwrap().attributes, Some(vec![Some(9), Some(20)]));
        assert_eq!(class(b"six"), None);
        assert_eq!(attributes(b"115, 145,x").collect::<Vec<_>>(), [Some(115), Some(145), None]);
    }
}
