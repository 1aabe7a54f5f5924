//! Sizes: resizing pictures and planes. Must not know what the pixels mean.

use super::error::area;
use super::{DecodedImage, Error};
use fast_image_resize::images::{Image, ImageRef, TypedImage, TypedImageRef};
use fast_image_resize::pixels::F32;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

/// How pixels are weighed when a size changes. All of them widen with the reduction, so that nothing is skipped over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The value of the nearest pixel: for class numbers, which must not be mixed.
    Nearest,
    /// A triangle: smooth, never beyond the values it is given; for probabilities.
    Bilinear,
    /// A windowed sinc of three lobes: sharp; for pictures.
    Lanczos3,
}

impl Filter {
    /// The word that sidecars and pipeline files use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Nearest => "nearest",
            Self::Bilinear => "bilinear",
            Self::Lanczos3 => "lanczos3",
        }
    }

    fn options(self) -> ResizeOptions {
        let algorithm = match self {
            Self::Nearest => ResizeAlg::Nearest,
            Self::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Self::Lanczos3 => ResizeAlg::Convolution(FilterType::Lanczos3),
        };
        ResizeOptions::new().resize_alg(algorithm).use_alpha(false)
    }
}

/// Resizes the picture (as networks see it, over white) to `height × width × 3` bytes; the aspect may change.
pub fn resize_rgb(image: &DecodedImage, width: u32, height: u32, filter: Filter) -> Result<Vec<u8>, Error> {
    resize_bytes(&image.rgb, (image.width, image.height), (width, height), 3, filter)
}

/// Makes a picture (`height × width × 3` bytes) smaller, sizes as (width, height): each pixel is the plain mean of the pixels
/// that it takes the place of. Of `every` rows only the first is read; rows at the end that are not so many are left out.
pub(super) fn reduce_rgb(rgb: &[u8], from: (u32, u32), to: (u32, u32), every: u32) -> Result<Vec<u8>, Error> {
    Error::expect_len("picture to reduce", rgb.len(), area(from.0, from.1, 3))?;
    let (every, rows) = (every.max(1), from.1 / every.max(1));
    not_empty((from.0, rows), to)?;
    // So many rows side by side are one row, of which the left part is read.
    let whole = (from.0.checked_mul(every), area(from.0, rows, 3).and_then(|row| row.checked_mul(every as usize)));
    let (Some(width), Some(bytes)) = (whole.0, whole.1.and_then(|length| rgb.get(..length))) else {
        return Err(failed(format!("{} × {} pixels are too many", from.0, from.1)));
    };
    let source = ImageRef::new(width, rows, bytes, PixelType::U8x3).map_err(failed)?;
    let mut target = Image::new(to.0, to.1, PixelType::U8x3);
    let mean = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Box)).use_alpha(false).crop(
        0.0,
        0.0,
        f64::from(from.0),
        f64::from(rows),
    );
    Resizer::new().resize(&source, &mut target, &mean).map_err(failed)?;
    Ok(target.into_vec())
}

/// Resizes a `height × width` plane of bytes, sizes as (width, height).
pub fn resize_plane_u8(plane: &[u8], from: (u32, u32), to: (u32, u32), filter: Filter) -> Result<Vec<u8>, Error> {
    resize_bytes(plane, from, to, 1, filter)
}

fn resize_bytes(
    bytes: &[u8],
    from: (u32, u32),
    to: (u32, u32),
    channels: usize,
    filter: Filter,
) -> Result<Vec<u8>, Error> {
    Error::expect_len("picture to resize", bytes.len(), area(from.0, from.1, channels))?;
    not_empty(from, to)?;
    if from == to {
        return Ok(bytes.to_vec());
    }
    let kind = if channels == 3 { PixelType::U8x3 } else { PixelType::U8 };
    let source = ImageRef::new(from.0, from.1, bytes, kind).map_err(failed)?;
    let mut target = Image::new(to.0, to.1, kind);
    Resizer::new().resize(&source, &mut target, &filter.options()).map_err(failed)?;
    Ok(target.into_vec())
}

/// Resizes a `height × width` plane of numbers, sizes as (width, height).
pub fn resize_plane_f32(plane: &[f32], from: (u32, u32), to: (u32, u32), filter: Filter) -> Result<Vec<f32>, Error> {
    if from == to {
        Error::expect_len("plane to resize", plane.len(), area(from.0, from.1, 1))?;
        return Ok(plane.to_vec());
    }
    Ok(resize_pixels(plane, from, to, filter)?.iter().map(|pixel| pixel.0).collect())
}

/// The same, left as the resizer's pixels, for those who turn them into something else anyway.
pub(super) fn resize_pixels(
    plane: &[f32],
    from: (u32, u32),
    to: (u32, u32),
    filter: Filter,
) -> Result<Vec<F32>, Error> {
    Error::expect_len("plane to resize", plane.len(), area(from.0, from.1, 1))?;
    not_empty(from, to)?;
    let pixels: Vec<F32> = plane.iter().map(|value| F32::new(*value)).collect();
    let source = TypedImageRef::<F32>::new(from.0, from.1, &pixels).map_err(failed)?;
    let mut resized = vec![F32::new(0.0); area(to.0, to.1, 1).unwrap_or(0)];
    let mut target = TypedImage::<F32>::from_pixels_slice(to.0, to.1, &mut resized).map_err(failed)?;
    Resizer::new().resize_typed(&source, &mut target, &filter.options()).map_err(failed)?;
    drop(target);
    Ok(resized)
}

fn not_empty(from: (u32, u32), to: (u32, u32)) -> Result<(), Error> {
    if from.0 == 0 || from.1 == 0 || to.0 == 0 || to.1 == 0 {
        let detail = format!("from {} × {} to {} × {} pixels", from.0, from.1, to.0, to.1);
        return Err(Error::Shape { what: "size to resize", detail });
    }
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Shape { what: "picture to resize", detail: error.to_string() }
}
