//! What is known of one photo, as a value and as a row of the table `images`. Must not know how it came to be known.

use crate::image::{Look, Survey};
use crate::outcome::Reason;
use crate::stage::Error;
use crate::table::schema::IMAGES;
use arrow::array::{
    Array, ArrayRef, AsArray, Float32Array, RecordBatch, StringArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::datatypes::{ArrowPrimitiveType, Float32Type, UInt8Type, UInt32Type, UInt64Type};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is known of a photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The entity tag of the object that was looked at.
    pub etag: String,
    /// Its bytes.
    pub size: u64,
    /// Height in pixels as stored; 0 where it could not be decoded.
    pub height: u32,
    /// Width in pixels as stored; 0 where it could not be decoded.
    pub width: u32,
    /// The format as sniffed; empty where unknown.
    pub format: String,
    /// Why it cannot be used, if it cannot.
    pub reason: Option<Reason>,
    /// The same in words; empty where it can be used.
    pub detail: String,
    /// BLAKE3 of the file, 64 hexadecimal digits; empty where it could not be read.
    pub content: String,
    /// What is known of the picture, where it could be decoded.
    pub picture: Option<Picture>,
}

/// What is known of a decoded photo.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// EXIF orientation, 1–8.
    pub orientation: u8,
    /// The description of the embedded colour profile.
    pub profile: Option<String>,
    /// How the file holds colour, in the word of [`crate::image::Colour`].
    pub colour: String,
    /// Bits of a channel, 1–32.
    pub bits: u8,
    /// Quality of a JPEG by its tables, 1–100.
    pub jpeg_quality: Option<u8>,
    /// Its figures, of the pixels as stored.
    pub survey: Survey,
}

impl Facts {
    /// Whether they can change without the photo changing, so that they are not to be remembered.
    pub(super) fn passing(&self) -> bool {
        matches!(
            self.reason,
            Some(Reason::Vanished | Reason::ChangedSincePlan | Reason::TransientExhausted | Reason::Unreadable)
        )
    }

    /// What the photo looks like, where it could be decoded.
    pub fn look(&self) -> Option<&Look> {
        self.picture.as_ref().map(|picture| &picture.survey.look)
    }
}

/// The facts of photos as rows, in the order of their keys.
pub(super) fn rows(all: &BTreeMap<&str, &Facts>) -> Result<RecordBatch, Error> {
    let pictures = || all.values().map(|facts| facts.picture.as_ref());
    let text = |of: fn(&Facts) -> &str| Arc::new(StringArray::from_iter_values(all.values().map(|facts| of(facts))));
    let side = |of: fn(&Facts) -> u32| Arc::new(UInt32Array::from_iter_values(all.values().map(|facts| of(facts))));
    let small = |of: fn(&Picture) -> Option<u8>| -> ArrayRef {
        Arc::new(pictures().map(|picture| picture.and_then(of)).collect::<UInt8Array>())
    };
    let words = |of: fn(&Picture) -> Option<String>| -> ArrayRef {
        Arc::new(pictures().map(|picture| picture.and_then(of)).collect::<StringArray>())
    };
    let figure = |of: fn(&Survey) -> f32| -> ArrayRef {
        Arc::new(pictures().map(|picture| picture.map(|picture| of(&picture.survey))).collect::<Float32Array>())
    };
    let reasons: StringArray = all.values().map(|facts| facts.reason.map(Reason::code)).collect();
    let content: StringArray =
        all.values().map(|facts| Some(facts.content.as_str()).filter(|content| !content.is_empty())).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(all.keys())),
        text(|facts| &facts.etag),
        Arc::new(UInt64Array::from_iter_values(all.values().map(|facts| facts.size))),
        side(|facts| facts.height),
        side(|facts| facts.width),
        text(|facts| &facts.format),
        Arc::new(reasons),
        text(|facts| &facts.detail),
        small(|picture| Some(picture.orientation)),
        words(|picture| picture.profile.clone()),
        words(|picture| Some(picture.colour.clone())),
        small(|picture| Some(picture.bits)),
        small(|picture| picture.jpeg_quality),
        Arc::new(content),
        figure(|survey| survey.brightness),
        figure(|survey| survey.contrast),
        figure(|survey| survey.sharpness),
        figure(|survey| survey.entropy),
        figure(|survey| survey.saturation),
        figure(|survey| survey.backdrop_share),
        words(|picture| Some(colour_text(picture.survey.backdrop))),
        words(|picture| Some(picture.survey.look.hex())),
    ];
    Ok(RecordBatch::try_new(IMAGES.schema(), columns).map_err(crate::table::Error::from)?)
}

/// The photo that a row is of: key, entity tag, size.
pub(super) fn photo_of(batch: &RecordBatch, row: usize) -> (&str, &str, u64) {
    let text = |column: usize| batch.column(column).as_string::<i32>().value(row);
    (text(0), text(1), batch.column(2).as_primitive::<UInt64Type>().value(row))
}

/// The facts that a row holds; `None` for a row of an earlier minor version, which lacks most of them.
pub(super) fn read(batch: &RecordBatch, row: usize) -> Option<Facts> {
    let row = Row { batch, row };
    let (_, etag, size) = photo_of(batch, row.row);
    Some(Facts {
        etag: etag.to_owned(),
        size,
        height: row.number::<UInt32Type>(3)?,
        width: row.number::<UInt32Type>(4)?,
        format: row.text(5)?.to_owned(),
        reason: row.text(6).and_then(Reason::from_code),
        detail: row.text(7)?.to_owned(),
        content: row.text(13)?.to_owned(),
        picture: picture(&row),
    })
}

fn picture(row: &Row<'_>) -> Option<Picture> {
    Some(Picture {
        orientation: row.number::<UInt8Type>(8)?,
        profile: row.text(9).map(str::to_owned),
        colour: row.text(10)?.to_owned(),
        bits: row.number::<UInt8Type>(11)?,
        jpeg_quality: row.number::<UInt8Type>(12),
        survey: Survey {
            brightness: row.number::<Float32Type>(14)?,
            contrast: row.number::<Float32Type>(15)?,
            sharpness: row.number::<Float32Type>(16)?,
            entropy: row.number::<Float32Type>(17)?,
            saturation: row.number::<Float32Type>(18)?,
            backdrop_share: row.number::<Float32Type>(19)?,
            backdrop: parse_colour(row.text(20)?)?,
            look: Look::parse(row.text(21)?)?,
        },
    })
}

struct Row<'a> {
    batch: &'a RecordBatch,
    row: usize,
}

impl<'a> Row<'a> {
    fn text(&self, column: usize) -> Option<&'a str> {
        let column = self.batch.column(column).as_string::<i32>();
        (!column.is_null(self.row)).then(|| column.value(self.row))
    }

    fn number<T: ArrowPrimitiveType>(&self, column: usize) -> Option<T::Native> {
        let column = self.batch.column(column).as_primitive::<T>();
        (!column.is_null(self.row)).then(|| column.value(self.row))
    }
}

fn colour_text([red, green, blue]: [u8; 3]) -> String {
    format!("#{red:02x}{green:02x}{blue:02x}")
}

fn parse_colour(text: &str) -> Option<[u8; 3]> {
    let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
    let [_, red, green, blue] = u32::from_str_radix(digits, 16).ok()?.to_be_bytes();
    Some([red, green, blue])
}
