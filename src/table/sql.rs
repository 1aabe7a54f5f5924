//! One question in SQL, asked of named frames. Must not know which questions there are.

use super::Error;
use polars::prelude::{DataFrame, IntoLazy};
use polars::sql::SQLContext;

/// Runs one query over the tables; `name` is for the error only.
pub fn query(name: &str, text: &str, tables: &[(&str, DataFrame)]) -> Result<DataFrame, Error> {
    let mut context = SQLContext::new();
    for (table, frame) in tables {
        context.register(table, frame.clone().lazy());
    }
    let refuse = |error: polars::error::PolarsError| Error::Query { name: name.to_owned(), detail: error.to_string() };
    context.execute(text).and_then(polars::prelude::LazyFrame::collect).map_err(refuse)
}
