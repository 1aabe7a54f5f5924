//! Charts of ordinary, odd and hostile tables.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what is wanted")]

use super::*;
use serde_json::{Value, json};

const ALL: [&str; 11] = [
    "bars label=a value=n",
    "bars label=a value=n value=m scale=log most=500",
    "columns x=a value=n",
    "columns x=a value=n value=m scale=log",
    "lines x=a value=n",
    "lines x=n value=m by=a",
    "heat row=a column=b value=n",
    "heat row=a column=b value=n scale=log middle=1",
    "points x=n y=m size=k",
    "points x=n y=m scale=log",
    "stacked label=a value=k value=j",
];

fn plot(text: &str) -> Plot {
    Plot::parse(text).unwrap().unwrap()
}

fn table(names: &[&str], rows: Vec<Vec<Value>>) -> Table {
    let column = |name: &&str| Column { name: (*name).to_owned(), meaning: format!("the {name}, pixels") };
    Table { columns: names.iter().map(column).collect(), rows }
}

/// Rows of two names and four numbers, of which the last two are not below zero.
fn numbers(values: &[Value]) -> Table {
    let rows = values.iter().enumerate().map(|(index, value)| {
        let up = value.as_f64().map(f64::abs).map_or(Value::Null, |value| json!(value));
        vec![json!(format!("row {index}")), json!("b"), value.clone(), value.clone(), up, json!(1)]
    });
    table(&["a", "b", "n", "m", "k", "j"], rows.collect())
}

fn svg(text: &str, table: &Table) -> String {
    let svg = plot(text).svg("Title", "What it asks.", table).unwrap_or_else(|what| panic!("{text}: {what}"));
    sound(text, &svg);
    svg
}

/// An element whose tags are closed in their order, with coordinates that are numbers.
fn sound(text: &str, svg: &str) {
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n") && svg.contains(" role=\"img\""), "{text}");
    let mut open: Vec<&str> = Vec::new();
    for piece in svg.split('<').skip(1) {
        let (tag, rest) = piece.split_once('>').unwrap_or_else(|| panic!("{text}: <{piece}"));
        assert!(!rest.contains('>'), "{text}: {piece}");
        match tag.strip_prefix('/') {
            Some(name) => assert_eq!(open.pop(), Some(name), "{text}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap()),
        }
        for (name, value) in tag.split(' ').filter_map(|attribute| attribute.split_once("=\"")) {
            if ["x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height", "dx"].contains(&name) {
                let value = value.trim_end_matches(['"', '/']).trim_end_matches('%');
                let number: f64 = value.parse().unwrap_or_else(|_| panic!("{text}: {tag}"));
                assert!(number.is_finite() && number.abs() < 20_000.0, "{text}: {tag}");
                assert!(number >= 0.0 || !["r", "width", "height"].contains(&name), "{text}: {tag}");
            }
        }
        assert!(!tag.contains("NaN") && !tag.contains("inf"), "{text}: {tag}");
    }
    assert!(open.is_empty(), "{text}: {open:?}");
}

#[test]
fn every_kind_draws_whatever_numbers_there_are() {
    let huge = [f64::MAX, f64::MIN, 1e300, -1e300, 5e-324, 1e18, -1e-9].map(|value| json!(value));
    let sets: [Vec<Value>; 9] = [
        vec![json!(3), json!(1), json!(2)],
        vec![json!(0), json!(0), json!(0)],
        vec![json!(7)],
        vec![json!(-3), json!(-1)],
        vec![json!(-3), json!(0), json!(5)],
        vec![json!(null), json!(1), json!(null), json!("text"), json!([1, 2]), json!(true)],
        vec![json!(u64::MAX), json!(i64::MIN), json!(0.1)],
        huge.to_vec(),
        (0..400).map(|index| json!(index * index)).collect(),
    ];
    for text in ALL {
        for values in &sets {
            let svg = svg(text, &numbers(values));
            assert!(svg.len() < 1_000 + 900 * values.len().max(10), "{text}: {} bytes", svg.len());
        }
    }
}

#[test]
fn an_answer_without_rows_says_so() {
    for text in ALL.into_iter().chain(["maps by=a row=n column=m value=k"]) {
        let svg = svg(text, &numbers(&[]));
        assert!(svg.contains(">no rows</text>") && svg.contains("<title>Title</title>"), "{text}");
    }
}

