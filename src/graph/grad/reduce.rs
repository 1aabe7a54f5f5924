//! Gradients of reductions. Must not know anything else.

use super::Back;
use crate::graph::Error;
use crate::graph::attributes::Attributes;
use crate::graph::shape::reduced_axes;

pub(super) fn rule(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, y, dy) = (back.x(0)?, back.y()?, back.dy()?);
    let axes = back.with_inputs(reduced_axes)?;
    let g = &mut *back.graph;
    let dims = g.dims(x).to_vec();
    let kept: Vec<usize> =
        dims.iter().enumerate().map(|(axis, dim)| if axes.contains(&axis) { 1 } else { *dim }).collect();
    let count: usize = axes.iter().map(|axis| dims[*axis]).product();
    let dy = g.reshape(dy, &kept)?;
    let dx = match back.node.op.as_str() {
        "ReduceSum" => g.expand(dy, &dims)?,
        "ReduceMean" => {
            let share = g.scale(dy, 1.0 / count.max(1) as f32)?;
            g.expand(share, &dims)?
        }
        "ReduceMax" | "ReduceMin" => {
            // Where several are the greatest they share.
            let y = g.reshape(y, &kept)?;
            let equal = g.op("Equal", &[x, y], Attributes::new())?;
            let mask = g.cast(equal, g.kind(x).element)?;
            let number = g.reduce("ReduceSum", mask, &axes, true)?;
            let share = g.div(dy, number)?;
            g.mul(mask, share)?
        }
        "ReduceL2" => {
            // A vector of length 0 has no direction: its gradient is 0, and the division must not say NaN.
            let y = g.reshape(y, &kept)?;
            let least = g.scalar_like(1e-30, y)?;
            let length = g.op("Max", &[y, least], Attributes::new())?;
            let share = g.div(dy, length)?;
            g.mul(x, share)?
        }
        _ => {
            let y = g.reshape(y, &kept)?;
            let above = g.sub(x, y)?;
            let share = g.unary("Exp", above)?;
            g.mul(share, dy)?
        }
    };
    back.give(0, dx)
}
