//! Ingest: masks: B40–B56.

use super::{GOOD, HEADER, bad, one, plain, rejected, with};
use crate::tables::blocked;
use selvedge::stage::ingest::Format;
use selvedge::table::schema::ANNOTATIONS;
use std::fmt::Write as _;

#[test]
fn b40_a_row_without_a_mask_stands_for_its_image_alone() {
    for empty in ["", "NaN", "-1", " "] {
        let case = plain(format!("{HEADER}a,{empty},10,8,6,\na,{empty},10,8,7,\nb,{empty},10,8,6,\nb,1 3,10,8,6,\n"));
        let rows: Vec<_> = case.bench.annotations().into_iter().map(|row| (row.image, row.area)).collect();
        assert_eq!(rows, [("a".to_owned(), 0), ("b".to_owned(), 3)], "{empty:?}");
        assert_eq!(case.bench.facts(&ANNOTATIONS, "empty_mask_dropped"), 2);
        assert_eq!(case.bench.facts(&ANNOTATIONS, "note.empty_mask"), 1);
    }
}

#[test]
fn b41_an_odd_count_of_numbers_is_quarantined() {
    rejected("a,1 3 10,10,8,6,", "rle_odd");
}

#[test]
fn b42_a_start_of_0_is_quarantined_and_a_file_full_of_them_stopped() {
    rejected("a,0 3,10,8,6,", "rle_zero_start");
    let text = format!("{HEADER}a,0 3,10,8,6,\nb,5 2 0 3,10,8,6,\n");
    let case = plain(text.clone());
    case.nothing_is_published();
    assert!(blocked(case.result).contains("--rle-base 0"));
    let case = with(text, |settings| settings.rle_base = 0);
    assert_eq!(case.bench.annotations()[0].starts, [0]);
}

#[test]
fn b43_a_negative_start_is_quarantined() {
    rejected("a,-5 3,10,8,6,", "rle_negative");
}

#[test]
fn b44_a_run_of_length_0_is_dropped_and_a_negative_one_quarantined() {
    let row = one("a,5 0 9 2,10,8,6,").only_row();
    assert_eq!((row.starts, row.notes.contains(&"rle_zero_length".to_owned())), (vec![8], true));
    rejected("a,5 -3,10,8,6,", "rle_negative");
}

#[test]
fn b45_a_run_past_the_last_pixel_is_quarantined_or_clipped() {
    rejected("a,78 10,10,8,6,", "rle_overrun");
    let case = with(format!("{HEADER}a,78 10,10,8,6,\n"), |settings| settings.clip = true);
    let row = case.only_row();
    assert_eq!((row.starts, row.lengths, row.notes.contains(&"clipped".to_owned())), (vec![77], vec![3], true));
    assert_eq!(case.bench.facts(&ANNOTATIONS, "clipped_px"), 7);
    let case = with(format!("{HEADER}a,78 14,10,8,6,\n{GOOD}"), |settings| settings.clip = true);
    assert_eq!(case.only_rejected().0, "rle_overrun");
}

#[test]
fn b46_a_start_beyond_the_image_is_quarantined_whether_clipped_or_not() {
    let (reason, detail, _) = bad("a,200 5,10,8,6,");
    assert_eq!((reason.as_str(), detail.contains("begins after the last of 80 pixels")), ("rle_overrun", true));
    let case = with(format!("{HEADER}a,81 5,10,8,6,\n{GOOD}"), |settings| settings.clip = true);
    assert_eq!(case.only_rejected().0, "rle_overrun");
}

#[test]
fn b47_a_run_across_columns_is_one_span() {
    let row = one("a,8 7,10,8,6,").only_row();
    assert_eq!((row.starts, row.lengths), (vec![7], vec![7]));
}

#[test]
fn b48_runs_out_of_order_are_sorted() {
    let row = one("a,10 5 1 3,10,8,6,").only_row();
    assert_eq!(
        (row.starts, row.lengths, row.notes.contains(&"rle_unsorted".to_owned())),
        (vec![0, 9], vec![3, 5], true)
    );
}

