//! The facts of an ONNX file: what goes in and out, its operators and weights; and, where its shapes can be followed, what
//! it costs. Must not know how facts are shown.

use super::InspectSettings;
use crate::graph::onnx::messages::{Dimension, Length, Tensor as TensorMessage, TensorType, ValueInfo};
use crate::graph::onnx::{Source, read_model};
use crate::graph::weights::{Weights, detect, read_weights};
use crate::graph::{CONSTANT, Element, Graph, ImportSettings, Measure, Stock, Value, import, measure};
use crate::stage::Error;
use serde::Serialize;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// Values of a step that are neither picture nor weight, by the beginnings of their names in graphs made here.
const STATE: [&str; 4] = ["momentum/", "variance/", "gradient/", "accumulated/"];
/// Where the weights of an artifact lie.
const BESIDE: &str = "weights.safetensors";

/// What an ONNX file holds.
#[derive(Clone, Debug, Serialize)]
pub struct GraphFacts {
    /// The file.
    pub file: String,
    /// Its bytes, without those of weights in files beside it.
    pub file_bytes: u64,
    /// Name and version of the program that wrote it.
    pub producer: String,
    /// The version of the file format.
    pub ir_version: i64,
    /// The version of the standard operators.
    pub opset: i64,
    /// Other sets of operators with their versions.
    pub other_opsets: BTreeMap<String, i64>,
    /// What goes in, weights that are inputs among it.
    pub inputs: Vec<Port>,
    /// What comes out.
    pub outputs: Vec<Port>,
    /// Weights, as inputs and inside the file.
    pub weights: Stock,
    /// Nodes of the file by operator, the most frequent first; a call of a function in the file is one node.
    pub operators: Vec<OperatorCount>,
    /// Floating-point operations of products and convolutions; `None` when they are unknown.
    pub flops: Option<u64>,
    /// What it costs when its composite operators are written with plain ones; `None` when that is unknown.
    pub measure: Option<Measure>,
    /// Why `flops` and `measure` are unknown.
    pub unknown: Option<String>,
    /// What was changed or left out to understand the graph.
    pub notes: Vec<String>,
    /// Words of the file.
    pub metadata: BTreeMap<String, String>,
}

/// How often an operator occurs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperatorCount {
    /// Its name, after `DOMAIN::` for one that is not standard.
    pub operator: String,
    /// Its nodes.
    pub nodes: u64,
}

/// An input or an output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The type of its elements, `f32`, `u8`, …; empty when the file does not say.
    pub element: String,
    /// Its axes, the slowest first: a length, the name of an open one, or `?`. `None` when the file does not say.
    pub shape: Option<Vec<String>>,
    /// What it is for.
    pub role: PortRole,
}

/// What an input or an output is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PortRole {
    /// Pictures, labels, rates, results.
    Data,
    /// A weight or a running statistic; of an output, what it becomes.
    Weight,
    /// A momentum or a gradient.
    State,
}

pub(super) fn facts(path: &Path, settings: &InspectSettings) -> Result<GraphFacts, Error> {
    let source = read_model(path)?;
    let empty = crate::graph::onnx::messages::Graph::default();
    let graph = source.model.graph.as_ref().unwrap_or(&empty);
    let held: HashSet<&str> = graph.initializer.iter().filter_map(|tensor| tensor.name.as_deref()).collect();
    let inputs = graph.input.iter().filter(|info| !held.contains(info.name.as_deref().unwrap_or("")));
    let roles = Roles::of(path, &source);
    let (producer, version) = (source.model.producer_name.as_deref(), source.model.producer_version.as_deref());
    let others = source.model.opset_import.iter().filter(|set| !is_standard(set.domain.as_deref()));
    let mut facts = GraphFacts {
        file: path.display().to_string(),
        file_bytes: std::fs::metadata(path).map_or(0, |found| found.len()),
        producer: [producer, version].into_iter().flatten().collect::<Vec<_>>().join(" "),
        ir_version: source.model.ir_version.unwrap_or(0),
        opset: source.opset(),
        other_opsets: others.map(|set| (set.domain.clone().unwrap_or_default(), set.version.unwrap_or(0))).collect(),
        inputs: inputs.map(|info| port(info, &roles)).collect(),
        outputs: graph.output.iter().map(|info| port(info, &roles)).collect(),
        weights: Stock::default(),
        operators: operators(&source),
        flops: None,
        measure: None,
        unknown: None,
        notes: Vec::new(),
        metadata: metadata(&source),
    };
    match understood(&source, settings, &roles, &mut facts) {
        Ok(measure) => {
            facts.weights = measure.weights;
            facts.flops = Some(measure.flops());
            facts.measure = Some(measure);
        }
        Err(error) => {
            facts.unknown = Some(error.to_string());
            facts.weights = counted(&source, &roles);
        }
    }
    Ok(facts)
}

