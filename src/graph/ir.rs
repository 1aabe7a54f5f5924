//! A graph in memory: values with static types, nodes in an order in which each comes after what it needs. Values are
//! small numbers, so that network code can pass them around. Must not know files, nor what operators compute.

use super::attributes::Attributes;
use super::batch_norm::BatchNormValues;
use super::{Element, Error, Tensor};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// One value of a graph: an input, a constant, or what a node puts out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value(u32);

/// Type and lengths of the axes of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorType {
    /// The type of the elements.
    pub element: Element,
    /// Lengths of the axes, the slowest first.
    pub dims: Vec<usize>,
}

impl TensorType {
    /// A type.
    pub fn new(element: Element, dims: &[usize]) -> Self {
        Self { element, dims: dims.to_vec() }
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.dims.iter().product()
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether its elements can be counted without overflow anywhere: 2^48 at most, axes of length 0 not counted.
    pub(crate) fn is_countable(&self) -> bool {
        let count = self.dims.iter().try_fold(1_usize, |count, dim| count.checked_mul((*dim).max(1)));
        count.is_some_and(|count| count <= 1 << 48)
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.element, self.dims)
    }
}

/// One operator at work.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// The operator's name in ONNX.
    pub op: String,
    /// The node's own name, unique in the graph.
    pub name: String,
    /// What goes in; `None` for an optional input that is left out.
    pub inputs: Vec<Option<Value>>,
    /// What comes out; `None` for an optional output that nobody asked for.
    pub outputs: Vec<Option<Value>>,
    /// The settings.
    pub attributes: Attributes,
}

impl Node {
    /// An integer setting, or its default.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attributes.int(name, default)
    }

    /// A float setting, or its default.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attributes.float(name, default)
    }

    /// A list of integers, if it is set.
    pub fn ints(&self, name: &str) -> Option<&[i64]> {
        self.attributes.ints(name)
    }

    /// A word, or its default.
    pub fn text<'a>(&'a self, name: &str, default: &'a str) -> &'a str {
        self.attributes.text(name, default)
    }

    /// The input at a place, if there is one.
    pub fn input(&self, place: usize) -> Option<Value> {
        self.inputs.get(place).copied().flatten()
    }

    /// The output at a place, if somebody asked for it.
    pub fn output(&self, place: usize) -> Option<Value> {
        self.outputs.get(place).copied().flatten()
    }

    /// Operator and name, for messages.
    pub fn label(&self) -> String {
        format!("{} `{}`", self.op, self.name)
    }

    pub(crate) fn unsupported(&self, detail: impl Into<String>) -> Error {
        Error::Unsupported { node: self.label(), detail: detail.into() }
    }

    pub(crate) fn broken(&self, detail: impl Into<String>) -> Error {
        Error::Node { node: self.label(), detail: detail.into() }
    }
}

#[derive(Clone, Debug)]
struct Slot {
    name: String,
    kind: TensorType,
    constant: Option<Tensor>,
}

/// Several nodes that are differentiated as one, by a shorter formula than the chain rule finds.
#[derive(Clone, Debug)]
pub(crate) enum Composite {
    /// Batch normalisation in training form.
    BatchNorm(BatchNormValues),
}

/// Values and nodes.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    slots: Vec<Slot>,
    nodes: Vec<Node>,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    names: HashSet<String>,
    interned: HashMap<(Element, Vec<usize>, Vec<u8>), Value>,
    scope: Vec<String>,
    composites: HashMap<Value, Composite>,
    /// Facts about the graph that travel with the file.
    pub metadata: BTreeMap<String, String>,
}

/// How the names begin of constants that a graph made here needs for itself and nobody trains.
pub const CONSTANT: &str = "constant/";

/// Constants up to this many bytes are kept once, however often they are asked for.
const INTERNED_BYTES: usize = 64;

impl Graph {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// The nodes, each after what it needs.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The inputs, in the order they were declared.
    pub fn inputs(&self) -> &[Value] {
        &self.inputs
    }

    /// The outputs, in the order they were declared.
    pub fn outputs(&self) -> &[Value] {
        &self.outputs
    }

    /// Type and shape of a value.
    pub fn kind(&self, value: Value) -> &TensorType {
        &self.slot(value).kind
    }

    /// Lengths of the axes of a value.
    pub fn dims(&self, value: Value) -> &[usize] {
        &self.slot(value).kind.dims
    }

    /// The name of a value.
    pub fn name(&self, value: Value) -> &str {
        &self.slot(value).name
    }

