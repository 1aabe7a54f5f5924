//! A model opened for running: its inputs and outputs, and one run at a time. Must not know what the numbers mean.

use super::device::preload_cuda;
use super::{Device, Error, Runtime};
use crate::cancel::Cancel;
use ort::ErrorCode;
use ort::ep;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{IoBinding, RunOptions};
use ort::value::{Outlet, ValueType};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How a session computes. All of it can move the last bits of a result, so it belongs into a plan and its fingerprint;
/// [`Display`](fmt::Display) writes it for that, in a form that does not change.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionSettings {
    /// Where it computes.
    pub device: Device,
    /// Threads within one operator, at least 1; the calling thread is one of them.
    pub intra_threads: usize,
    /// Operators at once, at least 1; more than 1 helps only graphs with wide branches and costs memory.
    pub inter_threads: usize,
    /// Whether idle threads spin. Burns a fifth of a core or more on a machine with other work, so it is off.
    pub spinning: bool,
    /// Whether memory is kept between runs. Off saves memory between images of different networks, at a cost in time.
    pub arena: bool,
    /// Whether kernels that may sum in another order from run to run are avoided.
    pub deterministic: bool,
}

impl Default for SessionSettings {
    /// One thread on the processor, the same bytes every time.
    fn default() -> Self {
        Self {
            device: Device::Cpu,
            intra_threads: 1,
            inter_threads: 1,
            spinning: false,
            arena: true,
            deterministic: true,
        }
    }
}

impl fmt::Display for SessionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, intra_threads, inter_threads, spinning, arena, deterministic } = self;
        write!(f, "device={device} intra_threads={intra_threads} inter_threads={inter_threads} ")?;
        write!(f, "spinning={spinning} arena={arena} deterministic={deterministic}")
    }
}

/// The length of one axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dimension {
    /// Always so long.
    Fixed(usize),
    /// As long as the caller likes; the model's name for it, often empty.
    Dynamic(String),
}

/// One input or output of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueInfo {
    /// Its name in the model.
    pub name: String,
    /// The type of its elements: `f32`, `f16`, `i64`, …; or what it is when it is no tensor.
    pub element: String,
    /// Its axes, the slowest first.
    pub shape: Vec<Dimension>,
}

impl fmt::Display for ValueInfo {
    /// `input.1 f32 1×3×320×320`, with `?` for an axis of any length.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.element)?;
        for (axis, dimension) in self.shape.iter().enumerate() {
            f.write_str(if axis == 0 { " " } else { "×" })?;
            match dimension {
                Dimension::Fixed(length) => write!(f, "{length}")?,
                Dimension::Dynamic(_) => f.write_str("?")?,
            }
        }
        Ok(())
    }
}

/// Where a session really computes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Never [`Device::Auto`].
    pub device: Device,
    /// Why it is the processor, when the device was [`Device::Auto`] and no GPU could be used.
    pub fallback: Option<String>,
}

/// Named numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The name of the output.
    pub name: String,
    /// Lengths of the axes, the slowest first.
    pub shape: Vec<usize>,
    /// The product of the lengths in numbers, row-major.
    pub data: Vec<f32>,
}

/// A model that is ready to run, by one thread at a time. Several at once are several sessions.
#[derive(Debug)]
pub struct Session {
    model: String,
    session: ort::session::Session,
    inputs: Vec<ValueInfo>,
    outputs: Vec<ValueInfo>,
    placement: Placement,
    reply_memory: MemoryInfo<'static>,
}

/// How often a running network looks whether it is to stop.
const CANCEL_POLL: Duration = Duration::from_millis(50);

