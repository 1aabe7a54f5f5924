//! Draws a data set in the exact form of iMaterialist (Fashion) 2020, and a catalogue with true mattes, out of nothing
//! but a seed. Must not know where the files go: the caller writes them.
//!
//! | file | what it is |
//! |---|---|
//! | `train.csv` | one row an instance: `ImageId,EncodedPixels,Height,Width,ClassId,AttributesIds` |
//! | `label_descriptions.json` | info, 46 categories, 294 attributes |
//! | `train/ID.jpg` | the photos that the rows are of; ids are 32 hexadecimal digits |
//! | `catalog/NAME.jpg` | photos without rows: product photos before paper and scenes in turn, or lookbook photos too |
//! | `catalog-mattes/NAME.png` | how much of each pixel shows garments: 8-bit grey, 255 is all of it |
//!
//! The foreground of a matte is everything of the 27 main classes. The data set has no class for people, so skin, hair
//! and mannequins are background, as in the real one.
//!
//! Colours, patterns and weaves are drawn without a look at the class, and place, pose and frame vary, so that single
//! pixels say next to nothing of it: a network has to see shapes (`tests/peers/pixel_guard.py` measures that).

mod accessory;
mod backdrop;
mod canvas;
mod cloth;
mod dice;
mod figure;
mod garment;
mod labels;
mod lookbook;
mod picture;
mod shape;
mod sketch;
mod trim;
mod wardrobe;

pub use picture::{Instance, Kind, Picture, draw};
pub use shape::Cover;

use crate::cancel::{Cancel, Cause};
use crate::digest;
use crate::event::{Event, Events};
use crate::image::{self, encode};
use crate::outcome::Counts;
use rayon::prelude::*;
use std::fmt::Write as _;
use std::time::Instant;

/// What is to be drawn.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Photos with rows.
    pub images: u64,
    /// Photos without rows, with mattes.
    pub catalog: u64,
    /// The same seed gives the same bytes, on any number of threads.
    pub seed: u64,
    /// The longer side of every photo in pixels (64 to 8192); `None` varies it from 600 to 1600 (lookbook: 480).
    pub long_side: Option<usize>,
    /// What the photos show.
    pub scenes: Scenes,
}

/// What photos show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scenes {
    /// As in a data set, and product photos and places in turn for the catalogue.
    #[default]
    Mixed,
    /// As in a brand's lookbook: one whole person before light paper, in clothes of a few classes.
    Lookbook,
}

impl Scenes {
    fn kind(self, catalog: Option<u64>) -> Kind {
        match (self, catalog) {
            (Self::Lookbook, _) => Kind::Lookbook,
            (Self::Mixed, None) => Kind::Mixed,
            (Self::Mixed, Some(number)) if number.is_multiple_of(2) => Kind::Studio,
            (Self::Mixed, Some(_)) => Kind::Scene,
        }
    }
}

/// What was drawn.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Photos with rows.
    pub images: u64,
    /// Rows of `train.csv`.
    pub rows: u64,
    /// Rows of each class id.
    pub instances: [u64; 46],
    /// Photos without rows.
    pub catalog: u64,
}

/// Why nothing, or not all, was drawn.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A side that cannot be drawn.
    #[error("photos of {0} pixels cannot be drawn; ask for a longer side of 64 to 8192")]
    LongSide(usize),
    /// The caller could not write a file.
    #[error("{name} could not be written: {source}; make room or choose another folder, then start again")]
    Write {
        /// The file's name below the output folder.
        name: String,
        /// What the caller's writer said.
        source: std::io::Error,
    },
    /// A photo could not be encoded.
    #[error("{name} could not be encoded: {source}; this is a fault of the program, please report it with the seed")]
    Encode {
        /// The file's name below the output folder.
        name: String,
        /// What the encoder said.
        source: image::Error,
    },
    /// Somebody asked to stop; what is written stays, and the same seed writes the same again.
    #[error("stopped on request; start again with the same seed to get the same files")]
    Stopped(Cause),
}

/// The first column of `train.csv` and the name of the photo: 32 hexadecimal digits that rise with nothing.
pub fn image_id(seed: u64, number: u64) -> String {
    digest::of_parts([("sample", seed.to_string().as_str()), ("image", number.to_string().as_str())])[..32].to_string()
}

