//! The ledger of a stage: read in key order to plan, and rewritten where a run changed it. Key-range parts sorted by key; a
//! part that nothing touched is kept as it is. Must not know why an item was done.

use super::Error;
use crate::outcome::{Outcome, Reason};
use crate::pipeline::plan::Known;
use crate::stage::tables::{Place, Publication, Tables};
use crate::table::{Manifest, PartEntry, PartWriter, read, schema};
use arrow::array::{Array, AsArray, RecordBatch, StringArray};
use arrow::compute::interleave_record_batch;
use arrow::datatypes::UInt64Type;
use std::collections::VecDeque;
use std::iter::Peekable;

/// Rows of a part that is cut anew; a part may grow to twice as many before it is cut.
const PART_ROWS: usize = 65_536;

/// The folder of a stage's ledger.
pub fn folder(pipeline: &str, stage: &str) -> String {
    format!("ledger/{pipeline}/{stage}")
}

/// The ledger's place below the root.
pub fn place(folder: &str) -> Place<'_> {
    Place { table: &schema::LEDGER, folder }
}

const KNOWN_COLUMNS: [&str; 6] = ["key", "etag", "size", "fingerprint", "outcome", "reason"];

/// What the ledger knows, in key order, one batch in memory at a time.
pub fn known<'a>(
    tables: &'a Tables,
    place: Place<'a>,
    ledger: Option<&'a Manifest>,
) -> impl Iterator<Item = Result<Known, Error>> + 'a {
    let batches = ledger.into_iter().flat_map(move |ledger| tables.scan(place, ledger, Some(&KNOWN_COLUMNS)));
    batches.flat_map(|batch| match batch.map_err(Error::of_stage("ledger")).and_then(|batch| rows(&batch)) {
        Ok(rows) => rows.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    })
}

fn rows(batch: &RecordBatch) -> Result<Vec<Known>, Error> {
    let text = |index: usize| batch.column(index).as_string::<i32>();
    let sizes = batch.column(2).as_primitive::<UInt64Type>();
    let (keys, etags, fingerprints, outcomes, reasons) = (text(0), text(1), text(3), text(4), text(5));
    let mut rows = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let word = outcomes.value(row);
        let outcome = Outcome::from_word(word).ok_or_else(|| Error::State {
            key: format!("the ledger's row of {}", keys.value(row)),
            detail: format!("{word:?} is no outcome"),
        })?;
        rows.push(Known {
            key: keys.value(row).to_owned(),
            etag: etags.value(row).to_owned(),
            size: sizes.value(row),
            fingerprint: fingerprints.value(row).to_owned(),
            outcome,
            reason: reasons.is_valid(row).then(|| Reason::from_code(reasons.value(row))).flatten(),
        });
    }
    Ok(rows)
}

/// What a run changes: whole rows by key, ascending, and keys that are gone, ascending.
pub struct Changes<'a> {
    /// Batches of the ledger's columns, ascending by key over all of them.
    pub rows: Box<dyn Iterator<Item = Result<RecordBatch, Error>> + 'a>,
    /// Keys to drop.
    pub gone: Box<dyn Iterator<Item = Result<String, Error>> + 'a>,
}

/// Outputs that a row of the ledger named and no row does any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stale {
    /// Their keys, below the place for outcomes of this kind.
    pub keys: Vec<String>,
    /// How the item had ended: where its outputs lie.
    pub outcome: Outcome,
}

/// Writes the parts of the next version: touched key ranges anew, the others as they are. `stale` is given what rows that
/// are replaced or dropped leave behind.
pub fn fold(
    tables: &Tables,
    place: Place<'_>,
    ledger: Option<&Manifest>,
    changes: Changes<'_>,
    publication: &mut Publication<'_>,
    stale: &mut dyn FnMut(Stale),
) -> Result<(), Error> {
    let mut rows = Rows { batches: changes.rows, open: VecDeque::new() };
    let mut gone = changes.gone.peekable();
    let parts: &[PartEntry] = ledger.map_or(&[], |ledger| &ledger.parts);
    for (index, part) in parts.iter().enumerate() {
        // A part answers for all keys up to the first of the next one, so that new keys always have a home.
        let end = parts.get(index + 1).map(|next| next.first.as_str());
        let fresh = rows.below(end)?;
        let dropped = below(&mut gone, end)?;
        if fresh.is_empty() && dropped.is_empty() {
            publication.keep(part.clone());
            continue;
        }
        let bytes = tables.part(place, part).map_err(Error::of_stage("ledger"))?;
        let old = read::batches(place.table, bytes, None)?.collect::<Result<Vec<_>, _>>()?;
        write(place, &merge(&old, &fresh, &dropped, stale), publication)?;
    }
    if parts.is_empty() {
        let fresh = rows.below(None)?;
        write(place, &merge(&[], &fresh, &[], stale), publication)?;
    }
    Ok(())
}

/// Batches that give the rows below a key.
struct Rows<'a> {
    batches: Box<dyn Iterator<Item = Result<RecordBatch, Error>> + 'a>,
    open: VecDeque<RecordBatch>,
}

impl Rows<'_> {
    fn below(&mut self, end: Option<&str>) -> Result<Vec<RecordBatch>, Error> {
        let mut taken = Vec::new();
        loop {
            let Some(batch) = self.open.pop_front().map(Ok).or_else(|| self.batches.next()).transpose()? else {
                return Ok(taken);
            };
            let cut = end.map_or(batch.num_rows(), |end| partition(keys(&batch), end));
            if cut > 0 {
                taken.push(batch.slice(0, cut));
            }
            if cut < batch.num_rows() {
                self.open.push_front(batch.slice(cut, batch.num_rows() - cut));
                return Ok(taken);
            }
        }
    }
}

