//! A forward graph from anywhere, brought into the form that can be differentiated: every axis fixed, arithmetic on shapes
//! computed, operators of older and newer versions and composite ones written with the few that have rules, batch norm
//! and weights as training needs them. Must not know losses or optimisers.

mod attention;
mod call;
mod einsum;
mod lists;
mod lower;
mod norms;

use super::attributes::{Attribute, Attributes};
use super::ir::{CONSTANT, Graph, TensorType, Value};
use super::onnx::Source;
use super::onnx::messages::{Attribute as AttributeMessage, Function, Node as NodeMessage, ValueInfo, attribute_type};
use super::onnx::{element_of, fixed_length, length_key};
use super::{Error, Tensor};
use call::Call;
use std::collections::{BTreeMap, HashMap, HashSet};

/// What an exported graph does not say.
#[derive(Clone, Debug, Default)]
pub struct ImportSettings {
    /// Batch norm by the statistics of the batch, whatever the exporter wrote; else by the running ones.
    pub training: bool,
    /// Lengths of axes that the file leaves open, by their names; `INPUT.AXIS` for those without.
    pub lengths: BTreeMap<String, usize>,
    /// Weights whose names begin so are kept as they are.
    pub frozen: Vec<String>,
}

/// A weight of an imported graph.
#[derive(Clone, Debug)]
pub struct ImportedTensor {
    /// Its name in the file.
    pub name: String,
    /// The graph's input that stands for it now.
    pub value: Value,
    /// What the file holds.
    pub tensor: Tensor,
}

/// Running statistics of a batch norm, and what they become in a step.
#[derive(Clone, Debug)]
pub struct ImportedRunning {
    /// As it goes in.
    pub now: ImportedTensor,
    /// Whether it is a variance; else a mean.
    pub variance: bool,
    /// As it comes out; `None` when the running statistics are only used.
    pub next: Option<Value>,
}

/// A graph that was read; weights and running statistics are inputs of it now, after those of the file.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The graph, without outputs declared.
    pub graph: Graph,
    /// The file's inputs.
    pub inputs: Vec<Value>,
    /// The file's outputs with their names.
    pub outputs: Vec<(String, Value)>,
    /// What can be trained, in the file's order.
    pub parameters: Vec<ImportedTensor>,
    /// Running means and variances.
    pub running: Vec<ImportedRunning>,
    /// What was changed or left behind on the way.
    pub notes: Vec<String>,
}

/// The versions of the standard operators that are understood.
const OPSETS: std::ops::RangeInclusive<i64> = 11..=24;

/// How deep functions of a file may call each other, and how often in all.
const DEEPEST_CALL: usize = 32;
const MOST_CALLS: usize = 1 << 20;

/// Brings a model into the form that can be differentiated.
pub fn import(source: &Source, settings: &ImportSettings) -> Result<Imported, Error> {
    let broken = |detail: String| Error::Format { what: source.name.clone(), wanted: "ONNX model", detail };
    if !OPSETS.contains(&source.opset()) {
        return Err(broken(format!(
            "it is written in opset {}, and {} to {} are known; export it with one of those, best 21",
            source.opset(),
            OPSETS.start(),
            OPSETS.end()
        )));
    }
    let graph = source.model.graph.as_ref().ok_or_else(|| broken("it has no graph".to_owned()))?;
    check_settings(source, settings)?;
    let mut reader = Reader {
        source,
        opset: source.opset(),
        training: settings.training,
        graph: Graph::new(),
        running: Vec::new(),
        lists: HashMap::new(),
        depth: 0,
        calls: 0,
        notes: source
            .unknown
            .iter()
            .map(|field| format!("{field} of the file is not known here and was left out"))
            .collect(),
    };
    let mut names: Names = HashMap::new();
    let held: HashSet<&str> = graph.initializer.iter().filter_map(|tensor| tensor.name.as_deref()).collect();
    let mut inputs = Vec::new();
    for info in graph.input.iter().filter(|info| !held.contains(info.name.as_deref().unwrap_or(""))) {
        let (name, value) = reader.input(info, settings)?;
        names.insert(name, value);
        inputs.push(value);
    }
    let uses = Uses::of(&graph.node);
    let (mut parameters, mut statistics) = (Vec::new(), HashMap::new());
    for message in &graph.initializer {
        let name = message.name.clone().unwrap_or_default();
        let tensor = source.tensor(message)?;
        let frozen = settings.frozen.iter().any(|prefix| name.starts_with(prefix.as_str()));
        let variance = uses.statistic.get(name.as_str()).filter(|_| settings.training);
        let value = if let Some(variance) = variance {
            let value = reader.graph.input(&name, tensor.element(), tensor.dims())?;
            statistics.insert(value, (ImportedTensor { name: name.clone(), value, tensor }, *variance));
            value
        } else if !frozen && uses.trainable(&name, &tensor) {
            let value = reader.graph.input(&name, tensor.element(), tensor.dims())?;
            parameters.push(ImportedTensor { name: name.clone(), value, tensor });
            value
        } else {
            reader.graph.named_constant(&name, tensor)
        };
        names.insert(name, value);
    }
    reader.nodes(&graph.node, &mut names, &[])?;
    let mut outputs = Vec::with_capacity(graph.output.len());
    for info in &graph.output {
        let name = info.name.clone().unwrap_or_default();
        let value = names.get(&name).ok_or_else(|| broken(format!("nothing gives its output `{name}`")))?;
        outputs.push((name, *value));
    }
    let mut running = Vec::new();
    for (now, next) in reader.running.into_iter().rev() {
        if let Some((now, variance)) = statistics.remove(&now) {
            running.push(ImportedRunning { now, variance, next: Some(next) });
        }
    }
    running.extend(statistics.into_values().map(|(now, variance)| ImportedRunning { now, variance, next: None }));
    running.sort_by(|a, b| a.now.name.cmp(&b.now.name));
    Ok(Imported { graph: reader.graph, inputs, outputs, parameters, running, notes: reader.notes })
}

