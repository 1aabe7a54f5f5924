//! Colour and form of files that other tools get wrong without a word.
#![allow(clippy::unwrap_used)]

use crate::images::{PATCHES, assert_near, decoded, fixture, patches};
use selvedge::image::{Colour, Error, Note, probe};
use selvedge::outcome::Reason;
use std::io::Cursor;
use tiff::encoder::colortype::{CMYK8, ColorType, RGB16, RGBA8};
use tiff::encoder::{Compression, DeflateLevel, TiffEncoder};
use tiff::tags::Tag;

/// Ink of the eight patches of `cmyk_profile.*`, and what LittleCMS 2 makes of it by their profile.
const INK: [[u8; 4]; 8] = [
    [0, 0, 0, 0],
    [255, 0, 0, 0],
    [0, 255, 0, 0],
    [0, 0, 255, 0],
    [0, 0, 0, 255],
    [100, 40, 20, 30],
    [0, 200, 180, 10],
    [200, 180, 60, 120],
];
const PRESS: [[u8; 3]; 8] = [
    [255, 255, 255],
    [0, 151, 218],
    [216, 12, 123],
    [247, 224, 0],
    [40, 40, 40],
    [146, 169, 189],
    [220, 88, 69],
    [54, 55, 78],
];

/// A picture of the eight patches, `channels` values a pixel.
fn patched<T: Copy, const N: usize>(colours: [[T; N]; 8]) -> Vec<T> {
    (0..64 * 32).flat_map(|at| colours[at / 64 / 16 * 4 + at % 64 / 16]).collect()
}

