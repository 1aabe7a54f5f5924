//! The table `images`: read for the photos at hand, appended to while work goes on, rewritten now and then so that it stays a
//! few parts with one row a photo. Must not know how photos are looked at.

use super::super::parts::Parts;
use super::facts::{self, Facts};
use crate::digest::Fingerprint;
use crate::stage::tables::{Place, Publication};
use crate::stage::{Context, Error};
use crate::storage::ObjectInfo;
use crate::table::schema::IMAGES;
use crate::table::{Manifest, part};
use arrow::array::{AsArray, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, take_record_batch};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How often a publication is tried anew when another stage publishes in between.
const TRIES: usize = 20;
/// Appended parts that a version may have before it is rewritten.
const APPENDED: u64 = 32;
/// Rows that are rewritten at a time.
const REWRITTEN: usize = 16_384;
/// What a row weighs in memory, roughly.
const ROW_BYTES: usize = 400;
/// In the facts of a version: how many of its parts came from a rewrite.
const SETTLED: &str = "parts_settled";
/// In the facts of a version: how many rows at most are of photos that have a later row.
const SUPERSEDED: &str = "rows_superseded";

/// What the table says of some photos.
pub(super) struct Known {
    /// The facts of those that did not change since.
    pub(super) facts: HashMap<String, Facts>,
    /// Keys of others that have a row of an earlier state or an earlier schema.
    pub(super) outdated: HashSet<String>,
}

/// Reads the table for some photos, by key. A row is of one state of a photo, so its place does not matter here.
pub(super) fn known(listed: &HashMap<&str, &ObjectInfo>, context: &Context) -> Result<Known, Error> {
    let mut known = Known { facts: HashMap::new(), outdated: HashSet::new() };
    let Some(version) = context.tables.current(&IMAGES)? else { return Ok(known) };
    for batch in context.tables.scan(Place::from(&IMAGES), &version, None) {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let (key, etag, size) = facts::photo_of(&batch, row);
            let Some(photo) = listed.get(key) else { continue };
            match facts::read(&batch, row).filter(|_| photo.etag == etag && photo.size == size) {
                Some(facts) => drop(known.facts.insert(key.to_owned(), facts)),
                None => drop(known.outdated.insert(key.to_owned())),
            }
        }
    }
    known.outdated.retain(|key| !known.facts.contains_key(key));
    Ok(known)
}

/// Appends facts as one more part; `outdated` of them have a row already. Another stage that publishes in between has facts
/// of its own, which stay.
pub(super) fn append(found: &BTreeMap<&str, &Facts>, outdated: usize, context: &Context) -> Result<(), Error> {
    let batch = facts::rows(found)?;
    let mut superseded = outdated as u64;
    for _ in 0..TRIES {
        let base = context.tables.current(&IMAGES)?;
        let mut publication = Publication::begin(context, Place::from(&IMAGES));
        base.iter().flat_map(|base| &base.parts).for_each(|entry| publication.keep(entry.clone()));
        let entry = publication.put(part::whole(&IMAGES, std::slice::from_ref(&batch))?)?;
        entry.first = found.keys().next().map_or_else(String::new, |key| (*key).to_owned());
        entry.last = found.keys().next_back().map_or_else(String::new, |key| (*key).to_owned());
        let facts = BTreeMap::from([
            (SETTLED.to_owned(), fact(base.as_ref(), SETTLED)),
            (SUPERSEDED.to_owned(), fact(base.as_ref(), SUPERSEDED) + superseded),
        ]);
        match publication.publish(base.as_ref(), Fingerprint::default(), facts) {
            // The other writer may have looked at the same photos.
            Err(Error::Conflict(_)) => superseded = found.len() as u64,
            ended => return ended.map(|_| ()),
        }
    }
    Err(conflict(context))
}

/// Rewrites the table where it has many parts, or at the `end` of the work where photos have several rows: then one row a
/// photo, the last, sorted by key.
pub(super) fn settle(end: bool, context: &Context) -> Result<(), Error> {
    for _ in 0..TRIES {
        let Some(base) = context.tables.current(&IMAGES)? else { return Ok(()) };
        let appended = (base.parts.len() as u64).saturating_sub(fact(Some(&base), SETTLED));
        if appended <= APPENDED && !(end && fact(Some(&base), SUPERSEDED) > 0) {
            return Ok(());
        }
        let publication = rewrite(&base, context)?;
        let facts =
            BTreeMap::from([(SETTLED.to_owned(), publication.parts().len() as u64), (SUPERSEDED.to_owned(), 0)]);
        match publication.publish(Some(&base), Fingerprint::default(), facts) {
            Err(Error::Conflict(_)) => {}
            ended => return ended.map(|_| ()),
        }
    }
    Err(conflict(context))
}

fn rewrite<'a>(base: &Manifest, context: &'a Context) -> Result<Publication<'a>, Error> {
    let batches: Vec<RecordBatch> =
        context.tables.scan(Place::from(&IMAGES), base, None).collect::<Result<_, Error>>()?;
    let all = concat_batches(&IMAGES.schema(), &batches).map_err(crate::table::Error::from)?;
    drop(batches);
    let keys = all.column(0).as_string::<i32>();
    let last: BTreeMap<&str, u32> = keys.iter().flatten().zip(0..).collect();
    let order: Vec<u32> = last.into_values().collect();
    let mut parts = Parts::begin(context, &IMAGES, "");
    for some in order.chunks(REWRITTEN) {
        let batch = take_record_batch(&all, &UInt32Array::from(some.to_vec())).map_err(crate::table::Error::from)?;
        parts.write(&batch, batch.num_rows() * ROW_BYTES)?;
    }
    parts.finish(true)
}

fn fact(version: Option<&Manifest>, name: &str) -> u64 {
    version.and_then(|version| version.facts.get(name).copied()).unwrap_or(0)
}

fn conflict(context: &Context) -> Error {
    Error::Conflict(format!("{}/{}", context.tables.store().url(), IMAGES.name))
}