/// A setting that meets nothing is a mistake of whoever wrote it.
fn check_settings(source: &Source, settings: &ImportSettings) -> Result<(), Error> {
    let open: Vec<String> = source.open_axes().into_iter().map(|(_, _, key)| key).collect();
    let unmet = |node: String, detail: String| Err(Error::Unsupported { node, detail });
    if let Some(key) = settings.lengths.keys().find(|key| !open.contains(key)) {
        let known =
            if open.is_empty() { "no length is open".to_owned() } else { format!("open are {}", open.join(", ")) };
        return unmet(format!("length `{key}`"), format!("the graph does not ask for it; {known}"));
    }
    let held: Vec<&str> = source
        .model
        .graph
        .iter()
        .flat_map(|graph| &graph.initializer)
        .filter_map(|held| held.name.as_deref())
        .collect();
    match settings.frozen.iter().find(|prefix| !held.iter().any(|name| name.starts_with(prefix.as_str()))) {
        Some(prefix) => {
            unmet(format!("frozen `{prefix}`"), "no weight of the graph has a name that begins so".to_owned())
        }
        None => Ok(()),
    }
}

type Names = HashMap<String, Value>;

/// What the weights of a file are used for.
struct Uses<'a> {
    /// Used as running statistics; whether as variances.
    statistic: HashMap<&'a str, bool>,
    /// Used where a gradient makes sense.
    gradient: HashSet<&'a str>,
}

impl<'a> Uses<'a> {
    fn of(nodes: &'a [NodeMessage]) -> Self {
        let (mut statistic, mut gradient) = (HashMap::new(), HashSet::new());
        for node in nodes {
            for (place, name) in node.input.iter().enumerate() {
                let setting = match (node.op_type.as_deref().unwrap_or(""), place) {
                    ("BatchNormalization", 3 | 4) => {
                        statistic.insert(name.as_str(), place == 4);
                        continue;
                    }
                    ("Resize", 1..) | ("Clip", 1..) | ("Pad", 1..) | ("OneHot", 1..) | ("Dropout", 1..) => true,
                    ("CastLike", 1) | ("Equal" | "Greater" | "Less" | "Range", _) => true,
                    _ => false,
                };
                if !setting {
                    gradient.insert(name.as_str());
                }
            }
        }
        Self { statistic, gradient }
    }

    /// Exporters keep numbers of the code (a scale, an epsilon) among the weights, under names they made up.
    fn trainable(&self, name: &str, tensor: &Tensor) -> bool {
        let made_up =
            ["val_", "onnx::", "scalar_tensor", "lifted_tensor", "_"].iter().any(|word| name.starts_with(word))
                || name.contains("Constant")
                || name.chars().all(|letter| letter.is_ascii_digit());
        let number = (tensor.len() <= 1 && made_up) || name.starts_with(CONSTANT);
        tensor.element().is_float() && !tensor.is_empty() && !number && self.gradient.contains(name)
    }
}

