//! Numbers with a type and a shape: what constants, parameters and files of weights are made of. Must not know graphs.

use super::Error;
use bytes::Bytes;
use half::{bf16, f16};
use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 64-bit float.
    F64,
    /// IEEE half float.
    F16,
    /// The upper half of a 32-bit float.
    Bf16,
    /// Unsigned byte.
    U8,
    /// Signed byte.
    I8,
    /// 16-bit integer.
    I16,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
    /// One byte, 0 or 1.
    Bool,
}

impl Element {
    /// Bytes of one element.
    pub fn size(self) -> usize {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    /// Whether gradients can flow through values of this type.
    pub fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F64 | Self::F16 | Self::Bf16)
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F64 => "f64",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
            Self::U8 => "u8",
            Self::I8 => "i8",
            Self::I16 => "i16",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
        })
    }
}

/// A tensor: row-major, the last axis the fastest, little-endian. The bytes are shared, often with a mapped file.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    element: Element,
    dims: Vec<usize>,
    data: Bytes,
}

impl Tensor {
    /// Wraps bytes; there must be as many as type and shape say.
    pub fn new(element: Element, dims: Vec<usize>, data: Bytes) -> Result<Self, Error> {
        let wanted = dims.iter().try_fold(element.size(), |product, dim| product.checked_mul(*dim));
        if wanted != Some(data.len()) {
            return Err(Error::Format {
                what: format!("a tensor {element}{dims:?}"),
                wanted: "tensor",
                detail: format!("it holds {} bytes", data.len()),
            });
        }
        Ok(Self { element, dims, data })
    }

    /// A tensor of 32-bit floats; `dims` must multiply to the number of values.
    pub fn f32(dims: &[usize], values: &[f32]) -> Result<Self, Error> {
        Self::new(Element::F32, dims.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// A tensor of 64-bit integers; `dims` must multiply to the number of values.
    pub fn i64(dims: &[usize], values: &[i64]) -> Result<Self, Error> {
        Self::new(Element::I64, dims.to_vec(), values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    /// A number without axes.
    pub fn scalar(value: f32) -> Self {
        Self { element: Element::F32, dims: Vec::new(), data: Bytes::copy_from_slice(&value.to_le_bytes()) }
    }

    /// A list of integers, one axis.
    pub fn ints(values: &[i64]) -> Self {
        let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { element: Element::I64, dims: vec![values.len()], data: data.into() }
    }

    /// 32-bit floats, all the same.
    pub fn full(dims: &[usize], value: f32) -> Self {
        let count: usize = dims.iter().product();
        Self { element: Element::F32, dims: dims.to_vec(), data: value.to_le_bytes().repeat(count).into() }
    }

    /// The type of the elements.
    pub fn element(&self) -> Element {
        self.element
    }

    /// Lengths of the axes, the slowest first; none for a single number.
    pub fn dims(&self) -> &[usize] {
        &self.dims
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether an axis has length 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements' bytes.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The same elements under another shape of the same size.
    pub fn with_dims(&self, dims: &[usize]) -> Result<Self, Error> {
        Self::new(self.element, dims.to_vec(), self.data.clone())
    }

    /// The values as 64-bit floats, whatever the type.
    pub fn to_f64(&self) -> Vec<f64> {
        fn each<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f64) -> Vec<f64> {
            data.as_chunks::<N>().0.iter().map(|bytes| read(*bytes)).collect()
        }
        let data = &self.data;
        match self.element {
            Element::F32 => each(data, |b| f64::from(f32::from_le_bytes(b))),
            Element::F64 => each(data, f64::from_le_bytes),
            Element::F16 => each(data, |b| f16::from_le_bytes(b).to_f64()),
            Element::Bf16 => each(data, |b| bf16::from_le_bytes(b).to_f64()),
            Element::U8 | Element::Bool => each(data, |[b]| f64::from(b)),
            Element::I8 => each(data, |b| f64::from(i8::from_le_bytes(b))),
            Element::I16 => each(data, |b| f64::from(i16::from_le_bytes(b))),
            Element::I32 => each(data, |b| f64::from(i32::from_le_bytes(b))),
            Element::I64 => each(data, |b| i64::from_le_bytes(b) as f64),
        }
    }

    /// The values as 32-bit floats, whatever the type.
    pub fn to_f32(&self) -> Vec<f32> {
        match self.element {
            Element::F32 => self.data.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect(),
            _ => self.to_f64().into_iter().map(|value| value as f32).collect(),
        }
    }

    /// The values as 64-bit integers, fractions cut off.
    pub fn to_i64(&self) -> Vec<i64> {
        match self.element {
            Element::I64 => self.data.as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect(),
            _ => self.to_f64().into_iter().map(|value| value as i64).collect(),
        }
    }

    /// The same values as 32-bit floats.
    pub fn as_f32(&self) -> Result<Self, Error> {
        if self.element == Element::F32 {
            return Ok(self.clone());
        }
        Self::f32(&self.dims, &self.to_f32())
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.element, self.dims)?;
        if self.len() <= 8 { write!(f, " {:?}", self.to_f64()) } else { Ok(()) }
    }
}
