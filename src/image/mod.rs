//! Pictures as bytes and pixels. Must not know where they come from, nor tables, networks or runs.

pub mod spans;
