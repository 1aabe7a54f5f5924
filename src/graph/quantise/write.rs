//! The graph with its pairs of QuantizeLinear and DequantizeLinear, which the runtime merges into kernels on bytes. Must not
//! know how ranges were found.

use super::numbers::{Bytes, Channels, Coding};
use super::plan::{Layout, Wiring};
use crate::graph::onnx::messages::{Attribute, Graph, Node, Tensor, attribute_type};
use bytes::Bytes as Raw;
use std::collections::HashMap;

/// A computing node in bytes.
pub(super) struct Computed {
    /// Its weights.
    pub weights: Bytes,
    /// Lengths of the weights' axes.
    pub dims: Vec<usize>,
    /// Where the channels are in them.
    pub channels: Channels,
    pub axis: usize,
    /// Its bias in steps of input scale times weight scale; absent for products without one.
    pub bias: Option<(Vec<i32>, Vec<f32>)>,
}

/// Names of what stands for a tensor as bytes.
fn decoded(tensor: &str) -> String {
    format!("{tensor}/dequantized")
}

/// Nodes and constants under way.
struct Writer {
    nodes: Vec<Node>,
    constants: Vec<Tensor>,
}

fn tensor(name: &str, kind: i32, dims: &[usize], raw: Vec<u8>) -> Tensor {
    Tensor {
        dims: dims.iter().map(|length| *length as i64).collect(),
        data_type: Some(kind),
        name: Some(name.to_owned()),
        raw_data: Some(Raw::from(raw)),
        ..Tensor::default()
    }
}

const F32: i32 = 1;
const U8: i32 = 2;
const I8: i32 = 3;
const I32: i32 = 6;

fn floats(name: &str, dims: &[usize], values: &[f32]) -> Tensor {
    tensor(name, F32, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect())
}

fn node(operator: &str, inputs: [&str; 3], output: &str, axis: Option<usize>) -> Node {
    let axis = axis.map(|axis| Attribute {
        name: Some("axis".to_owned()),
        i: Some(axis as i64),
        r#type: Some(attribute_type::INT),
        ..Attribute::default()
    });
    Node {
        op_type: Some(operator.to_owned()),
        name: Some(output.to_owned()),
        input: inputs.map(str::to_owned).to_vec(),
        output: vec![output.to_owned()],
        attribute: axis.into_iter().collect(),
        ..Node::default()
    }
}

impl Writer {
    /// The pair that makes bytes of a tensor and floats of the bytes.
    fn pair(&mut self, tensor_name: &str, from: &str, to: &str, coding: Coding) {
        let [scale, zero, bytes] = ["scale", "zero", "quantized"].map(|part| format!("{tensor_name}/{part}"));
        self.constants.push(floats(&scale, &[], &[coding.scale]));
        self.constants.push(tensor(&zero, U8, &[], vec![coding.zero]));
        self.nodes.push(node("QuantizeLinear", [from, &scale, &zero], &bytes, None));
        self.nodes.push(node("DequantizeLinear", [&bytes, &scale, &zero], to, None));
    }

    /// Constants of a computing node, as bytes that are decoded; gives the names of what it reads.
    fn constants_of(&mut self, name: &str, computed: &Computed) -> (String, Option<String>) {
        let part = |part: &str| format!("{name}/{part}");
        let count = computed.channels.count;
        let raw = computed.weights.bytes.iter().map(|byte| byte.to_le_bytes()[0]).collect();
        self.constants.push(tensor(&part("weight"), I8, &computed.dims, raw));
        self.constants.push(floats(&part("weight/scale"), &[count], &computed.weights.scales));
        self.constants.push(tensor(&part("weight/zero"), I8, &[count], vec![0; count]));
        let inputs = [part("weight"), part("weight/scale"), part("weight/zero")];
        let weight = part("weight/dequantized");
        self.nodes.push(node("DequantizeLinear", [&inputs[0], &inputs[1], &inputs[2]], &weight, Some(computed.axis)));
        let bias = computed.bias.as_ref().map(|(steps, scales)| {
            self.constants.push(tensor(
                &part("bias"),
                I32,
                &[count],
                steps.iter().flat_map(|s| s.to_le_bytes()).collect(),
            ));
            self.constants.push(floats(&part("bias/scale"), &[count], scales));
            self.constants.push(tensor(&part("bias/zero"), I32, &[count], vec![0; 4 * count]));
            let inputs = [part("bias"), part("bias/scale"), part("bias/zero")];
            let bias = part("bias/dequantized");
            self.nodes.push(node("DequantizeLinear", [&inputs[0], &inputs[1], &inputs[2]], &bias, Some(0)));
            bias
        });
        (weight, bias)
    }
}

