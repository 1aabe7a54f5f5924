//! Tables: their schemas, their Parquet bytes, their versions, and the SQL asked of them.
//! Must not know where bytes are kept (that is `storage`) nor what a picture is.

pub mod error;
pub mod frame;
pub mod labels;
pub mod list;
pub mod manifest;
pub mod part;
pub mod read;
pub mod schema;
pub mod spill;
pub mod sql;

pub use error::Error;
pub use manifest::{Manifest, PartEntry};
pub use part::{Part, PartWriter};
pub use schema::Table;
