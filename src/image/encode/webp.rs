//! WebP bytes. Must not know what they show. WebP has no field for resolution, so that none is written.

use super::super::Error;
use super::Pixels;
use ::webp::{Encoder, WebPConfig};
use image::ExtendedColorType;
use image::codecs::webp::WebPEncoder;

/// Most pixels a side.
const MOST: u32 = 16_383;
/// How hard the lossy encoder tries, 0..=6. On cutouts 2 is as fast as 0 and half its size; 4 takes twice the time for 4 %.
const EFFORT: i32 = 2;

/// Encodes as lossless WebP: every pixel comes back as it was. At most 16 383 pixels a side.
pub fn webp_lossless(width: u32, height: u32, pixels: Pixels<'_>) -> Result<Vec<u8>, Error> {
    expect(width, height, pixels)?;
    let kind = match pixels {
        Pixels::Grey(_) => ExtendedColorType::L8,
        Pixels::Rgb(_) => ExtendedColorType::Rgb8,
        Pixels::Rgba(_) => ExtendedColorType::Rgba8,
    };
    let mut file = Vec::with_capacity(pixels.bytes().len() / 4 + 1024);
    WebPEncoder::new_lossless(&mut file)
        .encode(pixels.bytes(), width, height, kind)
        .map_err(|error| Error::Encode { format: "WebP", detail: error.to_string() })?;
    Ok(file)
}

/// Encodes as lossy WebP of `quality` 1..=100, with half the chroma each way, as the format has it; alpha is kept exactly.
/// At most 16 383 pixels a side.
pub fn webp_lossy(width: u32, height: u32, pixels: Pixels<'_>, quality: u8) -> Result<Vec<u8>, Error> {
    expect(width, height, pixels)?;
    let failed = |detail: String| Error::Encode { format: "WebP", detail };
    let mut config = WebPConfig::new().map_err(|()| failed("the encoder has no settings".to_owned()))?;
    config.quality = f32::from(quality.clamp(1, 100));
    config.method = EFFORT;
    config.thread_level = 0;
    let widened: Vec<u8>;
    let encoder = match pixels {
        Pixels::Grey(plane) => {
            widened = plane.iter().flat_map(|value| [*value; 3]).collect();
            Encoder::from_rgb(&widened, width, height)
        }
        Pixels::Rgb(rgb) => Encoder::from_rgb(rgb, width, height),
        Pixels::Rgba(rgba) => Encoder::from_rgba(rgba, width, height),
    };
    let file = encoder.encode_advanced(&config).map_err(|error| failed(format!("{error:?}")))?;
    Ok(file.to_vec())
}

fn expect(width: u32, height: u32, pixels: Pixels<'_>) -> Result<(), Error> {
    pixels.expect("picture for WebP", width, height)?;
    if (1..=MOST).contains(&width) && (1..=MOST).contains(&height) {
        return Ok(());
    }
    Err(Error::Encode { format: "WebP", detail: format!("{width} × {height} pixels, and a side has 1 to {MOST}") })
}
