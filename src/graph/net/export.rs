//! The graphs of a network that are used without training: logits from normalised pictures with the weights as inputs, and
//! probabilities from bytes with everything inside. Must not know files.

use super::{Config, Head, Mode, Network, build};
use crate::graph::weights::Weights;
use crate::graph::{Element, Error, Graph, Tensor};

/// Mean and deviation of a recipe's pictures, red, green and blue, in bytes 0..=255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// Subtracted.
    pub mean: [f32; 3],
    /// Divided by, then.
    pub deviation: [f32; 3],
}

impl Normalisation {
    /// What the public checkpoints of a network were trained with: 127.5 for Segmenter, ImageNet's for SETR.
    pub fn of(config: &Config) -> Self {
        match config.arch.is_setr() {
            false => Self { mean: [127.5; 3], deviation: [127.5; 3] },
            true => Self { mean: [123.675, 116.28, 103.53], deviation: [58.395, 57.12, 57.375] },
        }
    }
}

/// `image` f32 `[B, 3, H, W]`, normalised, and every weight to `logits` f32 `[B, classes, H, W]`.
pub fn eval_graph(config: &Config, batch: usize) -> Result<Graph, Error> {
    let mut network = build(config, Mode::Eval, batch)?;
    let head = decode_head(&network)?;
    let logits = network.full_size(&head)?;
    network.graph.output(logits, "logits")?;
    Ok(network.graph)
}

fn decode_head(network: &Network) -> Result<Head, Error> {
    network.heads.first().cloned().ok_or_else(|| Error::Network { detail: "it has no head".to_owned() })
}

/// `image` u8 `[B, H, W, 3]`, red, green and blue as decoded, to `probabilities` f32 `[B, classes, H, W]`, the weights
/// inside. Weights by canonical names; those of auxiliary heads are left out.
pub fn infer_graph(
    config: &Config,
    batch: usize,
    normalisation: &Normalisation,
    weights: &Weights,
) -> Result<Graph, Error> {
    let mut network = build(config, Mode::Eval, batch)?;
    let head = decode_head(&network)?;
    let full = network.full_size_last(&head)?;
    let probabilities = network.graph.softmax(full, 3)?;
    let probabilities = network.graph.transpose(probabilities, &[0, 3, 1, 2])?;
    network.graph.output(probabilities, "probabilities")?;
    let missing = |name: &str| Error::Weights { detail: format!("the tensor {name} is missing") };
    for input in network.graph.inputs().to_vec() {
        if input != network.image {
            let name = network.graph.name(input).to_owned();
            let tensor = weights.tensors.get(&name).ok_or_else(|| missing(&name))?;
            network.graph.embed(input, tensor.clone())?;
        }
    }
    network.graph.feed(network.image, "image", |graph| {
        let (height, width) = config.size;
        let bytes = graph.input("image", Element::U8, &[batch, height, width, 3])?;
        let numbers = graph.cast(bytes, Element::F32)?;
        let mean = graph.constant(Tensor::f32(&[3], &normalisation.mean)?);
        let scale = graph.constant(Tensor::f32(&[3], &normalisation.deviation.map(f32::recip))?);
        let centred = graph.sub(numbers, mean)?;
        let normal = graph.mul(centred, scale)?;
        graph.transpose(normal, &[0, 3, 1, 2])
    })?;
    Ok(network.graph)
}
