//! A report as a pipeline file says it: names and places, nothing opened. Must not open a store.

use super::Error;
use super::section::Section;
use crate::storage::Options;

/// Questions asked of a store, and the page of their answers.
#[derive(Clone, Default)]
pub struct Statistics {
    /// The folder of questions; `./sql`, else the shipped ones, when absent.
    pub sql: Option<String>,
    /// Photos to look at, so that questions about them can be answered.
    pub photos: Option<String>,
    /// The day of the figures that are compared with besides the last ones.
    pub baseline: Option<String>,
    /// Where else the page goes when no check blocks: a file that ends in .html, or a folder.
    pub report: Option<String>,
    /// The parts of the page; all when empty.
    pub forms: Vec<String>,
    /// Checks that warn though they would block.
    pub accept: Vec<String>,
    /// Options of these stores.
    pub options: Options,
}

/// Reads the keys of a stage of the kind `stats`.
pub(super) fn read(section: &Section<'_>, options: &Options) -> Result<Statistics, Error> {
    Ok(Statistics {
        sql: section.text("sql")?,
        photos: section.text("photos")?,
        baseline: section.text("baseline")?,
        report: section.text("report")?,
        forms: section.texts("forms")?.unwrap_or_default(),
        // An empty word is a parameter that was not given.
        accept: section.texts("accept")?.unwrap_or_default().into_iter().filter(|check| !check.is_empty()).collect(),
        options: options.clone(),
    })
}
