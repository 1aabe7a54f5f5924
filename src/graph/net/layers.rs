//! Layers that every network here is made of: the tensors are declared first, the nodes added afterwards, since the order
//! of a state dict is not the order of the computation. Tokens are `[B, N, C]`, maps `[B, C, h, w]`.
//! Must not know which network they are in.

use super::Mode;
use super::declare::Declared;
use crate::graph::weights::Role;
use crate::graph::{BatchNorm, Error, Graph, Value, batch_norm_eval, batch_norm_train};

/// Rows and columns of a map.
pub(super) type Grid = (usize, usize);

/// Running statistics with what they become.
pub(super) type Updates = Vec<(Value, Value)>;

/// A fully connected layer.
pub(super) struct Linear {
    weight: Value,
    bias: Option<Value>,
}

impl Linear {
    pub fn declare(into: &mut Declared, name: &str, (inner, outer): (usize, usize)) -> Result<Self, Error> {
        let weight = into.weight(format!("{name}.weight"), &[outer, inner])?;
        Ok(Self { weight, bias: Some(into.weight(format!("{name}.bias"), &[outer])?) })
    }

    pub fn without_bias(into: &mut Declared, name: &str, (inner, outer): (usize, usize)) -> Result<Self, Error> {
        Ok(Self { weight: into.weight(format!("{name}.weight"), &[outer, inner])?, bias: None })
    }

    /// `[…, inner]` to `[…, outer]`.
    pub fn forward(&self, graph: &mut Graph, x: Value) -> Result<Value, Error> {
        graph.linear(x, self.weight, self.bias)
    }
}

/// A layer norm over the last axis.
pub(super) struct LayerNorm {
    scale: Value,
    bias: Value,
    epsilon: f32,
}

impl LayerNorm {
    pub fn declare(into: &mut Declared, name: &str, width: usize, epsilon: f32) -> Result<Self, Error> {
        Self::with_role(into, name, width, epsilon, Role::Weight)
    }

    /// A norm over the classes, whose tensors change with their number.
    pub fn of_classes(into: &mut Declared, name: &str, classes: usize, epsilon: f32) -> Result<Self, Error> {
        Self::with_role(into, name, classes, epsilon, Role::Class)
    }

    fn with_role(into: &mut Declared, name: &str, width: usize, epsilon: f32, role: Role) -> Result<Self, Error> {
        let scale = into.parameter(format!("{name}.weight"), &[width], role)?;
        Ok(Self { scale, bias: into.parameter(format!("{name}.bias"), &[width], role)?, epsilon })
    }

    pub fn forward(&self, graph: &mut Graph, x: Value) -> Result<Value, Error> {
        graph.layer_norm(x, self.scale, self.bias, self.epsilon)
    }
}

/// Convolution without bias that keeps the map's size, batch norm, ReLU.
pub(super) struct ConvNormRelu {
    weight: Value,
    kernel: usize,
    norm: BatchNorm,
    mode: Mode,
}

impl ConvNormRelu {
    /// `kernel` is odd.
    pub fn declare(
        into: &mut Declared,
        name: &str,
        (inner, outer): (usize, usize),
        kernel: usize,
    ) -> Result<Self, Error> {
        let weight = into.weight(format!("{name}.conv.weight"), &[outer, inner, kernel, kernel])?;
        Ok(Self { weight, kernel, norm: into.batch_norm(&format!("{name}.bn"), outer)?, mode: into.mode })
    }

    /// Map to map.
    pub fn forward(&self, graph: &mut Graph, updates: &mut Updates, x: Value) -> Result<Value, Error> {
        let x = graph.conv(x, self.weight, None, (1, self.kernel / 2))?;
        self.norm_relu(graph, updates, x)
    }

    /// Tokens to map. A kernel of 1×1 is a product with the tokens as they lie, and only its result is turned.
    pub fn forward_tokens(
        &self,
        graph: &mut Graph,
        updates: &mut Updates,
        x: Value,
        grid: Grid,
    ) -> Result<Value, Error> {
        if self.kernel != 1 {
            let map = to_map(graph, x, grid)?;
            return self.forward(graph, updates, map);
        }
        let weight = pointwise(graph, self.weight)?;
        let x = graph.linear(x, weight, None)?;
        let x = to_map(graph, x, grid)?;
        self.norm_relu(graph, updates, x)
    }

    fn norm_relu(&self, graph: &mut Graph, updates: &mut Updates, x: Value) -> Result<Value, Error> {
        let x = match self.mode {
            Mode::Eval => batch_norm_eval(graph, x, &self.norm)?,
            Mode::Train => {
                let out = batch_norm_train(graph, x, &self.norm)?;
                updates.push((self.norm.running_mean, out.next_mean));
                updates.push((self.norm.running_var, out.next_var));
                out.y
            }
        };
        graph.unary("Relu", x)
    }
}

/// The last layer of most heads: a 1×1 convolution to one number a class.
pub(super) struct Classifier {
    weight: Value,
    bias: Value,
}

impl Classifier {
    pub fn declare(into: &mut Declared, head: &str, channels: usize, classes: usize) -> Result<Self, Error> {
        let weight = into.parameter(format!("{head}.conv_seg.weight"), &[classes, channels, 1, 1], Role::Class)?;
        let bias = into.parameter(format!("{head}.conv_seg.bias"), &[classes], Role::Class)?;
        Ok(Self { weight, bias })
    }

    /// Tokens `[B, N, C]` to logits `[B, N, classes]`.
    pub fn forward_tokens(&self, graph: &mut Graph, x: Value) -> Result<Value, Error> {
        let weight = pointwise(graph, self.weight)?;
        graph.linear(x, weight, Some(self.bias))
    }

    /// Map `[B, C, h, w]` to logits `[B, h*w, classes]`.
    pub fn forward(&self, graph: &mut Graph, x: Value) -> Result<Value, Error> {
        let map = graph.conv(x, self.weight, Some(self.bias), (1, 0))?;
        to_tokens(graph, map)
    }
}

/// `[out, in, 1, 1]` as `[out, in]`.
fn pointwise(graph: &mut Graph, weight: Value) -> Result<Value, Error> {
    let dims: Vec<usize> = graph.dims(weight).iter().take(2).copied().collect();
    graph.reshape(weight, &dims)
}

/// Tokens `[B, h*w, C]` as a map `[B, C, h, w]`.
pub(super) fn to_map(graph: &mut Graph, x: Value, (height, width): Grid) -> Result<Value, Error> {
    let turned = graph.transpose_last(x)?;
    let dims: Vec<usize> = graph.dims(turned).iter().take(2).copied().chain([height, width]).collect();
    graph.reshape(turned, &dims)
}

/// A map `[B, C, h, w]` as tokens `[B, h*w, C]`.
pub(super) fn to_tokens(graph: &mut Graph, x: Value) -> Result<Value, Error> {
    let dims = graph.dims(x);
    let cells: usize = dims.iter().skip(2).product();
    let flat: Vec<usize> = dims.iter().take(2).copied().chain([cells]).collect();
    let flat = graph.reshape(x, &flat)?;
    graph.transpose_last(flat)
}
