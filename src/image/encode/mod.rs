//! Pixels to PNG, JPEG, WebP and TIFF bytes. Must not know what they show or where they go.
//!
//! All of it is sRGB, straight alpha, 8 bits; the same pixels give the same bytes. Nothing is embedded but the resolution:
//! where a format says what a file without a profile holds, it says sRGB.

mod jpeg;
mod png;
mod tiff;
mod webp;

pub use jpeg::{jpeg_grey, jpeg_rgb};
pub use png::{png, png_class_map, png_grey, png_rgb, png_rgba};
pub use tiff::tiff;
pub use webp::{webp_lossless, webp_lossy};

use super::error::area;

/// A picture by its channels, row-major, interleaved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pixels<'a> {
    /// `height × width` bytes.
    Grey(&'a [u8]),
    /// `height × width × 3` bytes, sRGB.
    Rgb(&'a [u8]),
    /// `height × width × 4` bytes, sRGB, straight alpha.
    Rgba(&'a [u8]),
}

impl<'a> Pixels<'a> {
    /// The values themselves.
    pub fn bytes(&self) -> &'a [u8] {
        match self {
            Self::Grey(bytes) | Self::Rgb(bytes) | Self::Rgba(bytes) => bytes,
        }
    }

    /// Bytes a pixel.
    pub fn channels(&self) -> usize {
        match self {
            Self::Grey(_) => 1,
            Self::Rgb(_) => 3,
            Self::Rgba(_) => 4,
        }
    }

    fn expect(&self, what: &'static str, width: u32, height: u32) -> Result<(), super::Error> {
        super::Error::expect_len(what, self.bytes().len(), area(width, height, self.channels()))
    }
}

/// Resolution as a whole number of dots per inch, where a 16-bit field can hold it.
fn whole_dpi(dpi: Option<(f32, f32)>) -> Option<(u16, u16)> {
    let whole = |value: f32| (0.5..f32::from(u16::MAX)).contains(&value).then_some(value.round() as u16);
    let (x, y) = dpi?;
    Some((whole(x)?, whole(y)?))
}