#[test]
fn b49_runs_that_overlap_are_merged_and_counted_once() {
    let row = one("a,1 5 3 5 3 1,10,8,6,").only_row();
    assert_eq!((row.starts, row.lengths, row.area), (vec![0], vec![7], 7));
    assert!(row.notes.contains(&"rle_self_overlap".to_owned()));
}

#[test]
fn b50_touching_runs_are_joined_without_a_word() {
    let row = one("a,1 20 21 3,10,8,6,").only_row();
    assert_eq!((row.starts, row.lengths, row.notes), (vec![0], vec![23], vec![]));
}

#[test]
fn b51_numbers_beyond_any_pixel_are_quarantined() {
    rejected("a,8589934592 5,10,8,6,", "rle_number");
    rejected("a,1 123456789012345678901234567890,10,8,6,", "rle_number");
    rejected("a,4294967295 4294967295,10,8,6,", "rle_overrun");
}

#[test]
fn b52_spaces_and_tabs_are_taken_and_other_characters_quarantined() {
    for text in ["1  20", " 1 20", "1 20 ", "1\t20"] {
        let row = one(&format!("a,{text},10,8,6,")).only_row();
        assert_eq!((row.starts, row.notes), (vec![0], vec!["rle_whitespace".to_owned()]), "{text:?}");
    }
    for text in ["\"1,3\"", "1.0 3", "+1 3", "1 3;", "x 3", "1 -"] {
        rejected(&format!("a,{text},10,8,6,"), "rle_bad_char");
    }
    let (_, _, place) = bad("a,1.0 3,10,8,6,");
    assert!(place.ends_with(&format!("byte {}", HEADER.len() + 3)), "{place}");
}

#[test]
fn b53_a_coco_string_is_told_from_bad_characters_and_read_when_asked() {
    let (reason, detail, _) = bad("a,emX8do02M3,10,8,6,");
    assert_eq!((reason.as_str(), detail.contains("--rle-format coco")), ("rle_coco_string", true));
    let case = with(format!("{HEADER}a,324O,5,2,6,\n"), |settings| settings.rle_format = Format::Coco);
    assert_eq!((case.only_row().starts, case.only_row().lengths), (vec![3, 9], vec![2, 1]));
}

/// Three masks of 40 by 60 pixels in images of 100 by 300, each run `apart` after the one before.
fn oriented(apart: usize, runs: usize, length: usize) -> String {
    let mut text = HEADER.to_owned();
    for image in 0..3 {
        let mask: Vec<String> = (0..runs).map(|run| format!("{} {length}", 1 + image + run * apart)).collect();
        writeln!(text, "image{image},{},100,300,6,", mask.join(" ")).unwrap();
    }
    text
}

#[test]
fn b54_masks_along_the_lines_are_found_out() {
    let case = plain(oriented(300, 60, 40));
    case.nothing_is_published();
    let text = blocked(case.result);
    assert!(text.contains("rle_orientation") && text.contains("transpose"), "{text}");
    assert_eq!(plain(oriented(100, 60, 40)).result.unwrap().counts.ok, 3);
}

#[test]
fn b55_the_example_of_the_competition_paints_exactly_its_pixels() {
    let row = one("a,1 3 10 5,10,8,6,").only_row();
    let pixels: Vec<u32> =
        row.starts.iter().zip(&row.lengths).flat_map(|(start, length)| *start..start + length).collect();
    // Counted from 1: 1, 2, 3 and 10 to 14.
    assert_eq!(pixels, [0, 1, 2, 9, 10, 11, 12, 13]);
}

#[test]
fn b56_full_and_tiny_masks_are_taken_and_remarked() {
    let case = plain(format!("{HEADER}a,1 80,10,8,6,\na,1 1,10,8,6,\na,1 20,10,8,6,\n"));
    let notes: Vec<_> = case.bench.annotations().into_iter().map(|row| row.notes).collect();
    assert_eq!(notes, [vec!["mask_full"], vec!["mask_tiny"], vec![]]);
    assert_eq!(case.bench.facts(&ANNOTATIONS, "note.mask_tiny"), 1);
}
