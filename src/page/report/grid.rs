//! A table in the page: its first rows, and what its columns mean. Must not know what it is of.

use super::super::plot::{Table, number, value};
use super::{beside, prose};
use std::fmt::Write as _;

/// The first `most` rows of a table within a box that scrolls; `all` is how many there are of which it may be the first.
pub(super) fn table(html: &mut String, answer: &Table, most: usize, all: u64, csv: Option<&str>) {
    let shown = answer.rows.len().min(most);
    html.push_str("<div class=\"scroll\" tabindex=\"0\" role=\"group\" aria-label=\"Table\">\n<table>\n<thead><tr>");
    let numeric: Vec<bool> = (0..answer.columns.len()).map(|place| answer.is_numeric(place)).collect();
    for (column, numeric) in answer.columns.iter().zip(&numeric) {
        let _ = write!(html, "<th scope=\"col\"{}>{}</th>", class(*numeric), prose(&column.name));
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in answer.rows.iter().take(shown) {
        html.push_str("<tr>");
        for (place, numeric) in numeric.iter().enumerate() {
            let _ = write!(html, "<td{}>{}</td>", class(*numeric), prose(&value::text(value::cell(row, place))));
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table>\n</div>\n");
    if answer.rows.is_empty() {
        html.push_str("<p class=\"quiet\">No rows.</p>\n");
    }
    let mut said = Vec::new();
    if (shown as u64) < all {
        said.push(format!("The first {} of {} rows", number::count(shown as u64), number::count(all)));
    }
    if let Some(csv) = csv {
        said.push(format!("<a href=\"{}\" download>CSV of all</a>", beside(csv)));
    }
    if !said.is_empty() {
        let _ = writeln!(html, "<p class=\"quiet small\">{}</p>", said.join(" · "));
    }
    meanings(html, answer);
}

fn class(numeric: bool) -> &'static str {
    if numeric { " class=\"n\"" } else { "" }
}

fn meanings(html: &mut String, table: &Table) {
    if table.columns.iter().all(|column| column.meaning.is_empty()) {
        return;
    }
    html.push_str("<dl class=\"meanings\">\n");
    for column in table.columns.iter().filter(|column| !column.meaning.is_empty()) {
        let _ = writeln!(html, "<div><dt>{}</dt> <dd>{}</dd></div>", prose(&column.name), prose(&column.meaning));
    }
    html.push_str("</dl>\n");
}
