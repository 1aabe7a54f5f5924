//! One training sample: the recipe of augmentation, and its way from a decoded photo and the spans of its masks to the
//! numbers that a network is shown. Must not know tables, stores, threads or batches: everything random is given.
//!
//! The recipe is the one that segmentation networks are commonly trained by, step for step in its order: resize by a random
//! ratio, crop (again while one class fills it), flip, distort colours, normalise, pad. What is done here is less: the
//! window that will be seen is chosen first, by the label alone, and only that window is resized.

use super::distort::distort;
use super::label::Label;
use crate::image::raster::ClassSpans;
use crate::image::taps::{bilinear, nearest};
use crate::image::{DecodedImage, Error};

pub use super::crop::Window;
pub use super::distort::Distortion;
pub use super::draws::Draws;
pub use super::kept::{Kept, keep, kept_size};
pub use super::picture::{Picture, picture};

/// What a label holds where nothing is known: void, and the padding.
pub const IGNORED: u8 = 255;

/// How samples are made from photos.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleSettings {
    /// Height and width of a sample in pixels.
    pub crop: (u32, u32),
    /// The box that a photo is resized into at ratio 1: its longer side is at most the larger of the two, its shorter side
    /// at most the smaller. Pixels.
    pub scale: (u32, u32),
    /// Lowest and highest ratio that `scale` is multiplied by.
    pub ratio: (f64, f64),
    /// A crop is drawn anew unless the most common class has less than this share of its pixels (void not counted) and
    /// there is a second class. From 1.0 on, every crop is taken.
    pub max_class_share: f64,
    /// How often a crop is drawn anew at most; the last one is taken as it is.
    pub redraws: u32,
    /// Whether half of the samples are mirrored left to right.
    pub flip: bool,
    /// Whether brightness, contrast, saturation and hue are changed at random.
    pub distort: bool,
    /// What is subtracted from red, green and blue, on the scale 0–255.
    pub mean: [f32; 3],
    /// What red, green and blue are divided by after that.
    pub deviation: [f32; 3],
}

impl Default for SampleSettings {
    /// 512 × 512 from the 2048 × 512 base scale, colours left alone, normalised as for ImageNet.
    fn default() -> Self {
        Self {
            crop: (512, 512),
            scale: (2048, 512),
            ratio: (0.5, 2.0),
            max_class_share: 0.75,
            redraws: 10,
            flip: true,
            distort: false,
            mean: [123.675, 116.28, 103.53],
            deviation: [58.395, 57.12, 57.375],
        }
    }
}

impl SampleSettings {
    /// Says what is wrong with the settings, and what to write instead.
    pub fn check(&self) -> Result<(), String> {
        let side = |name: &str, (one, other): (u32, u32)| {
            if (1..=65_536).contains(&one) && (1..=65_536).contains(&other) {
                return Ok(());
            }
            Err(format!("{name} is {one} × {other}: both sides must be 1 to 65536 pixels"))
        };
        side("crop", self.crop)?;
        side("scale", self.scale)?;
        let (low, high) = self.ratio;
        if !(low > 0.0 && low <= high && high <= 64.0) {
            return Err(format!(
                "ratio is {low} to {high}: give two numbers above 0 and at most 64, the lower one first"
            ));
        }
        if !(self.max_class_share > 0.0 && self.max_class_share <= 1.0) {
            let share = self.max_class_share;
            return Err(format!(
                "max_class_share is {share}: give a number above 0 and at most 1, 1 to take every crop"
            ));
        }
        if self.redraws > 1000 {
            return Err(format!("redraws is {}: give at most 1000", self.redraws));
        }
        if !self.mean.iter().all(|mean| mean.is_finite()) {
            return Err(format!("mean is {:?}: give three finite numbers, usually 0 to 255", self.mean));
        }
        if !self.deviation.iter().all(|deviation| deviation.is_finite() && *deviation > 0.0) {
            return Err(format!("deviation is {:?}: give three numbers above 0", self.deviation));
        }
        Ok(())
    }

