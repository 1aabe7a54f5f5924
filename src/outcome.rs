//! What became of an item, in the words that tables, logs and exit codes share. Must not know any stage.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What became of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Done, and good to use.
    Ok,
    /// Done, but a person should look before it is used.
    Review,
    /// The item itself is bad; not tried again until it or the code changes.
    Quarantined,
    /// Something around the item went wrong; tried again by the next run.
    Failed,
}

impl Outcome {
    /// The word that tables hold.
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Review => "review",
            Self::Quarantined => "quarantined",
            Self::Failed => "failed",
        }
    }

    /// The outcome that a table's word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Ok, Self::Review, Self::Quarantined, Self::Failed].into_iter().find(|outcome| outcome.word() == word)
    }
}

/// How many items came to which end; `cached` were done before and still hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Done now.
    pub ok: u64,
    /// Done before, nothing changed since.
    pub cached: u64,
    /// Done now, to be looked at.
    pub review: u64,
    /// Found bad now.
    pub quarantined: u64,
    /// Not done for a reason outside the item.
    pub failed: u64,
}

impl Counts {
    /// Counts one more item.
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Ok => self.ok += 1,
            Outcome::Review => self.review += 1,
            Outcome::Quarantined => self.quarantined += 1,
            Outcome::Failed => self.failed += 1,
        }
    }

    /// All items, cached ones included.
    pub fn total(&self) -> u64 {
        self.ok + self.cached + self.review + self.quarantined + self.failed
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.ok += other.ok;
        self.cached += other.cached;
        self.review += other.review;
        self.quarantined += other.quarantined;
        self.failed += other.failed;
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// Why an item did not pass: the closed list of codes that tables hold. Details stand beside the code.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason { $($(#[doc = $doc])+ $name,)+ }

        impl Reason {
            /// Every reason there is.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code that tables hold.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

reasons! {
    /// A CSV row with more or fewer fields than the header.
    FieldCount = "field_count",
    /// The last CSV row stops in its middle.
    TruncatedRow = "truncated_row",
    /// A quote that is never closed, or closed in the wrong place.
    UnbalancedQuote = "unbalanced_quote",
    /// A field beyond the limit of bytes.
    FieldTooLong = "field_too_long",
    /// Text that is not UTF-8.
    NotUtf8 = "not_utf8",
    /// No image id.
    MissingId = "missing_id",
    /// An id or key that would leave the output folder.
    UnsafeId = "unsafe_id",
    /// A class outside the known list.
    UnknownClass = "unknown_class",
    /// An attribute outside the known list (strict mode only).
    UnknownAttribute = "unknown_attribute",
    /// Height or width that is no positive whole number.
    BadSize = "bad_size",
    /// Rows of one image that disagree on its size.
    SizeConflict = "size_conflict",
    /// Beyond the limit of pixels or bytes.
    TooLarge = "too_large",
    /// Below the smallest size that can be trained on.
    TooSmall = "too_small",
    /// An odd count of numbers in a run-length mask.
    RleOdd = "rle_odd",
    /// A run that starts at 0 where the first pixel is 1.
    RleZeroStart = "rle_zero_start",
    /// A negative start or length.
    RleNegative = "rle_negative",
    /// A run past the last pixel.
    RleOverrun = "rle_overrun",
    /// A number too large to be a pixel.
    RleNumber = "rle_number",
    /// A character that no run-length mask holds.
    RleBadChar = "rle_bad_char",
    /// A COCO compressed string in place of numbers.
    RleCocoString = "rle_coco_string",
    /// A row of the data names a photo that is not there.
    MissingFile = "missing_file",
    /// A file of 0 bytes.
    ZeroBytes = "zero_bytes",
    /// An image file that ends before its picture does.
    Truncated = "truncated",
    /// Bytes that are no image.
    NotAnImage = "not_an_image",
    /// An image format, or a form of one, that is not read here.
    UnsupportedFormat = "unsupported_format",
    /// A photo whose size is not that of its masks.
    SizeMismatch = "size_mismatch",
    /// The decoder found the file damaged.
    DecoderError = "decoder_error",
    /// The decoder panicked.
    DecoderPanic = "decoder_panic",
    /// The decoder took longer than the limit.
    DecoderTimeout = "decoder_timeout",
    /// The network could not be run on this image.
    InferenceError = "inference_error",
    /// A local file that may not be read, or fails while it is read.
    Unreadable = "unreadable",
    /// Listed, but gone when read.
    Vanished = "vanished",
    /// Changed between listing and reading; planned again by the next run.
    ChangedSincePlan = "changed_since_plan",
    /// The store kept failing until the retries were used up.
    TransientExhausted = "transient_exhausted",
    /// The output could not be written.
    WriteError = "write_error",
    /// Nothing was found in the photo.
    Empty = "empty",
    /// The subject covers less or more of the picture than it should.
    Coverage = "coverage",
    /// The subject runs out of the picture over too much of its border.
    TouchesBorder = "touches_border",
    /// Too much of the picture is neither clear nor opaque.
    Soft = "soft",
    /// The network was not sure of what it saw.
    Unsure = "unsure",
    /// The subject came out in too many pieces.
    Fragments = "fragments",
    /// The subject has too many holes.
    Holes = "holes",
    /// The edge of the subject is too wide.
    Blurred = "blurred",
    /// A product breaks a rule that it is checked against.
    NonCompliant = "non_compliant",
    /// Written by a person: rejected in review.
    Rejected = "rejected",
}

impl Reason {
    /// The reason that a table's code stands for.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
