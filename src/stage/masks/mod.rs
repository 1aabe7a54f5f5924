//! The masks as pictures: class maps in the layout that mmsegmentation reads, and one image with its mask over it.
//! Must not know how masks were merged.
//!
//! `export` writes below its folder
//!
//! | key | content |
//! |---|---|
//! | `ann_dir/SPLIT/IMAGE_ID.png` | 8-bit grey PNG of the image's size whose value is the class: 0 background, class id + 1, 255 ignored (`all` in place of a split when there is no split table) |
//! | `splits/SPLIT.txt` | the image ids of the split, one a line: an `ann_file`, for photos that lie in one folder |
//! | `classes.txt` | the name of each value, one a line |
//! | `dataset.json` | names, colours, the ignored value, images per split; `reduce_zero_label` is false, since background is a class |
//!
//! Grey and not palette PNG: every reader gives back its values, while some turn a palette into colours.

mod show;

pub use show::{Drawn, ShowSettings, Shown, examples, show, show_all};

use super::tables::Place;
use super::{Context, Error, Report, check};
use crate::event::{Event, Level, note};
use crate::image::encode;
use crate::image::raster::{ClassSpans, palette};
use crate::outcome::Counts;
use crate::storage::Store;
use crate::table::labels;
use crate::table::schema::{MASKS, SPLITS};
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{UInt8Type, UInt32Type};
use bytes::Bytes;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// The columns that a class map is made of.
const COLUMNS: [&str; 5] = ["image_id", "height", "width", "classes", "lengths"];
/// The folder of all images when there is no split table.
const ALL: &str = "all";
/// Values with main items only: background and 27 classes.
const MAIN_VALUES: usize = 28;

/// What to export.
#[derive(Clone, Debug)]
pub struct ExportSettings {
    /// The folder to write to.
    pub out: Store,
    /// The splits to export; all when empty.
    pub splits: Vec<String>,
}

/// Writes the class map of every image, at full size.
pub fn export(settings: &ExportSettings, context: &Context) -> Result<Report, Error> {
    let masks = context.tables.current(&MASKS)?.ok_or_else(|| no_masks(context))?;
    let split_of = splits(context)?;
    let exported = |split: &str| settings.splits.is_empty() || settings.splits.iter().any(|wanted| wanted == split);
    if let Some(unknown) = settings.splits.iter().find(|wanted| match &split_of {
        Some(split_of) => !split_of.values().any(|split| split == *wanted),
        None => *wanted != ALL,
    }) {
        let text =
            format!("there is no split `{unknown}` in {}; make it with `selvedge split`", context.tables.store().url());
        return Err(Error::Usage(text));
    }
    context.events.emit(Event::StageStarted { stage: context.stage.clone(), total: Some(masks.rows), unit: "images" });
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let highest = AtomicU8::new(0);
    let mut unsplit = 0_u64;
    for batch in context.tables.scan(Place::from(&MASKS), &masks, Some(&COLUMNS)) {
        let batch = batch?;
        let mut maps = Vec::with_capacity(batch.num_rows());
        for row in 0..batch.num_rows() {
            let (id, spans) = spans_of(&batch, row);
            let split = match &split_of {
                None => ALL,
                Some(split_of) => match split_of.get(id) {
                    Some(split) => split,
                    None => {
                        unsplit += 1;
                        continue;
                    }
                },
            };
            if exported(split) {
                ids.entry(split.to_owned()).or_default().push(id.to_owned());
                maps.push((format!("ann_dir/{split}/{id}.png"), spans));
            }
        }
        write(&maps, settings, context, &highest)?;
    }
    if unsplit > 0 {
        let text = format!(
            "{unsplit} images are in no split and were left out: run `selvedge split` again, the masks are newer"
        );
        note(&context.events, Level::Warn, text);
    }
    let values = if usize::from(highest.into_inner()) < MAIN_VALUES { MAIN_VALUES } else { labels::CLASSES.len() + 1 };
    describe(settings, &mut ids, values)?;
    let images: usize = ids.values().map(Vec::len).sum();
    let counts = Counts { ok: images as u64, ..Counts::default() };
    let sizes: Vec<String> = ids.iter().map(|(split, ids)| format!("{split} {}", ids.len())).collect();
    let summary = format!("{images} class maps of {values} values: {}", sizes.join(", "));
    Ok(Report { counts, summary, artifacts: vec![settings.out.url().to_owned()] })
}

