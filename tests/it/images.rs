//! Image files in, pixels out: formats, damage, limits.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use image::{ExtendedColorType, ImageEncoder};
use selvedge::image::{Colour, DecodedImage, Error, Facts, Format, Limits, Note, SourceImage, decode, probe};
use selvedge::outcome::Reason;

/// A fixture's bytes.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/image/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

pub(crate) fn decoded_with(bytes: Vec<u8>, limits: &Limits) -> Result<DecodedImage, Error> {
    decode(&SourceImage { bytes: Bytes::from(bytes) }, limits)
}

pub(crate) fn decoded(bytes: Vec<u8>) -> Result<DecodedImage, Error> {
    decoded_with(bytes, &Limits::default())
}

pub(crate) fn pixel(image: &DecodedImage, x: u32, y: u32) -> [u8; 3] {
    let at = (y * image.width + x) as usize * 3;
    image.rgb[at..at + 3].try_into().unwrap()
}

/// The middles of the eight patches that the fixtures show.
pub(crate) fn patches(image: &DecodedImage) -> Vec<[u8; 3]> {
    assert_eq!((image.width, image.height), (64, 32));
    (0..8).map(|patch| pixel(image, patch % 4 * 16 + 8, patch / 4 * 16 + 8)).collect()
}

pub(crate) const PATCHES: [[u8; 3]; 8] = [
    [230, 30, 40],
    [40, 200, 60],
    [20, 40, 220],
    [255, 255, 255],
    [0, 0, 0],
    [128, 128, 128],
    [224, 172, 140],
    [20, 30, 70],
];

#[track_caller]
pub(crate) fn assert_near(found: &[[u8; 3]], wanted: &[[u8; 3]], tolerance: u8) {
    assert_eq!(found.len(), wanted.len());
    let near = |(one, other): (&[u8; 3], &[u8; 3])| one.iter().zip(other).all(|(a, b)| a.abs_diff(*b) <= tolerance);
    assert!(found.iter().zip(wanted).all(near), "{found:?}\nis not within {tolerance} of\n{wanted:?}");
}

/// Waves and noise, so that every part of the file matters: `width × height × 3`.
pub(crate) fn busy_picture(width: u32, height: u32) -> Vec<u8> {
    let mut state = 7_u32;
    let mut picture = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                picture.push(((x * 3 + y * 2 + channel * 40) % 200) as u8 + (state >> 27) as u8);
            }
        }
    }
    picture
}

pub(crate) fn jpeg(width: u32, height: u32, rgb: &[u8]) -> Vec<u8> {
    selvedge::image::encode::jpeg_rgb(width, height, rgb, 90, None).unwrap()
}

/// A JPEG with an EXIF block of one tag: the orientation, big-endian.
pub(crate) fn jpeg_with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    let mut exif = b"\xff\xe1\0\x22Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend_from_slice(&[orientation, 0, 0, 0, 0, 0, 0]);
    [&jpeg[..2], &exif, &jpeg[2..]].concat()
}

#[track_caller]
fn refused(bytes: Vec<u8>) -> (Reason, String) {
    let error = decoded(bytes).unwrap_err();
    (error.reason(), error.to_string())
}

#[test]
fn a_file_of_zero_bytes_is_refused() {
    assert_eq!(refused(Vec::new()).0, Reason::ZeroBytes);
    assert!(matches!(probe(b""), Err(Error::ZeroBytes)));
}

#[test]
fn a_truncated_jpeg_is_refused_wherever_it_is_cut() {
    let made = jpeg(640, 480, &busy_picture(640, 480));
    for (name, whole) in [
        ("made here", made),
        ("4:2:0", fixture("photo_420.jpg")),
        ("restarts", fixture("photo_restarts.jpg")),
        ("progressive", fixture("photo_progressive.jpg")),
        ("grey", fixture("grey.jpg")),
        ("ink", fixture("cmyk.jpg")),
    ] {
        assert!(decoded(whole.clone()).is_ok(), "{name}");
        // Down to a file that lacks little more than its end marker.
        let nearly = [whole.len() - 8, whole.len() - 16];
        for length in [30, 60, 90, 99].map(|share| whole.len() * share / 100).into_iter().chain(nearly) {
            if length < 20 || length + 3 > whole.len() {
                continue;
            }
            let reason = decoded(whole[..length].to_vec()).map(|_| ()).map_err(|error| error.reason());
            assert_eq!(reason, Err(Reason::Truncated), "{name}, {length} of {} bytes", whole.len());
        }
    }
}

