//! Any inference model as one that computes with bytes: static quantisation in the form of QuantizeLinear and
//! DequantizeLinear pairs, weights by channel, activations by tensor. Works on the file's messages, so that a foreign model
//! stays as it is but for what is quantised. Must not know what runs the model, photos, or what is good enough.
//!
//! ```text
//! bytes ─read─► Quantisable ─probe─► a model that shows its tensors ─(run elsewhere)─► Statistics
//!                    └──────────────────────── write(Choice) ◄───────────────────────────┘
//! ```

mod numbers;
mod opset;
mod plan;
mod statistics;
mod write;

pub use numbers::Coding;
pub use statistics::{Method, Statistics, channel_axis};

use super::onnx::Source;
use super::onnx::messages::{Model, Tensor as TensorMessage, ValueInfo};
use super::{Element, Error};
use numbers::{Channels, weights};
use plan::{Role, Wiring};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use write::Computed;

/// A model that can be quantised.
pub struct Quantisable {
    source: Source,
    wiring: Wiring,
    /// What computing nodes hold: weights with their lengths, and the bias.
    constants: HashMap<usize, Constants>,
}

struct Constants {
    dims: Vec<usize>,
    weights: Vec<f32>,
    bias: Option<Vec<f32>>,
}

/// What was decided.
pub struct Choice<'a> {
    /// How ranges are chosen.
    pub method: Method,
    /// What was seen of the tensors of [`Quantisable::tensors`].
    pub statistics: &'a BTreeMap<String, Statistics>,
    /// The means of the channels of computing nodes' inputs after a round trip through bytes, where they were measured.
    pub rounded: &'a BTreeMap<String, Vec<f64>>,
    /// Nodes that are left as they are.
    pub left_out: &'a BTreeSet<usize>,
    /// Weights of 7 bits, for processors without VNNI, whose 8-bit products overflow.
    pub reduced: bool,
}

/// What was written.
pub struct Written {
    /// The model.
    pub bytes: Vec<u8>,
    /// Computing nodes on bytes.
    pub quantised: usize,
    /// The names of those that were left as they are.
    pub floats: Vec<String>,
}

/// Lengths and numbers of a tensor of floats.
type Floats = (Vec<usize>, Vec<f32>);

fn values(source: &Source, message: &TensorMessage) -> Result<Option<Floats>, Error> {
    let tensor = source.tensor(message)?;
    Ok((tensor.element() == Element::F32).then(|| (tensor.dims().to_vec(), tensor.to_f32())))
}

impl Quantisable {
    /// Reads a model whose constants are folded and whose weights lie inside. `name` is what errors call it.
    pub fn read(bytes: Vec<u8>, name: &str) -> Result<Self, Error> {
        let mut source = Source::decode(bytes.into(), name, PathBuf::new())?;
        if !source.unknown.is_empty() {
            let detail = format!("it holds what would be lost: {}", source.unknown.join(", "));
            return Err(Error::Format { what: name.to_owned(), wanted: "ONNX model for quantising", detail });
        }
        opset::upgrade(&mut source.model, name)?;
        source.model.ir_version = source.model.ir_version.max(Some(7));
        if let Some(graph) = source.model.graph.as_mut() {
            let mut taken = BTreeSet::new();
            for (index, node) in graph.node.iter_mut().enumerate() {
                let own = node.name.clone().unwrap_or_default();
                if own.is_empty() || !taken.insert(own) {
                    let given = format!("{}_{index}", node.op_type.as_deref().unwrap_or("node"));
                    taken.insert(given.clone());
                    node.name = Some(given);
                }
            }
        }
        let graph = source.model.graph.clone().unwrap_or_default();
        let is_f32 = |tensor: &&TensorMessage| tensor.data_type == Some(1);
        let by_name: HashMap<&str, &TensorMessage> =
            graph.initializer.iter().filter(is_f32).filter_map(|t| Some((t.name.as_deref()?, t))).collect();
        let ranks = by_name.iter().map(|(name, tensor)| (*name, tensor.dims.len())).collect();
        let mut wiring = Wiring::of(&graph, &ranks);
        let mut constants = HashMap::new();
        for index in wiring.computing() {
            let read = |at: usize| {
                let message = graph.node[index].input.get(at).and_then(|name| by_name.get(name.as_str()));
                message.map_or(Ok(None), |message| values(&source, message))
            };
            let (weight, bias) = (read(1)?, read(2)?);
            let Role::Compute { axis } = wiring.roles[index] else { continue };
            match weight {
                Some((dims, weights))
                    if bias.as_ref().is_none_or(|(_, bias)| Some(&bias.len()) == dims.get(axis))
                        && !weights.is_empty() =>
                {
                    constants.insert(index, Constants { dims, weights, bias: bias.map(|(_, bias)| bias) });
                }
                // A bias of another shape is spread by the operator; such a node stays as it is.
                _ => wiring.roles[index] = Role::Other,
            }
        }
        if constants.is_empty() {
            let detail = "it has no convolution, Gemm or MatMul with constant f32 weights".to_owned();
            return Err(Error::Format { what: name.to_owned(), wanted: "ONNX model for quantising", detail });
        }
        Ok(Self { source, wiring, constants })
    }

