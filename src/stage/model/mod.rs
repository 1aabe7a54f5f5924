//! Tools for models: what a file holds, weights from one format to another, and files from the net. Must not know how a
//! network computes.

pub mod convert;
pub mod fetch;
pub mod inspect;
pub mod known;
