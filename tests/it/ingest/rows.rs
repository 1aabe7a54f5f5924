//! Ingest: rows: B20–B39.

use super::{Case, GOOD, HEADER, bad, one, plain, rejected, run, with};
use crate::tables::{Bench, blocked};
use selvedge::stage::ingest::Source;
use selvedge::table::schema::ANNOTATIONS;
use std::fmt::Write as _;

#[test]
fn b20_attributes_without_quotes_are_put_together_again() {
    let row = one("a,1 3,10,8,6,0,115,145").only_row();
    assert_eq!((row.attributes, row.notes.contains(&"attributes_unquoted".to_owned())), (vec![0, 115, 145], true));
    let (reason, detail, _) = bad("a,1 3,10,8,6,0,115,x");
    assert_eq!((reason.as_str(), detail.as_str()), ("field_count", "8 fields, expected 6"));
}

#[test]
fn b21_too_few_fields_are_quarantined() {
    rejected("a,1 3", "field_count");
}

#[test]
fn b22_a_quote_never_closed_costs_two_rows_and_no_more() {
    let case = plain(format!("{HEADER}a,1 3,10,8,6,\"1,2\nb,1 3,10,8,6,\nc,1 3,10,8,6,\"1,2\"\n{GOOD}"));
    let lines: Vec<_> = case.bench.quarantine().into_iter().map(|row| (row.reason, row.place)).collect();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|(reason, _)| reason == "unbalanced_quote"));
    assert!(lines[0].1.contains("line 2") && lines[1].1.contains("line 3"), "{lines:?}");
    let images: Vec<_> = case.bench.annotations().into_iter().map(|row| row.image).collect();
    assert_eq!(images, ["c", "good"]);
    // What the open field spills over more lines is no row; the way back is a line that begins with an id.
    let case = plain(format!("{HEADER}a,1 3,10,8,6,\"1\n2\n3\n,,\n{GOOD}"));
    assert_eq!((case.bench.quarantine().len(), case.bench.annotations().len()), (4, 1));
    rejected("a,1 3,10,8,6,\"1\"2\"\"", "unbalanced_quote");
}

#[test]
fn b23_classes_of_2019_are_taken_apart() {
    let case = plain("ImageId,EncodedPixels,Height,Width,ClassId\na.jpg,1 3,10,8,9_9_20_43_61_91\n");
    let row = case.only_row();
    assert_eq!((row.image.as_str(), row.class, row.attributes), ("a", 9, vec![9, 20, 43, 61, 91]));
    assert!(row.notes.contains(&"dialect_2019".to_owned()));
    assert!(case.bench.heard.has("the form of 2019"));
}

#[test]
fn b24_unknown_classes_are_quarantined_and_whole_floats_repaired() {
    for class in ["46", "-1", "six", "", "6.5", "99999999999"] {
        rejected(&format!("a,1 3,10,8,{class},"), "unknown_class");
    }
    let row = one("a,1 3,10,8,6.0,").only_row();
    assert_eq!((row.class, row.notes.contains(&"class_float".to_owned())), (6, true));
}

#[test]
fn b25_no_attributes_are_an_empty_list() {
    assert_eq!(one("a,1 3,10,8,6,").only_row().attributes, [0_u16; 0]);
}

#[test]
fn b26_a_single_attribute_is_a_list_of_one() {
    assert_eq!(one("a,1 3,10,8,6,190").only_row().attributes, [190]);
}

#[test]
fn b27_unknown_attributes_are_dropped_or_in_strict_mode_quarantined() {
    for list in ["250", "284", "341", "70000", "x"] {
        let text = format!("{HEADER}a,1 3,10,8,6,\"4,{list}\"\n{GOOD}");
        let row = &plain(text.clone()).bench.annotations()[0];
        assert_eq!((row.attributes.clone(), row.notes.contains(&"unknown_attribute".to_owned())), (vec![4], true));
        assert_eq!(with(text, |settings| settings.strict = true).only_rejected().0, "unknown_attribute");
    }
}

