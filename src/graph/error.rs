//! What can go wrong between a file of weights or nodes and a graph that can be trained. Must not know stages.

use std::path::PathBuf;

/// Why a graph could not be read, built, differentiated or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read or written.
    #[error("{path}: {detail}; check that it is there and that you may use it", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The system's words.
        detail: String,
    },
    /// The bytes are not what they should be.
    #[error("{what} is no {wanted} that can be read: {detail}")]
    Format {
        /// The file, or what the bytes are called.
        what: String,
        /// `ONNX model`, `safetensors file`, `PyTorch checkpoint`.
        wanted: &'static str,
        /// What is wrong, and where.
        detail: String,
    },
    /// A checkpoint that wants to run code while it is read.
    #[error(
        "{what} is refused: {detail}; a checkpoint of plain tensors does not need this. Save it anew with torch.save(model.state_dict(), …), or as safetensors"
    )]
    Unsafe {
        /// The file.
        what: String,
        /// The opcode or the global that was met.
        detail: String,
    },
    /// A node that this program cannot compute the shape or the gradient of.
    #[error("the node {node} is not supported: {detail}")]
    Unsupported {
        /// Operator and name of the node.
        node: String,
        /// What is missing, and what to do.
        detail: String,
    },
    /// Shapes or types that do not go together.
    #[error("the node {node} cannot be built: {detail}")]
    Node {
        /// Operator and name of the node.
        node: String,
        /// What does not fit.
        detail: String,
    },
    /// A network's description that makes no network.
    #[error("no such network: {detail}")]
    Network {
        /// What is wrong, and what is possible.
        detail: String,
    },
    /// Weights that do not fit the network.
    #[error("the weights do not fit: {detail}")]
    Weights {
        /// Which tensor, what was expected, what was found.
        detail: String,
    },
    /// A training step that cannot be made from this graph.
    #[error("no training step can be made: {detail}")]
    Step {
        /// What is missing, and what to do.
        detail: String,
    },
}

impl Error {
    pub(crate) fn file(path: &std::path::Path, error: &dyn std::fmt::Display) -> Self {
        Self::File { path: path.to_path_buf(), detail: error.to_string() }
    }
}
