//! The quarantine: one table that all stages share, each with rows of its own. Replacing a stage's rows keeps the parts of
//! the others as they are, and keeps when an item was first seen. Must not know why items fail.

use super::parts::Parts;
use super::tables::Publication;
use super::{Context, Error};
use crate::clock;
use crate::digest::Fingerprint;
use crate::outcome::Reason;
use crate::table::schema::QUARANTINE;
use crate::table::{Manifest, PartEntry};
use arrow::array::{Array, AsArray, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::TimestampMillisecondType;
use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Rows held before they are written.
const PENDING: usize = 4096;
/// How often a publication is tried anew when other stages publish in between.
const TRIES: usize = 20;

/// One item that did not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The item: an image id, a key, or a row without either.
    pub item: String,
    /// The code.
    pub reason: Reason,
    /// The cause in words.
    pub detail: String,
    /// File, line, byte, or URL: where to look.
    pub place: String,
}

/// Replaces the rows of this stage. `depends_on`: what the stage's result is made from.
pub fn replace(context: &Context, depends_on: &Fingerprint, rows: impl IntoIterator<Item = Row>) -> Result<(), Error> {
    let mut writer = Writer::begin(context)?;
    for row in rows {
        writer.add(row)?;
    }
    writer.publish(depends_on)
}

/// Takes the rows of this stage one by one, in bounded memory, and publishes them at the end.
pub struct Writer<'a> {
    context: &'a Context,
    base: Option<Manifest>,
    /// When an item of the version before was first seen, by the hash of item and reason; milliseconds.
    seen: HashMap<u64, i64>,
    parts: Parts<'a>,
    pending: Vec<Row>,
    now: i64,
    rows: u64,
}

impl<'a> Writer<'a> {
    /// Begins with nothing; reads since when the current rows are known.
    pub fn begin(context: &'a Context) -> Result<Self, Error> {
        let base = context.tables.current(&QUARANTINE)?;
        let seen = match &base {
            Some(base) => first_seen(context, base)?,
            None => HashMap::new(),
        };
        let parts = Parts::begin(context, &QUARANTINE, &context.stage);
        Ok(Self { context, base, seen, parts, pending: Vec::new(), now: clock::now().as_millisecond(), rows: 0 })
    }

    /// Adds a row.
    pub fn add(&mut self, row: Row) -> Result<(), Error> {
        self.rows += 1;
        self.pending.push(row);
        if self.pending.len() >= PENDING { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), Error> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let rows = &self.pending;
        let text = |of: fn(&Row) -> &str| Arc::new(StringArray::from_iter_values(rows.iter().map(of)));
        let first =
            rows.iter().map(|row| self.seen.get(&hash(&row.item, row.reason.code())).copied().unwrap_or(self.now));
        let stage = rows.iter().map(|_| self.context.stage.as_str());
        let batch = RecordBatch::try_new(
            QUARANTINE.schema(),
            vec![
                Arc::new(StringArray::from_iter_values(stage)),
                text(|row| &row.item),
                text(|row| row.reason.code()),
                text(|row| &row.detail),
                text(|row| &row.place),
                Arc::new(TimestampMillisecondArray::from_iter_values(first).with_timezone("UTC")),
            ],
        )
        .map_err(crate::table::Error::from)?;
        let weight = rows.iter().map(|row| row.item.len() + row.detail.len() + row.place.len() + 64).sum();
        self.parts.write(&batch, weight)?;
        self.pending.clear();
        Ok(())
    }

    /// Publishes the rows beside those of the other stages. Where there are none, and none before, nothing is published.
    pub fn publish(mut self, depends_on: &Fingerprint) -> Result<(), Error> {
        self.write()?;
        let Self { context, mut base, parts, rows, .. } = self;
        let stored = parts.finish(false)?;
        let mine: Vec<PartEntry> = stored.parts().to_vec();
        let is_mine = |entry: &PartEntry| entry.stage == context.stage;
        for _ in 0..TRIES {
            let before = base.iter().flat_map(|base| &base.parts);
            if rows == 0 && !before.clone().any(is_mine) {
                return Ok(());
            }
            let mut publication = Publication::begin(context, (&QUARANTINE).into());
            before.filter(|entry| !is_mine(entry)).chain(&mine).for_each(|entry| publication.keep(entry.clone()));
            let known = base.as_ref().map(|base| base.depends_on.clone()).unwrap_or_default();
            let depends_on = known.with(&context.stage, depends_on.digest());
            match publication.publish(base.as_ref(), depends_on, Default::default()) {
                Ok(_) => return Ok(()),
                // Another stage was quicker. Its rows are not ours to change, so that ours go beside its new ones.
                Err(Error::Conflict(_)) => base = context.tables.current(&QUARANTINE)?,
                Err(error) => return Err(error),
            }
        }
        Err(Error::Conflict(format!("{}/{}", context.tables.store().url(), QUARANTINE.name)))
    }

    /// Gives up what was added.
    pub(super) fn abandon(self) {
        self.parts.abandon();
    }
}

fn hash(item: &str, reason: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (item, reason).hash(&mut hasher);
    hasher.finish()
}

/// When each row of this stage was first seen.
fn first_seen(context: &Context, base: &Manifest) -> Result<HashMap<u64, i64>, Error> {
    let mut mine = base.clone();
    mine.parts.retain(|entry| entry.stage == context.stage);
    let mut seen = HashMap::new();
    for batch in context.tables.scan((&QUARANTINE).into(), &mine, Some(&["item", "reason", "first_seen"])) {
        let batch = batch?;
        let (items, reasons) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        let times = batch.column(2).as_primitive::<TimestampMillisecondType>();
        for row in 0..items.len() {
            seen.insert(hash(items.value(row), reasons.value(row)), times.value(row));
        }
    }
    Ok(seen)
}