#[test]
fn b28_repeated_attributes_are_kept_once() {
    let row = one("a,1 3,10,8,6,\"115,4,115\"").only_row();
    assert_eq!((row.attributes, row.notes.contains(&"duplicate_attribute".to_owned())), (vec![115, 4], true));
}

#[test]
fn b29_sizes_that_are_none_are_quarantined_and_whole_floats_repaired() {
    for size in ["0,8", "-5,8", ",8", "10,0", "10.5,8", "ten,8"] {
        rejected(&format!("a,1 3,{size},6,"), "bad_size");
    }
    let row = one("a,1 3,10.0,8,6,").only_row();
    assert_eq!((row.height, row.notes.contains(&"size_float".to_owned())), (10, true));
}

#[test]
fn b30_rows_that_disagree_on_the_size_cost_the_whole_image() {
    let case = plain(format!("{HEADER}a,1 3,10,8,6,\na,4 3,8,10,7,\na,8 3,10,8,8,\n{GOOD}"));
    assert_eq!(case.reasons(), vec![("a".to_owned(), "size_conflict".to_owned()); 3]);
    assert!(case.bench.quarantine()[0].detail.contains("10 x 8 and 8 x 10"));
    assert_eq!(case.bench.annotations().len(), 1);
}

#[test]
fn b31_absurd_sizes_do_not_overflow() {
    rejected("a,1 3,2000000,2000000,6,", "too_large");
    rejected("a,1 3,99999999999,99999999999,6,", "too_large");
    rejected("a,1 3,20001,20000,6,", "too_large");
}

#[test]
fn b32_rows_without_an_id_are_quarantined() {
    rejected(",1 3,10,8,6,", "missing_id");
    rejected("  ,1 3,10,8,6,", "missing_id");
}

#[test]
fn b33_one_image_extension_is_no_part_of_an_id() {
    let case = plain(format!("{HEADER}00f.jpg,1 3,10,8,6,\n00f,4 3,10,8,7,\n"));
    let rows = case.bench.annotations();
    assert!(rows.iter().all(|row| row.image == "00f"));
    assert!(rows[0].notes.contains(&"id_extension".to_owned()));
}

#[test]
fn b34_ids_of_digits_stay_text() {
    for id in ["00012345678901234567890123456789", "1e10"] {
        assert_eq!(one(&format!("{id},1 3,10,8,6,")).only_row().image, id);
    }
}

#[test]
fn b35_ids_that_would_leave_the_folder_are_quarantined() {
    for id in ["../../etc/passwd", "a/b", "a\\b", ".hidden", "a..b", "a\0b"] {
        rejected(&format!("{id},1 3,10,8,6,"), "unsafe_id");
    }
}

#[test]
fn b36_ids_that_meet_on_some_stores_are_listed_before_anything_is_written() {
    let case =
        plain(format!("{HEADER}AB,1 3,10,8,6,\nab,1 3,10,8,6,\ncaf\u{e9},1 3,10,8,6,\ncafe\u{301},1 3,10,8,6,\n"));
    case.nothing_is_published();
    let text = blocked(case.result);
    assert!(text.contains("\"AB\" and \"ab\"") && text.contains("caf\u{e9}"), "{text}");
}

/// Many rows with long masks, in the order given by `order`.
fn large(order: impl Fn(usize) -> usize) -> String {
    let rows = 240;
    let mut text = HEADER.to_owned();
    for nth in 0..rows {
        let row = order(nth) % rows;
        let image = row / 6;
        write!(text, "image{image:03},").unwrap();
        for span in 0..10_000 + row {
            let space = if span == 0 { "" } else { " " };
            write!(text, "{space}{} {}", 1 + span * 1000 + row, 1 + (span + row) % 7).unwrap();
        }
        writeln!(text, ",5000,4000,{},", row % 46).unwrap();
    }
    text
}

