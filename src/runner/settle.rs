//! What a person decided about cutouts that wait in the review place, carried out such that a kill at any moment loses
//! nothing: the decision is written down first, then the files are copied, then the ledger is published, then the copies of
//! the review place go. Whatever was done before is simply done again. Must not know who decided, or why.

use super::{Error, entry, fold, ledger, state};
use crate::digest;
use crate::outcome::{Outcome, Reason};
use crate::stage::cutout::Places;
use crate::stage::tables::Publication;
use crate::stage::{self, Context, quarantine};
use crate::storage;
use crate::table::{Manifest, read, schema};
use crate::{clock, id};
use arrow::array::{ArrayRef, BooleanArray, ListBuilder, RecordBatch, StringArray, StringBuilder, UInt64Array};
use arrow::compute::filter_record_batch;
use arrow::datatypes::DataType;
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Cutouts that are copied or removed at a time.
const AT_ONCE: usize = 8;
/// What the notes of a row say that a person let pass.
pub const ACCEPTED: &str = "accepted";

/// What a person decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// To the shop with it.
    Accept,
    /// Not to be used.
    Reject {
        /// Why, in the person's words.
        note: Option<String>,
    },
}

/// One cutout that was decided about, as it was then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// The photo's key.
    pub key: String,
    /// BLAKE3 of the outputs: another one is another cutout, which nobody decided about.
    pub digest: String,
    /// The outputs' keys.
    pub outputs: Vec<String>,
}

/// A decision as it is written down before anything is done: `ledger/<pipeline>/<stage>/settling/<token>.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Intent {
    /// `run/1.0`.
    schema: String,
    /// Its token.
    owner: String,
    /// What was decided.
    verdict: Verdict,
    /// When, by the host's clock.
    decided: clock::Timestamp,
    /// About what, ascending by key.
    items: Vec<Item>,
}

/// What came of a decision.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Cutouts that were settled now.
    pub settled: u64,
    /// Keys that stay in review, each with the cause.
    pub left: Vec<(String, String)>,
}

/// Where decisions about one stage are carried out.
pub struct Desk<'a> {
    /// The stage, under the pipeline's lock.
    pub context: &'a Context,
    /// The folder of its ledger.
    pub folder: &'a str,
    /// Where its cutouts lie.
    pub places: &'a Places,
}

