//! Numbers of any element type as they go to and come from the runtime. Must not know which device they go to.

use super::Error;
use bytes::Bytes;
use half::{bf16, f16};
use ort::memory::Allocator;
use ort::value::{DynTensor, PrimitiveTensorElementType, TensorElementType, TensorValueTypeMarker, Value, ValueType};
use std::fmt;

/// The type of one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 16-bit float, IEEE 754 half.
    F16,
    /// 16-bit float with the exponent of an f32.
    Bf16,
    /// 64-bit float.
    F64,
    /// Unsigned byte.
    U8,
    /// Signed byte.
    I8,
    /// Signed, 32 bits.
    I32,
    /// Signed, 64 bits.
    I64,
    /// One byte, 0 or 1.
    Bool,
}

impl Element {
    /// Bytes of one number.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::F16 | Self::Bf16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// As [`ValueInfo`](super::ValueInfo) writes it: `f32`, `bf16`, `i64`, …
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::F64 => "f64",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        }
    }

    /// The type that [`name`](Self::name) writes so.
    pub(super) fn named(name: &str) -> Option<Self> {
        let all = [Self::F32, Self::F16, Self::Bf16, Self::F64, Self::U8, Self::I8, Self::I32, Self::I64, Self::Bool];
        all.into_iter().find(|element| element.name() == name)
    }

    pub(super) fn to_library(self) -> TensorElementType {
        match self {
            Self::F32 => TensorElementType::Float32,
            Self::F16 => TensorElementType::Float16,
            Self::Bf16 => TensorElementType::Bfloat16,
            Self::F64 => TensorElementType::Float64,
            Self::U8 => TensorElementType::Uint8,
            Self::I8 => TensorElementType::Int8,
            Self::I32 => TensorElementType::Int32,
            Self::I64 => TensorElementType::Int64,
            Self::Bool => TensorElementType::Bool,
        }
    }

    /// `None` for the types that no training graph has at its edges: strings, complex and sub-byte numbers.
    pub(super) fn from_library(element: TensorElementType) -> Option<Self> {
        Some(match element {
            TensorElementType::Float32 => Self::F32,
            TensorElementType::Float16 => Self::F16,
            TensorElementType::Bfloat16 => Self::Bf16,
            TensorElementType::Float64 => Self::F64,
            TensorElementType::Uint8 => Self::U8,
            TensorElementType::Int8 => Self::I8,
            TensorElementType::Int32 => Self::I32,
            TensorElementType::Int64 => Self::I64,
            TensorElementType::Bool => Self::Bool,
            _ => return None,
        })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Numbers of one type, row-major, the last axis the fastest, little-endian. Clones share the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    element: Element,
    dims: Vec<usize>,
    data: Bytes,
}

impl Array {
    /// An array over bytes that must fill the lengths exactly; no lengths are one number. A `bool` is a byte 0 or 1.
    pub fn new(element: Element, dims: &[usize], data: impl Into<Bytes>) -> Result<Self, Error> {
        let data = data.into();
        let refused = |detail: String| Error::Array { array: describe(element, dims), detail };
        let wanted = byte_count(element, dims).ok_or_else(|| refused("no memory is so large".to_owned()))?;
        if wanted != data.len() {
            return Err(refused(format!("it takes {wanted} bytes, and {} were given", data.len())));
        }
        if let Some(byte) = data.iter().find(|byte| element == Element::Bool && **byte > 1) {
            return Err(refused(format!("a bool is 0 or 1, and {byte} was given")));
        }
        Ok(Self { element, dims: dims.to_vec(), data })
    }

    /// An array of 32-bit floats.
    pub fn from_f32(dims: &[usize], numbers: &[f32]) -> Result<Self, Error> {
        Self::new(Element::F32, dims, to_bytes(numbers))
    }

    /// One 32-bit float without axes.
    pub fn scalar(number: f32) -> Self {
        Self { element: Element::F32, dims: Vec::new(), data: Bytes::copy_from_slice(&number.to_le_bytes()) }
    }

