//! The vision transformer: patches of a picture as tokens, and blocks of attention and MLP over them.
//! Must not know decoders.

use super::declare::Declared;
use super::drops::Drops;
use super::layers::{Grid, LayerNorm, Linear};
use super::{Config, DropPathOn, Mode};
use crate::graph::build::attributes;
use crate::graph::weights::Role;
use crate::graph::{Error, Graph, Value};

/// How much wider the MLP is than the tokens.
const MLP_RATIO: usize = 4;

/// What is left out at random in one block.
#[derive(Clone, Copy)]
pub(super) struct BlockDrops {
    /// How often a branch is left out.
    pub path: f32,
    pub path_on: DropPathOn,
    /// How often a number is.
    pub dropout: f32,
}

/// `rate` for the last of so many blocks, 0 for the first, linear in between.
pub(super) fn path_rates(rate: f32, blocks: usize) -> Vec<f32> {
    (0..blocks).map(|block| rate * block as f32 / (blocks.max(2) - 1) as f32).collect()
}

/// `x + attention(norm(x))`, then `x + mlp(norm(x))`.
pub(super) struct Block {
    norm_before_attention: LayerNorm,
    in_projection: (Value, Value),
    out_projection: Linear,
    norm_before_mlp: LayerNorm,
    widen: Linear,
    narrow: Linear,
    heads: usize,
    dropout: f32,
    /// Rows of the drop-path mask.
    attention_path: Option<usize>,
    mlp_path: Option<usize>,
}

impl Block {
    pub fn declare(
        into: &mut Declared,
        name: &str,
        (width, heads): (usize, usize),
        epsilon: f32,
        drops: BlockDrops,
    ) -> Result<Self, Error> {
        let mut row = |wanted: bool| {
            let wanted = wanted && drops.path > 0.0 && into.mode == Mode::Train;
            wanted.then(|| {
                into.paths.push(1.0 - drops.path);
                into.paths.len() - 1
            })
        };
        let (attention_path, mlp_path) = (row(drops.path_on == DropPathOn::Both), row(true));
        let attention = format!("{name}.attn.attn");
        let hidden = MLP_RATIO * width;
        Ok(Self {
            norm_before_attention: LayerNorm::declare(into, &format!("{name}.ln1"), width, epsilon)?,
            in_projection: (
                into.weight(format!("{attention}.in_proj_weight"), &[3 * width, width])?,
                into.weight(format!("{attention}.in_proj_bias"), &[3 * width])?,
            ),
            out_projection: Linear::declare(into, &format!("{attention}.out_proj"), (width, width))?,
            norm_before_mlp: LayerNorm::declare(into, &format!("{name}.ln2"), width, epsilon)?,
            widen: Linear::declare(into, &format!("{name}.ffn.layers.0.0"), (width, hidden))?,
            narrow: Linear::declare(into, &format!("{name}.ffn.layers.1"), (hidden, width))?,
            heads,
            dropout: if into.mode == Mode::Train { drops.dropout } else { 0.0 },
            attention_path,
            mlp_path,
        })
    }

    /// Tokens `[B, N, D]` to tokens.
    pub fn forward(&self, graph: &mut Graph, drops: &mut Drops, x: Value) -> Result<Value, Error> {
        let normal = self.norm_before_attention.forward(graph, x)?;
        let branch = graph.scoped("attention", |graph| self.attention(graph, drops, normal))?;
        let branch = drops.path(graph, branch, self.attention_path)?;
        let x = graph.add(x, branch)?;

        let normal = self.norm_before_mlp.forward(graph, x)?;
        let branch = graph.scoped("mlp", |graph| self.mlp(graph, drops, normal))?;
        let branch = drops.path(graph, branch, self.mlp_path)?;
        graph.add(x, branch)
    }

    fn attention(&self, graph: &mut Graph, drops: &mut Drops, x: Value) -> Result<Value, Error> {
        let &[batch, tokens, width] = graph.dims(x) else {
            let detail = format!("{} are no tokens", graph.kind(x));
            return Err(Error::Node { node: "attention".to_owned(), detail });
        };
        let head_width = width / self.heads;
        let (weight, bias) = self.in_projection;
        let packed = graph.linear(x, weight, Some(bias))?;
        let packed = graph.reshape(packed, &[batch, tokens, 3, self.heads, head_width])?;
        let packed = graph.transpose(packed, &[2, 0, 3, 1, 4])?;
        let mut parts = [x; 3];
        for (part, cut) in parts.iter_mut().zip(graph.split(packed, &[1; 3], 0)?) {
            *part = graph.reshape(cut, &[batch, self.heads, tokens, head_width])?;
        }
        let [query, key, value] = parts;
        // Product and factor stand side by side: ONNX Runtime makes one operator of the turned key, both, and no copy.
        let key = graph.transpose_last(key)?;
        let scores = graph.matmul(query, key)?;
        let scores = graph.scale(scores, 1.0 / (head_width as f32).sqrt())?;
        let attention = graph.softmax(scores, 3)?;
        let attention = drops.numbers(graph, attention, self.dropout)?;
        let mixed = graph.matmul(attention, value)?;
        let mixed = graph.transpose(mixed, &[0, 2, 1, 3])?;
        let mixed = graph.reshape(mixed, &[batch, tokens, width])?;
        let out = self.out_projection.forward(graph, mixed)?;
        drops.numbers(graph, out, self.dropout)
    }

    fn mlp(&self, graph: &mut Graph, drops: &mut Drops, x: Value) -> Result<Value, Error> {
        let x = self.widen.forward(graph, x)?;
        let x = graph.unary("Gelu", x)?;
        let x = drops.numbers(graph, x, self.dropout)?;
        let x = self.narrow.forward(graph, x)?;
        drops.numbers(graph, x, self.dropout)
    }
}

