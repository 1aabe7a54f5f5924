//! Which nodes compute with bytes and which tensors are written as bytes for them. Pure; must not know numbers.
//!
//! Convolutions and products with constant weights are chosen; what lies between them follows: a node that only moves or joins
//! numbers works on bytes when its result is wanted as bytes. A rectifier belongs to the node before it, since the runtime
//! merges the two. A node that is left out reads floats that never were bytes: its producers then give floats too.

use crate::graph::onnx::messages::{Attribute, Graph, Node};
use std::collections::{BTreeSet, HashMap, HashSet};

/// What a node is to the quantiser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Computes with constant weights; the axis of the output's channels in them.
    Compute {
        /// Of the weights' tensor.
        axis: usize,
    },
    /// Moves numbers or picks some: the bytes keep their meaning.
    Keep,
    /// Makes new numbers out of others.
    Mix,
    /// Clips what comes from the node before.
    Follow,
    /// Computes with floats.
    Other,
}

/// How a graph hangs together.
#[derive(Clone, Debug)]
pub(super) struct Wiring {
    pub roles: Vec<Role>,
    /// What a node gives, behind the rectifier that belongs to it.
    pub results: Vec<String>,
    /// The node whose result a tensor is.
    owner: HashMap<String, usize>,
    /// The tensors that a node works on, weights left out.
    pub data: Vec<Vec<String>>,
}

/// What is quantised.
#[derive(Clone, Debug, Default)]
pub(super) struct Layout {
    /// Nodes that compute with bytes.
    pub quantised: BTreeSet<usize>,
    /// These, and those that move or join bytes.
    pub integer: HashSet<usize>,
    /// Tensors that are written as bytes.
    pub coded: BTreeSet<String>,
}

pub(super) fn attribute<'a>(node: &'a Node, name: &str) -> Option<&'a Attribute> {
    node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name))
}

fn role(node: &Node, constants: &HashMap<&str, usize>) -> Role {
    if !matches!(node.domain.as_deref(), None | Some("" | "ai.onnx")) || node.output.is_empty() {
        return Role::Other;
    }
    // The rank of a constant of floats.
    let rank = |at: usize| node.input.get(at).and_then(|name| constants.get(name.as_str())).copied();
    let constant = |at: usize| rank(at).is_some();
    let text = |name: &str| attribute(node, name).and_then(|a| a.s.as_ref()).map(|text| text.to_vec());
    let plain = |name: &str| attribute(node, name).and_then(|a| a.f).is_none_or(|number| number == 1.0);
    let flag = |name: &str| attribute(node, name).and_then(|a| a.i).unwrap_or(0) != 0;
    let bias = || node.input.get(2).is_none_or(|name| name.is_empty() || constants.contains_key(name.as_str()));
    match node.op_type.as_deref().unwrap_or("") {
        "Conv" if !constant(0) && rank(1) == Some(4) && bias() => Role::Compute { axis: 0 },
        "Gemm" if !constant(0) && constant(1) && bias() && plain("alpha") && plain("beta") && !flag("transA") => {
            Role::Compute { axis: usize::from(!flag("transB")) }
        }
        "MatMul" if !constant(0) && rank(1) == Some(2) => Role::Compute { axis: 1 },
        "MaxPool" if node.output.len() == 1 => Role::Keep,
        "Reshape" | "Transpose" | "Squeeze" | "Unsqueeze" | "Flatten" | "Slice" if !constant(0) => Role::Keep,
        "Resize" if text("mode").is_none_or(|mode| mode != b"cubic") => Role::Keep,
        "Concat" if (0..node.input.len()).all(|at| !constant(at)) => Role::Mix,
        "Add" | "Mul" if !constant(0) && !constant(1) => Role::Mix,
        "AveragePool" | "GlobalAveragePool" | "Sigmoid" | "LeakyRelu" => Role::Mix,
        "Relu" => Role::Follow,
        "Clip" => Role::Follow,
        _ => Role::Other,
    }
}