#[test]
fn b37_rows_of_one_image_far_apart_give_the_same_rows_as_a_sorted_file() {
    let small = plain(format!("{HEADER}a,1 3,10,8,6,\nb,1 3,10,8,6,\na,5 3,10,8,7,\n"));
    let rows: Vec<_> = small.bench.annotations().into_iter().map(|row| (row.image, row.class, row.row)).collect();
    assert_eq!(rows, [("a".to_owned(), 6, 1), ("a".to_owned(), 7, 3), ("b".to_owned(), 6, 2)]);

    let (sorted, scattered) = (plain(large(|nth| nth)), plain(large(|nth| nth * 7 + 3)));
    assert!(large(|nth| nth).len() > 20 << 20, "the file is to be larger than a batch and a bucket");
    let rows = |case: &Case| {
        let mut rows = case.bench.annotations();
        rows.iter_mut().for_each(|row| row.row = 0);
        rows.sort();
        rows
    };
    assert_eq!(sorted.result.as_ref().unwrap().counts.ok, 240);
    assert!(rows(&sorted) == rows(&scattered));
}

#[test]
fn b37_an_image_that_comes_back_in_the_next_file_is_one_image() {
    let bench = Bench::new("ingest");
    bench.put("in/train.csv", format!("{HEADER}a,1 3,10,8,6,\nb,1 3,10,8,6,\n"));
    bench.put("in/more.csv", format!("{HEADER}a,5 3,10,8,7,\n"));
    let more = Source { store: bench.store().clone(), key: "in/more.csv".to_owned() };
    run(&bench, |settings| settings.csv.push(more)).unwrap();
    let rows: Vec<_> = bench.annotations().into_iter().map(|row| (row.image, row.row)).collect();
    assert_eq!(rows, [("a".to_owned(), 1), ("a".to_owned(), 3), ("b".to_owned(), 2)]);
}

#[test]
fn b38_an_exact_duplicate_is_dropped_and_counted() {
    let case =
        plain(format!("{HEADER}a,1 3 10 5,10,8,6,\na,10 5 1 3,10,8,6,\na,1 3 10 5,10,8,7,\na,1 3 11 5,10,8,6,\n"));
    let rows: Vec<u64> = case.bench.annotations().into_iter().map(|row| row.row).collect();
    assert_eq!(rows, [1, 3, 4]);
    assert_eq!(case.bench.facts(&ANNOTATIONS, "duplicate_row"), 1);
}

#[test]
fn b39_one_mask_under_two_classes_is_kept_twice_with_a_note() {
    let case = plain(format!("{HEADER}a,1 3,10,8,32,\na,1 3,10,8,35,\na,2 3,10,8,1,\n"));
    let noted: Vec<bool> =
        case.bench.annotations().iter().map(|row| row.notes.contains(&"same_mask_two_classes".to_owned())).collect();
    assert_eq!(noted, [true, true, false]);
}

#[test]
fn an_id_that_is_not_utf_8_is_quarantined() {
    let mut bytes = HEADER.as_bytes().to_vec();
    bytes.extend_from_slice(b"caf\xe9,1 3,10,8,6,\n");
    bytes.extend_from_slice(GOOD.as_bytes());
    assert_eq!(plain(bytes).only_rejected().0, "not_utf8");
}

#[test]
fn a_list_of_labels_takes_the_place_of_the_public_one() {
    let bench = Bench::new("ingest");
    bench.put("labels.json", r#"{"info": {}, "categories": [{"id": 46, "name": "hat"}], "attributes": [{"id": 500}]}"#);
    bench.put("in/train.csv", format!("{HEADER}a,1 3,10,8,46,\"500,1\"\nb,1 3,10,8,6,\n"));
    let labels = Source { store: bench.store().clone(), key: "labels.json".to_owned() };
    run(&bench, |settings| settings.label_descriptions = Some(labels)).unwrap();
    assert_eq!((bench.annotations()[0].class, bench.annotations()[0].attributes.clone()), (46, vec![500]));
    assert_eq!(bench.quarantine()[0].reason, "unknown_class");
}
