//! The page: what comes first, what is said where something is missing, and that nothing gets out of its place.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what is wanted")]

use super::super::plot::Column;
use super::*;
use serde_json::{Value, json};

fn table(rows: usize) -> Table {
    let column = |name: &str| Column { name: name.to_owned(), meaning: format!("meaning of {name}") };
    let row = |row: usize| vec![json!(format!("item {row}")), json!(row * 1000)];
    Table { columns: vec![column("key"), column("size")], rows: (0..rows).map(row).collect() }
}

fn check(title: &str, severity: Severity, outcome: CheckOutcome, rows: usize) -> Check {
    Check {
        name: title.replace(' ', "_"),
        title: title.to_owned(),
        question: format!("Does {title} hold?"),
        severity,
        outcome,
        advice: format!("Mend {title}."),
        table: table(rows),
        rows: rows as u64,
        command: format!("selvedge check '{title}'"),
        csv: None,
    }
}

fn figure(title: &str, chart: &str, rows: usize) -> Figure {
    Figure {
        name: title.replace(' ', "_"),
        title: title.to_owned(),
        question: format!("What of {title}?"),
        grain: "one row an item".to_owned(),
        plot: Plot::parse(chart).unwrap(),
        table: table(rows),
        notes: Vec::new(),
        command: "selvedge stats".to_owned(),
        sql: "SELECT 1\n\tWHERE a < b".to_owned(),
        csv: None,
    }
}

fn page(checks: Vec<Check>, figures: Vec<Figure>) -> Page {
    let sections = vec![Section { title: "Balance".to_owned(), figures, panels: Vec::new() }];
    let part = Part {
        id: "dataset".to_owned(),
        title: "Dataset".to_owned(),
        lead: String::new(),
        numbers: Vec::new(),
        sections,
    };
    Page {
        title: "Catalogue".to_owned(),
        made: "2026-11-23".to_owned(),
        source: "s3://shop".to_owned(),
        verdict: Verdict::Passed,
        summary: "All is well.".to_owned(),
        facts: vec![("run".to_owned(), "r1".to_owned())],
        checks,
        parts: vec![part],
        reproduce: vec![("the page".to_owned(), "selvedge report".to_owned())],
    }
}

fn places(html: &str, texts: &[&str]) -> Vec<usize> {
    texts.iter().map(|text| html.find(text).unwrap_or_else(|| panic!("no {text}"))).collect()
}

#[test]
fn the_verdict_comes_first_then_what_blocks_then_what_warns_then_all_else() {
    let checks = vec![
        check("fine", Severity::Block, CheckOutcome::Passed, 0),
        check("warned", Severity::Warn, CheckOutcome::Failed, 1),
        check("unasked", Severity::Block, CheckOutcome::NotAsked("table images is not in the store".to_owned()), 0),
        check("blocked", Severity::Block, CheckOutcome::Failed, 3),
    ];
    let mut page = page(checks, vec![figure("Sizes", "bars label=key value=size", 3)]);
    page.verdict = Verdict::Blocked;
    let html = page.html();
    let order = places(
        &html,
        &[
            "<title>Catalogue: blocked</title>",
            "class=\"skip\"",
            "<p class=\"word\">Blocked</p>",
            "<p>All is well.</p>",
            "2 of 4 checks fail: 1 blocks the output, 1 warns, 1 could not be asked.",
            "<nav ",
            "<main ",
            "<span class=\"badge\">blocks</span> blocked",
            "<b>3 rows</b> should not be there",
            "Mend blocked.",
            "selvedge check &#39;blocked&#39;",
            "<span class=\"badge\">warns</span> warned",
            "<b>1 row</b> should",
            "<summary>1 that holds, 1 that could not be asked</summary>",
            "not asked: table images is not in the store",
            "<b>fine</b> holds",
            "<h2>Made from</h2>",
            "<h2>Dataset</h2>",
            "role=\"img\"",
            "<h2>Reproduce</h2>",
        ],
    );
    assert!(order.is_sorted(), "{order:?}");
}

