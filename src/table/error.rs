//! What can go wrong with a table. Must not know which stage asked.

/// What can go wrong with a table; the text says what to do next.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes were written by another major version of the schema.
    #[error(
        "{table} is stored as {found}, and this selvedge reads {table}/{major}: write the table anew with this version, or read it with the one that made it"
    )]
    OtherMajor {
        /// The table's name.
        table: String,
        /// What the footer or manifest says.
        found: String,
        /// The major version that is read here.
        major: u32,
    },
    /// A column that must be there is not, or has another type.
    #[error(
        "{table} lacks the column {column} ({detail}): it was not written by selvedge, or is damaged; make it again"
    )]
    Column {
        /// The table's name.
        table: String,
        /// The column.
        column: String,
        /// What was found in its place.
        detail: String,
    },
    /// Bytes that do not match the checksum in the manifest.
    #[error(
        "{file} does not match the checksum in its manifest: it was changed or damaged after it was written; make the table again"
    )]
    Checksum {
        /// The part's file.
        file: String,
    },
    /// A manifest that cannot be read.
    #[error("the manifest {file} cannot be read ({detail}): restore it, or make the table again")]
    Manifest {
        /// The manifest's file.
        file: String,
        /// The cause.
        detail: String,
    },
    /// A list of inputs that cannot be used.
    #[error("the list {name} cannot be used: {detail}")]
    List {
        /// The list's name.
        name: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A query that polars refuses.
    #[error("the query {name} cannot be run: {detail}")]
    Query {
        /// The query's name or file.
        name: String,
        /// What polars says.
        detail: String,
    },
    /// Bytes could not be put aside on the local disk.
    #[error(
        "the folder for temporary files cannot be used ({0}): free some room there, or set TMPDIR to another folder"
    )]
    Spill(String),
    /// Parquet bytes that cannot be read or written.
    #[error("Parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Arrow data that does not fit together.
    #[error("Arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
    /// Polars could not do what was asked.
    #[error("polars: {0}")]
    Polars(#[from] polars::error::PolarsError),
}