    fn node_name(&self, index: usize) -> String {
        let node = self.source.model.graph.as_ref().and_then(|graph| graph.node.get(index));
        node.and_then(|node| node.name.clone()).unwrap_or_default()
    }

    /// The nodes that can compute with bytes: number and name, in the model's order.
    pub fn computing(&self) -> Vec<(usize, String)> {
        self.wiring.computing().into_iter().map(|index| (index, self.node_name(index))).collect()
    }

    /// The tensors that may become bytes, whose statistics are wanted.
    pub fn tensors(&self) -> Vec<String> {
        self.wiring.layout(&BTreeSet::new()).coded.into_iter().collect()
    }

    /// Those of them that computing nodes read.
    pub fn inputs(&self) -> BTreeSet<String> {
        self.wiring.computing().into_iter().flat_map(|index| self.wiring.data[index].clone()).collect()
    }

    /// The model's own inputs.
    pub fn model_inputs(&self) -> Vec<String> {
        let graph = self.source.model.graph.as_ref();
        graph.into_iter().flat_map(|graph| &graph.input).filter_map(|info| info.name.clone()).collect()
    }

    /// The model in floats with nothing but these tensors as outputs.
    pub fn probe(&self, tensors: &[String]) -> Vec<u8> {
        let mut model = self.source.model.clone();
        if let Some(graph) = model.graph.as_mut() {
            let known: HashMap<String, ValueInfo> = graph
                .value_info
                .iter()
                .chain(&graph.output)
                .filter_map(|info| Some((info.name.clone()?, info.clone())))
                .collect();
            let info = |name: &String| {
                known
                    .get(name)
                    .cloned()
                    .unwrap_or_else(|| ValueInfo { name: Some(name.clone()), ..ValueInfo::default() })
            };
            graph.output = tensors.iter().map(info).collect();
        }
        model.encode_to_vec()
    }

    /// How a tensor is written as bytes.
    pub fn coding(&self, tensor: &str, statistics: &BTreeMap<String, Statistics>, method: Method) -> Coding {
        let seen = statistics.get(self.wiring.root(tensor));
        Coding::of(seen.map_or((0.0, 0.0), |seen| seen.range(method)))
    }

    /// Computing nodes from the one that loses most by bytes to the one that loses least: noise of rounded weights and of
    /// the rounded input, over the signal in the node's result.
    pub fn by_noise(&self, statistics: &BTreeMap<String, Statistics>, method: Method) -> Vec<(usize, f64)> {
        let mut noisy: Vec<(usize, f64)> = Vec::new();
        for index in self.wiring.computing() {
            let ratio = self.noise(index, statistics, method).unwrap_or(0.0);
            noisy.push((index, ratio));
        }
        noisy.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        noisy
    }

    fn noise(&self, index: usize, statistics: &BTreeMap<String, Statistics>, method: Method) -> Option<f64> {
        let Role::Compute { axis } = self.wiring.roles[index] else { return None };
        let constants = self.constants.get(&index)?;
        let input = self.wiring.data[index].first()?;
        let seen = statistics.get(input)?;
        let step = f64::from(self.coding(input, statistics, method).scale);
        let squares = seen.squares();
        let channels = Channels::of(&constants.dims, axis);
        let back = weights(&constants.weights, channels, 127.0, &[]).numbers(channels);
        let mut noise = 0.0;
        for (place, (weight, back)) in constants.weights.iter().zip(back).enumerate() {
            let square =
                squares.get(input_channel(&constants.dims, axis, place, squares.len())).copied().unwrap_or(0.0);
            noise += f64::from(weight - back).powi(2) * square + f64::from(*weight).powi(2) * step * step / 12.0;
        }
        let signal = statistics.get(&self.wiring.results[index])?.variance();
        Some(if signal > 0.0 { noise / signal } else { 0.0 })
    }

