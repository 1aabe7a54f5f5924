//! Gradients of what is computed element by element. Must not know shapes beyond broadcasting.

use super::Back;
use crate::graph::Error;
use crate::graph::attributes::Attributes;
use crate::graph::ir::{Graph, Value};
use std::f32::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, PI};

pub(super) fn rule(back: &mut Back<'_>) -> Result<(), Error> {
    match back.node.op.as_str() {
        "Add" => {
            let dy = back.dy()?;
            both(back, |_, place| Ok((place, dy)))
        }
        "Sub" => {
            let dy = back.dy()?;
            both(back, |graph, place| Ok((place, if place == 0 { dy } else { graph.unary("Neg", dy)? })))
        }
        "Mul" => {
            let (dy, factors) = (back.dy()?, [back.x(0)?, back.x(1)?]);
            both(back, |graph, place| Ok((place, graph.mul(dy, factors[1 - place])?)))
        }
        "Div" => {
            let (dy, y, b) = (back.dy()?, back.y()?, back.x(1)?);
            let quotient = back.graph.div(dy, b)?;
            both(back, |graph, place| {
                if place == 0 {
                    return Ok((0, quotient));
                }
                let product = graph.mul(quotient, y)?;
                Ok((1, graph.unary("Neg", product)?))
            })
        }
        "Pow" => pow(back),
        "Min" | "Max" => extreme(back),
        "Where" => {
            let (choice, dy) = (back.x(0)?, back.dy()?);
            let zero = back.graph.scalar_like(0.0, dy)?;
            for (place, chosen) in [(1, [choice, dy, zero]), (2, [choice, zero, dy])] {
                if back.needs(place) {
                    let dx = back.graph.op("Where", &chosen, Attributes::new())?;
                    back.give(place, dx)?;
                }
            }
            Ok(())
        }
        "Clip" => {
            // On the limit itself there is no gradient, as in PyTorch.
            let (x, dy) = (back.x(0)?, back.dy()?);
            let mut dx = dy;
            for (place, test) in [(1, "Greater"), (2, "Less")] {
                if let Some(limit) = back.node.input(place) {
                    let inside = back.graph.op(test, &[x, limit], Attributes::new())?;
                    let inside = back.graph.cast(inside, back.graph.kind(dy).element)?;
                    dx = back.graph.mul(dx, inside)?;
                }
            }
            back.give(0, dx)
        }
        "Cast" => {
            let dx = back.graph.cast(back.dy()?, back.graph.kind(back.x(0)?).element)?;
            back.give(0, dx)
        }
        "Identity" => back.give(0, back.dy()?),
        _ => {
            let (x, y, dy) = (back.x(0)?, back.y()?, back.dy()?);
            let dx = unary(back, x, y, dy)?;
            back.give(0, dx)
        }
    }
}

fn both(
    back: &mut Back<'_>,
    mut find: impl FnMut(&mut Graph, usize) -> Result<(usize, Value), Error>,
) -> Result<(), Error> {
    for place in 0..2 {
        if back.needs(place) {
            let (place, gradient) = find(back.graph, place)?;
            back.give(place, gradient)?;
        }
    }
    Ok(())
}

fn unary(back: &mut Back<'_>, x: Value, y: Value, dy: Value) -> Result<Value, Error> {
    let g = &mut *back.graph;
    match back.node.op.as_str() {
        "Neg" => g.unary("Neg", dy),
        "Abs" => {
            let sign = g.unary("Sign", x)?;
            g.mul(dy, sign)
        }
        // y is never negative, so its sign is 1 where x was let through and 0 where it was not.
        "Relu" => {
            let sign = g.unary("Sign", y)?;
            g.mul(dy, sign)
        }
        "Exp" => g.mul(dy, y),
        "Log" => g.div(dy, x),
        "Sqrt" => {
            let half = g.scale(dy, 0.5)?;
            g.div(half, y)
        }
        "Reciprocal" => {
            let square = g.mul(y, y)?;
            let product = g.mul(dy, square)?;
            g.unary("Neg", product)
        }
        "Erf" => {
            let bell = bell(g, x, 1.0, FRAC_2_SQRT_PI)?;
            g.mul(dy, bell)
        }
        "Sigmoid" => {
            let one = g.scalar_like(1.0, y)?;
            let rest = g.sub(one, y)?;
            let slope = g.mul(y, rest)?;
            g.mul(dy, slope)
        }
        "Tanh" => {
            let slope = one_minus_square(g, y)?;
            g.mul(dy, slope)
        }
        "Softplus" => {
            let slope = g.unary("Sigmoid", x)?;
            g.mul(dy, slope)
        }
        "Sin" => {
            let slope = g.unary("Cos", x)?;
            g.mul(dy, slope)
        }
        "Tan" => {
            let square = g.mul(y, y)?;
            let one = g.scalar_like(1.0, y)?;
            let slope = g.add(square, one)?;
            g.mul(dy, slope)
        }
        "Atan" => {
            let square = g.mul(x, x)?;
            let one = g.scalar_like(1.0, x)?;
            let below = g.add(square, one)?;
            g.div(dy, below)
        }
        "Sinh" | "Cosh" => {
            let slope = g.unary(if back.node.op == "Sinh" { "Cosh" } else { "Sinh" }, x)?;
            g.mul(dy, slope)
        }
        "Cos" => {
            let slope = g.unary("Sin", x)?;
            let product = g.mul(dy, slope)?;
            g.unary("Neg", product)
        }
        "Gelu" => {
            let slope = match back.node.text("approximate", "none") {
                "none" => gelu_slope(g, x)?,
                "tanh" => gelu_tanh_slope(g, x)?,
                other => return Err(back.node.unsupported(format!("the approximation `{other}` is not known"))),
            };
            g.mul(dy, slope)
        }
        _ => Err(back.node.unsupported("there is no gradient rule for it")),
    }
}

