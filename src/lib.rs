//! Selvedge turns a fashion catalogue into cutouts, and trains the networks that do it.
//!
//! The rooms, from the ground up (a room imports only lower floors; `tests/layering.rs` holds it to that):
//!
//! | floor | rooms |
//! |---|---|
//! | F5 | `cli` |
//! | F4 | `reporter`, `runner` |
//! | F3 | `pipeline` |
//! | F2 | `stage` |
//! | F1c | `predict` |
//! | F1b | `page` |
//! | F1a | `graph`, `runtime`, `table`, `image`, `storage` |
//! | F0 | `event`, `outcome`, `id`, `digest`, `cancel`, `clock` |
#![warn(missing_docs)]

pub mod cancel;
pub mod cli;
pub mod clock;
pub mod digest;
pub mod event;
pub mod graph;
pub mod id;
pub mod image;
pub mod outcome;
pub mod page;
pub mod pipeline;
pub mod predict;
pub mod reporter;
pub mod runner;
pub mod runtime;
pub mod stage;
pub mod storage;
pub mod table;
