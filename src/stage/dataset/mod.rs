//! Photos with their masks, as training and evaluation take them: `masks` and `splits` joined with the photos of a store,
//! and every photo decoded once before, so that none fails in the middle of an epoch. Must not know what the photos are for.

mod masks;

pub use masks::Spans;

use super::{Context, Error};
use crate::digest::{self, Fingerprint};
use crate::event::{Event, Level, note};
use crate::image::{DecodedImage, SourceImage, decode};
use crate::outcome::{Outcome, Reason};
use crate::stage::photos;
use crate::stage::quarantine::{self, Row};
use crate::storage::{ObjectInfo, Store};
use crate::table::schema::{MASKS, SPLITS};
use futures::TryStreamExt;
use masks::Masks;
use std::collections::BTreeMap;

/// The images of one split that can be used.
#[derive(Clone)]
pub struct Dataset {
    photos: Store,
    items: Vec<Item>,
    quarantined: u64,
}

/// One image of a split.
#[derive(Clone, Debug)]
pub struct Item {
    /// The image.
    pub image_id: String,
    /// Its photo.
    pub photo: ObjectInfo,
    /// Height of photo and masks in pixels.
    pub height: u32,
    /// Width of photo and masks in pixels.
    pub width: u32,
    /// The classes that it shows, ascending; 0 is background, 255 void.
    pub class_ids: Vec<u8>,
    /// Pixels of each of them.
    pub class_pixels: Vec<u64>,
    packed: Vec<u8>,
    spans: usize,
}

impl Item {
    /// Its masks.
    pub fn spans(&self) -> Result<Spans, Error> {
        Spans::unpack(self.height, self.width, &self.packed, self.spans)
    }
}

impl Dataset {
    /// The images of some splits, in their order. An image whose photo is missing, cannot be decoded or has another size
    /// than its masks becomes a row of the stage's quarantine. Photos that were decoded before and have not changed since
    /// (table `images`) are not decoded again. Of several processes that open the same images one has to `tell`, before the
    /// others begin: it alone writes to the quarantine. Masks and splits are those of `data`; everything that is written goes to
    /// the stage's own store.
    pub fn open(
        photos: &Store,
        splits: &[&str],
        tell: bool,
        data: &Context,
        context: &Context,
    ) -> Result<Vec<Self>, Error> {
        let depends_on = fingerprint(photos, data)?;
        let split_of = splits_of_images(splits, data)?;
        let found = masks::read(&split_of, data)?;
        let listed = find(photos, &found)?;
        let facts = photos::survey(photos, listed.values(), context)?;
        let mut sets: Vec<Self> =
            splits.iter().map(|_| Self { photos: photos.clone(), items: Vec::new(), quarantined: 0 }).collect();
        let mut rows = Vec::new();
        for (image_id, masks) in found {
            let Some(place) = split_of.get(&image_id).copied() else { continue };
            let Some(set) = sets.get_mut(place) else { continue };
            let photo = listed.get(&image_id);
            match judge(&masks, photo.and_then(|photo| facts.get(&photo.key))) {
                Ok(()) => set.items.extend(photo.map(|photo| item(image_id, masks, photo))),
                Err((reason, detail)) => {
                    set.quarantined += 1;
                    let place = photo
                        .map_or_else(|| photos.url().to_owned(), |photo| photos.child(&photo.key).url().to_owned());
                    rows.push(Row { item: image_id, reason, detail, place });
                }
            }
        }
        if tell {
            rows.iter().for_each(|row| tell_of(row, context));
            quarantine::replace(context, &depends_on, rows)?;
        }
        for (set, split) in sets.iter().zip(splits) {
            if set.items.is_empty() {
                let text = format!(
                    "no image of the split `{split}` can be used: {} are in the quarantine; is {} where the photos lie?",
                    set.quarantined,
                    photos.url()
                );
                return Err(Error::Usage(text));
            }
        }
        Ok(sets)
    }

    /// The images, by their ids ascending.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Images of the split that are in the quarantine.
    pub fn quarantined(&self) -> u64 {
        self.quarantined
    }

    /// Leaves only the first images.
    pub fn truncate(&mut self, images: usize) {
        self.items.truncate(images);
    }

    /// The photo as stored: masks follow the stored pixels, not the orientation that EXIF asks for.
    pub fn photo(&self, item: &Item) -> Result<DecodedImage, Error> {
        let bytes = self.photos.wait(self.photos.get_if(&item.photo))?;
        let changed = |detail: String| {
            let url = self.photos.child(&item.photo.key);
            Error::Failed(format!("{}: {detail}; it was whole when it was listed: run again", url.url()))
        };
        let photo = decode(&SourceImage { bytes }, &photos::limits()).map_err(|error| changed(error.to_string()))?;
        match (photo.height, photo.width) == (item.height, item.width) {
            true => Ok(photo),
            false => Err(changed(format!("it is {} × {} pixels now", photo.width, photo.height))),
        }
    }
}

