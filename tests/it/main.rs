//! The behaviour tests: one binary, one module a topic.
#![allow(clippy::unwrap_used, reason = "a test that panics has failed, which is what is wanted")]

mod commands;
mod edges;
mod evaluate;
mod graph_rules;
mod images;
mod ingest;
mod interop;
mod layering;
mod loader;
mod losses;
mod masks;
mod merge;
mod model_cli;
mod model_fetch;
mod model_tools;
mod nets;
mod photos;
mod predict;
mod recompute;
mod runs;
mod runtime;
mod s3;
mod sample;
mod segments;
mod split;
mod stats;
mod step;
mod storage;
mod sync_batch_norm;
mod tables;
mod train;
mod training;
