//! Memory of the device that steps compute on, and the copies into and out of it. Must not know what is kept there.

use super::open::{Purpose, open};
use super::{Array, Device, Element, Error, Model, Runtime, SessionSettings, array};
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::value::DynTensor;

/// A tensor with its type and lengths.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) element: Element,
    pub(super) dims: Vec<usize>,
    pub(super) tensor: DynTensor,
}

impl Held {
    /// Its content is not to be relied on.
    pub(super) fn new(memory: &Memory, element: Element, dims: &[usize]) -> Result<Self, ort::Error> {
        Ok(Self { element, dims: dims.to_vec(), tensor: memory.allocate(element, dims)? })
    }
}

/// Where tensors are allocated.
#[derive(Debug)]
pub(super) struct Memory {
    device: Device,
    allocator: Allocator,
    /// A GPU's memory is handed out by a session only, so one is kept for as long as the memory.
    _lender: Option<ort::session::Session>,
}

impl Memory {
    /// The memory of the processor or of a GPU, which must work.
    pub(super) fn of(runtime: &Runtime, device: Device) -> Result<Self, Error> {
        let settings = SessionSettings { device, ..SessionSettings::default() };
        if device == Device::Cpu {
            return Ok(Self { device, allocator: Allocator::default(), _lender: None });
        }
        let model = Model::Bytes(super::doctor::TINY_MODEL);
        let (lender, placement) = open(runtime, "relu4", model, &settings, Purpose::Inference)?;
        let Device::Cuda(number) = placement.device else { return Self::of(runtime, placement.device) };
        let unavailable =
            |error: ort::Error| Error::DeviceUnavailable { device: device.to_string(), detail: error.to_string() };
        let index = i32::try_from(number).unwrap_or(i32::MAX);
        let info = MemoryInfo::new(AllocationDevice::CUDA, index, AllocatorType::Device, MemoryType::Default)
            .map_err(unavailable)?;
        let allocator = Allocator::new(&lender, info).map_err(unavailable)?;
        Ok(Self { device: placement.device, allocator, _lender: Some(lender) })
    }

    /// Never [`Device::Auto`].
    pub(super) fn device(&self) -> Device {
        self.device
    }

    /// A tensor whose content is not to be relied on.
    pub(super) fn allocate(&self, element: Element, dims: &[usize]) -> Result<DynTensor, ort::Error> {
        array::allocate(&self.allocator, element, dims)
    }

    /// Overwrites a tensor of the same type and shape; its address stays.
    pub(super) fn write(&self, array: &Array, tensor: &mut DynTensor) -> Result<(), ort::Error> {
        if self.device == Device::Cpu {
            return array::write(array, tensor);
        }
        let mut host = array::allocate(&Allocator::default(), array.element(), array.dims())?;
        array::write(array, &mut host)?;
        host.copy_into(tensor)
    }

    /// The numbers of a tensor.
    pub(super) fn read(&self, element: Element, dims: &[usize], tensor: &DynTensor) -> Result<Array, ort::Error> {
        if self.device == Device::Cpu {
            return array::read(tensor);
        }
        let mut host = array::allocate(&Allocator::default(), element, dims)?;
        tensor.copy_into(&mut host)?;
        array::read(&host)
    }
}
