//! Reverse-mode differentiation over nodes: from the gradient of what a graph puts out to the gradient of what goes in,
//! as more nodes of the same graph. An operator without a rule is an error that names the node, never a silent zero. Must
//! not know losses, optimisers or networks.

mod conv;
mod elementwise;
mod layout;
mod matrix;
mod norm;
mod pool;
mod reduce;

use super::ir::{Graph, Node, Value};
use super::shape::{Input, Inputs};
use super::{Error, Tensor};
use std::collections::{HashMap, HashSet};

/// The gradients of `wrt`, given those of some values of the graph (each of the same type and shape as its value);
/// `None` for a value on which none of them depends.
pub fn gradients(graph: &mut Graph, seeds: &[(Value, Value)], wrt: &[Value]) -> Result<Vec<Option<Value>>, Error> {
    let known = all_gradients(graph, seeds, wrt)?;
    Ok(wrt.iter().map(|value| known.get(value).copied()).collect())
}

/// [`gradients`], with those of all values between: by value of the graph, its gradient.
pub(super) fn all_gradients(
    graph: &mut Graph,
    seeds: &[(Value, Value)],
    wrt: &[Value],
) -> Result<HashMap<Value, Value>, Error> {
    let count = graph.nodes().len();
    let depends = dependents(graph, wrt);
    let mut readers: HashMap<Value, Vec<usize>> = HashMap::new();
    for (index, node) in graph.nodes().iter().enumerate() {
        for value in node.inputs.iter().flatten() {
            readers.entry(*value).or_default().push(index);
        }
    }
    let mut known: HashMap<Value, Value> = HashMap::new();
    for (value, gradient) in seeds {
        add_up(graph, &mut known, *value, *gradient)?;
    }
    graph.scoped("gradient", |graph| {
        for index in (0..count).rev() {
            let node = graph.nodes()[index].clone();
            let dy: Vec<Option<Value>> =
                node.outputs.iter().map(|value| value.and_then(|value| known.get(&value).copied())).collect();
            let need: Vec<bool> =
                node.inputs.iter().map(|value| value.is_some_and(|value| depends.contains(&value))).collect();
            let composite = node.output(0).and_then(|y| graph.composite(y)).cloned();
            if dy.iter().all(Option::is_none) || (composite.is_none() && !need.contains(&true)) {
                continue;
            }
            let mut back =
                Back { graph, node: &node, index, dy, need, known: &known, readers: &readers, given: vec![] };
            match composite {
                Some(composite) => norm::composite(&mut back, &composite, &depends)?,
                None => rule(&mut back)?,
            }
            let given = back.given;
            for (value, gradient) in given {
                add_up(graph, &mut known, value, gradient)?;
            }
        }
        Ok(())
    })?;
    Ok(known)
}

/// Everything computed from one of these values, and they themselves.
fn dependents(graph: &Graph, wrt: &[Value]) -> HashSet<Value> {
    let mut depends: HashSet<Value> = wrt.iter().copied().collect();
    for node in graph.nodes() {
        if node.inputs.iter().flatten().any(|value| depends.contains(value)) {
            let floats = node.outputs.iter().flatten().filter(|value| graph.kind(**value).element.is_float());
            depends.extend(floats);
        }
    }
    depends
}

fn add_up(graph: &mut Graph, known: &mut HashMap<Value, Value>, value: Value, gradient: Value) -> Result<(), Error> {
    if graph.kind(value) != graph.kind(gradient) {
        return Err(Error::Node {
            node: format!("gradient of `{}`", graph.name(value)),
            detail: format!("{} was found for a value {}", graph.kind(gradient), graph.kind(value)),
        });
    }
    let sum = match known.get(&value) {
        Some(other) => graph.add(*other, gradient)?,
        None => gradient,
    };
    known.insert(value, sum);
    Ok(())
}

/// One node on the way back: what a rule may look at, and where it puts what it finds.
struct Back<'a> {
    graph: &'a mut Graph,
    node: &'a Node,
    index: usize,
    dy: Vec<Option<Value>>,
    need: Vec<bool>,
    known: &'a HashMap<Value, Value>,
    readers: &'a HashMap<Value, Vec<usize>>,
    given: Vec<(Value, Value)>,
}

