//! Rows of the ledger that a person is shown: the columns that matter to them, as values. Must not know why they are read.

use super::Error;
use crate::outcome::{Outcome, Reason};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, UInt32Type, UInt64Type};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The columns that an entry is read from.
pub const COLUMNS: [&str; 18] = [
    "key",
    "etag",
    "size",
    "outcome",
    "reason",
    "detail",
    "outputs",
    "output_digest",
    "notes",
    "coverage",
    "soft_share",
    "border_contact",
    "confidence",
    "components",
    "holes",
    "sharpness",
    "doubt",
    "violations",
];

/// One row of the ledger.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The photo's key.
    pub key: String,
    /// The photo's version.
    pub etag: String,
    /// The photo's bytes.
    pub size: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, unless it is fine.
    pub reason: Option<Reason>,
    /// The cause in words.
    pub detail: String,
    /// Keys of its outputs.
    pub outputs: Vec<String>,
    /// BLAKE3 of its outputs, one after the other.
    pub output_digest: String,
    /// Codes of what was noted.
    pub notes: Vec<String>,
    /// Mean alpha, 0–1.
    pub coverage: f32,
    /// Share of pixels neither clear nor opaque, 0–1.
    pub soft_share: f32,
    /// Share of border pixels that are subject, 0–1.
    pub border_contact: f32,
    /// Mean of |2p − 1|, 0–1.
    pub confidence: f32,
    /// Pieces of the subject; absent in rows older than this figure, as the following ones.
    pub components: Option<u32>,
    /// Holes in it.
    pub holes: Option<u32>,
    /// Sharpness of its edge, 0–1.
    pub sharpness: Option<f32>,
    /// The worst figure against its bound: above 1 a person looks.
    pub doubt: Option<f32>,
    /// Rules that products break.
    pub violations: Vec<String>,
}

impl Entry {
    /// How doubtful it is, for an order: rows of before that figure come first where they wait for a person.
    pub fn rank(&self) -> f32 {
        self.doubt.unwrap_or(if self.outcome == Outcome::Review { f32::MAX } else { 0.0 })
    }
}

/// The rows of a batch that ended so. The batch holds (at least) the columns of an entry.
pub fn of_outcome(batch: &RecordBatch, wanted: Outcome) -> Result<Vec<Entry>, Error> {
    let word = wanted.word();
    let rows = (0..batch.num_rows()).filter(|row| text(batch, "outcome", *row) == Some(word));
    rows.map(|row| entry(batch, row)).collect()
}

/// The rows of a batch whose key is wanted.
pub fn with_keys(batch: &RecordBatch, wanted: impl Fn(&str) -> bool) -> Result<Vec<Entry>, Error> {
    let rows = (0..batch.num_rows()).filter(|row| text(batch, "key", *row).is_some_and(&wanted));
    rows.map(|row| entry(batch, row)).collect()
}

/// The outcome of a row.
pub fn outcome(batch: &RecordBatch, row: usize) -> Result<Outcome, Error> {
    let word = text(batch, "outcome", row).unwrap_or_default();
    Outcome::from_word(word).ok_or_else(|| Error::State {
        key: format!("the row of {}", text(batch, "key", row).unwrap_or_default()),
        detail: format!("{word:?} is no outcome"),
    })
}

fn entry(batch: &RecordBatch, row: usize) -> Result<Entry, Error> {
    let owned = |column| text(batch, column, row).unwrap_or_default().to_owned();
    Ok(Entry {
        key: owned("key"),
        etag: owned("etag"),
        size: value::<UInt64Type>(batch, "size", row).unwrap_or(0),
        outcome: outcome(batch, row)?,
        reason: text(batch, "reason", row).and_then(Reason::from_code),
        detail: owned("detail"),
        outputs: texts(batch, "outputs", row),
        output_digest: owned("output_digest"),
        notes: texts(batch, "notes", row),
        coverage: value::<Float32Type>(batch, "coverage", row).unwrap_or(0.0),
        soft_share: value::<Float32Type>(batch, "soft_share", row).unwrap_or(0.0),
        border_contact: value::<Float32Type>(batch, "border_contact", row).unwrap_or(0.0),
        confidence: value::<Float32Type>(batch, "confidence", row).unwrap_or(0.0),
        components: value::<UInt32Type>(batch, "components", row),
        holes: value::<UInt32Type>(batch, "holes", row),
        sharpness: value::<Float32Type>(batch, "sharpness", row),
        doubt: value::<Float32Type>(batch, "doubt", row),
        violations: texts(batch, "violations", row),
    })
}

