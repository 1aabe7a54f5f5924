//! Gradients of poolings and resizings. A resizing or an average is linear along each axis, so the way back is the
//! transposed matrix along each axis. Must not know convolutions.

use super::Back;
use crate::graph::build::attributes;
use crate::graph::ir::{Graph, TensorType, Value};
use crate::graph::resample::{Matrix, Resampling};
use crate::graph::shape::layout::resized;
use crate::graph::shape::{Window, windows};
use crate::graph::{Element, Error, Tensor};

pub(super) fn rule(back: &mut Back<'_>) -> Result<(), Error> {
    match back.node.op.as_str() {
        "MaxPool" => max_pool(back),
        "AveragePool" => average_pool(back),
        _ => resize(back),
    }
}

/// Each gradient goes to the element that was the greatest; the forward node says which, when asked.
fn max_pool(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, y, dy) = (back.x(0)?, back.y()?, back.dy()?);
    if back.node.int("storage_order", 0) != 0 {
        return Err(back.node.unsupported("only places counted row by row are known"));
    }
    let g = &mut *back.graph;
    let kind = TensorType::new(Element::I64, g.dims(y));
    let places = g.ask_output(back.index, 1, kind);
    let places = places.ok_or_else(|| back.node.broken("it does not say where its greatest elements were"))?;
    let (from, to) = (g.kind(y).len(), g.kind(x).len());
    let places = g.reshape(places, &[from])?;
    let flat = g.reshape(dy, &[from])?;
    let zero = g.scalar_like(0.0, dy)?;
    let table = g.expand(zero, &[to])?;
    let settings = attributes([("axis", 0_i64.into()), ("reduction", "add".into())]);
    let sums = g.op("ScatterElements", &[table, places, flat], settings)?;
    let dims = g.dims(x).to_vec();
    let dx = g.reshape(sums, &dims)?;
    back.give(0, dx)
}

fn average_pool(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, dy) = (back.x(0)?, back.dy()?);
    let lengths = back.graph.dims(x)[2..].to_vec();
    let kernel: Vec<usize> =
        back.node.ints("kernel_shape").unwrap_or_default().iter().map(|tap| *tap as usize).collect();
    let windows = back.with_inputs(|inputs| windows(inputs, &lengths, &kernel))?;
    let with_pads = back.node.int("count_include_pad", 0) != 0;
    let mut dx = dy;
    for (axis, window) in windows.iter().enumerate() {
        let matrix = averages(window, with_pads);
        dx = undo(back, dx, 2 + axis, &matrix)?;
    }
    back.give(0, dx)
}

/// The averages along one axis, as rows of weights. The number of elements in a window of several axes is the product of
/// those along each, so the axes can be taken one by one.
fn averages(window: &Window, with_pads: bool) -> Matrix {
    let mut matrix = Matrix::zeros(window.out, window.length);
    for row in 0..window.out {
        let taps = (0..window.kernel).map(|tap| row * window.stride + tap * window.dilation);
        let inside = |place: &usize| (window.before..window.before + window.length).contains(place);
        let counted = match with_pads {
            true => taps.clone().filter(|place| *place < window.before + window.length + window.after).count(),
            false => taps.clone().filter(inside).count(),
        };
        for place in taps.filter(inside) {
            matrix.add(row, place - window.before, 1.0 / counted.max(1) as f64);
        }
    }
    matrix
}

fn resize(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, dy) = (back.x(0)?, back.dy()?);
    let resampling = Resampling::of_node(back.node)?;
    let new = back.with_inputs(resized)?;
    let mut dx = dy;
    for (axis, (length, scale)) in new.into_iter().enumerate() {
        let old = back.graph.dims(x)[axis];
        if length == old && scale == 1.0 {
            continue;
        }
        let matrix = resampling.matrix(old, length, scale);
        dx = undo(back, dx, axis, &matrix)?;
    }
    back.give(0, dx)
}

/// `matrixᵀ` along an axis.
fn undo(back: &mut Back<'_>, dy: Value, axis: usize, matrix: &Matrix) -> Result<Value, Error> {
    let g = &mut *back.graph;
    let rank = g.dims(dy).len();
    match rank - axis {
        1 => {
            let weights = constant(g, matrix.tensor()?, dy)?;
            g.matmul(dy, weights)
        }
        2 => {
            let weights = constant(g, matrix.transposed().tensor()?, dy)?;
            g.matmul(weights, dy)
        }
        // Further left, the axis is brought to the end and back.
        _ => {
            let weights = constant(g, matrix.tensor()?, dy)?;
            let mut order: Vec<usize> = (0..rank).collect();
            order.swap(axis, rank - 1);
            let turned = g.transpose(dy, &order)?;
            let product = g.matmul(turned, weights)?;
            g.transpose(product, &order)
        }
    }
}

fn constant(g: &mut Graph, tensor: Tensor, like: Value) -> Result<Value, Error> {
    let value = g.constant(tensor);
    let element = g.kind(like).element;
    g.cast(value, element)
}