#[test]
fn the_refusal_of_a_truncated_jpeg_says_how_much_of_it_is_there() {
    let whole = jpeg(640, 480, &busy_picture(640, 480));
    let (_, text) = refused(whole[..whole.len() * 60 / 100].to_vec());
    let percent: u32 = text.split(" rows, ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((55..=62).contains(&percent), "{text}");
}

#[test]
fn what_stands_behind_the_end_of_a_jpeg_does_not_matter() {
    let whole = fixture("photo_420.jpg");
    let plain = decoded(whole.clone()).unwrap();
    for tail in [vec![0; 4096], b"\r\n<html>".to_vec(), whole.clone()] {
        let image = decoded([whole.clone(), tail].concat()).unwrap();
        assert_eq!((&image.rgb, &image.notes), (&plain.rgb, &plain.notes));
    }
}

#[test]
fn a_jpeg_that_lacks_nothing_but_its_end_marker_is_read_with_a_note() {
    let whole = jpeg(320, 200, &busy_picture(320, 200));
    assert!(whole.ends_with(b"\xff\xd9"));
    let image = decoded(whole[..whole.len() - 2].to_vec()).unwrap();
    assert_eq!(image.notes, [Note::NoEndMarker]);
    assert_eq!(image.rgb, decoded(whole).unwrap().rgb);
}

#[test]
fn truncated_files_of_every_other_format_are_refused() {
    for name in ["palette_alpha.png", "grey_16.png", "still.webp", "still.gif", "still.bmp", "two_pages.tiff"] {
        let whole = fixture(name);
        assert!(decoded(whole.clone()).is_ok(), "{name}");
        let reason = decoded(whole[..whole.len() * 6 / 10].to_vec()).map(|_| ()).map_err(|error| error.reason());
        assert_eq!(reason, Err(Reason::Truncated), "{name}");
    }
}

#[test]
fn the_format_is_found_by_content() {
    for (name, format, colour) in [
        ("photo_420.jpg", Format::Jpeg, Colour::Rgb),
        ("two_pictures.mpo", Format::Jpeg, Colour::Rgb),
        ("cmyk.jpg", Format::Jpeg, Colour::Cmyk),
        ("grey.jpg", Format::Jpeg, Colour::Grey),
        ("palette.png", Format::Png, Colour::Palette),
        ("still.webp", Format::WebP, Colour::Rgb),
        ("still.gif", Format::Gif, Colour::Palette),
        ("still.bmp", Format::Bmp, Colour::Rgb),
        ("two_pages.tiff", Format::Tiff, Colour::Rgb),
        ("cmyk.tiff", Format::Tiff, Colour::Cmyk),
    ] {
        let facts = probe(&fixture(name)).unwrap();
        assert_eq!((facts.format, facts.colour), (format, colour), "{name}");
    }
}

#[test]
fn formats_that_are_not_read_are_named() {
    for (bytes, name) in [
        (fixture("stranger.avif"), "avif"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic....".to_vec(), "heic"),
        (b"8BPS\0\x01\0\0\0\0\0\0".to_vec(), "psd"),
        (b"%PDF-1.7\n".to_vec(), "pdf"),
        (b"\xff\x0a\0\0".to_vec(), "jxl"),
        (b"<?xml version=\"1.0\"?>\n<!-- drawn -->\n<svg xmlns=".to_vec(), "svg"),
        (b"\xef\xbb\xbf <svg width=\"1\">".to_vec(), "svg"),
        (b"\0\0\x01\0\x01\0".to_vec(), "ico"),
    ] {
        let (reason, text) = refused(bytes);
        assert_eq!(reason, Reason::UnsupportedFormat, "{name}");
        assert!(text.starts_with(name), "{text}");
    }
}

#[test]
fn pages_and_texts_under_an_image_name_are_no_image() {
    for (bytes, says) in [
        (b"<!DOCTYPE html><html><body>404".to_vec(), "HTML"),
        (b"\n  <HTML><head>".to_vec(), "HTML"),
        (b"<?xml version=\"1.0\"?><Error><Code>NoSuchKey</Code>".to_vec(), "XML"),
        (b"{\"message\": \"Forbidden\"}".to_vec(), "JSON"),
        (b"version https://git-lfs.github.com/spec/v1\n".to_vec(), "LFS"),
        (vec![0; 5000], "zeros"),
        (b"BM is how this text begins".to_vec(), "no known format"),
        (vec![0xff], "no known format"),
    ] {
        let (reason, text) = refused(bytes);
        assert_eq!(reason, Reason::NotAnImage);
        assert!(text.contains(says), "{text}");
    }
    let (_, text) = refused(b"<html>\x01\"quote\"".to_vec());
    assert!(text.contains("\"<html>\\x01\\\"quote\\\"\""), "the first bytes are shown, made harmless: {text}");
}

#[test]
fn adobe_ink_jpegs_are_not_inverted() {
    let plain: [[u8; 3]; 8] = [
        [255, 255, 255],
        [0, 255, 255],
        [255, 0, 255],
        [255, 255, 0],
        [0, 0, 0],
        [137, 190, 207],
        [245, 53, 72],
        [29, 40, 103],
    ];
    for name in ["cmyk.jpg", "ycck.jpg"] {
        let image = decoded(fixture(name)).unwrap();
        assert_near(&patches(&image), &plain, 3);
        assert_eq!(image.notes, [Note::CmykConverted], "{name}");
        assert_eq!(image.facts.profile, None);
    }
}

#[test]
fn ink_is_converted_by_its_own_profile() {
    let image = decoded(fixture("cmyk_profile.jpg")).unwrap();
    // LittleCMS 2, relative colorimetric, of the same file; the two interpolate differently between a table's steps.
    let press: [[u8; 3]; 8] = [
        [255, 255, 255],
        [0, 151, 218],
        [216, 12, 123],
        [247, 224, 0],
        [40, 40, 40],
        [146, 169, 189],
        [220, 88, 69],
        [54, 55, 78],
    ];
    assert_near(&patches(&image), &press, 4);
    assert_eq!(image.notes, [Note::CmykConverted, Note::ProfileConverted]);
    assert_eq!(image.facts.profile.as_deref(), Some("Small press"));
}

#[test]
fn ink_tiffs_are_converted() {
    let image = decoded(fixture("cmyk.tiff")).unwrap();
    assert_near(&patches(&image)[..5], &[[255; 3], [0, 255, 255], [255, 0, 255], [255, 255, 0], [0; 3]], 1);
    assert_eq!(image.notes, [Note::CmykConverted]);
}

#[test]
fn untransformed_rgb_jpegs_keep_their_colours() {
    let image = decoded(fixture("rgb_adobe.jpg")).unwrap();
    assert_near(&patches(&image), &PATCHES, 2);
    assert_eq!(image.notes, []);
}

#[test]
fn grey_depth_and_palette_become_eight_bit_rgb() {
    let grey = decoded(fixture("grey.jpg")).unwrap();
    assert_near(&patches(&grey), &[91, 136, 55, 255, 0, 128, 184, 32].map(|value| [value; 3]), 1);
    assert_eq!(grey.notes, [Note::Grey]);

    let deep = decoded(fixture("grey_16.png")).unwrap();
    // Rounded from the full range, not cut: of 0, 1, 127, 128 / 129, 32767, 32768, 65535.
    assert_eq!(patches(&deep), [0, 0, 0, 0, 1, 127, 128, 255].map(|value| [value; 3]));
    assert_eq!((deep.notes.as_slice(), deep.facts.bits), ([Note::Grey, Note::SixteenBit].as_slice(), 16));

    let palette = decoded(fixture("palette.png")).unwrap();
    assert_eq!(patches(&palette), PATCHES);
    assert_eq!((palette.notes.as_slice(), palette.alpha.is_none()), ([Note::Palette].as_slice(), true));
}

#[test]
fn transparent_pixels_are_shown_over_white_and_keep_their_own_colour() {
    let image = decoded(fixture("palette_alpha.png")).unwrap();
    let mut over_white = PATCHES;
    over_white[0] = [255; 3];
    over_white[1] = [147, 227, 157];
    assert_near(&patches(&image), &over_white, 1);
    assert_eq!(image.notes, [Note::Palette, Note::HadAlpha]);
    let (alpha, straight) = (image.alpha.as_ref().unwrap(), image.straight_rgb.as_ref().unwrap());
    assert_eq!([alpha[8 * 64 + 8], alpha[8 * 64 + 24], alpha[8 * 64 + 40]], [0, 128, 255]);
    assert_eq!(straight[(8 * 64 + 24) * 3..][..3], PATCHES[1]);

    let keyed = decoded(fixture("colour_key.png")).unwrap();
    assert_eq!(pixel(&keyed, 24, 8), [255; 3]);
    assert_eq!(pixel(&keyed, 8, 8), PATCHES[0]);

    let grey = decoded(fixture("grey_alpha.png")).unwrap();
    let alpha = grey.alpha.as_ref().unwrap();
    assert_eq!([0, 8, 24, 63].map(|x| alpha[8 * 64 + x]), [0, 32, 97, 255]);
    assert_eq!(grey.notes, [Note::Grey, Note::HadAlpha]);
}

#[test]
fn an_alpha_channel_that_hides_nothing_is_dropped() {
    let mut file = Vec::new();
    let opaque = [10, 20, 30, 255].repeat(64 * 64);
    image::codecs::png::PngEncoder::new(&mut file).write_image(&opaque, 64, 64, ExtendedColorType::Rgba8).unwrap();
    let image = decoded(file).unwrap();
    assert_eq!((image.alpha, image.straight_rgb, image.notes), (None, None, vec![]));
    assert_eq!(image.rgb, [10, 20, 30].repeat(64 * 64));
}

#[test]
fn a_bomb_is_refused_by_its_header() {
    let mut png = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |name: &[u8], body: &[u8]| {
        let mut checksum = flate2::Crc::new();
        checksum.update(name);
        checksum.update(body);
        png.extend_from_slice(&(body.len() as u32).to_be_bytes());
        png.extend_from_slice(name);
        png.extend_from_slice(body);
        png.extend_from_slice(&checksum.sum().to_be_bytes());
    };
    chunk(
        b"IHDR",
        &[[0, 0, 0xea, 0x60], [0, 0, 0xea, 0x60], [8, 2, 0, 0]].concat().iter().copied().chain([0]).collect::<Vec<_>>(),
    );
    chunk(b"IDAT", &[0x78, 0x9c, 0x63, 0, 0]);
    chunk(b"IEND", &[]);
    let error = decoded(png).unwrap_err();
    assert!(matches!(error, Error::TooLarge { found: 3_600_000_000, unit: "pixels", .. }), "{error}");
    assert_eq!(error.reason(), Reason::TooLarge);

    let mut jpeg = jpeg(64, 64, &busy_picture(64, 64));
    let frame = jpeg.windows(2).position(|pair| pair == b"\xff\xc0").unwrap();
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xff, 0xff, 0xff]);
    assert_eq!(refused(jpeg).0, Reason::TooLarge);
}

