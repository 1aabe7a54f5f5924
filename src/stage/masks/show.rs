//! One image with its mask over it, and which images are worth showing. Must not know where the picture goes.

use super::{COLUMNS, no_masks, spans_of};
use crate::event::{Level, note};
use crate::image::raster::{overlay, palette};
use crate::image::{DecodedImage, Filter, Limits, SourceImage, decode, encode, resize_rgb};
use crate::stage::measure::legend::{Entry, entries};
use crate::stage::tables::Place;
use crate::stage::{Context, Error, check};
use crate::storage::{self, Store};
use crate::table::labels;
use crate::table::schema::MASKS;
use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, UInt8Type};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// What the photo is when there is none: dark grey.
const NO_PHOTO: u8 = 40;
/// Endings that photos are looked for under, in this order.
const ENDINGS: [&str; 5] = ["jpg", "jpeg", "png", "webp", "tiff"];

/// What to show.
#[derive(Clone, Debug)]
pub struct ShowSettings {
    /// The image.
    pub image_id: String,
    /// The photos, named by image id, directly in this folder; dark grey in their place when there are none.
    pub photos: Option<Store>,
    /// Pixels of the longer side at most; smaller images are not enlarged.
    pub long_side: u32,
}

/// An image with its mask over it.
#[derive(Clone, Debug)]
pub struct Shown {
    /// RGB PNG.
    pub png: Vec<u8>,
    /// Height of the image as annotated, pixels.
    pub height: u32,
    /// Width of the image as annotated, pixels.
    pub width: u32,
    /// The classes that occur, the largest first.
    pub legend: Vec<Entry>,
}

/// Draws one image with its mask over it.
pub fn show(settings: &ShowSettings, context: &Context) -> Result<Shown, Error> {
    let mut shown = None;
    each(std::slice::from_ref(&settings.image_id), context, |batch, row| {
        shown = Some(draw(&batch, row, settings, context));
    })?;
    shown.unwrap_or_else(|| {
        let (id, url) = (&settings.image_id, context.tables.store().url());
        let text =
            format!("the image {id} has no masks in {url}; its rows may be in the quarantine, or the id is misspelt");
        Err(Error::Usage(text))
    })
}

/// An image and its picture, or why it cannot be drawn.
pub type Drawn = (String, Result<Shown, Error>);

/// Draws several images in one pass over the masks, in the order given; one that cannot be drawn is an error of its own, and
/// one that is not there is left out.
pub fn show_all(
    ids: &[String],
    photos: Option<&Store>,
    long_side: u32,
    context: &Context,
) -> Result<Vec<Drawn>, Error> {
    let mut shown: BTreeMap<usize, Drawn> = BTreeMap::new();
    each(ids, context, |batch, row| {
        let id = batch.column(0).as_string::<i32>().value(row);
        let Some(place) = ids.iter().position(|wanted| wanted == id) else { return };
        let settings = ShowSettings { image_id: id.to_owned(), photos: photos.cloned(), long_side };
        shown.insert(place, (id.to_owned(), draw(&batch, row, &settings, context)));
    })?;
    Ok(shown.into_values().collect())
}

/// Images that say most about a dataset in a few pictures: of each of the rarest classes the first one that shows it, and then
/// those that most classes claim the same pixels of. At most `rare` and `contested` of them.
pub fn examples(rare: usize, contested: usize, context: &Context) -> Result<Vec<String>, Error> {
    let Some(masks) = context.tables.current(&MASKS)? else { return Ok(Vec::new()) };
    let mut images: Vec<(String, Vec<u8>, f32)> = Vec::new();
    let columns = ["image_id", "class_ids", "conflicted_share"];
    for batch in context.tables.scan(Place::from(&MASKS), &masks, Some(&columns)) {
        check(&context.cancel)?;
        let batch = batch?;
        let (ids, classes) = (batch.column(0).as_string::<i32>(), batch.column(1).as_list::<i32>());
        let shares = batch.column(2).as_primitive::<Float32Type>();
        for row in 0..batch.num_rows() {
            let classes = classes.value(row).as_primitive::<UInt8Type>().values().to_vec();
            images.push((ids.value(row).to_owned(), classes, shares.value(row)));
        }
    }
    images.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(chosen(&images, rare, contested))
}

/// The choice among images: id, values in the class map, share of contested pixels.
fn chosen(images: &[(String, Vec<u8>, f32)], rare: usize, contested: usize) -> Vec<String> {
    let mut counts: BTreeMap<u8, usize> = BTreeMap::new();
    for class in images.iter().flat_map(|(_, classes, _)| classes).filter(|class| !matches!(class, 0 | 255)) {
        *counts.entry(*class).or_default() += 1;
    }
    let mut rarest: Vec<(usize, u8)> = counts.into_iter().map(|(class, count)| (count, class)).collect();
    rarest.sort_unstable();
    let mut chosen: Vec<&str> = Vec::new();
    for (_, class) in rarest.into_iter().take(rare) {
        let new =
            |(id, classes, _): &&(String, Vec<u8>, f32)| classes.contains(&class) && !chosen.contains(&id.as_str());
        let found = images.iter().find(new).map(|(id, ..)| id.as_str());
        chosen.extend(found);
    }
    let mut by_contest: Vec<_> = images.iter().filter(|(.., share)| *share > 0.0).collect();
    by_contest
        .sort_by(|one, other| Reverse(one.2.to_bits()).cmp(&Reverse(other.2.to_bits())).then(one.0.cmp(&other.0)));
    let most = chosen.len() + contested;
    for (id, ..) in by_contest {
        if chosen.len() < most && !chosen.contains(&id.as_str()) {
            chosen.push(id);
        }
    }
    chosen.into_iter().map(str::to_owned).collect()
}

