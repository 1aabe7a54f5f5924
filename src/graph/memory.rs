//! How much memory ONNX Runtime takes to run a graph on a processor: the order it runs nodes in, the buffers it shares
//! between values, and the arena it cuts them from. Measured against version 1.31 without memory patterns. Must not know
//! what operators compute.

mod arena;
mod fuse;

use super::ir::{Graph, Node, TensorType, Value};
use arena::{Arena, Chunk};
use fuse::{Step, fuse};
use std::collections::{HashMap, HashSet};

/// The most memory in use at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Peak {
    /// Bytes of values alive together, each counted once however many share its buffer.
    pub alive: u64,
    /// The node during which that is so, as `OPERATOR NAME`.
    pub node: Option<String>,
    /// Bytes that the arena has touched after some runs, when it has settled.
    pub arena: u64,
}

/// Operators whose output may be written over an input of the same size that nobody else reads any more, and which. Not
/// among them is what one would expect, `Add` or `Exp`: measured one by one.
fn in_place(op: &str) -> bool {
    matches!(
        op,
        "Relu" | "Sigmoid" | "Tanh" | "Clip" | "Softmax" | "LogSoftmax" | "ScatterElements" | "ScatterND" | "Cast"
    )
}

/// Operators whose output is their first input under another shape or name, without a copy.
pub(super) fn shares_input(op: &str) -> bool {
    matches!(op, "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" | "Identity")
}

/// Buffers of the size of the output that an operator needs beside it while it runs.
fn scratch(op: &str) -> usize {
    // Either side is written with zeros where the other is chosen, then both are put together.
    if op == "Where" { 2 } else { 0 }
}

/// After so many runs the arena grows no more.
const RUNS: usize = 4;

/// Runs the plan of a graph, whose nodes are those that the outputs need.
pub(super) fn peak(graph: &Graph, nodes: &[&Node], outputs: &[Value]) -> Peak {
    let steps = ordered(fuse(graph, nodes, outputs));
    let plan = Plan::of(graph, &steps, outputs);
    let mut peak = Peak::default();
    let mut arena = Arena::default();
    // What was handed out is held until the run after the next: the buffers of a state change places with every run, and
    // each of the two sets has its replies.
    let mut replies: [Vec<Chunk>; 2] = Default::default();
    for run in 0..RUNS {
        let kept = &mut replies[run % 2];
        kept.drain(..).for_each(|chunk| arena.free(chunk));
        let mut held: HashMap<Value, Chunk> = HashMap::new();
        let mut alive = 0_u64;
        for (at, step) in steps.iter().enumerate() {
            for output in step.outputs.iter().flatten() {
                let size = bytes(graph.kind(*output));
                if plan.allocated.contains(output) {
                    held.insert(*output, arena.allocate(size));
                    alive = alive.saturating_add(size);
                } else if plan.handed_out.contains(output) {
                    kept.push(arena.allocate(size));
                    alive = alive.saturating_add(size);
                }
            }
            let size = step.outputs.first().copied().flatten().map_or(0, |output| bytes(graph.kind(output)));
            let beside: Vec<Chunk> = (0..scratch(step.op)).map(|_| arena.allocate(size)).collect();
            let now = alive.saturating_add(size.saturating_mul(beside.len() as u64));
            if run == 0 && (peak.node.is_none() || now > peak.alive) {
                (peak.alive, peak.node) = (now, Some(format!("{} {}", step.op, step.name)));
            }
            beside.into_iter().for_each(|chunk| arena.free(chunk));
            for value in plan.ending.get(&at).into_iter().flatten() {
                if let Some(chunk) = held.remove(value) {
                    arena.free(chunk);
                    alive = alive.saturating_sub(bytes(graph.kind(*value)));
                }
            }
        }
    }
    peak.arena = arena.touched();
    peak
}

/// Bytes of a value, the greatest number there is where they are more.
pub(super) fn bytes(kind: &TensorType) -> u64 {
    kind.dims.iter().fold(kind.element.size() as u64, |product, dim| product.saturating_mul(*dim as u64))
}

