//! The frame of a chart with two axes: what is drawn, its key, grid and ticks, and lines of words below. Must not know marks.

use super::ruler::Ruler;
use super::svg::{PHONE_LETTER, Size, Words, letters, open, words, words_with};
use super::value::Table;
use crate::page::chart::number;
use std::fmt::Write as _;

/// Width of the picture, and the edges of the field in which values are drawn.
const WIDTH: f64 = 600.0;
pub(super) const LEFT: f64 = 88.0;
pub(super) const RIGHT: f64 = WIDTH - 18.0;
/// Height of the field.
const FIELD: f64 = 240.0;
/// Height of a line of words.
const LINE: f64 = 24.0;
/// Letters of one.
const LINE_LETTERS: usize = 54;
/// Letters of a label of a bottom axis.
const LABEL: usize = 24;
/// Letters of a label that is turned, and the room that it takes.
const TURNED: usize = 15;
const TURNED_ROOM: f64 = 122.0;

/// What stands above the field.
pub(super) enum Key<'a> {
    /// What is along the left.
    Name(&'a str),
    /// The series, each with the mark that its class and kind has.
    Series(&'a [String], fn(usize, f64, f64) -> String),
}

/// What stands below it.
#[derive(Default)]
pub(super) struct Below {
    /// What is along the bottom.
    pub name: String,
    /// What else is to be said.
    pub remarks: Vec<String>,
    /// Whether labels of the bottom axis are turned.
    pub turned: bool,
}

/// A chart in the making.
pub(super) struct Frame {
    pub svg: String,
    pub top: f64,
    pub bottom: f64,
}

impl Frame {
    pub(super) fn open(about: &Words<'_>, kind: &str, summary: &str, above: &Key<'_>, below: &Below) -> Self {
        let heads = match above {
            Key::Name(_) => 1,
            Key::Series(names, _) => names.len(),
        };
        let top = LINE * heads as f64 + 16.0;
        let bottom = top + FIELD;
        let ticks = bottom + if below.turned { TURNED_ROOM } else { 30.0 };
        let lines = 1 + below.remarks.len();
        let height = ticks + LINE * lines as f64 + 8.0;
        let mut svg = open(about, kind, summary, &Size::Scaled { width: WIDTH, height });
        match above {
            Key::Name(name) => words(&mut svg, "", ("0", 20.0), LINE_LETTERS, name),
            Key::Series(names, mark) => {
                for (index, name) in names.iter().enumerate() {
                    let y = 20.0 + LINE * index as f64;
                    svg.push_str(&mark(index, 0.0, y - 4.5));
                    words(&mut svg, "", ("26", y), LINE_LETTERS - 4, name);
                }
            }
        }
        // In the middle of the field, or as far to the left as it needs.
        let (class, x) = match letters(&below.name) > LINE_LETTERS - 8 {
            true => ("end", RIGHT),
            false => ("mid", (LEFT + RIGHT) / 2.0),
        };
        words(&mut svg, class, (&number(x), ticks + 20.0), LINE_LETTERS, &below.name);
        for (index, remark) in below.remarks.iter().enumerate() {
            words(&mut svg, "quiet", ("0", ticks + 20.0 + LINE * (index + 1) as f64), LINE_LETTERS, remark);
        }
        Self { svg, top, bottom }
    }

    pub(super) fn x(share: f64) -> f64 {
        LEFT + share * (RIGHT - LEFT)
    }

    pub(super) fn y(&self, share: f64) -> f64 {
        self.bottom - share * (self.bottom - self.top)
    }

    /// Ticks at the left, with lines across the field.
    pub(super) fn left_axis(&mut self, ruler: &Ruler) {
        for (share, label) in ruler.ticks() {
            let y = self.y(share);
            self.line("grid", (LEFT, y), (RIGHT, y));
            words(&mut self.svg, "end", (&number(LEFT - 8.0), y + 4.5), 12, &label);
        }
        let y = self.y(ruler.ground());
        self.line("axis", (LEFT, y), (RIGHT, y));
    }

    /// Ticks at the bottom, as many as a phone has room for.
    pub(super) fn bottom_axis(&mut self, ruler: &Ruler) {
        let ticks = ruler.ticks();
        let longest = ticks.iter().map(|(_, label)| letters(label)).max().unwrap_or(1);
        let apart = ticks.windows(2).map(|pair| (pair[1].0 - pair[0].0) * (RIGHT - LEFT)).fold(f64::INFINITY, f64::min);
        let each = (((longest + 1) as f64 * PHONE_LETTER / apart).ceil() as usize).max(1);
        for (index, (share, label)) in ticks.iter().enumerate() {
            let x = Self::x(*share);
            self.line("grid", (x, self.top), (x, self.bottom));
            if index % each == 0 {
                // At the very right, a label ends with the picture.
                let (class, x) = match x + letters(label) as f64 * PHONE_LETTER / 2.0 > WIDTH {
                    true => ("end", WIDTH),
                    false => ("mid", x),
                };
                words(&mut self.svg, class, (&number(x), self.bottom + 22.0), 12, label);
            }
        }
    }

    /// Labels at the bottom at equal distances, each in the middle of its own stretch: as many as there is room for.
    pub(super) fn labels(&mut self, labels: &[String], turned: bool) {
        let slot = (RIGHT - LEFT) / labels.len().max(1) as f64;
        let most = if roomy(labels.len()) { (slot / PHONE_LETTER) as usize } else { LABEL };
        let longest = labels.iter().map(|label| letters(label).min(most)).max().unwrap_or(1);
        let room = if turned { 24.0 } else { (longest + 1).min(most) as f64 * PHONE_LETTER };
        let each = ((room / slot).ceil() as usize).max(1);
        for (index, label) in labels.iter().enumerate().step_by(each) {
            let x = number(LEFT + slot * (index as f64 + 0.5));
            let y = self.bottom + 16.0;
            match turned {
                true => {
                    let turn = format!(" transform=\"rotate(-40 {x} {})\"", number(y));
                    words_with(&mut self.svg, "end", (&x, y), &turn, TURNED, label);
                }
                false => words(&mut self.svg, "mid", (&x, self.bottom + 22.0), most, label),
            }
        }
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(number);
        let _ = writeln!(self.svg, "<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>");
    }

    pub(super) fn close(mut self) -> String {
        self.svg.push_str("</svg>\n");
        self.svg
    }
}

/// Whether there are so few labels that each has room for a word or two.
fn roomy(count: usize) -> bool {
    count <= 6
}

/// Whether labels must be turned to be read: names do, numbers in their order may be left out here and there.
pub(super) fn must_turn(labels: &[String]) -> bool {
    let slot = (RIGHT - LEFT) / labels.len().max(1) as f64;
    let fits = |label: &String| letters(label) as f64 * PHONE_LETTER <= slot;
    let counts = |label: &String| label.starts_with(|first: char| first.is_ascii_digit() || "<>≤≥−".contains(first));
    !roomy(labels.len()) && !labels.iter().all(fits) && !labels.iter().all(counts)
}

/// What is along an axis.
pub(super) fn named(table: &Table, column: &str, ruler: &Ruler) -> String {
    format!("{}{}", table.called(column), ruler.remark())
}
