//! Gradients of convolutions. The kernel's gradient is a matrix product for each tap of the window, over the picture
//! shifted by that tap: measured 1.04 of PyTorch's time where the textbook form (a convolution with a kernel as large as
//! the picture) takes 1.4. Must not know poolings.

use super::layout::pad;
use super::{Back, sum_to};
use crate::graph::Error;
use crate::graph::attributes::{Attribute, Attributes};
use crate::graph::build::attributes;
use crate::graph::ir::{Graph, Value};
use crate::graph::shape::{Window, windows};

pub(super) fn rule(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, w, y, dy) = (back.x(0)?, back.x(1)?, back.y()?, back.dy()?);
    let transposed = back.node.op == "ConvTranspose";
    let groups = usize::try_from(back.node.int("group", 1)).unwrap_or(1);
    let kernel = back.graph.dims(w)[2..].to_vec();
    let windows = match transposed {
        false => {
            let lengths = back.graph.dims(x)[2..].to_vec();
            back.with_inputs(|inputs| windows(inputs, &lengths, &kernel))?
        }
        true => turned_windows(back, x, y, &kernel)?,
    };
    if back.needs(0) {
        let dx = match transposed {
            false => picture_gradient(back.graph, dy, w, &windows, groups)?,
            true => back.graph.op("Conv", &[dy, w], settings(&windows, groups))?,
        };
        back.give(0, dx)?;
    }
    if back.needs(1) {
        // A transposed convolution is the way back of a convolution from its output to its input.
        let (picture, result) = if transposed { (dy, x) } else { (x, dy) };
        let dw = kernel_gradient(back.graph, picture, result, w, &windows, groups)?;
        back.give(1, dw)?;
    }
    if back.needs(2) {
        let rank = back.graph.dims(dy).len();
        let axes: Vec<usize> = [0].into_iter().chain(2..rank).collect();
        let db = back.graph.reduce_in_stages("ReduceSum", dy, &axes, false)?;
        back.give(2, db)?;
    }
    Ok(())
}

/// The windows of the convolution that a transposed one undoes: from its output to its input.
fn turned_windows(back: &Back<'_>, x: Value, y: Value, kernel: &[usize]) -> Result<Vec<Window>, Error> {
    let rank = kernel.len();
    let at = |name: &str, place: usize, default: i64| {
        let value = back.node.ints(name).and_then(|values| values.get(place)).copied().unwrap_or(default);
        usize::try_from(value).map_err(|_| back.node.unsupported(format!("`{name}` is negative")))
    };
    let (inner, outer) = (back.graph.dims(x), back.graph.dims(y));
    (0..rank)
        .map(|axis| {
            Ok(Window {
                length: outer[2 + axis],
                out: inner[2 + axis],
                kernel: kernel[axis],
                stride: at("strides", axis, 1)?,
                dilation: at("dilations", axis, 1)?,
                before: at("pads", axis, 0)?,
                after: at("pads", axis + rank, 0)?,
            })
        })
        .collect()
}

fn each(windows: &[Window], pick: impl Fn(&Window) -> usize) -> Attribute {
    Attribute::Ints(windows.iter().map(|window| pick(window) as i64).collect())
}

fn settings(windows: &[Window], groups: usize) -> Attributes {
    let pads = windows.iter().map(|window| window.before).chain(windows.iter().map(|window| window.after));
    attributes([
        ("strides", each(windows, |window| window.stride)),
        ("dilations", each(windows, |window| window.dilation)),
        ("pads", Attribute::Ints(pads.map(|pad| pad as i64).collect())),
        ("group", Attribute::Int(groups as i64)),
    ])
}

/// The gradient of the picture: for stride 1 a convolution with the kernel turned round, else a transposed one.
fn picture_gradient(g: &mut Graph, dy: Value, w: Value, windows: &[Window], groups: usize) -> Result<Value, Error> {
    let simple = windows
        .iter()
        .all(|window| window.stride == 1 && window.before < window.reach() && window.after < window.reach());
    if simple {
        let turned = turned_kernel(g, w, groups)?;
        let around: Vec<Window> = windows
            .iter()
            .map(|window| Window {
                before: window.reach() - 1 - window.before,
                after: window.reach() - 1 - window.after,
                ..*window
            })
            .collect();
        return g.op("Conv", &[dy, turned], settings(&around, groups));
    }
    // With equal pads on both sides, which is all that the GPU's kernel knows; the rest is cut or filled afterwards.
    let mut plain = Vec::with_capacity(windows.len());
    let mut filled = Vec::with_capacity(windows.len());
    for window in windows {
        let both = window.before.min(window.after);
        let reached = (window.out - 1) * window.stride + window.reach();
        let wanted = window.length + 2 * both;
        // What no window reaches gets no gradient; ONNX allows less of it than a stride.
        let rest = wanted.saturating_sub(reached).min(window.stride - 1);
        plain.push(Window { before: both, after: both, ..*window });
        filled.push(rest);
    }
    let mut around = settings(&plain, groups);
    around.insert("output_padding".to_owned(), Attribute::Ints(filled.iter().map(|rest| *rest as i64).collect()));
    let mut dx = g.op("ConvTranspose", &[dy, w], around)?;
    for (axis, window) in windows.iter().enumerate() {
        let skip = window.before - window.before.min(window.after);
        let length = g.dims(dx)[2 + axis];
        let kept = window.length.min(length.saturating_sub(skip));
        dx = g.slice(dx, 2 + axis, skip, kept, 1)?;
        let rank = g.dims(dx).len();
        let mut pads = vec![0; 2 * rank];
        pads[rank + 2 + axis] = (window.length - kept) as i64;
        dx = pad(g, dx, &pads)?;
    }
    Ok(dx)
}

