//! Networks as graphs of standard ONNX operators: reading, writing, building, differentiating; and the weights that fill
//! them. Must not know ONNX Runtime, storage, pipelines or images: values in, values out.

mod attributes;
mod batch_norm;
mod build;
mod cut;
mod disk;
mod error;
mod fold;
mod grad;
mod import;
mod ir;
mod measure;
mod memory;
pub mod net;
pub mod onnx;
pub mod quantise;
mod resample;
mod shape;
mod tensor;
pub mod train;
pub mod weights;

pub use attributes::{Attribute, Attributes};
pub use batch_norm::{BatchNorm, BatchNormOut, batch_norm_eval, batch_norm_train};
pub use cut::{Segment, cut};
pub(crate) use disk::{map_file, replace};
pub use error::Error;
use grad::all_gradients;
pub use grad::gradients;
pub use import::{ImportSettings, Imported, ImportedRunning, ImportedTensor, import};
pub use ir::{CONSTANT, Graph, Node, TensorType, Value};
pub use measure::{Measure, Stock, measure};
pub use tensor::{Element, Tensor};
