//! What a person decides about doubtful cutouts: the sheet they look at, the words they type, and what the shop then has.

use crate::runs::{code, end, files, json, rows, selvedge, store};
use arrow::array::AsArray;
use selvedge::cancel::Cancel;
use selvedge::image::encode;
use selvedge::runner::lock;
use selvedge::stage::tables::Place;
use selvedge::table::schema::{LEDGER, QUARANTINE};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// A name that must not get out of its place in a page, nor be taken apart by a shell.
const BLANK: &str = "<b>blank & it's.png";
const LEDGER_OF: Place<'static> = Place { table: &LEDGER, folder: "ledger/night/cutout" };

/// A photo of 120 × 120 pixels: white paper and, in its middle, a square of so many pixels a side.
fn photo(side: usize, colour: [u8; 3]) -> Vec<u8> {
    let inside = |at: usize| at >= (120 - side) / 2 && at < (120 - side) / 2 + side;
    let pixel = |index: usize| if inside(index % 120) && inside(index / 120) { colour } else { [255; 3] };
    let rgb: Vec<u8> = (0..120 * 120).flat_map(pixel).collect();
    encode::png_rgb(120, 120, &rgb, None).unwrap()
}

/// One good photo, one whose subject is too large for the bounds, one in which nothing is.
fn workplace() -> TempDir {
    let folder = TempDir::new().unwrap();
    let photos = folder.path().join("photos");
    fs::create_dir_all(photos.join("shoes")).unwrap();
    fs::write(photos.join("good.png"), photo(60, [30, 60, 120])).unwrap();
    fs::write(photos.join("shoes/large.png"), photo(96, [120, 30, 60])).unwrap();
    fs::write(photos.join(BLANK), photo(0, [0; 3])).unwrap();
    let pipeline = r#"
        name = "night"
        store = "store"
        [[stage]]
        kind = "cutout"
        input = "photos/"
        out = "shop"
        edges = "none"
          [stage.review]
          to = "doubtful"
          max_coverage = 0.5
    "#;
    fs::write(folder.path().join("night.toml"), pipeline).unwrap();
    folder
}

fn run(place: &TempDir) -> Value {
    json(place.path(), 0, &["run", "night.toml"])
}

/// Key, outcome, reason and notes of every row of the ledger.
fn ledger(place: &TempDir) -> Vec<(String, String, String, Vec<String>)> {
    let mut found = Vec::new();
    for batch in rows(&store(&place.path().join("store")), LEDGER_OF) {
        let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let (keys, outcomes, reasons) = (text("key"), text("outcome"), text("reason"));
        let notes = batch.column_by_name("notes").unwrap().as_list::<i32>().clone();
        for row in 0..batch.num_rows() {
            let notes = notes.value(row).as_string::<i32>().iter().flatten().map(str::to_owned).collect();
            let text = |column: &arrow::array::StringArray| column.iter().nth(row).flatten().unwrap_or("").to_owned();
            found.push((text(&keys), text(&outcomes), text(&reasons), notes));
        }
    }
    found
}

fn row(place: &TempDir, key: &str) -> (String, String, Vec<String>) {
    let found = ledger(place).into_iter().find(|row| row.0 == key).unwrap();
    (found.1, found.2, found.3)
}

fn quarantine(place: &TempDir) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for batch in rows(&store(&place.path().join("store")), (&QUARANTINE).into()) {
        let text = |name: &str, row| batch.column_by_name(name).unwrap().as_string::<i32>().value(row).to_owned();
        found.extend((0..batch.num_rows()).map(|row| (text("item", row), text("reason", row), text("detail", row))));
    }
    found
}

fn sheet(place: &TempDir) -> String {
    fs::read_to_string(place.path().join("doubtful/sheet.html")).unwrap()
}

fn told(folder: &Path, words: &[&str], expected: i32) -> String {
    let output = end(folder, words);
    assert_eq!(code(&output), expected, "{words:?}: {output:?}");
    String::from_utf8_lossy(if expected == 0 { &output.stdout } else { &output.stderr }).into_owned()
}

