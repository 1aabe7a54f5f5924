//! The behaviour tests: one binary, one module a topic.

mod predict;
mod runtime;
mod s3;
mod sample;
mod storage;
