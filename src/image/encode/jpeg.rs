//! JPEG bytes: baseline, JFIF. Must not know what they show.
//!
//! Of the encoders that build without a C toolchain of their own, the one taken writes the same bytes as libjpeg-turbo
//! itself and needs a third of the time of the next best (3 megapixels at quality 90: 12 ms against 31 and 71).

use super::super::Error;
use super::{Pixels, whole_dpi};
use libjpeg_turbo_rs::{Encoder, PixelFormat, Subsampling};

/// From this quality on chroma is kept at full size.
const FULL_CHROMA_FROM: u8 = 90;
/// Where JFIF's header, always the first segment, holds unit and density.
const DENSITY: std::ops::Range<usize> = 13..18;

/// Encodes `height × width × 3` bytes as JPEG of `quality` 1..=100. From quality 90 on without chroma subsampling (garment
/// edges and saturated cloth stay sharp), below with half the chroma each way. A JPEG without a profile is sRGB by custom.
/// At most 65 535 pixels a side; `dpi` is rounded to whole dots.
pub fn jpeg_rgb(width: u32, height: u32, rgb: &[u8], quality: u8, dpi: Option<(f32, f32)>) -> Result<Vec<u8>, Error> {
    let chroma = if quality >= FULL_CHROMA_FROM { Subsampling::S444 } else { Subsampling::S420 };
    jpeg(width, height, Pixels::Rgb(rgb), quality, chroma, dpi)
}

/// Encodes `height × width` bytes as grey JPEG, as [`jpeg_rgb`] does.
pub fn jpeg_grey(
    width: u32,
    height: u32,
    plane: &[u8],
    quality: u8,
    dpi: Option<(f32, f32)>,
) -> Result<Vec<u8>, Error> {
    jpeg(width, height, Pixels::Grey(plane), quality, Subsampling::S444, dpi)
}

fn jpeg(
    width: u32,
    height: u32,
    pixels: Pixels<'_>,
    quality: u8,
    chroma: Subsampling,
    dpi: Option<(f32, f32)>,
) -> Result<Vec<u8>, Error> {
    pixels.expect("picture for JPEG", width, height)?;
    let failed = |detail: String| Error::Encode { format: "JPEG", detail };
    let most = u32::from(u16::MAX);
    if !(1..=most).contains(&width) || !(1..=most).contains(&height) {
        return Err(failed(format!("{width} × {height} pixels, and a side has 1 to {most}")));
    }
    let format = if matches!(pixels, Pixels::Grey(_)) { PixelFormat::Grayscale } else { PixelFormat::Rgb };
    let mut file = Encoder::new(pixels.bytes(), width as usize, height as usize, format)
        .quality(quality.clamp(1, 100))
        .subsampling(chroma)
        // The coarsest tables would need 16 bits, which baseline readers do not know.
        .force_baseline(true)
        .encode()
        .map_err(|error| failed(error.to_string()))?;
    if let Some((x, y)) = whole_dpi(dpi) {
        if file.get(6..11) != Some(b"JFIF\0") {
            return Err(failed("no JFIF header to write the resolution to".to_owned()));
        }
        if let Some(density) = file.get_mut(DENSITY) {
            let ([x_high, x_low], [y_high, y_low]) = (x.to_be_bytes(), y.to_be_bytes());
            density.copy_from_slice(&[1, x_high, x_low, y_high, y_low]);
        }
    }
    Ok(file)
}
