//! How photos are to be looked at, as far as somebody asked for it; the rest follows from the model. Must not know photos.

use super::look::{Look, Mode};
use super::windows::{BASE, Size};
use crate::stage::Error;
use crate::stage::artifact::Artifact;

/// Whole or slid over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModeWord {
    /// The whole photo at once, within the crop.
    Whole,
    /// Windows of the crop's size.
    Slide,
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct LookWish {
    /// Whole or slid over.
    pub mode: ModeWord,
    /// From one window to the next, in pixels; unless given, as mmsegmentation tests the model: 480 of 512 pixels of the
    /// crop for Segmenter, 341 of 512 for SETR.
    pub stride: Option<usize>,
    /// The longer and the shorter side of the box that a photo is brought into.
    pub base: Size,
    /// Whether each look is repeated on the mirrored photo.
    pub flip: bool,
    /// A look for each of these shares.
    pub scales: Vec<f64>,
}

impl Default for LookWish {
    fn default() -> Self {
        Self { mode: ModeWord::Slide, stride: None, base: BASE, flip: false, scales: vec![1.0] }
    }
}

impl LookWish {
    /// How photos are looked at by a model.
    pub fn look(&self, artifact: &Artifact) -> Result<Look, Error> {
        let [height, width] = artifact.size;
        let mode = match (self.mode, self.stride) {
            (ModeWord::Whole, None) => Mode::Whole,
            (ModeWord::Whole, Some(stride)) => {
                return Err(Error::Usage(format!("a stride of {stride} pixels is for photos that are slid over")));
            }
            (ModeWord::Slide, Some(stride)) => Mode::Slide { stride: (stride, stride) },
            (ModeWord::Slide, None) => {
                let share = if artifact.model.starts_with("setr") { 341 } else { 480 };
                let of = |side: usize| (side.saturating_mul(share) + 256) / 512;
                Mode::Slide { stride: (of(height).max(1), of(width).max(1)) }
            }
        };
        let look = Look { mode, base: self.base, flip: self.flip, scales: self.scales.clone() };
        // Whatever cannot be done to a photo of this size cannot be done to any.
        look.views((height.max(1), width.max(1)), (height, width))?;
        Ok(look)
    }
}