#[test]
fn limits_hold_to_the_pixel_and_to_the_byte() {
    let file = jpeg(100, 50, &busy_picture(100, 50));
    let length = file.len() as u64;
    let limits = |max_pixels, max_bytes| Limits { max_pixels, max_bytes, apply_orientation: true };
    assert!(decoded_with(file.clone(), &limits(5000, length)).is_ok());
    for (limits, unit_of) in [(limits(4999, length), "pixels"), (limits(5000, length - 1), "bytes")] {
        let error = decoded_with(file.clone(), &limits).unwrap_err();
        assert!(matches!(error, Error::TooLarge { unit, .. } if unit == unit_of), "{error}");
    }
}

#[test]
fn tiny_and_very_long_pictures_are_read_and_noted() {
    for (width, height, notes) in [
        (1, 1, vec![Note::Tiny]),
        (31, 31, vec![Note::Tiny]),
        (32, 32, vec![]),
        (1, 5000, vec![Note::Tiny, Note::ExtremeAspect]),
        (256, 32, vec![]),
        (257, 32, vec![Note::ExtremeAspect]),
    ] {
        let image = decoded(jpeg(width, height, &busy_picture(width, height))).unwrap();
        assert_eq!((image.width, image.height, image.notes), (width, height, notes));
    }
}

