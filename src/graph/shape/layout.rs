//! Shapes of what moves, cuts or repeats elements without computing them. Must not know windows or products.

use super::{Inputs, broadcast};
use crate::graph::attributes::Attribute;
use crate::graph::ir::TensorType;
use crate::graph::onnx::element_of;
use crate::graph::{Element, Error};

pub(super) fn infer(inputs: &Inputs<'_>) -> Result<Vec<TensorType>, Error> {
    let node = inputs.node;
    let kind = match node.op.as_str() {
        "Cast" => TensorType::new(element_of(node.int("to", 0) as i32, &node.label())?, &inputs.kind(0)?.dims),
        "Reshape" => reshape(inputs)?,
        "Transpose" => transpose(inputs)?,
        "Squeeze" => squeeze(inputs)?,
        "Unsqueeze" => unsqueeze(inputs)?,
        "Flatten" => {
            let kind = inputs.kind(0)?;
            let axis = match node.int("axis", 1) {
                axis if axis == kind.dims.len() as i64 => kind.dims.len(),
                axis => inputs.axis(axis, kind.dims.len())?,
            };
            let (lead, rest) = kind.dims.split_at(axis);
            TensorType::new(kind.element, &[lead.iter().product(), rest.iter().product()])
        }
        "Expand" => {
            let kind = inputs.kind(0)?;
            let shape = lengths(inputs, 1)?;
            let dims = broadcast(&kind.dims, &shape)
                .ok_or_else(|| node.broken(format!("{kind} cannot be expanded to {shape:?}")))?;
            TensorType::new(kind.element, &dims)
        }
        "ConstantOfShape" => {
            let element = match node.attributes.get("value") {
                Some(Attribute::Tensor(tensor)) => tensor.element(),
                _ => Element::F32,
            };
            TensorType::new(element, &lengths(inputs, 0)?)
        }
        "Tile" => {
            let kind = inputs.kind(0)?;
            let repeats = lengths(inputs, 1)?;
            if repeats.len() != kind.dims.len() {
                return Err(node.broken(format!("{kind} cannot be repeated {repeats:?} times")));
            }
            let dims: Vec<usize> = kind.dims.iter().zip(repeats).map(|(dim, times)| dim * times).collect();
            TensorType::new(kind.element, &dims)
        }
        "Concat" => concat(inputs)?,
        "Split" => return split(inputs),
        "Slice" => {
            let kind = inputs.kind(0)?;
            let mut dims = kind.dims.clone();
            for cut in slices(inputs)? {
                dims[cut.axis] = cut.count;
            }
            TensorType::new(kind.element, &dims)
        }
        "Pad" => {
            let kind = inputs.kind(0)?;
            let mut dims = kind.dims.clone();
            for (axis, (before, after)) in pads(inputs)?.into_iter().enumerate() {
                let length = dims[axis] as i64 + before + after;
                dims[axis] =
                    usize::try_from(length).map_err(|_| node.broken("its pads cut more away than there is"))?;
            }
            TensorType::new(kind.element, &dims)
        }
        "Gather" => {
            let (kind, indices) = (inputs.kind(0)?, inputs.kind(1)?);
            let axis = inputs.axis(node.int("axis", 0), kind.dims.len())?;
            let dims = [&kind.dims[..axis], &indices.dims, &kind.dims[axis + 1..]].concat();
            TensorType::new(kind.element, &dims)
        }
        "GatherElements" => TensorType::new(inputs.kind(0)?.element, &inputs.kind(1)?.dims),
        "GatherND" => {
            let (kind, indices) = (inputs.kind(0)?, inputs.kind(1)?);
            if node.int("batch_dims", 0) != 0 {
                return Err(node.unsupported("batch_dims is not known here"));
            }
            let (Some(depth), true) = (indices.dims.last(), !indices.dims.is_empty()) else {
                return Err(node.broken("its indices have no axis"));
            };
            let rest =
                kind.dims.get(*depth..).ok_or_else(|| node.broken(format!("indices of {depth} axes into {kind}")))?;
            let dims = [&indices.dims[..indices.dims.len() - 1], rest].concat();
            TensorType::new(kind.element, &dims)
        }
        "ScatterElements" | "ScatterND" => inputs.kind(0)?.clone(),
        "OneHot" => {
            let (indices, values) = (inputs.kind(0)?, inputs.kind(2)?);
            let depth = lengths(inputs, 1)?.first().copied().unwrap_or(0);
            if node.int("axis", -1) != -1 {
                return Err(node.unsupported("only the last axis can hold the classes"));
            }
            TensorType::new(values.element, &[indices.dims.as_slice(), &[depth]].concat())
        }
        "Range" => {
            let at = |place: usize| -> Result<f64, Error> {
                let tensor = inputs.constant(place)?;
                tensor
                    .and_then(|tensor| tensor.to_f64().first().copied())
                    .ok_or_else(|| node.broken("it needs a start, a limit and a step"))
            };
            let count = ((at(1)? - at(0)?) / at(2)?).ceil().max(0.0) as usize;
            TensorType::new(inputs.kind(0)?.element, &[count])
        }
        "Resize" => resize(inputs)?,
        _ => {
            return Err(node.unsupported(
                "the operator is not known here; export the model with another opset, or write that part with other operators",
            ));
        }
    };
    Ok(vec![kind])
}

