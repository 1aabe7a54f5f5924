//! Nights, days and overlaps: which day a run is for, what becomes of missed ones, and who waits for whom.

use crate::runs::{code, data, end, json, made, selvedge, store};
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use selvedge::cancel::Cancel;
use selvedge::runner::lock;
use serde_json::{Value, json as value};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A pipeline that cuts out one photo a day, with this `[schedule]` and whatever else stands before its stage.
pub(crate) fn nightly(before: &str, input: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let text = format!(
        "name = \"night\"\nstore = \"store\"\n{before}\n[[stage]]\nkind = \"cutout\"\ninput = \"{input}\"\nout = \"out/{input}\"\n"
    );
    fs::write(folder.path().join("night.toml"), text).unwrap();
    folder
}

/// Puts photo number `photo` into a folder.
pub(crate) fn deliver(folder: &Path, day: &str, photo: usize) {
    let target = folder.join("in").join(day);
    fs::create_dir_all(&target).unwrap();
    let name = format!("product-{photo:06}.jpg");
    fs::copy(data().join("data/catalog").join(&name), target.join(&name)).unwrap();
}

/// A time zone in which it is about noon, so that no test runs over a midnight.
fn noon() -> (String, Date) {
    let offset = 12 - jiff::Timestamp::now().to_zoned(TimeZone::UTC).hour();
    let name = format!("Etc/GMT{}{}", if offset > 0 { '-' } else { '+' }, offset.abs());
    let today = jiff::Timestamp::now().in_tz(&name).unwrap().date();
    (name, today)
}

fn days(answer: &Value) -> Vec<&str> {
    answer["runs"].as_array().unwrap().iter().map(|run| run["date"].as_str().unwrap()).collect()
}

#[test]
fn a_range_of_days_is_one_run_a_day_and_stops_where_one_fails() {
    // Over the change to summer time, when Berlin has a day of 23 hours.
    let place = nightly("[schedule]\ntime_zone = \"Europe/Berlin\"\n[limits]\nmax_quarantine = \"0\"", "in/{date}/");
    for (photo, day) in ["2026-03-28", "2026-03-29", "2026-03-30"].into_iter().enumerate() {
        deliver(place.path(), day, photo);
    }
    fs::write(place.path().join("in/2026-03-29/broken.jpg"), b"no photo").unwrap();
    let range = ["run", "night.toml", "--date", "2026-03-28..2026-03-30"];
    let first = json(place.path(), 1, &range);
    assert_eq!(days(&first), ["2026-03-28", "2026-03-29"]);
    assert_eq!((&first["runs"][0]["outcome"], &first["runs"][1]["outcome"]), (&value!("done"), &value!("failed")));
    assert_eq!((&first["not_run"], &first["exit"]), (&value!(["2026-03-30"]), &value!(1)));
    assert!(!place.path().join("out/in/2026-03-30").exists());
    let all = json(place.path(), 1, &[&range[..], &["--keep-going"]].concat());
    assert_eq!(days(&all), ["2026-03-28", "2026-03-29", "2026-03-30"]);
    assert_eq!((&all["not_run"], &all["runs"][2]["counts"]["ok"]), (&value!([]), &value!(1)));
    assert!(place.path().join("out/in/2026-03-30/product-000002.jpg.png").exists());
    let listed = end(place.path(), &[&range[..], &["--keep-going"]].concat());
    let told = String::from_utf8_lossy(&listed.stdout).into_owned();
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines.len() == 3 && lines[1].starts_with("2026-03-29") && lines[1].contains("failed"), "{told}");
}

