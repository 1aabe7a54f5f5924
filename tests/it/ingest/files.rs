//! Ingest: files as a whole: B01–B19.

use super::{Case, GOOD, HEADER, bad, plain, run, with};
use crate::tables::{Bench, blocked, failed};
use selvedge::event::Event;
use selvedge::table::schema::ANNOTATIONS;
use std::io::{Cursor, Write as _};

#[test]
fn b01_an_empty_file_is_refused() {
    let case = plain("");
    case.nothing_is_published();
    assert!(failed(case.result).contains("train.csv is empty (0 bytes)"));
}

#[test]
fn b02_a_header_without_rows_fails_the_check_unless_allowed() {
    let case = plain(HEADER);
    case.nothing_is_published();
    assert!(blocked(case.result).contains("0 rows; at least 1 expected"));
    let case = with(HEADER, |settings| settings.allow_empty = true);
    assert_eq!(case.result.as_ref().unwrap().counts.ok, 0);
    let manifest = case.bench.context.tables.current(&ANNOTATIONS).unwrap().unwrap();
    assert_eq!((manifest.rows, manifest.parts.len(), manifest.schema.as_str()), (0, 1, "annotations/1.0"));
    assert_eq!(case.bench.annotations(), []);
}

#[test]
fn b03_a_missing_header_is_named_with_what_was_found() {
    let text = failed(plain(format!("{GOOD}{GOOD}")).result);
    assert!(text.contains("good,1 3 10 5") && text.contains("ImageId,EncodedPixels"), "{text}");
}

#[test]
fn b04_columns_in_another_order_are_bound_by_name() {
    let case = plain("ImageId,ClassId,EncodedPixels,AttributesIds,Width,Height\na,6,1 3,\"4,5\",8,10\n");
    let row = case.only_row();
    assert_eq!((row.class, row.height, row.width, row.starts, row.attributes), (6, 10, 8, vec![0], vec![4, 5]));
    assert!(case.bench.heard.has("another order"));
    assert_eq!(case.bench.facts(&ANNOTATIONS, "header.reordered"), 1);
}

#[test]
fn b05_an_unknown_column_is_ignored_or_in_strict_mode_refused() {
    let text = "ImageId,EncodedPixels,Height,Width,ClassId,AttributesIds,Confidence\na,1 3,10,8,6,\"4,5\",0.9\n";
    let case = plain(text);
    assert_eq!(case.only_row().attributes, [4, 5]);
    assert!(case.bench.heard.has("unknown column Confidence"));
    assert!(failed(with(text, |settings| settings.strict = true).result).contains("Confidence"));
}

#[test]
fn b06_a_missing_column_is_named_with_the_nearest_one() {
    let case = plain("ImageId,EncodedPixels,Heihgt,Width,ClassId,AttributesIds\na,1 3,10,8,6,\n");
    case.nothing_is_published();
    let text = failed(case.result);
    assert!(text.contains("Height is missing") && text.contains("nearest found is \"Heihgt\""), "{text}");
    let text = failed(plain("ImageId,EncodedPixels,Width,ClassId,AttributesIds\na,1 3,8,6,\n").result);
    assert!(text.contains("Height is missing"), "{text}");
}

#[test]
fn b07_a_byte_order_mark_spaces_and_case_in_the_header_are_repaired() {
    let case = plain("\u{feff}ImageId, EncodedPixels ,height,Width,ClassId,AttributesIds\na,1 3,10,8,6,\n");
    assert_eq!((case.only_row().image.as_str(), case.only_row().height), ("a", 10));
    assert!(case.bench.heard.has("byte order mark") && case.bench.heard.has("spaces around"));
}

#[test]
fn b08_utf_16_is_refused_with_or_without_its_mark() {
    let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let text = format!("{HEADER}{GOOD}");
    for bytes in [wide(&format!("\u{feff}{text}")), wide(&text)] {
        assert!(failed(plain(bytes).result).contains("UTF-16; convert to UTF-8"));
    }
}

#[test]
fn b09_another_delimiter_is_found_out_or_taken_when_given() {
    for (delimiter, shown) in [(b';', "found ;"), (b'\t', "found \\t")] {
        let text = format!("{HEADER}a,1 3,10,8,6,\n").replace(',', &char::from(delimiter).to_string());
        let refused = failed(plain(text.clone()).result);
        assert!(
            refused.contains(shown) && refused.contains("expected ,") && refused.contains("--delimiter"),
            "{refused}"
        );
        assert_eq!(with(text, |settings| settings.delimiter = delimiter).only_row().lengths, [3]);
    }
}