fn lengths(inputs: &Inputs<'_>, place: usize) -> Result<Vec<usize>, Error> {
    let values = inputs.ints(place)?.ok_or_else(|| inputs.node.broken(format!("its input {place} is missing")))?;
    let lengths: Option<Vec<usize>> = values.iter().map(|value| usize::try_from(*value).ok()).collect();
    lengths.ok_or_else(|| inputs.node.broken(format!("{values:?} holds a negative length")))
}

fn reshape(inputs: &Inputs<'_>) -> Result<TensorType, Error> {
    let kind = inputs.kind(0)?;
    let wanted = inputs.ints(1)?.ok_or_else(|| inputs.node.broken("it has no shape"))?;
    let bad = || inputs.node.broken(format!("{kind} cannot be reshaped to {wanted:?}"));
    let keep_zero = inputs.node.int("allowzero", 0) != 0;
    let mut dims = Vec::with_capacity(wanted.len());
    let mut open = None;
    for (at, length) in wanted.iter().enumerate() {
        dims.push(match *length {
            -1 if open.is_none() => {
                open = Some(at);
                1
            }
            0 if !keep_zero => *kind.dims.get(at).ok_or_else(bad)?,
            length => usize::try_from(length).map_err(|_| bad())?,
        });
    }
    if let Some(at) = open {
        let rest: usize = dims.iter().product();
        dims[at] = kind.len().checked_div(rest).ok_or_else(bad)?;
    }
    if dims.iter().product::<usize>() != kind.len() {
        return Err(bad());
    }
    Ok(TensorType::new(kind.element, &dims))
}

/// The order of the axes that a transposition makes.
pub(crate) fn permutation(inputs: &Inputs<'_>) -> Result<Vec<usize>, Error> {
    let rank = inputs.kind(0)?.dims.len();
    let Some(order) = inputs.node.ints("perm") else { return Ok((0..rank).rev().collect()) };
    let places: Vec<usize> = order.iter().filter_map(|axis| usize::try_from(*axis).ok()).collect();
    let mut sorted = places.clone();
    sorted.sort_unstable();
    if !sorted.iter().copied().eq(0..rank) {
        return Err(inputs.node.broken(format!("{order:?} is no order of {rank} axes")));
    }
    Ok(places)
}

fn transpose(inputs: &Inputs<'_>) -> Result<TensorType, Error> {
    let kind = inputs.kind(0)?;
    let dims: Vec<usize> = permutation(inputs)?.into_iter().map(|axis| kind.dims[axis]).collect();
    Ok(TensorType::new(kind.element, &dims))
}

