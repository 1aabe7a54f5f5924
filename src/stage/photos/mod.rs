//! Photos as things to know of: which of them can be decoded, what they are like in figures, and which are alike. The table
//! `images` remembers by entity tag, so that no photo is decoded twice for it. Must not know masks, nor what photos are for.

pub mod alike;
mod facts;
mod remember;
mod survey;

pub use facts::{Facts, Picture};
pub use survey::survey;

use super::{Context, Error};
use crate::event::{Level, note};
use crate::image::Limits;
use crate::storage::{self, ObjectInfo, Store};
use futures::StreamExt;
use std::collections::HashMap;

/// Photos are looked at as stored: masks and figures follow the stored pixels, not the orientation that EXIF asks for.
pub fn limits() -> Limits {
    Limits { apply_orientation: false, ..Limits::default() }
}

/// Whether an object is what selvedge keeps for itself beside the photos of a folder; everything else there is taken for a
/// photo.
pub fn is_state(key: &str) -> bool {
    key.split('/').any(|folder| folder == ".selvedge")
}

/// Whether an error of a listing concerns one object only, so that the listing goes on behind it.
pub fn is_of_one(error: &storage::Error, store: &Store) -> bool {
    store.is_folder() || matches!(error, storage::Error::Unsupported { .. })
}

/// Every photo below a prefix of the store (all of them where it is empty), ascending by key. What cannot be listed is told
/// of and left out, as long as it is one object's matter.
pub fn list(photos: &Store, prefix: &str, context: &Context) -> Result<Vec<ObjectInfo>, Error> {
    let mut listed = photos.list(prefix);
    let mut found = Vec::new();
    while let Some(photo) = photos.wait(listed.next()) {
        match photo {
            Ok(photo) if is_state(&photo.key) => {}
            Ok(photo) => found.push(photo),
            Err(error) if is_of_one(&error, photos) => note(&context.events, Level::Warn, error.to_string()),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(found)
}

/// What is known of every photo below a prefix of the store, by key; those not known yet are decoded now.
pub fn survey_all(photos: &Store, prefix: &str, context: &Context) -> Result<HashMap<String, Facts>, Error> {
    survey(photos, &list(photos, prefix, context)?, context)
}
