//! Which images came, went or changed between the annotations and the version before them. Must not know any question.

use crate::stage::tables::Tables;
use crate::stage::{Context, Error, check};
use crate::table::schema::ANNOTATIONS;
use crate::table::{self, Manifest};
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{UInt8Type, UInt32Type, UInt64Type};
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

const COLUMNS: [&str; 5] = ["image_id", "class_id", "height", "width", "area_px"];

/// What an image comes to: its rows, and what changes with any of them, whatever their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rows {
    count: u32,
    sum: u64,
}

/// The version before one, if it is still there.
pub(super) fn before(version: &Manifest, context: &Context) -> Result<Option<Manifest>, Error> {
    let earlier =
        context.tables.versions((&ANNOTATIONS).into())?.into_iter().rfind(|earlier| *earlier < version.version);
    earlier.map(|earlier| context.tables.version((&ANNOTATIONS).into(), earlier)).transpose()
}

/// One row for each image that is `new`, `removed` or `changed`, by its id; none where there is nothing before.
pub(super) fn rows(versions: &[&Manifest], context: &Context) -> Result<RecordBatch, Error> {
    let mut changes = Vec::new();
    if let [now, before] = versions {
        changes = compared(&images(now, &context.tables, context)?, &images(before, &context.tables, context)?);
    }
    let count =
        |of: fn(&Change) -> u32| -> ArrayRef { Arc::new(UInt32Array::from_iter_values(changes.iter().map(of))) };
    let columns: [(&str, ArrayRef); 4] = [
        ("image_id", Arc::new(StringArray::from_iter_values(changes.iter().map(|change| &change.image_id)))),
        ("change", Arc::new(StringArray::from_iter_values(changes.iter().map(|change| change.word)))),
        ("rows_now", count(|change| change.now)),
        ("rows_before", count(|change| change.before)),
    ];
    Ok(RecordBatch::try_from_iter(columns).map_err(table::Error::from)?)
}

/// What became of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    image_id: String,
    word: &'static str,
    now: u32,
    before: u32,
}

fn compared(now: &BTreeMap<String, Rows>, before: &BTreeMap<String, Rows>) -> Vec<Change> {
    let mut ids: Vec<&String> = now.keys().chain(before.keys()).collect();
    ids.sort_unstable();
    ids.dedup();
    let change = |id: &String| {
        let (is, was) = (now.get(id), before.get(id));
        let word = match (is, was) {
            (Some(_), None) => "new",
            (None, Some(_)) => "removed",
            (is, was) if is != was => "changed",
            _ => return None,
        };
        let count = |rows: Option<&Rows>| rows.map_or(0, |rows| rows.count);
        Some(Change { image_id: id.clone(), word, now: count(is), before: count(was) })
    };
    ids.into_iter().filter_map(change).collect()
}

fn images(version: &Manifest, tables: &Tables, context: &Context) -> Result<BTreeMap<String, Rows>, Error> {
    let mut images: BTreeMap<String, Rows> = BTreeMap::new();
    for batch in tables.scan((&ANNOTATIONS).into(), version, Some(&COLUMNS)) {
        check(&context.cancel)?;
        let batch = batch?;
        let ids = batch.column(0).as_string::<i32>();
        let classes = batch.column(1).as_primitive::<UInt8Type>();
        let side = |column: usize, row: usize| batch.column(column).as_primitive::<UInt32Type>().value(row);
        let areas = batch.column(4).as_primitive::<UInt64Type>();
        for row in 0..batch.num_rows() {
            let mut hasher = DefaultHasher::new();
            (classes.value(row), side(2, row), side(3, row), areas.value(row)).hash(&mut hasher);
            let id = ids.value(row);
            // Rows of one image are neighbours as a rule, so most look-ups find it.
            match images.get_mut(id) {
                Some(rows) => rows.add(hasher.finish()),
                None => images.entry(id.to_owned()).or_default().add(hasher.finish()),
            }
        }
    }
    Ok(images)
}

impl Rows {
    fn add(&mut self, hash: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(hash);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_come_go_and_change_whatever_the_order_of_their_rows() {
        let of = |images: &[(&str, &[u64])]| -> BTreeMap<String, Rows> {
            let rows = |hashes: &[u64]| {
                let mut rows = Rows::default();
                hashes.iter().for_each(|hash| rows.add(*hash));
                rows
            };
            images.iter().map(|(id, hashes)| ((*id).to_owned(), rows(hashes))).collect()
        };
        let before = of(&[("gone", &[1]), ("more", &[1]), ("other", &[5, u64::MAX]), ("same", &[1, 2])]);
        let now = of(&[("fresh", &[7, 7]), ("more", &[1, 1]), ("other", &[5, 6]), ("same", &[2, 1])]);
        let changes = compared(&now, &before);
        let said: Vec<_> = changes.iter().map(|c| (c.image_id.as_str(), c.word, c.now, c.before)).collect();
        assert_eq!(
            said,
            [("fresh", "new", 2, 0), ("gone", "removed", 0, 1), ("more", "changed", 2, 1), ("other", "changed", 2, 2)]
        );
    }
}
