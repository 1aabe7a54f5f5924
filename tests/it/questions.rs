//! The questions and checks of `sql/`: what each answers to small tables that were reviewed by hand, and that each says
//! what it answers. Must not know how the tables are opened or the answers shown.

mod answer;
mod faults;
mod header;
mod tables;

use answer::{ask, columns, rows, text};
use header::{File, files};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// Where the reviewed answer of a file lies.
fn snapshot(file: &File) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/sql");
    folder.join(if file.check { "checks" } else { "questions" }).join(format!("{}.json", file.name))
}

/// The tables hold the oddities that the checks are there for, so a check's snapshot is mostly not empty.
#[test]
fn every_file_answers_the_fixture_as_reviewed() {
    let tables = tables::frames(&faults::fixture());
    let mut wrong = Vec::new();
    for file in files() {
        let (path, found) = (snapshot(&file), text(&ask(&file, &tables)));
        if std::env::var("SELVEDGE_SNAPSHOT").is_ok_and(|value| value == "1") {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &found).unwrap();
        }
        let reviewed = std::fs::read_to_string(&path).unwrap_or_default();
        if reviewed != found {
            let first = reviewed.lines().zip(found.lines()).find(|(old, new)| old != new);
            wrong.push(format!("{}: {}, first difference {first:?}", file.name, path.display()));
        }
    }
    assert!(
        wrong.is_empty(),
        "these answers are not as reviewed; run this test once with SELVEDGE_SNAPSHOT=1, compare each written file with \
         tests/fixtures/sql/tables.json by hand, and commit it:\n{}",
        wrong.join("\n")
    );
}

#[test]
fn no_reviewed_answer_is_left_of_a_file_that_is_gone() {
    let wanted: BTreeSet<PathBuf> = files().iter().map(snapshot).collect();
    let folders: BTreeSet<PathBuf> = wanted.iter().map(|path| path.parent().unwrap().to_owned()).collect();
    for folder in folders {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            assert!(wanted.contains(&path), "{} belongs to no file of sql/; remove it", path.display());
        }
    }
}

#[test]
fn the_order_of_the_rows_in_the_tables_does_not_change_an_answer() {
    let mut turned = faults::fixture();
    turned.values_mut().for_each(|rows| rows.reverse());
    let (tables, turned) = (tables::frames(&faults::fixture()), tables::frames(&turned));
    for file in files() {
        assert_eq!(text(&ask(&file, &tables)), text(&ask(&file, &turned)), "{} has no total order", file.name);
    }
}

/// Only the tables of the contract are there, so this fails for a file that names another; and for one that divides by 0.
#[test]
fn empty_tables_are_answered_with_the_same_columns_and_pass_every_check() {
    let (full, empty) = (tables::frames(&faults::fixture()), tables::frames(&tables::Rows::new()));
    for file in files() {
        let answer = ask(&file, &empty);
        assert_eq!(columns(&answer), columns(&ask(&file, &full)), "{}", file.name);
        assert!(!file.check || answer.height() == 0, "{} finds {:?} in empty tables", file.name, rows(&answer));
    }
}

#[test]
fn every_file_says_what_it_asks_and_what_each_column_holds() {
    let tables = tables::frames(&faults::fixture());
    for file in files() {
        let name = &file.name;
        assert!(!file.line("title").is_empty() && file.line("question").ends_with('?'), "{name}");
        assert!(file.line("grain").starts_with("one row per "), "{name}");
        let said: Vec<&String> = file.columns.iter().map(|(column, _)| column).collect();
        assert_eq!(said, columns(&ask(&file, &tables)).iter().collect::<Vec<_>>(), "{name}: `-- column` lines");
        assert!(file.columns.iter().all(|(_, meaning)| !meaning.is_empty()), "{name}");
    }
}

#[test]
fn every_question_has_its_place_and_a_chart_of_columns_that_it_answers() {
    let forms = ["none", "bars", "columns", "stacked", "lines", "heat", "points", "maps"];
    for file in files().iter().filter(|file| !file.check) {
        let (name, said) = (&file.name, file.columns.iter().map(|(column, _)| column).collect::<Vec<_>>());
        let (part, _) = file.line("section").split_once(" / ").unwrap_or_else(|| panic!("{name}: part / section"));
        assert!(["Dataset", "Training", "Cutouts", "Runs"].contains(&part), "{name}: {part}");
        let of = |kind: &str| file.lines.get(kind).cloned().unwrap_or_default();
        assert!(of("numbers").is_empty() || of("chart").is_empty(), "{name}: numbers have no chart");
        for chart in of("chart") {
            assert!(forms.contains(&chart.split_whitespace().next().unwrap()), "{name}: {chart}");
        }
        for line in ["chart", "numbers"].into_iter().flat_map(of) {
            for column in File::named(&line) {
                assert!(said.contains(&&column), "{name}: {line} names {column}");
            }
        }
        for line in of("keep") {
            let (figure, rest) = line.split_once(' ').unwrap();
            assert!(!figure.contains('='), "{name}: {line} names no figure");
            assert!(File::named(rest).iter().all(|column| said.contains(&column)), "{name}: {line}");
        }
    }
}

#[test]
fn every_check_says_how_grave_it_is_and_what_to_do() {
    for file in files().iter().filter(|file| file.check) {
        assert!(["block", "warn"].contains(&file.line("severity")), "{}", file.name);
        assert!(!file.line("advice").is_empty(), "{}", file.name);
    }
}

#[test]
fn the_clean_tables_pass_every_check() {
    let tables = tables::frames(&faults::clean());
    for file in files().iter().filter(|file| file.check) {
        assert_eq!(rows(&ask(file, &tables)), Vec::<Vec<serde_json::Value>>::new(), "{}", file.name);
    }
}

#[test]
fn each_planted_fault_fails_its_own_check_and_no_other() {
    let checks: Vec<File> = files().into_iter().filter(|file| file.check).collect();
    let planted = faults::planted();
    let (named, have): (BTreeSet<&str>, BTreeSet<&str>) =
        (checks.iter().map(|file| file.name.as_str()).collect(), planted.iter().map(|(check, _)| *check).collect());
    assert_eq!(named, have, "every check needs a fault in tests/it/questions/faults.rs that it alone finds");
    for (own, fault) in planted {
        let tables = tables::frames(&fault);
        let failed: Vec<&str> =
            checks.iter().filter(|file| ask(file, &tables).height() > 0).map(|file| file.name.as_str()).collect();
        assert_eq!(failed, [own]);
    }
}

/// Figures that drift is measured by: the checks and the drift questions select these by name. What reads the kept figures
/// is asked when they have all been taken, so a question cannot read them and add to them.
#[test]
fn what_the_drift_reads_is_kept_by_a_question_that_does_not_read_it() {
    let files = files();
    let reads = |file: &File| file.text.contains("FROM stats");
    let kept: BTreeSet<&str> = files
        .iter()
        .filter(|file| !reads(file))
        .flat_map(|file| file.lines.get("keep").into_iter().flatten())
        .filter_map(|line| line.split_once(' ').map(|(figure, _)| figure))
        .collect();
    let wanted = [
        "totals",
        "class_masks",
        "class_share",
        "class_pixel_share",
        "size_share",
        "aspect_share",
        "mask_area_share",
        "masks_per_image",
        "quarantine_share",
    ];
    for figure in wanted {
        assert!(kept.contains(figure), "no question keeps {figure} without reading kept figures");
        let named = format!("'{figure}'");
        assert!(files.iter().any(|file| reads(file) && file.text.contains(&named)), "nothing reads {figure}");
    }
}