/// A text of a row; none where it is null.
pub fn text<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    column.is_valid(row).then(|| column.value(row))
}

fn value<T: arrow::array::ArrowPrimitiveType>(batch: &RecordBatch, column: &str, row: usize) -> Option<T::Native> {
    let column = batch.column_by_name(column)?.as_primitive_opt::<T>()?;
    column.is_valid(row).then(|| column.value(row))
}

/// The texts of a list; a list that is not there is empty.
pub fn texts(batch: &RecordBatch, column: &str, row: usize) -> Vec<String> {
    let lists = batch.column_by_name(column).and_then(|column| column.as_list_opt::<i32>());
    let Some(lists) = lists.filter(|lists| lists.is_valid(row)) else { return Vec::new() };
    let values = lists.value(row);
    let Some(texts) = values.as_string_opt::<i32>() else { return Vec::new() };
    texts.iter().flatten().map(str::to_owned).collect()
}

/// The most doubtful of many entries, at most so many of them in memory.
pub struct Worst {
    most: usize,
    kept: BinaryHeap<Kept>,
    /// How many were offered.
    pub offered: u64,
}

impl Worst {
    /// Keeps at most `most`.
    pub fn new(most: usize) -> Self {
        Self { most, kept: BinaryHeap::new(), offered: 0 }
    }

    /// Takes one more.
    pub fn offer(&mut self, entry: Entry) {
        self.offered += 1;
        self.kept.push(Kept(entry));
        if self.kept.len() > self.most {
            self.kept.pop();
        }
    }

    /// What was kept, the most doubtful first; those of one doubt by their keys.
    pub fn sorted(self) -> Vec<Entry> {
        self.kept.into_sorted_vec().into_iter().map(|kept| kept.0).collect()
    }
}

/// Ordered such that the least doubtful is the greatest, which a heap gives up first.
struct Kept(Entry);

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.rank().total_cmp(&self.0.rank()).then_with(|| self.0.key.cmp(&other.0.key))
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Kept {}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::stage::cutout::rows::{Attempt, Figures, ItemResult, batch};

    fn row(key: &str, doubt: f32) -> ItemResult {
        let figures = Figures { coverage: 0.25, components: 3, sharpness: 0.5, ..Figures::default() };
        let mut row = ItemResult::begin(key, "etag", 7).ended(Outcome::Review, Reason::Coverage, "why");
        (row.figures, row.doubt) = (Some(figures), doubt);
        row.outputs = vec!["a/1.png".to_owned(), "b/1.png".to_owned()];
        row.violations = vec!["a: too small".to_owned()];
        row
    }

    #[test]
    fn a_row_is_read_as_it_was_written() {
        let about = Attempt { run: "r", fingerprint: "f", shard: 0, host: "h", attempt: "a" };
        let plain = ItemResult::begin("b", "e", 1).ended(Outcome::Quarantined, Reason::Truncated, "");
        let read = with_keys(&batch(&about, &[row("a", 2.0), plain]).unwrap(), |_| true).unwrap();
        assert_eq!((read[0].size, read[0].reason, read[0].components), (7, Some(Reason::Coverage), Some(3)));
        assert_eq!((read[0].doubt, read[0].sharpness, read[0].coverage), (Some(2.0), Some(0.5), 0.25));
        assert_eq!((read[0].outputs.len(), read[0].violations[0].as_str()), (2, "a: too small"));
        assert_eq!((read[1].outcome, read[1].doubt, read[1].outputs.len()), (Outcome::Quarantined, None, 0));
    }

    #[test]
    fn the_most_doubtful_are_kept_in_their_order() {
        let about = Attempt { run: "r", fingerprint: "f", shard: 0, host: "h", attempt: "a" };
        let rows = [row("a", 0.1), row("b", 5.0), row("c", 0.3), row("d", 5.0), row("e", f32::NAN)];
        let mut worst = Worst::new(3);
        of_outcome(&batch(&about, &rows).unwrap(), Outcome::Review)
            .unwrap()
            .into_iter()
            .for_each(|entry| worst.offer(entry));
        assert_eq!(worst.offered, 5);
        let keys: Vec<String> = worst.sorted().into_iter().map(|entry| entry.key).collect();
        assert_eq!(keys, ["e", "b", "d"]);
        assert!(Worst::new(0).sorted().is_empty());
    }
}
