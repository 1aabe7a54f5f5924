//! TIFF files: their profile, and ink as it is stored. Must not know the other formats, nor convert colour.
//!
//! The decoder that reads the other TIFFs makes RGB of ink by itself, after which no profile of a press fits any more; and
//! it leaves out a profile of more than a megabyte, as those of presses often are. Both are read here.

use super::decode::{Samples, to_eight_bits};
use super::error::area;
use super::formats::decoder_error;
use super::{Error, Facts, Format, Limits};
use image::ImageError;
use image::error::{DecodingError, ImageFormatHint, LimitError, LimitErrorKind};
use std::io::Cursor;
use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{Tag, Type, ValueBuffer};

/// Most bytes of a profile.
const PROFILE_BYTES: usize = 32 << 20;

fn open(bytes: &[u8], picture_bytes: usize) -> Result<Decoder<Cursor<&[u8]>>, TiffError> {
    let mut limits = tiff::decoder::Limits::default();
    limits.ifd_value_size = PROFILE_BYTES;
    limits.decoding_buffer_size = picture_bytes;
    limits.intermediate_buffer_size = picture_bytes;
    Ok(Decoder::new(Cursor::new(bytes))?.with_limits(limits))
}

/// The embedded profile of the first page; empty, and so to be found unreadable, where there is one that cannot be read.
pub(super) fn profile(bytes: &[u8]) -> Option<Vec<u8>> {
    // As raw bytes: as values, each would take 32 bytes of memory.
    let mut found = ValueBuffer::empty(Type::UNDEFINED);
    let looked = open(bytes, PROFILE_BYTES).and_then(|mut decoder| {
        decoder.image_ifd().find_tag_buf(Tag::IccProfile, &mut found).map(|entry| entry.is_some())
    });
    match looked {
        Ok(true) => Some(found.as_bytes().to_vec()),
        Ok(false) => None,
        Err(_) => Some(Vec::new()),
    }
}

/// Decodes the first page, which is ink by its header and within `limits` already.
pub(super) fn decode_ink(bytes: &[u8], facts: &Facts, limits: &Limits) -> Result<Samples, Error> {
    let allowed = usize::try_from(limits.max_pixels.saturating_mul(8)).unwrap_or(usize::MAX);
    let failed = |error| decoder_error(as_image_error(error), Format::Tiff, bytes);
    let decoded = open(bytes, allowed).map_err(failed)?.read_image().map_err(failed)?;
    let samples = match decoded {
        DecodingResult::U8(samples) => samples,
        DecodingResult::U16(samples) => {
            let stored: Vec<u8> = samples.into_iter().flat_map(u16::to_ne_bytes).collect();
            to_eight_bits(&stored, u16::from_ne_bytes)
        }
        _ => Vec::new(),
    };
    if Some(samples.len()) != area(facts.stored_width, facts.stored_height, 4) {
        let detail = ": ink that is not four channels of 8 or 16 bits side by side".to_owned();
        return Err(Error::UnsupportedFormat { format: Format::Tiff.word(), detail });
    }
    Ok(Samples::Ink(samples))
}

fn as_image_error(error: TiffError) -> ImageError {
    match error {
        TiffError::IoError(error) => ImageError::IoError(error),
        TiffError::LimitsExceeded => ImageError::Limits(LimitError::from_kind(LimitErrorKind::InsufficientMemory)),
        error => ImageError::Decoding(DecodingError::new(ImageFormatHint::Exact(image::ImageFormat::Tiff), error)),
    }
}