    /// The numbers of a value, if it is a constant.
    pub fn constant_of(&self, value: Value) -> Option<&Tensor> {
        self.slot(value).constant.as_ref()
    }

    fn slot(&self, value: Value) -> &Slot {
        // A `Value` is only ever made by `push`, and slots are never taken away.
        &self.slots[value.0 as usize]
    }

    fn push(&mut self, name: String, kind: TensorType, constant: Option<Tensor>) -> Value {
        let value = Value(self.slots.len() as u32);
        self.slots.push(Slot { name, kind, constant });
        value
    }

    /// A name nobody has, as near as can be to the one that is wished for.
    pub(crate) fn unique(&mut self, wish: &str) -> String {
        let mut name = wish.to_owned();
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{wish}_{count}");
        }
        name
    }

    /// Runs `build` with a word put before the names of all nodes that it makes.
    pub fn scoped<T>(&mut self, word: &str, build: impl FnOnce(&mut Self) -> Result<T, Error>) -> Result<T, Error> {
        self.scope.push(word.to_owned());
        let result = build(self);
        self.scope.pop();
        result
    }

    pub(crate) fn node_name(&mut self, wish: &str) -> String {
        let wish = match self.scope.is_empty() {
            true => wish.to_owned(),
            false => format!("{}/{wish}", self.scope.join("/")),
        };
        self.unique(&wish)
    }

    /// Declares an input. Its name must be free.
    pub fn input(&mut self, name: &str, element: Element, dims: &[usize]) -> Result<Value, Error> {
        if !self.names.insert(name.to_owned()) {
            return Err(Error::Node {
                node: format!("input `{name}`"),
                detail: "the name is taken by another value".to_owned(),
            });
        }
        Ok(self.input_named(name.to_owned(), element, dims))
    }

    /// Declares an input under a name that [`Graph::unique`] gave.
    pub(crate) fn input_named(&mut self, name: String, element: Element, dims: &[usize]) -> Value {
        let value = self.push(name, TensorType::new(element, dims), None);
        self.inputs.push(value);
        value
    }

    /// A constant under a name of its own, as far as that is free.
    pub fn named_constant(&mut self, name: &str, tensor: Tensor) -> Value {
        let name = self.unique(name);
        self.push(name, TensorType::new(tensor.element(), tensor.dims()), Some(tensor))
    }

    /// A constant. Small ones are kept once.
    pub fn constant(&mut self, tensor: Tensor) -> Value {
        if tensor.data().len() > INTERNED_BYTES {
            return self.named_constant("constant/large", tensor);
        }
        let key = (tensor.element(), tensor.dims().to_vec(), tensor.data().to_vec());
        if let Some(value) = self.interned.get(&key) {
            return *value;
        }
        let value = self.named_constant("constant/number", tensor);
        self.interned.insert(key, value);
        value
    }

    /// Makes an input a constant with these numbers.
    pub fn embed(&mut self, input: Value, tensor: Tensor) -> Result<(), Error> {
        let kind = TensorType::new(tensor.element(), tensor.dims());
        let slot = &mut self.slots[input.0 as usize];
        if slot.kind != kind {
            return Err(Error::Weights { detail: format!("{} is {}, and {kind} was given", slot.name, slot.kind) });
        }
        slot.constant = Some(tensor);
        self.inputs.retain(|other| *other != input);
        Ok(())
    }

    /// Puts nodes before an input: it becomes what `build` makes of inputs of its own, one of which may take its name.
    pub fn feed(
        &mut self,
        input: Value,
        name: &str,
        build: impl FnOnce(&mut Self) -> Result<Value, Error>,
    ) -> Result<(), Error> {
        self.inputs.retain(|other| *other != input);
        self.names.remove(name);
        let free = self.unique("fed");
        self.slots[input.0 as usize].name = free;
        let rest = std::mem::take(&mut self.nodes);
        let fed = build(self)?;
        if self.kind(fed) != self.kind(input) {
            let detail = format!("{} cannot stand for {}", self.kind(fed), self.kind(input));
            return Err(Error::Node { node: format!("input `{name}`"), detail });
        }
        self.nodes.extend(rest);
        for node in &mut self.nodes {
            for value in node.inputs.iter_mut().flatten().filter(|value| **value == input) {
                *value = fed;
            }
        }
        Ok(())
    }

    /// Declares a value as an output under a name. The producing node's own output takes that name, since a node in
    /// between would copy the whole tensor; only a value that has a fixed name already is copied.
    pub fn output(&mut self, value: Value, name: &str) -> Result<(), Error> {
        let fixed = self.outputs.contains(&value) || self.inputs.contains(&value) || self.constant_of(value).is_some();
        let value = match fixed {
            true => {
                let kind = self.kind(value).clone();
                let node = self.node_name("Identity");
                self.append("Identity", node, &[Some(value)], &[Some(kind)], Attributes::new())[0]
            }
            false => Some(value),
        };
        let Some(value) = value else { return Ok(()) };
        let old = std::mem::take(&mut self.slots[value.0 as usize].name);
        self.names.remove(&old);
        if !self.names.insert(name.to_owned()) {
            return Err(Error::Node {
                node: format!("output `{name}`"),
                detail: "the name is taken by another value".to_owned(),
            });
        }
        name.clone_into(&mut self.slots[value.0 as usize].name);
        self.outputs.push(value);
        Ok(())
    }

    /// Takes the declarations of all outputs back; the values stay.
    pub fn clear_outputs(&mut self) {
        self.outputs.clear();
    }

    /// Adds a node whose output types are known; the door through which every node comes.
    pub(crate) fn append(
        &mut self,
        op: &str,
        name: String,
        inputs: &[Option<Value>],
        kinds: &[Option<TensorType>],
        attributes: Attributes,
    ) -> Vec<Option<Value>> {
        let mut outputs = Vec::with_capacity(kinds.len());
        for (place, kind) in kinds.iter().enumerate() {
            let Some(kind) = kind else {
                outputs.push(None);
                continue;
            };
            let value_name = self.unique(&format!("{name}:{place}"));
            outputs.push(Some(self.push(value_name, kind.clone(), None)));
        }
        let node = Node { op: op.to_owned(), name, inputs: inputs.to_vec(), outputs: outputs.clone(), attributes };
        self.nodes.push(node);
        outputs
    }

    /// Takes the nodes from an index on away, to be put back one by one with others between them.
    pub(crate) fn take_nodes(&mut self, from: usize) -> Vec<Node> {
        self.nodes.split_off(from.min(self.nodes.len()))
    }

    /// Puts a node back that [`Graph::take_nodes`] took away; its values are still there.
    pub(crate) fn put_node(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Puts what serves these outputs and no other behind all other nodes, and drops what serves none. ONNX Runtime
    /// begins with what the last node needs, so that this is done, and what it reads given back, as soon as can be.
    pub(crate) fn put_last(&mut self, outputs: &[Value]) {
        let (mut own, mut shared): (HashSet<Value>, HashSet<Value>) =
            self.outputs.iter().copied().partition(|value| outputs.contains(value));
        let (mut first, mut last) = (Vec::new(), Vec::new());
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            let serves = |needed: &HashSet<Value>| node.outputs.iter().flatten().any(|output| needed.contains(output));
            if serves(&shared) {
                shared.extend(node.inputs.iter().flatten());
                first.push(node);
            } else if serves(&own) {
                own.extend(node.inputs.iter().flatten());
                last.push(node);
            }
        }
        last.extend(first);
        last.reverse();
        self.nodes = last;
    }

    /// Asks a node for an output that it did not give so far.
    pub(crate) fn ask_output(&mut self, node: usize, place: usize, kind: TensorType) -> Option<Value> {
        if let Some(value) = self.nodes.get(node)?.output(place) {
            return Some(value);
        }
        let name = format!("{}:{place}", self.nodes.get(node)?.name);
        let name = self.unique(&name);
        let value = self.push(name, kind, None);
        let outputs = &mut self.nodes.get_mut(node)?.outputs;
        if outputs.len() <= place {
            outputs.resize(place + 1, None);
        }
        outputs[place] = Some(value);
        Some(value)
    }

    /// Says that `y` and the nodes before it are to be differentiated as one.
    pub(crate) fn set_composite(&mut self, y: Value, composite: Composite) {
        self.composites.insert(y, composite);
    }

    pub(crate) fn composite(&self, y: Value) -> Option<&Composite> {
        self.composites.get(&y)
    }

    /// The nodes that some output needs, in order; the inputs are all kept.
    pub fn live(&self) -> Vec<&Node> {
        let mut needed: HashSet<Value> = self.outputs.iter().copied().collect();
        let mut live = Vec::new();
        for node in self.nodes.iter().rev() {
            if node.outputs.iter().flatten().any(|output| needed.contains(output)) {
                needed.extend(node.inputs.iter().flatten());
                live.push(node);
            }
        }
        live.reverse();
        live
    }
}