fn squeeze(inputs: &Inputs<'_>) -> Result<TensorType, Error> {
    let kind = inputs.kind(0)?;
    let axes = match inputs.ints(1)? {
        Some(axes) => inputs.axes(&axes, kind.dims.len())?,
        None => (0..kind.dims.len()).filter(|axis| kind.dims[*axis] == 1).collect(),
    };
    if axes.iter().any(|axis| kind.dims[*axis] != 1) {
        return Err(inputs.node.broken(format!("the axes {axes:?} of {kind} are not all 1")));
    }
    let dims: Vec<usize> =
        kind.dims.iter().enumerate().filter(|(at, _)| !axes.contains(at)).map(|(_, dim)| *dim).collect();
    Ok(TensorType::new(kind.element, &dims))
}

fn unsqueeze(inputs: &Inputs<'_>) -> Result<TensorType, Error> {
    let kind = inputs.kind(0)?;
    let axes = inputs.ints(1)?.ok_or_else(|| inputs.node.broken("it has no axes"))?;
    let axes = inputs.axes(&axes, kind.dims.len() + axes.len())?;
    let mut dims = kind.dims.clone();
    for axis in axes {
        dims.insert(axis.min(dims.len()), 1);
    }
    Ok(TensorType::new(kind.element, &dims))
}

fn concat(inputs: &Inputs<'_>) -> Result<TensorType, Error> {
    let first = inputs.kind(0)?;
    let axis = inputs.axis(inputs.node.int("axis", 0), first.dims.len())?;
    let mut dims = first.dims.clone();
    for place in 1..inputs.list.len() {
        let other = inputs.kind(place)?;
        let fits = other.dims.len() == dims.len()
            && dims.iter().zip(&other.dims).enumerate().all(|(at, (a, b))| at == axis || a == b);
        if !fits {
            return Err(inputs.node.broken(format!("{first} and {other} cannot be joined along axis {axis}")));
        }
        dims[axis] += other.dims[axis];
    }
    Ok(TensorType::new(first.element, &dims))
}

fn split(inputs: &Inputs<'_>) -> Result<Vec<TensorType>, Error> {
    let kind = inputs.kind(0)?;
    let axis = inputs.axis(inputs.node.int("axis", 0), kind.dims.len())?;
    let parts = match inputs.has(1) {
        true => lengths(inputs, 1)?,
        false => {
            let count = match inputs.node.int("num_outputs", 0) {
                0 => inputs.node.outputs.len(),
                count => usize::try_from(count).unwrap_or(0),
            };
            if count == 0 {
                return Err(inputs.node.broken("it says neither lengths nor the number of parts"));
            }
            let part = kind.dims[axis].div_ceil(count);
            (0..count).map(|at| part.min(kind.dims[axis].saturating_sub(at * part))).collect()
        }
    };
    if parts.iter().sum::<usize>() != kind.dims[axis] {
        return Err(inputs.node.broken(format!("{kind} cannot be cut into {parts:?} along axis {axis}")));
    }
    let cut = |length: usize| {
        let mut dims = kind.dims.clone();
        dims[axis] = length;
        TensorType::new(kind.element, &dims)
    };
    Ok(parts.into_iter().map(cut).collect())
}

/// What a slice takes of one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub axis: usize,
    /// The first element taken.
    pub start: i64,
    /// From one to the next; never 0.
    pub step: i64,
    pub count: usize,
}

