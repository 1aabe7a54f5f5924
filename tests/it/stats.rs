//! Questions in SQL: exact answers on small tables, files put into a folder, and what is open to queries.
#![allow(clippy::unwrap_used)]

use crate::split::{Mask, World, lists, masks};
use arrow::array::{
    ArrayRef, ListArray, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, UInt16Type, UInt32Type};
use bytes::Bytes;
use selvedge::stage::Error;
use selvedge::stage::stats::{Answer, Settings, fingerprint, json, last, run, text};
use selvedge::storage::Store;
use selvedge::table::schema::{ANNOTATIONS, MASKS, QUARANTINE, SPLITS};
use serde_json::{Value, json as value};
use std::sync::Arc;

fn texts(rows: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows))
}

/// (image, class, area) of each row.
fn annotations(rows: &[(&str, u8, u64)]) -> RecordBatch {
    let no_texts = ListArray::new(
        Arc::new(Field::new("item", DataType::Utf8, false)),
        OffsetBuffer::from_lengths(rows.iter().map(|_| 0)),
        texts(&[]),
        None,
    );
    let columns: Vec<ArrayRef> = vec![
        texts(&rows.iter().map(|row| row.0).collect::<Vec<_>>()),
        Arc::new(UInt8Array::from_iter_values(rows.iter().map(|row| row.1))),
        lists::<UInt16Type>(&vec![Vec::new(); rows.len()]),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|_| 10))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|_| 10))),
        lists::<UInt32Type>(&vec![vec![0]; rows.len()]),
        lists::<UInt32Type>(&rows.iter().map(|row| vec![row.2 as u32]).collect::<Vec<_>>()),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.2))),
        Arc::new(UInt64Array::from_iter_values(1..=rows.len() as u64)),
        Arc::new(no_texts),
    ];
    RecordBatch::try_new(ANNOTATIONS.schema(), columns).unwrap()
}

/// (stage, item, reason, seconds since 1970) of each row.
fn quarantine(rows: &[(&str, &str, &str, i64)]) -> RecordBatch {
    let times = TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.3 * 1000)).with_timezone("UTC");
    let columns: Vec<ArrayRef> = vec![
        texts(&rows.iter().map(|row| row.0).collect::<Vec<_>>()),
        texts(&rows.iter().map(|row| row.1).collect::<Vec<_>>()),
        texts(&rows.iter().map(|row| row.2).collect::<Vec<_>>()),
        texts(&vec!["because"; rows.len()]),
        texts(&vec!["there"; rows.len()]),
        Arc::new(times),
    ];
    RecordBatch::try_new(QUARANTINE.schema(), columns).unwrap()
}

fn splits(rows: &[(&str, &str)]) -> RecordBatch {
    let ids = texts(&rows.iter().map(|row| row.0).collect::<Vec<_>>());
    let names = texts(&rows.iter().map(|row| row.1).collect::<Vec<_>>());
    RecordBatch::try_new(SPLITS.schema(), vec![Arc::clone(&ids), names, ids]).unwrap()
}

fn mask(id: &str, height: u32, width: u32, spans: &[(u8, u32)]) -> Mask {
    let (classes, lengths) = spans.iter().copied().unzip();
    Mask { id: id.to_owned(), height, width, classes, lengths }
}

/// Four annotation rows on three images, all in splits; two photos and a row refused.
fn filled() -> World {
    let world = World::new();
    world.publish(
        &ANNOTATIONS,
        &[annotations(&[("a", 0, 30), ("a", 23, 10)]), annotations(&[("b", 23, 20), ("a", 23, 5), ("c", 45, 1)])],
    );
    world.publish(
        &MASKS,
        &[
            masks(&[mask("a", 10, 10, &[(0, 60), (1, 25), (24, 15)]), mask("b", 1000, 600, &[(0, 599_980), (24, 20)])]),
            masks(&[mask("c", 3000, 2000, &[(46, 1), (0, 5_999_999)])]),
        ],
    );
    world.publish(&SPLITS, &[splits(&[("a", "train"), ("b", "train"), ("c", "test")])]);
    world.publish(
        &QUARANTINE,
        &[
            quarantine(&[("ingest", "row 7", "rle_odd", 1_800_000_000)]),
            quarantine(&[
                ("cutout", "z.jpg", "truncated", 1_700_000_001),
                ("cutout", "y.jpg", "truncated", 1_700_000_000),
            ]),
        ],
    );
    world
}

