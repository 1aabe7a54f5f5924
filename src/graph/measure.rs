//! What a graph costs by its shapes alone: operations by kind, weights, and the memory that its values need. Must not know
//! how a runtime fuses, reuses or pads anything.

use super::ir::{Graph, Node, TensorType, Value};
use super::memory::{bytes, peak, shares_input};
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};

/// Tensors together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stock {
    /// How many tensors.
    pub tensors: u64,
    /// Their elements.
    pub elements: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Stock {
    /// Counts one more tensor.
    pub fn add(&mut self, kind: &TensorType) {
        self.tensors += 1;
        self.elements = self.elements.saturating_add(elements(&kind.dims));
        self.bytes = self.bytes.saturating_add(bytes(kind));
    }
}

/// What a graph costs. Nodes that no output needs do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Measure {
    /// Nodes by operator.
    pub operators: BTreeMap<String, u64>,
    /// Floating-point operations of `MatMul`, `Gemm`, `Conv` and `ConvTranspose` by operator: two for each multiply-add;
    /// biases do not count.
    pub products: BTreeMap<String, u64>,
    /// Elements that element-by-element operators put out (`Add`, `Erf`, `Gelu`, `Where`, …).
    pub elementwise: u64,
    /// Elements that `LayerNormalization`, `BatchNormalization`, `LpNormalization` and `Softmax` put out.
    pub normalised: u64,
    /// Elements that reductions and poolings take in.
    pub reduced: u64,
    /// Elements that operators put out which only move, copy, resize or convert.
    pub moved: u64,
    /// Inputs and constants that are weights.
    pub weights: Stock,
    /// The other inputs.
    pub data: Stock,
    /// The other constants that some node reads.
    pub constants: Stock,
    /// The bytes that ONNX Runtime's arena takes for computed values when it runs the graph on the processor, again and
    /// again: what is alive at a time, shared buffers once, and what is lost between them. Inputs, weights, constants and
    /// the outputs that are the next value of an input are not among them.
    pub peak_bytes: u64,
    /// What of it is alive at a time.
    pub alive_bytes: u64,
    /// The node during which that is so, as `OPERATOR NAME`; `None` when nothing is computed.
    pub peak_node: Option<String>,
    /// The bytes of all computed values, as if none were ever given back.
    pub total_bytes: u64,
}

impl Measure {
    /// All that is in `products`.
    pub fn flops(&self) -> u64 {
        self.products.values().fold(0, |sum, flops| sum.saturating_add(*flops))
    }
}

/// Measures what `outputs` need. `is_weight` says of the name of an input or a constant whether it is a weight; inputs
/// that nothing reads count too.
pub fn measure(graph: &Graph, outputs: &[Value], is_weight: impl Fn(&str) -> bool) -> Measure {
    let nodes = needed(graph, outputs);
    let mut measure = Measure::default();
    for node in &nodes {
        *measure.operators.entry(node.op.clone()).or_default() += 1;
        count(graph, node, &mut measure);
    }
    for input in graph.inputs() {
        let stock = if is_weight(graph.name(*input)) { &mut measure.weights } else { &mut measure.data };
        stock.add(graph.kind(*input));
    }
    let read = nodes.iter().flat_map(|node| node.inputs.iter().flatten()).chain(outputs);
    let mut seen = HashSet::new();
    for value in read.filter(|value| graph.constant_of(**value).is_some()) {
        if seen.insert(*value) {
            let stock = if is_weight(graph.name(*value)) { &mut measure.weights } else { &mut measure.constants };
            stock.add(graph.kind(*value));
        }
    }
    for node in nodes.iter().filter(|node| !shares_input(&node.op)) {
        for output in node.outputs.iter().flatten() {
            measure.total_bytes = measure.total_bytes.saturating_add(bytes(graph.kind(*output)));
        }
    }
    let peak = peak(graph, &nodes, outputs);
    (measure.peak_bytes, measure.alive_bytes, measure.peak_node) = (peak.arena, peak.alive, peak.node);
    measure
}

