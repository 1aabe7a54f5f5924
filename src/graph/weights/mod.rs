//! Weights of networks: the files they come in, the names they go by, how they are made to fit, and first values where
//! there are none. Must not know networks or graphs: names, shapes and numbers only.

mod checkpoint;
mod file;
mod fit;
mod globals;
mod init;
mod names;
mod pickle;
mod pth;
mod resize;
mod safetensors_file;
mod values;
mod vit_names;

pub use file::{Weights, read_bytes, read_weights};
pub use fit::{GRID, Line, Outcome, Report, Role, Wanted, fit};
pub use init::{Init, Start, init, init_for};
pub use names::{Naming, detect, from_canonical, to_canonical};
pub use pth::write_pth;
pub use resize::{Grid, resize_positions};
pub use safetensors_file::{encode_safetensors, write_safetensors};

pub(crate) use super::disk::map_file;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod fixtures;
