//! A model opened for running: its inputs and outputs, and one run at a time. Must not know what the numbers mean.

use super::open::{Purpose, open};
use super::watch::cancellable;
use super::{Error, Model, Placement, Runtime, SessionSettings};
use crate::cancel::Cancel;
use ort::memory::{AllocationDevice, AllocatorType, MemoryInfo, MemoryType};
use ort::session::{IoBinding, RunOptions};
use ort::value::{Outlet, ValueType};
use std::fmt;

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

impl ValueInfo {
    /// The lengths of the axes, where all are fixed.
    pub fn fixed(&self) -> Option<Vec<usize>> {
        let length = |dimension: &Dimension| match dimension {
            Dimension::Fixed(length) => Some(*length),
            Dimension::Dynamic(_) => None,
        };
        self.shape.iter().map(length).collect()
    }
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

impl Session {
    /// Opens a whole model (all weights inside) under a name that errors will use.
    pub fn open(runtime: &Runtime, name: &str, model: &[u8], settings: &SessionSettings) -> Result<Self, Error> {
        let (session, placement) = open(runtime, name, Model::Bytes(model), settings, Purpose::Inference)?;
        let inputs = session.inputs().iter().map(describe).collect();
        let outputs = session.outputs().iter().map(describe).collect();
        let reply_memory = MemoryInfo::new(AllocationDevice::CPU, 0, AllocatorType::Device, MemoryType::CPUOutput)
            .map_err(|error| Error::Run { model: name.to_owned(), detail: error.to_string() })?;
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

    /// Runs a model of one input once; numbers for an input of bytes are rounded to them. Only the outputs asked for are fetched, in the order asked. A run that is
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
        expect(&self.model, "input", &self.inputs, input)?;
        for output in outputs {
            expect(&self.model, "output", &self.outputs, output)?;
        }
        let binding = self.bind(input, shape, data, outputs).map_err(|error| self.failed(&error))?;
        self.run_bound(&binding, outputs, cancel)
    }

    fn failed(&self, error: &ort::Error) -> Error {
        Error::Run { model: self.model.clone(), detail: error.to_string() }
    }

    /// Binds by name, and not by the list of all outputs, since an output that nobody binds is never copied from a GPU.
    fn bind(&self, input: &str, shape: &[usize], data: &[f32], outputs: &[&str]) -> Result<IoBinding, ort::Error> {
        let mut binding = self.session.create_binding()?;
        let bytes = self.inputs.iter().any(|value| value.name == input && value.element == "u8");
        if bytes {
            let data: Vec<u8> = data.iter().map(|number| number.round().clamp(0.0, 255.0) as u8).collect();
            binding.bind_input(input, &ort::value::Tensor::from_array((shape.to_vec(), data))?)?;
        } else {
            binding.bind_input(input, &ort::value::Tensor::from_array((shape.to_vec(), data.to_vec()))?)?;
        }
        for output in outputs {
            binding.bind_output_to_device(*output, &self.reply_memory)?;
        }
        // The copy to a GPU may still be under way when the call comes back.
        binding.synchronize_inputs()?;
        Ok(binding)
    }

    fn run_bound(&mut self, binding: &IoBinding, outputs: &[&str], cancel: &Cancel) -> Result<Vec<Tensor>, Error> {
        let Self { model, session, .. } = self;
        let failed = |detail: String| Error::Run { model: model.clone(), detail };
        let options = RunOptions::new().map_err(|error| failed(error.to_string()))?;
        let values = cancellable(model, cancel, &options, |options| {
            let values = session.run_binding_with_options(binding, options)?;
            binding.synchronize_outputs()?;
            Ok(values)
        })?;
        let mut tensors = Vec::with_capacity(outputs.len());
        for name in outputs {
            let value = values.get(name).ok_or_else(|| failed(format!("the output `{name}` did not come back")))?;
            let (shape, data) = value.try_extract_tensor::<f32>().map_err(|_| Error::NotF32 {
                model: model.clone(),
                name: (*name).to_owned(),
                element: element(value.dtype()),
            })?;
            let shape = shape.iter().map(|length| usize::try_from(*length).unwrap_or(0)).collect();
            tensors.push(Tensor { name: (*name).to_owned(), shape, data: data.to_vec() });
        }
        Ok(tensors)
    }
}

/// Names and shapes of what goes in or comes out.
pub(super) fn describe(outlet: &Outlet) -> ValueInfo {
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

/// Names that an error lists before it only counts the rest.
const MOST_LISTED: usize = 20;

/// The value of this name among a model's inputs or outputs.
pub(super) fn expect<'a>(
    model: &str,
    kind: &'static str,
    values: &'a [ValueInfo],
    name: &str,
) -> Result<&'a ValueInfo, Error> {
    values.iter().find(|value| value.name == name).ok_or_else(|| {
        let listed = values.iter().take(MOST_LISTED).map(|value| value.name.as_str());
        let mut known = listed.collect::<Vec<_>>().join(", ");
        if let Some(rest) = values.len().checked_sub(MOST_LISTED).filter(|rest| *rest > 0) {
            known.push_str(&format!(" and {rest} more"));
        }
        Error::UnknownValue { model: model.to_owned(), kind, name: name.to_owned(), known }
    })
}
