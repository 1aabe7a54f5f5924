//! A graph cut at some of its values into a list of ordinary graphs that are run one after the other, for whoever must do
//! something with those values in between: add them up over ranks. Must not know why, nor who runs the parts.
//!
//! What reads a cut value stands in a later segment than what makes it, and cuts that do not need each other share a
//! segment. Cut values and outputs are computed as early as can be. Everything else is computed where the fewest bytes
//! have to be carried from segment to segment, at each of the borders, and where that leaves a choice, early: so what a
//! gradient makes of an activation is not carried beside it, however large. Values under another shape are not carried
//! beside the values themselves either: such nodes cost nothing, and are made again in each segment that reads them.

mod flow;

use super::Error;
use super::ir::{Graph, Node, Value};
use super::memory::shares_input;
use flow::{Network, UNCUT};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// A part of a cut graph. Its inputs are those of the whole that it needs, under their own names, then `carried_in`; its
/// outputs are `cuts`, those of the whole that it computes, and what of `carried_out` is not among these.
#[derive(Clone, Debug)]
pub struct Segment {
    /// The part.
    pub graph: Graph,
    /// The outputs at which the graph was cut here, under their names in the whole. What stands for them in later
    /// segments is an input of the same name: the value itself, or what was made of it.
    pub cuts: Vec<String>,
    /// The inputs that are no inputs of the whole: cut values and what was carried out of earlier segments.
    pub carried_in: Vec<String>,
    /// The outputs that later segments read as they are: `carry/NAME`, or the name of an output of the whole.
    pub carried_out: Vec<String>,
    /// Those of `carried_in` that no later segment reads.
    pub spent: Vec<String>,
}

/// Cuts a graph at values that its nodes make. Run in turn, each fed with what the ones before gave, the segments compute
/// what the graph does. No value to cut at gives the whole as the only segment.
pub fn cut(graph: &Graph, at: &[Value]) -> Result<Vec<Segment>, Error> {
    let plan = Plan::new(graph, at)?;
    let last = plan.levels.iter().copied().max().unwrap_or(0);
    (0..=last).map(|level| plan.segment(level)).collect()
}

/// In which segment each node stands.
struct Plan<'a> {
    graph: &'a Graph,
    nodes: Vec<&'a Node>,
    /// The node that makes a value.
    makers: HashMap<Value, usize>,
    cuts: HashSet<Value>,
    outputs: HashSet<Value>,
    /// Whether a node only shows its first input under another shape; such nodes stand wherever they are read.
    views: Vec<bool>,
    /// By node. A view has that of what it shows.
    levels: Vec<usize>,
    /// The nodes that read a value, itself or through views.
    readers: BTreeMap<Value, Vec<usize>>,
}

impl<'a> Plan<'a> {
    fn new(graph: &'a Graph, at: &[Value]) -> Result<Self, Error> {
        let nodes = graph.live();
        let mut plan = Self {
            graph,
            makers: HashMap::new(),
            cuts: at.iter().copied().collect(),
            outputs: graph.outputs().iter().copied().collect(),
            views: vec![false; nodes.len()],
            levels: vec![0; nodes.len()],
            readers: BTreeMap::new(),
            nodes,
        };
        for (index, node) in plan.nodes.iter().enumerate() {
            plan.makers.extend(node.outputs.iter().flatten().map(|output| (*output, index)));
        }
        if let Some(value) = at.iter().find(|value| !plan.makers.contains_key(*value)) {
            return Err(Error::Node {
                node: format!("value `{}`", graph.name(*value)),
                detail: "the graph cannot be cut there, since no node that an output needs makes it".to_owned(),
            });
        }
        plan.set_earliest();
        plan.place();
        Ok(plan)
    }

    /// Whether a value leaves its segment in any case.
    fn is_fixed(&self, value: Value) -> bool {
        self.cuts.contains(&value) || self.outputs.contains(&value)
    }

