//! Memory for time: parts of the forward pass that are not kept until the backward pass needs them but computed a second
//! time there. Must not know rules of gradients, nor networks beyond the names of their blocks.
//!
//! A region is a set of forward nodes. What other forward nodes read of it is kept as before; what only gradients read is
//! internal, and comes from copies of the nodes that stand in the backward pass. Two things keep a copy a copy. The
//! runtime merges nodes that compute the same from the same, and runs nodes in an order of its own. So the first input
//! goes through `Where(c, x, x)`, with a `c` that is made from the gradient that comes into the region: it is `x` whatever
//! `c` is, to the last bit, and cannot be had before that gradient.

use crate::graph::attributes::Attributes;
use crate::graph::ir::{Graph, Node, Value};
use crate::graph::{Element, Error};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What the backward pass computes again instead of having it kept since the forward pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// Nothing.
    #[default]
    None,
    /// The scores and probabilities of every attention, from its queries and keys.
    Attention,
    /// All that is within a block of a transformer, from the block's input; in graphs from elsewhere, whose blocks have
    /// no names, only what [`Recompute::Attention`] says.
    Blocks,
}

impl Recompute {
    /// The word for it: `none`, `attention`, `blocks`.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Attention => "attention",
            Self::Blocks => "blocks",
        }
    }
}

/// How many nodes may stand between the two products of an attention and its softmax, on either side.
const FARTHEST: usize = 8;

/// Node numbers.
type Region = BTreeSet<usize>;

/// Rewrites a graph whose first `forward` nodes are the forward pass and the loss, and the others gradients. `known`
/// gives the gradients of forward values, `kept` are values that become outputs later.
pub(super) fn recompute(
    graph: &mut Graph,
    what: Recompute,
    forward: usize,
    known: &HashMap<Value, Value>,
    kept: &[Value],
) -> Result<(), Error> {
    let regions = match what {
        Recompute::None => return Ok(()),
        Recompute::Attention => attentions(graph, forward, &Region::new()),
        Recompute::Blocks => {
            let mut regions = blocks(graph, forward);
            let covered: Region = regions.iter().flatten().copied().collect();
            regions.extend(attentions(graph, forward, &covered));
            regions
        }
    };
    let kept: HashSet<Value> = graph.outputs().iter().chain(kept).copied().collect();
    let mut copies: Vec<Copies> =
        regions.into_iter().filter_map(|region| Copies::of(graph, region, forward, known, &kept)).collect();
    let mut owners: HashMap<Value, usize> = HashMap::new();
    for (number, copies) in copies.iter().enumerate() {
        owners.extend(copies.makers.keys().map(|value| (*value, number)));
    }
    for mut node in graph.take_nodes(forward) {
        for input in node.inputs.iter_mut().flatten() {
            if let Some(copies) = owners.get(input).and_then(|number| copies.get_mut(*number)) {
                *input = copies.get(graph, *input)?;
            }
        }
        graph.put_node(node);
    }
    Ok(())
}

/// The blocks: nodes by their name up to a word `layers.NUMBER`.
fn blocks(graph: &Graph, forward: usize) -> Vec<Region> {
    let mut regions: BTreeMap<&str, Region> = BTreeMap::new();
    for (index, node) in graph.nodes().iter().take(forward).enumerate() {
        let mut end = 0;
        for word in node.name.split('/') {
            end += word.len();
            if word.strip_prefix("layers.").is_some_and(|number| number.parse::<u32>().is_ok()) {
                regions.entry(node.name.get(..end).unwrap_or_default()).or_default().insert(index);
                break;
            }
            end += 1;
        }
    }
    regions.into_values().collect()
}

/// Everything from a product of queries and keys over a softmax to the product with the values; softmaxes in `covered`
/// do not count.
fn attentions(graph: &Graph, forward: usize, covered: &Region) -> Vec<Region> {
    let nodes = graph.nodes().get(..forward).unwrap_or_default();
    let mut makers: HashMap<Value, usize> = HashMap::new();
    let mut readers: HashMap<Value, Vec<usize>> = HashMap::new();
    for (index, node) in nodes.iter().enumerate() {
        makers.extend(node.outputs.iter().flatten().map(|output| (*output, index)));
        for input in node.inputs.iter().flatten() {
            readers.entry(*input).or_default().push(index);
        }
    }
    let mut regions = Vec::new();
    for (index, node) in nodes.iter().enumerate() {
        if node.op != "Softmax" || covered.contains(&index) {
            continue;
        }
        let mut region = Region::from([index]);
        // Back along the operand that is as large as the scores.
        let before = |at: usize| {
            let node = nodes.get(at)?;
            let y = node.output(0)?;
            let count = graph.kind(y).len();
            let same = |value: &&Value| graph.kind(**value).len() == count && makers.contains_key(*value);
            makers.get(node.inputs.iter().flatten().find(same)?).copied()
        };
        let after = |at: usize| match readers.get(&nodes.get(at)?.output(0)?)?.as_slice() {
            [reader] => Some(*reader),
            _ => None,
        };
        if !walk(nodes, index, before, &mut region) || !walk(nodes, index, after, &mut region) {
            continue;
        }
        // What is computed for this region alone from nothing but inputs and constants: factors from masks.
        for (index, node) in nodes.iter().enumerate().rev() {
            let computed = node.inputs.iter().flatten().any(|input| {
                makers.get(input).is_some_and(|maker| nodes.get(*maker).is_some_and(|maker| !only_converts(maker)))
            });
            let within =
                |value: &Value| readers.get(value).is_some_and(|list| list.iter().all(|at| region.contains(at)));
            if only_converts(node) && !computed && node.outputs.iter().flatten().all(within) {
                region.insert(index);
            }
        }
        regions.push(region);
    }
    regions
}

