//! Which photos are the same, byte for byte. Must not know what they show.

use crate::digest;
use crate::event::Event;
use crate::outcome::Reason;
use crate::stage::{Context, Error, check, dataset};
use crate::storage::{self, Store};
use futures::{StreamExt, TryStreamExt, stream};
use std::collections::BTreeMap;

/// Photos read at a time: enough to hide the waiting, few enough for the memory (a photo is some megabytes).
const IN_FLIGHT: usize = 16;

/// The digest of each image's photo, for those that have one.
pub(super) fn contents<T>(
    store: &Store,
    images: &BTreeMap<String, T>,
    context: &Context,
) -> Result<BTreeMap<String, String>, Error> {
    let wanted = dataset::find(store, images)?;
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