    /// What a value shows, which is mostly itself.
    fn root(&self, value: Value) -> Value {
        let mut root = value;
        while let Some(maker) = self.makers.get(&root).filter(|maker| self.views.get(**maker) == Some(&true)) {
            match self.nodes.get(*maker).and_then(|node| node.input(0)) {
                Some(shown) => root = shown,
                None => break,
            }
        }
        root
    }

    /// The first segment that can read a value.
    fn available(&self, value: Value) -> usize {
        let level = self.makers.get(&value).and_then(|maker| self.levels.get(*maker)).copied().unwrap_or(0);
        level + usize::from(self.cuts.contains(&value))
    }

    fn set_earliest(&mut self) {
        for (index, node) in self.nodes.clone().into_iter().enumerate() {
            let constants = node.inputs.iter().skip(1).flatten().all(|value| self.graph.constant_of(*value).is_some());
            let fixed = node.outputs.iter().flatten().any(|output| self.is_fixed(*output));
            let view = shares_input(&node.op) && constants && !fixed;
            let level = node.inputs.iter().flatten().map(|input| self.available(*input)).max().unwrap_or(0);
            if let (Some(own_view), Some(own_level)) = (self.views.get_mut(index), self.levels.get_mut(index)) {
                (*own_view, *own_level) = (view, level);
            }
            if !view {
                let read: BTreeSet<Value> = node.inputs.iter().flatten().map(|input| self.root(*input)).collect();
                for value in read {
                    self.readers.entry(value).or_default().push(index);
                }
            }
        }
    }

    /// A node stands in the first segment behind whose end it is early.
    fn place(&mut self) {
        let last = self.levels.iter().copied().max().unwrap_or(0);
        let mut placed = vec![last; self.nodes.len()];
        for level in (0..last).rev() {
            for (own, early) in placed.iter_mut().zip(self.early(level)) {
                if early {
                    *own = level;
                }
            }
        }
        self.levels = placed;
    }

    /// By node, whether it is computed before the end of a segment. What needs a later cut value is not, what must be
    /// early is, with everything that it needs; and of all ways to part the others it is one in which the values that
    /// are read on both sides have the fewest bytes. A value that is read twice is carried once.
    fn early(&self, level: usize) -> Vec<bool> {
        let count = self.nodes.len();
        let (source, sink) = (count, count + 1);
        let mut network = Network::new(count + 2 + self.readers.len());
        for (index, (node, own)) in self.nodes.iter().zip(&self.levels).enumerate() {
            if *own > level {
                network.pipe(index, sink, UNCUT);
            } else if node.outputs.iter().flatten().any(|output| self.is_fixed(*output)) {
                network.pipe(source, index, UNCUT);
            }
        }
        let made = self.readers.iter().filter_map(|(value, readers)| Some((value, readers, *self.makers.get(value)?)));
        for (at, (value, readers, maker)) in made.enumerate() {
            let carried = count + 2 + at;
            network.pipe(maker, carried, self.bytes(*value));
            for reader in readers {
                network.pipe(carried, *reader, UNCUT);
                network.pipe(*reader, maker, UNCUT);
            }
        }
        network.source_side(source, sink)
    }

    fn last_reader(&self, value: Value) -> Option<usize> {
        self.readers.get(&value)?.iter().filter_map(|reader| self.levels.get(*reader).copied()).max()
    }

    fn bytes(&self, value: Value) -> u64 {
        let kind = self.graph.kind(value);
        kind.len().saturating_mul(kind.element.size()).try_into().unwrap_or(UNCUT)
    }

    /// Under which name a value leaves its segment.
    fn exported(&self, value: Value) -> String {
        let name = self.graph.name(value);
        if self.is_fixed(value) { name.to_owned() } else { format!("carry/{name}") }
    }

