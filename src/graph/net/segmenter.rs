//! Segmenter's decoders: one linear layer, or the mask transformer, in which one learned token a class meets the tokens
//! of the patches. Must not know how the encoder made those.

use super::Config;
use super::declare::Declared;
use super::drops::Drops;
use super::layers::{Classifier, LayerNorm, Linear};
use super::vit::{Block, BlockDrops, path_rates};
use crate::graph::weights::Role;
use crate::graph::{Error, Graph, Value};

/// Added to a length before something is divided by it.
const SHORTEST: f32 = 1e-12;

/// The mask transformer.
pub(super) struct MaskDecoder {
    class_tokens: Value,
    blocks: Vec<Block>,
    projection: Linear,
    patch_projection: Linear,
    class_projection: Linear,
    norm: LayerNorm,
    mask_norm: LayerNorm,
}

impl MaskDecoder {
    pub fn declare(into: &mut Declared, config: &Config) -> Result<Self, Error> {
        let (width, classes, epsilon) = (config.width, config.classes, config.decoder_epsilon);
        let class_tokens = into.parameter("decode_head.cls_emb".to_owned(), &[1, classes, width], Role::Class)?;
        let mut blocks = Vec::with_capacity(config.decoder_layers);
        for (layer, path) in path_rates(config.decoder_drop_path, config.decoder_layers).into_iter().enumerate() {
            let name = format!("decode_head.layers.{layer}");
            let drops = BlockDrops { path, path_on: config.drop_path_on, dropout: config.decoder_dropout };
            blocks.push(Block::declare(into, &name, (width, config.heads), epsilon, drops)?);
        }
        Ok(Self {
            class_tokens,
            blocks,
            projection: Linear::declare(into, "decode_head.dec_proj", (width, width))?,
            patch_projection: Linear::without_bias(into, "decode_head.patch_proj", (width, width))?,
            class_projection: Linear::without_bias(into, "decode_head.classes_proj", (width, width))?,
            norm: LayerNorm::declare(into, "decode_head.decoder_norm", width, epsilon)?,
            mask_norm: LayerNorm::of_classes(into, "decode_head.mask_norm", classes, epsilon)?,
        })
    }

    /// Tokens of the patches `[B, h*w, D]` to logits `[B, h*w, classes]`.
    pub fn forward(&self, graph: &mut Graph, drops: &mut Drops, x: Value) -> Result<Value, Error> {
        let patches = self.projection.forward(graph, x)?;
        let &[batch, cells, width] = graph.dims(patches) else {
            let detail = format!("{} are no tokens", graph.kind(patches));
            return Err(Error::Node { node: "decoder".to_owned(), detail });
        };
        let classes = graph.dims(self.class_tokens).get(1).copied().unwrap_or(0);
        let class_tokens = graph.expand(self.class_tokens, &[batch, classes, width])?;
        let mut x = graph.concat(&[patches, class_tokens], 1)?;
        for (layer, block) in self.blocks.iter().enumerate() {
            x = graph.scoped(&format!("layers.{layer}"), |graph| block.forward(graph, drops, x))?;
        }
        let x = self.norm.forward(graph, x)?;
        let patches = graph.slice(x, 1, 0, cells, 1)?;
        let class_tokens = graph.slice(x, 1, cells, classes, 1)?;
        let patches = self.patch_projection.forward(graph, patches)?;
        let patches = unit_length(graph, patches)?;
        let class_tokens = self.class_projection.forward(graph, class_tokens)?;
        let class_tokens = unit_length(graph, class_tokens)?;
        let class_tokens = graph.transpose_last(class_tokens)?;
        let masks = graph.matmul(patches, class_tokens)?;
        self.mask_norm.forward(graph, masks)
    }
}

/// Every token divided by its length. PyTorch divides by `max(length, 1e-12)`; adding the 1e-12 is the same for every
/// length that a 32-bit float tells apart from it, keeps a token of zeros at zero, and needs no gradient of a maximum.
fn unit_length(graph: &mut Graph, x: Value) -> Result<Value, Error> {
    let last = graph.dims(x).len().saturating_sub(1);
    let length = graph.reduce("ReduceL2", x, &[last], true)?;
    let shortest = graph.scalar_like(SHORTEST, length)?;
    let length = graph.add(length, shortest)?;
    graph.div(x, length)
}

/// Declares the linear decoder, which is a classifier on the tokens.
pub(super) fn linear_decoder(into: &mut Declared, config: &Config) -> Result<Classifier, Error> {
    Classifier::declare(into, "decode_head", config.width, config.classes)
}