/// Puts the pairs in. `codings` holds one of each coded tensor, `computed` one of each quantised node.
pub(super) fn rewrite(
    graph: &mut Graph,
    wiring: &Wiring,
    layout: &Layout,
    codings: &HashMap<String, Coding>,
    computed: &HashMap<usize, Computed>,
) {
    let outputs: Vec<String> = graph.output.iter().filter_map(|info| info.name.clone()).collect();
    let of_integer = |tensor: &str| wiring.owner(tensor).is_some_and(|owner| layout.integer.contains(&owner));
    // An output of the model that comes from bytes keeps its name; what was called so before is called otherwise.
    let renamed =
        |tensor: &str| layout.coded.contains(tensor) && of_integer(tensor) && outputs.iter().any(|o| o == tensor);
    let raw = |tensor: &str| if renamed(tensor) { format!("{tensor}/float") } else { tensor.to_owned() };
    let read = |tensor: &str| if renamed(tensor) { tensor.to_owned() } else { decoded(tensor) };
    let mut writer = Writer { nodes: Vec::with_capacity(graph.node.len() * 2), constants: Vec::new() };
    for input in graph.input.iter().filter_map(|info| info.name.as_deref()) {
        if let (true, Some(coding)) = (layout.coded.contains(input), codings.get(input)) {
            writer.pair(input, input, &decoded(input), *coding);
        }
    }
    for (index, before) in std::mem::take(&mut graph.node).into_iter().enumerate() {
        let mut node = before;
        let integer = layout.integer.contains(&index);
        for tensor in &mut node.input {
            if layout.coded.contains(tensor) && (integer && wiring.data[index].contains(tensor) || of_integer(tensor)) {
                *tensor = read(tensor);
            }
        }
        if let Some(computed) = computed.get(&index) {
            let name = node.name.clone().unwrap_or_default();
            let (weight, bias) = writer.constants_of(&name, computed);
            node.input.truncate(1);
            node.input.push(weight);
            node.input.extend(bias);
        }
        let results = node.output.clone();
        for output in &mut node.output {
            *output = raw(output);
        }
        writer.nodes.push(node);
        for result in results {
            if let (true, Some(coding)) = (layout.coded.contains(&result), codings.get(&result)) {
                writer.pair(&result, &raw(&result), &read(&result), *coding);
            }
        }
    }
    graph.node = writer.nodes;
    graph.initializer.extend(writer.constants);
    drop_unused(graph);
}

/// Weights that only the floats needed go, and so does what is known of values that changed.
fn drop_unused(graph: &mut Graph) {
    let nested = graph.node.iter().any(|node| node.attribute.iter().any(|attribute| attribute.g.is_some()));
    if !nested {
        let used: std::collections::HashSet<&String> = graph
            .node
            .iter()
            .flat_map(|node| &node.input)
            .chain(graph.output.iter().filter_map(|o| o.name.as_ref()))
            .collect();
        let keep: Vec<bool> = graph
            .initializer
            .iter()
            .map(|tensor| tensor.name.as_ref().is_some_and(|name| used.contains(name)))
            .collect();
        let mut keep = keep.into_iter();
        graph.initializer.retain(|_| keep.next().unwrap_or(true));
    }
    graph.value_info.clear();
}