#[test]
fn dates_that_mean_nothing_are_refused() {
    let dated = nightly("", "in/{date}/");
    let plain = nightly("", "in/");
    for (place, words, told) in [
        (&dated, &["run", "night.toml", "--date", "2026-03-30..2026-03-28"][..], "lies before"),
        (&dated, &["run", "night.toml", "--date", "2026-02-30"], "YYYY-MM-DD"),
        (&dated, &["plan", "night.toml", "--date", "2026-03-28..2026-03-29"], "one day"),
        (&plain, &["run", "night.toml", "--date", "2026-03-28..2026-03-29"], "every run would do the same"),
    ] {
        let refused = end(place.path(), words);
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(code(&refused) == 2 && stderr.contains(told), "{words:?}: {stderr}");
        assert!(!place.path().join("store").exists());
    }
    for (schedule, told) in [
        ("on_missed = \"run_all\"", "one run covers every night"),
        ("on_missed = \"run-all\"", "did you mean run_all?"),
        ("time_zone = \"Europe/Berlim\"", "no time zone \"Europe/Berlim\""),
        ("every = [\"monday\"]", "neither \"day\" nor in a list"),
        ("on_overlop = \"skip\"", "did you mean on_overlap?"),
        ("max_catch_up = 0", "from 1 to 92"),
    ] {
        let place = nightly(&format!("[schedule]\n{schedule}"), "in/");
        let refused = end(place.path(), &["run", "night.toml"]);
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(code(&refused) == 2 && stderr.contains(told), "{schedule}: {stderr}");
    }
}

/// A pipeline whose one run so far was that of three days ago.
fn idle_for_three_days(on_missed: &str, input: &str) -> (TempDir, [String; 4]) {
    let (zone, today) = noon();
    let place = nightly(&format!("[schedule]\ntime_zone = \"{zone}\"\non_missed = \"{on_missed}\""), input);
    let day = |ago: i64| today.checked_sub(ago.days()).unwrap().to_string();
    let days = [day(3), day(2), day(1), day(0)];
    for (photo, day) in days.iter().enumerate() {
        deliver(place.path(), day, photo);
    }
    let first = json(place.path(), 0, &["run", "night.toml", "--date", &days[0]]);
    let path = place.path().join("store/runs").join(first["run"].as_str().unwrap()).join("outcome.json");
    let mut outcome: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let started: jiff::Timestamp = outcome["started"].as_str().unwrap().parse().unwrap();
    outcome["started"] = value!((started - jiff::SignedDuration::from_hours(72)).to_string());
    fs::write(&path, outcome.to_string()).unwrap();
    (place, days)
}

#[test]
fn missed_nights_are_caught_up_on_oldest_first_and_once() {
    let (place, days_) = idle_for_three_days("run_all", "in/{date}/");
    let plan = json(place.path(), 0, &["plan", "night.toml"]);
    assert_eq!((&plan["missed"], &plan["date"]), (&value!(days_[1..3]), &value!(days_[3])));
    let caught = json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!(caught["missed"], value!(days_[1..3]));
    assert_eq!(days(&caught), days_[1..]);
    assert!(caught["runs"].as_array().unwrap().iter().all(|run| made(run) == 1), "{caught}");
    let again = json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!(
        (&again["missed"], &again["date"], &again["nothing_to_do"]),
        (&value!([]), &value!(days_[3]), &value!(true))
    );
    let before = json(place.path(), 0, &["run", "night.toml", "--date", "yesterday"]);
    assert_eq!(before["date"], value!(days_[2]));
}

#[test]
fn a_missed_night_that_fails_again_does_not_keep_tonight_from_its_run() {
    let (place, days_) = idle_for_three_days("run_all", "in/{date}/");
    fs::remove_dir_all(place.path().join("in").join(&days_[1])).unwrap();
    let output = end(place.path(), &["run", "night.toml", "--json"]);
    let caught: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((days(&caught), &caught["not_run"]), (days_[1..].iter().map(String::as_str).collect(), &value!([])));
    let exits: Vec<i64> = caught["runs"].as_array().unwrap().iter().map(|run| run["exit"].as_i64().unwrap()).collect();
    assert!(exits[0] != 0 && exits[1..] == [0, 0] && code(&output) == exits[0] as i32, "{caught}");
    assert_eq!(json(place.path(), code(&output), &["run", "night.toml"])["missed"], value!([days_[1]]));
}