/// The encoder of all networks here.
pub(super) struct Encoder {
    patch: usize,
    grid: Grid,
    taps: Vec<usize>,
    class_token: Value,
    joins_class_token: bool,
    position: Value,
    projection: (Value, Value),
    blocks: Vec<Block>,
    norm: Option<LayerNorm>,
}

/// What sets the encoders of the networks apart.
pub(super) struct EncoderKind {
    /// Whether the class token goes through the blocks. Where it does not, it and its place in the position embedding
    /// are there (checkpoints have them), but nothing depends on them.
    pub joins_class_token: bool,
    /// Whether a layer norm follows the last block.
    pub final_norm: bool,
    /// Whether checkpoints of another size are brought to this one by bicubic interpolation, and not by bilinear.
    pub cubic: bool,
}

impl Encoder {
    pub fn declare(into: &mut Declared, config: &Config, kind: EncoderKind) -> Result<Self, Error> {
        let (width, patch, grid) = (config.width, config.patch, config.grid());
        let place = Role::Position { grid, class_tokens: 1, cubic: kind.cubic };
        let class_token = into.weight("backbone.cls_token".to_owned(), &[1, 1, width])?;
        let position = into.parameter("backbone.pos_embed".to_owned(), &[1, 1 + grid.0 * grid.1, width], place)?;
        let projection = (
            into.weight("backbone.patch_embed.projection.weight".to_owned(), &[width, 3, patch, patch])?,
            into.weight("backbone.patch_embed.projection.bias".to_owned(), &[width])?,
        );
        let mut blocks = Vec::with_capacity(config.layers);
        for (layer, path) in path_rates(config.drop_path, config.layers).into_iter().enumerate() {
            let name = format!("backbone.layers.{layer}");
            let drops = BlockDrops { path, path_on: config.drop_path_on, dropout: 0.0 };
            blocks.push(Block::declare(into, &name, (width, config.heads), config.encoder_epsilon, drops)?);
        }
        let norm = match kind.final_norm {
            true => Some(LayerNorm::declare(into, "backbone.ln1", width, config.encoder_epsilon)?),
            false => None,
        };
        let taps = config.taps.clone();
        let joins_class_token = kind.joins_class_token;
        Ok(Self { patch, grid, taps, class_token, joins_class_token, position, projection, blocks, norm })
    }

    /// Pictures `[B, 3, H, W]` to the tokens of the patches, `[B, h*w, D]`, after each of the tapped blocks.
    pub fn forward(&self, graph: &mut Graph, drops: &mut Drops, image: Value) -> Result<Vec<Value>, Error> {
        let patches = graph.scoped("patches", |graph| self.patches(graph, image))?;
        let mut x = self.with_positions(graph, patches)?;
        let mut tapped = Vec::with_capacity(self.taps.len());
        for (layer, block) in self.blocks.iter().enumerate() {
            x = graph.scoped(&format!("layers.{layer}"), |graph| block.forward(graph, drops, x))?;
            let last = layer + 1 == self.blocks.len();
            if let Some(norm) = self.norm.as_ref().filter(|_| last) {
                x = norm.forward(graph, x)?;
            }
            if self.taps.contains(&layer) {
                let start = usize::from(self.joins_class_token);
                tapped.push(graph.slice(x, 1, start, self.grid.0 * self.grid.1, 1)?);
            }
        }
        Ok(tapped)
    }

    /// The convolution whose stride is its kernel, as one matrix product: so its gradient is one as well.
    fn patches(&self, graph: &mut Graph, image: Value) -> Result<Value, Error> {
        let &[batch, channels, height, width] = graph.dims(image) else {
            let detail = format!("{} are no pictures", graph.kind(image));
            return Err(Error::Node { node: "patches".to_owned(), detail });
        };
        let (patch, (rows, columns)) = (self.patch, self.grid);
        let below = (rows * patch).saturating_sub(height);
        let right = (columns * patch).saturating_sub(width);
        let mut image = image;
        if (below, right) != (0, 0) {
            let pads = graph.ints(&[0, 0, 0, 0, 0, 0, below as i64, right as i64]);
            image = graph.op("Pad", &[image, pads], attributes([("mode", "constant".into())]))?;
        }
        let cut = graph.reshape(image, &[batch, channels, rows, patch, columns, patch])?;
        let cut = graph.transpose(cut, &[0, 2, 4, 1, 3, 5])?;
        let pixels = channels * patch * patch;
        let flat = graph.reshape(cut, &[batch, rows * columns, pixels])?;
        let (weight, bias) = self.projection;
        let width = graph.dims(bias).iter().product();
        let weight = graph.reshape(weight, &[width, pixels])?;
        graph.linear(flat, weight, Some(bias))
    }

    fn with_positions(&self, graph: &mut Graph, patches: Value) -> Result<Value, Error> {
        let &[batch, cells, width] = graph.dims(patches) else {
            let detail = format!("{} are no tokens", graph.kind(patches));
            return Err(Error::Node { node: "positions".to_owned(), detail });
        };
        if !self.joins_class_token {
            let position = graph.slice(self.position, 1, 1, cells, 1)?;
            return graph.add(patches, position);
        }
        let class = graph.expand(self.class_token, &[batch, 1, width])?;
        let tokens = graph.concat(&[class, patches], 1)?;
        graph.add(tokens, self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::path_rates;

    #[test]
    fn branches_are_left_out_more_often_the_deeper_they_lie() {
        assert_eq!(path_rates(0.5, 3), [0.0, 0.25, 0.5]);
        assert_eq!(path_rates(0.1, 2), [0.0, 0.1]);
        assert_eq!(path_rates(0.1, 1), [0.0]);
    }
}
