//! What can be said of the runtime and the GPU before any work. Must not know models but its own tiny one.

use super::{Device, Error, Library, Runtime, Session, SessionSettings};
use crate::cancel::Cancel;
use ort::ep::{self, ExecutionProvider};
use serde::Serialize;
use std::fmt;

/// `y = relu(x)` over four numbers: just enough to make a GPU really compute.
pub(super) const TINY_MODEL: &[u8] = include_bytes!("relu4.onnx");

/// Whether a GPU can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Cuda {
    /// A network was run on it.
    Ready {
        /// Its number.
        device: u32,
    },
    /// It cannot be used.
    Unavailable {
        /// Why not.
        reason: String,
        /// What to do, when a GPU is wanted.
        advice: &'static str,
    },
}

/// The state of the runtime on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The library in use.
    pub library: Library,
    /// What it says of its own build: version, commit, flags.
    pub build: String,
    /// The execution providers compiled into it.
    pub providers: Vec<&'static str>,
    /// Whether a GPU can be used, found out by using it.
    pub cuda: Cuda,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ONNX Runtime 1.{} at {}", self.library.minor, self.library.path.display())?;
        writeln!(f, "  providers: {}", self.providers.join(", "))?;
        match &self.cuda {
            Cuda::Ready { device } => write!(f, "  GPU {device}: ran a network"),
            Cuda::Unavailable { reason, advice } => write!(f, "  no GPU: {}; {advice}", reason.trim_end_matches('.')),
        }
    }
}

impl Runtime {
    /// Looks at the library and tries the first GPU.
    pub fn diagnose(&self) -> Diagnosis {
        let mut providers = vec![ep::CPU::NAME];
        let cuda_compiled_in = ep::CUDA::is_available().unwrap_or(false);
        if cuda_compiled_in {
            providers.push(ep::CUDA::NAME);
        }
        let cuda = match self.try_cuda() {
            Ok(()) => Cuda::Ready { device: 0 },
            Err(error) => Cuda::Unavailable {
                reason: match error {
                    Error::DeviceUnavailable { detail, .. } => detail,
                    other => other.to_string(),
                },
                advice: match cuda_compiled_in {
                    false => {
                        "this library is built for the processor only; `make runtime CUDA=1` gets the one for GPUs"
                    }
                    true => "the library is built for GPUs; install the NVIDIA driver, CUDA 13 and cuDNN 9",
                },
            },
        };
        Diagnosis { library: self.library().clone(), build: ort::info().to_owned(), providers, cuda }
    }

    fn try_cuda(&self) -> Result<(), Error> {
        let settings = SessionSettings { device: Device::Cuda(0), ..SessionSettings::default() };
        let mut session = Session::open(self, "relu4", TINY_MODEL, &settings)?;
        session.run_f32("x", &[4], &[-1.0, 0.0, 1.0, 2.0], &["y"], &Cancel::default()).map(|_| ())
    }
}