/// Follows elementwise nodes from the softmax to a product, and puts them and the product into the region.
fn walk(nodes: &[Node], start: usize, step: impl Fn(usize) -> Option<usize>, region: &mut Region) -> bool {
    let mut at = start;
    for _ in 0..FARTHEST {
        let Some(next) = step(at) else { return false };
        let Some(node) = nodes.get(next) else { return false };
        region.insert(next);
        match node.op.as_str() {
            "MatMul" => return true,
            "Mul" | "Div" | "Add" | "Sub" | "Where" | "Tanh" | "Cast" | "Identity" | "Clip" | "Min" | "Max"
            | "Reshape" | "Squeeze" | "Unsqueeze" => at = next,
            _ => return false,
        }
    }
    false
}

fn only_converts(node: &Node) -> bool {
    matches!(node.op.as_str(), "Cast" | "Mul")
}

/// The copies of a region's nodes, made as somebody asks for what they give.
struct Copies {
    region: Region,
    /// What is internal, and the node that gives it.
    makers: HashMap<Value, usize>,
    /// The gradient on which everything waits.
    gradient: Value,
    gate: Option<Value>,
    /// What stands for internal values and for inputs of the region in the backward pass.
    again: HashMap<Value, Value>,
}

impl Copies {
    /// `None` for a region that no gradient comes into.
    fn of(
        graph: &Graph,
        region: Region,
        forward: usize,
        known: &HashMap<Value, Value>,
        kept: &HashSet<Value>,
    ) -> Option<Self> {
        let mut outside = kept.clone();
        for (index, node) in graph.nodes().iter().take(forward).enumerate() {
            if !region.contains(&index) {
                outside.extend(node.inputs.iter().flatten());
            }
        }
        let mut makers = HashMap::new();
        let mut gradient = None;
        for index in &region {
            let mut latest = None;
            for output in graph.nodes().get(*index)?.outputs.iter().flatten() {
                if !outside.contains(output) {
                    makers.insert(*output, *index);
                } else {
                    latest = latest.max(known.get(output).copied());
                }
            }
            // That of the last node is whole before anything of the region is differentiated.
            gradient = latest.or(gradient);
        }
        Some(Self { region, makers, gradient: gradient?, gate: None, again: HashMap::new() })
    }

    /// An internal value computed again; other values are as they are.
    fn get(&mut self, graph: &mut Graph, wanted: Value) -> Result<Value, Error> {
        if let Some(value) = self.again.get(&wanted) {
            return Ok(*value);
        }
        // The nodes that it takes, found from the last to the first, then copied in their own order.
        let mut needed = HashSet::from([wanted]);
        let mut list = Vec::new();
        for index in self.region.iter().rev() {
            let Some(node) = graph.nodes().get(*index) else { continue };
            let gives = |value: &&Value| needed.contains(*value) && self.makers.contains_key(*value);
            if node.outputs.iter().flatten().any(|value| gives(&value) && !self.again.contains_key(value)) {
                needed.extend(node.inputs.iter().flatten());
                list.push(node.clone());
            }
        }
        for node in list.into_iter().rev() {
            self.copy(graph, &node)?;
        }
        Ok(self.again.get(&wanted).copied().unwrap_or(wanted))
    }

    fn copy(&mut self, graph: &mut Graph, node: &Node) -> Result<(), Error> {
        let mut inputs: Vec<Option<Value>> = node
            .inputs
            .iter()
            .map(|input| input.map(|input| self.again.get(&input).copied().unwrap_or(input)))
            .collect();
        if inputs == node.inputs {
            // What is made of weights and constants alone is small, and stays.
            let Some(place) =
                node.inputs.iter().position(|input| input.is_some_and(|input| moves_with_data(graph, input)))
            else {
                return Ok(());
            };
            if let Some(input) = inputs.get_mut(place) {
                *input = match *input {
                    Some(value) => Some(self.gated(graph, value)?),
                    None => None,
                };
            }
        }
        let kinds: Vec<_> = node.outputs.iter().map(|output| output.map(|output| graph.kind(output).clone())).collect();
        let name = graph.unique(&format!("again/{}", node.name));
        let outputs = graph.append(&node.op, name, &inputs, &kinds, node.attributes.clone());
        for (old, new) in node.outputs.iter().zip(outputs) {
            if let (Some(old), Some(new)) = (old, new) {
                self.again.insert(*old, new);
            }
        }
        Ok(())
    }

    /// A value that is there no earlier than the gradient.
    fn gated(&mut self, graph: &mut Graph, x: Value) -> Result<Value, Error> {
        let gradient = self.gradient;
        let gate = match self.gate {
            Some(gate) => gate,
            None => graph.scoped("again", |graph| {
                let count = graph.kind(gradient).len();
                let flat = graph.reshape(gradient, &[count])?;
                let one = graph.slice(flat, 0, 0, 1, 1)?;
                graph.unary("IsNaN", one)
            })?,
        };
        self.gate = Some(gate);
        let same = graph.scoped("again", |graph| graph.op("Where", &[gate, x, x], Attributes::new()))?;
        self.again.insert(x, same);
        Ok(same)
    }
}

/// Whether a value is computed, or drawn (the only inputs of bytes), and not a weight or a constant.
fn moves_with_data(graph: &Graph, value: Value) -> bool {
    graph.constant_of(value).is_none() && (!graph.inputs().contains(&value) || graph.kind(value).element == Element::U8)
}
