//! What a file is, by its first bytes and its header. Must not decode pixels, nor trust a name.

use super::exif::{self, Directory};
use super::{Error, Facts, Format, formats, jpeg, png_file};

/// A header: the facts, and what the pixels will need.
pub(super) struct Header {
    pub(super) facts: Facts,
    /// The embedded ICC profile.
    pub(super) icc: Option<Vec<u8>>,
}

/// Reads a file's header: format, size, orientation, profile and the rest of [`Facts`], without decoding a pixel.
pub fn probe(bytes: &[u8]) -> Result<Facts, Error> {
    header(bytes).map(|header| header.facts)
}

pub(super) fn header(bytes: &[u8]) -> Result<Header, Error> {
    match sniff(bytes)? {
        Format::Jpeg => jpeg::header(bytes).map(|(header, _)| header),
        Format::Png => png_file::header(bytes),
        format => formats::header(format, bytes),
    }
}

/// Orientation and resolution of an EXIF block, as far as it has one.
pub(super) fn exif_facts(block: Option<&[u8]>) -> (u8, Option<(f32, f32)>) {
    match block.and_then(exif::first_directory) {
        Some(Directory { orientation, dpi, .. }) => (orientation, dpi),
        None => (1, None),
    }
}

/// The format, by content.
pub(super) fn sniff(bytes: &[u8]) -> Result<Format, Error> {
    if bytes.is_empty() {
        return Err(Error::ZeroBytes);
    }
    let starts = |with: &[u8]| bytes.starts_with(with);
    let at = |offset: usize, with: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(with));
    if starts(b"\xff\xd8\xff") {
        return Ok(Format::Jpeg);
    }
    if starts(b"\x89PNG\r\n\x1a\n") {
        return Ok(Format::Png);
    }
    if starts(b"RIFF") && at(8, b"WEBP") {
        return Ok(Format::WebP);
    }
    if starts(b"GIF87a") || starts(b"GIF89a") {
        return Ok(Format::Gif);
    }
    // "BM" alone is too little: the header's own length must be one of the known ones.
    if starts(b"BM") && matches!(bytes.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0])) {
        return Ok(Format::Bmp);
    }
    if starts(b"II*\0") || starts(b"MM\0*") {
        if at(8, b"CR\x02") {
            return Err(unsupported("cr2"));
        }
        return Ok(Format::Tiff);
    }
    Err(stranger(bytes))
}

fn unsupported(format: &'static str) -> Error {
    Error::UnsupportedFormat { format, detail: String::new() }
}

/// What the bytes are, now that they are nothing that is read here.
fn stranger(bytes: &[u8]) -> Error {
    const MAGICS: &[(usize, &[u8], &str)] = &[
        (0, b"8BPS", "psd"),
        (0, b"%PDF", "pdf"),
        (0, b"%!PS", "postscript"),
        (0, b"\xc5\xd0\xd3\xc6", "postscript"),
        (0, b"\xff\x0a", "jxl"),
        (0, b"\0\0\0\x0cJXL \r\n\x87\n", "jxl"),
        (0, b"\0\0\0\x0cjP  \r\n\x87\n", "jp2"),
        (0, b"\xff\x4f\xff\x51", "jp2"),
        (0, b"\0\0\x01\0", "ico"),
        (0, b"\0\0\x02\0", "ico"),
        (0, b"II+\0", "bigtiff"),
        (0, b"MM\0+", "bigtiff"),
        (0, b"II\xbc\x01", "jxr"),
        (0, b"\x76\x2f\x31\x01", "exr"),
        (0, b"DDS ", "dds"),
        (0, b"qoif", "qoi"),
        (0, b"#?RADIANCE", "hdr"),
        (0, b"P1\n", "pnm"),
        (0, b"P2\n", "pnm"),
        (0, b"P3\n", "pnm"),
        (0, b"P4\n", "pnm"),
        (0, b"P5\n", "pnm"),
        (0, b"P6\n", "pnm"),
        (0, b"P7\n", "pnm"),
        (0, b"gimp xcf", "xcf"),
        (0, b"FUJIFILMCCD-RAW", "raf"),
        (0, b"IIRO", "orf"),
        (0, b"IIU\0", "rw2"),
        (0, b"\xd7\xcd\xc6\x9a", "wmf"),
    ];
    for (offset, magic, format) in MAGICS {
        if bytes.get(*offset..).is_some_and(|rest| rest.starts_with(magic)) {
            return unsupported(format);
        }
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        match iso_brand(bytes) {
            Some(format) => return unsupported(format),
            None => return not_an_image(bytes, "it looks like a video"),
        }
    }
    // Text is judged without its byte-order mark and leading white space; enough of it for a comment before the tag.
    let text = String::from_utf8_lossy(bytes.get(..bytes.len().min(1024)).unwrap_or_default()).to_ascii_lowercase();
    let text = text.trim_start_matches('\u{feff}').trim_start();
    if text.starts_with("<svg") || (text.starts_with("<?xml") || text.starts_with("<!--")) && text.contains("<svg") {
        return unsupported("svg");
    }
    if text.starts_with("<!doctype html") || text.starts_with("<html") || text.contains("<html") {
        return not_an_image(bytes, "it looks like an HTML page");
    }
    if text.starts_with("<?xml") || text.starts_with("<error") {
        return not_an_image(bytes, "it looks like XML, perhaps a store's error message");
    }
    if text.starts_with('{') || text.starts_with('[') {
        return not_an_image(bytes, "it looks like JSON");
    }
    if text.starts_with("version https://git-lfs") {
        return not_an_image(bytes, "it is a Git LFS pointer");
    }
    if bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"\x1f\x8b") || bytes.starts_with(b"\x28\xb5\x2f\xfd") {
        return not_an_image(bytes, "it looks like an archive");
    }
    if bytes.iter().take(4096).all(|byte| *byte == 0) {
        return not_an_image(bytes, "it holds nothing but zeros: an upload or a disk went wrong");
    }
    not_an_image(bytes, "no known format")
}

/// The image format of an ISO media file, by its brands; `None` for videos.
fn iso_brand(bytes: &[u8]) -> Option<&'static str> {
    let length = bytes.get(..4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_be_bytes) as usize;
    let brands = bytes.get(8..length.clamp(12, 256).min(bytes.len())).unwrap_or_default();
    let has = |names: &[&[u8; 4]]| brands.chunks_exact(4).any(|brand| names.iter().any(|name| brand == *name));
    if has(&[b"avif", b"avis"]) {
        Some("avif")
    } else if has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]) {
        Some("heic")
    } else if has(&[b"crx "]) {
        Some("cr3")
    } else {
        None
    }
}

fn not_an_image(bytes: &[u8], looks_like: &'static str) -> Error {
    let first = bytes.get(..bytes.len().min(24)).unwrap_or_default();
    Error::NotAnImage { first_bytes: format!("\"{}\"", first.escape_ascii()), looks_like }
}