/// The nodes that the outputs need, in order.
fn needed<'a>(graph: &'a Graph, outputs: &[Value]) -> Vec<&'a Node> {
    let mut wanted: HashSet<Value> = outputs.iter().copied().collect();
    let mut nodes = Vec::new();
    for node in graph.nodes().iter().rev() {
        if node.outputs.iter().flatten().any(|output| wanted.contains(output)) {
            wanted.extend(node.inputs.iter().flatten());
            nodes.push(node);
        }
    }
    nodes.reverse();
    nodes
}

fn elements(dims: &[usize]) -> u64 {
    dims.iter().fold(1, |product: u64, dim| product.saturating_mul(*dim as u64))
}

fn count(graph: &Graph, node: &Node, into: &mut Measure) {
    if let Some(flops) = product(graph, node) {
        let sum = into.products.entry(node.op.clone()).or_default();
        *sum = sum.saturating_add(flops);
        return;
    }
    let size = |value: Option<Value>| value.map_or(0, |value| elements(graph.dims(value)));
    let (taken, given) = (size(node.input(0)), size(node.output(0)));
    let (sum, more) = match node.op.as_str() {
        "LayerNormalization" | "BatchNormalization" | "LpNormalization" | "Softmax" | "LogSoftmax" => {
            (&mut into.normalised, given)
        }
        "ArgMax" | "MaxPool" | "AveragePool" => (&mut into.reduced, taken),
        op if op.starts_with("Reduce") => (&mut into.reduced, taken),
        op if shares_input(op) || op == "Constant" || op == "Shape" => return,
        "Cast" | "Transpose" | "Expand" | "Concat" | "Split" | "Slice" | "Pad" | "Gather" | "GatherElements"
        | "GatherND" | "ScatterElements" | "ScatterND" | "OneHot" | "Tile" | "Resize" | "Range" | "ConstantOfShape"
        | "Trilu" => (&mut into.moved, node.outputs.iter().map(|output| size(*output)).sum()),
        _ => (&mut into.elementwise, given),
    };
    *sum = sum.saturating_add(more);
}

