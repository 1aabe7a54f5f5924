//! The behaviour tests: one binary, one module a topic.

mod masks;
mod s3;
mod split;
mod stats;
mod storage;