impl Wiring {
    /// `constants` holds the rank of each constant of floats.
    pub(super) fn of(graph: &Graph, constants: &HashMap<&str, usize>) -> Self {
        let roles: Vec<Role> = graph.node.iter().map(|node| role(node, constants)).collect();
        let mut consumers: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, node) in graph.node.iter().enumerate() {
            for name in &node.input {
                consumers.entry(name).or_default().push(index);
            }
        }
        let outputs: HashSet<&str> = graph.output.iter().filter_map(|info| info.name.as_deref()).collect();
        let mut roles = roles;
        let mut results = Vec::with_capacity(graph.node.len());
        let mut owner = HashMap::new();
        let mut claimed = HashSet::new();
        for (index, node) in graph.node.iter().enumerate() {
            let own = node.output.first().map_or("", String::as_str);
            let mut result = own;
            let takes = matches!(roles[index], Role::Compute { .. })
                || matches!(node.op_type.as_deref(), Some("Add" | "Mul")) && roles[index] == Role::Mix;
            if let (true, false, Some([only])) = (takes, outputs.contains(own), consumers.get(own).map(Vec::as_slice))
                && roles[*only] == Role::Follow
                && graph.node[*only].input.first().is_some_and(|input| input == own)
            {
                result = graph.node[*only].output.first().map_or(own, String::as_str);
                claimed.insert(*only);
            }
            if !claimed.contains(&index) {
                owner.insert(result.to_owned(), index);
            }
            results.push(result.to_owned());
        }
        // A rectifier of its own is one more node that makes new numbers.
        for (index, role) in roles.iter_mut().enumerate() {
            if *role == Role::Follow && !claimed.contains(&index) {
                *role = Role::Mix;
            }
        }
        let data = graph.node.iter().zip(&roles).map(|(node, role)| {
            let count = match (role, node.op_type.as_deref()) {
                (Role::Follow | Role::Other, _) => 0,
                (_, Some("Concat")) => node.input.len(),
                (_, Some("Add" | "Mul")) => 2,
                _ => 1,
            };
            node.input.iter().take(count).cloned().collect()
        });
        let data = data.collect();
        Self { roles, results, owner, data }
    }

    /// The node that gives a tensor; `None` for the model's input, a constant, or the inside of a merged pair.
    pub(super) fn owner(&self, tensor: &str) -> Option<usize> {
        self.owner.get(tensor).copied()
    }

    /// The nodes that can compute with bytes, in their order.
    pub(super) fn computing(&self) -> Vec<usize> {
        (0..self.roles.len()).filter(|index| matches!(self.roles[*index], Role::Compute { .. })).collect()
    }

    /// What is quantised when these nodes are left out.
    pub(super) fn layout(&self, left_out: &BTreeSet<usize>) -> Layout {
        let (shielded, floats) = self.shielded(left_out);
        let mut layout = Layout::default();
        for index in (0..self.roles.len()).rev() {
            let result = &self.results[index];
            let follows = match self.roles[index] {
                Role::Compute { .. } => {
                    let quantised = !left_out.contains(&index) && !floats.contains(&index);
                    if quantised {
                        layout.quantised.insert(index);
                        layout.coded.insert(result.clone());
                    }
                    quantised
                }
                Role::Keep | Role::Mix => layout.coded.contains(result) && !shielded.contains(result),
                Role::Follow | Role::Other => false,
            };
            if follows {
                layout.integer.insert(index);
                layout.coded.extend(self.data[index].iter().cloned());
            }
        }
        layout
    }

    /// Tensors that must reach nodes that are left out as floats, and the computing nodes that give them.
    fn shielded(&self, left_out: &BTreeSet<usize>) -> (HashSet<String>, HashSet<usize>) {
        let mut shielded = HashSet::new();
        let mut floats = HashSet::new();
        let mut waiting: Vec<&String> = left_out.iter().flat_map(|index| &self.data[*index]).collect();
        while let Some(tensor) = waiting.pop() {
            if !shielded.insert(tensor.clone()) {
                continue;
            }
            match self.owner(tensor) {
                Some(owner) if matches!(self.roles[owner], Role::Compute { .. }) => {
                    floats.insert(owner);
                }
                Some(owner) => waiting.extend(&self.data[owner]),
                None => {}
            }
        }
        (shielded, floats)
    }

    /// The tensor whose bytes a tensor of a layout shares: nodes that only move numbers keep scale and zero.
    pub(super) fn root<'a>(&'a self, tensor: &'a str) -> &'a str {
        let mut root = tensor;
        while let Some(owner) = self.owner(root).filter(|owner| self.roles[*owner] == Role::Keep) {
            let Some(before) = self.data[owner].first() else { break };
            root = before;
        }
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::onnx::messages::ValueInfo;

    fn node(operator: &str, inputs: &[&str], output: &str) -> Node {
        Node {
            op_type: Some(operator.to_owned()),
            input: inputs.iter().map(|name| (*name).to_owned()).collect(),
            output: vec![output.to_owned()],
            ..Node::default()
        }
    }

    /// x → conv → relu → pool → conv → sigmoid, and the relu joined with the second conv before a third.
    fn wiring() -> Wiring {
        let nodes = vec![
            node("Conv", &["x", "w"], "a"),
            node("Relu", &["a"], "b"),
            node("MaxPool", &["b"], "c"),
            node("Conv", &["c", "w"], "d"),
            node("Concat", &["b", "d"], "e"),
            node("Conv", &["e", "w"], "f"),
            node("Sigmoid", &["f"], "g"),
        ];
        let output = ValueInfo { name: Some("g".to_owned()), ..ValueInfo::default() };
        let graph = Graph { node: nodes, output: vec![output], ..Graph::default() };
        Wiring::of(&graph, &HashMap::from([("w", 4)]))
    }

    fn set(indices: &[usize]) -> BTreeSet<usize> {
        indices.iter().copied().collect()
    }

    #[test]
    fn what_lies_between_convolutions_follows_and_what_lies_behind_them_does_not() {
        let wiring = wiring();
        assert_eq!(wiring.computing(), [0, 3, 5]);
        let layout = wiring.layout(&BTreeSet::new());
        assert_eq!(layout.quantised, set(&[0, 3, 5]));
        let coded: Vec<&str> = layout.coded.iter().map(String::as_str).collect();
        assert_eq!(coded, ["b", "c", "d", "e", "f", "x"], "a is merged with its rectifier, g is a float");
        assert!(layout.integer.contains(&2) && layout.integer.contains(&4) && !layout.integer.contains(&6));
        assert_eq!((wiring.root("c"), wiring.root("e")), ("b", "e"));
    }

    #[test]
    fn a_node_that_is_left_out_reads_floats_that_never_were_bytes() {
        let wiring = wiring();
        let layout = wiring.layout(&set(&[5]));
        // Both of its sources give floats, and so the first node does, though the second reads its result as bytes.
        assert_eq!(layout.quantised, set(&[]));
        assert!(layout.coded.is_empty(), "{:?}", layout.coded);
        let layout = wiring.layout(&set(&[3]));
        assert_eq!(layout.quantised, set(&[5]));
        assert!(layout.coded.contains("b") && layout.coded.contains("d") && !layout.coded.contains("c"));
    }
}
