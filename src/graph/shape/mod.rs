//! Types and shapes of what a node puts out, from what goes in: every axis has a fixed length, and settings that ONNX
//! takes as inputs (axes, sizes, pads) are constants. Must not know how anything is computed.

pub(crate) mod layout;
mod window;

use super::ir::{Node, TensorType};
use super::{Element, Error, Tensor};

pub(crate) use window::{Window, windows};

/// An input as the rules see it: its type and, if it is a constant, its numbers.
pub(crate) type Input<'a> = Option<(&'a TensorType, Option<&'a Tensor>)>;

/// The inputs of one node, with the errors that a rule may raise.
pub(crate) struct Inputs<'a> {
    pub node: &'a Node,
    pub list: &'a [Input<'a>],
}

impl<'a> Inputs<'a> {
    pub fn kind(&self, place: usize) -> Result<&'a TensorType, Error> {
        match self.list.get(place) {
            Some(Some((kind, _))) => Ok(kind),
            _ => Err(self.node.broken(format!("its input {place} is missing"))),
        }
    }

    pub fn has(&self, place: usize) -> bool {
        matches!(self.list.get(place), Some(Some(_)))
    }

    /// The numbers of an input that must be a constant.
    pub fn constant(&self, place: usize) -> Result<Option<&'a Tensor>, Error> {
        match self.list.get(place) {
            Some(Some((_, Some(tensor)))) => Ok(Some(tensor)),
            Some(Some((_, None))) => Err(self.node.unsupported(format!(
                "its input {place} is computed from the picture or its size is not fixed; export the graph with fixed sizes"
            ))),
            _ => Ok(None),
        }
    }

    pub fn ints(&self, place: usize) -> Result<Option<Vec<i64>>, Error> {
        Ok(self.constant(place)?.map(Tensor::to_i64))
    }

    /// A place in an axis list, counted from the end when negative.
    pub fn axis(&self, axis: i64, rank: usize) -> Result<usize, Error> {
        let signed = rank as i64;
        let place = if axis < 0 { axis + signed } else { axis };
        match usize::try_from(place) {
            Ok(place) if place < rank => Ok(place),
            _ => Err(self.node.broken(format!("the axis {axis} does not exist among {rank}"))),
        }
    }

    pub fn axes(&self, axes: &[i64], rank: usize) -> Result<Vec<usize>, Error> {
        let mut places = axes.iter().map(|axis| self.axis(*axis, rank)).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        places.dedup();
        Ok(places)
    }
}

/// The shape that two shapes meet in, by numpy's rule.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let at = |dims: &[usize], axis: usize| match (axis + dims.len()).checked_sub(rank) {
        Some(place) => dims.get(place).copied().unwrap_or(1),
        None => 1,
    };
    (0..rank)
        .map(|axis| match (at(a, axis), at(b, axis)) {
            (left, right) if left == right || right == 1 => Some(left),
            (1, right) => Some(right),
            _ => None,
        })
        .collect()
}

/// The types of the outputs of a node, as many as the operator can give; the caller takes those it asked for.
pub(crate) fn infer(node: &Node, list: &[Input<'_>]) -> Result<Vec<TensorType>, Error> {
    let inputs = Inputs { node, list };
    let one = |kind: TensorType| Ok(vec![kind]);
    match node.op.as_str() {
        "Neg" | "Abs" | "Sqrt" | "Exp" | "Log" | "Erf" | "Gelu" | "Relu" | "Sigmoid" | "Tanh" | "Reciprocal"
        | "Sign" | "Softplus" | "Sin" | "Cos" | "Tan" | "Atan" | "Sinh" | "Cosh" | "Floor" | "Ceil" | "Round"
        | "Identity" | "Not" | "Clip" | "Trilu" => one(inputs.kind(0)?.clone()),
        "Softmax" | "LogSoftmax" | "LpNormalization" => {
            let kind = inputs.kind(0)?;
            inputs.axis(node.int("axis", -1), kind.dims.len())?;
            one(kind.clone())
        }
        "IsNaN" | "IsInf" => one(TensorType::new(Element::Bool, &inputs.kind(0)?.dims)),
        "Add" | "Sub" | "Mul" | "Div" | "Sum" | "Pow" | "Min" | "Max" | "Mod" | "And" | "Or" | "Xor" => {
            one(TensorType::new(inputs.kind(0)?.element, &all_broadcast(&inputs)?))
        }
        "Equal" | "Less" | "LessOrEqual" | "Greater" | "GreaterOrEqual" => {
            one(TensorType::new(Element::Bool, &all_broadcast(&inputs)?))
        }
        "Where" => one(TensorType::new(inputs.kind(1)?.element, &all_broadcast(&inputs)?)),
        "MatMul" => one(matmul(&inputs)?),
        "Gemm" => one(gemm(&inputs)?),
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceL2" | "ReduceLogSumExp" | "ReduceProd" => {
            one(reduce(&inputs)?)
        }
        "ArgMax" => {
            let kind = inputs.kind(0)?;
            let axis = inputs.axis(node.int("axis", 0), kind.dims.len())?;
            one(TensorType::new(Element::I64, &without(&kind.dims, &[axis], node.int("keepdims", 1) != 0)))
        }
        "LayerNormalization" => {
            let kind = inputs.kind(0)?;
            let axis = inputs.axis(node.int("axis", -1), kind.dims.len())?;
            let moments: Vec<usize> =
                kind.dims.iter().enumerate().map(|(at, dim)| if at < axis { *dim } else { 1 }).collect();
            let moments = TensorType::new(Element::F32, &moments);
            Ok(vec![kind.clone(), moments.clone(), moments])
        }
        "BatchNormalization" => one(inputs.kind(0)?.clone()),
        "Conv" | "ConvTranspose" | "MaxPool" | "AveragePool" => window::infer(&inputs),
        _ => layout::infer(&inputs),
    }
}