#[test]
fn each_verdict_has_its_word_and_its_sign() {
    let mut signs = HashSet::new();
    for (verdict, word) in [
        (Verdict::Passed, "passed"),
        (Verdict::Warned, "passed with warnings"),
        (Verdict::Blocked, "blocked"),
        (Verdict::Failed, "failed"),
    ] {
        assert_eq!(verdict.word(), word);
        assert!(signs.insert(verdict.sign()));
        let page = Page { verdict, ..page(Vec::new(), Vec::new()) };
        assert!(page.html().contains(&format!("<title>Catalogue: {word}</title>")));
    }
}

#[test]
fn how_the_checks_went_is_a_sentence() {
    let of = |outcomes: &[(Severity, CheckOutcome)]| {
        let made: Vec<Check> =
            outcomes.iter().map(|(severity, outcome)| check("a", *severity, outcome.clone(), 0)).collect();
        checks::counts(&made)
    };
    let (block, warn) = (Severity::Block, Severity::Warn);
    let unasked = CheckOutcome::NotAsked(String::new());
    assert_eq!(of(&[]), None);
    assert_eq!(of(&[(block, CheckOutcome::Passed)]).unwrap(), "The check holds.");
    assert_eq!(of(&[(block, CheckOutcome::Passed), (warn, CheckOutcome::Passed)]).unwrap(), "All 2 checks hold.");
    assert_eq!(
        of(&[(block, CheckOutcome::Passed), (warn, unasked)]).unwrap(),
        "1 of 2 checks hold: 1 could not be asked."
    );
    assert_eq!(
        of(&[(warn, CheckOutcome::Failed), (warn, CheckOutcome::Failed)]).unwrap(),
        "2 of 2 checks fail: 2 warn."
    );
}

#[test]
fn long_tables_are_cut_and_it_is_said() {
    let mut failed = check("many", Severity::Block, CheckOutcome::Failed, 30);
    failed.rows = 1234;
    failed.csv = Some("csv/many.csv".to_owned());
    let mut long = figure("long", "none", 150);
    long.csv = Some("csv/long.csv".to_owned());
    let html = page(vec![failed], vec![long, figure("short", "none", 100)]).html();
    assert!(html.contains("The first 20 of 1\u{202f}234 rows · <a href=\"./csv/many.csv\" download>"));
    assert!(html.contains("The first 100 of 150 rows · <a href=\"./csv/long.csv\" download>"));
    assert_eq!(html.matches("<tr><td>").count(), 20 + 100 + 100);
    assert_eq!(html.matches("<details open>").count(), 2, "without a chart the table is open");
}

#[test]
fn a_chart_that_cannot_be_drawn_gives_its_reason_and_the_table() {
    let html = page(Vec::new(), vec![figure("a", "bars label=key value=gone", 2)]).html();
    assert!(html.contains("No chart: the chart names a column gone") && html.contains("<details open>"));
}

#[test]
fn nothing_gets_out_of_its_place() {
    let hostile = "<script>alert(1)</script>\"'&\n\u{202e}";
    let text = || hostile.to_owned();
    let mut figure = figure("a", "bars label=key value=size", 1);
    figure.table.rows = vec![vec![json!(hostile), json!(1)], vec![json!([hostile]), Value::Null]];
    figure.table.columns[1].meaning = text();
    (figure.title, figure.question, figure.grain, figure.sql, figure.command) =
        (text(), text(), text(), text(), text());
    (figure.notes, figure.csv) = (vec![text()], Some("javascript:alert(1)//\"><script>".to_owned()));
    let mut check = check("a", Severity::Block, CheckOutcome::Failed, 1);
    (check.name, check.title, check.question, check.advice, check.command) = (text(), text(), text(), text(), text());
    let unasked = Check { outcome: CheckOutcome::NotAsked(text()), ..check.clone() };
    let panel = Panel {
        title: text(),
        pictures: vec![(text(), Picture::Absent(text())), (text(), Picture::of_file("image/png", b"x", (1, 1)))],
        legend: vec![("red;background:url(x)".to_owned(), text()), ("#0b62a4".to_owned(), text())],
        detail: text(),
    };
    let mut page = page(vec![check, unasked], vec![figure]);
    (page.title, page.made, page.source, page.summary) = (text(), text(), text(), text());
    (page.facts, page.reproduce) = (vec![(text(), text())], vec![(text(), text())]);
    let part = &mut page.parts[0];
    (part.id, part.title, part.lead, part.numbers) = (text(), text(), text(), vec![(text(), text())]);
    (part.sections[0].title, part.sections[0].panels) = (text(), vec![panel]);
    let html = page.html();
    for word in ["<script", "\u{202e}", "http:", "https:", "<link", "@import", "url(", "href=\"java"] {
        assert!(!html.contains(word), "{word}");
    }
    assert!(html.contains("href=\"./javascript:") && html.contains("style=\"background:#0b62a4\""));
    assert!(!html.contains("background:red"));
}