/// The cuts of a slice, its ends clamped as ONNX says.
pub(crate) fn slices(inputs: &Inputs<'_>) -> Result<Vec<Cut>, Error> {
    let node = inputs.node;
    let dims = &inputs.kind(0)?.dims;
    let missing = || node.broken("its starts or ends are missing");
    let starts = inputs.ints(1)?.ok_or_else(missing)?;
    let ends = inputs.ints(2)?.ok_or_else(missing)?;
    let axes = inputs.ints(3)?.unwrap_or_else(|| (0..starts.len() as i64).collect());
    let steps = inputs.ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
    if [ends.len(), axes.len(), steps.len()] != [starts.len(); 3] {
        return Err(node.broken("its starts, ends, axes and steps are not equally many"));
    }
    let mut cuts = Vec::with_capacity(starts.len());
    for at in 0..starts.len() {
        let axis = inputs.axis(axes[at], dims.len())?;
        let (length, step) = (dims[axis] as i64, steps[at]);
        if step == 0 || step == i64::MIN {
            return Err(node.broken("a step is 0"));
        }
        let from_end = |place: i64| if place < 0 { place.saturating_add(length) } else { place };
        let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
        let start = from_end(starts[at]).clamp(low.max(0), high.max(0));
        // For steps backwards, -1 after counting from the end stands for "before the first element".
        let end = from_end(ends[at]).clamp(low, high.max(low));
        let distance = if step > 0 { end - start } else { start - end };
        let count = usize::try_from(distance.max(0)).unwrap_or(0).div_ceil(step.unsigned_abs() as usize);
        cuts.push(Cut { axis, start, step, count });
    }
    Ok(cuts)
}

/// What is added before and after each axis; negative numbers cut away.
pub(crate) fn pads(inputs: &Inputs<'_>) -> Result<Vec<(i64, i64)>, Error> {
    let rank = inputs.kind(0)?.dims.len();
    let pads = inputs.ints(1)?.ok_or_else(|| inputs.node.broken("it has no pads"))?;
    let axes = match inputs.ints(3)? {
        Some(axes) => axes.iter().map(|axis| inputs.axis(*axis, rank)).collect::<Result<Vec<_>, _>>()?,
        None => (0..rank).collect(),
    };
    if pads.iter().any(|pad| pad.unsigned_abs() > 1 << 32) {
        return Err(inputs.node.broken(format!("the pads {pads:?} are absurd")));
    }
    if pads.len() != 2 * axes.len() {
        return Err(inputs.node.broken(format!("{} pads for {} axes", pads.len(), axes.len())));
    }
    let mut found = vec![(0, 0); rank];
    for (at, axis) in axes.iter().enumerate() {
        found[*axis] = (pads[at], pads[at + axes.len()]);
    }
    Ok(found)
}

fn resize(inputs: &Inputs<'_>) -> Result<TensorType, Error> {
    let kind = inputs.kind(0)?;
    let dims = resized(inputs)?.into_iter().map(|(length, _)| length).collect::<Vec<_>>();
    Ok(TensorType::new(kind.element, &dims))
}

/// New length and scale of every axis under `Resize`.
pub(crate) fn resized(inputs: &Inputs<'_>) -> Result<Vec<(usize, f64)>, Error> {
    let node = inputs.node;
    let dims = &inputs.kind(0)?.dims;
    if node.text("keep_aspect_ratio_policy", "stretch") != "stretch" {
        return Err(node.unsupported("only the policy `stretch` is known here"));
    }
    let axes = match node.ints("axes") {
        Some(axes) => axes.iter().map(|axis| inputs.axis(*axis, dims.len())).collect::<Result<Vec<_>, _>>()?,
        None => (0..dims.len()).collect(),
    };
    let mut found: Vec<(usize, f64)> = dims.iter().map(|dim| (*dim, 1.0)).collect();
    let sizes = inputs.ints(3)?.filter(|sizes| !sizes.is_empty());
    let scales = inputs.constant(2)?.map(|scales| scales.to_f64()).filter(|scales| !scales.is_empty());
    let bad = || node.broken(format!("its sizes or scales do not fit {} axes", axes.len()));
    for (at, axis) in axes.iter().enumerate() {
        found[*axis] = match (&sizes, &scales) {
            (Some(sizes), _) => {
                let length = sizes.get(at).and_then(|size| usize::try_from(*size).ok()).ok_or_else(bad)?;
                (length, length as f64 / dims[*axis].max(1) as f64)
            }
            (None, Some(scales)) => {
                let scale = *scales.get(at).filter(|scale| **scale > 0.0 && **scale < 1e6).ok_or_else(bad)?;
                ((dims[*axis] as f64 * scale).floor() as usize, scale)
            }
            (None, None) => return Err(bad()),
        };
    }
    Ok(found)
}
