//! The stages: one file or folder each; they meet only through tables and objects, and none knows another.

pub mod sample;
