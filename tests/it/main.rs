//! The behaviour tests: one binary, one module a topic.

mod s3;
mod storage;
