//! Matrix products in 16 bits: a graph in 32 bits becomes one whose products read and give 16-bit numbers, while weights,
//! sums, normalisations, loss and update stay in 32. Must not know what the graph computes.

use crate::graph::ir::{Graph, Node, Value};
use crate::graph::{Element, Error};
use std::collections::HashMap;

/// In which numbers products are computed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Precision {
    /// 32-bit floats throughout.
    #[default]
    F32,
    /// Matrix products in bf16. Needs a GPU: the processor has no kernels for it.
    Bf16,
    /// 32-bit products of factors that were rounded to bf16: near [`Precision::Bf16`], for comparisons on the processor.
    Bf16Emulated,
    /// Matrix products and convolutions in IEEE half floats, the loss scaled so that small gradients survive.
    F16,
}

impl Precision {
    /// The word for it: `fp32`, `bf16`, `bf16-emulated`, `fp16`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "fp32",
            Self::Bf16 => "bf16",
            Self::Bf16Emulated => "bf16-emulated",
            Self::F16 => "fp16",
        }
    }

    /// Whether the step has a loss scale, and skips updates that are not finite.
    pub fn scales_loss(self) -> bool {
        self == Self::F16
    }

    fn element(self) -> Option<Element> {
        match self {
            Self::F32 => None,
            Self::Bf16 | Self::Bf16Emulated => Some(Element::Bf16),
            Self::F16 => Some(Element::F16),
        }
    }

    fn lowers(self, node: &Node) -> bool {
        match node.op.as_str() {
            "MatMul" | "Gemm" => true,
            // A convolution in bf16 has no kernel in this opset.
            "Conv" | "ConvTranspose" => self == Self::F16,
            _ => false,
        }
    }
}

/// Operators that only move numbers: between two products they move the short ones.
fn moves(node: &Node) -> bool {
    matches!(node.op.as_str(), "Reshape" | "Transpose" | "Split" | "Squeeze" | "Unsqueeze" | "Slice")
}

/// A value in the new graph, in either length, as far as somebody asked for it.
#[derive(Clone, Copy, Default)]
struct Lengths {
    long: Option<Value>,
    short: Option<Value>,
}

struct Lowering {
    precision: Precision,
    element: Element,
    graph: Graph,
    values: HashMap<Value, Lengths>,
}

/// The same graph in another precision; the types of inputs and outputs stay.
pub(super) fn lower(graph: &Graph, precision: Precision) -> Result<Graph, Error> {
    let Some(element) = precision.element() else { return Ok(graph.clone()) };
    let mut lowering = Lowering { precision, element, graph: Graph::new(), values: HashMap::new() };
    lowering.graph.metadata.clone_from(&graph.metadata);
    for input in graph.inputs() {
        let kind = graph.kind(*input).clone();
        let value = lowering.graph.input(graph.name(*input), kind.element, &kind.dims)?;
        lowering.values.insert(*input, Lengths { long: Some(value), short: None });
    }
    for node in graph.live() {
        lowering.node(graph, node)?;
    }
    for output in graph.outputs() {
        let value = lowering.long(graph, *output)?;
        lowering.graph.output(value, graph.name(*output))?;
    }
    Ok(lowering.graph)
}

impl Lowering {
    fn node(&mut self, old: &Graph, node: &Node) -> Result<(), Error> {
        let floats = node.inputs.iter().flatten().all(|value| old.kind(*value).element == Element::F32);
        let lowered = floats && self.precision.lowers(node);
        let moved = moves(node) && node.input(0).is_some_and(|x| self.has_short(x));
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for (place, value) in node.inputs.iter().enumerate() {
            let short = lowered || (moved && place == 0);
            inputs.push(match value {
                None => None,
                Some(value) if short => Some(self.short(old, *value)?),
                Some(value) => Some(self.long(old, *value)?),
            });
        }
        if lowered && self.emulated() {
            for input in inputs.iter_mut().flatten() {
                *input = self.graph.cast(*input, Element::F32)?;
            }
        }
        let count = node.outputs.len();
        let results = self.graph.node(&node.op, &node.name, &inputs, count, node.attributes.clone())?;
        for (output, result) in node.outputs.iter().zip(results) {
            let Some(output) = output else { continue };
            let lengths = match (lowered && !self.emulated()) || moved {
                true => Lengths { long: None, short: Some(result) },
                false => Lengths { long: Some(result), short: None },
            };
            self.values.insert(*output, lengths);
        }
        Ok(())
    }

    fn emulated(&self) -> bool {
        self.precision == Precision::Bf16Emulated
    }

    fn has_short(&self, value: Value) -> bool {
        self.values.get(&value).is_some_and(|lengths| lengths.long.is_none() && lengths.short.is_some())
    }

    fn constant(&mut self, old: &Graph, value: Value) -> Lengths {
        if let Some(lengths) = self.values.get(&value) {
            return *lengths;
        }
        let long = old.constant_of(value).map(|tensor| self.graph.named_constant(old.name(value), tensor.clone()));
        Lengths { long, short: None }
    }

    fn long(&mut self, old: &Graph, value: Value) -> Result<Value, Error> {
        let mut lengths = self.constant(old, value);
        let long = match (lengths.long, lengths.short) {
            (Some(long), _) => long,
            (None, Some(short)) => self.graph.cast(short, old.kind(value).element)?,
            (None, None) => return Err(lost(old, value)),
        };
        lengths.long = Some(long);
        self.values.insert(value, lengths);
        Ok(long)
    }

    fn short(&mut self, old: &Graph, value: Value) -> Result<Value, Error> {
        let mut lengths = self.constant(old, value);
        let short = match (lengths.short, lengths.long) {
            (Some(short), _) => short,
            (None, Some(long)) => self.graph.cast(long, self.element)?,
            (None, None) => return Err(lost(old, value)),
        };
        lengths.short = Some(short);
        self.values.insert(value, lengths);
        Ok(short)
    }
}

fn lost(old: &Graph, value: Value) -> Error {
    Error::Node { node: format!("value `{}`", old.name(value)), detail: "nothing before it gives it".to_owned() }
}