    /// An array of unsigned bytes.
    pub fn u8(dims: &[usize], numbers: impl Into<Bytes>) -> Result<Self, Error> {
        Self::new(Element::U8, dims, numbers)
    }

    /// An array of signed 64-bit integers.
    pub fn i64(dims: &[usize], numbers: &[i64]) -> Result<Self, Error> {
        Self::new(Element::I64, dims, to_bytes(numbers))
    }

    /// The type of its numbers.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Lengths of the axes, the slowest first.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// The numbers, little-endian and row-major.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The numbers of an array of f32, f16 or bf16; all of them are exact as f32. Other types are an error.
    pub fn to_f32(&self) -> Result<Vec<f32>, Error> {
        match self.element {
            Element::F32 => Ok(numbers::<f32>(&self.data).collect()),
            Element::F16 => Ok(numbers::<f16>(&self.data).map(f16::to_f32).collect()),
            Element::Bf16 => Ok(numbers::<bf16>(&self.data).map(bf16::to_f32).collect()),
            _ => Err(Error::NotFloat { array: self.describe() }),
        }
    }

    /// `f32 3×4`, as messages name it.
    pub(super) fn describe(&self) -> String {
        describe(self.element, &self.dims)
    }
}

/// `f32 3×4`; a number without axes is only `f32`.
pub(super) fn describe(element: Element, dims: &[usize]) -> String {
    let lengths = dims.iter().map(ToString::to_string).collect::<Vec<_>>().join("×");
    format!("{element} {lengths}").trim_end().to_owned()
}

/// `None` where the lengths, those of 0 left aside, are too many for an address.
fn byte_count(element: Element, dims: &[usize]) -> Option<usize> {
    let lengths = dims.iter().filter(|length| **length > 0);
    let most = lengths
        .copied()
        .try_fold(element.size(), usize::checked_mul)
        .filter(|bytes| isize::try_from(*bytes).is_ok())?;
    Some(if dims.contains(&0) { 0 } else { most })
}

/// A tensor in the memory of an allocator. What is in it is undefined on a GPU and 0 elsewhere.
pub(super) fn allocate(allocator: &Allocator, element: Element, dims: &[usize]) -> Result<DynTensor, ort::Error> {
    DynTensor::new(allocator, element.to_library(), dims)
}

/// Copies an array into a tensor of the same type and shape in the processor's memory.
pub(super) fn write(array: &Array, tensor: &mut DynTensor) -> Result<(), ort::Error> {
    let data = &array.data;
    match array.element {
        Element::F32 => fill::<f32>(data, tensor),
        Element::F16 => fill::<f16>(data, tensor),
        Element::Bf16 => fill::<bf16>(data, tensor),
        Element::F64 => fill::<f64>(data, tensor),
        Element::U8 => fill::<u8>(data, tensor),
        Element::I8 => fill::<i8>(data, tensor),
        Element::I32 => fill::<i32>(data, tensor),
        Element::I64 => fill::<i64>(data, tensor),
        Element::Bool => fill::<bool>(data, tensor),
    }
}

/// Copies a tensor out of the processor's memory.
pub(super) fn read<V: TensorValueTypeMarker + ?Sized>(value: &Value<V>) -> Result<Array, ort::Error> {
    let element = match value.dtype() {
        ValueType::Tensor { ty, .. } => Element::from_library(*ty),
        _ => None,
    };
    match element.ok_or_else(|| ort::Error::new(format!("a value of type {} cannot be read", value.dtype())))? {
        Element::F32 => take::<f32, V>(Element::F32, value),
        Element::F16 => take::<f16, V>(Element::F16, value),
        Element::Bf16 => take::<bf16, V>(Element::Bf16, value),
        Element::F64 => take::<f64, V>(Element::F64, value),
        Element::U8 => take::<u8, V>(Element::U8, value),
        Element::I8 => take::<i8, V>(Element::I8, value),
        Element::I32 => take::<i32, V>(Element::I32, value),
        Element::I64 => take::<i64, V>(Element::I64, value),
        Element::Bool => take::<bool, V>(Element::Bool, value),
    }
}