#[test]
fn doubtful_cutouts_are_on_the_sheet_worst_first_and_not_in_the_shop() {
    let place = workplace();
    let result = run(&place);
    assert_eq!((&result["counts"]["ok"], &result["counts"]["review"]), (&1.into(), &2.into()));
    assert_eq!(files(&place.path().join("shop")).len(), 1);
    let artifacts: Vec<&str> = result["artifacts"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(artifacts, ["shop", "doubtful/sheet.html"]);
    let sheet = sheet(&place);
    let at = |text: &str| sheet.find(text).unwrap_or_else(|| panic!("{text} is not on the sheet"));
    assert!(at("<bdi>&lt;b&gt;blank &amp; it&#39;s.png</bdi>") < at("<bdi>shoes/large.png</bdi>"));
    assert!(at("<bdi>shoes/large.png</bdi>") < at("<h2>Passed") && at("<h2>Passed") < at("<bdi>good.png</bdi>"));
    assert!(!sheet.contains("<b>blank"));
    // Before and after of three photos; what is out of bounds is marked.
    assert_eq!(
        (sheet.matches("<img src=\"data:image/jpeg").count(), sheet.matches("<img src=\"data:image/png").count()),
        (3, 3)
    );
    assert!(sheet.contains("<tr class=\"broken\"><th scope=\"row\">coverage</th><td>0.640"));
    assert!(
        sheet.contains(
            "selvedge review accept night.toml &#39;&lt;b&gt;blank &amp; it&#39;\\&#39;&#39;s.png&#39;</code>"
        )
    );
}

#[test]
fn review_list_names_what_waits_worst_first() {
    let place = workplace();
    run(&place);
    let listed = json(place.path(), 0, &["review", "list", "night.toml"]);
    let items = listed["stages"][0]["items"].as_array().unwrap();
    let keys: Vec<&str> = items.iter().filter_map(|item| item["key"].as_str()).collect();
    assert_eq!((keys, &listed["waiting"]), (vec![BLANK, "shoes/large.png"], &2.into()));
    assert_eq!(
        (items[0]["reason"].as_str(), items[1]["detail"].as_str()),
        (Some("empty"), Some("coverage 0.64 > 0.5"))
    );
    let text = told(place.path(), &["review", "list", "night.toml", "--reason", "coverage"], 0);
    assert!(text.contains("1 to review") && text.contains("shoes/large.png") && !text.contains("blank"), "{text}");
    let text = told(place.path(), &["review", "list", "night.toml", "--limit", "1"], 0);
    assert!(text.contains("blank") && !text.contains("large") && text.contains("and 1 more"), "{text}");
    let text = told(place.path(), &["review", "list", "night.toml", "--reason", "covrage"], 2);
    assert!(text.contains("did you mean coverage"), "{text}");
}

#[test]
fn what_is_accepted_is_in_the_shop_byte_for_byte_and_nobody_is_asked_again() {
    let place = workplace();
    run(&place);
    let waiting = fs::read(place.path().join("doubtful/shoes/large.png.png")).unwrap();
    let result = json(place.path(), 0, &["review", "accept", "night.toml", "shoes/large.png"]);
    assert_eq!((&result["accepted"], &result["waiting"]), (&1.into(), &1.into()));
    assert_eq!(fs::read(place.path().join("shop/shoes/large.png.png")).unwrap(), waiting);
    assert!(!place.path().join("doubtful/shoes/large.png.png").exists());
    assert_eq!(row(&place, "shoes/large.png"), ("ok".to_owned(), String::new(), vec!["accepted".to_owned()]));
    let text = sheet(&place);
    assert!(!text.contains("shoes/large.png") && text.contains("blank") && text.contains("<bdi>good.png"), "{text}");
    let before = files(place.path());
    let again = run(&place);
    assert_eq!((&again["nothing_to_do"], &again["counts"]["cached"]), (&true.into(), &3.into()));
    let kept = |found: &std::collections::BTreeMap<std::path::PathBuf, Vec<u8>>| {
        let of_runs = |path: &Path| path.starts_with("store/runs") || path.starts_with("store/locks");
        found
            .iter()
            .filter(|(path, _)| !of_runs(path))
            .map(|(path, bytes)| (path.clone(), bytes.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(kept(&before), kept(&files(place.path())));
    // Saying it twice is no mistake.
    let twice = json(place.path(), 0, &["review", "accept", "night.toml", "shoes/large.png"]);
    assert_eq!((&twice["accepted"], &twice["before"]), (&0.into(), &1.into()));
}

#[test]
fn what_is_rejected_is_quarantined_until_it_is_retried() {
    let place = workplace();
    run(&place);
    let words = ["review", "reject", "night.toml", BLANK, "--note", "an empty hanger"];
    assert_eq!(json(place.path(), 0, &words)["rejected"], 1);
    assert_eq!(row(&place, BLANK), ("quarantined".to_owned(), "rejected".to_owned(), Vec::new()));
    assert_eq!(quarantine(&place), [(BLANK.to_owned(), "rejected".to_owned(), "an empty hanger".to_owned())]);
    assert!(!place.path().join(format!("doubtful/{BLANK}.png")).exists());
    let again = run(&place);
    assert_eq!((&again["nothing_to_do"], &again["standing_quarantined"]), (&true.into(), &1.into()));
    let retried = json(place.path(), 0, &["retry", "night.toml", "--reason", "rejected"]);
    assert_eq!(retried["counts"]["review"], 1);
    assert_eq!(row(&place, BLANK).0, "review");
    assert!(quarantine(&place).is_empty() && place.path().join(format!("doubtful/{BLANK}.png")).exists());
}

#[test]
fn a_changed_photo_asks_again() {
    let place = workplace();
    run(&place);
    json(place.path(), 0, &["review", "accept", "night.toml", "--all"]);
    assert_eq!(json(place.path(), 0, &["review", "list", "night.toml"])["waiting"], 0);
    assert!(sheet(&place).contains("Nothing waits for a person."));
    fs::write(place.path().join("photos/shoes/large.png"), photo(100, [1, 90, 60])).unwrap();
    assert_eq!(run(&place)["counts"]["review"], 1);
    assert_eq!(row(&place, "shoes/large.png"), ("review".to_owned(), "coverage".to_owned(), Vec::new()));
    assert!(sheet(&place).contains("<bdi>shoes/large.png"));
}

#[test]
fn keys_that_do_not_wait_are_refused_before_anything_is_done() {
    let place = workplace();
    run(&place);
    let before = files(&place.path().join("shop"));
    let words = ["review", "accept", "night.toml", "shoes/large.png", "shoes/lage.png", "good.png"];
    let text = told(place.path(), &words, 2);
    assert!(text.contains("shoes/lage.png: no such photo; the nearest that waits is shoes/large.png"), "{text}");
    assert!(text.contains("good.png: it is ok, not in review") && text.contains("nothing was changed"), "{text}");
    assert_eq!(files(&place.path().join("shop")), before);
    assert_eq!(row(&place, "shoes/large.png").0, "review");
    assert!(told(place.path(), &["review", "accept", "night.toml"], 2).contains("--all"));
    json(place.path(), 0, &["review", "accept", "night.toml", "--all", "--reason", "coverage"]);
    let text = told(place.path(), &["review", "reject", "night.toml", "shoes/large.png"], 2);
    assert!(text.contains("it is ok, not in review"), "{text}");
}

#[test]
fn a_kill_between_copy_and_ledger_is_made_good_by_the_same_words() {
    let place = workplace();
    run(&place);
    // All that a killed `accept` had done: its word written down, the file copied.
    let waiting = place.path().join("doubtful/shoes/large.png.png");
    let bytes = fs::read(&waiting).unwrap();
    fs::create_dir_all(place.path().join("shop/shoes")).unwrap();
    fs::write(place.path().join("shop/shoes/large.png.png"), &bytes).unwrap();
    json(place.path(), 0, &["review", "accept", "night.toml", "shoes/large.png"]);
    assert_eq!(fs::read(place.path().join("shop/shoes/large.png.png")).unwrap(), bytes);
    assert!(!waiting.exists() && row(&place, "shoes/large.png").0 == "ok");
}

/// What a decision writes down before it does anything.
fn intent(place: &TempDir, verdict: &Value, key: &str, output: &str) {
    let batches = rows(&store(&place.path().join("store")), LEDGER_OF);
    let digest = batches.iter().find_map(|batch| {
        let text = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let at = text("key").iter().position(|found| found == Some(key))?;
        Some(text("output_digest").value(at).to_owned())
    });
    let intent = serde_json::json!({
        "schema": "run/1.0", "owner": "killed", "verdict": verdict, "decided": "2026-01-01T00:00:00Z",
        "items": [{"key": key, "digest": digest.unwrap(), "outputs": [output]}],
    });
    let folder = place.path().join("store/ledger/night/cutout/settling");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("killed.json"), intent.to_string()).unwrap();
}

#[test]
fn a_decision_that_was_written_down_is_carried_out_whatever_comes_next() {
    let place = workplace();
    run(&place);
    intent(&place, &serde_json::json!("accept"), "shoes/large.png", "shoes/large.png.png");
    json(place.path(), 0, &["review", "reject", "night.toml", BLANK]);
    assert_eq!(row(&place, "shoes/large.png").0, "ok");
    assert!(place.path().join("shop/shoes/large.png.png").exists());
    assert!(files(&place.path().join("store/ledger/night/cutout/settling")).is_empty());
}

#[test]
fn a_decision_about_a_cutout_that_is_another_by_now_is_dropped() {
    let place = workplace();
    run(&place);
    intent(&place, &serde_json::json!({"reject": {"note": null}}), "shoes/large.png", "shoes/large.png.png");
    fs::write(place.path().join("photos/shoes/large.png"), photo(100, [1, 90, 60])).unwrap();
    run(&place);
    json(place.path(), 0, &["review", "accept", "night.toml", BLANK]);
    assert_eq!(row(&place, "shoes/large.png").0, "review");
    assert!(place.path().join("doubtful/shoes/large.png.png").exists());
    json(place.path(), 0, &["review", "accept", "night.toml", "shoes/large.png"]);
}

#[test]
fn a_killed_decision_leaves_no_copy_in_the_review_place() {
    let place = workplace();
    run(&place);
    // Killed after the ledger, before the copies went.
    let waiting = place.path().join("doubtful/shoes/large.png.png");
    let bytes = fs::read(&waiting).unwrap();
    intent(&place, &serde_json::json!("accept"), "shoes/large.png", "shoes/large.png.png");
    let written = place.path().join("store/ledger/night/cutout/settling/killed.json");
    let decision = fs::read(&written).unwrap();
    json(place.path(), 0, &["review", "accept", "night.toml", "shoes/large.png"]);
    for (file, bytes) in [(&waiting, &bytes), (&written, &decision)] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    let again = json(place.path(), 0, &["review", "accept", "night.toml", "shoes/large.png"]);
    assert_eq!((&again["before"], waiting.exists(), written.exists()), (&1.into(), false, false));
    assert_eq!(fs::read(place.path().join("shop/shoes/large.png.png")).unwrap(), bytes);
}

#[test]
fn a_cutout_that_is_not_the_one_that_was_judged_stays_in_review() {
    let place = workplace();
    run(&place);
    fs::write(place.path().join("doubtful/shoes/large.png.png"), "something else").unwrap();
    let result = json(place.path(), 1, &["review", "accept", "night.toml", "--all"]);
    assert_eq!((&result["accepted"], &result["left"][0]["key"]), (&1.into(), &"shoes/large.png".into()));
    assert!(!place.path().join("shop/shoes/large.png.png").exists());
    assert_eq!((row(&place, "shoes/large.png").0.as_str(), row(&place, BLANK).0.as_str()), ("review", "ok"));
}

#[test]
fn while_the_pipeline_runs_a_decision_leaves_with_5() {
    let place = workplace();
    run(&place);
    let held = lock::acquire(&store(&place.path().join("store")), "night", "nightly", &Cancel::default()).unwrap();
    let text = told(place.path(), &["review", "accept", "night.toml", "--all"], 5);
    assert!(text.contains("nightly"), "{text}");
    assert_eq!(json(place.path(), 0, &["review", "list", "night.toml"])["waiting"], 2);
    held.release().unwrap();
    json(place.path(), 0, &["review", "accept", "night.toml", "--all"]);
}

#[test]
fn a_run_that_is_folded_twice_does_not_undo_a_decision() {
    let place = workplace();
    let run_name = run(&place)["run"].as_str().unwrap().to_owned();
    json(place.path(), 0, &["review", "accept", "night.toml", "--all"]);
    // Killed after its fold and before its end was written: the next run folds it once more.
    fs::remove_file(place.path().join(format!("store/runs/{run_name}/outcome.json"))).unwrap();
    let output = selvedge(place.path(), &["run", "night.toml"]).output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("continuing after"), "{output:?}");
    assert!(ledger(&place).iter().all(|row| row.1 == "ok"), "{:?}", ledger(&place));
}

#[test]
fn the_cutouts_of_a_folder_are_reviewed_from_anywhere_without_a_pipeline_file() {
    let place = workplace();
    let words = ["cutout", "photos/", "--out", "out", "--edges", "none", "--review", "to=doubtful,max_coverage=0.5"];
    let made = json(place.path(), 0, &words);
    assert_eq!(made["counts"]["review"], 2);
    let elsewhere = TempDir::new().unwrap();
    let out = place.path().join("out");
    let out = out.to_str().unwrap();
    assert_eq!(json(elsewhere.path(), 0, &["review", "list", "--out", out])["waiting"], 2);
    json(elsewhere.path(), 0, &["review", "accept", "--out", out, "shoes/large.png"]);
    assert!(
        place.path().join("out/shoes/large.png").exists() && !place.path().join("doubtful/shoes/large.png").exists()
    );
    assert!(sheet(&place).contains("review accept --out") && !sheet(&place).contains("shoes/large.png"));
    assert_eq!(json(place.path(), 0, &words)["nothing_to_do"], true);
    let text = told(elsewhere.path(), &["review", "list", "--out", "nowhere"], 2);
    assert!(text.contains("holds nothing"), "{text}");
}

#[test]
fn a_photo_that_is_gone_is_told_on_the_sheet_and_harms_nothing() {
    let place = workplace();
    run(&place);
    // The sheet is made anew from nothing but the ledger, and one photo and one cutout are not there any more.
    fs::remove_dir_all(place.path().join("store/ledger/night/cutout/sheet")).unwrap();
    fs::remove_file(place.path().join("photos/shoes/large.png")).unwrap();
    fs::remove_file(place.path().join("doubtful/shoes/large.png.png")).unwrap();
    json(place.path(), 0, &["review", "accept", "night.toml", BLANK]);
    let sheet = sheet(&place);
    assert!(sheet.contains("the photo is not there any more"), "{sheet}");
    assert!(sheet.contains("shoes/large.png.png is not there any more"), "{sheet}");
}

#[test]
fn a_long_sheet_has_pages_and_loses_them_when_it_gets_short() {
    let place = workplace();
    for index in 0..70 {
        fs::write(place.path().join(format!("photos/blank-{index:02}.png")), photo(0, [0; 3])).unwrap();
    }
    run(&place);
    let second = place.path().join("doubtful/sheet-2.html");
    assert!(sheet(&place).contains("href=\"sheet-2.html\"") && second.exists());
    json(place.path(), 0, &["review", "accept", "night.toml", "--all", "--reason", "empty"]);
    assert!(!second.exists() && !sheet(&place).contains("sheet-2.html"));
}

#[test]
fn without_a_sheet_there_is_none_and_decisions_work() {
    let place = workplace();
    let file = place.path().join("night.toml");
    let text = fs::read_to_string(&file).unwrap().replace("max_coverage = 0.5", "max_coverage = 0.5\nsheet = 0");
    fs::write(&file, text).unwrap();
    assert_eq!(run(&place)["artifacts"], serde_json::json!(["shop"]));
    assert_eq!(json(place.path(), 0, &["review", "accept", "night.toml", "--all"])["accepted"], 2);
    assert!(!place.path().join("doubtful/sheet.html").exists());
}