/// The order of execution: depth first from what nobody reads, the last node first, and of what a node reads what was
/// added last first.
fn ordered(steps: Vec<Step<'_>>) -> Vec<Step<'_>> {
    let mut makers: HashMap<Value, usize> = HashMap::new();
    for (at, step) in steps.iter().enumerate() {
        makers.extend(step.outputs.iter().flatten().map(|output| (*output, at)));
    }
    let before = |at: usize| -> Vec<usize> {
        let mut list: Vec<usize> = steps
            .get(at)
            .map_or(&[][..], |step| &step.inputs)
            .iter()
            .filter_map(|input| makers.get(input).copied())
            .collect();
        list.sort_by_key(|at| steps.get(*at).map_or(0, |step| step.rank));
        list
    };
    let read: HashSet<usize> = (0..steps.len()).flat_map(before).collect();
    let mut stack: Vec<(usize, bool)> =
        (0..steps.len()).filter(|at| !read.contains(at)).map(|at| (at, false)).collect();
    stack.sort_by_key(|(at, _)| steps.get(*at).map_or(0, |step| step.rank));
    let mut seen = HashSet::new();
    let mut order = Vec::with_capacity(steps.len());
    while let Some((at, done)) = stack.pop() {
        if done {
            order.push(at);
        } else if seen.insert(at) {
            stack.push((at, true));
            stack.extend(before(at).into_iter().map(|at| (at, false)));
        }
    }
    let mut slots: Vec<Option<Step<'_>>> = steps.into_iter().map(Some).collect();
    order.into_iter().filter_map(|at| slots.get_mut(at).and_then(Option::take)).collect()
}

/// Which values get a buffer of their own, and when it is given back.
struct Plan {
    allocated: HashSet<Value>,
    /// Outputs that the arena has to give a buffer for.
    handed_out: HashSet<Value>,
    ending: HashMap<usize, Vec<Value>>,
}

impl Plan {
    fn of(graph: &Graph, steps: &[Step<'_>], outputs: &[Value]) -> Self {
        let outputs: HashSet<Value> = outputs.iter().copied().collect();
        let mut uses: HashMap<Value, usize> = HashMap::new();
        for step in steps {
            for value in step.inputs.iter().chain(step.outputs.iter().flatten()) {
                *uses.entry(*value).or_default() += 1;
            }
        }
        let own = |value: &Value| graph.inputs().contains(value) || graph.constant_of(*value).is_some();
        let foreign: Vec<Value> = uses.keys().copied().filter(|value| own(value) || outputs.contains(value)).collect();
        for value in foreign {
            *uses.entry(value).or_default() += 1;
        }
        let states: HashSet<&str> = graph.inputs().iter().map(|input| graph.name(*input)).collect();
        let mut plan = Self { allocated: HashSet::new(), handed_out: HashSet::new(), ending: HashMap::new() };
        let mut buffers: HashMap<Value, Value> = HashMap::new();
        let mut last: HashMap<Value, usize> = HashMap::new();
        // Buffers that nobody reads any more, the latest last. One of the very shape is taken again before a new one is
        // made, and lives on meanwhile.
        let mut free: Vec<Value> = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            for (place, output) in step.outputs.iter().enumerate() {
                let Some(output) = *output else { continue };
                let kind = graph.kind(output);
                if outputs.contains(&output) {
                    if !is_state(&states, graph.name(output)) {
                        plan.handed_out.insert(output);
                    }
                    continue;
                }
                let same = |value: &Value| {
                    let other = graph.kind(*value);
                    other.element.size() == kind.element.size() && other.dims == kind.dims
                };
                let first = step.inputs.first().copied().filter(|_| place == 0);
                let first = first.map(|first| buffers.get(&first).copied().unwrap_or(first));
                let over = first.filter(|buffer| {
                    shares_input(step.op)
                        || in_place(step.op) && uses.get(buffer) == Some(&1) && step.inputs.first().is_some_and(same)
                });
                let over = over.or_else(|| {
                    let found = free.iter().rposition(|buffer| !kind.dims.is_empty() && same(buffer))?;
                    Some(free.remove(found))
                });
                match over {
                    Some(buffer) => {
                        let more = uses.get(&output).copied().unwrap_or(0);
                        *uses.entry(buffer).or_default() += more;
                        buffers.insert(output, buffer);
                    }
                    None => {
                        plan.allocated.insert(output);
                    }
                }
            }
            for value in step.inputs.iter().chain(step.outputs.iter().flatten()) {
                let buffer = buffers.get(value).copied().unwrap_or(*value);
                last.insert(buffer, at);
                let left = uses.entry(buffer).or_default();
                *left = left.saturating_sub(1);
                if *left == 0 {
                    free.push(buffer);
                }
            }
        }
        for value in &plan.allocated {
            plan.ending.entry(last.get(value).copied().unwrap_or(usize::MAX)).or_default().push(*value);
        }
        // So that two runs of this give the same.
        plan.ending.values_mut().for_each(|list| list.sort());
        plan
    }
}

/// Whether an output is the next value of an input, whose buffer the caller has: `next/NAME` of `NAME`, `gradient/NAME`
/// of `accumulated/NAME`.
fn is_state(inputs: &HashSet<&str>, output: &str) -> bool {
    output.strip_prefix("next/").is_some_and(|name| inputs.contains(name))
        || output.strip_prefix("gradient/").is_some_and(|name| inputs.contains(format!("accumulated/{name}").as_str()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
