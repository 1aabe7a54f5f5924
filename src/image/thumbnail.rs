//! A small picture of a large one, for people to look at. Must not know where it is shown.

use super::shrink::fitted;
use super::{Cutout, DecodedImage, Error, Filter, encode, resize_plane_u8, resize_rgb};

/// JPEG's quality: a thumbnail is looked at once.
const QUALITY: u8 = 78;

/// A small picture as a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The type of the file: `image/png`, or `image/jpeg` for a picture without transparency.
    pub media: &'static str,
    /// The file.
    pub bytes: Vec<u8>,
}

/// The picture at its own aspect with at most `longest` pixels on its longer side, transparency kept; a smaller one keeps its
/// size. Fails for a picture whose bytes are not of its size.
pub fn thumbnail(image: &DecodedImage, longest: u32) -> Result<Thumbnail, Error> {
    let (width, height) = fitted(image.width, image.height, longest.max(1));
    let rgb = resize_rgb(image, width, height, Filter::Bilinear)?;
    let Some(alpha) = &image.alpha else {
        let bytes = encode::jpeg_rgb(width, height, &rgb, QUALITY, None)?;
        return Ok(Thumbnail { width, height, media: "image/jpeg", bytes });
    };
    let alpha = resize_plane_u8(alpha, (image.width, image.height), (width, height), Filter::Bilinear)?;
    let pixels = rgb.as_chunks::<3>().0.iter().zip(&alpha);
    let rgba = pixels.flat_map(|(rgb, alpha)| off_white(*rgb, *alpha)).collect();
    let bytes = encode::png_rgba(&Cutout { width, height, rgba }, None)?;
    Ok(Thumbnail { width, height, media: "image/png", bytes })
}

/// A pixel that was laid on white, taken off it again: what is mixed while it is shrunk must be weighed by its alpha, or clear
/// pixels would colour the edge.
fn off_white(rgb: [u8; 3], alpha: u8) -> [u8; 4] {
    if alpha == 0 {
        return [0; 4];
    }
    let opacity = i32::from(alpha);
    let [red, green, blue] = rgb.map(|value| {
        let own = (i32::from(value) - 255 + opacity) * 255;
        ((own + opacity / 2) / opacity).clamp(0, 255) as u8
    });
    [red, green, blue, alpha]
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{Limits, SourceImage, decode};
    use super::*;

    fn read(bytes: Vec<u8>) -> DecodedImage {
        decode(&SourceImage { bytes: bytes.into() }, &Limits::default()).unwrap()
    }

    #[test]
    fn a_cutout_keeps_its_colour_and_its_transparency() {
        let disc = |x: i32, y: i32| (x - 50).pow(2) + (y - 50).pow(2) < 900;
        let rgba =
            (0..100).flat_map(|y| (0..100).flat_map(move |x| if disc(x, y) { [200, 40, 90, 255] } else { [0; 4] }));
        let file = encode::png_rgba(&Cutout { width: 100, height: 100, rgba: rgba.collect() }, None).unwrap();
        let small = thumbnail(&read(file), 37).unwrap();
        assert_eq!((small.width, small.height, small.media), (37, 37, "image/png"));
        let small = read(small.bytes);
        let (alpha, rgb) = (small.alpha.unwrap(), small.straight_rgb.unwrap());
        assert_eq!((alpha[0], alpha[18 * 37 + 18]), (0, 255));
        let edge: Vec<[u8; 3]> =
            rgb.as_chunks().0.iter().zip(&alpha).filter(|(_, a)| **a > 32).map(|(p, _)| *p).collect();
        assert!(edge.len() > 200);
        for pixel in edge {
            assert!(pixel.iter().zip([200_u8, 40, 90]).all(|(a, b)| a.abs_diff(b) <= 6), "{pixel:?}");
        }
    }

    #[test]
    fn a_photo_becomes_a_jpeg() {
        let file = encode::png_rgb(300, 100, &[77; 300 * 100 * 3], None).unwrap();
        let small = thumbnail(&read(file), 240).unwrap();
        assert_eq!((small.width, small.height, small.media), (240, 80, "image/jpeg"));
        assert!(read(small.bytes).rgb.iter().all(|value| value.abs_diff(77) <= 2));
    }
}
