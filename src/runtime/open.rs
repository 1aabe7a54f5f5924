//! How a model becomes a session: its settings, the device it lands on, and why. Must not know what is run with it.

use super::device::preload_cuda;
use super::{Device, Error, Runtime};
use ort::ErrorCode;
use ort::ep;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// How a session computes. All of it can move the last bits of a result, so it belongs into a plan and its fingerprint;
/// [`Display`](fmt::Display) writes it for that, in a form that does not change. What a GPU alone knows is written only
/// where it differs from the default.
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
    /// Whether a GPU may round the factors of f32 products to 10 bits of mantissa (TF32), as the library does unless told
    /// otherwise. Off gives results that can be held against those of a processor.
    #[serde(skip_serializing_if = "is_on")]
    pub tf32: bool,
    /// Whether a GPU records a training step once and then replays it. Plain sessions take no notice of it: their
    /// tensors move from run to run.
    #[serde(skip_serializing_if = "is_off")]
    pub cuda_graph: bool,
}

fn is_on(flag: &bool) -> bool {
    *flag
}

fn is_off(flag: &bool) -> bool {
    !*flag
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
            tf32: true,
            cuda_graph: false,
        }
    }
}

impl fmt::Display for SessionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { device, intra_threads, inter_threads, spinning, arena, deterministic, tf32, cuda_graph } = self;
        write!(f, "device={device} intra_threads={intra_threads} inter_threads={inter_threads} ")?;
        write!(f, "spinning={spinning} arena={arena} deterministic={deterministic}")?;
        let standard = Self::default();
        if *tf32 != standard.tf32 {
            write!(f, " tf32={tf32}")?;
        }
        if *cuda_graph != standard.cuda_graph {
            write!(f, " cuda_graph={cuda_graph}")?;
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

/// Where a model's graph lies.
#[derive(Clone, Copy, Debug)]
pub enum Model<'a> {
    /// A whole model, all weights inside.
    Bytes(&'a [u8]),
    /// A file; weights may lie in other files beside it, as the model names them.
    File(&'a Path),
}

/// What a session is for, which decides what a GPU must be able to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Operators that a GPU lacks run on the processor.
    Inference,
    /// Everything runs where it was asked to, or nothing does: a copy per step and operator would hide in the time.
    Step,
}

/// Opens the model on the device of the settings; with [`Device::Auto`] on the first GPU, else on the processor.
pub(super) fn open(
    runtime: &Runtime,
    name: &str,
    model: Model<'_>,
    settings: &SessionSettings,
    purpose: Purpose,
) -> Result<(ort::session::Session, Placement), Error> {
    let on = |gpu| commit(runtime, name, model, settings, purpose, gpu);
    let settled = |device| Placement { device, fallback: None };
    match settings.device {
        Device::Cpu => Ok((on(None)?, settled(Device::Cpu))),
        Device::Cuda(number) => Ok((on(Some(number))?, settled(Device::Cuda(number)))),
        Device::Auto => match on(Some(0)) {
            Ok(session) => Ok((session, settled(Device::Cuda(0)))),
            Err(error) => {
                let reason = match error {
                    Error::DeviceUnavailable { detail, .. } => detail,
                    other => other.to_string(),
                };
                Ok((on(None)?, Placement { device: Device::Cpu, fallback: Some(reason) }))
            }
        },
    }
}

/// Opens the model on the processor, or on a GPU and then nowhere else.
fn commit(
    runtime: &Runtime,
    name: &str,
    model: Model<'_>,
    settings: &SessionSettings,
    purpose: Purpose,
    gpu: Option<u32>,
) -> Result<ort::session::Session, Error> {
    let model_error = |error: ort::Error| {
        let detail = error.to_string();
        let external = detail.contains("external") || detail.contains("model_path");
        let hint = match model {
            Model::Bytes(_) if external => "; a model whose weights lie in a second file must be saved as one",
            Model::File(_) if external => "; the files of its weights must lie beside it, under the names it uses",
            Model::Bytes(_) | Model::File(_) => "",
        };
        Error::Model { model: name.to_owned(), detail, hint }
    };
    let mut builder = configure(runtime, settings).map_err(model_error)?;
    let processor = ep::CPU::default().with_arena_allocator(settings.arena).build();
    let Some(number) = gpu else {
        builder = builder.with_execution_providers([processor]).map_err(|error| model_error(error.into()))?;
        return load(&mut builder, model).map_err(model_error);
    };
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
        .with_tf32(settings.tf32)
        .with_cuda_graph(settings.cuda_graph && purpose == Purpose::Step)
        .build()
        .error_on_failure();
    builder = builder.with_execution_providers([provider]).map_err(|error| unavailable(error.into()))?;
    builder = match purpose {
        Purpose::Inference => builder.with_execution_providers([processor]),
        // A processor that is named would count as wanted, and the library refuses the two together.
        Purpose::Step => builder.with_disable_cpu_fallback(),
    }
    .map_err(|error| model_error(error.into()))?;
    load(&mut builder, model).map_err(|error| match error.code() {
        // Bytes that no device could run are the model's fault and not the GPU's.
        ErrorCode::InvalidProtobuf | ErrorCode::InvalidGraph | ErrorCode::NoModel | ErrorCode::NoSuchFile => {
            model_error(error)
        }
        _ if lacks_kernels(&error.to_string()) => Error::DeviceUnavailable {
            device: Device::Cuda(number).to_string(),
            detail: format!("it has no kernel for some operators of {name}, and a step runs whole or not at all"),
        },
        _ => unavailable(error),
    })
}

/// Whether the library says that operators would be left to the processor; with CUDA graphs it says so in other words.
fn lacks_kernels(detail: &str) -> bool {
    detail.contains("fallback to CPU EP") || detail.contains("have not been partitioned to the CUDA")
}

fn load(builder: &mut SessionBuilder, model: Model<'_>) -> Result<ort::session::Session, ort::Error> {
    match model {
        Model::Bytes(bytes) => builder.commit_from_memory(bytes),
        Model::File(path) => builder.commit_from_file(path),
    }
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
