//! Nodes whose inputs are all constants, computed while the graph is built: exported graphs are full of arithmetic on
//! shapes. Numbers are held as 64-bit floats, exact for integers up to 2^53. Must not know graphs beyond one node.

use super::attributes::Attribute;
use super::ir::{Node, TensorType};
use super::shape::layout::{permutation, slices};
use super::shape::{Input, Inputs, broadcast, reduced_axes};
use super::{Element, Error, Tensor};

/// Larger results are left to the runtime.
const MOST_ELEMENTS: usize = 1 << 18;

struct Array {
    dims: Vec<usize>,
    data: Vec<f64>,
}

/// The results of a node over constants; `None` where it has other inputs, or is not of the kind that is computed here.
pub(crate) fn fold(node: &Node, list: &[Input<'_>], kinds: &[TensorType]) -> Result<Option<Vec<Tensor>>, Error> {
    let inputs = Inputs { node, list };
    let mut arrays = Vec::with_capacity(list.len());
    for input in list {
        match input {
            Some((_, Some(tensor))) if tensor.len() <= MOST_ELEMENTS => {
                arrays.push(Array { dims: tensor.dims().to_vec(), data: tensor.to_f64() });
            }
            None => arrays.push(Array { dims: Vec::new(), data: Vec::new() }),
            Some(_) => return Ok(None),
        }
    }
    if kinds.iter().any(|kind| kind.len() > MOST_ELEMENTS) {
        return Ok(None);
    }
    let Some(results) = compute(&inputs, &arrays, kinds)? else { return Ok(None) };
    let tensors = results.into_iter().zip(kinds).map(|(data, kind)| tensor(kind, &data));
    tensors.collect::<Result<Vec<_>, _>>().map(Some)
}

fn compute(inputs: &Inputs<'_>, arrays: &[Array], kinds: &[TensorType]) -> Result<Option<Vec<Vec<f64>>>, Error> {
    let node = inputs.node;
    let dims = kinds.first().map(|kind| kind.dims.clone()).unwrap_or_default();
    let truth = |yes: bool| f64::from(u8::from(yes));
    let whole = inputs.list.first().is_some_and(|input| input.is_some_and(|(kind, _)| !kind.element.is_float()));
    let unary = |apply: fn(f64) -> f64| arrays[0].data.iter().map(|x| apply(*x)).collect();
    let binary = |apply: fn(f64, f64) -> f64| {
        let mut result = spread(&arrays[0], &dims);
        for other in &arrays[1..] {
            for (left, right) in result.iter_mut().zip(spread(other, &dims)) {
                *left = apply(*left, right);
            }
        }
        result
    };
    let one = match node.op.as_str() {
        "Identity" | "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" => arrays[0].data.clone(),
        "Cast" => match (kinds[0].element.is_float(), kinds[0].element) {
            (true, _) => arrays[0].data.clone(),
            (false, Element::Bool) => arrays[0].data.iter().map(|x| truth(*x != 0.0)).collect(),
            (false, _) => unary(f64::trunc),
        },
        "Neg" => unary(|x| -x),
        "Abs" => unary(f64::abs),
        "Sqrt" => unary(f64::sqrt),
        "Exp" => unary(f64::exp),
        "Log" => unary(f64::ln),
        "Floor" => unary(f64::floor),
        "Ceil" => unary(f64::ceil),
        "Reciprocal" => unary(f64::recip),
        "Not" => arrays[0].data.iter().map(|x| truth(*x == 0.0)).collect(),
        "Add" => binary(|a, b| a + b),
        "Sub" => binary(|a, b| a - b),
        "Mul" => binary(|a, b| a * b),
        "Div" if whole => {
            if arrays[1].data.contains(&0.0) {
                return Err(node.broken("it divides integers by 0"));
            }
            binary(|a, b| (a / b).trunc())
        }
        "Div" => binary(|a, b| a / b),
        "Mod" => binary(|a, b| a - (a / b).floor() * b),
        "Pow" => binary(f64::powf),
        "Min" => binary(f64::min),
        "Max" => binary(f64::max),
        "And" => binary(|a, b| a * b),
        "Or" => binary(f64::max),
        "Equal" => binary(|a, b| f64::from(u8::from(a == b))),
        "Less" => binary(|a, b| f64::from(u8::from(a < b))),
        "LessOrEqual" => binary(|a, b| f64::from(u8::from(a <= b))),
        "Greater" => binary(|a, b| f64::from(u8::from(a > b))),
        "GreaterOrEqual" => binary(|a, b| f64::from(u8::from(a >= b))),
        "Where" => {
            let (yes, no) = (spread(&arrays[1], &dims), spread(&arrays[2], &dims));
            let choice = spread(&arrays[0], &dims).into_iter().zip(yes.into_iter().zip(no));
            choice.map(|(choose, (yes, no))| if choose != 0.0 { yes } else { no }).collect()
        }
        "Expand" => spread(&arrays[0], &dims),
        "ConstantOfShape" => {
            let value = match node.attributes.get("value") {
                Some(Attribute::Tensor(tensor)) => tensor.to_f64().first().copied().unwrap_or(0.0),
                _ => 0.0,
            };
            vec![value; dims.iter().product()]
        }
        "Range" => {
            let (start, step) = (arrays[0].data[0], arrays[2].data[0]);
            (0..dims[0]).map(|at| start + step * at as f64).collect()
        }
        "Transpose" => {
            let order = permutation(inputs)?;
            pick(&arrays[0], &dims, |at| order.iter().zip(at).map(|(axis, place)| (*axis, *place)).collect())
        }
        "Slice" => {
            let cuts = slices(inputs)?;
            pick(&arrays[0], &dims, |at| {
                let mut from: Vec<(usize, usize)> = at.iter().copied().enumerate().collect();
                for cut in &cuts {
                    let place = cut.start + cut.step * at[cut.axis] as i64;
                    from[cut.axis].1 = usize::try_from(place).unwrap_or(0);
                }
                from
            })
        }
        "Gather" => gather(inputs, arrays, &dims)?,
        "Concat" => return Ok(Some(vec![concat(inputs, arrays)?])),
        "Split" => return split(inputs, &arrays[0], kinds).map(Some),
        "ReduceProd" | "ReduceSum" | "ReduceMax" | "ReduceMin" => reduce(inputs, &arrays[0], &dims)?,
        _ => return Ok(None),
    };
    Ok(Some(vec![one]))
}

fn strides(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for axis in (0..dims.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * dims[axis + 1];
    }
    strides
}

fn place(at: usize, dims: &[usize], strides: &[usize]) -> Vec<usize> {
    dims.iter().zip(strides).map(|(dim, stride)| at / stride % dim).collect()
}

/// Elements of `dims`, each from the source at the (axis, place) pairs that `from` says.
fn pick(source: &Array, dims: &[usize], from: impl Fn(&[usize]) -> Vec<(usize, usize)>) -> Vec<f64> {
    let (own, theirs) = (strides(dims), strides(&source.dims));
    let count = dims.iter().product();
    let find =
        |at: usize| -> usize { from(&place(at, dims, &own)).iter().map(|(axis, place)| theirs[*axis] * place).sum() };
    (0..count).map(|at| source.data[find(at)]).collect()
}

fn spread(source: &Array, dims: &[usize]) -> Vec<f64> {
    if source.dims == dims {
        return source.data.clone();
    }
    debug_assert!(broadcast(&source.dims, dims).is_some());
    let shift = dims.len() - source.dims.len();
    pick(source, dims, |at| {
        let last = |axis: usize| source.dims[axis].saturating_sub(1);
        (0..source.dims.len()).map(|axis| (axis, at[axis + shift].min(last(axis)))).collect()
    })
}

fn gather(inputs: &Inputs<'_>, arrays: &[Array], dims: &[usize]) -> Result<Vec<f64>, Error> {
    let (source, indices) = (&arrays[0], &arrays[1]);
    let axis = inputs.axis(inputs.node.int("axis", 0), source.dims.len())?;
    let length = source.dims[axis] as f64;
    if indices.data.iter().any(|index| *index >= length || *index < -length) {
        return Err(inputs.node.broken(format!("an index lies outside the {length} elements")));
    }
    let (index_strides, index_rank) = (strides(&indices.dims), indices.dims.len());
    Ok(pick(source, dims, |at| {
        let index: usize = (0..index_rank).map(|place| index_strides[place] * at[axis + place]).sum();
        let index = indices.data[index];
        let index = if index < 0.0 { index + length } else { index } as usize;
        let mut from: Vec<(usize, usize)> = (0..axis).map(|axis| (axis, at[axis])).collect();
        from.push((axis, index));
        from.extend((axis + 1..source.dims.len()).map(|axis| (axis, at[axis + index_rank - 1])));
        from
    }))
}

fn concat(inputs: &Inputs<'_>, arrays: &[Array]) -> Result<Vec<f64>, Error> {
    let first = &arrays[0].dims;
    let axis = inputs.axis(inputs.node.int("axis", 0), first.len())?;
    let lead: usize = first[..axis].iter().product();
    let mut data = Vec::new();
    for row in 0..lead {
        for array in arrays {
            let length: usize = array.dims[axis..].iter().product();
            data.extend_from_slice(&array.data[row * length..(row + 1) * length]);
        }
    }
    Ok(data)
}

fn split(inputs: &Inputs<'_>, source: &Array, kinds: &[TensorType]) -> Result<Vec<Vec<f64>>, Error> {
    let axis = inputs.axis(inputs.node.int("axis", 0), source.dims.len())?;
    let mut start = 0;
    let mut parts = Vec::with_capacity(kinds.len());
    for kind in kinds {
        parts.push(pick(source, &kind.dims, |at| {
            at.iter().enumerate().map(|(own, place)| (own, if own == axis { place + start } else { *place })).collect()
        }));
        start += kind.dims[axis];
    }
    Ok(parts)
}

fn reduce(inputs: &Inputs<'_>, source: &Array, dims: &[usize]) -> Result<Vec<f64>, Error> {
    let axes = reduced_axes(inputs)?;
    let (start, apply): (f64, fn(f64, f64) -> f64) = match inputs.node.op.as_str() {
        "ReduceProd" => (1.0, |a, b| a * b),
        "ReduceMax" => (f64::NEG_INFINITY, f64::max),
        "ReduceMin" => (f64::INFINITY, f64::min),
        _ => (0.0, |a, b| a + b),
    };
    let mut result = vec![start; dims.iter().product()];
    let own = strides(&source.dims);
    // The kept axes alone decide the place, whether the reduced ones stay as length 1 or go.
    let kept: Vec<usize> = (0..source.dims.len()).filter(|axis| !axes.contains(axis)).collect();
    let kept_dims: Vec<usize> = kept.iter().map(|axis| source.dims[*axis]).collect();
    let kept_strides = strides(&kept_dims);
    for (at, value) in source.data.iter().enumerate() {
        let places = place(at, &source.dims, &own);
        let to: usize = kept.iter().zip(&kept_strides).map(|(axis, stride)| places[*axis] * stride).sum();
        result[to] = apply(result[to], *value);
    }
    Ok(result)
}

fn tensor(kind: &TensorType, data: &[f64]) -> Result<Tensor, Error> {
    use half::{bf16, f16};
    let bytes: Vec<u8> = match kind.element {
        Element::F32 => data.iter().flat_map(|x| (*x as f32).to_le_bytes()).collect(),
        Element::F64 => data.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Element::F16 => data.iter().flat_map(|x| f16::from_f64(*x).to_le_bytes()).collect(),
        Element::Bf16 => data.iter().flat_map(|x| bf16::from_f64(*x).to_le_bytes()).collect(),
        Element::U8 => data.iter().map(|x| *x as u8).collect(),
        Element::Bool => data.iter().map(|x| u8::from(*x != 0.0)).collect(),
        Element::I8 => data.iter().map(|x| *x as i8 as u8).collect(),
        Element::I16 => data.iter().flat_map(|x| (*x as i16).to_le_bytes()).collect(),
        Element::I32 => data.iter().flat_map(|x| (*x as i32).to_le_bytes()).collect(),
        Element::I64 => data.iter().flat_map(|x| (*x as i64).to_le_bytes()).collect(),
    };
    Tensor::new(kind.element, kind.dims.clone(), bytes.into())
}