impl Session {
    /// Opens a whole model (all weights inside) under a name that errors will use.
    pub fn open(runtime: &Runtime, name: &str, model: &[u8], settings: &SessionSettings) -> Result<Self, Error> {
        let (session, placement) = match settings.device {
            Device::Cpu => (commit(runtime, name, model, settings, None)?, None),
            Device::Cuda(number) => (commit(runtime, name, model, settings, Some(number))?, None),
            Device::Auto => match commit(runtime, name, model, settings, Some(0)) {
                Ok(session) => (session, None),
                Err(error) => {
                    let reason = match error {
                        Error::DeviceUnavailable { detail, .. } => detail,
                        other => other.to_string(),
                    };
                    (commit(runtime, name, model, settings, None)?, Some(reason))
                }
            },
        };
        let device = match (settings.device, &placement) {
            (Device::Cpu, _) | (Device::Auto, Some(_)) => Device::Cpu,
            (Device::Cuda(number), _) => Device::Cuda(number),
            (Device::Auto, None) => Device::Cuda(0),
        };
        let inputs = session.inputs().iter().map(describe).collect();
        let outputs = session.outputs().iter().map(describe).collect();
        let reply_memory = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)
            .map_err(|error| Error::Run { model: name.to_owned(), detail: error.to_string() })?;
        let placement = Placement { device, fallback: placement };
        Ok(Self { model: name.to_owned(), session, inputs, outputs, placement, reply_memory })
    }

    /// What goes in, in the model's order.
    pub fn inputs(&self) -> &[ValueInfo] {
        &self.inputs
    }

    /// What comes out, in the model's order.
    pub fn outputs(&self) -> &[ValueInfo] {
        &self.outputs
    }

    /// Where it computes.
    pub fn placement(&self) -> &Placement {
        &self.placement
    }

    /// Runs a model of one input once. Only the outputs asked for are fetched, in the order asked. A run that is
    /// cancelled ends at the next operator with [`Error::Cancelled`].
    pub fn run_f32(
        &mut self,
        input: &str,
        shape: &[usize],
        data: &[f32],
        outputs: &[&str],
        cancel: &Cancel,
    ) -> Result<Vec<Tensor>, Error> {
        let wanted = shape.iter().try_fold(1_usize, |product, length| product.checked_mul(*length));
        if wanted != Some(data.len()) {
            let wanted = wanted.unwrap_or(usize::MAX);
            return Err(Error::Shape { shape: shape.to_vec(), wanted, found: data.len() });
        }
        self.expect("input", &self.inputs, input)?;
        for output in outputs {
            self.expect("output", &self.outputs, output)?;
        }
        let binding = self.bind(input, shape, data, outputs).map_err(|error| self.failed(&error))?;
        self.run_bound(&binding, outputs, cancel)
    }

    fn expect(&self, kind: &'static str, values: &[ValueInfo], name: &str) -> Result<(), Error> {
        if values.iter().any(|value| value.name == name) {
            return Ok(());
        }
        let known = values.iter().map(|value| value.name.as_str()).collect::<Vec<_>>().join(", ");
        Err(Error::UnknownValue { model: self.model.clone(), kind, name: name.to_owned(), known })
    }

    fn failed(&self, error: &ort::Error) -> Error {
        Error::Run { model: self.model.clone(), detail: error.to_string() }
    }

    /// Binds by name, and not by the list of all outputs, since an output that nobody binds is never copied from a GPU.
    fn bind(&self, input: &str, shape: &[usize], data: &[f32], outputs: &[&str]) -> Result<IoBinding, ort::Error> {
        let mut binding = self.session.create_binding()?;
        let tensor = ort::value::Tensor::from_array((shape.to_vec(), data.to_vec()))?;
        binding.bind_input(input, &tensor)?;
        for output in outputs {
            binding.bind_output_to_device(*output, &self.reply_memory)?;
        }
        // The copy to a GPU may still be under way when the call comes back.
        binding.synchronize_inputs()?;
        Ok(binding)
    }

    fn run_bound(&mut self, binding: &IoBinding, outputs: &[&str], cancel: &Cancel) -> Result<Vec<Tensor>, Error> {
        let Self { model, session, .. } = self;
        let failed = |error: ort::Error| match cancel.is_cancelled() {
            true => Error::Cancelled { model: model.clone() },
            false => Error::Run { model: model.clone(), detail: error.to_string() },
        };
        let options = RunOptions::new().map_err(failed)?;
        let (running, watched) = mpsc::channel::<()>();
        thread::scope(|scope| {
            let watch = || {
                let watched = watched;
                loop {
                    if cancel.is_cancelled() {
                        // Should the library refuse, the run simply ends by itself.
                        let _ = options.terminate();
                        return;
                    }
                    if watched.recv_timeout(CANCEL_POLL) != Err(mpsc::RecvTimeoutError::Timeout) {
                        return;
                    }
                }
            };
            // Without a watcher the run cannot be cut short, which is no reason not to run.
            let _ = thread::Builder::new().name("cancel-watch".to_owned()).spawn_scoped(scope, watch);
            let values = session.run_binding_with_options(binding, &options);
            drop(running);
            let values = values.map_err(failed)?;
            binding.synchronize_outputs().map_err(failed)?;
            let mut tensors = Vec::with_capacity(outputs.len());
            for name in outputs {
                let value = values.get(name).ok_or_else(|| Error::Run {
                    model: model.clone(),
                    detail: format!("the output `{name}` did not come back"),
                })?;
                let (shape, data) = value.try_extract_tensor::<f32>().map_err(|_| Error::NotF32 {
                    model: model.clone(),
                    name: (*name).to_owned(),
                    element: element(value.dtype()),
                })?;
                let shape = shape.iter().map(|length| usize::try_from(*length).unwrap_or(0)).collect();
                tensors.push(Tensor { name: (*name).to_owned(), shape, data: data.to_vec() });
            }
            Ok(tensors)
        })
    }
}