/// Follows the shapes through the graph; the ports get the lengths that were found.
fn understood(
    source: &Source,
    settings: &InspectSettings,
    roles: &Roles,
    facts: &mut GraphFacts,
) -> Result<Measure, crate::graph::Error> {
    let settings = ImportSettings { lengths: settings.lengths.clone(), ..ImportSettings::default() };
    let imported = import(source, &settings)?;
    let graph = &imported.graph;
    for (port, value) in facts.inputs.iter_mut().zip(&imported.inputs) {
        fix(port, graph, *value);
    }
    for (port, (_, value)) in facts.outputs.iter_mut().zip(&imported.outputs) {
        fix(port, graph, *value);
    }
    facts.notes.clone_from(&imported.notes);
    let outputs: Vec<Value> = imported.outputs.iter().map(|(_, value)| *value).collect();
    Ok(measure(graph, &outputs, |name| roles.of_input(name) == PortRole::Weight || roles.held.contains(name)))
}

fn fix(port: &mut Port, graph: &Graph, value: Value) {
    let kind = graph.kind(value);
    port.element = kind.element.to_string();
    port.shape = Some(kind.dims.iter().map(ToString::to_string).collect());
}

/// What the names of a graph's values stand for.
struct Roles {
    /// Weights inside the file.
    held: HashSet<String>,
    /// Weights that are inputs, for all that is known.
    weights: HashSet<String>,
}

impl Roles {
    fn of(path: &Path, source: &Source) -> Self {
        let graph = source.model.graph.as_ref();
        let initializers = graph.map(|graph| graph.initializer.as_slice()).unwrap_or_default();
        let held = initializers.iter().filter(|tensor| not_a_weight(source, tensor).is_none());
        let held = held.filter_map(|tensor| tensor.name.clone()).collect();
        let mut weights = HashSet::new();
        if is_own(source) {
            // A step gives what a weight becomes, or takes its gradient, under a name made from the weight's own.
            let names = |infos: &'_ [ValueInfo]| infos.iter().filter_map(|info| info.name.clone()).collect::<Vec<_>>();
            let inputs = names(graph.map(|graph| graph.input.as_slice()).unwrap_or_default());
            let outputs = names(graph.map(|graph| graph.output.as_slice()).unwrap_or_default());
            let owner = |name: &str, start: &str| name.strip_prefix(start).map(str::to_owned);
            weights.extend(outputs.iter().filter_map(|name| owner(name, "next/")));
            weights.extend(STATE.iter().flat_map(|start| inputs.iter().filter_map(|name| owner(name, start))));
            weights.remove("loss_scale");
            let beside = read_weights(&path.with_file_name(BESIDE));
            weights.extend(beside.into_iter().flat_map(|beside| beside.tensors.into_keys()));
        }
        Self { held, weights }
    }

    fn of_input(&self, name: &str) -> PortRole {
        if STATE.iter().any(|start| name.starts_with(start)) {
            return PortRole::State;
        }
        match self.weights.contains(name) || detect([name]).is_some() {
            true => PortRole::Weight,
            false => PortRole::Data,
        }
    }
}

fn is_own(source: &Source) -> bool {
    source.model.producer_name.as_deref() == Some("selvedge")
}

fn is_standard(domain: Option<&str>) -> bool {
    matches!(domain, None | Some("" | "ai.onnx"))
}