/// A number and its little-endian bytes.
trait Number: PrimitiveTensorElementType + Copy {
    const SIZE: usize;
    /// From `SIZE` bytes.
    fn get(bytes: &[u8]) -> Self;
    fn put(self, bytes: &mut Vec<u8>);
}

macro_rules! number {
    ($($type:ty),*) => {$(
        impl Number for $type {
            const SIZE: usize = size_of::<Self>();
            fn get(bytes: &[u8]) -> Self {
                Self::from_le_bytes(bytes.try_into().unwrap_or_default())
            }
            fn put(self, bytes: &mut Vec<u8>) {
                bytes.extend_from_slice(&self.to_le_bytes());
            }
        }
    )*};
}
number!(f32, f16, bf16, f64, u8, i8, i32, i64);

impl Number for bool {
    const SIZE: usize = 1;
    fn get(bytes: &[u8]) -> Self {
        bytes != [0]
    }
    fn put(self, bytes: &mut Vec<u8>) {
        bytes.push(self.into());
    }
}

fn numbers<N: Number>(data: &[u8]) -> impl Iterator<Item = N> {
    data.chunks_exact(N::SIZE).map(N::get)
}

fn to_bytes<N: Number>(numbers: &[N]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size_of_val(numbers));
    for number in numbers {
        number.put(&mut bytes);
    }
    bytes
}

fn fill<N: Number>(data: &[u8], tensor: &mut DynTensor) -> Result<(), ort::Error> {
    let (_, slots) = tensor.try_extract_tensor_mut::<N>()?;
    for (slot, number) in slots.iter_mut().zip(numbers::<N>(data)) {
        *slot = number;
    }
    Ok(())
}

fn take<N: Number, V: TensorValueTypeMarker + ?Sized>(element: Element, value: &Value<V>) -> Result<Array, ort::Error> {
    let (shape, numbers) = value.try_extract_tensor::<N>()?;
    let dims = shape.iter().map(|length| usize::try_from(*length).unwrap_or(0)).collect();
    Ok(Array { element, dims, data: to_bytes(numbers).into() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Array, Element, to_bytes};
    use half::{bf16, f16};

    #[test]
    fn bytes_that_do_not_fill_the_shape_are_refused_with_both_counts() {
        let error = Array::new(Element::F32, &[2, 3], vec![0; 20]).unwrap_err().to_string();
        assert!(error.contains("f32 2×3") && error.contains("24 bytes") && error.contains("20"), "{error}");
        assert!(Array::new(Element::I64, &[usize::MAX, 2], Vec::new()).is_err());
        assert!(Array::new(Element::I64, &[usize::MAX, 2, 0], Vec::new()).is_err());
        assert!(Array::new(Element::I64, &[3, 0], Vec::new()).is_ok());
        assert!(Array::new(Element::U8, &[], vec![7]).is_ok());
    }

    #[test]
    fn a_bool_is_0_or_1() {
        assert!(Array::new(Element::Bool, &[2], vec![0, 1]).is_ok());
        assert!(Array::new(Element::Bool, &[2], vec![0, 2]).is_err());
    }

    #[test]
    fn floats_of_16_bits_come_out_as_they_went_in_and_integers_not_at_all() {
        let numbers = [1.5_f32, -0.0, 65504.0, f32::INFINITY];
        assert_eq!(Array::from_f32(&[4], &numbers).unwrap().to_f32().unwrap(), numbers);
        let half = to_bytes(&numbers.map(f16::from_f32));
        assert_eq!(Array::new(Element::F16, &[4], half).unwrap().to_f32().unwrap(), numbers);
        let brain = to_bytes(&[1.5_f32, -3.0].map(bf16::from_f32));
        assert_eq!(Array::new(Element::Bf16, &[2, 1], brain).unwrap().to_f32().unwrap(), [1.5, -3.0]);
        let error = Array::i64(&[1], &[3]).unwrap().to_f32().unwrap_err().to_string();
        assert!(error.contains("i64"), "{error}");
    }
}
