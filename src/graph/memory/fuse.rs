//! What ONNX Runtime makes of a graph before it runs it, as far as buffers come or go: the same computed once, turned
//! matrices and factors within the products. Must not know buffers.

use crate::graph::attributes::Attribute;
use crate::graph::ir::{Graph, Node, Value};
use std::collections::{HashMap, HashSet};

/// A node after the changes.
pub(super) struct Step<'a> {
    pub op: &'a str,
    pub name: &'a str,
    /// Without gaps.
    pub inputs: Vec<Value>,
    pub outputs: Vec<Option<Value>>,
    /// The place in which it was added to the graph: nodes that stand for others come behind them.
    pub rank: usize,
}

pub(super) fn fuse<'a>(graph: &'a Graph, nodes: &[&'a Node], outputs: &[Value]) -> Vec<Step<'a>> {
    let fixed: HashSet<Value> = outputs.iter().copied().collect();
    let mut steps = merged(nodes, &fixed);
    let turned: HashMap<Value, (Value, &[i64])> = nodes
        .iter()
        .filter(|node| node.op == "Transpose")
        .filter_map(|node| Some((node.output(0)?, (node.input(0)?, node.ints("perm")?))))
        .collect();
    let mut rank = steps.len();
    for at in 0..steps.len() {
        if steps.get(at).is_some_and(|step| step.op == "MatMul") && fuse_product(graph, &mut steps, at, &turned, &fixed)
        {
            if let Some(step) = steps.get_mut(at) {
                step.rank = rank;
            }
            rank += 1;
        }
    }
    // What is needed by nobody any more.
    let mut needed = fixed;
    let mut live = Vec::with_capacity(steps.len());
    for step in steps.into_iter().rev() {
        if step.outputs.iter().flatten().any(|output| needed.contains(output)) {
            needed.extend(&step.inputs);
            live.push(step);
        }
    }
    live.reverse();
    live
}

/// Of nodes that compute the same from the same, the first.
fn merged<'a>(nodes: &[&'a Node], fixed: &HashSet<Value>) -> Vec<Step<'a>> {
    let mut instead: HashMap<Value, Value> = HashMap::new();
    let mut known: HashMap<(&str, Vec<Option<Value>>, String), &Node> = HashMap::new();
    let mut steps = Vec::with_capacity(nodes.len());
    for node in nodes {
        let inputs: Vec<Option<Value>> =
            node.inputs.iter().map(|input| input.map(|input| instead.get(&input).copied().unwrap_or(input))).collect();
        let large = node.attributes.values().any(|value| matches!(value, Attribute::Tensor(_)));
        if !large && !node.outputs.iter().flatten().any(|output| fixed.contains(output)) {
            let key = (node.op.as_str(), inputs.clone(), format!("{:?}", node.attributes));
            let first = *known.entry(key).or_insert(node);
            if !std::ptr::eq(first, *node) && first.outputs.len() == node.outputs.len() {
                let pairs = node.outputs.iter().zip(&first.outputs);
                instead.extend(pairs.filter_map(|(own, other)| Some(((*own)?, (*other)?))));
                continue;
            }
        }
        let rank = steps.len();
        let inputs = inputs.into_iter().flatten().collect();
        steps.push(Step { op: &node.op, name: &node.name, inputs, outputs: node.outputs.clone(), rank });
    }
    steps
}

/// A product with turned or scaled factors, or whose result is scaled, as one. Says whether anything changed.
fn fuse_product(
    graph: &Graph,
    steps: &mut [Step<'_>],
    at: usize,
    turned: &HashMap<Value, (Value, &[i64])>,
    fixed: &HashSet<Value>,
) -> bool {
    let mut changed = false;
    let Some(step) = steps.get_mut(at) else { return false };
    for input in &mut step.inputs {
        while let Some((source, order)) = turned.get(input).filter(|(_, order)| swaps_last(order)) {
            debug_assert_eq!(order.len(), graph.dims(*source).len());
            (*input, changed) = (*source, true);
        }
    }
    let Some(product) = step.outputs.first().copied().flatten().filter(|product| !fixed.contains(product)) else {
        return changed;
    };
    let mut readers = steps.iter().enumerate().filter(|(_, step)| step.inputs.contains(&product)).map(|(at, _)| at);
    let (Some(reader), None) = (readers.next(), readers.next()) else { return changed };
    let Some(scale) = steps.get_mut(reader).filter(|step| matches!(step.op, "Mul" | "Div")) else { return changed };
    let factor = scale.inputs.iter().find(|input| **input != product);
    let number = |value: &Value| graph.constant_of(*value).is_some_and(|tensor| tensor.len() == 1);
    if !factor.is_some_and(number) {
        return changed;
    }
    let outputs = std::mem::take(&mut scale.outputs);
    if let Some(step) = steps.get_mut(at) {
        step.outputs = outputs;
    }
    true
}

fn swaps_last(order: &[i64]) -> bool {
    let Some(rank) = order.len().checked_sub(2) else { return false };
    let lead = order.iter().take(rank).copied().eq(0..rank as i64);
    lead && order.get(rank..) == Some(&[rank as i64 + 1, rank as i64])
}
