//! How a photo is looked at: the sizes it is brought to, the windows cut from them, mirrored or not, and the numbers that a
//! network is shown. Must not know networks, labels or files.
//!
//! As mmsegmentation tests: the photo is resized within the base scale (times each scale), keeping its shape, by the same
//! resize that training samples go through; normalised; and slid over. With several scales or a flip, each look's logits
//! are brought to the photo's size and made probabilities, and these are averaged. One difference: a mirrored look's
//! logits are mirrored back before they are enlarged and not after, which is the same but for rounding.

use super::Mismatch;
use super::windows::{BASE, Size, Window, Windows, rescaled};
use crate::graph::net::Normalisation;
use crate::image::taps::{Axis, bilinear};
use crate::image::{DecodedImage, Error};

/// Most pixels that a photo is brought to; a look at more would not fit in the memory of most machines.
const MOST_PIXELS: usize = 1 << 26;

/// How the parts of a photo are shown to the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The whole photo within the crop, keeping its shape; what is left of the crop is filled. Fast, and coarse.
    Whole,
    /// Windows of the crop's size over the photo at the base scale.
    Slide {
        /// From one window to the next: rows and columns, at most the crop's.
        stride: Size,
    },
}

/// How each photo is looked at.
#[derive(Clone, Debug, PartialEq)]
pub struct Look {
    /// Whole or slid over.
    pub mode: Mode,
    /// Slid over: the longer and the shorter side of the box that a photo is brought into at scale 1.
    pub base: Size,
    /// Whether each look is repeated on the photo mirrored left to right.
    pub flip: bool,
    /// A look for each of these shares of the base, or of the crop.
    pub scales: Vec<f64>,
}

impl Look {
    /// One look.
    pub fn new(mode: Mode) -> Self {
        Self { mode, base: BASE, flip: false, scales: vec![1.0] }
    }

    /// The looks at a photo of some size, by a network that is shown `crop`. Heights and widths in pixels.
    pub fn views(&self, photo: Size, crop: Size) -> Result<Vec<View>, Mismatch> {
        if self.scales.is_empty() {
            return Err(Mismatch("a photo is to be looked at in one scale at least, such as 1.0".to_owned()));
        }
        let mut views = Vec::new();
        for scale in &self.scales {
            let (size, windows) = match self.mode {
                Mode::Whole => {
                    let size = fitted(photo, crop, *scale)?;
                    (size, vec![Window { y: 0, x: 0, height: size.0, width: size.1 }])
                }
                Mode::Slide { stride } => {
                    let size = rescaled(photo, self.base, *scale)?;
                    if size.0.saturating_mul(size.1) > MOST_PIXELS {
                        return Err(Mismatch(format!(
                            "{} × {} pixels are too many to look at; take smaller scales, or a smaller base",
                            size.1, size.0
                        )));
                    }
                    (size, Windows::of(size, crop, stride)?)
                }
            };
            for flipped in if self.flip { &[false, true][..] } else { &[false] } {
                views.push(View { size, flipped: *flipped, windows: windows.clone() });
            }
        }
        Ok(views)
    }

    /// How many looks at each photo there are.
    pub fn count(&self) -> usize {
        self.scales.len() * if self.flip { 2 } else { 1 }
    }
}

/// In a line, for people and for fingerprints: `slide 480x480 within 2048x512, scales 1`.
impl std::fmt::Display for Look {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.mode {
            Mode::Whole => write!(f, "whole")?,
            Mode::Slide { stride } => {
                write!(f, "slide {}x{} within {}x{}", stride.0, stride.1, self.base.0, self.base.1)?;
            }
        }
        let scales: Vec<String> = self.scales.iter().map(ToString::to_string).collect();
        write!(f, ", scales {}{}", scales.join(","), if self.flip { ", flipped too" } else { "" })
    }
}

/// One look at a photo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Height and width that the photo is brought to.
    pub size: Size,
    /// Whether it is mirrored left to right then.
    pub flipped: bool,
    /// The windows of that picture.
    pub windows: Vec<Window>,
}

impl View {
    /// The numbers of the whole picture, `[3, H, W]`, red, green and blue, normalised.
    pub fn picture(&self, photo: &DecodedImage, normalisation: &Normalisation) -> Result<Vec<f32>, Error> {
        let (height, width) = self.size;
        let side = |side: usize| {
            u32::try_from(side).map_err(|_| Error::Shape { what: "size of a look", detail: format!("{side} pixels") })
        };
        let axis = |target: u32, reversed: bool| Axis { target, first: 0, count: target, reversed };
        let (rows, columns) = (axis(side(height)?, false), axis(side(width)?, self.flipped));
        let bytes = bilinear(&photo.rgb, (photo.width, photo.height), rows, columns)?;
        let mut planes = Vec::with_capacity(bytes.len());
        for (channel, (mean, deviation)) in normalisation.mean.iter().zip(normalisation.deviation).enumerate() {
            let (mean, deviation) = (f64::from(*mean), f64::from(deviation));
            let level: [f32; 256] = std::array::from_fn(|value| ((value as f64 - mean) / deviation) as f32);
            planes.extend(bytes.as_chunks::<3>().0.iter().map(|pixel| level[usize::from(pixel[channel])]));
        }
        Ok(planes)
    }
}

