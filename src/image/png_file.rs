//! PNG: header and decoder. Must not know the other formats, nor convert colour between profiles.

use super::decode::{Raster, Samples, to_eight_bits};
use super::probe::{Header, exif_facts};
use super::{Colour, Error, Facts, Format, exif};
use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Reader, Transformations, Unit};
use std::io::{Cursor, ErrorKind};

const NAME: &str = "png";

/// Most bytes that the decoder may take beside the picture: rows, profile, texts.
const SIDE_BYTES: usize = 64 << 20;

type Source<'a> = Reader<Cursor<&'a [u8]>>;

/// Reads the chunks in front of the picture.
pub(super) fn header(bytes: &[u8]) -> Result<Header, Error> {
    open(bytes).map(|reader| header_of(&reader))
}

fn open(bytes: &[u8]) -> Result<Source<'_>, Error> {
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: SIDE_BYTES });
    // Palettes, small depths and transparent colours become whole channels; 16 bits are rounded here, not cut there.
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    decoder.read_info().map_err(|error| decoder_error(error, bytes))
}

fn header_of(reader: &Source<'_>) -> Header {
    let info = reader.info();
    let (orientation, exif_dpi) = exif_facts(info.exif_metadata.as_deref());
    let metric = |per_metre: u32| per_metre as f32 * 0.0254;
    let dpi = match info.pixel_dims {
        Some(dims) if dims.unit == Unit::Meter => exif::dpi(metric(dims.xppu), metric(dims.yppu)),
        _ => exif_dpi,
    };
    let transparent = info.trns.is_some();
    let colour = match info.color_type {
        ColorType::Grayscale if !transparent => Colour::Grey,
        ColorType::Grayscale | ColorType::GrayscaleAlpha => Colour::GreyAlpha,
        ColorType::Rgb if !transparent => Colour::Rgb,
        ColorType::Rgb | ColorType::Rgba => Colour::Rgba,
        ColorType::Indexed => Colour::Palette,
    };
    let facts = Facts {
        format: Format::Png,
        stored_width: info.width,
        stored_height: info.height,
        orientation,
        profile: None,
        dpi,
        frames_more_than_one: info.animation_control.is_some_and(|control| control.num_frames > 1),
        bits: info.bit_depth as u8,
        colour,
    };
    Header { facts, icc: info.icc_profile.as_deref().map(<[u8]>::to_vec) }
}

/// Decodes the picture; its size by the header must be within the caller's limits already.
pub(super) fn decode(bytes: &[u8]) -> Result<Raster, Error> {
    let mut reader = open(bytes)?;
    let too_large = || Error::Damaged { format: NAME, detail: "a picture beyond the address space".to_owned() };
    let mut samples = vec![0; reader.output_buffer_size().ok_or_else(too_large)?];
    let info = reader.next_frame(&mut samples).map_err(|error| decoder_error(error, bytes))?;
    if (info.width, info.height) != (reader.info().width, reader.info().height) {
        return Err(Error::Damaged { format: NAME, detail: "the first frame is smaller than the picture".to_owned() });
    }
    samples.truncate(info.buffer_size());
    if info.bit_depth == BitDepth::Sixteen {
        samples = to_eight_bits(&samples, u16::from_be_bytes);
    }
    let (samples, alpha) = match info.color_type {
        ColorType::Grayscale => (Samples::Grey(samples), None),
        ColorType::GrayscaleAlpha => {
            let (grey, alpha) = samples.as_chunks::<2>().0.iter().map(|[grey, alpha]| (*grey, *alpha)).unzip();
            (Samples::Grey(grey), Some(alpha))
        }
        ColorType::Rgb => (Samples::Rgb(samples), None),
        ColorType::Rgba => {
            let (rgb, alpha) = super::decode::split_rgba(&samples);
            (Samples::Rgb(rgb), Some(alpha))
        }
        ColorType::Indexed => {
            return Err(Error::Damaged { format: NAME, detail: "a palette picture without its palette".to_owned() });
        }
    };
    Ok(Raster { samples, alpha, notes: Vec::new() })
}

fn decoder_error(error: DecodingError, bytes: &[u8]) -> Error {
    match error {
        DecodingError::IoError(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Error::Truncated { format: NAME, detail: format!("{} bytes", bytes.len()) }
        }
        DecodingError::LimitsExceeded => {
            let allowed = SIDE_BYTES as u64;
            Error::TooLarge { found: allowed + 1, allowed, unit: "bytes beside the picture" }
        }
        error => Error::Damaged { format: NAME, detail: error.to_string() },
    }
}
