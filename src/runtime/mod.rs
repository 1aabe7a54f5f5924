//! ONNX Runtime: the shared library, its one environment, devices and sessions; numbers in, numbers out. Must not know
//! images, nor where a model's bytes come from.
//!
//! The library is loaded at run time, so that the program itself is small and starts without it: [`locate`] finds it,
//! [`Runtime::load`] loads it (once a process), [`Session`] runs a model with it. A [`Step`] runs a graph whose numbers
//! stay on the device from run to run, in a [`State`]. Tensors are row-major, the last axis the fastest.

mod array;
mod bind;
mod device;
mod doctor;
mod error;
mod library;
mod memory;
mod open;
mod session;
mod simplify;
mod state;
mod step;
mod watch;

pub use array::{Array, Element};
pub use device::Device;
pub use doctor::{Cuda, Diagnosis};
pub use error::Error;
pub use library::{FoundBy, Library, Runtime, locate};
pub use open::{Model, Placement, SessionSettings};
pub use session::{Dimension, Session, Tensor, ValueInfo};
pub use simplify::simplify;
pub use state::State;
pub use step::Step;

/// The interface of ONNX Runtime that this program is built for: at least version `1.MINOR_NEEDED` must be loaded.
pub const MINOR_NEEDED: u32 = ort::MINOR_VERSION;