fn zip(members: &[&str]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(format!("{HEADER}{GOOD}").as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn b10_packed_files_are_opened_by_their_first_bytes() {
    let text = format!("{HEADER}{GOOD}");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let gzip = gzip.finish().unwrap();
    for bytes in [gzip.clone(), zstd::encode_all(text.as_bytes(), 1).unwrap(), zip(&["train.csv"])] {
        assert_eq!(plain(bytes).only_row().starts, [0, 9]);
    }
    assert!(failed(plain(zip(&["a.csv", "b.csv"])).result).contains("2 members, expected exactly one"));
    assert!(failed(plain(zip(&[])).result).contains("0 members"));
    assert!(failed(plain(&gzip[..gzip.len() - 9]).result).contains("cannot be read to its end"));
    assert!(failed(plain("BZh91AY&SY").result).contains("is packed"));
    let mut nothing = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    nothing.write_all(b"").unwrap();
    assert!(failed(plain(nothing.finish().unwrap()).result).contains("is empty"));
}

#[test]
fn b11_an_error_page_is_quoted_with_its_source() {
    let text =
        failed(plain(format!("\n<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>{}", "x".repeat(200))).result);
    assert!(
        text.contains("in/train.csv") && text.contains("AccessDenied") && !text.contains(&"x".repeat(80)),
        "{text}"
    );
}

#[test]
fn b12_line_ends_with_carriage_returns_are_no_part_of_a_field() {
    let case = plain(format!("{}a,1 3,10,8,6,\"4,5\"\r\nb,1 3,10,8,6,7\r\n", HEADER.replace('\n', "\r\n")));
    let rows = case.bench.annotations();
    assert_eq!((rows[0].attributes.clone(), rows[1].attributes.clone()), (vec![4, 5], vec![7]));
    assert!(rows.iter().all(|row| row.notes.iter().all(|note| note == "mask_tiny")));
}

#[test]
fn b13_a_last_row_without_a_line_end_is_taken_when_it_is_whole() {
    assert_eq!(plain(format!("{HEADER}{}", GOOD.trim_end())).only_row().starts, [0, 9]);
}

#[test]
fn b14_blank_lines_are_counted_and_make_no_image() {
    let case = plain(format!("{HEADER}\n{GOOD}  \n\r\n"));
    assert_eq!(case.only_row().row, 1);
    assert_eq!(case.bench.facts(&ANNOTATIONS, "blank_line"), 3);
}

#[test]
fn b15_a_row_cut_in_its_middle_is_quarantined_and_blocks_the_output() {
    for cut in ["b,1 3 10", "b,1 3 10,10,8,6,", "b,1 3,10,8,6,\"1,2"] {
        let text = format!("{HEADER}{GOOD}{cut}");
        let case = plain(text.clone());
        assert_eq!(case.reasons(), [("b".to_owned(), "truncated_row".to_owned())], "{cut}");
        assert!(case.bench.context.tables.current(&ANNOTATIONS).unwrap().is_none());
        assert!(blocked(case.result).contains("--allow-truncated"));
        let case = with(text, |settings| settings.allow_truncated = true);
        assert_eq!(case.only_rejected().0, "truncated_row");
    }
}

#[test]
fn b16_a_number_cut_short_shows_as_drift_of_the_areas() {
    let bench = Bench::new("ingest");
    bench.put("in/train.csv", format!("{HEADER}a,1 60,10,8,6,\nb,1 40,10,8,7,\n"));
    run(&bench, |_| ()).unwrap();
    assert!(!bench.heard.has("of all mask pixels"));
    bench.put("in/train.csv", format!("{HEADER}a,1 6,10,8,6,\nb,1 40,10,8,7,\n"));
    run(&bench, |_| ()).unwrap();
    assert!(bench.heard.has("class 6: 13.043 % of all mask pixels, 60.000 % in version 1"));
    let manifest = bench.context.tables.current(&ANNOTATIONS).unwrap().unwrap();
    let size = format!("{HEADER}a,1 6,10,8,6,\nb,1 40,10,8,7,\n").len();
    assert_eq!((manifest.version, manifest.facts["bytes"]), (2, size as u64));
    assert!(manifest.depends_on.0["csv"].ends_with(&format!(" {size}")));
}

#[test]
fn b17_a_file_that_changes_while_it_is_read_gives_no_output() {
    for at_start in [true, false] {
        let bench = Bench::new("ingest");
        bench.put("in/train.csv", format!("{HEADER}{GOOD}"));
        let other = bench.stage("other");
        *bench.heard.hook.lock().unwrap() = Some(Box::new(move |event| {
            let now = if at_start {
                matches!(event, Event::StageStarted { .. })
            } else {
                matches!(event, Event::Advanced { .. })
            };
            if now {
                // `put` waits for the store, which the thread of an event may do.
                other.put("in/train.csv", format!("{HEADER}{GOOD}{GOOD}"));
            }
        }));
        let result = run(&bench, |_| ());
        let case = Case { bench, result };
        case.nothing_is_published();
        let text = failed(case.result);
        assert!(text.contains("changed while it was read"), "{text}");
    }
}

#[test]
fn b18_a_nul_in_a_mask_is_quarantined_with_its_byte() {
    let (reason, _, place) = bad("a,1 3\0 10 5,10,8,6,");
    assert_eq!(reason, "rle_bad_char");
    assert_eq!(place, format!("train.csv: row 1, line 2, byte {}", HEADER.len() + 5));
}

#[test]
fn b19_a_field_beyond_the_limit_is_quarantined_in_bounded_memory() {
    for length in [2_000, 3_000_000] {
        let long = format!("a,{},10,8,6,", "1 3 ".repeat(length / 4));
        let case = with(format!("{HEADER}{long}\n{GOOD}"), |settings| settings.max_field_bytes = 1_000);
        let (reason, _, place) = case.only_rejected();
        assert_eq!((reason.as_str(), place.contains("line 2")), ("field_too_long", true));
        assert_eq!(case.reasons()[0].0, "a");
        assert_eq!(case.bench.annotations()[0].row, 2);
    }
}