#[test]
fn of_several_frames_the_first_is_read() {
    for (name, tolerance) in
        [("animated.png", 0), ("animated.webp", 0), ("animated.gif", 0), ("two_pages.tiff", 0), ("two_pictures.mpo", 3)]
    {
        let image = decoded(fixture(name)).unwrap();
        assert_near(&patches(&image), &PATCHES, tolerance);
        assert!(image.notes.contains(&Note::MultiFrame), "{name}");
        assert!(probe(&fixture(name)).unwrap().frames_more_than_one, "{name}");
    }
    for name in ["still.gif", "still.webp", "still.bmp", "palette.png", "photo_420.jpg"] {
        assert!(!decoded(fixture(name)).unwrap().notes.contains(&Note::MultiFrame), "{name}");
    }
}

#[test]
fn progressive_and_restarted_jpegs_are_read() {
    // Pillow's (libjpeg-turbo's) pixels; decoders may differ by a few levels.
    let wanted = [[130, 120, 93], [51, 105, 115], [93, 97, 144], [114, 91, 83]];
    for name in ["photo_420.jpg", "photo_progressive.jpg", "photo_restarts.jpg"] {
        let image = decoded(fixture(name)).unwrap();
        let found = [(0, 0), (80, 60), (159, 119), (31, 100)].map(|(x, y)| pixel(&image, x, y));
        assert_near(&found, &wanted, 4);
        assert_eq!(image.notes, [], "{name}");
    }
}