impl Desk<'_> {
    /// Writes a decision down, and carries it out. `items` ascend by key.
    pub fn settle(&self, verdict: Verdict, items: Vec<Item>) -> Result<Settled, Error> {
        let owner = id::token();
        let intent = Intent { schema: state::schema(), owner: owner.clone(), verdict, decided: clock::now(), items };
        let key = format!("{}/settling/{owner}.json", self.folder);
        state::create(self.context.tables.store(), &key, &intent)?;
        self.carry_out(&key, &intent)
    }

    /// Carries out what was written down and not done to its end.
    pub fn resume(&self) -> Result<(), Error> {
        let store = self.context.tables.store();
        let listed: Vec<_> = store.wait(store.list(&format!("{}/settling", self.folder)).try_collect())?;
        for storage::ObjectInfo { key, .. } in listed {
            if let Some(intent) = state::read::<Intent>(store, &key)? {
                self.carry_out(&key, &intent)?;
            }
        }
        Ok(())
    }

    fn carry_out(&self, key: &str, intent: &Intent) -> Result<Settled, Error> {
        let Self { context, folder, places } = self;
        let place = ledger::place(folder);
        let current = context.tables.current_at(place).map_err(Error::of_stage(&context.stage))?;
        let mut standing = self.standing(current.as_ref(), intent)?;
        let mut settled = Settled::default();
        if intent.verdict == Verdict::Accept {
            let todo = intent.items.iter().filter(|item| standing.as_they_were.contains(&item.key));
            settled.left = self.copy(todo)?;
            for (key, _) in &settled.left {
                standing.as_they_were.remove(key);
            }
        }
        if !standing.as_they_were.is_empty() {
            settled.settled = standing.as_they_were.len() as u64;
            self.publish(current.as_ref(), intent, &standing)?;
        }
        let over = intent
            .items
            .iter()
            .filter(|item| standing.as_they_were.contains(&item.key) || !standing.in_review.contains(&item.key));
        let keys: Vec<&String> = over.flat_map(|item| &item.outputs).collect();
        let store = context.tables.store();
        if places.review.url() != places.out.url() {
            let removals = futures::stream::iter(keys).map(|key| places.review.delete(key));
            store.wait(removals.buffer_unordered(AT_ONCE).try_for_each(|()| async { Ok(()) }))?;
        }
        store.wait(store.delete(key))?;
        Ok(settled)
    }

    /// The rows of the ledger that a decision is about and that still wait.
    fn standing(&self, current: Option<&Manifest>, intent: &Intent) -> Result<Standing, Error> {
        let place = ledger::place(self.folder);
        let wanted: BTreeMap<&str, &str> =
            intent.items.iter().map(|item| (item.key.as_str(), item.digest.as_str())).collect();
        let mut standing = Standing::default();
        for part in current.into_iter().flat_map(|ledger| &ledger.parts) {
            if wanted.range(part.first.as_str()..).next().is_none_or(|(key, _)| *key > part.last.as_str()) {
                continue;
            }
            let bytes = self.context.tables.part(place, part).map_err(Error::of_stage(&self.context.stage))?;
            for batch in read::batches(place.table, bytes, None)? {
                let batch = batch?;
                let mut chosen = Vec::with_capacity(batch.num_rows());
                for row in 0..batch.num_rows() {
                    let key = entry::text(&batch, "key", row).unwrap_or_default();
                    let digest = wanted.get(key).copied();
                    let waits = digest.is_some() && entry::outcome(&batch, row)? == Outcome::Review;
                    let same = waits && entry::text(&batch, "output_digest", row) == digest;
                    chosen.push(same);
                    if waits {
                        standing.in_review.insert(key.to_owned());
                    }
                    if same {
                        standing.as_they_were.insert(key.to_owned());
                    }
                }
                if chosen.contains(&true) {
                    let rows = filter_record_batch(&batch, &BooleanArray::from(chosen));
                    standing.rows.push(rows.map_err(crate::table::Error::from)?);
                }
            }
        }
        Ok(standing)
    }

    /// Copies cutouts to the shop. Gives those that could not be, since they are not what was judged.
    fn copy<'a>(&self, items: impl Iterator<Item = &'a Item>) -> Result<Vec<(String, String)>, Error> {
        let copies = futures::stream::iter(items).map(|item| async move {
            stage::check(&self.context.cancel).map_err(Error::of_stage(&self.context.stage))?;
            Ok::<_, Error>(copied(self.places, item).await?.map(|why| (item.key.clone(), why)))
        });
        let left: Vec<Option<(String, String)>> =
            self.context.tables.store().wait(copies.buffered(AT_ONCE).try_collect())?;
        Ok(left.into_iter().flatten().collect())
    }

    /// Publishes the ledger with the rows as they were decided. What it was folded from stays written in it.
    fn publish(&self, current: Option<&Manifest>, intent: &Intent, standing: &Standing) -> Result<(), Error> {
        let of_stage = Error::of_stage(&self.context.stage);
        let place = ledger::place(self.folder);
        let mut rows = Vec::new();
        for batch in &standing.rows {
            let keep: Vec<bool> = (0..batch.num_rows())
                .map(|row| entry::text(batch, "key", row).is_some_and(|key| standing.as_they_were.contains(key)))
                .collect();
            let batch = filter_record_batch(batch, &BooleanArray::from(keep)).map_err(crate::table::Error::from)?;
            rows.push(decided(&batch, &intent.verdict)?);
        }
        let mut publication = Publication::begin(self.context, place);
        let changes = ledger::Changes { rows: Box::new(rows.into_iter().map(Ok)), gone: Box::new(std::iter::empty()) };
        // What lies in the review place is removed by the intent, not by what its rows leave behind.
        ledger::fold(&self.context.tables, place, current, changes, &mut publication, &mut |_| ())?;
        let depends_on = current.map(|ledger| ledger.depends_on.clone()).unwrap_or_default();
        let depends_on = depends_on.with(fold::REVIEWED, &intent.owner);
        if matches!(intent.verdict, Verdict::Reject { .. }) {
            let parts = publication.parts().to_vec();
            let bad = fold::quarantined(place, &parts, self.context)?;
            quarantine::replace(self.context, &depends_on, bad).map_err(&of_stage)?;
        }
        publication.publish(current, depends_on, BTreeMap::new()).map_err(&of_stage)?;
        Ok(())
    }
}

