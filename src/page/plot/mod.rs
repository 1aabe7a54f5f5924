//! Charts of tables: a line of words says which columns become what, a table gives the values, and inline SVG comes out. Must
//! not know where a table comes from, nor what page the chart is put into; colours and letters are that page's stylesheet's.
//!
//! Three ways to fit a screen: bars are as wide as their box and their letters stay as they are; curves, columns and points are
//! scaled as a whole, with larger letters on a phone (the stylesheet does that); matrices scroll within their own box.

mod bars;
mod columns;
mod frame;
mod grammar;
mod heat;
mod lines;
mod maps;
pub(super) mod number;
mod points;
mod ruler;
mod svg;
pub(super) mod value;

pub use value::{Column, Table};

use grammar::Kind;
use serde::{Deserialize, Serialize};
use svg::Words;

/// How the answer of a question is drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plot {
    kind: Kind,
}

impl Plot {
    /// What stands behind `-- chart:`: a kind and its columns, `bars label=name value=masks`. `none` and nothing mean that the
    /// answer is not drawn.
    ///
    /// # Errors
    /// Words that name what is wrong and how that kind is written.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        Ok(grammar::parse(text)?.map(|kind| Self { kind }))
    }

    /// The columns of the answer that it names, each once, in the order of the text.
    pub fn columns(&self) -> Vec<&str> {
        let mut names = Vec::new();
        for name in self.kind.columns() {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// The chart: an `svg` element for within an HTML page. `description` says what it shows to those who do not see it; what
    /// it comes to is added. A table without rows gives a picture that says so.
    ///
    /// # Errors
    /// Words, when a column is missing, holds no numbers, or holds what the kind cannot draw.
    pub fn svg(&self, title: &str, description: &str, table: &Table) -> Result<String, String> {
        for name in self.columns() {
            table.place(name)?;
        }
        let words = Words { title, description };
        if table.rows.is_empty() {
            return Ok(svg::no_rows(&words, self.kind.word()));
        }
        match &self.kind {
            Kind::Bars(kind) => bars::bars(&words, kind, table),
            Kind::Columns(kind) => columns::columns(&words, kind, table),
            Kind::Stacked(kind) => bars::stacked(&words, kind, table),
            Kind::Lines(kind) => lines::lines(&words, kind, table),
            Kind::Heat(kind) => heat::heat(&words, kind, table),
            Kind::Points(kind) => points::points(&words, kind, table),
            Kind::Maps(kind) => maps::maps(&words, kind, table),
        }
    }
}

#[cfg(test)]
mod tests;
