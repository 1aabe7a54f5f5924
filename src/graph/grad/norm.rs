//! Gradients of what normalises: softmax, layer and batch normalisation, unit length. Must not know attention.

use super::Back;
use crate::graph::batch_norm::Shared;
use crate::graph::ir::{Composite, TensorType, Value};
use crate::graph::{Element, Error};
use std::collections::HashSet;

pub(super) fn rule(back: &mut Back<'_>) -> Result<(), Error> {
    match back.node.op.as_str() {
        "Softmax" => softmax(back),
        "LogSoftmax" => log_softmax(back),
        "LayerNormalization" => layer_norm(back),
        "LpNormalization" => unit_length(back),
        _ => batch_norm_fixed(back),
    }
}

/// `dS = P (dP - Σ dP P)`. When P only weighs rows, O = P V, then `Σ dP P = Σ dO O`, which is as narrow as a head
/// instead of as long as the sequence.
fn softmax(back: &mut Back<'_>) -> Result<(), Error> {
    let (y, dy, axis) = (back.y()?, back.dy()?, back.axis(-1)?);
    let g = &mut *back.graph;
    let last = axis + 1 == g.dims(y).len();
    let narrow = match back.readers.get(&y).map(Vec::as_slice) {
        Some([reader]) if last => {
            let reader = &g.nodes()[*reader];
            let weighs = reader.op == "MatMul" && reader.input(0) == Some(y) && reader.input(1) != Some(y);
            let pair = reader.output(0).and_then(|o| back.known.get(&o).map(|d| (o, *d))).filter(|_| weighs);
            pair.filter(|(o, _)| {
                // The rows must match one to one, or the sums are not the same.
                let (o, p) = (g.dims(*o), g.dims(y));
                o.len() == p.len() && o[..o.len() - 1] == p[..p.len() - 1] && o[o.len() - 1] < p[p.len() - 1]
            })
        }
        _ => None,
    };
    let product = match narrow {
        Some((o, d)) => g.mul(d, o)?,
        None => g.mul(dy, y)?,
    };
    let sum = g.reduce("ReduceSum", product, &[axis], true)?;
    let rest = g.sub(dy, sum)?;
    let dx = g.mul(y, rest)?;
    back.give(0, dx)
}

fn log_softmax(back: &mut Back<'_>) -> Result<(), Error> {
    let (y, dy, axis) = (back.y()?, back.dy()?, back.axis(-1)?);
    let g = &mut *back.graph;
    let sum = g.reduce("ReduceSum", dy, &[axis], true)?;
    let share = g.unary("Exp", y)?;
    let share = g.mul(share, sum)?;
    let dx = g.sub(dy, share)?;
    back.give(0, dx)
}

/// With `n = (x - mean) / deviation` and `h = dy * scale`: `dx = (h - mean(h) - n mean(h n)) / deviation`. Mean and
/// deviation are outputs that the forward node gives when asked.
fn layer_norm(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, scale, dy, axis) = (back.x(0)?, back.x(1)?, back.dy()?, back.axis(-1)?);
    let g = &mut *back.graph;
    let dims = g.dims(x).to_vec();
    let moments: Vec<usize> = dims.iter().enumerate().map(|(at, dim)| if at < axis { *dim } else { 1 }).collect();
    let moments = TensorType::new(Element::F32, &moments);
    let missing = || back.node.broken("it gives neither mean nor deviation");
    let mean = g.ask_output(back.index, 1, moments.clone()).ok_or_else(missing)?;
    let inverse = g.ask_output(back.index, 2, moments).ok_or_else(missing)?;
    let centred = g.sub(x, mean)?;
    let normal = g.mul(centred, inverse)?;
    let axes: Vec<usize> = (axis..dims.len()).collect();
    if back.needs(0) {
        let g = &mut *back.graph;
        let h = g.mul(dy, scale)?;
        let mean_h = g.reduce("ReduceMean", h, &axes, true)?;
        let product = g.mul(h, normal)?;
        let mean_product = g.reduce("ReduceMean", product, &axes, true)?;
        let along = g.mul(normal, mean_product)?;
        let rest = g.sub(h, mean_h)?;
        let rest = g.sub(rest, along)?;
        let dx = g.mul(rest, inverse)?;
        back.give(0, dx)?;
    }
    if back.needs(1) {
        let product = back.graph.mul(dy, normal)?;
        back.give(1, product)?;
    }
    if back.needs(2) {
        back.give(2, dy)?;
    }
    Ok(())
}

