//! Which part of a photo a sample shows: the size that it is resized to, and the window cut from that. Decided by numbers
//! and the label alone. Must not know pixels.

use super::draws::Draws;
use super::label::Label;
use super::sample::{IGNORED, SampleSettings};
use crate::image::Error;
use crate::image::taps::{Axis, nearest};

/// What a sample shows of its photo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Height and width in pixels of the whole photo once resized; it is never made.
    pub resized: (u32, u32),
    /// The first row of the resized photo that is seen.
    pub top: u32,
    /// The first column of the resized photo that is seen.
    pub left: u32,
    /// Rows seen: those of the crop, or of the resized photo where it has fewer. The rest of the crop is padding.
    pub height: u32,
    /// Columns seen, likewise.
    pub width: u32,
    /// Whether the window is mirrored left to right.
    pub flipped: bool,
    /// How many crops were refused because one class filled them.
    pub redrawn: u32,
}

impl Window {
    /// Resizes and crops as drawn: each crop is judged by its label, and the first that is not filled by one class is taken.
    pub(super) fn choose(settings: &SampleSettings, label: &Label<'_>, draws: &Draws) -> Result<Self, Error> {
        let resized = resized_size(settings.scale, draws.ratio, label.size())
            .ok_or_else(|| Error::Shape { what: "photo of a sample", detail: "it has no pixels".to_owned() })?;
        let (height, width) = (settings.crop.0.min(resized.0), settings.crop.1.min(resized.1));
        let flipped = settings.flip && draws.flip;
        let mut window = Self { resized, top: 0, left: 0, height, width, flipped, redrawn: 0 };
        for (index, offset) in (0..=settings.redraws).zip(&draws.offsets) {
            window.redrawn = index;
            window.top = place(offset[0], resized.0 - height);
            window.left = place(offset[1], resized.1 - width);
            if settings.max_class_share >= 1.0 || index == settings.redraws {
                break;
            }
            let (source_height, source_width) = label.size();
            let (rows, columns) = (nearest(source_height, window.rows()), nearest(source_width, window.columns()));
            if is_mixed(&label.counts(&columns, &rows), settings.max_class_share) {
                break;
            }
        }
        Ok(window)
    }

    /// The rows seen, top to bottom.
    pub(super) fn rows(&self) -> Axis {
        Axis { target: self.resized.0, first: self.top, count: self.height, reversed: false }
    }

    /// The columns seen, in the order in which they are shown.
    pub(super) fn columns(&self) -> Axis {
        Axis { target: self.resized.1, first: self.left, count: self.width, reversed: self.flipped }
    }
}

/// Height and width of a photo that is resized, aspect kept, into the box `scale × ratio`; `None` for a photo without
/// pixels. A side is at least one pixel.
pub(super) fn resized_size(scale: (u32, u32), ratio: f64, (height, width): (u32, u32)) -> Option<(u32, u32)> {
    if height == 0 || width == 0 {
        return None;
    }
    let bound = |side: u32| (f64::from(side) * ratio).floor();
    let longer = bound(scale.0.max(scale.1)) / f64::from(height.max(width));
    let shorter = bound(scale.0.min(scale.1)) / f64::from(height.min(width));
    let factor = longer.min(shorter);
    let side = |side: u32| ((f64::from(side) * factor + 0.5).floor() as u32).max(1);
    Some((side(height), side(width)))
}

/// The offset of `0..=margin` that a number of `[0, 1)` stands for.
fn place(draw: f64, margin: u32) -> u32 {
    ((draw * (f64::from(margin) + 1.0)) as u32).min(margin)
}

/// Whether no class has `max_share` or more of the pixels, void left aside, and there are two at least.
fn is_mixed(counts: &[u64; 256], max_share: f64) -> bool {
    let known = &counts[..usize::from(IGNORED)];
    let most = known.iter().max().copied().unwrap_or(0);
    let sum: u64 = known.iter().sum();
    known.iter().filter(|count| **count > 0).count() > 1 && (most as f64) / (sum as f64) < max_share
}