#[test]
fn a_column_that_is_missing_or_has_no_numbers_is_said_in_words() {
    let table = numbers(&[json!(1)]);
    let what = |text: &str, table: &Table| plot(text).svg("", "", table).unwrap_err();
    assert!(
        what("bars label=a value=gone", &table).contains("a column gone, which the answer has not: it has a, b, n")
    );
    for text in ["bars label=a value=b", "points x=n y=b", "heat row=a column=b value=a", "lines x=a value=b"] {
        assert!(what(text, &table).contains("holds no numbers"), "{text}");
    }
    assert!(what("stacked label=a value=n value=m", &numbers(&[json!(-3)])).contains("the column n holds \u{2212}3"));
    assert!(what("maps by=a row=n column=m value=k", &numbers(&[json!(0.5)])).contains("whole numbers"));
    assert!(what("maps by=a row=n column=m value=k", &numbers(&[json!(0), json!(1e300)])).contains("at most 128"));
}

#[test]
fn text_stays_text_and_is_cut_and_whole() {
    let hostile = "</text><script>alert(\"1\")</script>&amp;\u{202e}\0 and on it goes";
    let rows = (0..3)
        .map(|row| vec![json!(hostile), json!(format!("{hostile}{row}")), json!(row), json!(1), json!(1), json!(2)]);
    let table = table(&["a", "b", "n", "m", "k", "j"], rows.collect());
    for text in ALL {
        let svg = svg(text, &table);
        assert!(!svg.contains("<script") && !svg.contains('\0') && !svg.contains('\u{202e}'), "{text}");
    }
    let bars = svg("bars label=a value=n", &table);
    assert!(bars.contains("…<title>&lt;/text&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;&amp;amp;"));
    let plain = plot("bars label=a value=n").svg("<b>", "</desc>", &table).unwrap();
    assert!(plain.contains("<title>&lt;b&gt;</title>\n<desc>&lt;/desc&gt; "));
}

#[test]
fn bars_are_as_long_as_their_values_and_say_them() {
    let rows =
        vec![vec![json!("shoe"), json!(46_220)], vec![json!("hat"), json!(11_555)], vec![json!("tie"), json!(0)]];
    let svg = svg("bars label=a value=n", &table(&["a", "n"], rows));
    assert!(svg.contains("width=\"100%\" height=\"14\"") && svg.contains("width=\"25%\""), "{svg}");
    assert_eq!(svg.matches("<rect").count(), 2, "nothing has no bar");
    for said in [">46\u{202f}220</text>", ">11\u{202f}555</text>", ">0</text>", ">n: the n, pixels</text>"] {
        assert!(svg.contains(said), "{said}");
    }
    assert!(svg.contains("<desc>What it asks. 3 rows; greatest: shoe with 46\u{202f}220.</desc>"));
}

#[test]
fn bars_below_zero_grow_to_the_other_side() {
    let rows = vec![vec![json!("up"), json!(3)], vec![json!("down"), json!(-1)]];
    let svg = svg("bars label=a value=n", &table(&["a", "n"], rows));
    assert!(
        svg.contains("x=\"25%\" y=\"5\" width=\"75%\"") && svg.contains("x=\"0%\" y=\"26\" width=\"25%\""),
        "{svg}"
    );
}

#[test]
fn rows_that_are_not_drawn_are_told_of() {
    let rows: Vec<Vec<Value>> = (0..46).map(|row| vec![json!(format!("c{row}")), json!(row)]).collect();
    let table = table(&["a", "n"], rows);
    let first = svg("bars label=a value=n", &table);
    assert!(
        first.contains(">the first 30 of 46 rows; all are in the</text>")
            && first.contains(">c29<")
            && !first.contains(">c30<")
    );
    let all = svg("bars label=a value=n most=46", &table);
    assert!(all.contains(">c45<") && !all.contains("the first"));
}

#[test]
fn shares_fill_the_row() {
    let rows = vec![
        vec![json!("a"), json!(1), json!(3)],
        vec![json!("b"), json!(0), json!(0)],
        vec![json!("c"), json!(1e300), json!(1e300)],
    ];
    let svg = svg("stacked label=a value=n value=m", &table(&["a", "n", "m"], rows));
    assert!(svg.contains("x=\"25%\" y=\"47\" width=\"75%\"") && svg.contains(">75\u{202f}%<"), "{svg}");
    assert!(svg.contains(">nothing<") && svg.matches(">50\u{202f}%<").count() == 2);
}

