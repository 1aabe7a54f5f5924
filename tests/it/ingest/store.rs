//! Ingest: what is stored, in which order, and what is told.

use super::{Case, GOOD, HEADER, plain, run};
use crate::tables::Bench;
use selvedge::clock;
use selvedge::digest::Fingerprint;
use selvedge::outcome::Reason;
use selvedge::stage::ingest::{self, Settings, Source};
use selvedge::stage::{Error, quarantine};
use selvedge::table::schema::QUARANTINE;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

#[test]
fn a_file_that_is_not_there_is_a_matter_of_usage() {
    let bench = Bench::new("ingest");
    let result = run(&bench, |_| ());
    assert!(matches!(result, Err(Error::Usage(_))), "{result:?}");
}

#[test]
fn the_fingerprint_follows_the_file_and_the_settings() {
    let bench = Bench::new("ingest");
    let of = |change: fn(&mut Settings)| {
        let csv = vec![Source { store: bench.store().clone(), key: "in/train.csv".to_owned() }];
        let mut settings = Settings { csv, ..Settings::default() };
        change(&mut settings);
        ingest::fingerprint(&settings, &bench.context).unwrap()
    };
    bench.put("in/train.csv", format!("{HEADER}{GOOD}"));
    let first = of(|_| ());
    assert_eq!(of(|_| ()), first);
    assert_eq!(of(|settings| settings.clip = true).changed_since(&first), ["settings"]);
    bench.put("in/train.csv", format!("{HEADER}{GOOD}{GOOD}"));
    assert_eq!(of(|_| ()).changed_since(&first), ["csv"]);
}

#[test]
fn the_quarantine_is_stored_before_the_annotations_and_a_second_run_keeps_when_it_was_first_seen() {
    let mut bench = Bench::new("ingest");
    bench.put("in/train.csv", format!("{HEADER}a,0 3,10,8,6,\n{GOOD}"));
    // The right to publish is lost between the two tables, as if the process had been killed there.
    let asked = Arc::new(AtomicU32::new(0));
    bench.context.fence = Arc::new(move || match asked.fetch_add(1, Ordering::SeqCst) {
        1 => Err(Error::LostLock("another run holds the lock".to_owned())),
        _ => Ok(()),
    });
    assert!(matches!(run(&bench, |_| ()), Err(Error::LostLock(_))));
    assert_eq!(bench.annotations(), []);
    let first = bench.quarantine();
    assert_eq!(first.len(), 1);
    let before = clock::now();
    while clock::now() == before {
        std::hint::spin_loop();
    }
    run(&bench, |_| ()).unwrap();
    assert_eq!(bench.quarantine(), first);
    assert_eq!(bench.annotations().len(), 1);
}

#[test]
fn stages_replace_their_own_rows_of_the_quarantine_and_no_others() {
    let bench = Bench::new("ingest");
    let row = |item: &str| quarantine::Row {
        item: item.to_owned(),
        reason: Reason::NotAnImage,
        detail: "d".to_owned(),
        place: "p".to_owned(),
    };
    let cutout = bench.stage("cutout");
    let depends_on = Fingerprint::default().with("a", 1);
    quarantine::replace(&cutout.context, &depends_on, ["x.jpg", "y.jpg"].map(row)).unwrap();
    bench.put("in/train.csv", format!("{HEADER}a,0 3,10,8,6,\n{GOOD}"));
    run(&bench, |_| ()).unwrap();
    let items = || {
        let mut items: Vec<_> =
            bench.quarantine().into_iter().map(|row| format!("{} {}", row.stage, row.item)).collect();
        items.sort();
        items
    };
    assert_eq!(items(), ["cutout x.jpg", "cutout y.jpg", "ingest a"]);
    quarantine::replace(&cutout.context, &depends_on, [row("z.jpg")]).unwrap();
    assert_eq!(items(), ["cutout z.jpg", "ingest a"]);
    quarantine::replace(&cutout.context, &depends_on, []).unwrap();
    assert_eq!(items(), ["ingest a"]);
    let version = bench.context.tables.current(&QUARANTINE).unwrap().unwrap().version;
    quarantine::replace(&cutout.context, &depends_on, []).unwrap();
    assert_eq!(bench.context.tables.current(&QUARANTINE).unwrap().unwrap().version, version);
}

#[test]
fn many_rejected_rows_are_all_stored_but_only_the_first_are_told() {
    let mut text = HEADER.to_owned();
    for row in 0..10_000 {
        writeln!(text, "a{row},0 3,10,8,6,").unwrap();
    }
    let case = plain(text + GOOD);
    assert_eq!(case.result.as_ref().unwrap().counts.quarantined, 10_000);
    assert_eq!(case.bench.quarantine().len(), 10_000);
    let told = case.bench.heard.told.lock().unwrap();
    assert_eq!(told.iter().filter(|event| event.starts_with("Item")).count(), 20);
    assert!(told.iter().any(|event| event.contains("10000 rows quarantined (rle_zero_start 10000)")));
}

#[test]
fn a_stage_that_is_asked_to_stop_publishes_nothing() {
    let bench = Bench::new("ingest");
    bench.put("in/train.csv", format!("{HEADER}{GOOD}"));
    bench.context.cancel.cancel(selvedge::cancel::Cause::Signal);
    let case = Case { result: run(&bench, |_| ()), bench };
    case.nothing_is_published();
    assert!(matches!(case.result, Err(Error::Cancelled(_))));
}
