//! Networks as graphs of standard ONNX operators: reading, writing, building, differentiating; and the weights that fill
//! them. Must not know ONNX Runtime, storage, pipelines or images: values in, values out.

mod error;
mod tensor;
pub mod weights;

pub use error::Error;
pub use tensor::{Element, Tensor};