    /// The nodes of a segment, in their order.
    fn members(&self, level: usize) -> impl Iterator<Item = &'a Node> {
        let placed = self.nodes.iter().zip(self.levels.iter().zip(&self.views));
        placed.filter(move |(_, (own, view))| **own == level && !**view).map(|(node, _)| *node)
    }

    fn segment(&self, level: usize) -> Result<Segment, Error> {
        let mut part = Part { plan: self, graph: Graph::new(), values: HashMap::new() };
        part.graph.metadata.clone_from(&self.graph.metadata);
        let read: BTreeSet<Value> =
            self.members(level).flat_map(|node| node.inputs.iter().flatten()).map(|input| self.root(*input)).collect();
        let mut carried_in = Vec::new();
        let mut spent = Vec::new();
        for input in self.graph.inputs().iter().filter(|input| read.contains(input)) {
            part.declare(*input, self.graph.name(*input))?;
        }
        for value in read.iter().filter(|value| self.makers.contains_key(*value)) {
            // What is made here is read as it is, unless it is cut: then it is read later.
            let made = self.makers.get(value).and_then(|maker| self.levels.get(*maker));
            if made == Some(&level) {
                continue;
            }
            let name = self.exported(*value);
            part.declare(*value, &name)?;
            if self.last_reader(*value) == Some(level) {
                spent.push(name.clone());
            }
            carried_in.push(name);
        }
        for node in self.members(level) {
            part.add(node)?;
        }
        let (mut cuts, mut replies, mut carried) = (Vec::new(), Vec::new(), Vec::new());
        for output in self.members(level).flat_map(|node| node.outputs.iter().flatten()) {
            let later = self.last_reader(*output).is_some_and(|reader| reader > level);
            match (self.cuts.contains(output), self.outputs.contains(output)) {
                (true, _) => cuts.push(*output),
                (false, true) => replies.push(*output),
                (false, false) if later => carried.push(*output),
                (false, false) => {}
            }
        }
        for value in cuts.iter().chain(&replies).chain(&carried) {
            let own = part.get(*value)?;
            part.graph.output(own, &self.exported(*value))?;
        }
        let later = |value: &&Value| self.last_reader(**value).is_some_and(|reader| reader > level);
        let carried_out = replies.iter().filter(later).chain(&carried).map(|value| self.exported(*value)).collect();
        let cuts = cuts.into_iter().map(|value| self.exported(value)).collect();
        Ok(Segment { graph: part.graph, cuts, carried_in, carried_out, spent })
    }
}

/// A segment while it is written.
struct Part<'a> {
    plan: &'a Plan<'a>,
    graph: Graph,
    /// By value of the whole.
    values: HashMap<Value, Value>,
}

impl Part<'_> {
    fn declare(&mut self, value: Value, name: &str) -> Result<(), Error> {
        let kind = self.plan.graph.kind(value);
        let own = self.graph.input(name, kind.element, &kind.dims)?;
        self.values.insert(value, own);
        Ok(())
    }

    fn add(&mut self, node: &Node) -> Result<(), Error> {
        let whole = self.plan.graph;
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for input in &node.inputs {
            inputs.push(match input {
                Some(input) => Some(self.get(*input)?),
                None => None,
            });
        }
        let kinds: Vec<_> = node.outputs.iter().map(|output| output.map(|output| whole.kind(output).clone())).collect();
        let name = self.graph.unique(&node.name);
        let outputs = self.graph.append(&node.op, name, &inputs, &kinds, node.attributes.clone());
        let pairs = node.outputs.iter().zip(outputs);
        self.values.extend(pairs.filter_map(|(whole, own)| Some(((*whole)?, own?))));
        Ok(())
    }

    /// A value of the whole that is here already, a constant, or a view of one that is here.
    fn get(&mut self, value: Value) -> Result<Value, Error> {
        if let Some(own) = self.values.get(&value) {
            return Ok(*own);
        }
        let plan = self.plan;
        if let Some(tensor) = plan.graph.constant_of(value) {
            let own = self.graph.named_constant(plan.graph.name(value), tensor.clone());
            self.values.insert(value, own);
            return Ok(own);
        }
        let maker = plan.makers.get(&value).filter(|maker| plan.views.get(**maker) == Some(&true));
        if let Some(node) = maker.and_then(|maker| plan.nodes.get(*maker)) {
            self.add(node)?;
        }
        self.values.get(&value).copied().ok_or_else(|| Error::Node {
            node: format!("value `{}`", plan.graph.name(value)),
            detail: "nothing before it gives it".to_owned(),
        })
    }
}