fn all_broadcast(inputs: &Inputs<'_>) -> Result<Vec<usize>, Error> {
    let mut dims = inputs.kind(0)?.dims.clone();
    for place in 1..inputs.list.len() {
        let other = inputs.kind(place)?;
        dims = broadcast(&dims, &other.dims).ok_or_else(|| {
            inputs.node.broken(format!("the shapes {dims:?} and {:?} do not go together", other.dims))
        })?;
    }
    Ok(dims)
}

fn matmul(inputs: &Inputs<'_>) -> Result<TensorType, Error> {
    let (a, b) = (inputs.kind(0)?, inputs.kind(1)?);
    let bad = || inputs.node.broken(format!("{a} and {b} cannot be multiplied"));
    let (left, right) = (a.dims.as_slice(), b.dims.as_slice());
    let (rows, inner) = match left {
        [] => return Err(bad()),
        [inner] => (None, *inner),
        [.., rows, inner] => (Some(*rows), *inner),
    };
    let (other, columns) = match right {
        [] => return Err(bad()),
        [inner] => (*inner, None),
        [.., inner, columns] => (*inner, Some(*columns)),
    };
    if inner != other || a.element != b.element {
        return Err(bad());
    }
    let lead = |dims: &[usize]| dims[..dims.len().saturating_sub(2)].to_vec();
    let mut dims = broadcast(&lead(left), &lead(right)).ok_or_else(bad)?;
    dims.extend(rows);
    dims.extend(columns);
    Ok(TensorType::new(a.element, &dims))
}

fn gemm(inputs: &Inputs<'_>) -> Result<TensorType, Error> {
    let (a, b) = (inputs.kind(0)?, inputs.kind(1)?);
    let bad = || inputs.node.broken(format!("{a} and {b} cannot be multiplied"));
    let ([rows, inner], [other, columns]) = (a.dims.as_slice(), b.dims.as_slice()) else { return Err(bad()) };
    let (rows, inner) = if inputs.node.int("transA", 0) != 0 { (inner, rows) } else { (rows, inner) };
    let (other, columns) = if inputs.node.int("transB", 0) != 0 { (columns, other) } else { (other, columns) };
    if inner != other {
        return Err(bad());
    }
    if inputs.has(2) && broadcast(&inputs.kind(2)?.dims, &[*rows, *columns]).as_deref() != Some(&[*rows, *columns]) {
        return Err(inputs.node.broken(format!("{} does not fit onto [{rows}, {columns}]", inputs.kind(2)?)));
    }
    Ok(TensorType::new(a.element, &[*rows, *columns]))
}

/// The axes that a reduction goes over.
pub(crate) fn reduced_axes(inputs: &Inputs<'_>) -> Result<Vec<usize>, Error> {
    let rank = inputs.kind(0)?.dims.len();
    match inputs.ints(1)? {
        Some(axes) if !axes.is_empty() => inputs.axes(&axes, rank),
        _ if inputs.node.int("noop_with_empty_axes", 0) != 0 => Ok(Vec::new()),
        _ => Ok((0..rank).collect()),
    }
}

fn reduce(inputs: &Inputs<'_>) -> Result<TensorType, Error> {
    let kind = inputs.kind(0)?;
    let axes = reduced_axes(inputs)?;
    Ok(TensorType::new(kind.element, &without(&kind.dims, &axes, inputs.node.int("keepdims", 1) != 0)))
}

fn without(dims: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    let kept = dims.iter().enumerate().map(|(at, dim)| if axes.contains(&at) { keep.then_some(1) } else { Some(*dim) });
    kept.flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::broadcast;

    #[test]
    fn shapes_meet_by_the_rule_of_numpy() {
        assert_eq!(broadcast(&[2, 1, 3], &[4, 1]), Some(vec![2, 4, 3]));
        assert_eq!(broadcast(&[], &[5]), Some(vec![5]));
        assert_eq!(broadcast(&[2], &[3]), None);
        assert_eq!(broadcast(&[0], &[1]), Some(vec![0]));
    }
}