#[test]
fn places_are_given_out_once_and_links_lead_to_them() {
    let twins =
        vec![figure("same", "none", 1), figure("same", "none", 1), figure("§§", "none", 1), figure("Main", "none", 1)];
    let mut page = page(vec![check("same", Severity::Warn, CheckOutcome::Failed, 1)], twins);
    let mut other = page.parts[0].clone();
    other.id = "main".to_owned();
    page.parts.extend([page.parts[0].clone(), other]);
    let html = page.html();
    let ids: Vec<&str> = html.split(" id=\"").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
    let unlike: HashSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), unlike.len(), "{ids:?}");
    for link in html.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()) {
        assert!(unlike.contains(link), "#{link}");
    }
}

#[test]
fn queries_keep_their_lines() {
    let html = page(Vec::new(), vec![figure("a", "none", 1)]).html();
    assert!(html.contains("<pre class=\"sql\"><code>SELECT 1\n\tWHERE a &lt; b</code></pre>"));
}

#[test]
fn headings_leave_out_no_level() {
    let mut page = page(vec![check("a", Severity::Warn, CheckOutcome::Failed, 1)], vec![figure("a", "none", 1)]);
    let untitled = Section { title: String::new(), ..page.parts[0].sections[0].clone() };
    page.parts[0].sections.insert(0, untitled);
    let html = page.html();
    let mut last = 0;
    for (at, _) in html.match_indices("<h") {
        let Some(level) = html[at + 2..].chars().next().and_then(|digit| digit.to_digit(10)) else { continue };
        assert!(level <= last + 1, "{level} after {last}");
        last = level;
    }
    assert_eq!(html.matches("<h1>").count(), 1);
}

#[test]
fn an_empty_page_is_a_page() {
    let mut page = page(Vec::new(), Vec::new());
    (page.facts, page.parts, page.reproduce) = (Vec::new(), Vec::new(), Vec::new());
    let html = page.html();
    assert!(html.contains("<p class=\"word\">Passed</p>") && html.ends_with("</html>\n"));
}

#[test]
fn forty_figures_of_46_rows_are_a_small_page() {
    let wide = |index: usize| {
        let names: Vec<String> = (0..11).map(|column| format!("column_{column}")).collect();
        let columns = names
            .iter()
            .map(|name| Column { name: name.clone(), meaning: "images with at least one such row".to_owned() });
        let rows = (0..46).map(|row| {
            let mut values = vec![json!(format!("class {row} of a certain length"))];
            values.extend((1..11).map(|column| json!(333_401 * row * column + index)));
            values
        });
        let mut figure =
            figure(&format!("figure {index}"), "bars label=column_0 value=column_1 value=column_2 most=46", 0);
        figure.table = Table { columns: columns.collect(), rows: rows.collect() };
        figure
    };
    let html = page(Vec::new(), (0..40).map(wide).collect()).html();
    assert_eq!(html.matches("role=\"img\"").count(), 40);
    assert!(html.len() < 3_000_000, "{} bytes", html.len());
}

#[test]
fn colours_of_curves_are_those_of_charts() {
    for (index, (light, dark)) in super::super::chart::COLOURS.iter().enumerate() {
        assert!(
            STYLE.contains(&format!("--c{index}: {light};")) && STYLE.contains(&format!("--c{index}: {dark};")),
            "{index}"
        );
    }
}