/// Calls `take` with the rows of these images.
fn each(ids: &[String], context: &Context, mut take: impl FnMut(RecordBatch, usize)) -> Result<(), Error> {
    let masks = context.tables.current(&MASKS)?.ok_or_else(|| no_masks(context))?;
    let mut left = ids.len();
    for batch in context.tables.scan(Place::from(&MASKS), &masks, Some(&COLUMNS)) {
        if left == 0 {
            break;
        }
        check(&context.cancel)?;
        let batch = batch?;
        let found = batch.column(0).as_string::<i32>();
        for row in (0..batch.num_rows()).filter(|row| ids.iter().any(|id| id == found.value(*row))) {
            left = left.saturating_sub(1);
            take(batch.clone(), row);
        }
    }
    Ok(())
}

fn draw(batch: &RecordBatch, row: usize, settings: &ShowSettings, context: &Context) -> Result<Shown, Error> {
    let ShowSettings { image_id, photos, long_side } = settings;
    let spans = spans_of(batch, row).1;
    let failed = |error| Error::Failed(format!("the mask of {image_id}: {error}"));
    let (width, height) = fitted(spans.width, spans.height, *long_side);
    let map = spans.sample(width, height).map_err(failed)?;
    let mut rgb = match photos {
        Some(photos) => {
            let photo = photo(photos, image_id)?;
            if (photo.width, photo.height) != (spans.width, spans.height) {
                let text = format!(
                    "the photo of {image_id} is {} × {} and its masks are {} × {}: the photo is stretched to them here, and unfit to train on",
                    photo.width, photo.height, spans.width, spans.height
                );
                note(&context.events, Level::Warn, text);
            }
            resize_rgb(&photo, width, height, Filter::Bilinear).map_err(failed)?
        }
        None => vec![NO_PHOTO; map.len() * 3],
    };
    let colours = palette(labels::CLASSES.len() + 1);
    overlay(&mut rgb, &map, width, &colours).map_err(failed)?;
    let png = encode::png_rgb(width, height, &rgb, None).map_err(failed)?;
    let mut pixels: BTreeMap<u8, u64> = BTreeMap::new();
    for (value, length) in spans.classes.iter().zip(spans.lengths) {
        *pixels.entry(*value).or_default() += u64::from(*length);
    }
    let mut legend = entries(pixels, &colours);
    legend.sort_by_key(|entry| (std::cmp::Reverse(entry.pixels), entry.class));
    Ok(Shown { png, height: spans.height, width: spans.width, legend })
}

/// The size with the longer side at most `long_side`, at least 1 pixel each.
fn fitted(width: u32, height: u32, long_side: u32) -> (u32, u32) {
    let long = width.max(height);
    if long <= long_side {
        return (width, height);
    }
    let scaled = |side: u32| (u64::from(side) * u64::from(long_side) / u64::from(long)).max(1) as u32;
    (scaled(width), scaled(height))
}

/// The photo of an image, as stored: masks follow the stored pixels, not the orientation that EXIF asks for.
fn photo(photos: &Store, image_id: &str) -> Result<DecodedImage, Error> {
    for ending in ENDINGS {
        let key = format!("{image_id}.{ending}");
        let bytes = match photos.wait(photos.get(&key)) {
            Ok(bytes) => bytes,
            Err(storage::Error::NotFound { .. }) => continue,
            Err(error) => return Err(error.into()),
        };
        let limits = Limits { apply_orientation: false, ..Limits::default() };
        return decode(&SourceImage { bytes }, &limits)
            .map_err(|error| Error::Failed(format!("{}/{key}: {error}", photos.url())));
    }
    Err(Error::Usage(format!(
        "there is no photo of {image_id} in {}; leave --photos out to see the mask alone",
        photos.url()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rarest_classes_are_shown_and_then_what_is_most_contested() {
        let image = |id: &str, classes: &[u8], share| (id.to_owned(), classes.to_vec(), share);
        let images =
            [image("a", &[0, 1], 0.0), image("b", &[0, 1, 2], 0.1), image("c", &[0, 1], 0.9), image("d", &[1], 0.5)];
        assert_eq!(chosen(&images, 1, 2), ["b", "c", "d"]);
        assert_eq!(chosen(&images, 2, 0), ["b", "a"]);
        assert_eq!(chosen(&[], 3, 3), [""; 0]);
    }
}
