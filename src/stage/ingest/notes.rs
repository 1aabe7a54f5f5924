//! The closed list of what ingest repairs or remarks. Pure.

macro_rules! notes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// One thing repaired or remarked in a row that passed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Note { $($(#[doc = $doc])+ $name,)+ }

        impl Note {
            /// Every note there is, in the order of its bits.
            pub(super) const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The code that tables hold.
            pub(super) fn code(self) -> &'static str {
                match self { $(Self::$name => $word,)+ }
            }
        }
    };
}

notes! {
    /// More fields than columns, the last of them attributes that lacked quotes.
    AttributesUnquoted = "attributes_unquoted",
    /// The class field holds attributes, as in 2019.
    Dialect2019 = "dialect_2019",
    /// The class was written like `6.0`.
    ClassFloat = "class_float",
    /// Height or width was written like `100.0`.
    SizeFloat = "size_float",
    /// An attribute outside the list was left out.
    UnknownAttribute = "unknown_attribute",
    /// An attribute stood there twice.
    DuplicateAttribute = "duplicate_attribute",
    /// The id ended in an image extension.
    IdExtension = "id_extension",
    /// The image has no mask: the row stands for the image alone.
    EmptyMask = "empty_mask",
    /// A run of length 0 was left out.
    RleZeroLength = "rle_zero_length",
    /// Runs that did not ascend were sorted.
    RleUnsorted = "rle_unsorted",
    /// Runs that covered one another were merged.
    RleSelfOverlap = "rle_self_overlap",
    /// Numbers parted by more than one space.
    RleWhitespace = "rle_whitespace",
    /// A run past the last pixel was cut, by no more than a column.
    Clipped = "clipped",
    /// The same mask stands in this image under another class, too.
    SameMaskTwoClasses = "same_mask_two_classes",
    /// The mask covers the whole image.
    MaskFull = "mask_full",
    /// The mask covers fewer than 20 pixels.
    MaskTiny = "mask_tiny",
}

/// The notes of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes(u32);

impl Notes {
    /// Adds a note.
    pub(super) fn add(&mut self, note: Note) {
        self.0 |= 1 << note as u32;
    }

    /// Adds a note where a condition holds.
    pub(super) fn add_if(&mut self, holds: bool, note: Note) {
        self.0 |= u32::from(holds) << note as u32;
    }

    /// Whether there is none.
    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The notes, in the order of the list.
    pub(super) fn iter(self) -> impl Iterator<Item = Note> {
        Note::ALL.iter().copied().filter(move |note| self.0 & 1 << *note as u32 != 0)
    }
}
