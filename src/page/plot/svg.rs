//! The pieces of which charts are made: the element that holds one, words, marks and keys. Must not know any one chart.

use super::super::chart::number as coordinate;
use super::super::picture::escaped;
use super::number::{self, short};
use std::borrow::Cow;
use std::fmt::Write as _;

/// Width of a letter, in units of the picture, at the size of letters that the stylesheet gives it, taken rather wide.
pub(super) const LETTER: f64 = 7.2;
/// The same on a phone, where a scaled picture has larger letters.
pub(super) const PHONE_LETTER: f64 = 11.0;
/// Height of a line of words.
pub(super) const LINE: f64 = 18.0;
/// Letters that a line of words has at most, so that it fits the narrowest box.
pub(super) const LINE_LETTERS: usize = 44;
/// How small a picture that scrolls may be made first.
const SMALLEST: f64 = 0.84;
/// Colours for series; beyond them they begin again.
pub(super) const COLOURS: usize = super::super::chart::COLOURS.len();

/// What a chart is about, in words.
pub(super) struct Words<'a> {
    pub title: &'a str,
    pub description: &'a str,
}

/// How a picture fits its box.
pub(super) enum Size {
    /// As wide as the box; letters stay as they are. `x` is given in percent of what lies between `left` and `right`, which
    /// are in pixels, as are coordinates in those margins (`x` below zero at the left).
    Fluid { height: f64, left: f64, right: f64 },
    /// Scaled as a whole.
    Scaled { width: f64, height: f64 },
    /// Scaled as a whole, but not below the width at which it can be read: there its box scrolls.
    Wide { width: f64, height: f64 },
}

/// The beginning of a chart; `summary` says what it comes to, for those who do not see it.
pub(super) fn open(words: &Words<'_>, kind: &str, summary: &str, size: &Size) -> String {
    let frame = match size {
        Size::Fluid { height, left, right } => {
            let (height, left, right) = (coordinate(*height), coordinate(*left), coordinate(*right));
            format!("class=\"plot fluid {kind}\" height=\"{height}\" style=\"padding:0 {right}px 0 {left}px\"")
        }
        Size::Scaled { width, height } => {
            format!("class=\"plot scaled {kind}\" viewBox=\"0 0 {} {}\"", coordinate(*width), coordinate(*height))
        }
        Size::Wide { width, height } => {
            let (width, height, least) = (coordinate(*width), coordinate(*height), coordinate(width * SMALLEST));
            format!(
                "class=\"plot wide {kind}\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" \
                 style=\"min-width:{least}px\""
            )
        }
    };
    let description = match words.description.is_empty() {
        true => summary.to_owned(),
        false => format!("{} {summary}", words.description),
    };
    format!(
        "<svg {frame} role=\"img\">\n<title>{}</title>\n<desc>{}</desc>\n",
        escaped(words.title),
        escaped(description.trim())
    )
}

/// The chart of an answer without rows.
pub(super) fn no_rows(words: &Words<'_>, kind: &str) -> String {
    let mut svg = open(
        words,
        &format!("{kind} empty"),
        "There are no rows.",
        &Size::Fluid { height: 34.0, left: 0.0, right: 0.0 },
    );
    svg.push_str("<text class=\"quiet\" x=\"0\" y=\"20\">no rows</text>\n</svg>\n");
    svg
}

/// A text of at most so many letters; what is cut ends in `…`.
pub(super) fn cut(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some(_) => {
            let end = text.char_indices().nth(most.saturating_sub(1)).map_or(0, |(at, _)| at);
            Cow::Owned(format!("{}…", text[..end].trim_end()))
        }
    }
}

/// Letters of a text.
pub(super) fn letters(text: &str) -> usize {
    text.chars().count()
}

/// Words at a place, cut to so many letters; whole in a title where something is cut. `x` is a coordinate or a percentage.
pub(super) fn words(svg: &mut String, class: &str, (x, y): (&str, f64), most: usize, text: &str) {
    words_with(svg, class, (x, y), "", most, text);
}

/// The same with more attributes.
pub(super) fn words_with(svg: &mut String, class: &str, (x, y): (&str, f64), more: &str, most: usize, text: &str) {
    let shown = cut(text, most);
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let _ = write!(svg, "<text{class} x=\"{x}\" y=\"{}\"{more}>{}", coordinate(y), escaped(&shown));
    if shown != text {
        let _ = write!(svg, "<title>{}</title>", escaped(text));
    }
    svg.push_str("</text>\n");
}

/// A title that shows when one points at its element.
pub(super) fn title(text: &str) -> String {
    format!("<title>{}</title>", escaped(text))
}

/// A share of a width as a percentage.
pub(super) fn percentage(share: f64) -> String {
    let text = format!("{:.2}", share * 100.0);
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}

/// A text in lines of at most so many letters, ended at a blank where there is one; what is beyond two lines is cut.
pub(super) fn wrapped(text: &str, most: usize) -> Vec<String> {
    let within = text.char_indices().nth(most).map(|(at, _)| &text[..at]);
    let Some(within) = within else { return vec![text.to_owned()] };
    let end = within.rfind(' ').filter(|end| *end > 0).unwrap_or(within.len());
    vec![text[..end].to_owned(), cut(text[end..].trim_start(), most).into_owned()]
}

/// The key to the series at the left edge of lines that lie at `x`: a mark and words each, in one line or two.
pub(super) fn key(svg: &mut String, x: f64, names: &[String]) {
    let mut y = 12.0;
    for (index, name) in names.iter().enumerate() {
        let (class, left, top) = (index % COLOURS, coordinate(x), coordinate(y - 10.5));
        let _ = write!(svg, "<rect class=\"f{class}\" x=\"{left}\" y=\"{top}\" width=\"12\" height=\"12\" rx=\"2\"/>");
        for line in wrapped(name, LINE_LETTERS - 3) {
            words(svg, "", (&coordinate(x + 18.0), y), LINE_LETTERS, &line);
            y += LINE;
        }
    }
}

/// The height of a key.
pub(super) fn key_height(names: &[String]) -> f64 {
    LINE * names.iter().map(|name| wrapped(name, LINE_LETTERS - 3).len()).sum::<usize>() as f64
}

/// The greatest of labelled values in words: `greatest: shoe with 46 220`.
pub(super) fn greatest<'a>(values: impl Iterator<Item = (&'a str, f64)>) -> String {
    match values.max_by(|(_, one), (_, other)| one.total_cmp(other)) {
        Some((label, value)) => format!("greatest: {} with {}", cut(label, 60), short(value)),
        None => "no values".to_owned(),
    }
}

/// `1 row`, `2 rows`.
pub(super) fn counted(count: usize, what: &str) -> String {
    let (many, ending) = (number::count(count as u64), if count == 1 { "" } else { "s" });
    format!("{many} {what}{ending}")
}
