//! The behaviour tests: one binary, one module a topic.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that panics has failed, which is what is wanted")]

mod images;
mod ingest;
mod masks;
mod merge;
mod photos;
mod predict;
mod runtime;
mod s3;
mod sample;
mod split;
mod stats;
mod storage;
mod tables;
