//! Which buffer is which input and output of a graph, remembered from run to run. Must not know what is run.

use super::memory::Held;
use super::session::expect;
use super::state::not_kept;
use super::{Device, Dimension, Element, Error, State, ValueInfo};
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::IoBinding;
use std::collections::BTreeMap;

/// An output that is the next value of a tensor of the state.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) state: String,
    pub(super) output: ValueInfo,
}

/// What one run binds.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) model: &'a str,
    pub(super) session: &'a ort::session::Session,
    pub(super) inputs: &'a [ValueInfo],
    pub(super) outputs: &'a [ValueInfo],
    pub(super) writes: &'a [Write],
    /// Inputs that the state does not have, on the device.
    pub(super) given: &'a BTreeMap<String, Held>,
    /// Outputs that the caller wants.
    pub(super) replies: &'a [&'a str],
}

/// The bindings of a graph, one for each set of buffers: two for a step that is alone with its state, which swaps all its
/// buffers at once. Binding some hundred tensors anew would cost milliseconds a run.
#[derive(Debug)]
pub(super) struct Bindings {
    bound: Vec<Bound>,
    /// The state and its buffers that they were made for.
    layout: u64,
    /// How many were ever made.
    made: usize,
    /// Where outputs go that the caller wants: the processor's memory.
    reply: MemoryInfo<'static>,
    /// With CUDA graphs they go to places on the device that never change.
    recorded: Option<BTreeMap<String, Held>>,
}

/// A graph's inputs and outputs, bound.
#[derive(Debug)]
pub(super) struct Bound {
    addresses: Vec<usize>,
    replies: Vec<String>,
    pub(super) binding: IoBinding,
    /// With CUDA graphs: the number of the recording, which replays with the very addresses it was made with. Counted
    /// from 1, since 0 is the library's own choice; the library keeps recordings for as long as the session.
    pub(super) recording: Option<usize>,
}

/// Bindings that are kept; graphs that share a state in part see up to four sets of buffers.
const MOST_BOUND: usize = 8;

/// Binding copies an input whose kernel wants it in host memory (a shape, a limit), and does so once. Such are short, so
/// short ones are bound for each run.
const SHORT: usize = 16;

