//! What is wrong with a pipeline file. Must not know who runs it.

use std::path::PathBuf;

/// What is wrong with a pipeline file; every kind is a usage error (exit 2).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{}: {cause}; give the path of a pipeline file, such as pipelines/demo.toml", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the operating system says.
        cause: std::io::Error,
    },
    /// The file is no TOML.
    #[error("{}: {detail}", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// The parser's words, with line and column.
        detail: String,
    },
    /// Something in the file means nothing or does not fit.
    #[error("{}, line {line}: {detail}", file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong and what would be right.
        detail: String,
    },
    /// A parameter given on the command line that the file does not declare.
    #[error("{0}")]
    Parameter(String),
}
