//! Panels: photo, masks, what the network says, and the cutout that it makes, side by side with a legend. Must not know how
//! anything was measured.

use super::spread;
use crate::image::lettering::{Sheet, fitted};
use crate::image::raster::palette;
use crate::image::{Error as ImageError, Filter, encode, resize_plane_u8, resize_rgb};
use crate::stage::Error;
use crate::stage::dataset::{Dataset, Item};
use crate::stage::measure::legend::{Entry, legend, paint};
use crate::stage::measure::photos::Seen;

/// Longest side of one picture of a panel, in pixels.
const LONG_SIDE: u32 = 512;
/// Narrowest a picture's column is, so that captions and names fit.
const LEAST_WIDTH: u32 = 176;
/// Between pictures, and around them.
const GAP: u32 = 8;
/// Height of a caption or a line of the legend.
const LINE: u32 = 24;
/// What stands over each picture.
const CAPTIONS: [&str; 4] = ["photo", "masks", "prediction", "cutout"];
/// What stands over the legend.
const SHARES: &str = "pixels in masks/prediction:";
const PAPER: [u8; 3] = [255; 3];
const INK: [u8; 3] = [32; 3];
const FRAME: [u8; 3] = [150; 3];

/// The class maps of the images that become panels, small.
pub(super) struct Panels<'a> {
    items: &'a [Item],
    wanted: Vec<usize>,
    palette: Vec<[u8; 3]>,
    kept: Vec<Kept>,
}

struct Kept {
    index: usize,
    size: (u32, u32),
    label: Vec<u8>,
    prediction: Vec<u8>,
    legend: Vec<Line>,
}

/// A line of the legend: a class, and its shares of masks and prediction.
struct Line {
    entry: Entry,
    masks: f64,
    prediction: f64,
}

impl<'a> Panels<'a> {
    /// Panels of so many images, spread evenly.
    pub(super) fn new(items: &'a [Item], count: usize, classes: usize) -> Self {
        Self { items, wanted: spread(items, count), palette: palette(classes.min(255)), kept: Vec::new() }
    }

    /// Keeps the maps of an image that is to become a panel.
    pub(super) fn see(&mut self, seen: &Seen<'_>) -> Result<(), Error> {
        let Some(item) = self.items.get(seen.index).filter(|_| self.wanted.contains(&seen.index)) else {
            return Ok(());
        };
        let from = (item.width, item.height);
        let size = shrunk(from);
        let small =
            |map: &[u8]| resize_plane_u8(map, from, size, Filter::Nearest).map_err(|error| failed(item, &error));
        let share = |map: &[u8], class: u8| {
            let pixels = map.iter().filter(|value| **value == class).count();
            pixels as f64 / map.len().max(1) as f64
        };
        let line = |entry: Entry| Line {
            entry,
            masks: share(seen.label, entry.class),
            prediction: share(seen.prediction, entry.class),
        };
        self.kept.push(Kept {
            index: seen.index,
            size,
            label: small(seen.label)?,
            prediction: small(seen.prediction)?,
            legend: legend(&[seen.label, seen.prediction], &self.palette).into_iter().map(line).collect(),
        });
        Ok(())
    }

    /// The panels as PNG files, by image id.
    pub(super) fn draw(mut self, dataset: &Dataset) -> Result<Vec<(String, Vec<u8>)>, Error> {
        self.kept.sort_by_key(|kept| kept.index);
        let mut drawn = Vec::with_capacity(self.kept.len());
        for kept in &self.kept {
            let Some(item) = self.items.get(kept.index) else { continue };
            let photo = dataset.photo(item)?;
            let photo = resize_rgb(&photo, kept.size.0, kept.size.1, Filter::Bilinear);
            let photo = photo.map_err(|error| failed(item, &error))?;
            let png = panel(kept, &photo, &self.palette).map_err(|error| match error {
                Fault::Image(error) => failed(item, &error),
                Fault::Stage(error) => error,
            })?;
            drawn.push((item.image_id.clone(), png));
        }
        Ok(drawn)
    }
}

enum Fault {
    Image(ImageError),
    Stage(Error),
}

impl From<ImageError> for Fault {
    fn from(error: ImageError) -> Self {
        Self::Image(error)
    }
}