    /// Values of one sample's image, and of its label.
    pub fn lengths(&self) -> (usize, usize) {
        let pixels = (self.crop.0 as usize).saturating_mul(self.crop.1 as usize);
        (pixels.saturating_mul(3), pixels)
    }
}

/// A photo as it lies in memory: whole, or shrunk by [`keep`].
#[derive(Clone, Copy, Debug)]
pub struct Photo<'a> {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// `height × width × 3` bytes, row-major, sRGB, in the orientation of the masks.
    pub rgb: &'a [u8],
}

impl<'a> From<&'a DecodedImage> for Photo<'a> {
    fn from(decoded: &'a DecodedImage) -> Self {
        Self { width: decoded.width, height: decoded.height, rgb: &decoded.rgb }
    }
}

/// Makes one sample. `image` takes `3 × height × width` values of the crop, planes red, green, blue, row-major, normalised,
/// 0 where it is padded (the mean colour); `label` takes `height × width` classes, [`IGNORED`] where it is padded. Both are
/// written wholly, whatever they held. The photo has the size of its masks or the one that [`keep`] gives it; anything
/// else is refused, since masks of another size lie on other pixels.
pub fn sample(
    settings: &SampleSettings,
    photo: Photo<'_>,
    masks: ClassSpans<'_>,
    draws: &Draws,
    image: &mut [f32],
    label: &mut [u8],
) -> Result<Window, Error> {
    let size = (masks.height, masks.width);
    let given = (photo.height, photo.width);
    if given != size && Some(given) != kept_size(settings, size) {
        let detail = format!("{} × {} pixels, and its masks {} × {}", given.1, given.0, size.1, size.0);
        return Err(Error::Shape { what: "photo of a sample", detail });
    }
    expect("photo of a sample", photo.rgb.len(), u64::from(photo.width) * u64::from(photo.height) * 3)?;
    let (values, pixels) = settings.lengths();
    expect("room for a sample's image", image.len(), values as u64)?;
    expect("room for a sample's label", label.len(), pixels as u64)?;

    let classes = Label::new(masks)?;
    let window = Window::choose(settings, &classes, draws)?;
    let (rows, columns) = (nearest(masks.height, window.rows()), nearest(masks.width, window.columns()));
    classes.paint(&columns, &rows, label, settings.crop.1 as usize);

    let mut seen = bilinear(photo.rgb, (photo.width, photo.height), window.rows(), window.columns())?;
    if let Some(distortion) = draws.distortion.as_ref().filter(|_| settings.distort) {
        distort(&mut seen, distortion);
    }
    normalise(settings, &seen, window.width as usize, image);
    Ok(window)
}

/// Spreads interleaved bytes over the planes of the sample.
fn normalise(settings: &SampleSettings, seen: &[u8], width: usize, image: &mut [f32]) {
    let (height, row) = (settings.crop.0 as usize, settings.crop.1 as usize);
    for (channel, plane) in image.chunks_exact_mut((height * row).max(1)).enumerate().take(3) {
        let (mean, deviation) = (f64::from(settings.mean[channel]), f64::from(settings.deviation[channel]));
        let level: [f32; 256] = std::array::from_fn(|value| ((value as f64 - mean) / deviation) as f32);
        let mut sources = seen.chunks_exact((width * 3).max(1));
        for target in plane.chunks_exact_mut(row.max(1)) {
            let (inside, padding) = target.split_at_mut(width.min(row));
            match sources.next() {
                Some(source) => {
                    for (value, pixel) in inside.iter_mut().zip(source.as_chunks::<3>().0) {
                        *value = level[usize::from(pixel[channel])];
                    }
                }
                None => inside.fill(0.0),
            }
            padding.fill(0.0);
        }
    }
}

fn expect(what: &'static str, found: usize, wanted: u64) -> Result<(), Error> {
    if found as u64 == wanted {
        return Ok(());
    }
    Err(Error::Shape { what, detail: format!("{found} values where {wanted} are wanted") })
}
