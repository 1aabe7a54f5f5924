//! JPEG: the walk over its segments, and the decoder. Must not know the other formats, nor convert colour between
//! profiles.
//!
//! The decoder underneath draws whatever it has when a file ends early, so whether the picture is whole is found here:
//! the end marker is looked for first, and where it is missing the picture is decoded twice with two different endings.
//! What comes out the same both times did not depend on what is missing.

use super::colour::ycck_to_ink;
use super::decode::{Raster, Samples};
use super::error::area;
use super::probe::{Header, exif_facts};
use super::{Colour, Error, Facts, Format, Note, exif};
use std::borrow::Cow;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

const NAME: &str = "jpeg";

/// What the decoder must be told, or told otherwise.
pub(super) struct Frame {
    components: u8,
    progressive: bool,
    /// Whether some channels have fewer rows or columns than others.
    uneven: bool,
    /// The colour transform of Adobe's segment, and where its name stands in the file.
    adobe: Option<(u8, usize)>,
    /// Where the first scan's coded data begin.
    data: usize,
}

/// Reads the segments up to the first scan.
pub(super) fn header(bytes: &[u8]) -> Result<(Header, Frame), Error> {
    let mut frame = Frame { components: 0, progressive: false, uneven: false, adobe: None, data: 0 };
    let mut facts = Facts {
        format: Format::Jpeg,
        stored_width: 0,
        stored_height: 0,
        orientation: 1,
        profile: None,
        dpi: None,
        frames_more_than_one: false,
        bits: 8,
        colour: Colour::Rgb,
    };
    let (mut icc_parts, mut jfif_dpi, mut exif_dpi) = (Vec::new(), None, None);
    let mut at = 2;
    loop {
        let (marker, body, next) = segment(bytes, at)?;
        at = next;
        match marker {
            0xda => {
                readable_scan(body, &frame)?;
                break;
            }
            0xe0 if body.starts_with(b"JFIF\0") => jfif_dpi = density(body),
            0xe1 if body.starts_with(b"Exif\0\0") => (facts.orientation, exif_dpi) = exif_facts(Some(body)),
            0xe2 if body.starts_with(b"ICC_PROFILE\0") => icc_parts.push(body.get(12..).unwrap_or_default()),
            0xe2 if body.starts_with(b"MPF\0") => facts.frames_more_than_one = true,
            0xee if body.starts_with(b"Adobe") => frame.adobe = body.get(11).map(|byte| (*byte, next - body.len())),
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                frame_header(marker, body, &mut facts, &mut frame)?;
            }
            _ => {}
        }
    }
    if frame.components == 0 {
        return Err(damaged("no frame header in front of the first scan"));
    }
    frame.data = at;
    facts.dpi = exif_dpi.or(jfif_dpi);
    facts.colour = match frame.components {
        1 => Colour::Grey,
        4 => Colour::Cmyk,
        _ => Colour::Rgb,
    };
    Ok((Header { facts, icc: joined_profile(icc_parts) }, frame))
}

/// The segment at `at`: its marker, its body without the length, and where the next one begins.
pub(super) fn segment(bytes: &[u8], mut at: usize) -> Result<(u8, &[u8], usize), Error> {
    let ended = || Error::Truncated { format: NAME, detail: format!("{} bytes, all of them headers", bytes.len()) };
    // Stray bytes between segments do occur and harm nobody: go on to the next marker.
    at += memchr::memchr(0xff, bytes.get(at..).unwrap_or_default()).ok_or_else(ended)?;
    while bytes.get(at) == Some(&0xff) {
        at += 1;
    }
    let marker = *bytes.get(at).ok_or_else(ended)?;
    at += 1;
    if matches!(marker, 0x00 | 0x01 | 0xd0..=0xd8) {
        return Ok((marker, &[], at));
    }
    if marker == 0xd9 {
        return Err(damaged("the end marker stands in front of any picture"));
    }
    let length = match bytes.get(at..at + 2) {
        Some([high, low]) => usize::from(u16::from_be_bytes([*high, *low])),
        _ => return Err(ended()),
    };
    if length < 2 {
        return Err(damaged("a segment is shorter than its own length field"));
    }
    let body = bytes.get(at + 2..at + length).ok_or_else(ended)?;
    Ok((marker, body, at + length))
}