/// Draws everything and hands each file to `write` with its name below the output folder; names have `/` between folders.
/// `write` is called from many threads at once, `train.csv` comes last.
///
/// # Errors
/// As soon as a file cannot be encoded or written, or somebody asks to stop.
pub fn run(
    settings: &Settings,
    write: impl Fn(&str, &[u8]) -> std::io::Result<()> + Sync,
    events: &Events,
    cancel: &Cancel,
) -> Result<Summary, Error> {
    if let Some(side) = settings.long_side.filter(|side| !(64..=8192).contains(side)) {
        return Err(Error::LongSide(side));
    }
    let started = Instant::now();
    let total = settings.images + settings.catalog;
    let stage = || "sample-data".to_string();
    events.emit(Event::StageStarted { stage: stage(), total: Some(total), unit: "images" });
    let put = |name: String, bytes: &[u8]| write(&name, bytes).map_err(|source| Error::Write { name, source });
    let one = |number: u64| -> Result<Rows, Error> {
        if let Some(cause) = cancel.cause() {
            return Err(Error::Stopped(cause));
        }
        let rows = if number < settings.images {
            let picture = draw(settings.seed, number, settings.scenes.kind(None), settings.long_side);
            let id = image_id(settings.seed, number);
            put(format!("train/{id}.jpg"), &jpeg(&picture, &id)?)?;
            Rows::of(&id, &picture)
        } else {
            let number = number - settings.images;
            let kind = settings.scenes.kind(Some(number));
            // Far from the numbers of training photos, so that neither changes with the other's count.
            let picture = draw(settings.seed, number | 1 << 63, kind, settings.long_side);
            let name = format!("product-{number:06}");
            put(format!("catalog/{name}.jpg"), &jpeg(&picture, &name)?)?;
            put(format!("catalog-mattes/{name}.png"), &png(&picture, &name)?)?;
            Rows::default()
        };
        events.emit(Event::Advanced { stage: stage(), by: 1 });
        Ok(rows)
    };
    let all = (0..total).into_par_iter().map(one).collect::<Result<Vec<_>, _>>()?;
    let mut csv = String::from("ImageId,EncodedPixels,Height,Width,ClassId,AttributesIds\n");
    let mut summary = Summary { images: settings.images, rows: 0, instances: [0; 46], catalog: settings.catalog };
    for class in all.iter().flat_map(|rows| &rows.classes) {
        summary.instances[usize::from(*class)] += 1;
        summary.rows += 1;
    }
    // The published file has its ids in rising order.
    let mut texts: Vec<String> = all.into_iter().map(|rows| rows.text).collect();
    texts.sort_unstable();
    texts.iter().for_each(|text| csv.push_str(text));
    let labels = format!("{:#}\n", labels::descriptions());
    put("label_descriptions.json".to_string(), labels.as_bytes())?;
    put("train.csv".to_string(), csv.as_bytes())?;
    events.emit(Event::StageFinished {
        stage: stage(),
        counts: Counts { ok: total, ..Counts::default() },
        summary: format!("{} photos with {} rows, {} catalogue photos", summary.images, summary.rows, summary.catalog),
        seconds: started.elapsed().as_secs_f64(),
    });
    Ok(summary)
}

/// The rows of one photo, as they stand in the file.
#[derive(Default)]
struct Rows {
    text: String,
    classes: Vec<u8>,
}

impl Rows {
    fn of(id: &str, picture: &Picture) -> Self {
        let mut rows = Self::default();
        for instance in &picture.instances {
            let spans = instance.cover.spans(picture.height);
            let pixels: Vec<String> = spans.iter().map(|(start, length)| format!("{} {length}", start + 1)).collect();
            let ids: Vec<String> = instance.attributes.iter().map(u16::to_string).collect();
            let ids = if ids.len() > 1 { format!("\"{}\"", ids.join(",")) } else { ids.concat() };
            let (height, width) = (picture.height, picture.width);
            // Writing to a string cannot fail.
            let _ = writeln!(rows.text, "{id},{},{height},{width},{},{ids}", pixels.join(" "), instance.class);
            rows.classes.push(instance.class);
        }
        rows
    }
}

fn jpeg(picture: &Picture, name: &str) -> Result<Vec<u8>, Error> {
    encode::jpeg_rgb(picture.width as u32, picture.height as u32, &picture.rgb, 90, None)
        .map_err(|source| Error::Encode { name: format!("{name}.jpg"), source })
}

fn png(picture: &Picture, name: &str) -> Result<Vec<u8>, Error> {
    encode::png_grey(picture.width as u32, picture.height as u32, &picture.matte)
        .map_err(|source| Error::Encode { name: format!("{name}.png"), source })
}