/// What the images of a store depend on: masks, splits, and which photos there are.
pub fn fingerprint(photos: &Store, context: &Context) -> Result<Fingerprint, Error> {
    let masks = context.tables.current(&MASKS)?.ok_or_else(|| missing("masks", "merge", context))?;
    let splits = context.tables.current(&SPLITS)?.ok_or_else(|| missing("splits", "split", context))?;
    Ok(Fingerprint::default()
        .with("masks", masks.depends_on.digest())
        .with("splits", splits.depends_on.digest())
        .with("photos", listing_digest(photos)?))
}

/// What changes when any photo does: names, sizes and entity tags of them all.
pub fn listing_digest(photos: &Store) -> Result<String, Error> {
    let mut listed = photos.list("");
    let mut lines = String::new();
    photos.wait(async {
        while let Some(photo) = listed.try_next().await? {
            lines.push_str(&format!("{}\0{}\0{}\n", photo.key, photo.size, photo.etag));
        }
        Ok::<(), Error>(())
    })?;
    Ok(digest::of(lines.as_bytes()))
}

fn missing(table: &str, command: &str, context: &Context) -> Error {
    let url = context.tables.store().url();
    Error::Usage(format!("there are no {table} in {url}; make them first with `selvedge {command}`"))
}

/// Which of some splits each image belongs to, for those that do.
fn splits_of_images(splits: &[&str], context: &Context) -> Result<BTreeMap<String, usize>, Error> {
    let (split_of, known) = masks::splits(context)?;
    if let Some(unknown) = splits.iter().find(|split| !known.iter().any(|known| known == *split)) {
        let text = format!(
            "there is no split `{unknown}` in {}; there are {}",
            context.tables.store().url(),
            known.join(", ")
        );
        return Err(Error::Usage(text));
    }
    let place = |split: &str| splits.iter().position(|wanted| *wanted == split);
    Ok(split_of.into_iter().filter_map(|(id, split)| Some((id, place(&split)?))).collect())
}

/// The photo of each image: the first key, in byte order, whose last part without its ending is the image's id.
pub fn find<T>(photos: &Store, images: &BTreeMap<String, T>) -> Result<BTreeMap<String, ObjectInfo>, Error> {
    let mut listed = photos.list("");
    let mut found = BTreeMap::new();
    photos.wait(async {
        while let Some(photo) = listed.try_next().await? {
            let file = photo.key.rsplit('/').next().unwrap_or_default();
            let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
            if images.contains_key(stem) && !found.contains_key(stem) {
                found.insert(stem.to_owned(), photo);
            }
        }
        Ok(found)
    })
}

fn tell_of(row: &Row, context: &Context) {
    context.events.emit(Event::Item {
        stage: context.stage.clone(),
        item: row.item.clone(),
        outcome: Outcome::Quarantined,
        reason: Some(row.reason),
        detail: row.detail.clone(),
    });
}

/// Whether an image can be used, by what is known of its photo.
fn judge(masks: &Masks, photo: Option<&photos::Facts>) -> Result<(), (Reason, String)> {
    let Some(photo) = photo else {
        return Err((Reason::MissingFile, "no photo of this image is there; upload it".to_owned()));
    };
    if let Some(reason) = photo.reason {
        return Err((reason, photo.detail.clone()));
    }
    if (photo.height, photo.width) != (masks.height, masks.width) {
        let detail = format!(
            "the photo is {} × {} pixels and its masks {} × {}: they would lie on other pixels; replace the photo by the one that was annotated",
            photo.width, photo.height, masks.width, masks.height
        );
        return Err((Reason::SizeMismatch, detail));
    }
    Ok(())
}

fn item(image_id: String, masks: Masks, photo: &ObjectInfo) -> Item {
    let Masks { height, width, class_ids, class_pixels, packed, spans } = masks;
    Item { image_id, photo: photo.clone(), height, width, class_ids, class_pixels, packed, spans }
}

/// Tells how many images of the splits stay out, if any.
pub fn tell_quarantined(sets: &[Dataset], context: &Context) {
    let out: u64 = sets.iter().map(Dataset::quarantined).sum();
    if out > 0 {
        let text = format!("{out} images are in the quarantine and stay out; `selvedge stats` says why");
        note(&context.events, Level::Warn, text);
    }
}
