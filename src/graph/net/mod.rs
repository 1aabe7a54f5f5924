//! Networks for segmentation, built from a description: the graph from normalised pictures to logits, with every weight an
//! input under its mmsegmentation name. Must not know how weights are read, losses or gradients.

mod config;
mod declare;
mod drops;
mod export;
mod layers;
mod segmenter;
mod setr;
mod vit;

pub use config::{Arch, Config, DropPathOn};
pub use export::{Normalisation, eval_graph, infer_graph};

use super::weights::{Role, Wanted};
use super::{Element, Error, Graph, Value};
use declare::Declared;
use drops::Drops;
use layers::{Classifier, Updates};
use segmenter::{MaskDecoder, linear_decoder};
use setr::{Logits, MlaHead, MlaNeck, UpHead, mla_auxiliary};
use vit::{Encoder, EncoderKind};

/// What the network is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Batch statistics in batch norms, random masks as inputs, auxiliary heads.
    Train,
    /// Running statistics, nothing random, the decode head alone.
    Eval,
}

/// One tensor of the state dict.
#[derive(Clone, Debug, PartialEq)]
pub struct StateTensor {
    /// Its name in mmsegmentation.
    pub name: String,
    /// `f32`, or `i64` for a counter.
    pub element: Element,
    /// Its shape; none for a counter.
    pub dims: Vec<usize>,
    /// How it may differ in a file.
    pub role: Role,
}

/// A weight, which is an input of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Parameter {
    /// The input, `f32`, of the same name.
    pub value: Value,
    /// Its name in the state dict.
    pub name: String,
    /// How it may differ in a file; never [`Role::Buffer`].
    pub role: Role,
    /// Whether it is in the group of the heads (`head` is in its name), for which some recipes have a rate of their own.
    pub head: bool,
}

/// A running statistic (`f32` `[C]`) or a counter of batches (`i64`, no axes) of a batch norm.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    /// Its name in the state dict.
    pub name: String,
    /// The input of that name. A counter is none in [`Mode::Eval`], where nothing would use it.
    pub value: Option<Value>,
    /// While training: what it is after the step, of the same type and shape; to be made an output.
    pub next: Option<Value>,
}

/// How the numbers of a mask are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MaskKind {
    /// `f32` `[K, B]`: in row `k`, each number is `1 / keep_probabilities[k]` with that probability, else 0.
    Paths,
    /// `u8` of any shape: each number is 1 with the one keep probability, else 0; the graph does the scaling.
    Numbers,
}

/// An input that the host fills by drawing, anew for every step.
#[derive(Clone, Debug, PartialEq)]
pub struct MaskInput {
    /// The input.
    pub value: Value,
    /// Its name: `drop_path`, `dropout/0`, ….
    pub name: String,
    /// Its shape.
    pub dims: Vec<usize>,
    /// Its type, and how it is drawn.
    pub kind: MaskKind,
    /// How likely a branch or a number stays.
    pub keep_probabilities: Vec<f32>,
}

/// Logits of one head.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    /// `decode`, `aux_0`, `aux_1`, ….
    pub name: String,
    /// `[B, h*w, classes]`, the grid row by row.
    pub logits: Value,
    /// `(h, w)`.
    pub grid: (usize, usize),
    /// Sizes that the logits are upsampled to one after the other (bilinear, corners not aligned) before they are brought
    /// to the picture's size in the same way. Often the last is that size already.
    pub through: Vec<(usize, usize)>,
    /// The share of the head's loss in the whole: 1, auxiliary heads 0.4.
    pub weight: f32,
}

/// A network: a graph without outputs so far, and what its values are.
#[derive(Clone, Debug)]
pub struct Network {
    /// From `image` and the tensors of the state dict to the logits.
    pub graph: Graph,
    /// What it was built from.
    pub config: Config,
    /// The input `image`, `f32` `[B, 3, H, W]`, RGB, normalised by the recipe's mean and deviation.
    pub image: Value,
    /// The decode head, then, while training, the auxiliary ones.
    pub heads: Vec<Head>,
    /// The weights, in the order of the state dict. In [`Mode::Eval`] those of the auxiliary heads are not there.
    pub parameters: Vec<Parameter>,
    /// Running statistics and counters, in the order of the state dict.
    pub running: Vec<Running>,
    /// Inputs that are drawn; none in [`Mode::Eval`].
    pub masks: Vec<MaskInput>,
    /// The state dict in its order: parameters and running statistics, as a checkpoint holds them.
    pub state: Vec<StateTensor>,
}

/// The weight of auxiliary losses in SETR.
const AUXILIARY_WEIGHT: f32 = 0.4;

enum Decoder {
    Linear(Classifier),
    Mask(MaskDecoder),
    Up(UpHead, Vec<UpHead>),
    Mla(MlaNeck, MlaHead, Vec<Classifier>),
}

/// Builds the network for `batch` pictures at a time. No weights are made.
pub fn build(config: &Config, mode: Mode, batch: usize) -> Result<Network, Error> {
    config.check()?;
    if !(1..=65_536).contains(&batch) {
        return Err(Error::Network { detail: format!("a batch of {batch} pictures; it can be 1 to 65536") });
    }
    let mut graph = Graph::new();
    let image = graph.input("image", Element::F32, &[batch, 3, config.size.0, config.size.1])?;
    let mut declared = Declared::new(graph, mode);
    let kind = EncoderKind {
        joins_class_token: config.arch != Arch::SetrMla,
        final_norm: !config.arch.is_setr(),
        cubic: !config.arch.is_setr(),
    };
    let encoder = Encoder::declare(&mut declared, config, kind)?;
    let decoder = declare_decoder(&mut declared, config)?;

    let Declared { mut graph, state, parameters, mut running, paths, .. } = declared;
    let mut drops = Drops::declare(&mut graph, &paths, batch)?;
    let mut updates = Updates::new();
    let taps = graph.scoped("backbone", |graph| encoder.forward(graph, &mut drops, image))?;
    let heads = forward_heads(&decoder, &mut graph, &mut drops, &mut updates, &taps, config.grid())?;
    for (statistic, next) in updates {
        for running in running.iter_mut().filter(|running| running.value == Some(statistic)) {
            running.next = Some(next);
        }
    }
    Ok(Network { graph, config: config.clone(), image, heads, parameters, running, masks: drops.masks, state })
}

