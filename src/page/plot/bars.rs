//! Bars that lie: values beside each other from a common ground, or shares that add up to the whole. Must not know pages.

use super::grammar::{Bars, Stacked};
use super::number::{count, percent, short};
use super::ruler::Ruler;
use super::svg::{
    COLOURS, LETTER, LINE, LINE_LETTERS, Size, Words, counted, cut, greatest, key, key_height, letters, open,
    percentage, title, words, wrapped,
};
use super::value::Table;
use crate::page::chart::number;
use std::fmt::Write as _;

/// Height of a bar that is alone in its row, of one that has others beside it, and of the room between rows.
const BAR: f64 = 15.0;
const GROUPED: f64 = 11.0;
const GAP: f64 = 6.0;
/// Letters of a label; what is longer is cut.
const LABEL: usize = 21;
/// Rows of shares, at most.
const MOST_STACKED: usize = 100;
/// Share of a row from which on its percentage is written into it.
const WRITTEN: f64 = 0.16;

/// Bars from a common ground, each with its value.
pub(super) fn bars(words: &Words<'_>, kind: &Bars, table: &Table) -> Result<String, String> {
    let labels = table.texts(&kind.label)?;
    let values: Vec<Vec<Option<f64>>> =
        kind.values.iter().map(|name| table.numbers(name)).collect::<Result<_, String>>()?;
    let shown = labels.len().min(kind.most);
    let seen = values.iter().flat_map(|column| column.iter().take(shown).copied().flatten());
    let ruler = Ruler::from_zero_exactly(seen.clone(), kind.log);
    let longest = seen.clone().map(|value| letters(&short(value))).max().unwrap_or(1);
    let names: Vec<String> = kind.values.iter().map(|name| table.called(name)).collect();
    let rows = Rows {
        left: label_width(labels.iter().take(shown)),
        right: longest as f64 * LETTER + 10.0,
        bar: if values.len() == 1 { BAR } else { GROUPED },
        bars: values.len(),
        top: if values.len() == 1 { 2.0 } else { key_height(&names) + 8.0 },
    };
    let mut below: Vec<String> = match names.as_slice() {
        [one] => vec![one.clone()],
        _ => Vec::new(),
    };
    below.extend(kind.log.then(|| "log scale".to_owned()));
    below.extend(left_out(labels.len(), shown));
    let below = in_lines(&below);

    let first = values.iter().take(1).flatten().copied();
    let labelled = labels.iter().zip(first).filter_map(|(label, value)| Some((label.as_str(), value?)));
    let summary = format!("{}; {}.", counted(labels.len(), "row"), greatest(labelled));
    let mut svg = open(words, "bars", &summary, &rows.size(shown, below.len()));
    if names.len() > 1 {
        key(&mut svg, -rows.left, &names);
    }
    rows.labels(&mut svg, labels.iter().take(shown));
    let ground = ruler.ground();
    for (row, label) in labels.iter().take(shown).enumerate() {
        for (index, (column, name)) in values.iter().zip(&kind.values).enumerate() {
            let value = column.get(row).copied().flatten();
            let y = rows.y(row) + rows.bar * index as f64;
            let written = value.map_or_else(|| "—".to_owned(), short);
            svg.push_str("<g>");
            svg.push_str(&title(&format!("{label}: {name} {written}")));
            let end = value.and_then(|value| ruler.share(value)).unwrap_or(ground);
            if end != ground {
                let _ = write!(
                    svg,
                    "<rect class=\"f{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                    index % COLOURS,
                    percentage(ground.min(end)),
                    number(y),
                    percentage((end - ground).abs().max(0.003)),
                    number(rows.bar - 1.0)
                );
            }
            let middle = number(y + rows.bar / 2.0 + 3.5);
            let at = percentage(ground.max(end));
            let _ = writeln!(svg, "<text class=\"value\" x=\"{at}\" dx=\"5\" y=\"{middle}\">{written}</text></g>");
        }
    }
    let _ = writeln!(
        svg,
        "<line class=\"axis\" x1=\"{0}\" x2=\"{0}\" y1=\"{1}\" y2=\"{2}\"/>",
        percentage(ground),
        number(rows.top),
        number(rows.y(shown) - GAP / 2.0)
    );
    rows.below(&mut svg, shown, &below);
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// A row's values as shares of their sum.
pub(super) fn stacked(words: &Words<'_>, kind: &Stacked, table: &Table) -> Result<String, String> {
    let labels = table.texts(&kind.label)?;
    let values: Vec<Vec<Option<f64>>> =
        kind.values.iter().map(|name| table.numbers(name)).collect::<Result<_, String>>()?;
    for (column, name) in values.iter().zip(&kind.values) {
        if let Some(value) = column.iter().flatten().find(|value| **value < 0.0) {
            return Err(format!("the column {name} holds {}, and shares need zero or more", short(*value)));
        }
    }
    let shown = labels.len().min(MOST_STACKED);
    let names: Vec<String> = kind.values.iter().map(|name| table.called(name)).collect();
    let rows = Rows {
        left: label_width(labels.iter().take(shown)),
        right: 2.0,
        bar: BAR + 2.0,
        bars: 1,
        top: key_height(&names) + 8.0,
    };
    let mut below = vec!["shares of the sum of a row".to_owned()];
    below.extend(left_out(labels.len(), shown));
    let summary = format!("{} of shares of {}.", counted(labels.len(), "row"), kind.values.join(", "));
    let below = in_lines(&below);
    let mut svg = open(words, "stacked", &summary, &rows.size(shown, below.len()));
    key(&mut svg, -rows.left, &names);
    rows.labels(&mut svg, labels.iter().take(shown));
    for (row, label) in labels.iter().take(shown).enumerate() {
        let of_row: Vec<f64> = values.iter().map(|column| column.get(row).copied().flatten().unwrap_or(0.0)).collect();
        let largest = of_row.iter().copied().fold(0.0, f64::max);
        let y = rows.y(row);
        if largest <= 0.0 {
            let middle = number(y + rows.bar / 2.0 + 4.0);
            let _ = writeln!(svg, "<text class=\"quiet value\" x=\"0\" dx=\"4\" y=\"{middle}\">nothing</text>");
            continue;
        }
        // Divided by the largest first, so that no sum is beyond all numbers.
        let sum: f64 = of_row.iter().map(|value| value / largest).sum();
        let mut from = 0.0;
        for (index, (value, name)) in
            of_row.iter().zip(&kind.values).enumerate().filter(|(_, (value, _))| **value > 0.0)
        {
            let share = value / largest / sum;
            let _ = write!(
                svg,
                "<g>{}<rect class=\"f{} part\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
                title(&format!("{label}: {name} {}, {}", short(*value), percent(share))),
                index % COLOURS,
                percentage(from),
                number(y),
                percentage(share),
                number(rows.bar)
            );
            if share >= WRITTEN {
                let (x, y) = (percentage(from + share / 2.0), number(y + rows.bar / 2.0 + 4.0));
                let _ = write!(svg, "<text class=\"on value mid\" x=\"{x}\" y=\"{y}\">{}</text>", percent(share));
            }
            svg.push_str("</g>\n");
            from += share;
        }
    }
    rows.below(&mut svg, shown, &below);
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// What is said of rows that are not drawn.
fn left_out(all: usize, shown: usize) -> Option<String> {
    (all > shown).then(|| format!("the first {shown} of {} rows; all are in the table", count(all as u64)))
}

fn in_lines(texts: &[String]) -> Vec<String> {
    texts.iter().flat_map(|text| wrapped(text, LINE_LETTERS)).collect()
}

fn label_width<'a>(labels: impl Iterator<Item = &'a String>) -> f64 {
    labels.map(|label| extent(&cut(label, LABEL))).fold(0.0, f64::max) * LETTER + 8.0
}

/// About how many letters of usual width a text is wide.
fn extent(text: &str) -> f64 {
    let wide = |letter: char| letter.is_uppercase() || letter.is_ascii_digit() || "#@%&mw…".contains(letter);
    text.chars().map(|letter| if wide(letter) { 1.25 } else { 1.0 }).sum()
}

/// Where rows lie: labels at the left, a zone for bars, and room for what is written behind them.
struct Rows {
    left: f64,
    right: f64,
    bar: f64,
    bars: usize,
    top: f64,
}

impl Rows {
    fn pitch(&self) -> f64 {
        self.bar * self.bars as f64 + GAP
    }

    fn y(&self, row: usize) -> f64 {
        self.top + GAP / 2.0 + self.pitch() * row as f64
    }

    fn size(&self, rows: usize, lines: usize) -> Size {
        let height = self.y(rows) + LINE * lines as f64 + 6.0;
        Size::Fluid { height, left: self.left, right: self.right }
    }

    fn labels<'a>(&self, svg: &mut String, labels: impl Iterator<Item = &'a String>) {
        let middle = (self.pitch() - GAP) / 2.0 + 4.0;
        for (row, label) in labels.enumerate() {
            words(svg, "end", ("-6", self.y(row) + middle), LABEL, label);
        }
    }

    fn below(&self, svg: &mut String, rows: usize, lines: &[String]) {
        for (index, line) in lines.iter().enumerate() {
            let y = self.y(rows) + LINE * (index as f64 + 0.75);
            words(svg, "quiet", (&number(-self.left), y), LINE_LETTERS, line);
        }
    }
}