/// `factor * exp(-x² / width)`.
fn bell(g: &mut Graph, x: Value, width: f32, factor: f32) -> Result<Value, Error> {
    let square = g.mul(x, x)?;
    let exponent = g.scale(square, -1.0 / width)?;
    let bell = g.unary("Exp", exponent)?;
    g.scale(bell, factor)
}

fn one_minus_square(g: &mut Graph, y: Value) -> Result<Value, Error> {
    let square = g.mul(y, y)?;
    let one = g.scalar_like(1.0, y)?;
    g.sub(one, square)
}

/// Φ(x) + x φ(x), with the normal distribution's Φ and φ.
fn gelu_slope(g: &mut Graph, x: Value) -> Result<Value, Error> {
    let inner = g.scale(x, FRAC_1_SQRT_2)?;
    let erf = g.unary("Erf", inner)?;
    let half = g.scale(erf, 0.5)?;
    let offset = g.scalar_like(0.5, x)?;
    let area = g.add(half, offset)?;
    let density = bell(g, x, 2.0, 1.0 / (2.0 * PI).sqrt())?;
    let moment = g.mul(x, density)?;
    g.add(area, moment)
}

/// The slope of `x/2 (1 + tanh(c (x + k x³)))`.
fn gelu_tanh_slope(g: &mut Graph, x: Value) -> Result<Value, Error> {
    let (c, k) = ((2.0 / PI).sqrt(), 0.044715);
    let square = g.mul(x, x)?;
    let one = g.scalar_like(1.0, x)?;
    let cubic = g.scale(square, k)?;
    let factor = g.add(cubic, one)?;
    let inner = g.mul(x, factor)?;
    let inner = g.scale(inner, c)?;
    let tanh = g.unary("Tanh", inner)?;
    let rest = one_minus_square(g, tanh)?;
    let cubic = g.scale(square, 3.0 * k * c)?;
    let offset = g.scalar_like(c, x)?;
    let inner_slope = g.add(cubic, offset)?;
    let product = g.mul(rest, inner_slope)?;
    let product = g.mul(product, x)?;
    let sum = g.add(tanh, one)?;
    let sum = g.add(sum, product)?;
    g.scale(sum, 0.5)
}

fn pow(back: &mut Back<'_>) -> Result<(), Error> {
    let (x, exponent, y, dy) = (back.x(0)?, back.x(1)?, back.y()?, back.dy()?);
    let number = match back.graph.constant_of(exponent) {
        Some(tensor) if tensor.len() == 1 => tensor.to_f32().first().copied(),
        _ => None,
    };
    if back.needs(0) {
        let g = &mut *back.graph;
        let slope = match number {
            Some(2.0) => g.scale(x, 2.0)?,
            Some(number) => {
                let lower = g.scalar_like(number - 1.0, x)?;
                let power = g.op("Pow", &[x, lower], Attributes::new())?;
                g.scale(power, number)?
            }
            None => {
                let exponent = g.cast(exponent, g.kind(x).element)?;
                let one = g.scalar_like(1.0, x)?;
                let lower = g.sub(exponent, one)?;
                let power = g.op("Pow", &[x, lower], Attributes::new())?;
                g.mul(power, exponent)?
            }
        };
        let dx = g.mul(dy, slope)?;
        back.give(0, dx)?;
    }
    if back.needs(1) {
        // 0 to a power does not change with the power; its logarithm must not spoil that.
        let g = &mut *back.graph;
        let zero = g.scalar_like(0.0, x)?;
        let is_zero = g.op("Equal", &[x, zero], Attributes::new())?;
        let one = g.scalar_like(1.0, x)?;
        let safe = g.op("Where", &[is_zero, one, x], Attributes::new())?;
        let log = g.unary("Log", safe)?;
        let slope = g.mul(y, log)?;
        let gradient = g.mul(dy, slope)?;
        back.give(1, gradient)?;
    }
    Ok(())
}

/// The greatest or smallest of several; where some are equal they share.
fn extreme(back: &mut Back<'_>) -> Result<(), Error> {
    let (y, dy) = (back.y()?, back.dy()?);
    let element = back.graph.kind(y).element;
    // A constant on the other side is a limit, and on the limit itself there is no gradient.
    if let [Some(a), Some(b)] = back.node.inputs[..] {
        let beyond = if back.node.op == "Max" { "Greater" } else { "Less" };
        for (place, x, limit) in [(0, a, b), (1, b, a)] {
            if back.needs(place) && back.graph.constant_of(limit).is_some() {
                let mask = back.graph.op(beyond, &[x, limit], Attributes::new())?;
                let mask = back.graph.cast(mask, element)?;
                let dx = back.graph.mul(dy, mask)?;
                return back.give(place, dx);
            }
        }
    }
    let mut masks = Vec::with_capacity(back.node.inputs.len());
    for place in 0..back.node.inputs.len() {
        let x = back.x(place)?;
        let equal = back.graph.op("Equal", &[x, y], Attributes::new())?;
        masks.push(back.graph.cast(equal, element)?);
    }
    let Some((first, rest)) = masks.split_first() else { return Ok(()) };
    let mut count = *first;
    for mask in rest {
        count = back.graph.add(count, *mask)?;
    }
    let share = back.graph.div(dy, count)?;
    for (place, mask) in masks.iter().enumerate() {
        if back.needs(place) {
            let dx = back.graph.mul(share, *mask)?;
            back.give(place, dx)?;
        }
    }
    Ok(())
}