fn declare_decoder(into: &mut Declared, config: &Config) -> Result<Decoder, Error> {
    // MLA has an auxiliary head on each map of its neck, the others have one on each tap but the last.
    let auxiliaries = match (into.mode, config.arch) {
        (Mode::Eval, _) => 0,
        (Mode::Train, Arch::SetrMla) => config.taps.len(),
        (Mode::Train, _) => config.taps.len() - 1,
    };
    Ok(match config.arch {
        Arch::SegmenterLinear => Decoder::Linear(linear_decoder(into, config)?),
        Arch::SegmenterMask => Decoder::Mask(MaskDecoder::declare(into, config)?),
        Arch::SetrNaive | Arch::SetrPup => {
            let head = UpHead::decode(into, config)?;
            let others = (0..auxiliaries).map(|number| UpHead::auxiliary(into, config, number));
            Decoder::Up(head, others.collect::<Result<_, _>>()?)
        }
        Arch::SetrMla => {
            let neck = MlaNeck::declare(into, config)?;
            let head = MlaHead::declare(into, config)?;
            let others = (0..auxiliaries).map(|number| mla_auxiliary(into, config, number));
            Decoder::Mla(neck, head, others.collect::<Result<_, _>>()?)
        }
    })
}

fn forward_heads(
    decoder: &Decoder,
    graph: &mut Graph,
    drops: &mut Drops,
    updates: &mut Updates,
    taps: &[Value],
    grid: (usize, usize),
) -> Result<Vec<Head>, Error> {
    let Some((last, earlier)) = taps.split_last() else {
        return Err(Error::Network { detail: "no block of the encoder is tapped".to_owned() });
    };
    let plain = |value: Value| Logits { value, grid, through: Vec::new() };
    let mut heads = Vec::new();
    match decoder {
        Decoder::Linear(head) => {
            heads.push(graph.scoped("decode", |graph| head.forward_tokens(graph, *last).map(plain))?);
        }
        Decoder::Mask(head) => {
            heads.push(graph.scoped("decode", |graph| head.forward(graph, drops, *last).map(plain))?);
        }
        Decoder::Up(head, others) => {
            heads.push(graph.scoped("decode", |graph| head.forward(graph, updates, *last, grid))?);
            for (number, (head, tap)) in others.iter().zip(earlier).enumerate() {
                let name = format!("aux_{number}");
                heads.push(graph.scoped(&name, |graph| head.forward(graph, updates, *tap, grid))?);
            }
        }
        Decoder::Mla(neck, head, others) => {
            let maps = graph.scoped("neck", |graph| neck.forward(graph, updates, taps, grid))?;
            heads.push(graph.scoped("decode", |graph| head.forward(graph, updates, &maps, grid))?);
            for (number, (head, map)) in others.iter().zip(&maps).enumerate() {
                let name = format!("aux_{number}");
                heads.push(graph.scoped(&name, |graph| head.forward(graph, *map).map(plain))?);
            }
        }
    }
    let named = heads.into_iter().enumerate().map(|(at, Logits { value, grid, through })| {
        let (name, weight) = match at.checked_sub(1) {
            None => ("decode".to_owned(), 1.0),
            Some(number) => (format!("aux_{number}"), AUXILIARY_WEIGHT),
        };
        Head { name, logits: value, grid, through, weight }
    });
    Ok(named.collect())
}

impl Network {
    /// Numbers in all weights; running statistics do not count.
    pub fn parameter_count(&self) -> usize {
        self.parameters.iter().map(|parameter| self.graph.kind(parameter.value).len()).sum()
    }

    /// The state dict as the loader of weights asks for it, in its order.
    pub fn wanted(&self) -> Vec<Wanted> {
        let wanted =
            |tensor: &StateTensor| Wanted { name: tensor.name.clone(), dims: tensor.dims.clone(), role: tensor.role };
        self.state.iter().map(wanted).collect()
    }

    /// Weights that no node uses: the class token of SETR-MLA. Their gradient is zero, not missing.
    pub fn unused(&self) -> Vec<&Parameter> {
        let used: std::collections::HashSet<Value> =
            self.graph.nodes().iter().flat_map(|node| node.inputs.iter().flatten().copied()).collect();
        self.parameters.iter().filter(|parameter| !used.contains(&parameter.value)).collect()
    }

    /// Adds what brings a head's logits to the size of the pictures: `[B, H, W, classes]`, the classes last.
    pub fn full_size_last(&mut self, head: &Head) -> Result<Value, Error> {
        let size = self.config.size;
        let full = self.graph.upsample_last(head.logits, head.grid, &head.through, size)?;
        let batch = self.graph.dims(full)[0];
        self.graph.reshape(full, &[batch, size.0, size.1, self.config.classes])
    }

    /// The same as `[B, classes, H, W]`.
    pub fn full_size(&mut self, head: &Head) -> Result<Value, Error> {
        let full = self.full_size_last(head)?;
        self.graph.transpose(full, &[0, 3, 1, 2])
    }
}
