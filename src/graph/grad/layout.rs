//! Gradients of what moves, cuts, repeats or picks elements: they are put back where they came from. Must not know
//! arithmetic.

use super::{Back, zeros};
use crate::graph::attributes::Attributes;
use crate::graph::build::attributes;
use crate::graph::ir::{Graph, Value};
use crate::graph::shape::layout::{Cut, pads, permutation, slices};
use crate::graph::{Error, Tensor};

pub(super) fn rule(back: &mut Back<'_>) -> Result<(), Error> {
    match back.node.op.as_str() {
        "Concat" => return concat(back),
        "Split" => return split(back),
        "Gather" => return gather(back),
        "GatherElements" => return gather_elements(back),
        "GatherND" => return gather_nd(back),
        "ScatterElements" | "ScatterND" => return scatter(back),
        _ => {}
    }
    let (x, dy) = (back.x(0)?, back.dy()?);
    let dims = back.graph.dims(x).to_vec();
    let dx = match back.node.op.as_str() {
        "Transpose" => {
            let order = back.with_inputs(permutation)?;
            let mut inverse = vec![0; order.len()];
            for (to, from) in order.iter().enumerate() {
                inverse[*from] = to;
            }
            back.graph.transpose(dy, &inverse)?
        }
        // Summed by `give`.
        "Expand" => dy,
        "Slice" => {
            let cuts = back.with_inputs(slices)?;
            let mut dx = dy;
            for cut in &cuts {
                dx = unslice(back.graph, dx, cut, dims[cut.axis])?;
            }
            dx
        }
        "Pad" => {
            if back.node.text("mode", "constant") != "constant" {
                return Err(back.node.unsupported("only padding with a constant has a gradient rule"));
            }
            let mut dx = dy;
            for (axis, (before, after)) in back.with_inputs(pads)?.into_iter().enumerate() {
                let length = back.graph.dims(dx)[axis];
                dx = move_along(back.graph, dx, axis, -before, -after, length)?;
            }
            dx
        }
        "Trilu" => {
            let inputs: Vec<Option<Value>> = [Some(dy)].into_iter().chain(back.node.inputs.get(1).copied()).collect();
            back.graph.op_with_gaps("Trilu", &inputs, back.node.attributes.clone())?
        }
        _ => back.graph.reshape(dy, &dims)?,
    };
    back.give(0, dx)
}

/// Adds zeros before and after along an axis; negative numbers cut away.
fn move_along(g: &mut Graph, x: Value, axis: usize, before: i64, after: i64, length: usize) -> Result<Value, Error> {
    let mut x = x;
    let (cut_before, cut_after) = ((-before).max(0) as usize, (-after).max(0) as usize);
    if cut_before + cut_after > 0 {
        x = g.slice(x, axis, cut_before, length.saturating_sub(cut_before + cut_after), 1)?;
    }
    if before > 0 || after > 0 {
        let rank = g.dims(x).len();
        let mut pads = vec![0; 2 * rank];
        pads[axis] = before.max(0);
        pads[axis + rank] = after.max(0);
        x = pad(g, x, &pads)?;
    }
    Ok(x)
}

/// Zeros around; `pads` is all that comes before, axis by axis, then all that comes after.
pub(super) fn pad(g: &mut Graph, x: Value, pads: &[i64]) -> Result<Value, Error> {
    if pads.iter().all(|pad| *pad == 0) {
        return Ok(x);
    }
    let pads = g.ints(pads);
    g.op("Pad", &[x, pads], Attributes::new())
}

/// Spreads what a slice took over an axis of the length it came from, zeros between.
fn unslice(g: &mut Graph, dy: Value, cut: &Cut, length: usize) -> Result<Value, Error> {
    if cut.count == 0 {
        let mut dims = g.dims(dy).to_vec();
        dims[cut.axis] = length;
        let zero = g.scalar_like(0.0, dy)?;
        return g.expand(zero, &dims);
    }
    let (mut x, mut start) = (dy, cut.start);
    if cut.step < 0 {
        let rank_axis = cut.axis as i64;
        let [starts, ends, axes, steps] = [-1, i64::MIN + 1, rank_axis, -1].map(|value| g.ints(&[value]));
        x = g.op("Slice", &[x, starts, ends, axes, steps], Attributes::new())?;
        start += cut.step * (cut.count as i64 - 1);
    }
    let step = cut.step.unsigned_abs() as usize;
    let mut spread = cut.count;
    if step > 1 {
        // One more axis holds each element and the zeros that follow it.
        let mut dims = g.dims(x).to_vec();
        dims.insert(cut.axis + 1, 1);
        x = g.reshape(x, &dims)?;
        x = move_along(g, x, cut.axis + 1, 0, step as i64 - 1, 1)?;
        dims.remove(cut.axis + 1);
        spread = cut.count * step;
        dims[cut.axis] = spread;
        x = g.reshape(x, &dims)?;
    }
    let after = length as i64 - start - spread as i64;
    move_along(g, x, cut.axis, start, after, spread)
}

