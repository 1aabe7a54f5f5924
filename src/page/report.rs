//! The report page: one HTML file that needs nothing from outside and no script. The verdict first, then what fails and what to
//! do about it, then parts of figures and pictures, last how to make each of them again. Must not know where any of it comes
//! from, nor read or write anything.

mod checks;
mod grid;
mod parts;
mod spreadsheet;

pub use spreadsheet::csv;

use super::picture::{Picture, escaped};
use super::plot::{Plot, Table};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt::Write as _;

const STYLE: &str = include_str!("report.css");
/// What the page tells the browser that it needs: its own styles and pictures, and nothing else.
const POLICY: &str =
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// What a report page shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Page {
    /// Its title.
    pub title: String,
    /// When it was made, as people write it.
    pub made: String,
    /// The store that it speaks of.
    pub source: String,
    /// What it comes to.
    pub verdict: Verdict,
    /// The same in one line of words and figures.
    pub summary: String,
    /// What it was made from: names and values.
    pub facts: Vec<(String, String)>,
    /// All checks, in any order.
    pub checks: Vec<Check>,
    /// Its parts, in their order.
    pub parts: Vec<Part>,
    /// What can be done again, and the command for it.
    pub reproduce: Vec<(String, String)>,
}

/// What a report comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// All checks hold.
    Passed,
    /// Some do not, none of which blocks.
    Warned,
    /// One that blocks does not hold: the output stays where it is.
    Blocked,
    /// What was to be made was not made.
    Failed,
}

impl Verdict {
    /// The verdict in words.
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Warned => "passed with warnings",
            Self::Blocked => "blocked",
            Self::Failed => "failed",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Passed => "good",
            Self::Warned => "warn",
            Self::Blocked | Self::Failed => "bad",
        }
    }

    /// The lines of its sign, within 24 by 24.
    fn sign(self) -> &'static str {
        match self {
            Self::Passed => "M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20zM7 12.5l3.5 3.5l6.5-7.5",
            Self::Warned => "M12 3L22.5 21h-21zM12 9.5v5.5M12 17.6v.6",
            Self::Blocked => "M8 2h8l6 6v8l-6 6h-8l-6-6v-8zM7 12h10",
            Self::Failed => "M12 2a10 10 0 1 0 0 20a10 10 0 1 0 0-20zM8 8l8 8M16 8l-8 8",
        }
    }
}

/// A question whose answer must have no rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Its name, that of its file.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it asks.
    pub question: String,
    /// What happens when it does not hold.
    pub severity: Severity,
    /// What came out.
    pub outcome: CheckOutcome,
    /// What to do when it does not hold.
    pub advice: String,
    /// The rows that should not be there; perhaps only the first of them.
    pub table: Table,
    /// How many there are.
    pub rows: u64,
    /// The command that asks it again.
    pub command: String,
    /// The file of all rows, as a link relative to the page.
    pub csv: Option<String>,
}

/// What happens when a check does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The output stays where it is.
    Block,
    /// It is told.
    Warn,
}

/// What came of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckOutcome {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It could not be asked, and why: `table images is not in the store`.
    NotAsked(String),
}

/// A part of the page: what is known of the dataset, of a training, of cutouts, of runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// Its place within the page.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it shows, in a sentence or two.
    pub lead: String,
    /// Its headline figures: names and values.
    pub numbers: Vec<(String, String)>,
    /// Its sections.
    pub sections: Vec<Section>,
}

/// A section of a part.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Section {
    /// Its title; may be empty.
    pub title: String,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Its panels of pictures, below the figures.
    pub panels: Vec<Panel>,
}

/// A question and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// Its name, that of its file.
    pub name: String,
    /// Its title.
    pub title: String,
    /// What it asks.
    pub question: String,
    /// What one row is.
    pub grain: String,
    /// How the answer is drawn, if it is.
    pub plot: Option<Plot>,
    /// The answer.
    pub table: Table,
    /// What is to be said of it.
    pub notes: Vec<String>,
    /// The command that makes it again.
    pub command: String,
    /// The query; empty where there is none.
    pub sql: String,
    /// The file of the whole answer, as a link relative to the page.
    pub csv: Option<String>,
}

/// Pictures beside each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Panel {
    /// Its title.
    pub title: String,
    /// What each shows, and the picture.
    pub pictures: Vec<(String, Picture)>,
    /// Colours (`#rrggbb`) and what they stand for.
    pub legend: Vec<(String, String)>,
    /// What is to be said of them; may be empty.
    pub detail: String,
}

impl Page {
    /// The page: a whole HTML file.
    pub fn html(&self) -> String {
        let mut anchors = Anchors::default();
        let mut contents = Vec::new();
        let mut main = String::new();
        checks::checks(&mut main, &self.checks, &mut anchors, &mut contents);
        self.facts(&mut main);
        for part in &self.parts {
            parts::part(&mut main, part, &mut anchors, &mut contents);
        }
        self.reproduce(&mut main, &mut anchors, &mut contents);

        let mut html = String::with_capacity(main.len() + STYLE.len() + 8192);
        self.head(&mut html);
        navigation(&mut html, &contents);
        html.push_str("<main id=\"main\" tabindex=\"-1\">\n");
        html.push_str(&main);
        html.push_str("</main>\n</body>\n</html>\n");
        html
    }