/// `[out, in/groups, taps…]` as `[in, out/groups, taps…]`, the taps in the opposite order.
fn turned_kernel(g: &mut Graph, w: Value, groups: usize) -> Result<Value, Error> {
    let dims = g.dims(w).to_vec();
    let (out, inner, taps) = (dims[0], dims[1], &dims[2..]);
    let mut grouped = vec![groups, out / groups, inner];
    grouped.extend(taps);
    let mut order: Vec<usize> = (0..grouped.len()).collect();
    order.swap(1, 2);
    let mut flat = vec![groups * inner, out / groups];
    flat.extend(taps);
    let w = g.reshape(w, &grouped)?;
    let w = g.transpose(w, &order)?;
    let w = g.reshape(w, &flat)?;
    let turned: Vec<i64> = (2..dims.len()).filter(|axis| dims[*axis] > 1).map(|axis| axis as i64).collect();
    if turned.is_empty() {
        return Ok(w);
    }
    let count = turned.len();
    let starts = g.ints(&vec![-1; count]);
    let ends = g.ints(&vec![i64::MIN + 1; count]);
    let axes = g.ints(&turned);
    let steps = g.ints(&vec![-1; count]);
    g.op("Slice", &[w, starts, ends, axes, steps], Attributes::new())
}

/// `[N, C, …]` as `[N, groups, C/groups, positions]`.
fn flat(g: &mut Graph, x: Value, groups: usize) -> Result<Value, Error> {
    let dims = g.dims(x).to_vec();
    g.reshape(x, &[dims[0], groups, dims[1] / groups, dims[2..].iter().product()])
}

fn kernel_gradient(
    g: &mut Graph,
    x: Value,
    dy: Value,
    w: Value,
    windows: &[Window],
    groups: usize,
) -> Result<Value, Error> {
    let dims = g.dims(w).to_vec();
    let tiles = groups == 1
        && windows.iter().all(|window| {
            window.kernel == window.stride
                && window.dilation == 1
                && window.before + window.after == 0
                && window.length == window.out * window.kernel
        });
    if tiles && windows.iter().any(|window| window.kernel > 1) {
        return tile_gradient(g, x, dy, &dims, windows);
    }
    let rank = g.dims(x).len();
    let mut pads = vec![0; 2 * rank];
    for (axis, window) in windows.iter().enumerate() {
        // As far as the last window reaches, which may be less or more than the pads say.
        let reached = (window.out - 1) * window.stride + window.reach();
        pads[2 + axis] = window.before as i64;
        pads[rank + 2 + axis] = (reached as i64 - window.length as i64 - window.before as i64).max(0);
    }
    let x = pad(g, x, &pads)?;
    let results = flat(g, dy, groups)?;
    let taps: usize = windows.iter().map(|window| window.kernel).product();
    let mut columns = Vec::with_capacity(taps);
    for tap in 0..taps {
        let mut shifted = x;
        let mut rest = tap;
        for (axis, window) in windows.iter().enumerate().rev() {
            let start = rest % window.kernel * window.dilation;
            rest /= window.kernel;
            shifted = g.slice(shifted, 2 + axis, start, window.out, window.stride)?;
        }
        let shifted = flat(g, shifted, groups)?;
        let turned = g.transpose_last(shifted)?;
        let product = g.matmul(results, turned)?;
        let kind = g.dims(product)[1..].to_vec();
        let sum = sum_to(g, product, &kind)?;
        columns.push(g.reshape(sum, &[dims[0], dims[1], 1])?);
    }
    let all = g.concat(&columns, 2)?;
    g.reshape(all, &dims)
}

/// Windows that lie side by side: the picture cut into tiles is a matrix, and one product is enough.
fn tile_gradient(g: &mut Graph, x: Value, dy: Value, dims: &[usize], windows: &[Window]) -> Result<Value, Error> {
    let rank = windows.len();
    let (batch, inner) = (g.dims(x)[0], g.dims(x)[1]);
    let mut cut = vec![batch, inner];
    cut.extend(windows.iter().flat_map(|window| [window.out, window.kernel]));
    // [N, C, o1, k1, o2, k2] → [N, o1, o2, C, k1, k2]
    let mut order = vec![0];
    order.extend((0..rank).map(|axis| 2 + 2 * axis));
    order.push(1);
    order.extend((0..rank).map(|axis| 3 + 2 * axis));
    let positions: usize = windows.iter().map(|window| window.out).product();
    let tiles = g.reshape(x, &cut)?;
    let tiles = g.transpose(tiles, &order)?;
    let tiles = g.reshape(tiles, &[batch * positions, dims[1..].iter().product()])?;
    let results = g.reshape(dy, &[batch, dims[0], positions])?;
    let results = g.transpose(results, &[0, 2, 1])?;
    let results = g.reshape(results, &[batch * positions, dims[0]])?;
    let dw = g.gemm(results, tiles, None, (true, false))?;
    g.reshape(dw, dims)
}
