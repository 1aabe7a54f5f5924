//! The ends of runs as a table: one row for each stage of the newest runs, read from what each run left in the store. Must not
//! know how a run is done; `docs/outcome.md` says what it leaves.

use crate::stage::{Context, Error};
use crate::{storage, table};
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray, UInt64Array};
use futures::{StreamExt, TryStreamExt, stream};
use serde_json::Value;
use std::sync::Arc;

/// Runs that are looked at, the newest.
const MOST: usize = 400;
/// Objects read at a time.
const IN_FLIGHT: usize = 16;

/// The newest runs, the newest last; of those that have not ended nothing is known yet.
pub(super) fn ended(context: &Context) -> Result<Vec<String>, Error> {
    let store = context.tables.store();
    let mut runs = store.wait(store.list_folders("runs/"))?;
    runs.sort();
    let older = runs.len().saturating_sub(MOST);
    Ok(runs.split_off(older))
}

/// The rows of these runs. One whose end cannot be read is left out: it is another program's, or another version's.
pub(super) fn rows(runs: &[String], context: &Context) -> Result<RecordBatch, Error> {
    let store = context.tables.store();
    let ends: Vec<Option<Value>> = store.wait(
        stream::iter(runs)
            .map(|run| async move {
                match store.get(&format!("runs/{run}/outcome.json")).await {
                    Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
                    Err(storage::Error::NotFound { .. }) => Ok(None),
                    Err(error) => Err(Error::from(error)),
                }
            })
            .buffered(IN_FLIGHT)
            .try_collect(),
    )?;
    let none = Value::Null;
    let mut rows: Vec<(&str, &Value, &Value)> = Vec::new();
    for (run, end) in runs.iter().zip(&ends) {
        let Some(end) = end else { continue };
        match end["stage_results"].as_array() {
            Some(stages) if !stages.is_empty() => rows.extend(stages.iter().map(|stage| (run.as_str(), end, stage))),
            _ => rows.push((run, end, &none)),
        }
    }
    batch(&rows)
}

/// A row is a run's name, its end, and one of its stages; that is null where the run came to none.
fn batch(rows: &[(&str, &Value, &Value)]) -> Result<RecordBatch, Error> {
    let text = |of: &dyn Fn(&Value, &Value) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, end, stage)| of(end, stage)).collect::<StringArray>())
    };
    let end_text = |field: &str| text(&|end, _| end[field].as_str().map(str::to_owned));
    let number = |of: &dyn Fn(&Value, &Value) -> Option<f64>| -> ArrayRef {
        Arc::new(rows.iter().map(|(_, end, stage)| of(end, stage)).collect::<Float64Array>())
    };
    let work = |field: &str| number(&|_, stage| stage["work"][field].as_f64());
    let count = |field: &str| -> ArrayRef {
        let of = |stage: &Value, end: &Value| {
            // Before run/1.1 only the sums over all stages are known.
            let counts = if stage.is_null() { &end["counts"] } else { &stage["counts"] };
            counts[field].as_u64().unwrap_or(0)
        };
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|(_, end, stage)| of(stage, end))))
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("run", Arc::new(StringArray::from_iter_values(rows.iter().map(|(run, ..)| run)))),
        ("pipeline", end_text("pipeline")),
        ("date", end_text("date")),
        ("result", end_text("result")),
        ("exit", Arc::new(rows.iter().map(|(_, end, _)| end["exit"].as_i64()).collect::<Int64Array>())),
        ("started", end_text("started")),
        ("ended", end_text("ended")),
        ("seconds", number(&|end, _| end["seconds"].as_f64())),
        ("stage", text(&|_, stage| stage["name"].as_str().map(str::to_owned))),
        ("stage_seconds", number(&|_, stage| stage["seconds"].as_f64())),
        ("ok", count("ok")),
        ("cached", count("cached")),
        ("review", count("review")),
        ("quarantined", count("quarantined")),
        ("failed", count("failed")),
        ("bytes", Arc::new(rows.iter().map(|(_, _, stage)| stage["bytes"].as_u64()).collect::<UInt64Array>())),
        ("images_per_second", work("images_per_second")),
        ("cpu_seconds", work("cpu_seconds")),
        ("network_cpu_share", work("network_cpu_share")),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true)))
        .map_err(table::Error::from)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use serde_json::json;

    #[test]
    fn a_run_is_a_row_for_each_of_its_stages_and_one_without_any() {
        let end = json!({"pipeline": "p", "result": "done", "exit": 0, "seconds": 2.5, "counts": {"ok": 7},
            "stage_results": [{"name": "cutout", "seconds": 2.0, "bytes": 9, "counts": {"ok": 4, "failed": 1},
                "work": {"images_per_second": 2.5}}]});
        let old = json!({"pipeline": "p", "outcome": "done", "counts": {"ok": 7}});
        let batch = batch(&[("r1", &end, &end["stage_results"][0]), ("r0", &old, &Value::Null)]).unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap();
        assert_eq!(column("ok").as_primitive::<arrow::datatypes::UInt64Type>().values(), &[4, 7]);
        let speed = column("images_per_second").as_primitive::<arrow::datatypes::Float64Type>();
        assert_eq!((speed.value(0), speed.is_null(1)), (2.5, true));
        assert!(column("stage").is_null(1) && column("result").is_null(1));
    }
}