fn frame_header(marker: u8, body: &[u8], facts: &mut Facts, frame: &mut Frame) -> Result<(), Error> {
    let &[bits, height_high, height_low, width_high, width_low, components, ..] = body else {
        return Err(damaged("the frame header is too short"));
    };
    let refused =
        |format| Err(Error::UnsupportedFormat { format, detail: format!(": frame type SOF{}", marker - 0xc0) });
    match marker {
        0xc0..=0xc2 => {}
        0xc3 => return refused("jpeg_lossless"),
        0xc9..=0xcb | 0xcd..=0xcf => return refused("jpeg_arithmetic"),
        _ => return refused("jpeg_hierarchical"),
    }
    if bits != 8 {
        return Err(Error::UnsupportedFormat { format: "jpeg_12_bit", detail: format!(": {bits} bits a channel") });
    }
    if !matches!(components, 1 | 3 | 4) {
        return Err(Error::UnsupportedFormat { format: NAME, detail: format!(" with {components} channels") });
    }
    facts.stored_height = u32::from(u16::from_be_bytes([height_high, height_low]));
    facts.stored_width = u32::from(u16::from_be_bytes([width_high, width_low]));
    frame.components = components;
    frame.progressive = marker == 0xc2;
    // Of each channel: its number, its sampling across and down in four bits each, its table.
    let mut sampling =
        body.get(6..).unwrap_or_default().chunks_exact(3).take(usize::from(components)).map(|channel| channel[1]);
    let first = sampling.next();
    frame.uneven = sampling.any(|other| Some(other) != first);
    Ok(())
}

/// Channels in scans of their own, some smaller than others, in a picture that is not progressive: the decoder
/// takes such a file without a word and draws another picture.
fn readable_scan(scan: &[u8], frame: &Frame) -> Result<(), Error> {
    let separate = scan.first().is_some_and(|channels| *channels < frame.components);
    if separate && frame.uneven && !frame.progressive {
        let detail = ": its channels lie apart, and some are smaller than others".to_owned();
        return Err(Error::UnsupportedFormat { format: "jpeg_separate_scans", detail });
    }
    Ok(())
}

fn density(jfif: &[u8]) -> Option<(f32, f32)> {
    let &[unit, x_high, x_low, y_high, y_low, ..] = jfif.get(7..)? else { return None };
    let scale = match unit {
        1 => 1.0,
        2 => 2.54,
        _ => return None,
    };
    let value = |high, low| f32::from(u16::from_be_bytes([high, low])) * scale;
    exif::dpi(value(x_high, x_low), value(y_high, y_low))
}

/// A profile is cut into numbered parts (number, count, bytes); one part missing and it is kept as it is, to be found
/// unreadable later and noted.
fn joined_profile(mut parts: Vec<&[u8]>) -> Option<Vec<u8>> {
    parts.sort_by_key(|part| part.first().copied());
    let joined: Vec<u8> = parts.iter().flat_map(|part| part.get(2..).unwrap_or_default()).copied().collect();
    (!parts.is_empty()).then_some(joined)
}

/// Whether the end marker follows the coded data, wherever it stands: what comes behind it does not matter.
fn has_end(bytes: &[u8], mut at: usize) -> bool {
    while let Some(found) = memchr::memchr(0xff, bytes.get(at..).unwrap_or_default()) {
        at += found + 1;
        match bytes.get(at) {
            // A stuffed 0xff, a restart, or fill: still inside the coded data.
            Some(0x00 | 0xd0..=0xd7) => at += 1,
            Some(0xff) => {}
            Some(0xd9) => return true,
            Some(_) => match segment(bytes, at - 1) {
                Ok((_, _, next)) => at = next,
                Err(_) => return false,
            },
            None => return false,
        }
    }
    false
}

