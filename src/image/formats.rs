//! WebP, GIF, BMP and TIFF, all through the same decoder interface. Must not know JPEG and PNG, which have files of
//! their own, nor convert colour between profiles.

use super::decode::{Raster, Samples, split_rgba, to_eight_bits};
use super::probe::{Header, exif_facts};
use super::{Colour, Error, Facts, Format, Limits, Note, colour, exif, tiff_file};
use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, tiff::TiffDecoder, webp::WebPDecoder};
use image::{ColorType, ExtendedColorType, ImageDecoder, ImageError};
use std::io::{Cursor, ErrorKind};

type Source<'a> = Cursor<&'a [u8]>;

/// Reads the header of a file that is `format` by its first bytes.
pub(super) fn header(format: Format, bytes: &[u8]) -> Result<Header, Error> {
    Ok(open(format, bytes)?.0)
}

fn open(format: Format, bytes: &[u8]) -> Result<(Header, Box<dyn ImageDecoder + '_>), Error> {
    let source: Source<'_> = Cursor::new(bytes);
    let failed = |error| decoder_error(error, format, bytes);
    let mut page = None;
    let (mut decoder, more): (Box<dyn ImageDecoder + '_>, bool) = match format {
        Format::WebP => {
            whole_webp(bytes)?;
            let decoder = WebPDecoder::new(source).map_err(failed)?;
            let animated = decoder.has_animation();
            (Box::new(decoder), animated)
        }
        Format::Gif => (Box::new(GifDecoder::new(source).map_err(failed)?), gif_has_more(bytes)),
        Format::Bmp => (Box::new(BmpDecoder::new(source).map_err(failed)?), false),
        _ => {
            page = exif::first_directory(bytes);
            if page.is_some_and(|page| page.preview) {
                let detail = ": its first page is a preview, as in camera raw files".to_owned();
                return Err(Error::UnsupportedFormat { format: "raw", detail });
            }
            (Box::new(TiffDecoder::new(source).map_err(failed)?), page.is_some_and(|page| page.another))
        }
    };
    let (stored_width, stored_height) = decoder.dimensions();
    // A profile or an EXIF block that cannot be read must not cost the picture.
    let icc = match format {
        Format::Tiff => tiff_file::profile(bytes),
        _ => decoder.icc_profile().unwrap_or_default(),
    };
    let block = decoder.exif_metadata().unwrap_or_default();
    let (orientation, dpi) = match (format, page) {
        (Format::Tiff, Some(page)) => (page.orientation, page.dpi),
        (Format::Bmp, _) => (1, bmp_dpi(bytes)),
        _ => exif_facts(block.as_deref()),
    };
    let kind = decoder.original_color_type();
    let facts = Facts {
        format,
        stored_width,
        stored_height,
        orientation,
        profile: None,
        dpi,
        frames_more_than_one: more,
        bits: match format {
            Format::Tiff => (kind.bits_per_pixel() / u16::from(kind.channel_count().max(1))).min(32) as u8,
            _ => 8,
        },
        colour: match kind {
            _ if format == Format::Gif => Colour::Palette,
            ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16 => Colour::Cmyk,
            _ if decoder.color_type().has_color() && decoder.color_type().has_alpha() => Colour::Rgba,
            _ if decoder.color_type().has_color() => Colour::Rgb,
            _ if decoder.color_type().has_alpha() => Colour::GreyAlpha,
            _ => Colour::Grey,
        },
    };
    Ok((Header { facts, icc }, decoder))
}