fn no_masks(context: &Context) -> Error {
    Error::Usage(format!(
        "there are no masks in {}; make them first with `selvedge merge`",
        context.tables.store().url()
    ))
}

/// The split of each image, when images were ever split.
fn splits(context: &Context) -> Result<Option<BTreeMap<String, String>>, Error> {
    let Some(version) = context.tables.current(&SPLITS)? else { return Ok(None) };
    let mut split_of = BTreeMap::new();
    for batch in context.tables.scan(Place::from(&SPLITS), &version, Some(&["image_id", "split"])) {
        let batch = batch?;
        let (ids, splits) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        split_of.extend((0..batch.num_rows()).map(|row| (ids.value(row).to_owned(), splits.value(row).to_owned())));
    }
    Ok(Some(split_of))
}

/// One row of a batch of [`COLUMNS`], whose types the reader has checked.
fn spans_of(batch: &RecordBatch, row: usize) -> (&str, ClassSpans<'_>) {
    let number = |column: usize| batch.column(column).as_primitive::<UInt32Type>().value(row);
    let (classes, lengths) = (batch.column(3).as_list::<i32>(), batch.column(4).as_list::<i32>());
    let range = |offsets: &[i32]| offsets[row] as usize..offsets[row + 1] as usize;
    let spans = ClassSpans {
        height: number(1),
        width: number(2),
        classes: &classes.values().as_primitive::<UInt8Type>().values()[range(classes.value_offsets())],
        lengths: &lengths.values().as_primitive::<UInt32Type>().values()[range(lengths.value_offsets())],
    };
    (batch.column(0).as_string::<i32>().value(row), spans)
}

/// Draws, encodes and puts some class maps on as many threads as the stage may keep busy, one map in memory each. Raises
/// `highest` to the highest class among them.
fn write(
    maps: &[(String, ClassSpans<'_>)],
    settings: &ExportSettings,
    context: &Context,
    highest: &AtomicU8,
) -> Result<(), Error> {
    let (next, stop, failure) = (AtomicUsize::new(0), AtomicBool::new(false), Mutex::new(None));
    let one = |key: &str, spans: &ClassSpans<'_>| -> Result<(), Error> {
        check(&context.cancel)?;
        let failed = |error| Error::Failed(format!("{key}: {error}; make the masks again with `selvedge merge`"));
        let png =
            encode::png_class_map(spans.width, spans.height, &spans.rasterise().map_err(failed)?).map_err(failed)?;
        settings.out.wait(settings.out.put(key, Bytes::from(png)))?;
        let top = spans.classes.iter().copied().filter(|value| *value != u8::MAX).max();
        highest.fetch_max(top.unwrap_or(0), Ordering::Relaxed);
        context.events.emit(Event::Advanced { stage: context.stage.clone(), by: 1 });
        Ok(())
    };
    let work = || {
        while let Some((key, spans)) = maps.get(next.fetch_add(1, Ordering::Relaxed)) {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if let Err(error) = one(key, spans) {
                stop.store(true, Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..context.threads.clamp(1, maps.len().max(1)) {
            scope.spawn(work);
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Writes what the class maps need to be understood.
fn describe(settings: &ExportSettings, ids: &mut BTreeMap<String, Vec<String>>, values: usize) -> Result<(), Error> {
    let out = &settings.out;
    for (split, ids) in &mut *ids {
        ids.sort_unstable();
        out.wait(out.put(&format!("splits/{split}.txt"), Bytes::from(lines(ids.iter().map(String::as_str)))))?;
    }
    let names: Vec<&str> = (0..values).map(|value| labels::value_name(value as u8)).collect();
    out.wait(out.put("classes.txt", Bytes::from(lines(names.iter().copied()))))?;
    let images: BTreeMap<&str, usize> = ids.iter().map(|(split, ids)| (split.as_str(), ids.len())).collect();
    let dataset = json!({
        "schema": "selvedge.dataset/1",
        "classes": names,
        "palette": palette(values),
        "ignore_index": 255,
        "reduce_zero_label": false,
        "seg_map_suffix": ".png",
        "ann_dir": "ann_dir",
        "images": images,
    });
    let text = serde_json::to_vec_pretty(&dataset)
        .map_err(|error| Error::Failed(format!("dataset.json cannot be written: {error}")))?;
    out.wait(out.put("dataset.json", Bytes::from(text)))?;
    Ok(())
}

fn lines<'a>(lines: impl Iterator<Item = &'a str>) -> String {
    lines.flat_map(|line| [line, "\n"]).collect()
}
