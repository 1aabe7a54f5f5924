//! The behaviour tests: one binary, one module a topic.

mod images;
mod photos;
mod s3;
mod storage;