#[test]
fn jpeg_forms_that_are_not_read_are_named() {
    let baseline = jpeg(64, 64, &busy_picture(64, 64));
    let frame = baseline.windows(2).position(|pair| pair == b"\xff\xc0").unwrap();
    for (offset, value, name) in [
        (1, 0xc9, "jpeg_arithmetic"),
        (1, 0xc3, "jpeg_lossless"),
        (1, 0xc5, "jpeg_hierarchical"),
        (4, 12, "jpeg_12_bit"),
    ] {
        let mut file = baseline.clone();
        file[frame + offset] = value;
        assert!(matches!(probe(&file), Err(Error::UnsupportedFormat { format, .. }) if format == name));
        let (reason, text) = refused(file);
        assert_eq!(reason, Reason::UnsupportedFormat);
        assert!(text.starts_with(name), "{text}");
    }
}

#[test]
fn a_preview_is_not_taken_for_the_picture_of_a_raw_file() {
    let mut raw = fixture("two_pages.tiff");
    let directory = u32::from_le_bytes(raw[4..8].try_into().unwrap()) as usize;
    // The first tag becomes NewSubfileType = 1: a reduced copy.
    raw[directory + 2..directory + 14].copy_from_slice(&[0xfe, 0, 4, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
    assert!(matches!(decoded(raw), Err(Error::UnsupportedFormat { format: "raw", .. })));
}

#[test]
fn damage_anywhere_gives_pixels_or_an_error_and_never_a_panic() {
    let names = [
        "photo_420.jpg",
        "photo_progressive.jpg",
        "photo_restarts.jpg",
        "cmyk_profile.jpg",
        "ycck.jpg",
        "display_p3.png",
        "palette_alpha.png",
        "animated.png",
        "animated.webp",
        "animated.gif",
        "still.bmp",
        "two_pages.tiff",
        "cmyk.tiff",
    ];
    let mut state = 99_u32;
    let mut next = |below: usize| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as usize % below
    };
    // Small limits, so that a damaged size field costs nothing.
    let limits = Limits { max_pixels: 1 << 20, ..Limits::default() };
    for name in names {
        let whole = fixture(name);
        for _ in 0..60 {
            let mut file = whole.clone();
            for _ in 0..=next(4) {
                let at = next(file.len());
                file[at] = next(256) as u8;
            }
            if let Err(error) = decoded_with(file, &limits) {
                // A decoder's own panic is caught and named; it may not come out, and is no damage to others.
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn resolution_is_read_where_it_is_given() {
    let facts = |name: &str| -> Facts { probe(&fixture(name)).unwrap() };
    let near = |found: Option<(f32, f32)>, wanted: f32| {
        let (x, y) = found.unwrap();
        (x - wanted).abs() < 0.1 && (y - wanted).abs() < 0.1
    };
    assert!(near(facts("two_pages.tiff").dpi, 300.0));
    assert!(near(facts("still.bmp").dpi, 150.0));
    assert_eq!(facts("photo_420.jpg").dpi, None);
    let rgb = busy_picture(40, 40);
    let png = selvedge::image::encode::png_rgb(40, 40, &rgb, Some((72.0, 72.0))).unwrap();
    assert!(near(probe(&png).unwrap().dpi, 72.0));
    let jpeg = selvedge::image::encode::jpeg_rgb(40, 40, &rgb, 80, Some((240.0, 240.0))).unwrap();
    assert!(near(probe(&jpeg).unwrap().dpi, 240.0));
}

#[test]
fn every_note_and_format_has_its_own_word() {
    let codes: std::collections::BTreeSet<_> = Note::ALL.iter().map(|note| note.code()).collect();
    assert_eq!(codes.len(), Note::ALL.len());
}
