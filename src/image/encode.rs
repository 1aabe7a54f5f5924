//! Pixels to PNG and JPEG bytes. Must not know what they show or where they go.
//!
//! PNG is written with the fast deflate made for it and the filter that is best per row by the cheap measure: on photos
//! some 35 times faster than the usual level 6, for a fifth more bytes. The same pixels give the same bytes.

use super::error::area;
use super::{Cutout, Error};
use image::codecs::jpeg::{JpegEncoder, PixelDensity};
use png::{BitDepth, ColorType, Compression, Encoder, Filter, PixelDimensions, SrgbRenderingIntent, Unit};

/// Encodes a cutout as RGBA PNG: 8 bits, straight alpha, marked as sRGB; `dpi` is dots per inch (horizontal, vertical).
pub fn png_rgba(cutout: &Cutout, dpi: Option<(f32, f32)>) -> Result<Vec<u8>, Error> {
    png(cutout.width, cutout.height, &cutout.rgba, ColorType::Rgba, dpi)
}

/// Encodes `height × width × 3` bytes as RGB PNG, marked as sRGB.
pub fn png_rgb(width: u32, height: u32, rgb: &[u8], dpi: Option<(f32, f32)>) -> Result<Vec<u8>, Error> {
    png(width, height, rgb, ColorType::Rgb, dpi)
}

/// Encodes `height × width` bytes as grey PNG: mattes (0..=255). It is not marked as sRGB, since its values are no colours.
pub fn png_grey(width: u32, height: u32, plane: &[u8]) -> Result<Vec<u8>, Error> {
    png(width, height, plane, ColorType::Grayscale, None)
}

/// Encodes a class map, `height × width` bytes, as grey PNG whose values are the classes. Its rows are nearly alike, so that
/// each is stored as its difference from the row above: eleven times as fast as choosing by row, for 6 % more bytes.
pub fn png_class_map(width: u32, height: u32, map: &[u8]) -> Result<Vec<u8>, Error> {
    png_filtered(width, height, map, ColorType::Grayscale, None, Filter::Up)
}

fn png(width: u32, height: u32, bytes: &[u8], colour: ColorType, dpi: Option<(f32, f32)>) -> Result<Vec<u8>, Error> {
    png_filtered(width, height, bytes, colour, dpi, Filter::Adaptive)
}

fn png_filtered(
    width: u32,
    height: u32,
    bytes: &[u8],
    colour: ColorType,
    dpi: Option<(f32, f32)>,
    filter: Filter,
) -> Result<Vec<u8>, Error> {
    Error::expect_len("picture for PNG", bytes.len(), area(width, height, colour.samples()))?;
    let failed = |error: png::EncodingError| Error::Encode { format: "PNG", detail: error.to_string() };
    // Half a byte a value is about what photos come to: one growth at most.
    let mut file = Vec::with_capacity(bytes.len() / 2 + 1024);
    let mut encoder = Encoder::new(&mut file, width, height);
    encoder.set_color(colour);
    encoder.set_depth(BitDepth::Eight);
    encoder.set_compression(Compression::Fast);
    encoder.set_filter(filter);
    if colour != ColorType::Grayscale {
        encoder.set_source_srgb(SrgbRenderingIntent::Perceptual);
    }
    encoder.set_pixel_dims(dpi.and_then(pixels_per_metre));
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(bytes).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(file)
}

fn pixels_per_metre((x, y): (f32, f32)) -> Option<PixelDimensions> {
    let metric = |dpi: f32| {
        let value = (f64::from(dpi) / 0.0254).round();
        (value >= 1.0 && value <= f64::from(i32::MAX)).then_some(value as u32)
    };
    Some(PixelDimensions { xppu: metric(x)?, yppu: metric(y)?, unit: Unit::Meter })
}

/// Encodes `height × width × 3` bytes as JPEG of `quality` 1..=100, without chroma subsampling (garment edges and
/// saturated cloth stay sharp); a JPEG without a profile is sRGB by custom. At most 65 535 pixels a side.
pub fn jpeg_rgb(width: u32, height: u32, rgb: &[u8], quality: u8, dpi: Option<(f32, f32)>) -> Result<Vec<u8>, Error> {
    Error::expect_len("picture for JPEG", rgb.len(), area(width, height, 3))?;
    let mut file = Vec::with_capacity(rgb.len() / 8 + 1024);
    let mut encoder = JpegEncoder::new_with_quality(&mut file, quality.clamp(1, 100));
    if let Some((x, _)) = dpi.filter(|(x, _)| *x >= 1.0 && *x <= f32::from(u16::MAX)) {
        encoder.set_pixel_density(PixelDensity::dpi(x.round() as u16));
    }
    encoder
        .encode(rgb, width, height, image::ExtendedColorType::Rgb8)
        .map_err(|error| Error::Encode { format: "JPEG", detail: error.to_string() })?;
    Ok(file)
}