fn tiff<C: ColorType>(values: &[C::Inner], tags: &[(Tag, TagValue<'_>)]) -> Vec<u8>
where
    [C::Inner]: tiff::encoder::TiffValue,
{
    let mut file = Cursor::new(Vec::new());
    let mut encoder = TiffEncoder::new(&mut file).unwrap().with_compression(Compression::Deflate(DeflateLevel::Fast));
    let mut image = encoder.new_image::<C>(64, 32).unwrap();
    for (tag, value) in tags {
        match value {
            TagValue::Bytes(bytes) => image.encoder().write_tag(*tag, *bytes).unwrap(),
            TagValue::Shorts(shorts) => image.encoder().write_tag(*tag, *shorts).unwrap(),
        }
    }
    image.write_data(values).unwrap();
    file.into_inner()
}

enum TagValue<'a> {
    Bytes(&'a [u8]),
    Shorts(&'a [u16]),
}

#[test]
fn an_ink_tiff_is_converted_by_its_own_profile() {
    let image = decoded(fixture("cmyk_profile.tiff")).unwrap();
    assert_near(&patches(&image), &PRESS, 4);
    assert_eq!(image.notes, [Note::CmykConverted, Note::ProfileConverted]);
    assert_eq!(image.facts.profile.as_deref(), Some("Small press"));
}

#[test]
fn a_press_profile_of_more_than_a_megabyte_is_used() {
    // The profile's bytes, out of the JPEG that carries the same one, with a tail as long as large tables are.
    let jpeg = fixture("cmyk_profile.jpg");
    let at = jpeg.windows(12).position(|bytes| bytes == b"ICC_PROFILE\0").unwrap();
    let length = usize::from(u16::from_be_bytes([jpeg[at - 2], jpeg[at - 1]]));
    let mut profile = jpeg[at + 14..at - 2 + length].to_vec();
    profile.resize(1_500_000, 0);
    let size = u32::try_from(profile.len()).unwrap().to_be_bytes();
    profile[..4].copy_from_slice(&size);
    let file = tiff::<CMYK8>(&patched(INK), &[(Tag::IccProfile, TagValue::Bytes(&profile))]);
    let image = decoded(file).unwrap();
    assert_near(&patches(&image), &PRESS, 4);
    assert!(image.notes.contains(&Note::ProfileConverted), "{:?}", image.notes);
}

#[test]
fn a_cut_ink_tiff_is_refused_or_its_lost_profile_noted() {
    let whole = fixture("cmyk_profile.tiff");
    // The picture comes first, the profile last: without it the ink cannot be shown as it was meant, and that is said.
    let image = decoded(whole[..whole.len() * 90 / 100].to_vec()).unwrap();
    assert_eq!(image.notes, [Note::CmykConverted, Note::ProfileUnreadable]);
    let at = whole.len() * 10 / 100;
    let refused = decoded(whole[..at].to_vec()).map(|_| ()).map_err(|error| error.reason());
    assert_eq!(refused, Err(Reason::Truncated));
}

#[test]
fn premultiplied_tiffs_keep_the_colour_under_their_alpha() {
    let whole: [[u8; 4]; 8] = PATCHES.map(|[red, green, blue]| [red, green, blue, 128]);
    let multiplied = whole.map(|[red, green, blue, alpha]| {
        let times = |value: u8| ((u32::from(value) * 128 + 127) / 255) as u8;
        [times(red), times(green), times(blue), alpha]
    });
    for (kind, stored) in [(2_u16, whole), (1, multiplied)] {
        let file = tiff::<RGBA8>(&patched(stored), &[(Tag::ExtraSamples, TagValue::Shorts(&[kind]))]);
        let image = decoded(file).unwrap();
        let straight: Vec<[u8; 3]> = (0..8)
            .map(|patch| ((patch / 4 * 16 + 8) * 64 + patch % 4 * 16 + 8) * 3)
            .map(|at| image.straight_rgb.as_ref().unwrap()[at..at + 3].try_into().unwrap())
            .collect();
        assert_near(&straight, &PATCHES, if kind == 1 { 1 } else { 0 });
        assert!(image.alpha.unwrap().iter().all(|alpha| *alpha == 128));
    }
}

#[test]
fn sixteen_bits_of_colour_are_rounded_to_eight() {
    let deep: [[u16; 3]; 8] = PATCHES.map(|colour| colour.map(|value| u16::from(value) * 257));
    let image = decoded(tiff::<RGB16>(&patched(deep), &[])).unwrap();
    assert_eq!((patches(&image), image.notes, image.facts.bits), (PATCHES.to_vec(), vec![Note::SixteenBit], 16));

    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 64, 32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Sixteen);
    let bytes: Vec<u8> = patched(deep).into_iter().flat_map(u16::to_be_bytes).collect();
    encoder.write_header().unwrap().write_image_data(&bytes).unwrap();
    let image = decoded(file).unwrap();
    assert_eq!((patches(&image), image.notes, image.facts.bits), (PATCHES.to_vec(), vec![Note::SixteenBit], 16));
}

#[test]
fn one_bit_is_black_and_white() {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 64, 32);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    encoder.write_header().unwrap().write_image_data(&[0xff, 0xff, 0, 0, 0xff, 0xff, 0, 0].repeat(32)).unwrap();
    let image = decoded(file).unwrap();
    assert_eq!(patches(&image), [[255; 3], [0; 3], [255; 3], [0; 3]].repeat(2));
    assert_eq!((image.notes, image.facts.colour), (vec![Note::Grey], Colour::Grey));
}

#[test]
fn a_jpeg_in_separate_scans_is_refused_by_name() {
    // The decoder would draw another picture of these, and say nothing.
    for name in ["separate_scans_420.jpg", "separate_scans_422.jpg"] {
        for refused in [decoded(fixture(name)).map(|_| ()), probe(&fixture(name)).map(|_| ())] {
            assert!(
                matches!(refused, Err(Error::UnsupportedFormat { format: "jpeg_separate_scans", .. })),
                "{refused:?}"
            );
        }
    }
    // All channels of one size: nothing to get wrong.
    let image = decoded(fixture("separate_scans_444.jpg")).unwrap();
    assert_near(&patches(&image), &PATCHES, 3);
}
