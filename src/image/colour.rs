//! The file's own colours to sRGB. Must not know formats, only samples and profiles.

use super::decode::Samples;
use super::{Error, Note};
use moxcms::{ColorProfile, DataColorSpace, Layout, ProfileText, TransformOptions};

/// Steps a channel of the grid on which a profile is compared with sRGB.
const GRID: [u8; 5] = [0, 64, 128, 191, 255];

/// Converts samples to `… × 3` bytes sRGB; adds what was done to `notes`, and gives the profile's description.
pub(super) fn to_srgb(
    samples: Samples,
    icc: Option<&[u8]>,
    notes: &mut Vec<Note>,
) -> Result<(Vec<u8>, Option<String>), Error> {
    let Some(icc) = icc else { return Ok((plain(samples), None)) };
    let Ok(profile) = ColorProfile::new_from_slice(icc) else {
        notes.push(Note::ProfileUnreadable);
        return Ok((plain(samples), Some("unknown".to_owned())));
    };
    let description = Some(description(&profile));
    match converted(&samples, &profile) {
        Some(Conversion::Needless) => Ok((plain(samples), description)),
        Some(Conversion::Done(rgb)) => {
            notes.push(Note::ProfileConverted);
            Ok((rgb, description))
        }
        None => {
            notes.push(Note::ProfileUnreadable);
            Ok((plain(samples), description))
        }
    }
}

enum Conversion {
    /// The profile is sRGB, whatever it calls itself.
    Needless,
    Done(Vec<u8>),
}

/// `None` where the profile does not fit the samples or cannot be used.
fn converted(samples: &Samples, profile: &ColorProfile) -> Option<Conversion> {
    let widened;
    let (bytes, layout, channels) = match (samples, profile.color_space) {
        (Samples::Grey(grey), DataColorSpace::Gray) => (grey, Layout::Gray, 1),
        // Grey pictures often carry the RGB profile of the program that saved them.
        (Samples::Grey(grey), DataColorSpace::Rgb) => {
            widened = grey.iter().flat_map(|value| [*value; 3]).collect();
            (&widened, Layout::Rgb, 3)
        }
        (Samples::Rgb(rgb), DataColorSpace::Rgb) => (rgb, Layout::Rgb, 3),
        // The transform reads four channels as they come, by the profile's own colour space.
        (Samples::Ink(ink), DataColorSpace::Cmyk) => (ink, Layout::Rgba, 4),
        _ => return None,
    };
    let srgb = ColorProfile::new_srgb();
    let transform = profile.create_transform_8bit(layout, &srgb, Layout::Rgb, TransformOptions::default()).ok()?;
    let (sent, wanted): (Vec<u8>, Vec<u8>) = match layout {
        Layout::Gray => ((0..=255).collect(), (0..=255).flat_map(|value| [value; 3]).collect()),
        Layout::Rgb => {
            let blues = |red, green| GRID.map(|blue| [red, green, blue]);
            let grid: Vec<u8> =
                GRID.iter().flat_map(|red| GRID.map(|green| blues(*red, green))).flatten().flatten().collect();
            (grid.clone(), grid)
        }
        _ => (Vec::new(), Vec::new()),
    };
    let mut came = vec![0; wanted.len()];
    transform.transform(&sent, &mut came).ok()?;
    if !wanted.is_empty() && wanted.iter().zip(&came).all(|(wanted, came)| wanted.abs_diff(*came) <= 1) {
        return Some(Conversion::Needless);
    }
    let mut rgb = vec![0; bytes.len() / channels * 3];
    transform.transform(bytes, &mut rgb).ok()?;
    Some(Conversion::Done(rgb))
}

fn description(profile: &ColorProfile) -> String {
    let text = match &profile.description {
        Some(ProfileText::PlainString(text)) => text.clone(),
        Some(ProfileText::Localizable(texts)) => texts.first().map(|text| text.value.clone()).unwrap_or_default(),
        Some(ProfileText::Description(text)) => text.ascii_string.clone(),
        None => String::new(),
    };
    let text = text.trim_matches(|letter: char| letter.is_whitespace() || letter.is_control());
    if text.is_empty() { "unknown".to_owned() } else { text.to_owned() }
}

/// Without a profile: grey and RGB are taken for sRGB, ink by the plain formula (what is left of white by each ink,
/// times what black leaves), which is what browsers and viewers do.
fn plain(samples: Samples) -> Vec<u8> {
    match samples {
        Samples::Rgb(rgb) => rgb,
        Samples::Grey(grey) => {
            let mut rgb = vec![0; grey.len() * 3];
            for (pixel, value) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(&grey) {
                *pixel = [*value; 3];
            }
            rgb
        }
        Samples::Ink(ink) => {
            let (pixels, _) = ink.as_chunks::<4>();
            let mut rgb = vec![0; pixels.len() * 3];
            for (colour, [cyan, magenta, yellow, black]) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(pixels) {
                *colour = [cyan, magenta, yellow].map(|ink| product(255 - *ink, 255 - *black));
            }
            rgb
        }
    }
}

/// `a × b / 255`, rounded: exact for all bytes.
pub(super) fn product(a: u8, b: u8) -> u8 {
    let twice = u32::from(a) * u32::from(b) + 128;
    ((twice + (twice >> 8)) >> 8) as u8
}

/// Luma, two chromas and black as Adobe stores them, to ink coverage, in place. Adobe turns ink upside down before it
/// makes luma and chroma of it, so that what YCbCr gives as "red" is cyan ink itself.
pub(super) fn ycck_to_ink(samples: &mut [u8]) {
    for pixel in samples.as_chunks_mut::<4>().0 {
        let [luma, blue, red, black] = pixel.map(f32::from);
        let (blue, red) = (blue - 128.0, red - 128.0);
        let channel = |value: f32| (value + 0.5).clamp(0.0, 255.0) as u8;
        *pixel = [
            channel(luma + 1.402 * red),
            channel(luma - 0.344_136 * blue - 0.714_136 * red),
            channel(luma + 1.772 * blue),
            255 - black as u8,
        ];
    }
}

/// Premultiplied colours to straight ones, in place: what a TIFF calls associated alpha.
pub(super) fn make_straight(rgb: &mut [u8], alpha: &[u8]) {
    for (pixel, alpha) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(alpha) {
        let alpha = u32::from(*alpha);
        if alpha != 255 {
            *pixel =
                pixel.map(|value| (u32::from(value) * 255 + alpha / 2).checked_div(alpha).unwrap_or(0).min(255) as u8);
        }
    }
}

/// The picture over white, by its straight alpha.
pub(super) fn over_white(rgb: &[u8], alpha: &[u8]) -> Vec<u8> {
    let mut flat = vec![0; rgb.len()];
    let pixels = flat.as_chunks_mut::<3>().0.iter_mut().zip(rgb.as_chunks::<3>().0).zip(alpha);
    for ((flat, colour), alpha) in pixels {
        *flat = colour.map(|value| 255 - product(255 - value, *alpha));
    }
    flat
}