impl Bindings {
    pub(super) fn new(cuda_graph: bool) -> Result<Self, ort::Error> {
        let reply = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)?;
        Ok(Self { bound: Vec::new(), layout: 0, made: 0, reply, recorded: cuda_graph.then(BTreeMap::new) })
    }

    /// The place on the device of an output, with CUDA graphs.
    pub(super) fn recorded(&self, output: &str) -> Option<&Held> {
        self.recorded.as_ref().and_then(|recorded| recorded.get(output))
    }

    /// Forgets a binding, whose run has failed.
    pub(super) fn forget(&mut self, bound: usize) {
        if bound < self.bound.len() {
            self.bound.swap_remove(bound);
        }
    }

    pub(super) fn get(&self, bound: usize) -> Option<&Bound> {
        self.bound.get(bound)
    }

    /// Binds every input and the outputs that are wanted; an output that nobody binds is not copied from a GPU. Gives the
    /// binding's number until the next call.
    pub(super) fn bind(&mut self, wanted: Wanted<'_>, state: &mut State) -> Result<usize, Error> {
        if self.layout != state.layout() {
            self.bound.clear();
            self.layout = state.layout();
        }
        if let Some(recorded) = &mut self.recorded {
            for name in wanted.plain_replies() {
                let output = expect(wanted.model, "output", wanted.outputs, name)?;
                if !recorded.contains_key(name) {
                    recorded.insert(name.to_owned(), place_of(wanted.model, state, output)?);
                }
            }
        }
        let addresses = self.addresses(wanted, state)?;
        let same = |bound: &Bound| bound.addresses == addresses && bound.replies == wanted.replies;
        let failed = |error: ort::Error| Error::Run { model: wanted.model.to_owned(), detail: error.to_string() };
        let known = self.bound.iter().position(same);
        let mut bound = match known {
            Some(place) => self.bound.swap_remove(place),
            None => {
                self.made = self.made.saturating_add(1);
                Bound {
                    addresses,
                    replies: wanted.replies.iter().map(|name| (*name).to_owned()).collect(),
                    binding: wanted.session.create_binding().map_err(failed)?,
                    recording: self.recorded.is_some().then_some(self.made),
                }
            }
        };
        self.fill(&mut bound.binding, known.is_none(), wanted, state)?;
        if self.bound.len() >= MOST_BOUND {
            self.bound.clear();
        }
        self.bound.push(bound);
        Ok(self.bound.len().saturating_sub(1))
    }

    fn addresses(&self, wanted: Wanted<'_>, state: &mut State) -> Result<Vec<usize>, Error> {
        let mut addresses = Vec::with_capacity(wanted.inputs.len().saturating_add(wanted.writes.len()));
        for input in wanted.inputs {
            addresses.push(wanted.input(input, state)?.data_ptr().addr());
        }
        for write in wanted.writes {
            addresses.push(state.spare(&write.state)?.data_ptr().addr());
        }
        Ok(addresses)
    }

    fn fill(&mut self, binding: &mut IoBinding, all: bool, wanted: Wanted<'_>, state: &mut State) -> Result<(), Error> {
        let failed = |error: ort::Error| Error::Run { model: wanted.model.to_owned(), detail: error.to_string() };
        for input in wanted.inputs {
            let tensor = wanted.input(input, state)?;
            if all || wanted.given.contains_key(&input.name) || tensor.shape().num_elements() <= SHORT {
                binding.bind_input(input.name.as_str(), tensor).map_err(failed)?;
            }
        }
        // Should an input have had to be copied elsewhere, that may still be under way.
        binding.synchronize_inputs().map_err(failed)?;
        if all {
            for write in wanted.writes {
                binding.bind_output(write.output.name.as_str(), state.spare(&write.state)?).map_err(failed)?;
            }
        }
        for name in wanted.plain_replies() {
            match self.recorded.as_mut().and_then(|recorded| recorded.get_mut(name)) {
                Some(held) if all => binding.bind_output(name, &mut held.tensor),
                Some(_) => Ok(()),
                // Bound anew, it may have another size than last time.
                None => binding.bind_output_to_device(name, &self.reply),
            }
            .map_err(failed)?;
        }
        Ok(())
    }
}

impl<'a> Wanted<'a> {
    fn input<'s>(&self, input: &ValueInfo, state: &'s State) -> Result<&'s ort::value::DynTensor, Error>
    where
        'a: 's,
    {
        match self.given.get(&input.name) {
            Some(held) => Ok(&held.tensor),
            None => state.current(&input.name),
        }
    }

    /// Outputs that the caller wants and the state does not get.
    fn plain_replies(&self) -> impl Iterator<Item = &'a str> {
        let Self { replies, writes, .. } = *self;
        replies.iter().copied().filter(|name| !writes.iter().any(|write| write.output.name == *name))
    }
}

/// Room on the device for an output of fixed lengths.
fn place_of(model: &str, state: &State, output: &ValueInfo) -> Result<Held, Error> {
    let fixed = |dimension: &Dimension| match dimension {
        Dimension::Fixed(length) => Some(*length),
        Dimension::Dynamic(_) => None,
    };
    let dims: Option<Vec<usize>> = output.shape.iter().map(fixed).collect();
    let (Some(element), Some(dims)) = (Element::named(&output.element), dims) else {
        let detail =
            format!("the output `{output}` has no fixed size, which a CUDA graph needs; switch cuda_graph off");
        return Err(Error::Run { model: model.to_owned(), detail });
    };
    let memory = state.memory();
    Held::new(memory, element, &dims).map_err(|error| not_kept(memory.device(), &output.name, &error))
}

/// Whether CUDA graphs are recorded: only a GPU can.
pub(super) fn records(cuda_graph: bool, device: Device) -> bool {
    cuda_graph && device != Device::Cpu
}