#[test]
fn of_missed_nights_the_latest_alone_is_run_and_the_others_are_named() {
    let (place, days_) = idle_for_three_days("run", "in/{date}/");
    let told = end(place.path(), &["run", "night.toml", "--json"]);
    let caught: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!((days(&caught), &caught["missed"]), (vec![days_[2].as_str(), &days_[3]], &value!(days_[1..3])));
    let stderr = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(stderr.contains(&format!("left to `run --date`: {}", days_[1])), "{stderr}");
}

#[test]
fn without_a_date_in_the_file_one_run_covers_every_missed_night() {
    let (place, days_) = idle_for_three_days("run", "in/");
    let covered = json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!((&covered["missed"], &covered["date"]), (&value!(days_[1..3]), &value!(days_[3])));
    assert_eq!(covered["runs"], Value::Null);
}

#[test]
fn a_run_that_meets_another_is_skipped_where_the_file_says_so() {
    let place = nightly("[schedule]\non_overlap = \"skip\"", "in/");
    deliver(place.path(), "a", 0);
    let held = lock::acquire(&store(&place.path().join("store")), "night", "the-first", &Cancel::default()).unwrap();
    let skipped = json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!((&skipped["outcome"], &skipped["run"]), (&value!("skipped"), &Value::Null));
    assert!(skipped["error"].as_str().unwrap().contains("the-first"), "{skipped}");
    let told = end(place.path(), &["run", "night.toml"]);
    assert!(String::from_utf8_lossy(&told.stdout).starts_with("skipped"), "{told:?}");
    held.release().unwrap();
    assert_eq!(json(place.path(), 0, &["run", "night.toml"])["counts"]["ok"], 1);
}

/// Starts a run and gives it back once it says that it waits, along with what it says from there on.
fn waiting(place: &Path) -> (Child, impl Iterator<Item = String>) {
    let mut run = selvedge(place, &["run", "night.toml"]);
    let mut child = run.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    let told = lines.by_ref().find(|line| line.starts_with("waiting"));
    assert!(told.is_some_and(|line| line.contains("the-first")));
    (child, lines)
}

#[test]
fn a_run_waits_for_another_and_then_works() {
    let place = nightly("[schedule]\non_overlap = \"wait\"", "in/");
    deliver(place.path(), "a", 0);
    let held = lock::acquire(&store(&place.path().join("store")), "night", "the-first", &Cancel::default()).unwrap();
    let (mut child, lines) = waiting(place.path());
    held.release().unwrap();
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{rest:?}");
    assert!(place.path().join("out/in/a/product-000000.jpg.png").exists());
}

#[test]
fn a_run_that_waits_can_be_stopped() {
    let place = nightly("[schedule]\non_overlap = \"wait\"", "in/");
    deliver(place.path(), "a", 0);
    let held = lock::acquire(&store(&place.path().join("store")), "night", "the-first", &Cancel::default()).unwrap();
    let (mut child, lines) = waiting(place.path());
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{rest:?}");
    held.release().unwrap();
    assert!(!place.path().join("store/runs").exists(), "nothing was begun");
}

#[test]
fn options_of_stores_are_read_from_the_environment() {
    let place = nightly("", "in/");
    deliver(place.path(), "a", 0);
    let told = |options: &str, words: &[&str]| {
        let output = selvedge(place.path(), words).env("SELVEDGE_STORE_OPTIONS", options).output().unwrap();
        (code(&output), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(told("retries=2, timeout=30", &["run", "night.toml"]).0, 0);
    for words in [&["runs", "list", "store"][..], &["gc", "store"], &["run", "night.toml"]] {
        let (exit, stderr) = told("endpiont=x", words);
        assert!(exit == 2 && stderr.contains("endpoint"), "{words:?}: {stderr}");
    }
    let (exit, stderr) = told("retries", &["runs", "list", "store"]);
    assert!(exit == 2 && stderr.contains("SELVEDGE_STORE_OPTIONS retries"), "{stderr}");
}
