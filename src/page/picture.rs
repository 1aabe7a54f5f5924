//! Pictures within a page, and text that is safe in one. Must not know what a page shows.

use serde::{Deserialize, Serialize};
use std::fmt::Write as _;

/// A picture that travels inside the page, or the words that stand in its place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Picture {
    /// A picture.
    Shown {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The file as a `data:` URI.
        uri: String,
    },
    /// Why there is none.
    Absent(String),
}

impl Picture {
    /// A picture of `width × height` pixels from the bytes of its file; `media` is their type, such as `image/png`.
    pub fn of_file(media: &str, bytes: &[u8], (width, height): (u32, u32)) -> Self {
        Self::Shown { width, height, uri: format!("data:{media};base64,{}", base64(bytes)) }
    }

    /// Whether there is one.
    pub fn is_shown(&self) -> bool {
        matches!(self, Self::Shown { .. })
    }

    /// The element for it; `alt` says what it shows to those who do not see it.
    pub(super) fn html(&self, alt: &str) -> String {
        match self {
            Self::Shown { width, height, uri } => {
                let (alt, uri) = (escaped(alt), escaped(uri));
                format!("<img src=\"{uri}\" width=\"{width}\" height=\"{height}\" alt=\"{alt}\">")
            }
            Self::Absent(why) => format!("<p class=\"absent\">{}</p>", escaped(why)),
        }
    }
}

/// Bytes in the alphabet of RFC 4648, filled up with `=`.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for place in 0..4 {
            match place <= group.len() {
                true => text.push(char::from(ALPHABET[(bits >> (18 - 6 * place) & 63) as usize])),
                false => text.push('='),
            }
        }
    }
    text
}

/// Text that means itself in HTML, in an element and in a quoted attribute. Control characters, which a page may not hold
/// and a name may, become visible; line breaks and tabs too.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\0'..='\x1f' => safe.push(char::from_u32(0x2400 + u32::from(letter)).unwrap_or('\u{fffd}')),
            '\x7f' => safe.push('\u{2421}'),
            '\u{80}'..='\u{9f}' => safe.push('\u{fffd}'),
            // What turns the direction of writing is shown as what it is: a name must not be able to look like another one.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(safe, "[U+{:04X}]", u32::from(letter));
            }
            letter => safe.push(letter),
        }
    }
    safe
}

/// A word as a POSIX shell takes it: bare where that is safe, else quoted.
pub fn quoted(word: &str) -> String {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./,:=@%+".contains(&byte);
    match !word.is_empty() && word.bytes().all(bare) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_as_the_standard_has_them() {
        let known =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (plain, coded) in known {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
        assert_eq!(base64(&[0xff, 0xfe, 0xfd]), "//79");
    }

    #[test]
    fn no_text_gets_out_of_its_place() {
        assert_eq!(escaped("<b a=\"1\" c='2'>&"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;");
        assert_eq!(escaped("a\nb\0\u{9b}"), "a\u{240a}b\u{2400}\u{fffd}");
        assert_eq!(escaped("a\u{202e}gpj.exe"), "a[U+202E]gpj.exe");
        assert!(Picture::Absent("<gone>".to_owned()).html("x").contains("&lt;gone&gt;"));
    }

    #[test]
    fn words_are_quoted_for_the_shell_where_they_must_be() {
        assert_eq!(quoted("shoes/7.jpg"), "shoes/7.jpg");
        assert_eq!(quoted("it's $HOME.jpg"), r"'it'\''s $HOME.jpg'");
        assert_eq!(quoted(""), "''");
    }
}