impl From<crate::stage::measure::Mismatch> for Fault {
    fn from(mismatch: crate::stage::measure::Mismatch) -> Self {
        Self::Stage(mismatch.into())
    }
}

fn failed(item: &Item, error: &ImageError) -> Error {
    Error::Failed(format!("the panel of {}: {error}", item.image_id))
}

/// The size with the longer side at most [`LONG_SIDE`].
fn shrunk((width, height): (u32, u32)) -> (u32, u32) {
    let long = width.max(height).max(1);
    let side = |side: u32| {
        let shrunk = u64::from(side) * u64::from(LONG_SIDE.min(long)) / u64::from(long);
        u32::try_from(shrunk).unwrap_or(LONG_SIDE).max(1)
    };
    (side(width), side(height))
}

fn panel(kept: &Kept, photo: &[u8], palette: &[[u8; 3]]) -> Result<Vec<u8>, Fault> {
    let (width, height) = kept.size;
    let column = width.max(LEAST_WIDTH);
    let columns = CAPTIONS.len() as u32;
    let sheet_width = columns * (column + GAP) + GAP;
    let lines = u32::try_from(kept.legend.len()).unwrap_or(0).div_ceil(columns);
    let sheet_height = GAP + LINE + height + GAP + (1 + lines) * LINE + GAP;
    let mut rgb = vec![PAPER[0]; sheet_width as usize * sheet_height as usize * 3];

    let mut masks = vec![0_u8; photo.len()];
    paint(&kept.label, palette, &mut masks)?;
    let mut prediction = vec![0_u8; photo.len()];
    paint(&kept.prediction, palette, &mut prediction)?;
    let mut cutout = photo.to_vec();
    for (pixel, class) in cutout.chunks_exact_mut(3).zip(&kept.prediction) {
        if *class == 0 {
            pixel.copy_from_slice(&PAPER);
        }
    }
    let scale = if column >= 2 * LEAST_WIDTH { 2 } else { 1 };
    for (index, (caption, picture)) in
        (0_u32..).zip(CAPTIONS.iter().zip([photo, masks.as_slice(), prediction.as_slice(), cutout.as_slice()]))
    {
        let left = GAP + index * (column + GAP);
        let mut sheet = Sheet { rgb: &mut rgb, width: sheet_width };
        sheet.write(caption, (left, GAP), scale, INK);
        // White on white has no edge of its own.
        sheet.fill((left - 1, GAP + LINE - 1), (width + 2, height + 2), FRAME);
        place(&mut rgb, sheet_width, (left, GAP + LINE), picture, width);
    }
    let legend_top = GAP + LINE + height + GAP;
    Sheet { rgb: &mut rgb, width: sheet_width }.write(SHARES, (GAP, legend_top + 4), 1, INK);
    for (index, line) in (0_u32..).zip(&kept.legend) {
        let left = GAP + index % columns * (column + GAP);
        let top = legend_top + (1 + index / columns) * LINE;
        let mut sheet = Sheet { rgb: &mut rgb, width: sheet_width };
        sheet.fill((left, top), (16, 16), FRAME);
        sheet.fill((left + 1, top + 1), (14, 14), line.entry.colour);
        let shares = format!("{:.1}/{:.1} %", line.masks * 100.0, line.prediction * 100.0);
        let room = (column - 22) / 8;
        let name = fitted(line.entry.name, 1, room.saturating_sub(shares.len() as u32 + 1) * 8);
        sheet.write(&format!("{name} {shares}"), (left + 22, top + 4), 1, INK);
    }
    Ok(encode::png_rgb(sheet_width, sheet_height, &rgb, None)?)
}

/// Copies a picture into a larger one.
fn place(into: &mut [u8], into_width: u32, (left, top): (u32, u32), picture: &[u8], width: u32) {
    let rows = into.chunks_exact_mut(into_width as usize * 3).skip(top as usize);
    for (row, source) in rows.zip(picture.chunks_exact(width as usize * 3)) {
        if let Some(row) = row.get_mut(left as usize * 3..).and_then(|row| row.get_mut(..source.len())) {
            row.copy_from_slice(source);
        }
    }
}
