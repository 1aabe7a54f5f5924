//! ONNX files: bytes to messages to a graph, and back. Must not know gradients or networks.

pub mod messages;
mod read;
mod unknown;
mod write;

use super::{Element, Error};

pub use read::{Source, read_model};
pub(crate) use read::{fixed_length, length_key};
pub use write::{encode, write_model};

/// The version of the file format that is written.
pub const IR_VERSION: i64 = 10;
/// The version of the operators that is written: the newest that has a CUDA kernel for every operator of a step.
pub const OPSET: i64 = 21;

/// The format's number for a type.
pub(crate) fn code_of(element: Element) -> i32 {
    match element {
        Element::F32 => 1,
        Element::U8 => 2,
        Element::I8 => 3,
        Element::I16 => 5,
        Element::I32 => 6,
        Element::I64 => 7,
        Element::Bool => 9,
        Element::F16 => 10,
        Element::F64 => 11,
        Element::Bf16 => 16,
    }
}

/// The type of a number of the format.
pub(crate) fn element_of(code: i32, what: &str) -> Result<Element, Error> {
    let all = [
        Element::F32,
        Element::U8,
        Element::I8,
        Element::I16,
        Element::I32,
        Element::I64,
        Element::Bool,
        Element::F16,
        Element::F64,
        Element::Bf16,
    ];
    all.into_iter().find(|element| code_of(*element) == code).ok_or_else(|| Error::Unsupported {
        node: what.to_owned(),
        detail: format!(
            "its element type has the number {code}, and only floats, integers and booleans are known here"
        ),
    })
}
