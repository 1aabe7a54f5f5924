//! The checks of a report: first those that fail, those that block before those that warn, then in one line each the others.
//! Must not know what is checked.

use super::super::plot::number::count;
use super::{Anchors, Check, CheckOutcome, Entry, Severity, code, grid, prose};
use std::fmt::Write as _;

/// Rows of a failed check that are shown, at most.
const ROWS: usize = 20;

/// How the checks went, in a sentence; none without checks.
pub(super) fn counts(checks: &[Check]) -> Option<String> {
    let failed = |severity| failed(checks).filter(|check| check.severity == severity).count();
    let (block, warn, unasked) = (failed(Severity::Block), failed(Severity::Warn), not_asked(checks).count());
    let all = checks.len();
    let mut said = match (all, block + warn) {
        (0, _) => return None,
        (1, 0) if unasked == 0 => "The check holds".to_owned(),
        (_, 0) if unasked == 0 => format!("All {all} checks hold"),
        (_, 0) => format!("{} of {all} checks hold", all - unasked),
        (_, 1) => format!("1 of {all} checks fails"),
        (_, some) => format!("{some} of {all} checks fail"),
    };
    let mut parts = Vec::new();
    if block > 0 {
        parts.push(format!("{block} {} the output", if block == 1 { "blocks" } else { "block" }));
    }
    if warn > 0 {
        parts.push(format!("{warn} {}", if warn == 1 { "warns" } else { "warn" }));
    }
    if unasked > 0 {
        parts.push(format!("{unasked} could not be asked"));
    }
    if !parts.is_empty() {
        let _ = write!(said, ": {}", parts.join(", "));
    }
    said.push('.');
    Some(said)
}

/// The section of the checks; nothing where there are none.
pub(super) fn checks(html: &mut String, checks: &[Check], anchors: &mut Anchors, contents: &mut Vec<Entry>) {
    if checks.is_empty() {
        return;
    }
    let id = anchors.take("checks");
    let _ = writeln!(html, "<section class=\"checks\" id=\"{id}\">");
    let mut worst: Vec<&Check> = failed(checks).collect();
    worst.sort_by_key(|check| check.severity);
    let title = if worst.is_empty() { "Checks" } else { "What fails" };
    let _ = writeln!(html, "<h2>{title}</h2>");
    contents.push(Entry { id, title: title.to_owned(), within: false });
    for check in worst {
        let id = anchors.take(&format!("check-{}", check.name));
        self::failure(html, check, &id);
        contents.push(Entry { id, title: check.title.clone(), within: true });
    }
    others(html, checks);
    html.push_str("</section>\n");
}

fn failed(checks: &[Check]) -> impl Iterator<Item = &Check> {
    checks.iter().filter(|check| check.outcome == CheckOutcome::Failed)
}

fn not_asked(checks: &[Check]) -> impl Iterator<Item = (&Check, &str)> {
    checks.iter().filter_map(|check| match &check.outcome {
        CheckOutcome::NotAsked(why) => Some((check, why.as_str())),
        _ => None,
    })
}

fn failure(html: &mut String, check: &Check, id: &str) {
    let (class, word) = match check.severity {
        Severity::Block => ("bad", "blocks"),
        Severity::Warn => ("warn", "warns"),
    };
    let rows = format!("{} {}", count(check.rows), if check.rows == 1 { "row" } else { "rows" });
    let _ = writeln!(
        html,
        "<article class=\"check {class}\" id=\"{id}\">\n<h3><span class=\"badge\">{word}</span> {}</h3>\n\
         <p>{} <b>{rows}</b> should not be there.</p>",
        prose(&check.title),
        prose(&check.question)
    );
    if !check.advice.is_empty() {
        let _ = writeln!(html, "<p class=\"advice\"><b>What to do:</b> {}</p>", prose(&check.advice));
    }
    grid::table(html, &check.table, ROWS, check.rows.max(check.table.rows.len() as u64), check.csv.as_deref());
    html.push_str(&code("command", &check.command));
    html.push_str("\n</article>\n");
}

/// The checks that do not fail.
fn others(html: &mut String, checks: &[Check]) {
    let passed: Vec<&Check> = checks.iter().filter(|check| check.outcome == CheckOutcome::Passed).collect();
    let unasked: Vec<(&Check, &str)> = not_asked(checks).collect();
    let mut parts = Vec::new();
    if !passed.is_empty() {
        parts.push(format!("{} that {}", passed.len(), if passed.len() == 1 { "holds" } else { "hold" }));
    }
    if !unasked.is_empty() {
        parts.push(format!("{} that could not be asked", unasked.len()));
    }
    if parts.is_empty() {
        return;
    }
    let _ = writeln!(html, "<details>\n<summary>{}</summary>\n<ul class=\"others\">", parts.join(", "));
    for (check, why) in unasked {
        let (title, why, question) = (prose(&check.title), prose(why), prose(&check.question));
        let _ = writeln!(
            html,
            "<li><span aria-hidden=\"true\">–</span> <b>{title}</b> not asked: {why} <span class=\"quiet\">{question}</span></li>"
        );
    }
    for check in passed {
        let (title, question) = (prose(&check.title), prose(&check.question));
        let _ = writeln!(
            html,
            "<li><span aria-hidden=\"true\">✓</span> <b>{title}</b> holds <span class=\"quiet\">{question}</span></li>"
        );
    }
    html.push_str("</ul>\n</details>\n");
}
