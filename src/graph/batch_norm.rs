//! Batch normalisation, over every axis but the second. While training it is written out in plain operators: the standard
//! one updates its running variance by another rule than PyTorch, and has no CUDA kernel. Must not know networks.

use super::Error;
use super::build::attributes;
use super::ir::{Composite, Graph, Value};

/// What a batch norm needs beside its input. All values are `f32` `[C]`.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// What the normalised input is multiplied by.
    pub scale: Value,
    /// What is added then.
    pub bias: Value,
    /// The mean seen so far.
    pub running_mean: Value,
    /// The (unbiased) variance seen so far.
    pub running_var: Value,
    /// The share of the new batch in the running statistics, as PyTorch counts it (ONNX counts the old one's share).
    pub momentum: f32,
    /// Added to the variance.
    pub epsilon: f32,
}

/// The values within a batch norm in training form, for its gradient and for ranks that share their statistics:
/// `y = normal * scale + bias` with `normal = centred * inverse_deviation` and `centred = x - mean`, mean and variance
/// taken over every axis but the second.
#[derive(Clone, Debug)]
pub(crate) struct BatchNormValues {
    /// What is normalised, `[N, C, …]`.
    pub x: Value,
    /// `[C]`.
    pub scale: Value,
    /// `[C]`.
    pub bias: Value,
    /// `x` with mean 0, of the shape of `x`.
    pub centred: Value,
    /// `x` with mean 0 and deviation 1, of the shape of `x`.
    pub normal: Value,
    /// `[1, C, 1, …]`.
    pub inverse_deviation: Value,
    /// `[1, C, 1, …]`.
    pub mean: Value,
    /// Biased, `[1, C, 1, …]`.
    pub variance: Value,
    /// The same as `[C]`, for the running variance.
    pub flat_variance: Value,
    /// Set where mean and variance are those of several ranks.
    pub shared: Option<Shared>,
}

/// A batch norm over the batches of several ranks, all of one size.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    /// How many.
    pub ranks: usize,
    /// The output for the sums that its gradient takes over all ranks.
    pub backward: String,
}

impl BatchNormValues {
    /// Numbers a channel in a rank's own batch.
    pub fn count(&self, graph: &Graph) -> usize {
        graph.dims(self.x).iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| *dim).product()
    }
}

/// What a batch norm gives while training.
#[derive(Clone, Copy, Debug)]
pub struct BatchNormOut {
    /// The normalised input, scaled and shifted; of the input's shape.
    pub y: Value,
    /// The running mean after this batch, `[C]`.
    pub next_mean: Value,
    /// The running variance after this batch, `[C]`, with the batch's unbiased variance in it.
    pub next_var: Value,
}

/// Normalises by the running statistics. `x` is `[N, C, …]`.
pub fn batch_norm_eval(graph: &mut Graph, x: Value, norm: &BatchNorm) -> Result<Value, Error> {
    let settings = attributes([("epsilon", norm.epsilon.into())]);
    graph.op("BatchNormalization", &[x, norm.scale, norm.bias, norm.running_mean, norm.running_var], settings)
}