fn port(info: &ValueInfo, roles: &Roles) -> Port {
    let name = info.name.clone().unwrap_or_default();
    let kind: Option<&TensorType> = info.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref());
    let code = kind.and_then(|kind| kind.elem_type).unwrap_or(0);
    let element = crate::graph::onnx::element_of(code, &name).map(|element| element.to_string()).unwrap_or_default();
    let shape = kind.and_then(|kind| kind.shape.as_ref()).map(|shape| shape.dim.iter().map(length).collect());
    let role = roles.of_input(name.strip_prefix("next/").unwrap_or(&name));
    Port { name, element, shape, role }
}

fn length(dim: &Dimension) -> String {
    match &dim.length {
        Some(Length::Fixed(length)) if *length > 0 => length.to_string(),
        Some(Length::Named(word)) if !word.is_empty() => word.clone(),
        _ => "?".to_owned(),
    }
}

fn operators(source: &Source) -> Vec<OperatorCount> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for node in source.model.graph.iter().flat_map(|graph| &graph.node) {
        let op = node.op_type.as_deref().unwrap_or("");
        let operator = match node.domain.as_deref() {
            domain if is_standard(domain) => op.to_owned(),
            domain => format!("{}::{op}", domain.unwrap_or("")),
        };
        *counts.entry(operator).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().map(|(operator, nodes)| OperatorCount { operator, nodes }).collect();
    counts.sort_by_key(|count| std::cmp::Reverse(count.nodes));
    counts
}

fn metadata(source: &Source) -> BTreeMap<String, String> {
    let entries = source.model.metadata_props.iter();
    entries.filter_map(|entry| Some((entry.key.clone()?, entry.value.clone().unwrap_or_default()))).collect()
}

/// The weights of a graph that is not understood, by what the file says of them.
fn counted(source: &Source, roles: &Roles) -> Stock {
    let mut stock = Stock::default();
    let initializers = source.model.graph.iter().flat_map(|graph| &graph.initializer);
    for tensor in initializers.filter(|tensor| roles.held.contains(tensor.name.as_deref().unwrap_or(""))) {
        if let Some(element) = element(tensor) {
            let dims: Vec<usize> = tensor.dims.iter().map(|dim| usize::try_from(*dim).unwrap_or(0)).collect();
            stock.add(&crate::graph::TensorType::new(element, &dims));
        }
    }
    stock
}

fn element(tensor: &TensorMessage) -> Option<Element> {
    crate::graph::onnx::element_of(tensor.data_type.unwrap_or(0), "").ok()
}

/// Why a tensor of an ONNX file is a number of its program and no weight; `None` for a weight.
fn not_a_weight(source: &Source, tensor: &TensorMessage) -> Option<&'static str> {
    let name = tensor.name.as_deref().unwrap_or("");
    if !element(tensor).is_some_and(Element::is_float) && !name.ends_with("num_batches_tracked") {
        return Some("it holds no floats, so it is a setting of a node");
    }
    if is_own(source) && name.starts_with(CONSTANT) {
        return Some("a constant of the graph");
    }
    // Exporters keep scales and epsilons as tensors; those of modules have a dot in their names.
    let single = tensor.dims.iter().all(|dim| *dim == 1);
    (single && !name.contains('.')).then_some("a single number of the graph")
}

/// The weights inside an ONNX file under their names, and what was left out with the reason.
pub(in crate::stage::model) fn weights_of_model(path: &Path) -> Result<(Weights, Vec<(String, String)>), Error> {
    let source = read_model(path)?;
    let mut weights = Weights { metadata: metadata(&source), ..Weights::default() };
    let mut left_out = Vec::new();
    for tensor in source.model.graph.iter().flat_map(|graph| &graph.initializer) {
        let name = tensor.name.clone().unwrap_or_default();
        match not_a_weight(&source, tensor) {
            Some(why) => left_out.push((name, why.to_owned())),
            None => {
                weights.tensors.insert(name, source.tensor(tensor)?);
            }
        }
    }
    Ok((weights, left_out))
}