impl Back<'_> {
    fn needs(&self, place: usize) -> bool {
        self.need.get(place).copied().unwrap_or(false)
    }

    fn x(&self, place: usize) -> Result<Value, Error> {
        self.node.input(place).ok_or_else(|| self.node.broken(format!("its input {place} is missing")))
    }

    fn y(&self) -> Result<Value, Error> {
        self.node.output(0).ok_or_else(|| self.node.broken("its first output is missing"))
    }

    /// The gradient of the first output; rules of operators with several outputs look at `dy` themselves.
    fn dy(&self) -> Result<Value, Error> {
        match (self.dy.first(), self.dy.get(1..)) {
            (Some(Some(dy)), Some(rest)) if rest.iter().all(Option::is_none) => Ok(*dy),
            _ => Err(self.node.unsupported("there is no rule for the gradient of its other outputs")),
        }
    }

    /// Gives the gradient of an input, summed over the axes along which the input was repeated.
    fn give(&mut self, place: usize, gradient: Value) -> Result<(), Error> {
        let x = self.x(place)?;
        let dims = self.graph.dims(x).to_vec();
        let gradient = sum_to(self.graph, gradient, &dims)?;
        self.given.push((x, gradient));
        Ok(())
    }

    /// The shapes and constants of the node's inputs, for the helpers that the shape rules use too.
    fn with_inputs<T>(&self, ask: impl FnOnce(&Inputs<'_>) -> Result<T, Error>) -> Result<T, Error> {
        let list: Vec<Input<'_>> = self
            .node
            .inputs
            .iter()
            .map(|value| value.map(|value| (self.graph.kind(value), self.graph.constant_of(value))))
            .collect();
        ask(&Inputs { node: self.node, list: &list })
    }

    fn axis(&self, default: i64) -> Result<usize, Error> {
        let rank = self.graph.dims(self.x(0)?).len();
        self.with_inputs(|inputs| inputs.axis(self.node.int("axis", default), rank))
    }
}

/// Sums over the axes along which a value of shape `dims` was broadcast.
fn sum_to(graph: &mut Graph, gradient: Value, dims: &[usize]) -> Result<Value, Error> {
    let from = graph.dims(gradient).to_vec();
    if from == dims {
        return Ok(gradient);
    }
    let front = from.len().saturating_sub(dims.len());
    let axes: Vec<usize> = (0..from.len())
        .filter(|axis| *axis < front || (dims.get(axis - front) == Some(&1) && from[*axis] != 1))
        .collect();
    // Whole rows are summed column by column; only what ends in single numbers needs two stages.
    let sum = match axes.last() == Some(&(from.len() - 1)) {
        true => graph.reduce_in_stages("ReduceSum", gradient, &axes, true)?,
        false => graph.reduce("ReduceSum", gradient, &axes, true)?,
    };
    graph.reshape(sum, dims)
}

/// Zeros.
fn zeros(graph: &mut Graph, like: Value) -> Result<Value, Error> {
    let (dims, element) = (graph.dims(like).to_vec(), graph.kind(like).element);
    let zero = graph.constant(Tensor::scalar(0.0));
    let zero = graph.cast(zero, element)?;
    graph.expand(zero, &dims)
}

fn rule(back: &mut Back<'_>) -> Result<(), Error> {
    match back.node.op.as_str() {
        "Add" | "Sub" | "Mul" | "Div" | "Neg" | "Abs" | "Sqrt" | "Exp" | "Log" | "Erf" | "Gelu" | "Relu" | "Sigmoid"
        | "Tanh" | "Reciprocal" | "Softplus" | "Sin" | "Cos" | "Tan" | "Atan" | "Sinh" | "Cosh" | "Pow" | "Clip" | "Min" | "Max" | "Where" | "Identity"
        | "Cast" => elementwise::rule(back),
        // Steps are flat: their gradient is zero everywhere that it exists.
        "Floor" | "Ceil" | "Round" | "Sign" | "Not" | "IsNaN" | "IsInf" | "ArgMax" | "OneHot" | "ConstantOfShape" => Ok(()),
        "MatMul" | "Gemm" => matrix::rule(back),
        "Softmax" | "LogSoftmax" | "LayerNormalization" | "LpNormalization" | "BatchNormalization" => norm::rule(back),
        "ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceL2" | "ReduceLogSumExp" => reduce::rule(back),
        "Conv" | "ConvTranspose" => conv::rule(back),
        "MaxPool" | "AveragePool" | "Resize" => pool::rule(back),
        "Reshape" | "Flatten" | "Squeeze" | "Unsqueeze" | "Transpose" | "Expand" | "Concat" | "Split" | "Slice" | "Pad"
        | "Gather" | "GatherElements" | "GatherND" | "ScatterElements" | "ScatterND" | "Trilu" => layout::rule(back),
        _ => Err(back.node.unsupported(
            "there is no gradient rule for it; write that part of the network with other operators, or keep it out of what is trained",
        )),
    }
}
