//! What can be wrong with an image, and the one outcome reason each stands for. Must not know which item it was.

use crate::outcome::Reason;

/// Why bytes did not become pixels, or pixels not bytes. The caller adds the item's name.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of 0 bytes.
    #[error("the file is empty (0 bytes); upload it again")]
    ZeroBytes,
    /// Bytes of no image format.
    #[error("the file is no image: it begins with {first_bytes} ({looks_like}); replace it by the photo itself")]
    NotAnImage {
        /// The first bytes, escaped so that they can be printed.
        first_bytes: String,
        /// What they look like.
        looks_like: &'static str,
    },
    /// An image format, or a form of one, that is not read here.
    #[error("{format} is not read here{detail}; convert the file to JPEG or PNG")]
    UnsupportedFormat {
        /// The format's usual short name: `heic`, `jpeg_arithmetic`, …
        format: &'static str,
        /// The decoder's words, with their own `: ` in front, or nothing.
        detail: String,
    },
    /// The file ends before its picture does.
    #[error("the {format} file ends before its picture does ({detail}); upload it again")]
    Truncated {
        /// The format's word.
        format: &'static str,
        /// How far it goes.
        detail: String,
    },
    /// More pixels or bytes than allowed.
    #[error("the image is too large: {found} {unit}, and at most {allowed} are allowed; shrink it, or raise the limit")]
    TooLarge {
        /// What the file has, by its header.
        found: u64,
        /// What is allowed.
        allowed: u64,
        /// `pixels` or `bytes`.
        unit: &'static str,
    },
    /// The decoder found the file damaged.
    #[error("the {format} file is damaged: {detail}; save it anew or upload it again")]
    Damaged {
        /// The format's word.
        format: &'static str,
        /// The decoder's words.
        detail: String,
    },
    /// The decoder panicked.
    #[error(
        "the decoder gave up on the file in a way that it should not ({detail}); report it, and save the file anew"
    )]
    Panic {
        /// The panic's message.
        detail: String,
    },
    /// Sizes that do not fit each other, given by the caller.
    #[error("{what} does not fit: {detail}; this is a mistake of the program, report it")]
    Shape {
        /// Which of the things given.
        what: &'static str,
        /// The sizes found and wanted.
        detail: String,
    },
    /// An encoder could not write the picture.
    #[error("the {format} could not be written: {detail}; choose another size or format")]
    Encode {
        /// The format's word.
        format: &'static str,
        /// The encoder's words.
        detail: String,
    },
}

impl Error {
    /// The code that tables hold for this error.
    pub fn reason(&self) -> Reason {
        match self {
            Self::ZeroBytes => Reason::ZeroBytes,
            Self::NotAnImage { .. } => Reason::NotAnImage,
            Self::UnsupportedFormat { .. } => Reason::UnsupportedFormat,
            Self::Truncated { .. } => Reason::Truncated,
            Self::TooLarge { .. } => Reason::TooLarge,
            Self::Damaged { .. } => Reason::DecoderError,
            Self::Panic { .. } => Reason::DecoderPanic,
            Self::Shape { .. } => Reason::SizeMismatch,
            Self::Encode { .. } => Reason::WriteError,
        }
    }

    /// Refuses a run of values whose length is not what its sizes ask for.
    pub(super) fn expect_len(what: &'static str, found: usize, wanted: Option<usize>) -> Result<(), Self> {
        if wanted == Some(found) {
            return Ok(());
        }
        let wanted = wanted.map_or_else(|| "more than there is memory".to_owned(), |wanted| wanted.to_string());
        Err(Self::Shape { what, detail: format!("{found} values where {wanted} are wanted") })
    }
}

/// `width × height × channels` as a length, unless that is beyond the address space.
pub(super) fn area(width: u32, height: u32, channels: usize) -> Option<usize> {
    (width as usize).checked_mul(height as usize)?.checked_mul(channels)
}