#[test]
fn lines_break_where_a_value_is_missing() {
    let values = [json!(1), json!(2), json!(null), json!(3), json!(4)];
    let rows: Vec<Vec<Value>> = values.into_iter().enumerate().map(|(at, value)| vec![json!(at), value]).collect();
    let svg = svg("lines x=a value=n", &table(&["a", "n"], rows));
    assert_eq!(svg.matches("<path class=\"s0\"").count(), 2);
    assert_eq!(svg.matches("<circle").count(), 4);
    assert!(svg.contains("n: the n, pixels ends at 4."));
}

#[test]
fn a_line_for_each_name_and_value_up_to_twelve() {
    let rows = (0..20)
        .flat_map(|name| (0..2).map(move |at| vec![json!(format!("m{name}")), json!(at), json!(name), json!(1)]));
    let table = table(&["a", "x", "n", "m"], rows.collect());
    let svg = svg("lines x=x value=n value=m by=a", &table);
    assert!(svg.contains(">m0, n<") && svg.contains(">the first 12 of 40 lines; all are in the table<"));
    assert!(svg.contains("<path class=\"s0 dashed\""), "the seventh line has the first colour, dashed");
}

#[test]
fn nights_keep_their_order_and_their_names() {
    let rows = ["2026-11-01", "2026-11-02", "2026-11-03"].map(|day| vec![json!(day), json!(1)]);
    let svg = svg("lines x=a value=n", &table(&["a", "n"], rows.to_vec()));
    let places: Vec<usize> =
        ["01<", "02<", "03<"].iter().map(|day| svg.find(&format!(">2026-11-{day}")).unwrap()).collect();
    assert!(places.is_sorted());
}

#[test]
fn a_matrix_has_a_cell_for_each_value_and_none_where_there_is_none() {
    let names: Vec<String> = (0..46).map(|name| format!("class {name}")).collect();
    let rows = names.iter().flat_map(|one| {
        names.iter().map(move |other| vec![json!(one), json!(other), if one == other { Value::Null } else { json!(2) }])
    });
    let svg = svg("heat row=a column=b value=n scale=log middle=1", &table(&["a", "b", "n"], rows.collect()));
    assert_eq!(svg.matches("<path class=\"d8\"").count(), 46 * 45);
    assert!(svg.contains("<title>class 3 × class 45: 2</title>") && svg.len() < 300_000, "{}", svg.len());
    let rows = (0..100).map(|at| vec![json!(at), json!(at), json!(1)]);
    let large = self::svg("heat row=a column=b value=n", &table(&["a", "b", "n"], rows.collect()));
    assert!(large.contains("the first 60 of 100 rows and 60 of 100 columns"));
}

#[test]
fn maps_join_cells_that_touch() {
    let mut rows = Vec::new();
    for (y, x, value) in [(1, 1, 8), (1, 2, 8), (1, 3, 8), (3, 3, 8), (0, 0, 0)] {
        rows.push(vec![json!("hat"), json!(y), json!(x), json!(value)]);
    }
    let svg = svg("maps by=a row=y column=x value=n", &table(&["a", "y", "x", "n"], rows));
    assert!(svg.contains("<path class=\"h8\" d=\"M25 25h75v25h-75zM75 75h25v25h-25z\"/>"), "{svg}");
    assert!(svg.contains(">hat</text>") && svg.contains(">up to 8</text>"));
}

#[test]
fn many_points_are_thinned_and_it_is_said() {
    let rows = (0..10_000).map(|at| vec![json!(at), json!(at % 97), json!(null)]);
    let svg = svg("points x=a y=n", &table(&["a", "n", "k"], rows.collect()));
    assert_eq!(svg.matches("<circle").count(), 2500);
    assert!(svg.contains("one of 4 of 10\u{202f}000 points is drawn") && svg.len() < 200_000);
}

#[test]
fn columns_are_named_each_once() {
    assert_eq!(plot("stacked label=name value=val value=train value=val").columns(), ["name", "val", "train"]);
    assert_eq!(plot("points x=w y=h size=w").columns(), ["w", "h"]);
    assert_eq!(Plot::parse("none").unwrap(), None);
}
