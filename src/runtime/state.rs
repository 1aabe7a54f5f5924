//! What a training keeps on its device from step to step: parameters, momenta, running statistics, accumulators. Must
//! not know what they are for.

use super::memory::Memory;
use super::{Array, Device, Element, Error, Runtime};
use ort::value::DynTensor;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// Named tensors on one device. Each has a current buffer, which steps read, and from the first step that writes it a
/// spare one, which that step fills; then the two change places. So a step that fails has changed nothing, and no buffer
/// is ever read and written by the same step.
#[derive(Debug)]
pub struct State {
    memory: Memory,
    slots: BTreeMap<String, Slot>,
    /// Another number for each state and each set of its tensors.
    layout: u64,
}

/// The number of the latest layout; 0 is none.
static LAYOUTS: AtomicU64 = AtomicU64::new(0);

fn new_layout() -> u64 {
    LAYOUTS.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
}

/// The two buffers of a name.
#[derive(Debug)]
struct Slot {
    element: Element,
    dims: Vec<usize>,
    current: DynTensor,
    spare: Option<DynTensor>,
}

impl Slot {
    fn bytes(&self) -> usize {
        let one = self.dims.iter().product::<usize>().saturating_mul(self.element.size());
        if self.spare.is_some() { one.saturating_mul(2) } else { one }
    }
}

impl State {
    /// An empty state on a device: the one that [`Step::placement`](super::Step::placement) tells, since a step runs only
    /// with a state of its own device. [`Device::Auto`] is the first GPU, else the processor.
    pub fn new(runtime: &Runtime, device: Device) -> Result<Self, Error> {
        Ok(Self { memory: Memory::of(runtime, device)?, slots: BTreeMap::new(), layout: new_layout() })
    }

    /// Where it lies; never [`Device::Auto`].
    pub fn device(&self) -> Device {
        self.memory.device()
    }

    /// Puts a tensor in, or new numbers into one that is there. One of the same type and shape keeps its buffers.
    pub fn set(&mut self, name: &str, array: &Array) -> Result<(), Error> {
        let device = self.device();
        let failed = |error: ort::Error| not_kept(device, name, &error);
        let fits = |slot: &&mut Slot| slot.element == array.element() && slot.dims == array.dims();
        if let Some(slot) = self.slots.get_mut(name).filter(fits) {
            return self.memory.write(array, &mut slot.current).map_err(failed);
        }
        let mut current = self.memory.allocate(array.element(), array.dims()).map_err(failed)?;
        self.memory.write(array, &mut current).map_err(failed)?;
        let slot = Slot { element: array.element(), dims: array.dims().to_vec(), current, spare: None };
        self.slots.insert(name.to_owned(), slot);
        self.layout = new_layout();
        Ok(())
    }

    /// A copy of a tensor, from the device.
    pub fn get(&self, name: &str) -> Result<Array, Error> {
        let slot = self.slot(name)?;
        self.memory.read(slot.element, &slot.dims, &slot.current).map_err(|error| not_kept(self.device(), name, &error))
    }

    /// Takes a tensor out; whether there was one. Its buffers are freed once no step remembers them.
    pub fn remove(&mut self, name: &str) -> bool {
        self.layout = new_layout();
        self.slots.remove(name).is_some()
    }

    /// Whether there is a tensor of this name.
    pub fn contains(&self, name: &str) -> bool {
        self.slots.contains_key(name)
    }

    /// The type and the lengths of a tensor, nothing copied.
    pub fn shape(&self, name: &str) -> Result<(Element, &[usize]), Error> {
        self.slot(name).map(|slot| (slot.element, slot.dims.as_slice()))
    }

    /// All names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.slots.keys().map(String::as_str)
    }

    /// Bytes of all buffers, spare ones included.
    pub fn bytes(&self) -> usize {
        self.slots.values().map(Slot::bytes).fold(0, usize::saturating_add)
    }

    /// Changes whenever buffers come or go; two buffers of a name that change places change nothing.
    pub(super) fn layout(&self) -> u64 {
        self.layout
    }

    pub(super) fn memory(&self) -> &Memory {
        &self.memory
    }

    /// The buffer that steps read.
    pub(super) fn current(&self, name: &str) -> Result<&DynTensor, Error> {
        self.slot(name).map(|slot| &slot.current)
    }

    /// The buffer that steps write, made if there is none.
    pub(super) fn spare(&mut self, name: &str) -> Result<&mut DynTensor, Error> {
        let known = self.slots.len();
        let Some(slot) = self.slots.get_mut(name) else { return Err(missing(name, known)) };
        let spare = match slot.spare.take() {
            Some(spare) => spare,
            None => self
                .memory
                .allocate(slot.element, &slot.dims)
                .map_err(|error| not_kept(self.memory.device(), name, &error))?,
        };
        Ok(slot.spare.insert(spare))
    }

    /// A copy of what a step has written, before it counts.
    pub(super) fn read_spare(&self, name: &str) -> Result<Array, Error> {
        let slot = self.slot(name)?;
        let spare = slot.spare.as_ref().ok_or_else(|| missing(name, self.slots.len()))?;
        self.memory.read(slot.element, &slot.dims, spare).map_err(|error| not_kept(self.device(), name, &error))
    }

    /// Makes the spare buffer of a name the current one.
    pub(super) fn swap(&mut self, name: &str) {
        if let Some(slot) = self.slots.get_mut(name)
            && let Some(spare) = slot.spare.as_mut()
        {
            std::mem::swap(&mut slot.current, spare);
        }
    }

    fn slot(&self, name: &str) -> Result<&Slot, Error> {
        self.slots.get(name).ok_or_else(|| missing(name, self.slots.len()))
    }
}

/// What is reported when a buffer cannot be made, filled or copied.
pub(super) fn not_kept(device: Device, name: &str, error: &ort::Error) -> Error {
    Error::State { name: name.to_owned(), device: device.to_string(), detail: error.to_string() }
}

fn missing(name: &str, known: usize) -> Error {
    Error::UnknownState { name: name.to_owned(), known }
}
