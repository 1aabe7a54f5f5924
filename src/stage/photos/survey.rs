//! Looks at photos: those whose facts are not known are fetched and decoded once, on all threads, and what came of it is
//! remembered as the work goes on, so that work that is cut off goes on where it was. Must not know what the facts are for.

use super::facts::{Facts, Picture};
use super::{limits, remember};
use crate::digest;
use crate::event::Event;
use crate::image::{self, DecodedImage, SourceImage, decode};
use crate::stage::{Context, Error, check};
use crate::storage::{ObjectInfo, Store};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Photos after which facts are written down: some minutes of work at most.
const CHUNK: usize = 4096;

/// What is known of each photo, by key. Those that are not known as they are now are decoded, on all the stage's threads. A
/// photo that cannot be read or decoded has a reason among its facts; an error is the store's, or a wish to stop: what was
/// found until then is kept.
pub fn survey<'a>(
    photos: &Store,
    listed: impl IntoIterator<Item = &'a ObjectInfo>,
    context: &Context,
) -> Result<HashMap<String, Facts>, Error> {
    let listed: HashMap<&str, &ObjectInfo> = listed.into_iter().map(|photo| (photo.key.as_str(), photo)).collect();
    let remember::Known { mut facts, outdated } = remember::known(&listed, context)?;
    let mut wanted: Vec<&ObjectInfo> =
        listed.into_values().filter(|photo| !facts.contains_key(photo.key.as_str())).collect();
    // By key, so that what is neighbours in the store is read together, and a second try takes the same chunks.
    wanted.sort_unstable_by(|one, other| one.key.cmp(&other.key));
    if !wanted.is_empty() {
        let total = Some(wanted.len() as u64);
        context.events.emit(Event::StageStarted { stage: context.stage.clone(), total, unit: "photos" });
    }
    for chunk in wanted.chunks(CHUNK) {
        let (found, failure) = look_at(photos, chunk, context);
        let lasting: BTreeMap<&str, &Facts> =
            found.iter().filter(|(_, facts)| !facts.passing()).map(|(key, facts)| (key.as_str(), facts)).collect();
        let kept = match lasting.is_empty() {
            true => Ok(()),
            false => {
                let had_row = lasting.keys().filter(|key| outdated.contains(**key)).count();
                remember::append(&lasting, had_row, context)
            }
        };
        if let Some(error) = failure {
            return Err(error);
        }
        kept?;
        remember::settle(false, context)?;
        facts.extend(found);
    }
    remember::settle(true, context)?;
    Ok(facts)
}

/// Looks at some photos, and says what stopped it.
fn look_at(photos: &Store, wanted: &[&ObjectInfo], context: &Context) -> (Vec<(String, Facts)>, Option<Error>) {
    let (next, found, failure) = (AtomicUsize::new(0), Mutex::new(Vec::new()), Mutex::new(None));
    let work = || {
        while let Some(photo) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
            match check(&context.cancel).and_then(|()| look(photos, photo)) {
                Ok(facts) => found.lock().unwrap_or_else(PoisonError::into_inner).push((photo.key.clone(), facts)),
                Err(error) => {
                    next.store(wanted.len(), Ordering::Relaxed);
                    failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
            context.events.emit(Event::Advanced { stage: context.stage.clone(), by: 1 });
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..context.threads.clamp(1, wanted.len().max(1)) {
            scope.spawn(work);
        }
    });
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    (found, failure.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// Looks at one photo. What is wrong with the photo itself is a fact; an error is the store's.
fn look(photos: &Store, photo: &ObjectInfo) -> Result<Facts, Error> {
    let mut facts = Facts {
        etag: photo.etag.clone(),
        size: photo.size,
        height: 0,
        width: 0,
        format: String::new(),
        reason: None,
        detail: String::new(),
        content: String::new(),
        picture: None,
    };
    let bytes = match photos.wait(photos.get_if(photo)) {
        Ok(bytes) => bytes,
        Err(error) => {
            let Some(reason) = error.reason() else { return Err(error.into()) };
            return Ok(Facts { reason: Some(reason), detail: error.to_string(), ..facts });
        }
    };
    facts.content = digest::of(&bytes);
    let jpeg_quality = image::jpeg_quality(&bytes);
    match decode(&SourceImage { bytes }, &limits()) {
        Ok(image) => {
            (facts.height, facts.width) = (image.height, image.width);
            facts.format = image.facts.format.word().to_owned();
            facts.picture = Some(picture(&image, jpeg_quality));
        }
        Err(error) => {
            facts.reason = Some(image::Error::reason(&error));
            facts.detail = error.to_string();
        }
    }
    Ok(facts)
}

fn picture(image: &DecodedImage, jpeg_quality: Option<u8>) -> Picture {
    Picture {
        orientation: image.facts.orientation,
        profile: image.facts.profile.clone(),
        colour: image.facts.colour.word().to_owned(),
        bits: image.facts.bits,
        jpeg_quality,
        survey: image::survey(image),
    }
}