/// Decodes the picture; its size by the header must be within the caller's limits already.
pub(super) fn decode(bytes: &[u8], header: &Header, frame: &Frame) -> Result<Raster, Error> {
    let bytes = with_plain_adobe(bytes, frame);
    if has_end(&bytes, frame.data) {
        // Strictly: damage inside the picture must not pass as a half-grey one. Stray bytes between headers are none.
        return match decode_samples(&bytes, header, frame, true) {
            Err(Error::Damaged { detail, .. }) if detail.contains("between headers") => {
                decode_samples(&bytes, header, frame, false)
            }
            result => result,
        };
    }
    let kept = bytes.iter().rposition(|byte| *byte != 0xff).map_or(0, |last| last + 1);
    let ended_by = |filler: &[u8]| {
        let mut whole = bytes.get(..kept).unwrap_or_default().to_vec();
        whole.extend_from_slice(filler);
        whole.extend_from_slice(b"\xff\xd9");
        decode_samples(&whole, header, frame, false)
    };
    let truncated = |detail| Err(Error::Truncated { format: NAME, detail });
    let size = bytes.len();
    let (Ok(mut once), Ok(again)) = (ended_by(&[]), ended_by(&[0x55; 64])) else {
        return truncated(format!("{size} bytes without an end marker, and too little of the picture to draw any"));
    };
    if frame.progressive {
        // Whole passes over the picture may be missing, and no comparison of two ends would show that.
        return truncated(format!("{size} bytes without an end marker, of a progressive picture"));
    }
    let row = once.samples.row_len(header.facts.stored_width as usize);
    let differs = once.samples.bytes().iter().zip(again.samples.bytes()).position(|(one, other)| one != other);
    match differs {
        Some(at) => {
            let (row, rows) = (at / row.max(1), header.facts.stored_height as usize);
            truncated(format!("{size} bytes, {row} of {rows} rows, {} %", row * 100 / rows.max(1)))
        }
        None => {
            once.notes.push(Note::NoEndMarker);
            Ok(once)
        }
    }
}

/// The decoder takes Adobe's segment at its word where that makes no sense to it: three channels that are no YCbCr, or
/// a transform it does not know. There it must not see the segment.
fn with_plain_adobe<'a>(bytes: &'a [u8], frame: &Frame) -> Cow<'a, [u8]> {
    match frame.adobe {
        Some((transform, at)) if (frame.components == 3 && transform != 1) || transform > 2 => {
            let mut copy = bytes.to_vec();
            if let Some(initial) = copy.get_mut(at) {
                *initial = b'a';
            }
            Cow::Owned(copy)
        }
        _ => Cow::Borrowed(bytes),
    }
}

fn decode_samples(bytes: &[u8], header: &Header, frame: &Frame, strict: bool) -> Result<Raster, Error> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(decoder_error)?;
    let input = decoder.input_colorspace().unwrap_or(ColorSpace::YCbCr);
    let untransformed = frame.components == 3 && matches!(frame.adobe, Some((0, _)));
    // Asking for the colours that are stored gives them untouched.
    let output = match frame.components {
        1 => ColorSpace::Luma,
        4 => input,
        _ if untransformed => input,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(decoder.options().jpeg_set_out_colorspace(output));
    let channels = usize::from(frame.components);
    let facts = &header.facts;
    let length = area(facts.stored_width, facts.stored_height, channels)
        .filter(|length| decoder.output_buffer_size() == Some(*length))
        .ok_or_else(|| damaged("the decoder reads another size than the header says"))?;
    let mut samples = vec![0; length];
    decoder.decode_into(&mut samples).map_err(decoder_error)?;
    let samples = match frame.components {
        1 => Samples::Grey(samples),
        4 => {
            if input == ColorSpace::YCCK {
                ycck_to_ink(&mut samples);
            } else if frame.adobe.is_some() {
                // Adobe stores ink upside down: 255 is none.
                samples.iter_mut().for_each(|ink| *ink = 255 - *ink);
            }
            Samples::Ink(samples)
        }
        _ => Samples::Rgb(samples),
    };
    Ok(Raster { samples, alpha: None, notes: Vec::new() })
}

fn damaged(detail: &str) -> Error {
    Error::Damaged { format: NAME, detail: detail.to_owned() }
}

fn decoder_error(error: DecodeErrors) -> Error {
    match error {
        DecodeErrors::Unsupported(scheme) => Error::UnsupportedFormat { format: NAME, detail: format!(": {scheme:?}") },
        DecodeErrors::ExhaustedData | DecodeErrors::FormatStatic("Premature end of buffer") => {
            Error::Truncated { format: NAME, detail: "the coded picture stops early".to_owned() }
        }
        error => Error::Damaged { format: NAME, detail: error.to_string() },
    }
}