/// What of a decision is still to be done.
#[derive(Default)]
struct Standing {
    /// Keys whose row waits for a person, whatever cutout it has by now.
    in_review: BTreeSet<String>,
    /// Keys whose row is the one that was decided about.
    as_they_were: BTreeSet<String>,
    /// Their rows, whole, ascending by key.
    rows: Vec<RecordBatch>,
}

/// Copies the outputs of one cutout to the shop. Gives why not, if they are not what was judged.
async fn copied(places: &Places, item: &Item) -> Result<Option<String>, storage::Error> {
    let mut files: Vec<Bytes> = Vec::with_capacity(item.outputs.len());
    for key in &item.outputs {
        match places.review.get(key).await {
            Ok(bytes) => files.push(bytes),
            Err(storage::Error::NotFound { .. }) => {
                return Ok(Some(format!("{}/{key} is gone", places.review.url())));
            }
            Err(error) => return Err(error),
        }
    }
    if digest::of_all(files.iter().map(AsRef::as_ref)) != item.digest {
        return Ok(Some(format!("{} was changed since it was judged", item.outputs.join(", "))));
    }
    for (key, bytes) in item.outputs.iter().zip(files) {
        places.out.put(key, bytes).await?;
    }
    Ok(None)
}

/// The same rows of the ledger, decided.
fn decided(batch: &RecordBatch, verdict: &Verdict) -> Result<RecordBatch, Error> {
    let rows = batch.num_rows();
    let (outcome, reason) = match verdict {
        Verdict::Accept => (Outcome::Ok, None),
        Verdict::Reject { .. } => (Outcome::Quarantined, Some(Reason::Rejected.code())),
    };
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(batch.num_columns());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        let column: ArrayRef = match (field.name().as_str(), verdict) {
            ("outcome", _) => Arc::new(StringArray::from(vec![outcome.word(); rows])),
            ("reason", _) => Arc::new(StringArray::from(vec![reason; rows])),
            ("detail", Verdict::Reject { note: Some(note) }) => Arc::new(StringArray::from(vec![note.as_str(); rows])),
            ("detail", Verdict::Reject { note: None }) => {
                let before = |row| entry::text(batch, "detail", row).unwrap_or_default();
                Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("rejected: {}", before(row)))))
            }
            ("notes", Verdict::Accept) => lists(field.data_type(), rows, |row| {
                let mut notes = entry::texts(batch, "notes", row);
                notes.retain(|note| note != ACCEPTED);
                notes.push(ACCEPTED.to_owned());
                notes
            }),
            // A rejected cutout is kept nowhere: the row names no outputs.
            ("outputs", Verdict::Reject { .. }) => lists(field.data_type(), rows, |_| Vec::new()),
            ("output_bytes", Verdict::Reject { .. }) => Arc::new(UInt64Array::from(vec![0; rows])),
            ("output_digest", Verdict::Reject { .. }) => Arc::new(StringArray::from(vec![""; rows])),
            _ => Arc::clone(column),
        };
        columns.push(column);
    }
    Ok(RecordBatch::try_new(schema::LEDGER.schema(), columns).map_err(crate::table::Error::from)?)
}

fn lists(kind: &DataType, rows: usize, values: impl Fn(usize) -> Vec<String>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new());
    if let DataType::List(item) = kind {
        builder = builder.with_field(Arc::clone(item));
    }
    for row in 0..rows {
        values(row).iter().for_each(|text| builder.values().append_value(text));
        builder.append(true);
    }
    Arc::new(builder.finish())
}