fn answer<'a>(answers: &'a [Answer], name: &str) -> &'a Answer {
    answers.iter().find(|answer| answer.name == name).unwrap()
}

#[test]
fn the_shipped_questions_are_answered_exactly() {
    let world = filled();
    let (answers, report) = run(&Settings::default(), &world.context).unwrap();
    assert_eq!(report.counts.ok, 3);

    let classes = answer(&answers, "class_balance");
    assert_eq!(classes.rows.len(), 46, "a row for every class");
    let wanted = [
        value!([23, "shoe", "main", 3, 0.6, 2, 35, 35, 2, 0, 0]),
        value!([0, "shirt, blouse", "main", 1, 0.2, 1, 30, 25, 1, 0, 0]),
        value!([45, "tassel", "part", 1, 0.2, 1, 1, 1, 0, 0, 1]),
        value!([1, "top, t-shirt, sweatshirt", "main", 0, 0.0, 0, 0, 0, 0, 0, 0]),
    ];
    assert_eq!(classes.rows[..4].iter().cloned().map(Value::from).collect::<Vec<_>>(), wanted);

    let sizes = answer(&answers, "image_sizes");
    let wanted = [
        value!(["< 0.25", 1, 0.33333, 0, 10, 10.0, 10.0, 10, 1]),
        value!(["0.25–1", 1, 0.33333, 1, 600, 600.0, 1000.0, 1000, 0]),
        value!(["4–16", 1, 0.33333, 1, 2000, 2000.0, 3000.0, 3000, 0]),
    ];
    assert_eq!(sizes.rows.iter().cloned().map(Value::from).collect::<Vec<_>>(), wanted);

    let refused = answer(&answers, "quarantine_by_reason");
    let wanted = [
        value!(["cutout", "truncated", 2, 0.66667, "2023-11-14T22:13:20Z", "y.jpg"]),
        value!(["ingest", "rle_odd", 1, 0.33333, "2027-01-15T08:00:00Z", "row 7"]),
    ];
    assert_eq!(refused.rows.iter().cloned().map(Value::from).collect::<Vec<_>>(), wanted);
}

#[test]
fn every_column_of_the_shipped_questions_says_what_it_holds() {
    let (answers, _) = run(&Settings::default(), &filled().context).unwrap();
    for answer in &answers {
        assert!(!answer.title.is_empty() && answer.question.ends_with('?') && answer.grain.starts_with("one row per"));
        for column in &answer.columns {
            assert!(!column.meaning.is_empty(), "{}: {} has no `-- column` line", answer.name, column.name);
        }
    }
}

#[test]
fn tables_that_are_not_there_are_taken_as_empty_and_named() {
    let world = World::new();
    world.publish(&MASKS, &[masks(&[mask("a", 10, 10, &[(0, 100)])])]);
    let (answers, _) = run(&Settings::default(), &world.context).unwrap();
    assert_eq!(answer(&answers, "quarantine_by_reason").rows, Vec::<Vec<Value>>::new());
    assert_eq!(answer(&answers, "quarantine_by_reason").absent, ["quarantine"]);
    assert_eq!(answer(&answers, "class_balance").absent, ["annotations", "splits"]);
    assert_eq!(answer(&answers, "class_balance").rows.len(), 46);
    assert_eq!(answer(&answers, "image_sizes").absent, Vec::<String>::new());
    assert!(matches!(run(&Settings::default(), &World::new().context), Err(Error::Usage(_))), "nothing there at all");
}

fn folder(world: &World, files: &[(&str, &str)]) -> Store {
    let store = world.store();
    for (file, text) in files {
        store.wait(store.put(file, Bytes::from((*text).to_owned()))).unwrap();
    }
    store
}

