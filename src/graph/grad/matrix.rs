//! Gradients of matrix products. Transpositions are settings of `Gemm` or nodes that the runtime folds into the product.
//! Must not know what the matrices are.

use super::Back;
use crate::graph::Error;
use crate::graph::ir::{Graph, Value};

pub(super) fn rule(back: &mut Back<'_>) -> Result<(), Error> {
    match back.node.op.as_str() {
        "Gemm" => gemm(back),
        _ => matmul(back),
    }
}

/// `dA = dY Bᵀ` and `dB = Aᵀ dY`; over flattened rows where one factor is a plain matrix.
fn matmul(back: &mut Back<'_>) -> Result<(), Error> {
    let (a, b, dy) = (back.x(0)?, back.x(1)?, back.dy()?);
    let (a_dims, b_dims) = (back.graph.dims(a).to_vec(), back.graph.dims(b).to_vec());
    let g = &mut *back.graph;
    // A lone axis stands for one row, or one column.
    let a = if let [inner] = a_dims[..] { g.reshape(a, &[1, inner])? } else { a };
    let b = if let [inner] = b_dims[..] { g.reshape(b, &[inner, 1])? } else { b };
    let mut y_dims = g.dims(dy).to_vec();
    if b_dims.len() == 1 {
        y_dims.push(1);
    }
    if a_dims.len() == 1 {
        y_dims.insert(y_dims.len() - 1, 1);
    }
    let dy = g.reshape(dy, &y_dims)?;
    let plain = g.dims(b).len() == 2;
    let flat_dy = if plain { rows(g, dy)? } else { dy };
    if back.needs(0) {
        let g = &mut *back.graph;
        let da = match plain {
            true => {
                let product = g.gemm(flat_dy, b, None, (false, true))?;
                let dims = g.dims(a).to_vec();
                g.reshape(product, &dims)?
            }
            false => {
                let turned = g.transpose_last(b)?;
                g.matmul(dy, turned)?
            }
        };
        let own = g.dims(a).to_vec();
        let da = super::sum_to(g, da, &own)?;
        let da = g.reshape(da, &a_dims)?;
        back.give(0, da)?;
    }
    if back.needs(1) {
        let g = &mut *back.graph;
        let db = match plain {
            true => {
                let flat = rows(g, a)?;
                g.gemm(flat, flat_dy, None, (true, false))?
            }
            false => {
                let turned = g.transpose_last(a)?;
                g.matmul(turned, dy)?
            }
        };
        let own = g.dims(b).to_vec();
        let db = super::sum_to(g, db, &own)?;
        let db = g.reshape(db, &b_dims)?;
        back.give(1, db)?;
    }
    Ok(())
}

fn rows(g: &mut Graph, x: Value) -> Result<Value, Error> {
    let dims = g.dims(x).to_vec();
    let Some((last, rest)) = dims.split_last() else { return Ok(x) };
    g.reshape(x, &[rest.iter().product(), *last])
}

fn gemm(back: &mut Back<'_>) -> Result<(), Error> {
    let (a, b, dy) = (back.x(0)?, back.x(1)?, back.dy()?);
    let (trans_a, trans_b) = (back.node.int("transA", 0) != 0, back.node.int("transB", 0) != 0);
    let product = back.graph.scale(dy, back.node.float("alpha", 1.0))?;
    if back.needs(0) {
        let da = match trans_a {
            false => back.graph.gemm(product, b, None, (false, !trans_b))?,
            true => back.graph.gemm(b, product, None, (trans_b, true))?,
        };
        back.give(0, da)?;
    }
    if back.needs(1) {
        let db = match trans_b {
            false => back.graph.gemm(a, product, None, (!trans_a, false))?,
            true => back.graph.gemm(product, a, None, (true, trans_a))?,
        };
        back.give(1, db)?;
    }
    if back.needs(2) {
        let dc = back.graph.scale(dy, back.node.float("beta", 1.0))?;
        back.give(2, dc)?;
    }
    Ok(())
}
