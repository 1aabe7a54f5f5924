//! A matrix of coloured cells, and how a value becomes one of nine colours. Must not know pages.

use super::grammar::Heat;
use super::number::short;
use super::svg::{LETTER, Size, Words, cut, letters, open, title, words, words_with};
use super::value::Table;
use crate::page::chart::number;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Rows and columns, at most.
const MOST: usize = 60;
/// Letters of a label.
const LABEL: usize = 20;
/// Colours of a ramp.
pub(super) const STEPS: usize = 9;

pub(super) fn heat(about: &Words<'_>, kind: &Heat, table: &Table) -> Result<String, String> {
    let values = table.numbers(&kind.value)?;
    let (rows, in_row) = names(table.texts(&kind.row)?);
    let (columns, in_column) = names(table.texts(&kind.column)?);
    let (high, wide) = (rows.len().min(MOST), columns.len().min(MOST));
    let mut cells: Vec<Option<f64>> = vec![None; high * wide];
    for ((row, column), value) in in_row.into_iter().zip(in_column).zip(&values) {
        if let (true, true, Some(value)) = (row < high, column < wide, value)
            && let Some(cell) = cells.get_mut(row * wide + column)
        {
            *cell = Some(*value);
        }
    }
    let ramp = Ramp::over(cells.iter().copied().flatten(), kind.log, kind.middle);
    let mut remarks = vec![format!("{}{}", table.called(&kind.value), if kind.log { " (log scale)" } else { "" })];
    if high < rows.len() || wide < columns.len() {
        let (all_rows, all_columns) = (rows.len(), columns.len());
        remarks.push(format!(
            "the first {high} of {all_rows} rows and {wide} of {all_columns} columns; all are in the table"
        ));
    }
    let side = match high.max(wide) {
        0..=8 => 52.0,
        9..=16 => 40.0,
        17..=26 => 24.0,
        _ => 15.0,
    };
    let longest =
        |names: &[String]| names.iter().take(MOST).map(|name| letters(name).min(LABEL)).max().unwrap_or(1) as f64;
    let left = longest(&rows) * LETTER + 10.0;
    let top = longest(&columns) * LETTER * 0.87 + 16.0;
    // The last column's label leans to the right, beyond it.
    let width = (left + side * wide as f64 + longest(&columns) * LETTER * 0.5 + 16.0).max(360.0);
    let bottom = top + side * high as f64;
    let height = bottom + 44.0 + 18.0 * remarks.len() as f64;

    let summary = format!("{} by {} cells; {}.", rows.len(), columns.len(), ramp.summary());
    let mut svg = open(about, "heat", &summary, &Size::Wide { width, height });
    for (row, name) in rows.iter().take(high).enumerate() {
        let y = top + side * (row as f64 + 0.5) + 4.0;
        words(&mut svg, "end", (&number(left - 6.0), y), LABEL, name);
    }
    for (column, name) in columns.iter().take(wide).enumerate() {
        let x = number(left + side * (column as f64 + 0.5) + 3.0);
        let turn = format!(" transform=\"rotate(-60 {x} {})\"", number(top - 6.0));
        words_with(&mut svg, "", (&x, top - 6.0), &turn, LABEL, name);
    }
    let _ = writeln!(
        svg,
        "<rect class=\"field\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/>",
        number(left),
        number(top),
        number(side * wide as f64),
        number(side * high as f64)
    );
    let written = side >= 24.0;
    for (at, value) in cells.iter().enumerate() {
        let (Some(value), Some(row), Some(column)) = (value, rows.get(at / wide.max(1)), columns.get(at % wide.max(1)))
        else {
            continue;
        };
        let step = ramp.step(*value);
        let (x, y) = (left + side * (at % wide) as f64, top + side * (at / wide) as f64);
        let said = title(&format!("{} × {}: {}", cut(row, 60), cut(column, 60), short(*value)));
        let inner = number(side - 1.0);
        let (class, px, py) = (ramp.class(step), number(x), number(y));
        let _ = write!(svg, "<path class=\"{class}\" d=\"M{px} {py}h{inner}v{inner}h-{inner}z\">{said}</path>");
        let text = if written { tight(*value, side) } else { None };
        if let Some(text) = text {
            let (x, y) = (number(x + side / 2.0 - 0.5), number(y + side / 2.0 + 3.5));
            let on = if ramp.is_strong(step) { " on" } else { "" };
            let _ = write!(svg, "<text class=\"cell mid{on}\" x=\"{x}\" y=\"{y}\">{text}</text>");
        }
        svg.push('\n');
    }
    ramp.key(&mut svg, (left, bottom + 12.0));
    for (index, remark) in remarks.iter().enumerate() {
        let y = bottom + 44.0 + 18.0 * index as f64 + 8.0;
        words(&mut svg, "quiet", (&number(left), y), ((width - left) / LETTER) as usize, remark);
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Each name once, in the order in which they come, and which of them each text is.
fn names(texts: Vec<String>) -> (Vec<String>, Vec<usize>) {
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut names = Vec::new();
    let mut which = Vec::with_capacity(texts.len());
    for text in texts {
        which.push(*places.entry(text).or_insert_with_key(|text| {
            names.push(text.clone());
            names.len() - 1
        }));
    }
    (names, which)
}

/// A value in a cell, where it has room there.
fn tight(value: f64, side: f64) -> Option<String> {
    let text = match value.abs() {
        size if (0.1..10.0).contains(&size) && value.fract() != 0.0 => format!("{value:.1}").replace('-', "\u{2212}"),
        size if (10.0..1000.0).contains(&size) => format!("{value:.0}").replace('-', "\u{2212}"),
        size if size > 0.0 && size < 0.1 => format!("{value:.2}").replace('-', "\u{2212}"),
        _ => short(value),
    };
    (letters(&text) as f64 * LETTER * 0.9 <= side).then_some(text)
}

/// Nine colours over a range: from little to much, or from below a middle to above it.
pub(super) struct Ramp {
    low: f64,
    high: f64,
    log: bool,
    /// The middle and the distance from it (on the scale) that has the strongest colours.
    middle: Option<(f64, f64)>,
}

impl Ramp {
    pub(super) fn over(values: impl Iterator<Item = f64> + Clone, log: bool, middle: Option<f64>) -> Self {
        let scaled = |value: f64| if log { value.ln() } else { value };
        let placed = values.filter(|value| !log || *value > 0.0);
        let (mut low, mut high) = placed
            .clone()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (0.0, 0.0);
        }
        if !log {
            low = low.min(0.0);
        }
        let middle = middle.map(|middle| {
            let reach = placed.map(|value| (scaled(value) - scaled(middle)).abs()).fold(0.0, f64::max);
            (middle, reach)
        });
        Self { low, high, log, middle }
    }

    /// Which of the nine colours a value has.
    pub(super) fn step(&self, value: f64) -> usize {
        if self.log && value <= 0.0 {
            return 0;
        }
        let scaled = |value: f64| if self.log { value.ln() } else { value };
        let share = match self.middle {
            Some((_, reach)) if reach <= 0.0 => 0.5,
            Some((middle, reach)) => 0.5 + (scaled(value) - scaled(middle)) / reach / 2.0,
            None if self.high > self.low => (scaled(value) - scaled(self.low)) / (scaled(self.high) - scaled(self.low)),
            // All are alike: nothing at all, or all there is.
            None => f64::from(u8::from(value > 0.0)),
        };
        match self.middle {
            // The middle colour is for what is at the middle, an equal stretch to each side.
            Some(_) => (share.clamp(0.0, 1.0) * (STEPS - 1) as f64).round() as usize,
            None => ((share.clamp(0.0, 1.0) * STEPS as f64) as usize).min(STEPS - 1),
        }
    }

    pub(super) fn class(&self, step: usize) -> String {
        format!("{}{step}", if self.middle.is_some() { "d" } else { "h" })
    }

    /// Whether a colour is so strong that words on it have the colour of the page.
    fn is_strong(&self, step: usize) -> bool {
        if self.middle.is_some() { !(2..=6).contains(&step) } else { step >= 5 }
    }

    /// The range in words.
    fn summary(&self) -> String {
        format!("from {} to {}", short(self.low), short(self.high))
    }

    /// The colours with their ends.
    fn key(&self, svg: &mut String, (x, y): (f64, f64)) {
        const SIDE: f64 = 26.0;
        let (low, high, middle) = match self.middle {
            Some((middle, reach)) if self.log => (middle / reach.exp(), middle * reach.exp(), Some(middle)),
            Some((middle, reach)) => (middle - reach, middle + reach, Some(middle)),
            None => (self.low, self.high, None),
        };
        for step in 0..STEPS {
            let at = number(x + SIDE * step as f64);
            let _ = write!(
                svg,
                "<rect class=\"{}\" x=\"{at}\" y=\"{}\" width=\"{SIDE}\" height=\"10\"/>",
                self.class(step),
                number(y)
            );
        }
        svg.push('\n');
        let y = y + 23.0;
        words(svg, "", (&number(x), y), 12, &short(three(low)));
        words(svg, "end", (&number(x + SIDE * STEPS as f64), y), 12, &short(three(high)));
        if let Some(middle) = middle {
            words(svg, "mid", (&number(x + SIDE * STEPS as f64 / 2.0), y), 12, &short(middle));
        }
    }
}

/// A value to three digits.
fn three(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_from_little_to_much() {
        let ramp = Ramp::over([0.0, 4.5, 9.0].into_iter(), false, None);
        assert_eq!([0.0, 0.9, 1.1, 4.5, 9.0].map(|value| ramp.step(value)), [0, 0, 1, 4, 8]);
        let log = Ramp::over([0.0, 1.0, 1e9].into_iter(), true, None);
        assert_eq!([-1.0, 0.0, 1.0, 1e9].map(|value| log.step(value)), [0, 0, 0, 8]);
    }

    #[test]
    fn colours_diverge_evenly_around_a_middle() {
        let ramp = Ramp::over([0.0, 0.25, 1.0, 2.0].into_iter(), true, Some(1.0));
        assert_eq!([0.0, 0.25, 0.5, 1.0, 2.0, 4.0].map(|value| ramp.step(value)), [0, 0, 2, 4, 6, 8]);
        let flat = Ramp::over([3.0].into_iter(), false, Some(3.0));
        assert_eq!(flat.step(3.0), 4);
    }

    #[test]
    fn equal_values_have_a_colour() {
        assert_eq!(Ramp::over([0.0].into_iter(), false, None).step(0.0), 0);
        assert_eq!(Ramp::over([7.0].into_iter(), false, None).step(7.0), 8);
        assert_eq!(Ramp::over([7.0].into_iter(), true, None).step(7.0), 8);
        assert_eq!(Ramp::over([].into_iter(), true, None).step(0.0), 0);
    }
}