/// Normalises by mean and variance of the batch itself. `x` is `[N, C]` or `[N, C, …]`; more than one number a channel,
/// or there is no variance.
pub fn batch_norm_train(graph: &mut Graph, x: Value, norm: &BatchNorm) -> Result<BatchNormOut, Error> {
    let dims = graph.dims(x).to_vec();
    let broken = |detail: String| Error::Node { node: "BatchNormalization".to_owned(), detail };
    let channels = match dims.as_slice() {
        [_, channels, ..] => *channels,
        _ => return Err(broken(format!("{} has no axis of channels", graph.kind(x)))),
    };
    let count: usize = dims.iter().enumerate().filter(|(axis, _)| *axis != 1).map(|(_, dim)| *dim).product();
    if count < 2 {
        return Err(broken(format!(
            "{} has {count} number a channel, and training needs at least 2; train with more images or a larger size",
            graph.kind(x)
        )));
    }
    // The last axis is added up first, so that no sum runs over a whole map.
    let axes: Vec<usize> = (0..dims.len()).filter(|axis| *axis != 1).collect();
    let mut along: Vec<usize> = vec![1; dims.len()];
    along[1] = channels;

    let mean = graph.reduce_in_stages("ReduceMean", x, &axes, true)?;
    let centred = graph.sub(x, mean)?;
    let square = graph.mul(centred, centred)?;
    let variance = graph.reduce_in_stages("ReduceMean", square, &axes, true)?;
    let epsilon = graph.scalar_like(norm.epsilon, variance)?;
    let safe = graph.add(variance, epsilon)?;
    let deviation = graph.unary("Sqrt", safe)?;
    let inverse_deviation = graph.unary("Reciprocal", deviation)?;
    let normal = graph.mul(centred, inverse_deviation)?;
    let scale = graph.reshape(norm.scale, &along)?;
    let bias = graph.reshape(norm.bias, &along)?;
    let scaled = graph.mul(normal, scale)?;
    let y = graph.add(scaled, bias)?;

    let unbiased = count as f32 / (count - 1) as f32;
    let flat_mean = flat(graph, mean, norm.running_mean)?;
    let next_mean = blend(graph, norm.running_mean, flat_mean, norm.momentum, 1.0)?;
    let flat_variance = flat(graph, variance, norm.running_var)?;
    let next_var = blend(graph, norm.running_var, flat_variance, norm.momentum, unbiased)?;
    let values = BatchNormValues {
        x,
        scale: norm.scale,
        bias: norm.bias,
        centred,
        normal,
        inverse_deviation,
        mean,
        variance,
        flat_variance,
        shared: None,
    };
    graph.set_composite(y, Composite::BatchNorm(values));
    Ok(BatchNormOut { y, next_mean, next_var })
}

/// In the shape of another value.
fn flat(graph: &mut Graph, value: Value, like: Value) -> Result<Value, Error> {
    let dims = graph.dims(like).to_vec();
    graph.reshape(value, &dims)
}

/// `(1 - momentum) old + momentum (correction new)`.
fn blend(graph: &mut Graph, old: Value, new: Value, momentum: f32, correction: f32) -> Result<Value, Error> {
    let new = graph.scale(new, momentum * correction)?;
    let old = graph.scale(old, 1.0 - momentum)?;
    graph.add(old, new)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::Element;

    fn norm(graph: &mut Graph) -> BatchNorm {
        let mut input = |name| graph.input(name, Element::F32, &[4]).unwrap();
        let [scale, bias, running_mean, running_var] = ["scale", "bias", "mean", "var"].map(&mut input);
        BatchNorm { scale, bias, running_mean, running_var, momentum: 0.1, epsilon: 1e-5 }
    }

    #[test]
    fn every_rank_keeps_its_shape_and_is_marked_for_the_short_gradient() {
        for dims in [&[6, 4][..], &[2, 4, 3], &[1, 4, 3, 5], &[2, 4, 1, 1, 7]] {
            let mut graph = Graph::new();
            let norm = norm(&mut graph);
            let x = graph.input("x", Element::F32, dims).unwrap();
            let out = batch_norm_train(&mut graph, x, &norm).unwrap();
            assert_eq!(graph.dims(out.y), dims);
            assert_eq!((graph.dims(out.next_mean), graph.dims(out.next_var)), (&[4][..], &[4][..]));
            let Some(Composite::BatchNorm(values)) = graph.composite(out.y) else { panic!("not marked") };
            assert_eq!(graph.dims(values.normal), dims);
            assert_eq!(graph.dims(values.inverse_deviation).iter().product::<usize>(), 4);
            let y = batch_norm_eval(&mut graph, x, &norm).unwrap();
            assert_eq!(graph.dims(y), dims);
        }
    }

    #[test]
    fn one_number_a_channel_has_no_variance() {
        for dims in [&[1, 4][..], &[1, 4, 1, 1], &[4]] {
            let mut graph = Graph::new();
            let norm = norm(&mut graph);
            let x = graph.input("x", Element::F32, dims).unwrap();
            assert!(matches!(batch_norm_train(&mut graph, x, &norm), Err(Error::Node { .. })));
        }
    }
}
