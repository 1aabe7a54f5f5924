//! How long a step of an exported model takes here, on random pictures. Must not know what is trained.

use super::Error;
use crate::cancel::Cancel;
use crate::graph::TensorType;
use crate::graph::train::Precision;
use crate::graph::weights::read_weights;
use crate::predict::{self, Division, ModelChoice};
use crate::runtime::{Array, Device, Element, Model, SessionSettings, State, Step};
use crate::stage::artifact::Artifact;
use crate::stage::bench::{Bench, array, first_value};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

/// Times of steps and the memory they took.
#[derive(Clone, Debug, Serialize)]
pub struct Timing {
    /// Pictures in a step.
    pub batch: usize,
    /// Where it ran.
    pub device: String,
    /// Why it was not where it should be, with `auto`.
    pub fallback: Option<String>,
    /// Nodes by execution provider, after the runtime's own optimisation.
    pub nodes: BTreeMap<String, usize>,
    /// Opening the step, in milliseconds.
    pub open_ms: f64,
    /// Milliseconds of each step by the clock.
    pub wall_ms: Vec<f64>,
    /// Milliseconds of each step on all cores together; nothing where the system does not tell.
    pub cpu_ms: Vec<f64>,
    /// The losses, as a sign of life.
    pub losses: Vec<f32>,
    /// Mebibytes of parameters and momenta.
    pub state_mib: f64,
    /// How many mebibytes the process grew at most from before the first step on.
    pub step_mib: Option<f64>,
}

/// Runs some steps, two of them unmeasured before.
pub fn bench(folder: &Path, bench: &Bench, steps: usize, count_nodes: bool, cancel: &Cancel) -> Result<Timing, Error> {
    let artifact = Artifact::read(folder)?;
    let opening = Instant::now();
    if artifact.precision == Precision::Bf16.name() && bench.device == Device::Cpu {
        return Err(Error::Usage(format!(
            "{} is in bf16, for which the processor has no kernels; use --device cuda, or export it with --precision bf16-emulated",
            folder.display()
        )));
    }
    let path = artifact.file(folder, "train_step.onnx")?;
    let weights = read_weights(&artifact.file(folder, "weights.safetensors")?)?;
    let graph = crate::graph::onnx::read_model(&path)?;
    let inputs = graph.inputs()?;
    let names = graph.names();
    drop(graph);
    let kept = inputs.iter().map(|(name, _)| (name.clone(), format!("next/{name}")));
    let writes: Vec<(String, String)> = kept.filter(|(_, next)| names.contains(next)).collect();
    let mut step = Step::open(&bench.runtime, &artifact.model, Model::File(&path), &bench.settings(), &writes)?;
    let open_ms = opening.elapsed().as_secs_f64() * 1e3;
    let mut state = State::new(&bench.runtime, step.placement().device)?;
    for (name, kind) in &inputs {
        let value = match weights.tensors.get(name) {
            Some(tensor) => Some(array(tensor)?),
            None => first_value(name, &kind.dims)?,
        };
        if let Some(value) = value {
            state.set(name, &value)?;
        }
    }
    drop(weights);
    let given = feeds(&artifact, &inputs, &state)?;
    let given: Vec<(&str, &Array)> = given.iter().map(|(name, array)| (name.as_str(), array)).collect();
    let nodes = if count_nodes { step.count_nodes(&mut state, &given)? } else { BTreeMap::new() };
    // Forgets the peak of opening, where the system allows it.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    let before = resident();
    let mut timing = Timing {
        batch: artifact.batch,
        device: step.placement().device.to_string(),
        fallback: step.placement().fallback.clone(),
        nodes,
        open_ms,
        wall_ms: Vec::new(),
        cpu_ms: Vec::new(),
        losses: Vec::new(),
        state_mib: state.bytes() as f64 / f64::from(1 << 20),
        step_mib: None,
    };
    for round in 0..steps + 2 {
        let (start, cpu) = (Instant::now(), cpu_ms());
        let arrays = step.run(&mut state, &given, &["loss"], cancel)?;
        if round >= 2 {
            timing.wall_ms.push(start.elapsed().as_secs_f64() * 1e3);
            timing.cpu_ms.extend(cpu.zip(cpu_ms()).map(|(before, after)| after - before));
        }
        for loss in arrays {
            timing.losses.extend(loss.to_f32()?);
        }
    }
    // The spare buffers of the state come with the first step and are no part of its own memory.
    let spare = timing.state_mib;
    timing.state_mib = state.bytes() as f64 / f64::from(1 << 20);
    timing.step_mib = before.zip(peak()).map(|(before, peak)| (peak - before - (timing.state_mib - spare)).max(0.0));
    Ok(timing)
}

/// How many pictures a second a model gives here, by sessions and threads.
pub fn divide(model: &Path, bench: &Bench, cancel: &Cancel) -> Result<Division, Error> {
    let usage = |error: predict::Error| match error {
        predict::Error::Runtime(error) => Error::from(error),
        other => Error::Usage(other.to_string()),
    };
    let choice = ModelChoice::read(&model.to_string_lossy()).map_err(usage)?;
    let session = SessionSettings { device: bench.device, ..SessionSettings::default() };
    // Timing is no use of the model that a licence could forbid.
    let settings = predict::Settings { session, accept_nc: true, ..predict::Settings::default() };
    predict::calibrate(&choice, &bench.runtime, &settings, bench.threads, predict::available_memory(), cancel)
        .map_err(usage)
}

/// What is not in the state: random pictures and labels, the same every time; masks that drop nothing.
fn feeds(artifact: &Artifact, inputs: &[(String, TensorType)], state: &State) -> Result<Vec<(String, Array)>, Error> {
    let mut found = Vec::new();
    let mut seed = 1_u32;
    let mut next = move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        seed >> 8
    };
    for (name, kind) in inputs {
        let mask = artifact.masks.iter().find(|mask| mask.name == *name);
        let array = match (name.as_str(), mask) {
            ("learning_rate", _) => Array::scalar(1e-3),
            ("label", _) => {
                let labels: Vec<u8> =
                    (0..kind.len()).map(|_| (next() as usize % artifact.classes.max(1)) as u8).collect();
                Array::new(Element::U8, &kind.dims, labels)?
            }
            (_, Some(mask)) if mask.kind == "paths" => Array::from_f32(&kind.dims, &vec![1.0; kind.len()])?,
            (_, Some(_)) => Array::new(Element::U8, &kind.dims, vec![1_u8; kind.len()])?,
            _ if state.contains(name) => continue,
            _ => {
                let noise: Vec<f32> = (0..kind.len()).map(|_| next() as f32 / (1 << 23) as f32 - 1.0).collect();
                Array::from_f32(&kind.dims, &noise)?
            }
        };
        found.push((name.clone(), array));
    }
    Ok(found)
}

/// A line of `/proc/self/status` in mebibytes.
fn status(key: &str) -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

fn resident() -> Option<f64> {
    status("VmRSS:")
}

fn peak() -> Option<f64> {
    status("VmHWM:")
}

/// Milliseconds this process has computed so far, on all cores.
fn cpu_ms() -> Option<f64> {
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    let mut total = 0.0;
    for thread in threads.flatten() {
        let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        total += text.split_whitespace().next()?.parse::<f64>().ok()? / 1e6;
    }
    Some(total)
}