fn unit_length(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, y, dy, axis) = (back.x(0)?, back.y()?, back.dy()?, back.axis(-1)?);
    let g = &mut *back.graph;
    let along = g.mul(dy, y)?;
    let along = g.reduce("ReduceSum", along, &[axis], true)?;
    let (norm, direction) = match back.node.int("p", 2) {
        2 => (g.reduce("ReduceL2", x, &[axis], true)?, y),
        1 => {
            let sizes = g.unary("Abs", x)?;
            (g.reduce("ReduceSum", sizes, &[axis], true)?, g.unary("Sign", x)?)
        }
        p => return Err(back.node.unsupported(format!("there is no gradient rule for p = {p}"))),
    };
    let along = g.mul(direction, along)?;
    let rest = g.sub(dy, along)?;
    let dx = g.div(rest, norm)?;
    back.give(0, dx)
}

/// Batch normalisation with fixed statistics: a scale and an offset per channel.
fn batch_norm_fixed(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, scale, mean, variance, dy) = (back.x(0)?, back.x(1)?, back.x(3)?, back.x(4)?, back.dy()?);
    if back.need[3..].contains(&true) {
        return Err(back.node.unsupported("its running statistics cannot be trained"));
    }
    let g = &mut *back.graph;
    let dims = g.dims(x).to_vec();
    let mut per_channel = vec![1; dims.len()];
    per_channel[1] = dims[1];
    let epsilon = g.scalar_like(back.node.float("epsilon", 1e-5), variance)?;
    let variance = g.add(variance, epsilon)?;
    let deviation = g.unary("Sqrt", variance)?;
    let inverse = g.unary("Reciprocal", deviation)?;
    if back.needs(0) {
        let g = &mut *back.graph;
        let factor = g.mul(scale, inverse)?;
        let factor = g.reshape(factor, &per_channel)?;
        let dx = g.mul(dy, factor)?;
        back.give(0, dx)?;
    }
    let sum_channels = |back: &mut Back<'_>, place: usize, values: Value| {
        let axes: Vec<usize> = (0..dims.len()).filter(|axis| *axis != 1).collect();
        let sum = back.graph.reduce_in_stages("ReduceSum", values, &axes, false)?;
        back.give(place, sum)
    };
    if back.needs(1) {
        let g = &mut *back.graph;
        let mean = g.reshape(mean, &per_channel)?;
        let inverse = g.reshape(inverse, &per_channel)?;
        let centred = g.sub(x, mean)?;
        let normal = g.mul(centred, inverse)?;
        let product = g.mul(dy, normal)?;
        sum_channels(back, 1, product)?;
    }
    if back.needs(2) {
        sum_channels(back, 2, dy)?;
    }
    Ok(())
}

/// `dx = scale / deviation * (dy - mean(dy) - n mean(dy n))`. Where ranks share their statistics, those means are over all
/// of them; the gradients of scale and bias stay a rank's own, to be added up with all others.
pub(super) fn composite(back: &mut Back<'_>, composite: &Composite, depends: &HashSet<Value>) -> Result<(), Error> {
    let Composite::BatchNorm(norm) = composite;
    let dy = back.dy()?;
    let g = &mut *back.graph;
    let dims = g.dims(norm.x).to_vec();
    let axes: Vec<usize> = (0..dims.len()).filter(|axis| *axis != 1).collect();
    let sum = g.reduce_in_stages("ReduceSum", dy, &axes, true)?;
    let product = g.mul(dy, norm.normal)?;
    let sum_product = g.reduce_in_stages("ReduceSum", product, &axes, true)?;
    let mut given = Vec::new();
    if depends.contains(&norm.x) {
        let mut per_channel = vec![1; dims.len()];
        per_channel[1] = dims[1];
        let mut count = norm.count(g);
        let (mut all, mut all_product) = (sum, sum_product);
        if let Some(Shared { ranks, backward }) = &norm.shared {
            let both = g.concat(&[sum, sum_product], 0)?;
            g.output(both, backward)?;
            let parts = g.split(both, &[1, 1], 0)?;
            let missing = || back.node.broken("its sums are not two");
            all = *parts.first().ok_or_else(missing)?;
            all_product = *parts.get(1).ok_or_else(missing)?;
            count = count.saturating_mul(*ranks);
        }
        let scale = g.reshape(norm.scale, &per_channel)?;
        let factor = g.mul(scale, norm.inverse_deviation)?;
        let mean = g.scale(all, 1.0 / count as f32)?;
        let mean_product = g.scale(all_product, 1.0 / count as f32)?;
        let along = g.mul(norm.normal, mean_product)?;
        let rest = g.sub(dy, mean)?;
        let rest = g.sub(rest, along)?;
        given.push((norm.x, g.mul(rest, factor)?));
    }
    for (parameter, sum) in [(norm.scale, sum_product), (norm.bias, sum)] {
        if depends.contains(&parameter) {
            let dims = g.dims(parameter).to_vec();
            given.push((parameter, g.reshape(sum, &dims)?));
        }
    }
    back.given.extend(given);
    Ok(())
}
