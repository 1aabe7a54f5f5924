//! Figures that a report keeps, so that later ones can tell what has changed: which snapshot is the last one, which the
//! baseline, and the table `stats` as questions see it. Must not know what the figures are.

use super::Answer;
use super::question::Keep;
use crate::clock::Timestamp;
use crate::digest::Fingerprint;
use crate::stage::tables::{Place, Publication};
use crate::stage::{Context, Error};
use crate::table::schema::STATS;
use crate::table::{self, part};
use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::Float64Type;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Snapshots that are kept, the newest; and besides them any baseline that is asked for stays as long as it is asked for.
const MOST: usize = 400;
/// How often a publication is tried anew when another report publishes in between.
const TRIES: usize = 20;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure {
    /// What it is, such as `class_share`.
    pub figure: String,
    /// What it is of, such as a class; empty where there is one.
    pub item: String,
    /// Its value.
    pub value: f64,
}

/// Figures taken at one time.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// When: RFC 3339, UTC.
    pub taken: String,
    /// Digest of the tables they were taken from.
    pub data: String,
    /// The figures.
    pub figures: Vec<Figure>,
}

/// A time as the table has it: milliseconds, so that all are of one length and sort as they were taken.
pub(super) fn taken(now: Timestamp) -> String {
    now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// What an answer says that is to be kept. Values that are no finite numbers are left out.
pub(super) fn kept(keeps: &[Keep], answer: &Answer) -> Vec<Figure> {
    let place = |name: &str| answer.columns.iter().position(|column| column.name == name);
    let mut figures = Vec::new();
    for keep in keeps {
        let (Some(value), item) = (place(&keep.value), keep.item.as_deref().and_then(place)) else { continue };
        for row in &answer.rows {
            let Some(value) = row.get(value).and_then(serde_json::Value::as_f64).filter(|value| value.is_finite())
            else {
                continue;
            };
            let item = match item.and_then(|item| row.get(item)) {
                None | Some(serde_json::Value::Null) => String::new(),
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            figures.push(Figure { figure: keep.figure.clone(), item, value });
        }
    }
    figures
}

/// Snapshots of earlier reports, the oldest first.
pub(super) fn earlier(context: &Context) -> Result<Vec<Snapshot>, Error> {
    let mut snapshots: BTreeMap<String, Snapshot> = BTreeMap::new();
    let Some(version) = context.tables.current(&STATS)? else { return Ok(Vec::new()) };
    for batch in context.tables.scan(Place::from(&STATS), &version, None) {
        let batch = batch?;
        let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
        for row in 0..batch.num_rows() {
            let value = batch.column(4).as_primitive::<Float64Type>().value(row);
            let (taken, data) = (text(0, row), text(1, row));
            let snapshot = snapshots.entry(taken.clone()).or_insert(Snapshot { taken, data, figures: Vec::new() });
            snapshot.figures.push(Figure { figure: text(2, row), item: text(3, row), value });
        }
    }
    Ok(snapshots.into_values().collect())
}

/// Which earlier snapshots a report compares with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Against {
    /// The newest one of other data: asking twice about the same data compares with the same night.
    pub(super) last: Option<usize>,
    /// The pinned one.
    pub(super) baseline: Option<usize>,
}

/// Decides that. `baseline` is a day or time, or the beginning of one: the last snapshot taken then.
pub(super) fn against(earlier: &[Snapshot], data: &str, baseline: Option<&str>) -> Result<Against, Error> {
    let last = earlier.iter().rposition(|snapshot| snapshot.data != data);
    let Some(wanted) = baseline else { return Ok(Against { last, baseline: None }) };
    let found = earlier.iter().rposition(|snapshot| snapshot.taken.starts_with(wanted));
    if found.is_none() && !earlier.is_empty() {
        let known: Vec<&str> = earlier.iter().rev().take(5).map(|snapshot| snapshot.taken.as_str()).collect();
        let text = format!("there are no figures of {wanted} to compare with; the newest are {}", known.join(", "));
        return Err(Error::Usage(text));
    }
    Ok(Against { last, baseline: found })
}

/// The table `stats` as questions see it: the figures of this report and of all earlier ones, each with its role. A
/// snapshot that is last and baseline has its rows twice.
pub(super) fn batch(earlier: &[Snapshot], against: Against, now: &Snapshot) -> Result<RecordBatch, Error> {
    let mut rows: Vec<(&Snapshot, &str)> = Vec::new();
    for (place, snapshot) in earlier.iter().enumerate() {
        let (last, baseline) = (against.last == Some(place), against.baseline == Some(place));
        // The newest of the same data is what is now.
        let is_now = place + 1 == earlier.len() && snapshot.data == now.data;
        let roles = [(last, "last"), (baseline, "baseline"), (!last && !baseline && !is_now, "past")];
        rows.extend(roles.iter().filter(|(holds, _)| *holds).map(|(_, role)| (snapshot, *role)));
    }
    rows.push((now, "now"));
    let figures =
        || rows.iter().flat_map(|(snapshot, role)| snapshot.figures.iter().map(move |f| (*snapshot, *role, f)));
    let columns: [(&str, ArrayRef); 5] = [
        ("snapshot", Arc::new(StringArray::from_iter_values(figures().map(|(snapshot, ..)| &snapshot.taken)))),
        ("role", Arc::new(StringArray::from_iter_values(figures().map(|(_, role, _)| role)))),
        ("figure", Arc::new(StringArray::from_iter_values(figures().map(|(.., figure)| &figure.figure)))),
        ("item", Arc::new(StringArray::from_iter_values(figures().map(|(.., figure)| &figure.item)))),
        ("value", Arc::new(Float64Array::from_iter_values(figures().map(|(.., figure)| figure.value)))),
    ];
    Ok(RecordBatch::try_from_iter(columns).map_err(table::Error::from)?)
}

/// Keeps a snapshot. Figures of the same data as the newest ones replace these and keep their time, so that asking twice is
/// asking once, and a baseline stays where it was pinned.
pub(super) fn keep(now: &Snapshot, baseline: Option<&str>, context: &Context) -> Result<(), Error> {
    for _ in 0..TRIES {
        let base = context.tables.current(&STATS)?;
        let mut all = earlier(context)?;
        match all.last_mut().filter(|newest| newest.data == now.data) {
            Some(newest) => newest.figures.clone_from(&now.figures),
            None => all.push(now.clone()),
        }
        let pinned = against(&all, &now.data, baseline).ok().and_then(|against| against.baseline);
        let old = all.len().saturating_sub(MOST);
        let kept: Vec<&Snapshot> = all
            .iter()
            .enumerate()
            .filter(|(place, _)| *place >= old || Some(*place) == pinned)
            .map(|(_, s)| s)
            .collect();
        let mut publication = Publication::begin(context, Place::from(&STATS));
        publication.put(part::whole(&STATS, &[rows(&kept)?])?)?;
        let depends_on = Fingerprint::default().with("data", &now.data);
        match publication.publish(base.as_ref(), depends_on, BTreeMap::new()) {
            Err(Error::Conflict(_)) => {}
            ended => return ended.map(|_| ()),
        }
    }
    Err(Error::Conflict(format!("{}/{}", context.tables.store().url(), STATS.name)))
}

fn rows(snapshots: &[&Snapshot]) -> Result<RecordBatch, Error> {
    let figures =
        || snapshots.iter().flat_map(|snapshot| snapshot.figures.iter().map(move |figure| (*snapshot, figure)));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(figures().map(|(snapshot, _)| &snapshot.taken))),
        Arc::new(StringArray::from_iter_values(figures().map(|(snapshot, _)| &snapshot.data))),
        Arc::new(StringArray::from_iter_values(figures().map(|(_, figure)| &figure.figure))),
        Arc::new(StringArray::from_iter_values(figures().map(|(_, figure)| &figure.item))),
        Arc::new(Float64Array::from_iter_values(figures().map(|(_, figure)| figure.value))),
    ];
    Ok(RecordBatch::try_new(STATS.schema(), columns).map_err(table::Error::from)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn snapshot(taken: &str, data: &str) -> Snapshot {
        let figure = Figure { figure: "rows".to_owned(), item: String::new(), value: 1.0 };
        Snapshot { taken: taken.to_owned(), data: data.to_owned(), figures: vec![figure] }
    }

    #[test]
    fn the_last_snapshot_is_of_other_data_and_the_baseline_is_pinned_by_its_day() {
        let earlier = [
            snapshot("2026-11-01T02:00:00Z", "a"),
            snapshot("2026-11-02T02:00:00Z", "b"),
            snapshot("2026-11-03T02:00:00Z", "c"),
        ];
        assert_eq!(against(&earlier, "d", None).unwrap(), Against { last: Some(2), baseline: None });
        assert_eq!(against(&earlier, "c", Some("2026-11-01")).unwrap(), Against { last: Some(1), baseline: Some(0) });
        assert!(against(&earlier, "c", Some("2025")).unwrap_err().to_string().contains("2026-11-03T02:00:00Z"));
        assert_eq!(against(&[], "c", Some("2025")).unwrap(), Against::default(), "the first report has nothing yet");
        let batch = batch(&earlier, Against { last: Some(1), baseline: Some(1) }, &snapshot("now", "c")).unwrap();
        let roles: Vec<_> = batch.column(1).as_string::<i32>().iter().flatten().collect();
        assert_eq!(roles, ["past", "last", "baseline", "now"], "the newest is of the same data as now");
    }
}
