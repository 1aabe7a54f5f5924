//! Tables: instances of each class out of `annotations`, confusions into `confusion`. Must not know networks.

use super::{TRAIN, depends_on};
use crate::digest::Fingerprint;
use crate::stage::measure::confusion::Confusion;
use crate::stage::tables::{Place, Publication};
use crate::stage::{Context, Error, check};
use crate::table::part;
use crate::table::schema::{ANNOTATIONS, CONFUSION, SPLITS};
use arrow::array::{AsArray, RecordBatch, StringArray, UInt8Array, UInt64Array};
use arrow::datatypes::{UInt8Type, UInt64Type};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// The folder of a name's confusions.
pub(super) fn folder(name: &str) -> String {
    format!("{}/{name}", CONFUSION.name)
}

/// Rows of each class of the class map (class id + 1; 0 for background) in the train split. `None` where there is no table
/// of annotations.
pub(super) fn instances(classes: usize, context: &Context) -> Result<Option<Vec<u64>>, Error> {
    let Some(annotations) = context.tables.current(&ANNOTATIONS)? else { return Ok(None) };
    let Some(splits) = context.tables.current(&SPLITS)? else { return Ok(None) };
    let mut train = HashSet::new();
    for batch in context.tables.scan(Place::from(&SPLITS), &splits, Some(&["image_id", "split"])) {
        let batch = batch?;
        let (ids, splits) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        let rows = (0..batch.num_rows()).filter(|row| splits.value(*row) == TRAIN);
        train.extend(rows.map(|row| ids.value(row).to_owned()));
    }
    let mut instances = vec![0_u64; classes];
    let columns = ["image_id", "class_id", "area_px"];
    for batch in context.tables.scan(Place::from(&ANNOTATIONS), &annotations, Some(&columns)) {
        check(&context.cancel)?;
        let batch = batch?;
        let ids = batch.column(0).as_string::<i32>();
        let class_ids = batch.column(1).as_primitive::<UInt8Type>();
        let areas = batch.column(2).as_primitive::<UInt64Type>();
        for row in 0..batch.num_rows() {
            let counts = areas.value(row) > 0 && train.contains(ids.value(row));
            if let Some(count) = instances.get_mut(usize::from(class_ids.value(row)) + 1).filter(|_| counts) {
                *count += 1;
            }
        }
    }
    Ok(Some(instances))
}

/// Publishes the pairs of classes that occur.
pub(super) fn publish(
    name: &str,
    split: &str,
    confusion: &Confusion,
    fingerprint: &Fingerprint,
    context: &Context,
) -> Result<(), Error> {
    let folder = folder(name);
    let place = Place { table: &CONFUSION, folder: &folder };
    let base = context.tables.current_at(place)?;
    let classes = confusion.classes();
    let byte = |class: usize| u8::try_from(class).unwrap_or(u8::MAX);
    let pairs = confusion.counts().iter().enumerate().filter(|(_, pixels)| **pixels > 0);
    let pairs: Vec<(u8, u8, u64)> =
        pairs.map(|(at, pixels)| (byte(at / classes), byte(at % classes), *pixels)).collect();
    let same = |text: &str| Arc::new(StringArray::from_iter_values(pairs.iter().map(|_| text)));
    let class = |of: fn(&(u8, u8, u64)) -> u8| Arc::new(UInt8Array::from_iter_values(pairs.iter().map(of)));
    let pixels = Arc::new(UInt64Array::from_iter_values(pairs.iter().map(|(_, _, pixels)| *pixels)));
    let columns: Vec<Arc<dyn arrow::array::Array>> =
        vec![same(name), same(split), class(|pair| pair.0), class(|pair| pair.1), pixels];
    let rows = RecordBatch::try_new(CONFUSION.schema(), columns).map_err(crate::table::Error::from)?;
    let mut publication = Publication::begin(context, place);
    publication.put(part::whole(&CONFUSION, &[rows])?)?;
    publication.publish(base.as_ref(), depends_on(fingerprint), BTreeMap::new())?;
    Ok(())
}
