//! A batch as a person can look at it. Must not know how its samples were made.

use super::sample::SampleSettings;
use crate::image::raster::{overlay, palette};
use crate::image::{Error, encode};

/// A picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height × width × 3` bytes, row-major, sRGB.
    pub rgb: Vec<u8>,
}

impl Picture {
    /// The picture as a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, Error> {
        encode::png_rgb(self.width, self.height, &self.rgb, None)
    }
}

/// Shows the samples of a batch in rows: each as the network sees it, colours as they were before they were normalised, and
/// right of it the same under its label (void and padding white). `images` and `labels` hold one sample after another, as
/// [`sample`](super::sample::sample()) writes them.
pub fn picture(settings: &SampleSettings, images: &[f32], labels: &[u8]) -> Result<Picture, Error> {
    let (values, pixels) = settings.lengths();
    let count = labels.len().checked_div(pixels).unwrap_or(0);
    if count == 0 || labels.len() != count * pixels || images.len() != count * values {
        let detail = format!("{} values and {} labels for crops of {pixels} pixels", images.len(), labels.len());
        return Err(Error::Shape { what: "batch to show", detail });
    }
    let side_by_side = count.isqrt().max(1);
    let rows = count.div_ceil(side_by_side);
    let (height, width) = (settings.crop.0 as usize, settings.crop.1 as usize);
    let (row, wanted) = (side_by_side * 2 * width, rows * height);
    let sides = (u32::try_from(row), u32::try_from(wanted));
    let (Ok(picture_width), Ok(picture_height)) = sides else {
        return Err(Error::Shape { what: "batch to show", detail: format!("{row} × {wanted} pixels") });
    };
    let mut rgb = vec![0_u8; row * wanted * 3];
    let known = labels.iter().filter(|label| **label != super::sample::IGNORED).max().map_or(0, |label| *label);
    let colours = palette(usize::from(known) + 1);
    for (index, (image, label)) in images.chunks_exact(values).zip(labels.chunks_exact(pixels)).enumerate() {
        let plain = shown(settings, image, pixels);
        let mut labelled = plain.clone();
        overlay(&mut labelled, label, settings.crop.1, &colours)?;
        let left = index % side_by_side * 2 * width;
        for (half, pixels) in [plain, labelled].iter().enumerate() {
            let lines = rgb.chunks_exact_mut(row * 3).skip(index / side_by_side * height);
            for (line, source) in lines.zip(pixels.chunks_exact(width * 3)) {
                let from = (left + half * width) * 3;
                line[from..from + width * 3].copy_from_slice(source);
            }
        }
    }
    Ok(Picture { width: picture_width, height: picture_height, rgb })
}

/// One sample's image as interleaved bytes.
fn shown(settings: &SampleSettings, image: &[f32], pixels: usize) -> Vec<u8> {
    let mut rgb = vec![0_u8; pixels * 3];
    for (channel, plane) in image.chunks_exact(pixels).enumerate().take(3) {
        let (mean, deviation) = (settings.mean[channel], settings.deviation[channel]);
        for (pixel, value) in rgb.as_chunks_mut::<3>().0.iter_mut().zip(plane) {
            pixel[channel] = (value * deviation + mean).round().clamp(0.0, 255.0) as u8;
        }
    }
    rgb
}