struct Reader<'a> {
    source: &'a Source,
    opset: i64,
    training: bool,
    graph: Graph,
    /// Running statistics and what they become, the last use last.
    running: Vec<(Value, Value)>,
    /// Lists of values, by the names of those that hold them.
    lists: HashMap<String, Vec<Value>>,
    /// Calls of functions that the node at hand stands in, and all there were.
    depth: usize,
    calls: usize,
    notes: Vec<String>,
}

impl<'a> Reader<'a> {
    fn input(&mut self, info: &ValueInfo, settings: &ImportSettings) -> Result<(String, Value), Error> {
        let name = info.name.clone().unwrap_or_default();
        let what = format!("input `{name}`");
        let Some(kind) = info.r#type.as_ref().and_then(|kind| kind.tensor_type.as_ref()) else {
            return Err(Error::Unsupported { node: what, detail: "it is no tensor".to_owned() });
        };
        let element = element_of(kind.elem_type.unwrap_or(0), &what)?;
        let mut dims = Vec::new();
        for (axis, dim) in kind.shape.iter().flat_map(|shape| &shape.dim).enumerate() {
            if let Some(length) = fixed_length(dim) {
                dims.push(length);
                continue;
            }
            let key = length_key(&name, axis, dim);
            let length = settings.lengths.get(&key).ok_or_else(|| Error::Unsupported {
                node: what.clone(),
                detail: format!("the length `{key}` of its axis {axis} is open; fix it with --length {key}=N"),
            })?;
            dims.push(*length);
        }
        let kind = TensorType::new(element, &dims);
        if !kind.is_countable() {
            return Err(Error::Node {
                node: what,
                detail: format!("{kind} has more elements than a machine can hold"),
            });
        }
        let value = self.graph.input(&name, element, &dims)?;
        Ok((name, value))
    }

    fn nodes(&mut self, nodes: &[NodeMessage], names: &mut Names, settings: &[AttributeMessage]) -> Result<(), Error> {
        for node in nodes {
            self.node(node, names, settings)?;
        }
        Ok(())
    }

    /// One node of the file; `settings` are those of the function call it stands in.
    fn node(&mut self, node: &NodeMessage, names: &mut Names, settings: &[AttributeMessage]) -> Result<(), Error> {
        let op = node.op_type.as_deref().unwrap_or("");
        let name = node.name.as_deref().filter(|name| !name.is_empty()).unwrap_or(op);
        if self.listed(node, names)? {
            return Ok(());
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for input in &node.input {
            inputs.push(match input.as_str() {
                "" => None,
                word => Some(*names.get(word).ok_or_else(|| Error::Node {
                    node: format!("{op} `{name}`"),
                    detail: format!("nothing before it gives `{word}`"),
                })?),
            });
        }
        let outputs = node.output.iter().rposition(|output| !output.is_empty()).map_or(0, |last| last + 1);
        let results = if let Some(function) = self.function(node) {
            self.inline(function, &inputs, &node.attribute, settings)?
        } else if !matches!(node.domain.as_deref(), None | Some("" | "ai.onnx")) {
            return Err(Error::Unsupported {
                node: format!("{op} `{name}`"),
                detail: format!(
                    "it is of the domain `{}`, and only standard operators are known here; export the model without extensions",
                    node.domain.as_deref().unwrap_or("")
                ),
            });
        } else if op == "If" {
            self.branch(node, &inputs, names, settings)?
        } else {
            let attributes = self.attributes(&node.attribute, settings, name)?;
            let call = Call { op, name, inputs, attributes, outputs };
            self.lower(&call)?
        };
        for (output, value) in node.output.iter().zip(results) {
            if !output.is_empty() {
                names.insert(output.clone(), value);
            }
        }
        Ok(())
    }

    fn attributes(
        &self,
        messages: &[AttributeMessage],
        settings: &[AttributeMessage],
        node: &str,
    ) -> Result<Attributes, Error> {
        let mut attributes = Attributes::new();
        for message in messages {
            let name = message.name.clone().unwrap_or_default();
            // Inside a function, a setting may stand for one of the call; one that the call leaves out stays out.
            let message = match message.ref_attr_name.as_deref().filter(|word| !word.is_empty()) {
                Some(word) => match settings.iter().find(|setting| setting.name.as_deref() == Some(word)) {
                    Some(setting) => setting,
                    None => continue,
                },
                None => message,
            };
            let attribute = match message.r#type.unwrap_or(0) {
                attribute_type::INT => Attribute::Int(message.i.unwrap_or(0)),
                attribute_type::FLOAT => Attribute::Float(message.f.unwrap_or(0.0)),
                attribute_type::INTS => Attribute::Ints(message.ints.clone()),
                attribute_type::FLOATS => Attribute::Floats(message.floats.clone()),
                attribute_type::STRING => {
                    Attribute::Text(String::from_utf8_lossy(message.s.as_deref().unwrap_or_default()).into_owned())
                }
                attribute_type::TENSOR => match message.t.as_deref() {
                    Some(tensor) => Attribute::Tensor(self.source.tensor(tensor)?),
                    None => continue,
                },
                kind => {
                    return Err(Error::Unsupported {
                        node: node.to_owned(),
                        detail: format!("its setting `{name}` is of the kind {kind}, which is not known here"),
                    });
                }
            };
            attributes.insert(name, attribute);
        }
        Ok(attributes)
    }

    fn function(&self, node: &NodeMessage) -> Option<&'a Function> {
        let source: &'a Source = self.source;
        let same = |a: &Option<String>, b: &Option<String>| a.as_deref().unwrap_or("") == b.as_deref().unwrap_or("");
        let functions = &source.model.functions;
        functions.iter().find(|function| same(&function.name, &node.op_type) && same(&function.domain, &node.domain))
    }

    fn inline(
        &mut self,
        function: &Function,
        inputs: &[Option<Value>],
        attributes: &[AttributeMessage],
        settings: &[AttributeMessage],
    ) -> Result<Vec<Value>, Error> {
        // A function that calls itself, or others in twos and twos, would never come to an end.
        self.calls += 1;
        if self.depth >= DEEPEST_CALL || self.calls > MOST_CALLS {
            return Err(Error::Unsupported {
                node: format!("function `{}`", function.name.as_deref().unwrap_or("")),
                detail:
                    "functions of the file call each other too deeply or too often; export it with functions inlined"
                        .to_owned(),
            });
        }
        let mut names = Names::new();
        for (name, value) in function.input.iter().zip(inputs) {
            if let Some(value) = value {
                names.insert(name.clone(), *value);
            }
        }
        let resolve = |message: &AttributeMessage| match message.ref_attr_name.as_deref() {
            Some(word) if !word.is_empty() => {
                let setting = settings.iter().find(|setting| setting.name.as_deref() == Some(word))?;
                Some(AttributeMessage { name: message.name.clone(), ..setting.clone() })
            }
            _ => Some(message.clone()),
        };
        let mut given: Vec<AttributeMessage> = attributes.iter().filter_map(resolve).collect();
        let missing =
            function.attribute_proto.iter().filter(|default| given.iter().all(|own| own.name != default.name));
        let missing: Vec<AttributeMessage> = missing.cloned().collect();
        given.extend(missing);
        self.depth += 1;
        let inlined = self.nodes(&function.node, &mut names, &given);
        self.depth -= 1;
        inlined?;
        function
            .output
            .iter()
            .map(|name| {
                names.get(name).copied().ok_or_else(|| Error::Node {
                    node: format!("function `{}`", function.name.as_deref().unwrap_or("")),
                    detail: format!("nothing in it gives `{name}`"),
                })
            })
            .collect()
    }

    /// A choice that is known already: exporters leave such behind where a shape decides.
    fn branch(
        &mut self,
        node: &NodeMessage,
        inputs: &[Option<Value>],
        names: &Names,
        settings: &[AttributeMessage],
    ) -> Result<Vec<Value>, Error> {
        let label = format!("If `{}`", node.name.as_deref().unwrap_or(""));
        let choice = inputs.first().copied().flatten().and_then(|value| self.graph.constant_of(value));
        let Some(choice) = choice.and_then(|tensor| tensor.to_i64().first().copied()) else {
            return Err(Error::Unsupported { node: label, detail: "it chooses by what is in the picture".to_owned() });
        };
        let wanted = if choice != 0 { "then_branch" } else { "else_branch" };
        let branch = node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(wanted));
        let Some(branch) = branch.and_then(|attribute| attribute.g.as_deref()) else {
            return Err(Error::Node { node: label, detail: format!("it has no {wanted}") });
        };
        let mut inner = names.clone();
        for message in &branch.initializer {
            let name = message.name.clone().unwrap_or_default();
            let tensor = self.source.tensor(message)?;
            inner.insert(name.clone(), self.graph.named_constant(&name, tensor));
        }
        self.nodes(&branch.node, &mut inner, settings)?;
        let value = |info: &ValueInfo| inner.get(info.name.as_deref().unwrap_or("")).copied();
        let values: Option<Vec<Value>> = branch.output.iter().map(value).collect();
        values.ok_or_else(|| Error::Node { node: label, detail: "nothing in its branch gives an output".to_owned() })
    }
}
