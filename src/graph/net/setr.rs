//! SETR's heads and the neck of MLA. Every head ends with bilinear upsampling; since a classifier with a 1×1 kernel and an
//! interpolation whose weights add up to 1 can change places, the classifier comes first here, at the smaller size, and the
//! upsampling is left to whoever uses the logits. Must not know the encoder.

use super::declare::Declared;
use super::layers::{Classifier, ConvNormRelu, Grid, LayerNorm, Updates};
use super::{Arch, Config};
use crate::graph::{Error, Graph, Value};

/// Logits on a grid, with the sizes that they would be upsampled to, one after the other, before the picture's own.
pub(super) struct Logits {
    /// `[B, h*w, classes]`.
    pub value: Value,
    pub grid: Grid,
    pub through: Vec<Grid>,
}

fn larger((height, width): Grid, factor: usize) -> Grid {
    (height * factor, width * factor)
}

/// The shape of a naive or progressive head.
#[derive(Clone, Copy)]
struct UpShape {
    convs: usize,
    kernel: usize,
    /// Of the upsampling after each convolution.
    factor: usize,
}

/// Layer norm, then convolutions with an upsampling after each, then the classifier: the heads of naive and PUP.
pub(super) struct UpHead {
    norm: LayerNorm,
    convs: Vec<ConvNormRelu>,
    factor: usize,
    classifier: Classifier,
}

impl UpHead {
    /// The head on the last tap.
    pub fn decode(into: &mut Declared, config: &Config) -> Result<Self, Error> {
        let shape = match config.arch {
            Arch::SetrPup => UpShape { convs: 4, kernel: 3, factor: 2 },
            _ => UpShape { convs: 1, kernel: 1, factor: 4 },
        };
        Self::declare(into, config, "decode_head", shape)
    }

    /// The head on an earlier tap, for training only.
    pub fn auxiliary(into: &mut Declared, config: &Config, number: usize) -> Result<Self, Error> {
        let kernel = if config.arch == Arch::SetrPup { 3 } else { 1 };
        let shape = UpShape { convs: 2, kernel, factor: 4 };
        Self::declare(into, config, &format!("auxiliary_head.{number}"), shape)
    }

    fn declare(into: &mut Declared, config: &Config, name: &str, shape: UpShape) -> Result<Self, Error> {
        let channels = config.decoder_channels;
        let classifier = Classifier::declare(into, name, channels, config.classes)?;
        let norm = LayerNorm::declare(into, &format!("{name}.norm"), config.width, config.decoder_epsilon)?;
        let mut convs = Vec::with_capacity(shape.convs);
        for conv in 0..shape.convs {
            let inner = if conv == 0 { config.width } else { channels };
            let name = format!("{name}.up_convs.{conv}.0");
            convs.push(ConvNormRelu::declare(into, &name, (inner, channels), shape.kernel)?);
        }
        Ok(Self { norm, convs, factor: shape.factor, classifier })
    }

    /// Tokens `[B, h*w, D]` to logits.
    pub fn forward(&self, graph: &mut Graph, updates: &mut Updates, x: Value, grid: Grid) -> Result<Logits, Error> {
        let mut x = self.norm.forward(graph, x)?;
        let mut grid = grid;
        for (at, conv) in self.convs.iter().enumerate() {
            x = match at {
                0 => conv.forward_tokens(graph, updates, x, grid)?,
                _ => {
                    grid = larger(grid, self.factor);
                    let map = graph.resize(x, grid)?;
                    conv.forward(graph, updates, map)?
                }
            };
        }
        let value = self.classifier.forward(graph, x)?;
        Ok(Logits { value, grid, through: vec![larger(grid, self.factor)] })
    }
}

/// The neck of MLA: the taps normalised, narrowed, summed from the deepest up, and smoothed.
pub(super) struct MlaNeck {
    norms: Vec<LayerNorm>,
    narrow: Vec<ConvNormRelu>,
    smooth: Vec<ConvNormRelu>,
}