#[test]
fn a_file_put_into_the_folder_is_asked() {
    let world = filled();
    let sql = folder(
        &world,
        &[
            (
                "tall.sql",
                "-- title: Tall images\n-- column n: images\nSELECT COUNT(*) AS n FROM masks WHERE height > 500",
            ),
            ("all.sql", "SELECT * FROM splits ORDER BY image_id"),
            ("notes.txt", "no question"),
            ("deeper/not_asked.sql", "SELECT nothing"),
        ],
    );
    let (answers, _) = run(&Settings { sql: Some(sql) }, &world.context).unwrap();
    let names: Vec<_> = answers.iter().map(|answer| (answer.name.as_str(), answer.title.as_str())).collect();
    assert_eq!(names, [("all", "all"), ("tall", "Tall images")]);
    assert_eq!(answers[1].rows, [[Value::from(2)]]);
    assert_eq!((answers[1].columns[0].name.as_str(), answers[1].columns[0].meaning.as_str()), ("n", "images"));
    assert_eq!(answers[0].rows[2], [Value::from("c"), "test".into(), "c".into()]);
}

#[test]
fn lists_of_small_numbers_can_be_asked_and_spans_cannot() {
    let world = filled();
    let lists = "SELECT image_id, class_ids, conflicted_share FROM masks ORDER BY image_id LIMIT 1";
    let (answers, _) = run(&Settings { sql: Some(folder(&world, &[("l.sql", lists)])) }, &world.context).unwrap();
    assert_eq!(answers[0].rows, [[Value::from("a"), value!([0, 1, 24]), 0.0.into()]]);
    for text in ["SELECT lengths FROM masks", "SELECT starts FROM annotations", "SELECT 1 FROM nowhere", "SELEKT"] {
        let refused = run(&Settings { sql: Some(folder(&world, &[("bad.sql", text)])) }, &world.context);
        assert!(
            matches!(&refused, Err(Error::Table(error)) if error.to_string().contains("bad")),
            "{text}: {refused:?}"
        );
    }
    let none = run(&Settings { sql: Some(folder(&world, &[("readme.md", "")])) }, &world.context);
    assert!(matches!(none, Err(Error::Usage(_))));
}

#[test]
fn kept_answers_hold_until_a_table_or_a_question_changes() {
    let world = filled();
    let sql = folder(&world, &[("n.sql", "SELECT COUNT(*) AS n FROM splits")]);
    let settings = Settings { sql: Some(sql.clone()) };
    assert!(last(&world.context).unwrap().is_none());
    let (answers, _) = run(&settings, &world.context).unwrap();
    let kept = last(&world.context).unwrap().unwrap();
    assert_eq!((kept.answers, &kept.fingerprint), (answers, &fingerprint(&settings, &world.context).unwrap()));

    world.publish(&MASKS, &[masks(&[mask("new", 10, 10, &[(0, 100)])])]);
    assert_eq!(fingerprint(&settings, &world.context).unwrap(), kept.fingerprint, "masks are not asked");
    world.publish(&SPLITS, &[splits(&[("new", "train")])]);
    assert_eq!(fingerprint(&settings, &world.context).unwrap().changed_since(&kept.fingerprint), ["table splits"]);
    sql.wait(sql.put("n.sql", Bytes::from_static(b"SELECT COUNT(*) AS rows FROM splits"))).unwrap();
    let changed = fingerprint(&settings, &world.context).unwrap().changed_since(&kept.fingerprint);
    assert_eq!(changed, ["sql n", "table splits"]);
}

#[test]
fn answers_are_shown_as_aligned_text_and_as_json() {
    let world = filled();
    let query =
        "-- title: Refused\n-- question: What?\nSELECT item, COUNT(*) AS n FROM quarantine GROUP BY item ORDER BY item";
    let (answers, _) = run(&Settings { sql: Some(folder(&world, &[("r.sql", query)])) }, &world.context).unwrap();
    assert_eq!(text(&answers), "Refused\nWhat?\n\nitem   n\nrow 7  1\ny.jpg  1\nz.jpg  1\n");
    let shown = json(&answers);
    assert_eq!(shown[0]["rows"][1], value!({ "item": "y.jpg", "n": 1 }));
    assert_eq!((&shown[0]["name"], &shown[0]["columns"][1]["name"]), (&"r".into(), &"n".into()));
}
