//! TIFF bytes. Must not know what they show.
//!
//! Deflate over differences from the pixel to the left: on cutouts a quarter of the time of LZW for a sixth more bytes.

use super::super::Error;
use super::{Pixels, whole_dpi};
use ::tiff::TiffError;
use ::tiff::encoder::colortype::{ColorType, Gray8, RGB8, RGBA8};
use ::tiff::encoder::{Compression, DeflateLevel, Rational, TiffEncoder};
use ::tiff::tags::{ExtraSamples, Predictor, ResolutionUnit, Tag};
use std::io::Cursor;

/// Encodes as TIFF of one page, 8 bits a channel, deflated. A fourth channel is marked as unassociated alpha: the colours
/// under it are whole. `dpi` is rounded to whole dots.
pub fn tiff(width: u32, height: u32, pixels: Pixels<'_>, dpi: Option<(f32, f32)>) -> Result<Vec<u8>, Error> {
    pixels.expect("picture for TIFF", width, height)?;
    let dpi = whole_dpi(dpi);
    match pixels {
        Pixels::Grey(plane) => written::<Gray8>(width, height, plane, false, dpi),
        Pixels::Rgb(rgb) => written::<RGB8>(width, height, rgb, false, dpi),
        Pixels::Rgba(rgba) => written::<RGBA8>(width, height, rgba, true, dpi),
    }
    .map_err(|error| Error::Encode { format: "TIFF", detail: error.to_string() })
}

fn written<C: ColorType<Inner = u8>>(
    width: u32,
    height: u32,
    bytes: &[u8],
    alpha: bool,
    dpi: Option<(u16, u16)>,
) -> Result<Vec<u8>, TiffError> {
    let mut file = Cursor::new(Vec::with_capacity(bytes.len() / 4 + 1024));
    let mut encoder = TiffEncoder::new(&mut file)?
        .with_compression(Compression::Deflate(DeflateLevel::Fast))
        .with_predictor(Predictor::Horizontal);
    let mut image = encoder.new_image::<C>(width, height)?;
    if alpha {
        // By its tag: the encoder's own setter is for channels beyond the colour type's.
        image.encoder().write_tag(Tag::ExtraSamples, &[ExtraSamples::UnassociatedAlpha.to_u16()][..])?;
    }
    if let Some((x, y)) = dpi {
        image.resolution_unit(ResolutionUnit::Inch);
        image.x_resolution(Rational { n: u32::from(x), d: 1 });
        image.y_resolution(Rational { n: u32::from(y), d: 1 });
    }
    image.write_data(bytes)?;
    Ok(file.into_inner())
}
