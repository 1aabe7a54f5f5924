//! Which photos can be decoded: each is tried once, and the table `images` remembers by entity tag what came of it. Must not
//! know masks.

use super::limits;
use crate::digest::Fingerprint;
use crate::event::Event;
use crate::image::{self, SourceImage, decode};
use crate::outcome::Reason;
use crate::stage::tables::{Place, Publication};
use crate::stage::{Context, Error, check};
use crate::storage::{ObjectInfo, Store};
use crate::table::part;
use crate::table::schema::IMAGES;
use arrow::array::{Array, AsArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{UInt32Type, UInt64Type};
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// How often a publication is tried anew when another stage publishes in between.
const TRIES: usize = 20;

/// What is known of a photo.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Facts {
    etag: String,
    size: u64,
    /// As stored, in pixels; 0 where unknown.
    pub(super) height: u32,
    pub(super) width: u32,
    format: String,
    /// Why it cannot be used, if it cannot.
    pub(super) reason: Option<Reason>,
    pub(super) detail: String,
}

impl Facts {
    /// Whether they can change without the photo changing, so that they are not to be remembered.
    fn passing(&self) -> bool {
        matches!(
            self.reason,
            Some(Reason::Vanished | Reason::ChangedSincePlan | Reason::TransientExhausted | Reason::Unreadable)
        )
    }
}

/// What is known of each photo, by key. Those not known yet are decoded now, on all the stage's threads.
pub(super) fn verify(
    photos: &Store,
    listed: &BTreeMap<String, ObjectInfo>,
    context: &Context,
) -> Result<HashMap<String, Facts>, Error> {
    let mut known = known(context)?;
    let current = |photo: &ObjectInfo, facts: &Facts| photo.etag == facts.etag && photo.size == facts.size;
    let wanted: Vec<&ObjectInfo> =
        listed.values().filter(|photo| known.get(&photo.key).is_none_or(|facts| !current(photo, facts))).collect();
    if wanted.is_empty() {
        return Ok(known);
    }
    let stage = &context.stage;
    context.events.emit(Event::StageStarted { stage: stage.clone(), total: Some(wanted.len() as u64), unit: "photos" });
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
            context.events.emit(Event::Advanced { stage: stage.clone(), by: 1 });
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..context.threads.clamp(1, wanted.len()) {
            scope.spawn(work);
        }
    });
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let lasting: HashMap<String, Facts> = found.iter().filter(|(_, facts)| !facts.passing()).cloned().collect();
    known.extend(found);
    if !lasting.is_empty() {
        remember(lasting, context)?;
    }
    Ok(known)
}

/// Decodes one photo. What is wrong with the photo itself is a fact; an error is the store's.
fn look(photos: &Store, photo: &ObjectInfo) -> Result<Facts, Error> {
    let mut facts = Facts {
        etag: photo.etag.clone(),
        size: photo.size,
        height: 0,
        width: 0,
        format: String::new(),
        reason: None,
        detail: String::new(),
    };
    let bytes = match photos.wait(photos.get_if(photo)) {
        Ok(bytes) => bytes,
        Err(error) => {
            let Some(reason) = error.reason() else { return Err(error.into()) };
            return Ok(Facts { reason: Some(reason), detail: error.to_string(), ..facts });
        }
    };
    match decode(&SourceImage { bytes }, &limits()) {
        Ok(image) => {
            (facts.height, facts.width) = (image.height, image.width);
            facts.format = image.facts.format.word().to_owned();
        }
        Err(error) => {
            facts.reason = Some(image::Error::reason(&error));
            facts.detail = error.to_string();
        }
    }
    Ok(facts)
}

/// What the table says.
fn known(context: &Context) -> Result<HashMap<String, Facts>, Error> {
    let mut known = HashMap::new();
    let Some(version) = context.tables.current(&IMAGES)? else { return Ok(known) };
    for batch in context.tables.scan(Place::from(&IMAGES), &version, None) {
        let batch = batch?;
        let text = |column: usize| batch.column(column).as_string::<i32>();
        let number = |column: usize, row: usize| batch.column(column).as_primitive::<UInt32Type>().value(row);
        for row in 0..batch.num_rows() {
            let reasons = text(6);
            let facts = Facts {
                etag: text(1).value(row).to_owned(),
                size: batch.column(2).as_primitive::<UInt64Type>().value(row),
                height: number(3, row),
                width: number(4, row),
                format: text(5).value(row).to_owned(),
                reason: (!reasons.is_null(row)).then(|| reasons.value(row)).and_then(Reason::from_code),
                detail: text(7).value(row).to_owned(),
            };
            known.insert(text(0).value(row).to_owned(), facts);
        }
    }
    Ok(known)
}

/// Adds facts to the table. Another stage that publishes in between has facts of its own, which stay.
fn remember(facts: HashMap<String, Facts>, context: &Context) -> Result<(), Error> {
    for _ in 0..TRIES {
        let base = context.tables.current(&IMAGES)?;
        let all: BTreeMap<String, Facts> = known(context)?.into_iter().chain(facts.clone()).collect();
        let mut publication = Publication::begin(context, Place::from(&IMAGES));
        publication.put(part::whole(&IMAGES, &[rows(&all)?])?)?;
        match publication.publish(base.as_ref(), Fingerprint::default(), BTreeMap::new()) {
            Err(Error::Conflict(_)) => {}
            ended => return ended.map(|_| ()),
        }
    }
    Err(Error::Conflict(format!("{}/{}", context.tables.store().url(), IMAGES.name)))
}

fn rows(all: &BTreeMap<String, Facts>) -> Result<RecordBatch, Error> {
    let text = |of: fn(&Facts) -> &str| Arc::new(StringArray::from_iter_values(all.values().map(of)));
    let number = |of: fn(&Facts) -> u32| Arc::new(UInt32Array::from_iter_values(all.values().map(of)));
    let reasons: StringArray = all.values().map(|facts| facts.reason.map(Reason::code)).collect();
    let batch = RecordBatch::try_new(
        IMAGES.schema(),
        vec![
            Arc::new(StringArray::from_iter_values(all.keys())),
            text(|facts| &facts.etag),
            Arc::new(UInt64Array::from_iter_values(all.values().map(|facts| facts.size))),
            number(|facts| facts.height),
            number(|facts| facts.width),
            text(|facts| &facts.format),
            Arc::new(reasons),
            text(|facts| &facts.detail),
        ],
    );
    Ok(batch.map_err(crate::table::Error::from)?)
}