impl MlaNeck {
    pub fn declare(into: &mut Declared, config: &Config) -> Result<Self, Error> {
        let (width, channels) = (config.width, config.decoder_channels);
        let mut neck = Self { norms: Vec::new(), narrow: Vec::new(), smooth: Vec::new() };
        for tap in 0..config.taps.len() {
            let name = format!("neck.norm.{tap}");
            neck.norms.push(LayerNorm::declare(into, &name, width, config.decoder_epsilon)?);
        }
        for tap in 0..config.taps.len() {
            let name = format!("neck.mla.channel_proj.{tap}");
            neck.narrow.push(ConvNormRelu::declare(into, &name, (width, channels), 1)?);
        }
        for level in 0..config.taps.len() {
            let name = format!("neck.mla.feat_extract.{level}");
            neck.smooth.push(ConvNormRelu::declare(into, &name, (channels, channels), 3)?);
        }
        Ok(neck)
    }

    /// Tokens of the taps, the shallowest first, to as many maps `[B, channels, h, w]`; the first of these comes from the
    /// deepest tap alone, the last one from all.
    pub fn forward(
        &self,
        graph: &mut Graph,
        updates: &mut Updates,
        taps: &[Value],
        grid: Grid,
    ) -> Result<Vec<Value>, Error> {
        let mut narrow = Vec::with_capacity(taps.len());
        for ((tap, norm), conv) in taps.iter().zip(&self.norms).zip(&self.narrow) {
            let normal = norm.forward(graph, *tap)?;
            narrow.push(conv.forward_tokens(graph, updates, normal, grid)?);
        }
        let mut maps = Vec::with_capacity(taps.len());
        let mut sum: Option<Value> = None;
        for (map, conv) in narrow.into_iter().rev().zip(&self.smooth) {
            let total = match sum {
                Some(sum) => graph.add(sum, map)?,
                None => map,
            };
            sum = Some(total);
            maps.push(conv.forward(graph, updates, total)?);
        }
        Ok(maps)
    }
}

/// The head of MLA: two convolutions a map, all results side by side, the classifier.
pub(super) struct MlaHead {
    branches: Vec<[ConvNormRelu; 2]>,
    classifier: Classifier,
}

/// How much MLA enlarges its maps before they are put side by side.
const MLA_FACTOR: usize = 4;

impl MlaHead {
    pub fn declare(into: &mut Declared, config: &Config) -> Result<Self, Error> {
        let (inner, outer) = (config.decoder_channels, config.branch_channels);
        let classifier = Classifier::declare(into, "decode_head", outer * config.taps.len(), config.classes)?;
        let mut branches = Vec::with_capacity(config.taps.len());
        for branch in 0..config.taps.len() {
            let name = format!("decode_head.up_convs.{branch}");
            branches.push([
                ConvNormRelu::declare(into, &format!("{name}.0"), (inner, outer), 3)?,
                ConvNormRelu::declare(into, &format!("{name}.1"), (outer, outer), 3)?,
            ]);
        }
        Ok(Self { branches, classifier })
    }

    /// The maps of the neck to logits.
    pub fn forward(
        &self,
        graph: &mut Graph,
        updates: &mut Updates,
        maps: &[Value],
        grid: Grid,
    ) -> Result<Logits, Error> {
        let mut parts = Vec::with_capacity(maps.len());
        for (map, [first, second]) in maps.iter().zip(&self.branches) {
            let x = first.forward(graph, updates, *map)?;
            parts.push(second.forward(graph, updates, x)?);
        }
        let joined = graph.concat(&parts, 1)?;
        let value = self.classifier.forward(graph, joined)?;
        Ok(Logits { value, grid, through: vec![larger(grid, MLA_FACTOR)] })
    }
}

/// Declares MLA's auxiliary head on a map of the neck: a classifier alone.
pub(super) fn mla_auxiliary(into: &mut Declared, config: &Config, number: usize) -> Result<Classifier, Error> {
    Classifier::declare(into, &format!("auxiliary_head.{number}"), config.decoder_channels, config.classes)
}
