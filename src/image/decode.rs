//! From bytes to an upright sRGB picture: limits first, then the format's own decoder, then colour, alpha and
//! orientation. Must not know who asked.

use super::orient::orient;
use super::probe::{self, Header, sniff};
use super::{Colour, DecodedImage, Error, Format, Limits, Note, SourceImage, colour, formats, jpeg, png_file};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Below this many pixels on the shorter side a picture is noted as tiny.
const TINY_SIDE: u32 = 32;
/// Beyond this ratio of the sides a picture is noted as of extreme aspect.
const EXTREME_ASPECT: u32 = 8;

/// What a format's decoder gives: 8-bit samples as stored, not upright, in the file's own colours.
pub(super) struct Raster {
    pub(super) samples: Samples,
    /// One byte a pixel, where the file has transparency.
    pub(super) alpha: Option<Vec<u8>>,
    pub(super) notes: Vec<Note>,
}

/// Samples in the file's own colours.
pub(super) enum Samples {
    /// One byte a pixel.
    Grey(Vec<u8>),
    /// Three bytes a pixel.
    Rgb(Vec<u8>),
    /// Four bytes a pixel, cyan, magenta, yellow, black: 0 is no ink, 255 full.
    Ink(Vec<u8>),
}

impl Samples {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Self::Grey(bytes) | Self::Rgb(bytes) | Self::Ink(bytes) => bytes,
        }
    }

    /// Bytes of one row of so many pixels.
    pub(super) fn row_len(&self, width: usize) -> usize {
        match self {
            Self::Grey(_) => width,
            Self::Rgb(_) => width * 3,
            Self::Ink(_) => width * 4,
        }
    }
}

/// Decodes an image file into an upright sRGB picture. The header is judged against `limits` before anything of the
/// picture's size is allocated; a panic of a decoder becomes [`Error::Panic`]. Takes as long as it takes: the time limit
/// is the caller's.
pub fn decode(source: &SourceImage, limits: &Limits) -> Result<DecodedImage, Error> {
    catch_unwind(AssertUnwindSafe(|| decode_guarded(&source.bytes, limits))).unwrap_or_else(|payload| {
        let text = payload.downcast_ref::<&str>().map(ToString::to_string);
        let detail =
            text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned());
        Err(Error::Panic { detail })
    })
}

fn decode_guarded(bytes: &[u8], limits: &Limits) -> Result<DecodedImage, Error> {
    let found = bytes.len() as u64;
    if found > limits.max_bytes {
        return Err(Error::TooLarge { found, allowed: limits.max_bytes, unit: "bytes" });
    }
    let format = sniff(bytes)?;
    let (header, raster) = if format == Format::Jpeg {
        let (header, frame) = jpeg::header(bytes)?;
        within(&header, limits)?;
        let raster = jpeg::decode(bytes, &header, &frame)?;
        (header, raster)
    } else {
        let header = probe::header(bytes)?;
        within(&header, limits)?;
        let raster = match format {
            Format::Png => png_file::decode(bytes)?,
            format => formats::decode(format, bytes, limits)?,
        };
        (header, raster)
    };
    finish(header, raster, limits)
}

fn within(header: &Header, limits: &Limits) -> Result<(), Error> {
    let facts = &header.facts;
    let found = u64::from(facts.stored_width) * u64::from(facts.stored_height);
    if found > limits.max_pixels {
        return Err(Error::TooLarge { found, allowed: limits.max_pixels, unit: "pixels" });
    }
    if found == 0 {
        let detail = format!("its header says {} × {} pixels", facts.stored_width, facts.stored_height);
        return Err(Error::Damaged { format: facts.format.word(), detail });
    }
    Ok(())
}

/// Colour, transparency, orientation: the same for every format.
fn finish(header: Header, raster: Raster, limits: &Limits) -> Result<DecodedImage, Error> {
    let Header { mut facts, icc } = header;
    let mut notes = raster.notes;
    match facts.colour {
        Colour::Grey | Colour::GreyAlpha => notes.push(Note::Grey),
        Colour::Palette => notes.push(Note::Palette),
        Colour::Cmyk => notes.push(Note::CmykConverted),
        Colour::Rgb | Colour::Rgba => {}
    }
    if facts.bits > 8 {
        notes.push(Note::SixteenBit);
    }
    if facts.frames_more_than_one {
        notes.push(Note::MultiFrame);
    }
    let (mut rgb, profile) = colour::to_srgb(raster.samples, icc.as_deref(), &mut notes)?;
    facts.profile = profile;

    let (width, height) = (facts.stored_width as usize, facts.stored_height as usize);
    Error::expect_len("decoded picture", rgb.len(), super::error::area(facts.stored_width, facts.stored_height, 3))?;
    let mut alpha = raster.alpha.filter(|alpha| alpha.iter().any(|value| *value != 255));
    if facts.orientation != 1 && limits.apply_orientation {
        rgb = orient::<3>(rgb, width, height, facts.orientation);
        alpha = alpha.map(|alpha| orient::<1>(alpha, width, height, facts.orientation));
        notes.push(Note::ExifOriented);
    } else if facts.orientation != 1 {
        notes.push(Note::ExifIgnored);
    }
    let (width, height) =
        if limits.apply_orientation { facts.upright_size() } else { (facts.stored_width, facts.stored_height) };

    let straight_rgb = alpha.as_ref().map(|alpha| {
        notes.push(Note::HadAlpha);
        let over_white = colour::over_white(&rgb, alpha);
        std::mem::replace(&mut rgb, over_white)
    });
    let (shorter, longer) = (width.min(height), width.max(height));
    if shorter < TINY_SIDE {
        notes.push(Note::Tiny);
    }
    if longer / EXTREME_ASPECT > shorter || (longer / EXTREME_ASPECT == shorter && longer % EXTREME_ASPECT > 0) {
        notes.push(Note::ExtremeAspect);
    }
    notes.sort_unstable();
    notes.dedup();
    Ok(DecodedImage { width, height, rgb, alpha, straight_rgb, facts, notes })
}

/// 16-bit samples rounded to 8: full range to full range.
pub(super) fn to_eight_bits(samples: &[u8], value: fn([u8; 2]) -> u16) -> Vec<u8> {
    samples.as_chunks::<2>().0.iter().map(|pair| ((u32::from(value(*pair)) * 255 + 32_767) / 65_535) as u8).collect()
}

/// Colour and alpha apart.
pub(super) fn split_rgba(samples: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (pixels, _) = samples.as_chunks::<4>();
    let mut rgb = vec![0; pixels.len() * 3];
    let mut alpha = vec![0; pixels.len()];
    for ((colour, alpha), pixel) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(&mut alpha).zip(pixels) {
        let [red, green, blue, opacity] = *pixel;
        *colour = [red, green, blue];
        *alpha = opacity;
    }
    (rgb, alpha)
}
