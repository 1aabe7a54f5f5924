//! The training stage: a network learns the `masks` of a store from its photos. Must not know commands, pipeline files or
//! terminals.

mod crop;
mod distort;
mod draws;
mod kept;
mod label;
mod picture;
mod resize;
pub mod sample;