    /// The model in bytes. `note` is kept in it.
    pub fn write(&self, choice: &Choice<'_>, note: &str) -> Written {
        let layout = self.wiring.layout(choice.left_out);
        let codings: HashMap<String, Coding> = layout
            .coded
            .iter()
            .map(|tensor| (tensor.clone(), self.coding(tensor, choice.statistics, choice.method)))
            .collect();
        let computed =
            layout.quantised.iter().filter_map(|index| Some((*index, self.compute(*index, choice, &codings)?)));
        let computed: HashMap<usize, Computed> = computed.collect();
        let mut model: Model = self.source.model.clone();
        if let Some(graph) = model.graph.as_mut() {
            write::rewrite(graph, &self.wiring, &layout, &codings, &computed);
        }
        model.producer_name = Some("selvedge".to_owned());
        model.producer_version = Some(env!("CARGO_PKG_VERSION").to_owned());
        model.doc_string = Some(note.to_owned());
        let left = self.wiring.computing().into_iter().filter(|index| !layout.quantised.contains(index));
        Written {
            bytes: model.encode_to_vec(),
            quantised: layout.quantised.len(),
            floats: left.map(|index| self.node_name(index)).collect(),
        }
    }

    fn compute(&self, index: usize, choice: &Choice<'_>, codings: &HashMap<String, Coding>) -> Option<Computed> {
        let Role::Compute { axis } = self.wiring.roles[index] else { return None };
        let Constants { dims, weights: floats, bias } = self.constants.get(&index)?;
        let input = self.wiring.data[index].first()?;
        let step = codings.get(input)?.scale;
        let channels = Channels::of(dims, axis);
        let levels = if choice.reduced { 63.0 } else { 127.0 };
        let product = self.source.model.graph.as_ref()?.node.get(index)?.op_type.as_deref() == Some("MatMul");
        if product {
            let weights = weights(floats, channels, levels, &[]);
            return Some(Computed { weights, dims: dims.clone(), channels, axis, bias: None });
        }
        let mut bias: Vec<f64> = match bias {
            Some(bias) => bias.iter().map(|number| f64::from(*number)).collect(),
            None => vec![0.0; channels.count],
        };
        let least: Vec<f32> = bias.iter().map(|number| (number.abs() as f32 / step) / (1 << 30) as f32).collect();
        let weights = weights(floats, channels, levels, &least);
        // What rounding adds to a channel on average is taken off again.
        if let Some(seen) = choice.statistics.get(input) {
            let means = seen.means();
            let rounded = choice.rounded.get(input).unwrap_or(&means);
            for (place, (weight, back)) in floats.iter().zip(weights.numbers(channels)).enumerate() {
                let channel = input_channel(dims, axis, place, means.len());
                let (mean, rounded) = (means.get(channel).copied(), rounded.get(channel).copied());
                let shift = f64::from(back) * rounded.unwrap_or(0.0) - f64::from(*weight) * mean.unwrap_or(0.0);
                bias[channels.at(place)] -= shift;
            }
        }
        let scales: Vec<f32> = weights.scales.iter().map(|scale| scale * step).collect();
        let steps = bias.iter().zip(&scales).map(|(number, scale)| {
            (number / f64::from(*scale)).round().clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32
        });
        let bias = Some((steps.collect(), scales.clone()));
        Some(Computed { weights, dims: dims.clone(), channels, axis, bias })
    }
}

/// The channel of the input that a weight multiplies. A convolution's weights are [out, in / groups, …], and a group of
/// outputs reads its own group of inputs.
fn input_channel(dims: &[usize], axis: usize, place: usize, inputs: usize) -> usize {
    match dims {
        [rows, columns] => match axis {
            0 => place % (*columns).max(1),
            _ => place / (*columns).max(1) % (*rows).max(1),
        },
        [outputs, in_group, rest @ ..] => {
            let inner = rest.iter().product::<usize>().max(1);
            let (output, within) = (place / (inner * in_group).max(1), place / inner % (*in_group).max(1));
            let groups = (inputs / (*in_group).max(1)).max(1);
            let group = output / (outputs / groups).max(1);
            group * in_group + within
        }
        _ => 0,
    }
}
