//! The fixture without its oddities, and faults planted into it one at a time. Must not know how a check finds them.

use super::tables::{Rows, columns};
use serde_json::{Value, json};

/// The tables as they are kept beside the snapshots, oddities included.
pub fn fixture() -> Rows {
    serde_json::from_str(include_str!("../../fixtures/sql/tables.json")).unwrap()
}

/// The fixture with every oddity taken out: this run equals the last one and the baseline.
pub fn clean() -> Rows {
    let mut rows = fixture();
    rows.insert("quarantine".to_owned(), Vec::new());
    set(&mut rows, "annotations", "row", &json!(35), &[("bottom", json!(40))]);
    rows.insert("duplicates".to_owned(), Vec::new());
    set(&mut rows, "ledger", "outcome", &json!("quarantined"), &[("outcome", json!("ok"))]);
    for photo in ["i", "j"] {
        let key = json!(format!("train/{photo}.jpg"));
        set(&mut rows, "images", "image_id", &json!(photo), &[("content", json!(format!("h-{photo}")))]);
        set(&mut rows, "images", "image_id", &json!(photo), &[("group", key), ("alike", Value::Null)]);
    }
    set(&mut rows, "images", "image_id", &json!("k"), &[("height", json!(50)), ("width", json!(200))]);
    set(&mut rows, "splits", "image_id", &json!("h"), &[("split", json!("test"))]);
    let now: Vec<Value> = rows["stats"].iter().filter(|row| row[1] == "now").cloned().collect();
    let again =
        |role: &str| now.iter().map(|row| json!(["2026-11-22T03:00:00Z", role, row[2], row[3], row[4]])).collect();
    let earlier: [Vec<Value>; 2] = ["last", "baseline"].map(again);
    rows.insert("stats".to_owned(), now.iter().cloned().chain(earlier.into_iter().flatten()).collect());
    rows
}

/// For each check, the clean tables with the one fault that it is there to find.
pub fn planted() -> Vec<(&'static str, Rows)> {
    let mut faults: Vec<(&'static str, Rows)> = Vec::new();
    let mut plant = |check: &'static str, fault: &dyn Fn(&mut Rows)| {
        let mut rows = clean();
        fault(&mut rows);
        faults.push((check, rows));
    };
    plant("no_duplicate_instance", &|rows| again(rows, &[("row", json!(99))]));
    plant("masks_fit_image", &|rows| set(rows, "annotations", "row", &json!(1), &[("right", json!(101))]));
    plant("every_image_has_mask", &|rows| {
        let bare = [("class_ids", json!([0])), ("class_pixels", json!([10_000])), ("class_annotated", json!([0]))];
        set(rows, "masks", "image_id", &json!("l"), &bare);
    });
    plant("class_ids_known", &|rows| again(rows, &[("row", json!(99)), ("class_id", json!(46))]));
    plant("split_disjoint", &|rows| push(rows, "splits", json!(["a", "val", "a"])));
    plant("no_leak_by_hash", &|rows| {
        let same = [("content", json!("h-a")), ("group", json!("train/a.jpg")), ("alike", json!("exact"))];
        set(rows, "images", "image_id", &json!("i"), &same);
    });
    plant("no_leak_by_look", &|rows| {
        let alike = [("group", json!("train/c.jpg")), ("alike", json!("near"))];
        set(rows, "images", "image_id", &json!("j"), &alike);
    });
    plant("rare_class_in_every_split", &|rows| {
        set(rows, "splits", "image_id", &json!("h"), &[("split", json!("train"))]);
    });
    plant("area_sums_to_image", &|rows| {
        set(rows, "masks", "image_id", &json!("a"), &[("class_pixels", json!([6801, 2100, 800, 300]))]);
    });
    plant("quarantine_under_limit", &|rows| {
        push(
            rows,
            "quarantine",
            json!(["ingest", "row 41", "rle_odd", "13 numbers", "row 41", "2026-11-22T08:00:00Z"]),
        );
    });
    plant("cutout_quarantine_under_limit", &|rows| {
        set(rows, "ledger", "key", &json!("train/z.jpg"), &[("outcome", json!("quarantined"))]);
    });
    plant("rowcount_not_dropped_20pct", &|rows| kept(rows, "now", "totals", "rows", 30.0));
    plant("class_not_vanished", &|rows| {
        let kept = |role: &str, masks: f64| json!(["2026-11-22T03:00:00Z", role, "class_masks", "cape", masks]);
        push(rows, "stats", kept("last", 12.0));
        push(rows, "stats", kept("now", 0.0));
    });
    plant("class_share_drift", &|rows| kept(rows, "last", "class_share", "shoe", 0.3));
    plant("photo_sizes_match", &|rows| {
        set(rows, "images", "image_id", &json!("k"), &[("height", json!(25)), ("width", json!(100))]);
    });
    faults
}

/// Writes columns of the rows of a table that hold a value.
fn set(rows: &mut Rows, table: &str, by: &str, value: &Value, cells: &[(&str, Value)]) {
    let place = |name: &str| columns(table).iter().position(|(column, _)| *column == name).unwrap();
    let mut found = 0;
    for row in rows.get_mut(table).unwrap().iter_mut().filter(|row| row[place(by)] == *value) {
        found += 1;
        for (column, cell) in cells {
            row[place(column)] = cell.clone();
        }
    }
    assert!(found > 0, "no row of {table} has {by} {value}");
}

/// Writes one kept figure.
fn kept(rows: &mut Rows, role: &str, figure: &str, item: &str, value: f64) {
    let found =
        rows.get_mut("stats").unwrap().iter_mut().find(|row| row[1] == role && row[2] == figure && row[3] == item);
    found.unwrap()[4] = json!(value);
}

fn push(rows: &mut Rows, table: &str, row: Value) {
    rows.get_mut(table).unwrap().push(row);
}

/// The first annotation row once more, with other cells.
fn again(rows: &mut Rows, cells: &[(&str, Value)]) {
    let first = rows["annotations"][0].clone();
    push(rows, "annotations", first);
    let names = columns("annotations");
    let last = rows.get_mut("annotations").unwrap().last_mut().unwrap();
    for (column, cell) in cells {
        last[names.iter().position(|(name, _)| name == column).unwrap()] = cell.clone();
    }
}
