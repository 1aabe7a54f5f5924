//! Photos kept from the first epoch on: shrunk once to the largest size that a sample can ever be cut from, so that later
//! epochs decode a fraction of the pixels. Must not know where they are kept.

use super::crop::resized_size;
use super::sample::{Photo, SampleSettings};
use crate::image::{DecodedImage, Error, Filter, resize_rgb};

/// A photo shrunk for later epochs. The label stays in the spans of the whole image, and what a sample shows is reckoned from
/// their size; so nothing but the pixels need be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height × width × 3` bytes, row-major, sRGB.
    pub rgb: Vec<u8>,
}

impl Kept {
    /// The pixels as [`sample`](super::sample::sample()) takes them.
    pub fn photo(&self) -> Photo<'_> {
        Photo { width: self.width, height: self.height, rgb: &self.rgb }
    }
}

/// Height and width that a photo of the given height and width is kept at: those of the highest ratio (with the usual
/// settings twice the crop's side). `None` where the photo is no larger than that and best kept as it is.
pub fn kept_size(settings: &SampleSettings, size: (u32, u32)) -> Option<(u32, u32)> {
    resized_size(settings.scale, settings.ratio.1, size).filter(|kept| kept.0 < size.0 && kept.1 < size.1)
}

/// Shrinks a photo to the size that it is kept at, every pixel weighed; `None` where it is best kept as it is. A sample of a
/// photo that was kept shows the same window, smoother where it is reduced much: the recipe's own resize skips pixels.
pub fn keep(settings: &SampleSettings, photo: &DecodedImage) -> Result<Option<Kept>, Error> {
    let Some((height, width)) = kept_size(settings, (photo.height, photo.width)) else { return Ok(None) };
    let rgb = resize_rgb(photo, width, height, Filter::Bilinear)?;
    Ok(Some(Kept { width, height, rgb }))
}