    fn head(&self, html: &mut String) {
        let (title, word, class) = (escaped(&self.title), self.verdict.word(), self.verdict.class());
        let _ = write!(
            html,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <title>{title}: {word}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
             <a class=\"skip\" href=\"#main\">To the checks and figures</a>\n\
             <header>\n<h1>{title}</h1>\n\
             <p class=\"quiet\">{} · <code>{}</code></p>\n\
             <div class=\"verdict {class}\">\n{}\n<div>\n<p class=\"word\">{}</p>\n",
            escaped(&self.made),
            escaped(&self.source),
            sign(self.verdict),
            capital(word)
        );
        if !self.summary.is_empty() {
            let _ = writeln!(html, "<p>{}</p>", prose(&self.summary));
        }
        if let Some(counts) = checks::counts(&self.checks) {
            let _ = writeln!(html, "<p>{counts}</p>");
        }
        html.push_str("</div>\n</div>\n</header>\n");
    }

    fn facts(&self, html: &mut String) {
        if self.facts.is_empty() {
            return;
        }
        html.push_str("<section class=\"facts\">\n<h2>Made from</h2>\n<dl>\n");
        for (name, value) in &self.facts {
            let _ = writeln!(html, "<div><dt>{}</dt><dd>{}</dd></div>", prose(name), prose(value));
        }
        html.push_str("</dl>\n</section>\n");
    }

    fn reproduce(&self, html: &mut String, anchors: &mut Anchors, contents: &mut Vec<Entry>) {
        if self.reproduce.is_empty() {
            return;
        }
        let id = anchors.take("reproduce");
        let _ = writeln!(html, "<section class=\"reproduce\" id=\"{id}\">\n<h2>Reproduce</h2>\n<dl>");
        for (what, command) in &self.reproduce {
            let _ = writeln!(html, "<dt>{}</dt><dd>{}</dd>", prose(what), code("command", command));
        }
        html.push_str("</dl>\n</section>\n");
        contents.push(Entry { id, title: "Reproduce".to_owned(), within: false });
    }
}

/// A line of the contents.
struct Entry {
    id: String,
    title: String,
    /// Whether it lies within the one before that does not.
    within: bool,
}

fn navigation(html: &mut String, contents: &[Entry]) {
    html.push_str("<nav aria-label=\"Contents\">\n<ul>\n");
    let link = |entry: &Entry| format!("<a href=\"#{}\">{}</a>", entry.id, prose(&entry.title));
    for group in contents.chunk_by(|_, next| next.within) {
        let Some((first, within)) = group.split_first() else { continue };
        let _ = write!(html, "<li>{}", link(first));
        if !within.is_empty() {
            html.push_str("\n<ul>\n");
            for entry in within {
                let _ = writeln!(html, "<li>{}</li>", link(entry));
            }
            html.push_str("</ul>\n");
        }
        html.push_str("</li>\n");
    }
    html.push_str("</ul>\n</nav>\n");
}

/// Places within the page, each given out once.
#[derive(Default)]
struct Anchors {
    taken: HashSet<String>,
}

impl Anchors {
    /// A place that is called like a text, as far as an address can say it.
    fn take(&mut self, text: &str) -> String {
        let mut anchor = String::new();
        for letter in text.chars().take(80) {
            match letter {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '_' => anchor.push(letter.to_ascii_lowercase()),
                _ if anchor.is_empty() || anchor.ends_with('-') => {}
                _ => anchor.push('-'),
            }
        }
        let anchor = if anchor.is_empty() { "part" } else { anchor.trim_end_matches('-') };
        let mut name = anchor.to_owned();
        // `main` is the page's own; and of equal ones each gets the number of places there are by then.
        if name == "main" || self.taken.contains(&name) {
            name = format!("{anchor}-{}", self.taken.len() + 1);
            while self.taken.contains(&name) {
                name.push('x');
            }
        }
        self.taken.insert(name.clone());
        name
    }
}

/// The sign of a verdict, for the eye alone: the word stands beside it.
fn sign(verdict: Verdict) -> String {
    format!("<svg class=\"sign\" viewBox=\"0 0 24 24\" aria-hidden=\"true\"><path d=\"{}\"/></svg>", verdict.sign())
}

fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Text of any lines as running text.
fn prose(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

/// Text whose lines stay lines, to be copied.
fn code(class: &str, text: &str) -> String {
    format!(
        "<pre class=\"{class}\"><code>{}</code></pre>",
        text.trim_end().lines().map(code_line).collect::<Vec<_>>().join("\n")
    )
}

/// A tab stays one.
fn code_line(line: &str) -> String {
    line.split('\t').map(escaped).collect::<Vec<_>>().join("\t")
}

/// A link beside the page, whatever its text: it cannot lead elsewhere, nor run.
fn beside(link: &str) -> String {
    format!("./{}", escaped(link.trim_start_matches(['/', '\\'])))
}

#[cfg(test)]
mod tests;