fn below(
    keys: &mut Peekable<impl Iterator<Item = Result<String, Error>>>,
    end: Option<&str>,
) -> Result<Vec<String>, Error> {
    let mut taken = Vec::new();
    while let Some(key) = keys.next_if(|key| key.as_ref().map_or(true, |key| end.is_none_or(|end| key.as_str() < end)))
    {
        taken.push(key?);
    }
    Ok(taken)
}

fn keys(batch: &RecordBatch) -> &StringArray {
    batch.column(0).as_string::<i32>()
}

/// How many of the ascending keys are below `end`.
fn partition(keys: &StringArray, end: &str) -> usize {
    let (mut low, mut high) = (0, keys.len());
    while low < high {
        let middle = usize::midpoint(low, high);
        if keys.value(middle) < end {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// Old and fresh rows in key order, a fresh row in place of the old one of its key, without the dropped keys: the batches,
/// and for each row its batch and place.
struct Merged<'a> {
    batches: Vec<&'a RecordBatch>,
    order: Vec<(usize, usize)>,
}

fn merge<'a>(
    old: &'a [RecordBatch],
    fresh: &'a [RecordBatch],
    dropped: &[String],
    stale: &mut dyn FnMut(Stale),
) -> Merged<'a> {
    let batches: Vec<&RecordBatch> = old.iter().chain(fresh).collect();
    let walk = |from: usize, batches: &'a [RecordBatch]| {
        batches.iter().enumerate().flat_map(move |(index, batch)| {
            let keys = keys(batch);
            (0..batch.num_rows()).map(move |row| (keys.value(row), (from + index, row)))
        })
    };
    let (mut old_rows, mut fresh_rows) = (walk(0, old).peekable(), walk(old.len(), fresh).peekable());
    let mut dropped = dropped.iter().map(String::as_str).peekable();
    let mut order = Vec::new();
    loop {
        let key = match (old_rows.peek(), fresh_rows.peek()) {
            (None, None) => return Merged { batches, order },
            (Some((key, _)), None) | (None, Some((key, _))) => *key,
            (Some((a, _)), Some((b, _))) => (*a).min(*b),
        };
        let old_row = old_rows.next_if(|(old, _)| *old == key);
        let fresh_row = fresh_rows.next_if(|(fresh, _)| *fresh == key);
        while dropped.next_if(|gone| *gone < key).is_some() {}
        let is_gone = dropped.peek() == Some(&key);
        let row = |at: (usize, usize)| (batches[at.0], at.1);
        match (&fresh_row, &old_row) {
            (Some((_, new)), Some((_, old))) => {
                left_behind(row(*old), Some(row(*new))).into_iter().for_each(&mut *stale)
            }
            (None, Some((_, old))) if is_gone => left_behind(row(*old), None).into_iter().for_each(&mut *stale),
            _ => {}
        }
        match (fresh_row, old_row) {
            (Some((_, at)), _) => order.push(at),
            (None, Some((_, at))) if !is_gone => order.push(at),
            _ => {}
        }
    }
}

/// What a row leaves behind that is dropped, or replaced by a newer one. One that made nothing replaces nothing: what an
/// unlucky or a broken photo had before is better than nothing.
fn left_behind(old: (&RecordBatch, usize), new: Option<(&RecordBatch, usize)>) -> Option<Stale> {
    let outcome = outcome_of(old)?;
    let mut keys = outputs_of(old);
    if let Some(new) = new {
        let now = outcome_of(new)?;
        if !matches!(now, Outcome::Ok | Outcome::Review) {
            return None;
        }
        if (now == Outcome::Review) == (outcome == Outcome::Review) {
            let made = outputs_of(new);
            keys.retain(|key| !made.contains(key));
        }
    }
    (!keys.is_empty()).then_some(Stale { keys, outcome })
}

fn outcome_of((batch, row): (&RecordBatch, usize)) -> Option<Outcome> {
    Outcome::from_word(batch.column_by_name("outcome")?.as_string_opt::<i32>()?.value(row))
}

fn outputs_of((batch, row): (&RecordBatch, usize)) -> Vec<String> {
    let outputs = batch.column_by_name("outputs").and_then(|column| column.as_list_opt::<i32>());
    let Some(outputs) = outputs else { return Vec::new() };
    let values = outputs.value(row);
    let Some(texts) = values.as_string_opt::<i32>() else { return Vec::new() };
    texts.iter().flatten().map(str::to_owned).collect()
}

fn write(place: Place<'_>, merged: &Merged<'_>, publication: &mut Publication<'_>) -> Result<(), Error> {
    if merged.order.is_empty() {
        return Ok(());
    }
    let parts = if merged.order.len() > 2 * PART_ROWS { merged.order.len().div_ceil(PART_ROWS) } else { 1 };
    for rows in merged.order.chunks(merged.order.len().div_ceil(parts)) {
        let mut writer = PartWriter::new(place.table)?;
        for chunk in rows.chunks(8192) {
            writer.write(&interleave_record_batch(&merged.batches, chunk).map_err(crate::table::Error::from)?)?;
        }
        let key = |at: Option<&(usize, usize)>| {
            at.map(|(batch, row)| keys(merged.batches[*batch]).value(*row).to_owned()).unwrap_or_default()
        };
        let entry = publication.put(writer.finish()?).map_err(Error::of_stage("ledger"))?;
        (entry.first, entry.last) = (key(rows.first()), key(rows.last()));
    }
    Ok(())
}