/// Decodes the first picture; its size by the header must be within `limits` already.
pub(super) fn decode(format: Format, bytes: &[u8], limits: &Limits) -> Result<Raster, Error> {
    let (header, mut decoder) = open(format, bytes)?;
    if format == Format::Tiff && header.facts.colour == Colour::Cmyk {
        let samples = tiff_file::decode_ink(bytes, &header.facts, limits)?;
        return Ok(Raster { samples, alpha: None, notes: Vec::new() });
    }
    // Four channels of 16 bits for the picture, and as much again for what the decoder needs on the way.
    let allowed = limits.max_pixels.saturating_mul(16);
    let failed = |error| match error {
        ImageError::Limits(_) => {
            Error::TooLarge { found: allowed.saturating_add(1), allowed, unit: "bytes of memory or more to unpack it" }
        }
        error => decoder_error(error, format, bytes),
    };
    let mut memory = image::Limits::no_limits();
    memory.max_alloc = Some(allowed);
    decoder.set_limits(memory).map_err(failed)?;
    let kind = decoder.color_type();
    let damaged = |detail: &str| Error::Damaged { format: format.word(), detail: detail.to_owned() };
    let length = usize::try_from(decoder.total_bytes()).map_err(|_| damaged("a picture beyond the address space"))?;
    let mut samples = vec![0; length];
    decoder.read_image(&mut samples).map_err(failed)?;
    let (wide, samples) = match kind {
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            (true, to_eight_bits(&samples, u16::from_ne_bytes))
        }
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => (false, samples),
        kind => return Err(Error::UnsupportedFormat { format: format.word(), detail: format!(" as {kind:?}") }),
    };
    let (samples, alpha) = match kind {
        ColorType::L8 | ColorType::L16 => (Samples::Grey(samples), None),
        ColorType::La8 | ColorType::La16 => {
            let (grey, alpha) = samples.as_chunks::<2>().0.iter().map(|[grey, alpha]| (*grey, *alpha)).unzip();
            (Samples::Grey(grey), Some(alpha))
        }
        ColorType::Rgb8 | ColorType::Rgb16 => (Samples::Rgb(samples), None),
        _ => {
            let (mut rgb, alpha) = split_rgba(&samples);
            if format == Format::Tiff && exif::first_directory(bytes).is_some_and(|page| page.premultiplied) {
                colour::make_straight(&mut rgb, &alpha);
            }
            (Samples::Rgb(rgb), Some(alpha))
        }
    };
    let mut notes = Vec::new();
    if wide {
        notes.push(Note::SixteenBit);
    }
    Ok(Raster { samples, alpha, notes })
}

/// A RIFF file says how long it is; the decoder would take a shorter one for a shorter picture.
fn whole_webp(bytes: &[u8]) -> Result<(), Error> {
    let said = match bytes.get(4..8) {
        Some(&[a, b, c, d]) => u64::from(u32::from_le_bytes([a, b, c, d])) + 8,
        _ => 12,
    };
    let found = bytes.len() as u64;
    // The padding byte of an odd last chunk is often forgotten.
    if said > found + 1 {
        let detail = format!("{found} of {said} bytes, {} %", found * 100 / said);
        return Err(Error::Truncated { format: Format::WebP.word(), detail });
    }
    Ok(())
}

fn bmp_dpi(bytes: &[u8]) -> Option<(f32, f32)> {
    let metric = |at: usize| {
        let four: [u8; 4] = bytes.get(at..at + 4)?.try_into().ok()?;
        Some(u32::from_le_bytes(four) as f32 * 0.0254)
    };
    // The old 12-byte header has no resolution.
    if bytes.get(14) == Some(&12) {
        return None;
    }
    exif::dpi(metric(38)?, metric(42)?)
}

/// Whether a second image descriptor follows the first picture.
fn gif_has_more(bytes: &[u8]) -> bool {
    let colours = |packed: u8| if packed & 0x80 == 0 { 0 } else { 3 << ((packed & 7) + 1) };
    let Some(packed) = bytes.get(10) else { return false };
    let (mut at, mut pictures) = (13 + colours(*packed), 0);
    loop {
        at = match bytes.get(at) {
            Some(0x21) => at + 2,
            Some(0x2c) => {
                pictures += 1;
                let Some(packed) = bytes.get(at + 9) else { return false };
                // Behind the descriptor: its colours, and the code size of the packed data.
                at + 10 + colours(*packed) + 1
            }
            _ => return false,
        };
        if pictures > 1 {
            return true;
        }
        while let Some(length @ 1..) = bytes.get(at) {
            at += 1 + usize::from(*length);
        }
        at += 1;
    }
}

pub(super) fn decoder_error(error: ImageError, format: Format, bytes: &[u8]) -> Error {
    let format = format.word();
    let cut = || Error::Truncated { format, detail: format!("{} bytes", bytes.len()) };
    match error {
        ImageError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => cut(),
        ImageError::Unsupported(error) => Error::UnsupportedFormat { format, detail: format!(": {error}") },
        error => {
            let detail = error.to_string();
            // Not every decoder keeps the end of the file apart from other damage, but in its words.
            let words = detail.to_ascii_lowercase();
            if ["unexpected end", "unexpected eof", "truncated", "failed to fill"]
                .iter()
                .any(|word| words.contains(word))
            {
                cut()
            } else {
                Error::Damaged { format, detail }
            }
        }
    }
}
