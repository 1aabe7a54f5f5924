//! Which photos are the same, byte for byte. Must not know what they show.

use crate::digest;
use crate::event::Event;
use crate::outcome::Reason;
use crate::stage::{Context, Error, check};
use crate::storage::{self, ObjectInfo, Store};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;

/// Photos read at a time: enough to hide the waiting, few enough for the memory (a photo is some megabytes).
const IN_FLIGHT: usize = 16;

/// What changes when any photo does: names, sizes and entity tags of them all.
pub(super) fn listing_digest(store: &Store) -> Result<String, Error> {
    let mut listed = store.list("");
    let mut lines = String::new();
    store.wait(async {
        while let Some(photo) = listed.try_next().await? {
            lines.push_str(&format!("{}\0{}\0{}\n", photo.key, photo.size, photo.etag));
        }
        Ok::<(), Error>(())
    })?;
    Ok(digest::of(lines.as_bytes()))
}

/// The digest of each image's photo, for those that have one.
pub(super) fn contents<T>(
    store: &Store,
    images: &BTreeMap<String, T>,
    context: &Context,
) -> Result<BTreeMap<String, String>, Error> {
    let wanted = find(store, images)?;
    let (stage, events) = (&context.stage, &context.events);
    events.emit(Event::StageStarted { stage: stage.clone(), total: Some(wanted.len() as u64), unit: "photos" });
    store.wait(async {
        let mut reads = stream::iter(wanted)
            .map(|(id, photo)| async move {
                match store.get_if(&photo).await {
                    Ok(bytes) => Ok(Some((id, digest::of(&bytes)))),
                    Err(error) if gone(&error) => Ok(None),
                    Err(error) => Err(Error::from(error)),
                }
            })
            .buffer_unordered(IN_FLIGHT);
        let mut contents = BTreeMap::new();
        while let Some(read) = reads.try_next().await? {
            check(&context.cancel)?;
            contents.extend(read);
            events.emit(Event::Advanced { stage: stage.clone(), by: 1 });
        }
        Ok(contents)
    })
}

/// Whether only this photo is to blame, so that the image does without one.
fn gone(error: &storage::Error) -> bool {
    matches!(error.reason(), Some(Reason::Vanished | Reason::ChangedSincePlan))
}

/// The photo of each image: the first key, in byte order, whose last part without its ending is the image's id.
fn find<T>(store: &Store, images: &BTreeMap<String, T>) -> Result<BTreeMap<String, ObjectInfo>, Error> {
    let mut listed = store.list("");
    let mut found = BTreeMap::new();
    store.wait(async {
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