/// The size of a photo brought wholly into a share of the crop, keeping its shape, rounded to the nearest pixel.
fn fitted(photo: Size, crop: Size, scale: f64) -> Result<Size, Mismatch> {
    if photo.0 == 0 || photo.1 == 0 || crop.0 == 0 || crop.1 == 0 || !(scale > 0.0 && scale <= 1.0) {
        return Err(Mismatch(format!(
            "{} × {} pixels cannot be brought to {scale} times {} × {}; looked at as a whole, a photo has scales up to 1",
            photo.1, photo.0, crop.1, crop.0
        )));
    }
    let factor = (crop.0 as f64 / photo.0 as f64).min(crop.1 as f64 / photo.1 as f64) * scale;
    let side = |side: usize, most: usize| ((side as f64 * factor + 0.5) as usize).clamp(1, most);
    Ok((side(photo.0, crop.0), side(photo.1, crop.1)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::image::{Colour, Facts, Format};

    const SLIDE: Mode = Mode::Slide { stride: (480, 480) };

    #[test]
    fn a_whole_photo_lies_within_the_crop_and_keeps_its_shape() {
        let look = Look::new(Mode::Whole);
        for (photo, crop, size) in [
            ((600, 400), (512, 512), (512, 341)),
            ((400, 600), (512, 512), (341, 512)),
            ((400, 600), (512, 256), (171, 256)),
            ((10, 20), (512, 512), (256, 512)),
            ((1, 9000), (512, 512), (1, 512)),
        ] {
            let views = look.views(photo, crop).unwrap();
            assert_eq!(views.len(), 1);
            assert_eq!(views[0].size, size);
            assert_eq!(views[0].windows, [Window { y: 0, x: 0, height: size.0, width: size.1 }]);
        }
        assert!(Look { scales: vec![1.5], ..look.clone() }.views((9, 9), (4, 4)).is_err());
        assert!(Look { scales: vec![], ..look.clone() }.views((9, 9), (4, 4)).is_err());
        assert!(look.views((0, 9), (4, 4)).is_err());
    }

    #[test]
    fn every_scale_is_looked_at_plain_and_mirrored() {
        let look = Look { flip: true, scales: vec![0.5, 1.0], ..Look::new(SLIDE) };
        let views = look.views((1024, 683), (512, 512)).unwrap();
        let seen: Vec<_> = views.iter().map(|view| (view.size, view.flipped, view.windows.len())).collect();
        let (half, whole) = ((384, 256), (768, 512));
        assert_eq!(seen, [(half, false, 1), (half, true, 1), (whole, false, 2), (whole, true, 2)]);
        assert_eq!(look.count(), 4);
        assert_eq!(look.to_string(), "slide 480x480 within 2048x512, scales 0.5,1, flipped too");
        assert!(Look { base: (900_000, 900_000), ..look }.views((1024, 683), (512, 512)).is_err());
    }

    #[test]
    fn a_picture_is_resized_mirrored_and_normalised() {
        let facts = Facts {
            format: Format::Png,
            stored_width: 2,
            stored_height: 1,
            orientation: 1,
            profile: None,
            dpi: None,
            frames_more_than_one: false,
            bits: 8,
            colour: Colour::Rgb,
        };
        let rgb = vec![0, 10, 20, 255, 110, 120];
        let photo =
            DecodedImage { width: 2, height: 1, rgb, alpha: None, straight_rgb: None, facts, notes: Vec::new() };
        let normalisation = Normalisation { mean: [127.5, 10.0, 20.0], deviation: [127.5, 50.0, 100.0] };
        let view = |flipped, size| View { size, flipped, windows: Vec::new() };
        let plain = view(false, (1, 2)).picture(&photo, &normalisation).unwrap();
        assert_eq!(plain, [-1.0, 1.0, 0.0, 2.0, 0.0, 1.0]);
        let mirrored = view(true, (1, 2)).picture(&photo, &normalisation).unwrap();
        assert_eq!(mirrored, [1.0, -1.0, 2.0, 0.0, 1.0, 0.0]);
        assert_eq!(view(false, (4, 6)).picture(&photo, &normalisation).unwrap().len(), 72);
        assert!(view(false, (0, 6)).picture(&photo, &normalisation).is_err());
    }
}