/// Opens the model on the processor, or on a GPU and then nowhere else.
fn commit(
    runtime: &Runtime,
    name: &str,
    model: &[u8],
    settings: &SessionSettings,
    gpu: Option<u32>,
) -> Result<ort::session::Session, Error> {
    let model_error = |error: ort::Error| {
        let detail = error.to_string();
        let external = detail.contains("external") || detail.contains("model_path");
        let hint = if external { "; a model whose weights lie in a second file must be saved as one" } else { "" };
        Error::Model { model: name.to_owned(), detail, hint }
    };
    let mut builder = configure(runtime, settings).map_err(model_error)?;
    if let Some(number) = gpu {
        let problems = preload_cuda(&runtime.library().path);
        let unavailable = |error: ort::Error| {
            let mut detail = error.to_string();
            for problem in problems {
                detail.push_str("; ");
                detail.push_str(problem);
            }
            Error::DeviceUnavailable { device: Device::Cuda(number).to_string(), detail }
        };
        // Convolutions are chosen by rule and not by a race, which would differ from run to run.
        let provider = ep::CUDA::default()
            .with_device_id(i32::try_from(number).unwrap_or(i32::MAX))
            .with_arena_extend_strategy(ep::ArenaExtendStrategy::SameAsRequested)
            .with_conv_algorithm_search(ep::cuda::ConvAlgorithmSearch::Heuristic)
            .build()
            .error_on_failure();
        builder = builder.with_execution_providers([provider]).map_err(|error| unavailable(error.into()))?;
        let cpu = ep::CPU::default().with_arena_allocator(settings.arena).build();
        builder = builder.with_execution_providers([cpu]).map_err(|error| model_error(error.into()))?;
        // Bytes that no device could run are the model's fault and not the GPU's.
        return builder.commit_from_memory(model).map_err(|error| match error.code() {
            ErrorCode::InvalidProtobuf | ErrorCode::InvalidGraph | ErrorCode::NoModel => model_error(error),
            _ => unavailable(error),
        });
    }
    let cpu = ep::CPU::default().with_arena_allocator(settings.arena).build();
    builder = builder.with_execution_providers([cpu]).map_err(|error| model_error(error.into()))?;
    builder.commit_from_memory(model).map_err(model_error)
}

fn configure(runtime: &Runtime, settings: &SessionSettings) -> Result<SessionBuilder, ort::Error> {
    let builder = ort::session::Session::builder(runtime.environment())?
        .with_optimization_level(GraphOptimizationLevel::All)?
        // Planned as one block, the memory of two u2netp sessions is 1016 MB; piece by piece 629 MB at the same CPU time.
        .with_memory_pattern(false)?
        .with_intra_threads(settings.intra_threads.max(1))?
        .with_inter_threads(settings.inter_threads.max(1))?
        .with_parallel_execution(settings.inter_threads > 1)?
        .with_intra_op_spinning(settings.spinning)?
        .with_inter_op_spinning(settings.spinning)?
        .with_deterministic_compute(settings.deterministic)?;
    Ok(builder)
}

fn describe(outlet: &Outlet) -> ValueInfo {
    let mut axes = Vec::new();
    if let ValueType::Tensor { shape, dimension_symbols, .. } = outlet.dtype() {
        for (length, symbol) in shape.iter().zip(dimension_symbols.iter()) {
            axes.push(match usize::try_from(*length) {
                Ok(length) => Dimension::Fixed(length),
                Err(_) => Dimension::Dynamic(symbol.clone()),
            });
        }
    }
    ValueInfo { name: outlet.name().to_owned(), element: element(outlet.dtype()), shape: axes }
}

fn element(kind: &ValueType) -> String {
    match kind.tensor_type() {
        Some(element) => element.to_string(),
        None => kind.to_string(),
    }
}
