//! Adding nodes: the names of the standard operators as methods, with types and shapes checked as each is added, and
//! constants computed at once. Must not know networks or gradients.

use super::attributes::{Attribute, Attributes};
use super::ir::{Graph, Node, Value};
use super::onnx::code_of;
use super::shape::{Input, infer};
use super::{Element, Error, Tensor, fold};

impl From<i64> for Attribute {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<f32> for Attribute {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Attribute {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Vec<i64>> for Attribute {
    fn from(values: Vec<i64>) -> Self {
        Self::Ints(values)
    }
}

/// Settings from pairs.
pub(crate) fn attributes<const N: usize>(pairs: [(&str, Attribute); N]) -> Attributes {
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Graph {
    /// Adds a node under a wished name and gives the first `outputs` of its outputs. A node over constants alone is
    /// computed here and now.
    pub fn node(
        &mut self,
        op: &str,
        name: &str,
        inputs: &[Option<Value>],
        outputs: usize,
        attributes: Attributes,
    ) -> Result<Vec<Value>, Error> {
        let node = Node {
            op: op.to_owned(),
            name: name.to_owned(),
            inputs: inputs.to_vec(),
            outputs: vec![None; outputs],
            attributes,
        };
        let list: Vec<Input<'_>> =
            inputs.iter().map(|value| value.map(|value| (self.kind(value), self.constant_of(value)))).collect();
        let mut kinds = infer(&node, &list)?;
        if kinds.len() < outputs {
            return Err(node.unsupported(format!("it is asked for {outputs} outputs and gives {}", kinds.len())));
        }
        kinds.truncate(outputs);
        if let Some(kind) = kinds.iter().find(|kind| !kind.is_countable()) {
            return Err(node.broken(format!("it gives {kind}, more elements than a machine can hold")));
        }
        if let Some(tensors) = fold::fold(&node, &list, &kinds)? {
            return Ok(tensors.into_iter().map(|tensor| self.constant(tensor)).collect());
        }
        let name = self.node_name(name);
        let kinds: Vec<_> = kinds.into_iter().map(Some).collect();
        let values = self.append(op, name, inputs, &kinds, node.attributes);
        Ok(values.into_iter().flatten().collect())
    }

    /// Adds a node of one output, named after its operator.
    pub fn op(&mut self, op: &str, inputs: &[Value], attributes: Attributes) -> Result<Value, Error> {
        let inputs: Vec<_> = inputs.iter().copied().map(Some).collect();
        self.op_with_gaps(op, &inputs, attributes)
    }

    /// [`Graph::op`] with optional inputs left out.
    pub fn op_with_gaps(&mut self, op: &str, inputs: &[Option<Value>], attributes: Attributes) -> Result<Value, Error> {
        let values = self.node(op, op, inputs, 1, attributes)?;
        values
            .first()
            .copied()
            .ok_or_else(|| Error::Node { node: op.to_owned(), detail: "it gives nothing".to_owned() })
    }

    /// An operator of one input and no settings: `Exp`, `Neg`, `Relu`, ….
    pub fn unary(&mut self, op: &str, x: Value) -> Result<Value, Error> {
        self.op(op, &[x], Attributes::new())
    }

    /// A number.
    pub fn scalar(&mut self, value: f32) -> Value {
        self.constant(Tensor::scalar(value))
    }

    /// A number of the same float type as `like`.
    pub fn scalar_like(&mut self, value: f32, like: Value) -> Result<Value, Error> {
        let scalar = self.scalar(value);
        let element = self.kind(like).element;
        self.cast(scalar, element)
    }

    /// Integers, as operators take axes, shapes and the like.
    pub fn ints(&mut self, values: &[i64]) -> Value {
        self.constant(Tensor::ints(values))
    }

    /// A shape as a constant.
    pub fn shape_constant(&mut self, dims: &[usize]) -> Value {
        let dims: Vec<i64> = dims.iter().map(|dim| *dim as i64).collect();
        self.ints(&dims)
    }

    /// `a + b`, broadcast.
    pub fn add(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        self.op("Add", &[a, b], Attributes::new())
    }

    /// `a - b`, broadcast.
    pub fn sub(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        self.op("Sub", &[a, b], Attributes::new())
    }

    /// `a * b`, element by element, broadcast.
    pub fn mul(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        self.op("Mul", &[a, b], Attributes::new())
    }

    /// `a / b`, element by element, broadcast.
    pub fn div(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        self.op("Div", &[a, b], Attributes::new())
    }

    /// Every element times a number.
    pub fn scale(&mut self, x: Value, factor: f32) -> Result<Value, Error> {
        if factor == 1.0 {
            return Ok(x);
        }
        let factor = self.scalar_like(factor, x)?;
        self.mul(x, factor)
    }

    /// Matrix product over the last two axes, the others broadcast.
    pub fn matmul(&mut self, a: Value, b: Value) -> Result<Value, Error> {
        self.op("MatMul", &[a, b], Attributes::new())
    }

    /// Product of two matrices, either read transposed, plus a row that is added to each row.
    pub fn gemm(
        &mut self,
        a: Value,
        b: Value,
        bias: Option<Value>,
        (trans_a, trans_b): (bool, bool),
    ) -> Result<Value, Error> {
        let mut settings = Attributes::new();
        for (name, set) in [("transA", trans_a), ("transB", trans_b)] {
            if set {
                settings.insert(name.to_owned(), Attribute::Int(1));
            }
        }
        let inputs: Vec<_> = [Some(a), Some(b), bias].into_iter().take(2 + usize::from(bias.is_some())).collect();
        self.op_with_gaps("Gemm", &inputs, settings)
    }

    /// The same elements under another shape. Of two in a row the first is passed over.
    pub fn reshape(&mut self, x: Value, dims: &[usize]) -> Result<Value, Error> {
        let before = self.nodes().last().filter(|node| node.op == "Reshape" && node.output(0) == Some(x));
        let x = before.and_then(|node| node.input(0)).unwrap_or(x);
        if self.dims(x) == dims {
            return Ok(x);
        }
        let shape = self.shape_constant(dims);
        self.op("Reshape", &[x, shape], Attributes::new())
    }

    /// The axes in another order.
    pub fn transpose(&mut self, x: Value, order: &[usize]) -> Result<Value, Error> {
        if order.iter().copied().eq(0..order.len()) {
            return Ok(x);
        }
        let order: Vec<i64> = order.iter().map(|axis| *axis as i64).collect();
        self.op("Transpose", &[x], attributes([("perm", order.into())]))
    }

    /// The last two axes exchanged.
    pub fn transpose_last(&mut self, x: Value) -> Result<Value, Error> {
        let rank = self.dims(x).len();
        let mut order: Vec<usize> = (0..rank).collect();
        if rank >= 2 {
            order.swap(rank - 1, rank - 2);
        }
        self.transpose(x, &order)
    }

    /// Repeated along axes of length 1 (and new ones in front) until it has this shape.
    pub fn expand(&mut self, x: Value, dims: &[usize]) -> Result<Value, Error> {
        if self.dims(x) == dims {
            return Ok(x);
        }
        let shape = self.shape_constant(dims);
        self.op("Expand", &[x, shape], Attributes::new())
    }

    /// Joined along an axis.
    pub fn concat(&mut self, parts: &[Value], axis: usize) -> Result<Value, Error> {
        if let [part] = parts {
            return Ok(*part);
        }
        self.op("Concat", parts, attributes([("axis", (axis as i64).into())]))
    }

    /// Cut along an axis into parts of these lengths.
    pub fn split(&mut self, x: Value, lengths: &[usize], axis: usize) -> Result<Vec<Value>, Error> {
        if let [_] = lengths {
            return Ok(vec![x]);
        }
        let parts = self.shape_constant(lengths);
        self.node(
            "Split",
            "Split",
            &[Some(x), Some(parts)],
            lengths.len(),
            attributes([("axis", (axis as i64).into())]),
        )
    }

    /// `count` elements of an axis, from `start` on, each `step` after the one before.
    pub fn slice(&mut self, x: Value, axis: usize, start: usize, count: usize, step: usize) -> Result<Value, Error> {
        if start == 0 && step == 1 && self.dims(x).get(axis) == Some(&count) {
            return Ok(x);
        }
        let end = start + (count.max(1) - 1) * step + usize::from(count > 0);
        let [starts, ends, axes, steps] = [start, end, axis, step].map(|value| self.ints(&[value as i64]));
        self.op("Slice", &[x, starts, ends, axes, steps], Attributes::new())
    }

    /// Another element type.
    pub fn cast(&mut self, x: Value, element: Element) -> Result<Value, Error> {
        if self.kind(x).element == element {
            return Ok(x);
        }
        self.op("Cast", &[x], attributes([("to", i64::from(code_of(element)).into())]))
    }

    /// `ReduceSum`, `ReduceMean`, `ReduceMax` … over axes; those stay as length 1 if `keep`.
    pub fn reduce(&mut self, op: &str, x: Value, axes: &[usize], keep: bool) -> Result<Value, Error> {
        if axes.is_empty() {
            return Ok(x);
        }
        let axes = self.shape_constant(axes);
        self.op(op, &[x, axes], attributes([("keepdims", i64::from(keep).into())]))
    }

    /// A mean or sum over many elements in two stages, the last of the axes first: the runtime adds up one after the
    /// other, and over millions of elements that loses four digits.
    pub fn reduce_in_stages(&mut self, op: &str, x: Value, axes: &[usize], keep: bool) -> Result<Value, Error> {
        let Some((last, rest)) = axes.split_last().filter(|(_, rest)| !rest.is_empty()) else {
            return self.reduce(op, x, axes, keep);
        };
        let inner = self.reduce(op, x, &[*last], true)?;
        let sum = self.reduce(op, inner, rest, true)?;
        if keep {
            return Ok(sum);
        }
        let dims: Vec<usize> =
            self.dims(x).iter().enumerate().filter(|(axis, _)| !axes.contains(axis)).map(|(_, dim)| *dim).collect();
        self.reshape(sum, &dims)
    }

    /// Softmax along an axis.
    pub fn softmax(&mut self, x: Value, axis: usize) -> Result<Value, Error> {
        self.op("Softmax", &[x], attributes([("axis", (axis as i64).into())]))
    }

    /// Layer normalisation over the last axis, then `* scale + bias`.
    pub fn layer_norm(&mut self, x: Value, scale: Value, bias: Value, epsilon: f32) -> Result<Value, Error> {
        let settings = attributes([("axis", (-1_i64).into()), ("epsilon", epsilon.into())]);
        self.op("LayerNormalization", &[x, scale, bias], settings)
    }

    /// `x weightᵀ + bias` over the last axis; `weight` is `[out, in]`, as PyTorch keeps it.
    pub fn linear(&mut self, x: Value, weight: Value, bias: Option<Value>) -> Result<Value, Error> {
        let mut dims = self.dims(x).to_vec();
        let Some(inner) = dims.pop() else {
            return Err(Error::Node { node: "linear".to_owned(), detail: "the input has no axis".to_owned() });
        };
        let rows = dims.iter().product();
        let flat = self.reshape(x, &[rows, inner])?;
        let product = self.gemm(flat, weight, bias, (false, true))?;
        dims.push(self.dims(product).last().copied().unwrap_or(0));
        self.reshape(product, &dims)
    }

    /// Two-dimensional convolution with the same stride and padding along both axes.
    pub fn conv(
        &mut self,
        x: Value,
        weight: Value,
        bias: Option<Value>,
        (stride, pad): (usize, usize),
    ) -> Result<Value, Error> {
        let (stride, pad) = (stride as i64, pad as i64);
        let settings = attributes([("strides", vec![stride; 2].into()), ("pads", vec![pad; 4].into())]);
        let inputs: Vec<_> = [Some(x), Some(weight), bias].into_iter().take(2 + usize::from(bias.is_some())).collect();
        self.op_with_gaps("Conv", &inputs, settings)
    }

    /// Maps `[N, C, h, w]` at another size: bilinear, the centres of the corner pixels not aligned, no smoothing.
    pub fn resize(&mut self, x: Value, (height, width): (usize, usize)) -> Result<Value, Error> {
        let &[images, channels, old_height, old_width] = self.dims(x) else {
            let detail = format!("{} is no map with channels", self.kind(x));
            return Err(Error::Node { node: "Resize".to_owned(), detail });
        };
        if (old_height, old_width) == (height, width) {
            return Ok(x);
        }
        let sizes = self.shape_constant(&[images, channels, height, width]);
        let settings = attributes([("mode", "linear".into()), ("coordinate_transformation_mode", "half_pixel".into())]);
        self.op_with_gaps("Resize", &[Some(x), None, None, Some(sizes)], settings)
    }
}