/// Two for each multiply-add of a product; `None` for other operators.
fn product(graph: &Graph, node: &Node) -> Option<u64> {
    let dims = |value: Option<Value>| value.map(|value| graph.dims(value));
    let (first, second, out) = (dims(node.input(0)), dims(node.input(1)), dims(node.output(0)));
    let per_element = |dims: &[usize]| elements(dims.get(1..).unwrap_or_default());
    let pairs = match node.op.as_str() {
        "MatMul" => elements(out?).saturating_mul(first?.last().map_or(0, |inner| *inner as u64)),
        "Gemm" => {
            let inner = first?.get(usize::from(node.int("transA", 0) == 0)).copied().unwrap_or(0);
            elements(out?).saturating_mul(inner as u64)
        }
        // Each element put out is a sum over the kernel of one channel: `[out, in / groups, …]`.
        "Conv" => elements(out?).saturating_mul(per_element(second?)),
        // Each element taken in is spread over the kernels of its channel: `[in, out / groups, …]`.
        "ConvTranspose" => elements(first?).saturating_mul(per_element(second?)),
        _ => return None,
    };
    Some(pairs.saturating_mul(2))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::net::{Config, Mode, build, eval_graph};
    use crate::graph::{Element, Tensor};

    fn of(graph: &Graph) -> Measure {
        measure(graph, graph.outputs(), |name| name.starts_with('w'))
    }

    #[test]
    fn products_count_two_a_multiply_add() {
        let mut graph = Graph::new();
        let x = graph.input("x", Element::F32, &[2, 8, 6, 6]).unwrap();
        let w = graph.input("w", Element::F32, &[4, 2, 3, 3]).unwrap();
        let settings = [("group".to_owned(), super::super::Attribute::Int(4))].into();
        let y = graph.op("Conv", &[x, w], settings).unwrap();
        let up = graph.input("w_up", Element::F32, &[4, 5, 2, 2]).unwrap();
        let settings = [("strides".to_owned(), super::super::Attribute::Ints(vec![2, 2]))].into();
        let z = graph.op("ConvTranspose", &[y, up], settings).unwrap();
        let flat = graph.reshape(z, &[2, 5 * 64]).unwrap();
        let matrix = graph.input("w_m", Element::F32, &[3, 320]).unwrap();
        let settings = [("transB".to_owned(), super::super::Attribute::Int(1))].into();
        let out = graph.op("Gemm", &[flat, matrix], settings).unwrap();
        let square = graph.transpose_last(out).unwrap();
        let out = graph.matmul(square, out).unwrap();
        graph.output(out, "y").unwrap();
        let found = of(&graph);
        let wanted = [
            ("Conv", 2 * (2 * 4 * 4 * 4) * (2 * 9)),
            ("ConvTranspose", 2 * (2 * 4 * 4 * 4) * (5 * 4)),
            ("Gemm", 2 * 2 * 3 * 320),
            ("MatMul", 2 * 3 * 3 * 2),
        ];
        assert_eq!(found.products, wanted.map(|(op, flops)| (op.to_owned(), flops)).into());
        assert_eq!(found.flops(), wanted.iter().map(|(_, flops)| flops).sum::<u64>());
        assert_eq!((found.weights.tensors, found.weights.elements), (3, 4 * 18 + 80 + 960));
        assert_eq!((found.data.tensors, found.data.bytes), (1, 4 * 576));
        assert_eq!((found.moved, found.elementwise), (6, 0));
    }

    #[test]
    fn views_are_no_tensors_of_their_own_and_what_nobody_needs_does_not_count() {
        let mut graph = Graph::new();
        let x = graph.input("x", Element::U8, &[4, 8]).unwrap();
        let w = graph.named_constant("w", Tensor::full(&[32], 1.0));
        let view = graph.reshape(x, &[32]).unwrap();
        let first = graph.cast(view, Element::F32).unwrap();
        let second = graph.mul(first, w).unwrap();
        graph.output(second, "second").unwrap();
        graph.unary("Neg", second).unwrap();
        let found = of(&graph);
        assert_eq!((found.alive_bytes, found.total_bytes), (2 * 128, 2 * 128));
        assert_eq!(found.peak_node.as_deref(), Some("Mul Mul"));
        assert_eq!((found.operators.get("Neg"), found.elementwise, found.moved), (None, 32, 32));
        assert_eq!((found.weights.bytes, found.data.bytes, found.constants.tensors), (128, 32, 1));
    }

    #[test]
    fn absurd_lengths_saturate() {
        let kind = TensorType::new(Element::F64, &[usize::MAX, usize::MAX]);
        let mut stock = Stock::default();
        stock.add(&kind);
        stock.add(&kind);
        assert_eq!(stock, Stock { tensors: 2, elements: u64::MAX, bytes: u64::MAX });
    }

    /// Billions of multiply-adds of the network's own layers, and of the whole evaluation graph.
    fn gmac(name: &str) -> (f64, f64) {
        let config = Config::named(name, 28, (512, 512)).unwrap();
        let network = build(&config, Mode::Eval, 1).unwrap();
        let logits = network.heads.first().unwrap().logits;
        let billions = |measure: Measure| measure.flops() as f64 / 2e9;
        let graph = eval_graph(&config, 1).unwrap();
        (billions(measure(&network.graph, &[logits], |_| true)), billions(of(&graph)))
    }

    #[test]
    fn multiply_adds_of_the_networks_are_as_the_closed_forms_say() {
        // What the layers need up to the logits at n = 28, 512×512. SETR's classifiers stand before the last upsampling
        // here, so that they work on fewer pixels: 256² instead of 512² in PUP, 32² instead of 128² in naive and MLA.
        let saved = |channels: f64, from: f64, to: f64| 28.0 * channels * (from * from - to * to) / 1e9;
        for (name, wanted) in [
            ("segmenter-vit-t-mask", 12.30),
            ("segmenter-vit-s-mask", 37.49),
            ("segmenter-vit-b-mask", 126.57),
            ("segmenter-vit-l-mask", 395.20),
            ("setr-naive", 362.37 - saved(256.0, 128.0, 32.0)),
            ("setr-pup", 417.01 - saved(256.0, 512.0, 256.0)),
            ("setr-mla", 367.12 - saved(512.0, 128.0, 32.0)),
        ] {
            let (own, whole) = gmac(name);
            // The closed forms are given to two digits behind the point.
            assert!((own - wanted).abs() < 0.006, "{name}: {own:.3} instead of {wanted:.3}");
            // Upsampling the logits to the picture is a product with matrices, which nobody else counts.
            assert!((own..own + 3.0).contains(&whole), "{name}: {whole:.3} after {own:.3}");
        }
    }
}
