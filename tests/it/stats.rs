//! Questions in SQL: exact answers on small tables, files put into a folder, and what is open to queries.
#![allow(clippy::unwrap_used)]

use crate::split::{Mask, World, lists, masks};
use arrow::array::{
    ArrayRef, ListArray, RecordBatch, StringArray, TimestampMillisecondArray, UInt8Array, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, UInt16Type, UInt32Type};
use bytes::Bytes;
use selvedge::page::report::CheckOutcome;
use selvedge::stage::stats::{Answer, STAGED_ANSWERS_KEY, Settings, ask, fingerprint, json, keep, last, text};
use selvedge::stage::tables::Place;
use selvedge::stage::{Context, Error};
use selvedge::storage::Store;
use selvedge::table::schema::{ANNOTATIONS, MASKS, OVERLAPS, QUARANTINE, SPLITS};
use serde_json::{Value, json as value};
use std::sync::Arc;

fn texts(rows: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(rows))
}

/// (image, class, area) of each row, the rows numbered from `first`.
fn annotations(first: u64, rows: &[(&str, u8, u64)]) -> RecordBatch {
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
        Arc::new(UInt64Array::from_iter_values(first..first + rows.len() as u64)),
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
        &[annotations(1, &[("a", 0, 30), ("a", 23, 10)]), annotations(3, &[("b", 23, 20), ("a", 23, 5), ("c", 45, 1)])],
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

/// Asks and keeps, and gives the answers.
fn run(settings: &Settings, context: &Context) -> Result<Vec<Answer>, Error> {
    let findings = ask(settings, context)?;
    keep(&findings, settings, context)?;
    Ok(findings.asked.into_iter().map(|asked| asked.answer).collect())
}

fn of(sql: &Store) -> Settings {
    Settings { sql: Some(sql.clone()), ..Settings::default() }
}

fn rows(answer: &Answer) -> Value {
    value!(answer.rows)
}

#[test]
fn tables_that_are_not_there_are_taken_as_empty_and_named() {
    let world = World::new();
    world.publish(&MASKS, &[masks(&[mask("a", 10, 10, &[(0, 100)])])]);
    let sql = folder(
        &world,
        &[("a.sql", "SELECT item FROM quarantine"), ("b.sql", "SELECT COUNT(*) AS n FROM masks, labels")],
    );
    let answers = run(&of(&sql), &world.context).unwrap();
    assert_eq!((rows(&answers[0]), answers[0].absent.as_slice()), (value!([]), ["quarantine".to_owned()].as_slice()));
    assert_eq!((rows(&answers[1]), answers[1].absent.as_slice()), (value!([[46]]), [].as_slice()));
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
    let answers = run(&of(&sql), &world.context).unwrap();
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
    let answers = run(&of(&folder(&world, &[("l.sql", lists)])), &world.context).unwrap();
    assert_eq!(answers[0].rows, [[Value::from("a"), value!([0, 1, 24]), 0.0.into()]]);
    for text in ["SELECT lengths FROM masks", "SELECT starts FROM annotations", "SELECT 1 FROM nowhere", "SELEKT"] {
        let refused = run(&of(&folder(&world, &[("bad.sql", text)])), &world.context);
        assert!(
            matches!(&refused, Err(Error::Table(error)) if error.to_string().contains("bad")),
            "{text}: {refused:?}"
        );
    }
    let none = run(&of(&folder(&world, &[("readme.md", "")])), &world.context);
    assert!(matches!(none, Err(Error::Usage(_))));
}

#[test]
fn kept_answers_hold_until_a_table_or_a_question_changes() {
    let world = filled();
    let sql = folder(&world, &[("n.sql", "SELECT COUNT(*) AS n FROM splits")]);
    let settings = of(&sql);
    assert!(last(&world.context).unwrap().is_none());
    let answers = run(&settings, &world.context).unwrap();
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
    let check = "-- title: Few\n-- severity: warn\n-- advice: look\nSELECT image_id FROM splits WHERE split = 'test'";
    let findings = ask(&of(&folder(&world, &[("r.sql", query), ("checks/few.sql", check)])), &world.context).unwrap();
    let wanted = "WARNING: Few\nlook\n\nimage_id\nc\n\nRefused\nWhat?\n\nitem   n\nrow 7  1\ny.jpg  1\nz.jpg  1\n\n\
                  1 question answered from quarantine, splits; 1 check: few warns (1 row)\n";
    assert_eq!(text(&findings), wanted);
    let shown = json([&findings.asked[0].answer]);
    assert_eq!(shown[0]["rows"][1], value!({ "item": "y.jpg", "n": 1 }));
    assert_eq!((&shown[0]["name"], &shown[0]["columns"][1]["name"]), (&"r".into(), &"n".into()));
}

#[test]
fn a_check_passes_fails_or_is_not_asked_and_one_can_be_accepted() {
    let world = filled();
    let sql = folder(
        &world,
        &[
            ("checks/bad.sql", "-- severity: block\nSELECT image_id FROM masks WHERE height > 500 ORDER BY image_id"),
            ("checks/drift.sql", "-- severity: block\nSELECT item FROM stats WHERE role = 'last' AND value > 9"),
            ("checks/fine.sql", "-- severity: block\nSELECT image_id FROM masks WHERE height > 5000"),
            ("checks/photos.sql", "SELECT key FROM images"),
            ("n.sql", "-- keep: images value=n\nSELECT COUNT(*) AS n FROM masks"),
        ],
    );
    let findings = ask(&of(&sql), &world.context).unwrap();
    let outcomes: Vec<_> =
        findings.checks.iter().map(|checked| (checked.question.name.as_str(), &checked.outcome)).collect();
    let not_asked = |why: &str| CheckOutcome::NotAsked(why.to_owned());
    let wanted = [
        ("bad", &CheckOutcome::Failed),
        ("drift", &not_asked("there are no earlier figures to compare with")),
        ("fine", &CheckOutcome::Passed),
        ("photos", &not_asked("images is not in the store")),
    ];
    assert_eq!(outcomes, wanted);
    assert!(findings.is_blocked());
    assert_eq!(rows(&findings.checks[0].answer), value!([["b"], ["c"]]));

    let accepted = Settings { accept: vec!["bad".to_owned()], ..of(&sql) };
    assert!(!ask(&accepted, &world.context).unwrap().is_blocked());
    let unknown = Settings { accept: vec!["baad".to_owned()], ..of(&sql) };
    assert!(matches!(ask(&unknown, &world.context), Err(Error::Usage(text)) if text.contains("baad")));
    let only = Settings { only: vec!["n".to_owned()], ..of(&sql) };
    assert!(ask(&only, &world.context).unwrap().checks.is_empty());
}

#[test]
fn blocked_answers_stay_aside_and_their_figures_are_never_the_last_ones() {
    let world = filled();
    let sql = folder(
        &world,
        &[
            ("n.sql", "-- keep: images value=n\nSELECT COUNT(*) AS n FROM masks"),
            ("was.sql", "SELECT role, figure, value FROM stats ORDER BY snapshot, role"),
            ("checks/many.sql", "-- severity: block\nSELECT n FROM (SELECT COUNT(*) AS n FROM masks) AS m WHERE n > 3"),
        ],
    );
    let settings = of(&sql);
    let was = |world: &World| rows(&run(&settings, &world.context).unwrap()[1]);
    assert_eq!(was(&world), value!([["now", "images", 3.0]]));
    assert_eq!(was(&world), value!([["now", "images", 3.0]]), "the same data again is the same night");

    let more = [mask("a", 10, 10, &[(0, 100)]), mask("b", 10, 10, &[(0, 100)])];
    world.publish(&MASKS, &[masks(&more)]);
    assert_eq!(was(&world), value!([["last", "images", 3.0], ["now", "images", 2.0]]));

    let store = world.context.tables.store();
    let kept = last(&world.context).unwrap();
    let four: Vec<Mask> = ["a", "b", "c", "d"].map(|id| mask(id, 10, 10, &[(0, 100)])).to_vec();
    world.publish(&MASKS, &[masks(&four)]);
    assert_eq!(was(&world), value!([["past", "images", 3.0], ["last", "images", 2.0], ["now", "images", 4.0]]));
    assert_eq!(last(&world.context).unwrap(), kept, "what is blocked replaces nothing");
    assert!(store.wait(store.head(STAGED_ANSWERS_KEY)).unwrap().is_some());

    world.publish(&MASKS, &[masks(&four[..1])]);
    let against = Settings { baseline: Some("20".to_owned()), ..settings.clone() };
    let rows = rows(&run(&against, &world.context).unwrap()[1]);
    let wanted =
        value!([["past", "images", 3.0], ["baseline", "images", 2.0], ["last", "images", 2.0], ["now", "images", 1.0]]);
    assert_eq!(rows, wanted, "four images were never promoted");
}

#[test]
fn where_masks_lie_and_meet_can_be_asked_without_spans() {
    let world = filled();
    let sql = folder(
        &world,
        &[
            (
                "a.sql",
                "SELECT image_id, spans, \"left\", \"top\", \"right\", bottom FROM annotations ORDER BY \"row\" LIMIT 2",
            ),
            (
                "b.sql",
                "SELECT class_a, class_b, images, overlapping, pixels, hidden FROM overlaps WHERE class_a <> class_b ORDER BY class_a",
            ),
            ("c.sql", "SELECT visible FROM policies WHERE policy = 'first-wins' AND class_id = 23"),
        ],
    );
    let answers = run(&of(&sql), &world.context).unwrap();
    // Images are 10 × 10 there, and each mask begins at the first pixel: 30 pixels of class 0 below 10 and 5 of class 23.
    assert_eq!(rows(&answers[0]), value!([["a", 1, 0, 0, 3, 10], ["a", 1, 0, 0, 1, 10]]));
    assert_eq!(rows(&answers[1]), value!([[0, 23, 1, 1, 10, 10], [23, 0, 1, 1, 10, 0]]));
    assert_eq!(rows(&answers[2]), value!([[20]]), "20 pixels of the image b");
    let again = world.context.tables.versions(Place::from(&OVERLAPS)).unwrap();
    run(&of(&sql), &world.context).unwrap();
    assert_eq!(world.context.tables.versions(Place::from(&OVERLAPS)).unwrap(), again, "they are made once");
}

#[test]
fn a_header_that_cannot_be_meant_is_refused_with_its_file() {
    let world = filled();
    for (line, wanted) in [
        ("-- chart: pie label=n", "pie"),
        ("-- chart: bars label=n value=missing", "missing"),
        ("-- keep: n", "write keep"),
        ("-- severity: fatal", "block or warn"),
        ("-- sevrity: block", "did you mean severity?"),
        ("-- numbers: n", "write"),
    ] {
        let text = format!("{line}\nSELECT COUNT(*) AS n FROM masks");
        let refused = ask(&of(&folder(&world, &[("odd.sql", &text)])), &world.context).unwrap_err().to_string();
        assert!(refused.contains("odd") && refused.contains(wanted), "{line}: {refused}");
    }
}
