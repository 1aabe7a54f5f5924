//! Where graphs are computed, and tensors on their way between the room that makes graphs and the one that runs them. Must
//! not know what a graph is for.

use super::Error;
use crate::graph::weights::Weights;
use crate::graph::{self, Element, Tensor};
use crate::runtime::{self, Array, Device, Model, Runtime, SessionSettings, State, Step};

/// Where graphs are computed.
#[derive(Clone, Debug)]
pub struct Bench {
    /// The library.
    pub runtime: Runtime,
    /// Threads within an operator.
    pub threads: usize,
    /// Where.
    pub device: Device,
    /// Whether a GPU may shorten 32-bit products to TF32.
    pub tf32: bool,
    /// Whether a step is replayed as a CUDA graph.
    pub cuda_graph: bool,
}

impl Bench {
    pub(crate) fn settings(&self) -> SessionSettings {
        SessionSettings {
            device: self.device,
            intra_threads: self.threads.max(1),
            tf32: self.tf32,
            cuda_graph: self.cuda_graph,
            ..SessionSettings::default()
        }
    }

    pub(crate) fn open(&self, name: &str, graph: &graph::Graph, writes: &[(String, String)]) -> Result<Step, Error> {
        let bytes = graph::onnx::encode(graph, name);
        Ok(Step::open(&self.runtime, name, Model::Bytes(&bytes), &self.settings(), writes)?)
    }

    pub(crate) fn state(&self, tensors: &Weights) -> Result<State, Error> {
        let mut state = State::new(&self.runtime, self.device)?;
        for (name, tensor) in &tensors.tensors {
            state.set(name, &array(tensor)?)?;
        }
        Ok(state)
    }
}

impl From<graph::Error> for Error {
    fn from(error: graph::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<runtime::Error> for Error {
    fn from(error: runtime::Error) -> Self {
        match error {
            runtime::Error::DeviceUnavailable { .. } | runtime::Error::UnknownDevice { .. } => {
                Self::Usage(error.to_string())
            }
            other => Self::Failed(other.to_string()),
        }
    }
}

/// A tensor as the runtime takes it; the bytes are shared.
pub(crate) fn array(tensor: &Tensor) -> Result<Array, Error> {
    let element = match tensor.element() {
        Element::F32 => runtime::Element::F32,
        Element::F64 => runtime::Element::F64,
        Element::F16 => runtime::Element::F16,
        Element::Bf16 => runtime::Element::Bf16,
        Element::U8 => runtime::Element::U8,
        Element::I8 => runtime::Element::I8,
        Element::I32 => runtime::Element::I32,
        Element::I64 => runtime::Element::I64,
        Element::Bool => runtime::Element::Bool,
        Element::I16 => return Err(Error::Usage(format!("{tensor:?}: 16-bit integers cannot be run"))),
    };
    Ok(Array::new(element, tensor.dims(), tensor.data().clone())?)
}

/// An array of the runtime as a tensor; the bytes are shared.
pub(crate) fn tensor(array: &Array) -> Result<Tensor, Error> {
    let element = match array.element() {
        runtime::Element::F32 => Element::F32,
        runtime::Element::F64 => Element::F64,
        runtime::Element::F16 => Element::F16,
        runtime::Element::Bf16 => Element::Bf16,
        runtime::Element::U8 => Element::U8,
        runtime::Element::I8 => Element::I8,
        runtime::Element::I32 => Element::I32,
        runtime::Element::I64 => Element::I64,
        runtime::Element::Bool => Element::Bool,
    };
    Ok(Tensor::new(element, array.dims().to_vec(), array.data().clone())?)
}

/// Where the loss scale of 16-bit training begins.
const LOSS_SCALE: f32 = 65536.0;

/// What the state of a step begins with besides its weights: moments and sums at 0. `None` for a name that is no such state.
pub(crate) fn first_value(name: &str, dims: &[usize]) -> Result<Option<Array>, Error> {
    match name {
        "loss_scale" => Ok(Some(Array::scalar(LOSS_SCALE))),
        _ if ["momentum/", "variance/", "accumulated/", "bias_correction"]
            .iter()
            .any(|kind| name.starts_with(kind)) =>
        {
            array(&Tensor::full(dims, 0.0)).map(Some)
        }
        _ => Ok(None),
    }
}
