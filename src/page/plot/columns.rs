//! Columns in the order of the rows: a histogram. Must not know pages.

use super::frame::{Below, Frame, Key, LEFT, RIGHT, must_turn, named};
use super::grammar::Columns;
use super::number::{count, short};
use super::ruler::Ruler;
use super::svg::{COLOURS, PHONE_LETTER, Words, counted, greatest, letters, title};
use super::value::Table;
use crate::page::chart::number;
use std::fmt::Write as _;

/// Rows, at most.
const MOST: usize = 200;
/// Share of a row's stretch that its columns fill.
const FILLED: f64 = 0.84;

pub(super) fn columns(about: &Words<'_>, kind: &Columns, table: &Table) -> Result<String, String> {
    let mut labels = table.texts(&kind.x)?;
    let all = labels.len();
    labels.truncate(MOST);
    let values: Vec<Vec<Option<f64>>> =
        kind.values.iter().map(|name| table.numbers(name)).collect::<Result<_, String>>()?;
    let seen = values.iter().flat_map(|column| column.iter().take(MOST).copied().flatten());
    let ruler = Ruler::from_zero(seen.clone(), kind.log);
    let names: Vec<String> = kind.values.iter().map(|name| named(table, name, &ruler)).collect();
    let above = match names.as_slice() {
        [name] => Key::Name(name),
        names => Key::Series(names, block),
    };
    let left_out =
        (all > MOST).then(|| format!("the first {MOST} of {} rows; all are in the table", count(all as u64)));
    let below =
        Below { name: table.called(&kind.x), remarks: left_out.into_iter().collect(), turned: must_turn(&labels) };
    let first = values.iter().take(1).flatten().copied();
    let labelled = labels.iter().zip(first).filter_map(|(label, value)| Some((label.as_str(), value?)));
    let summary = format!("{}; {}.", counted(all, "column"), greatest(labelled));
    let mut frame = Frame::open(about, "columns", &summary, &above, &below);
    frame.left_axis(&ruler);
    frame.labels(&labels, below.turned);

    let slot = (RIGHT - LEFT) / labels.len().max(1) as f64;
    let width = slot * FILLED / values.len() as f64;
    let longest = seen.map(|value| letters(&short(value))).max().unwrap_or(1);
    let written = values.len() == 1 && longest as f64 * PHONE_LETTER <= slot;
    let ground = ruler.ground();
    for (row, label) in labels.iter().enumerate() {
        for (index, (column, name)) in values.iter().zip(&kind.values).enumerate() {
            let Some(value) = column.get(row).copied().flatten() else { continue };
            let end = ruler.share(value).unwrap_or(ground);
            let x = LEFT + slot * (row as f64 + (1.0 - FILLED) / 2.0) + width * index as f64;
            let (low, high) = (frame.y(ground.min(end)), frame.y(ground.max(end)));
            let _ = write!(frame.svg, "<g>{}", title(&format!("{label}: {name} {}", short(value))));
            if end != ground {
                let _ = write!(
                    frame.svg,
                    "<rect class=\"f{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                    index % COLOURS,
                    number(x),
                    number(high.min(low - 1.0)),
                    number((width - if width > 6.0 { 1.0 } else { 0.0 }).max(0.4)),
                    number((low - high).max(1.0))
                );
            }
            if written {
                let (x, y) = (number(x + width / 2.0), number(high - 5.0));
                let _ = write!(frame.svg, "<text class=\"value mid\" x=\"{x}\" y=\"{y}\">{}</text>", short(value));
            }
            frame.svg.push_str("</g>\n");
        }
    }
    Ok(frame.close())
}

fn block(index: usize, x: f64, y: f64) -> String {
    let (class, x, y) = (index % COLOURS, number(x + 4.0), number(y - 6.0));
    format!("<rect class=\"f{class}\" x=\"{x}\" y=\"{y}\" width=\"12\" height=\"12\" rx=\"2\"/>")
}