fn concat(back: &mut Back<'_>) -> Result<(), Error> {
    let (axis, dy) = (back.axis(0)?, back.dy()?);
    let mut start = 0;
    for place in 0..back.node.inputs.len() {
        let length = back.graph.dims(back.x(place)?)[axis];
        if back.needs(place) {
            let part = back.graph.slice(dy, axis, start, length, 1)?;
            back.give(place, part)?;
        }
        start += length;
    }
    Ok(())
}

fn split(back: &mut Back<'_>) -> Result<(), Error> {
    let axis = back.axis(0)?;
    let mut parts = Vec::with_capacity(back.dy.len());
    for (dy, output) in back.dy.clone().into_iter().zip(&back.node.outputs) {
        match (dy, output) {
            (Some(dy), _) => parts.push(dy),
            (None, Some(output)) => parts.push(zeros(back.graph, *output)?),
            (None, None) => return Err(back.node.unsupported("one of its outputs has no name")),
        }
    }
    let dx = back.graph.concat(&parts, axis)?;
    back.give(0, dx)
}

/// Rows are added up where they were taken from.
fn gather(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, indices, dy, axis) = (back.x(0)?, back.x(1)?, back.dy()?, back.axis(0)?);
    let g = &mut *back.graph;
    let dims = g.dims(x).to_vec();
    let index_dims = g.dims(indices).to_vec();
    // One row: it goes back by padding.
    if let (Some(index), 1) = (g.constant_of(indices).map(Tensor::to_i64), index_dims.iter().product::<usize>()) {
        let index = index.first().copied().unwrap_or(0);
        let start = if index < 0 { index + dims[axis] as i64 } else { index };
        let mut row = dims.clone();
        row[axis] = 1;
        let row = g.reshape(dy, &row)?;
        let dx = move_along(g, row, axis, start, dims[axis] as i64 - start - 1, 1)?;
        return back.give(0, dx);
    }
    // The rows to the front: [indices, before the axis, after it].
    let rank = dims.len() - 1 + index_dims.len();
    let lead = index_dims.len();
    let order: Vec<usize> = (axis..axis + lead).chain(0..axis).chain(axis + lead..rank).collect();
    let rows = g.transpose(dy, &order)?;
    let indices = g.cast(indices, crate::graph::Element::I64)?;
    let indices = match g.constant_of(indices).map(Tensor::to_i64) {
        Some(values) if values.iter().any(|value| *value < 0) => {
            let values: Vec<i64> =
                values.iter().map(|value| if *value < 0 { value + dims[axis] as i64 } else { *value }).collect();
            g.constant(Tensor::i64(&index_dims, &values)?)
        }
        _ => indices,
    };
    let deeper: Vec<usize> = index_dims.iter().copied().chain([1]).collect();
    let indices = g.reshape(indices, &deeper)?;
    let others: Vec<usize> = (0..dims.len()).filter(|other| *other != axis).collect();
    let table: Vec<usize> = [axis].into_iter().chain(others.iter().copied()).map(|axis| dims[axis]).collect();
    let zero = g.scalar_like(0.0, dy)?;
    let table = g.expand(zero, &table)?;
    let sums = g.op("ScatterND", &[table, indices, rows], attributes([("reduction", "add".into())]))?;
    let mut back_order: Vec<usize> = (1..=axis).collect();
    back_order.push(0);
    back_order.extend(axis + 1..dims.len());
    let dx = g.transpose(sums, &back_order)?;
    back.give(0, dx)
}

fn gather_elements(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, indices, dy, axis) = (back.x(0)?, back.x(1)?, back.dy()?, back.axis(0)?);
    let table = zeros(back.graph, x)?;
    let settings = attributes([("axis", (axis as i64).into()), ("reduction", "add".into())]);
    let dx = back.graph.op("ScatterElements", &[table, indices, dy], settings)?;
    back.give(0, dx)
}

fn gather_nd(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, indices, dy) = (back.x(0)?, back.x(1)?, back.dy()?);
    let table = zeros(back.graph, x)?;
    let dx = back.graph.op("ScatterND", &[table, indices, dy], attributes([("reduction", "add".into())]))?;
    back.give(0, dx)
}

/// What was written over has no gradient; what was written has that of its new place.
fn scatter(back: &mut Back<'_>) -> Result<(), Error> {
    let (indices, updates, dy) = (back.x(1)?, back.x(2)?, back.dy()?);
    let reduction = back.node.text("reduction", "none");
    if !matches!(reduction, "none" | "add") {
        return Err(back.node.unsupported(format!("there is no gradient rule for the reduction `{reduction}`")));
    }
    let elements = back.node.op == "ScatterElements";
    if back.needs(0) {
        let dx = match reduction {
            "add" => dy,
            _ => {
                let zero = zeros(back.graph, updates)?;
                back.graph.op(&back.node.op, &[dy, indices, zero], back.node.attributes.clone())?
            }
        };
        back.give(0, dx)?;
    }
    if back.needs(2) {
        let picked = match elements {
            true => {
                let axis = back.axis(0)?;
                back.graph.op("GatherElements", &[dy, indices], attributes([("axis", (axis as i64).into())]))?
            }
            false => back.graph.op("GatherND", &[dy, indices], Attributes::new())?,
        };
        back.give(2, picked)?;
    }
    Ok(())
}
