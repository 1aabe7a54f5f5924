//! Operators of any version as the few that have shape and gradient rules, in the form of opset 21. Must not know files.

use super::{Call, Reader};
use crate::graph::attributes::{Attribute, Attributes};
use crate::graph::build::attributes;
use crate::graph::ir::Value;
use crate::graph::{Element, Error, Tensor};

impl Reader<'_> {
    /// One node of the file as nodes of the graph; gives its outputs, as many as have names.
    pub(super) fn lower(&mut self, call: &Call<'_>) -> Result<Vec<Value>, Error> {
        let one = |value: Value| Ok(vec![value]);
        match call.op {
            "Constant" => one(self.constant(call)?),
            "Shape" => one(self.shape(call)?),
            "Size" => {
                let count = self.graph.kind(call.x(0)?).len() as i64;
                one(self.graph.constant(Tensor::i64(&[], &[count])?))
            }
            "CastLike" => {
                let element = self.graph.kind(call.x(1)?).element;
                one(self.graph.cast(call.x(0)?, element)?)
            }
            "Identity" => one(call.x(0)?),
            "Dropout" => self.dropout(call),
            "BatchNormalization" => self.batch_norm(call),
            "InstanceNormalization" => one(self.instance_norm(call)?),
            "GroupNormalization" => one(self.group_norm(call)?),
            "RMSNormalization" => one(self.rms_norm(call)?),
            "Attention" => self.attention(call),
            "Einsum" => one(self.einsum(call)?),
            "Sum" | "Mean" => one(self.sum(call)?),
            "Min" | "Max" if call.inputs.len() == 1 => one(call.x(0)?),
            "ReduceL1" => {
                let sizes = self.graph.unary("Abs", call.x(0)?)?;
                one(self.reduction("ReduceSum", call, sizes)?)
            }
            "ReduceSumSquare" => {
                let squares = self.graph.mul(call.x(0)?, call.x(0)?)?;
                one(self.reduction("ReduceSum", call, squares)?)
            }
            "ReduceLogSum" => {
                let sum = self.reduction("ReduceSum", call, call.x(0)?)?;
                one(self.graph.unary("Log", sum)?)
            }
            op if op.starts_with("Reduce") => one(self.reduction(op, call, call.x(0)?)?),
            "GlobalAveragePool" | "GlobalMaxPool" => {
                let axes: Vec<usize> = (2..self.graph.dims(call.x(0)?).len()).collect();
                match call.op {
                    "GlobalAveragePool" => one(self.graph.reduce_in_stages("ReduceMean", call.x(0)?, &axes, true)?),
                    _ => one(self.graph.reduce("ReduceMax", call.x(0)?, &axes, true)?),
                }
            }
            "HardSwish" => {
                let gate = self.hard_sigmoid(call.x(0)?, 1.0 / 6.0, 0.5)?;
                one(self.graph.mul(call.x(0)?, gate)?)
            }
            "HardSigmoid" => one(self.hard_sigmoid(
                call.x(0)?,
                call.attributes.float("alpha", 0.2),
                call.attributes.float("beta", 0.5),
            )?),
            "Mish" => {
                let soft = self.graph.unary("Softplus", call.x(0)?)?;
                let gate = self.graph.unary("Tanh", soft)?;
                one(self.graph.mul(call.x(0)?, gate)?)
            }
            "Softsign" => {
                let size = self.graph.unary("Abs", call.x(0)?)?;
                let unit = self.graph.scalar_like(1.0, size)?;
                let below = self.graph.add(size, unit)?;
                one(self.graph.div(call.x(0)?, below)?)
            }
            "LeakyRelu" => one(self.leaky(call.x(0)?, call.attributes.float("alpha", 0.01))?),
            "PRelu" => one(self.prelu(call)?),
            "Elu" | "Selu" | "Celu" => one(self.exponential_unit(call)?),
            "DepthToSpace" | "SpaceToDepth" => one(self.depth_space(call)?),
            "Tile" => one(self.tile(call)?),
            "Pad" => one(self.pad(call)?),
            "CumSum" => one(self.cumulative_sum(call)?),
            "GatherND" => one(self.gather_nd(call)?),
            "Resize" => {
                // Inputs that only fill a place: the region of interest, and an empty one of scales and sizes.
                let full = |place: usize| call.input(place).filter(|value| !self.graph.kind(*value).is_empty());
                let inputs = match full(3) {
                    Some(sizes) => vec![call.input(0), None, None, Some(sizes)],
                    None => vec![call.input(0), None, full(2)],
                };
                self.keep(call, inputs, call.attributes.clone())
            }
            "Softmax" | "LogSoftmax" => self.softmax(call),
            _ => self.plain(call),
        }
    }

    fn keep(
        &mut self,
        call: &Call<'_>,
        inputs: Vec<Option<Value>>,
        attributes: Attributes,
    ) -> Result<Vec<Value>, Error> {
        self.graph.node(call.op, call.name, &inputs, call.outputs.max(1), attributes)
    }

    /// An operator that stays as it is, but for settings that have become inputs since.
    fn plain(&mut self, call: &Call<'_>) -> Result<Vec<Value>, Error> {
        let moved: &[(&str, usize)] = match call.op {
            "Squeeze" | "Unsqueeze" => &[("axes", 1)],
            "Split" => &[("split", 1)],
            _ => &[],
        };
        let (mut inputs, mut attributes) = (call.inputs.clone(), call.attributes.clone());
        for (name, place) in moved {
            if let Some(Attribute::Ints(values)) = attributes.remove(*name) {
                inputs.resize((*place).max(inputs.len()), None);
                inputs.truncate(*place);
                inputs.push(Some(self.graph.ints(&values)));
            }
        }
        if call.op == "Split" && inputs.get(1).copied().flatten().is_none() {
            // The lengths are written out, since how they follow from the number of parts depends on the version.
            let count = match attributes.remove("num_outputs") {
                Some(Attribute::Int(count)) if count > 0 => count as usize,
                _ => call.outputs,
            };
            let dims = self.graph.dims(call.x(0)?);
            let axis = call.attributes.int("axis", 0);
            let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
            let length = usize::try_from(axis).ok().and_then(|axis| dims.get(axis)).copied().unwrap_or(0);
            let part = length.div_ceil(count.max(1));
            let lengths: Vec<usize> = (0..count).map(|at| part.min(length.saturating_sub(at * part))).collect();
            inputs.truncate(1);
            inputs.push(Some(self.graph.shape_constant(&lengths)));
        }
        self.keep(call, inputs, attributes)
    }

    fn constant(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let tensor = match call.attributes.iter().next() {
            Some((_, Attribute::Tensor(tensor))) => tensor.clone(),
            Some((_, Attribute::Float(value))) => Tensor::scalar(*value),
            Some((_, Attribute::Floats(values))) => Tensor::f32(&[values.len()], values)?,
            Some((_, Attribute::Int(value))) => Tensor::i64(&[], &[*value])?,
            Some((_, Attribute::Ints(values))) => Tensor::ints(values),
            _ => return Err(call.unsupported("its constant is of a kind that is not known here")),
        };
        Ok(self.graph.constant(tensor))
    }

    fn shape(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let dims: Vec<i64> = self.graph.dims(call.x(0)?).iter().map(|dim| *dim as i64).collect();
        let rank = dims.len() as i64;
        let place = |value: i64| if value < 0 { value + rank } else { value }.clamp(0, rank) as usize;
        let (start, end) = (place(call.attributes.int("start", 0)), place(call.attributes.int("end", rank)));
        Ok(self.graph.ints(dims.get(start..end.max(start)).unwrap_or_default()))
    }

    /// Dropout that does nothing is taken away; one that works needs its random numbers from outside.
    fn dropout(&mut self, call: &Call<'_>) -> Result<Vec<Value>, Error> {
        let (x, number) = (call.x(0)?, |value: Option<Value>| {
            value.and_then(|value| self.graph.constant_of(value)).and_then(|tensor| tensor.to_f64().first().copied())
        });
        let ratio = number(call.input(1)).unwrap_or(f64::from(call.attributes.float("ratio", 0.5)));
        let asked = number(call.input(2)).is_some_and(|training| training != 0.0);
        if !self.training || !asked || ratio == 0.0 {
            return Ok(vec![x]);
        }
        if !(0.0..1.0).contains(&ratio) {
            return Err(call.broken(format!("the ratio {ratio} does not lie between 0 and 1")));
        }
        let dims = self.graph.dims(x).to_vec();
        let name = self.graph.unique(&format!("mask/{}", call.name));
        let mask = self.graph.input_named(name.clone(), Element::U8, &dims);
        self.notes.push(format!(
            "{} reads its mask from the input `{name}`: 1 to keep, with probability {}",
            call.label(),
            1.0 - ratio
        ));
        let mask = self.graph.cast(mask, self.graph.kind(x).element)?;
        let kept = self.graph.mul(x, mask)?;
        Ok(vec![self.graph.scale(kept, (1.0 / (1.0 - ratio)) as f32)?])
    }

    fn sum(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let mut sum = call.x(0)?;
        for place in 1..call.inputs.len() {
            sum = self.graph.add(sum, call.x(place)?)?;
        }
        let share = if call.op == "Mean" { 1.0 / call.inputs.len() as f32 } else { 1.0 };
        self.graph.scale(sum, share)
    }

    /// A reduction with its axes as an input, wherever its version keeps them.
    fn reduction(&mut self, op: &str, call: &Call<'_>, x: Value) -> Result<Value, Error> {
        let axes = match (call.attributes.get("axes"), call.input(1)) {
            (Some(Attribute::Ints(axes)), _) => Some(self.graph.ints(axes)),
            (_, axes) => axes,
        };
        let mut settings = call.attributes.clone();
        settings.remove("axes");
        let empty = axes.is_none_or(|axes| self.graph.kind(axes).is_empty());
        if empty && call.attributes.int("noop_with_empty_axes", 0) != 0 {
            return Ok(x);
        }
        settings.remove("noop_with_empty_axes");
        let rank = self.graph.dims(x).len();
        let axes = match axes.filter(|_| !empty) {
            Some(axes) => axes,
            None => self.graph.shape_constant(&(0..rank).collect::<Vec<_>>()),
        };
        self.graph.op(op, &[x, axes], settings)
    }

    fn clip(&mut self, x: Value, low: f32, high: f32) -> Result<Value, Error> {
        let (low, high) = (self.graph.scalar_like(low, x)?, self.graph.scalar_like(high, x)?);
        self.graph.op("Clip", &[x, low, high], Attributes::new())
    }

    fn hard_sigmoid(&mut self, x: Value, alpha: f32, beta: f32) -> Result<Value, Error> {
        let line = self.graph.scale(x, alpha)?;
        let offset = self.graph.scalar_like(beta, x)?;
        let line = self.graph.add(line, offset)?;
        self.clip(line, 0.0, 1.0)
    }

    /// `x` where it is positive, else `slope x`.
    fn leaky(&mut self, x: Value, slope: f32) -> Result<Value, Error> {
        let scaled = self.graph.scale(x, slope)?;
        self.positive_or(x, x, scaled)
    }

    /// `upper` where `x` is positive, else `lower`.
    fn positive_or(&mut self, upper: Value, x: Value, lower: Value) -> Result<Value, Error> {
        let zero = self.graph.scalar_like(0.0, x)?;
        let positive = self.graph.op("Greater", &[x, zero], Attributes::new())?;
        self.graph.op("Where", &[positive, upper, lower], Attributes::new())
    }

    fn prelu(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let (x, slope) = (call.x(0)?, call.x(1)?);
        let scaled = self.graph.mul(x, slope)?;
        self.positive_or(x, x, scaled)
    }

    /// `scale (x if x > 0 else alpha (exp(x / width) - 1))`.
    fn exponential_unit(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let x = call.x(0)?;
        let (alpha, width, scale) = match call.op {
            "Elu" => (call.attributes.float("alpha", 1.0), 1.0, 1.0),
            "Celu" => (call.attributes.float("alpha", 1.0), call.attributes.float("alpha", 1.0), 1.0),
            _ => (call.attributes.float("alpha", 1.673_263_2), 1.0, call.attributes.float("gamma", 1.050_701)),
        };
        // What is not used must not overflow either, or its gradient is not a number. At 0 itself the lower branch counts,
        // with its slope.
        let zero = self.graph.scalar_like(0.0, x)?;
        let low = self.positive_or(zero, x, x)?;
        let low = self.graph.scale(low, 1.0 / width)?;
        let power = self.graph.unary("Exp", low)?;
        let one = self.graph.scalar_like(1.0, x)?;
        let below = self.graph.sub(power, one)?;
        let below = self.graph.scale(below, alpha)?;
        let y = self.positive_or(x, x, below)?;
        self.graph.scale(y, scale)
    }

    fn depth_space(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let x = call.x(0)?;
        let block = u16::try_from(call.attributes.int("blocksize", 0)).map_or(0, usize::from);
        let dims = self.graph.dims(x).to_vec();
        let &[n, c, h, w] = dims.as_slice() else { return Err(call.broken(format!("{dims:?} is no [N, C, H, W]"))) };
        let bad = || call.broken(format!("blocks of {block} do not fit {dims:?}"));
        if block == 0 {
            return Err(bad());
        }
        let (cut, order, flat) = match (call.op, call.attributes.text("mode", "DCR")) {
            ("SpaceToDepth", _) if h % block == 0 && w % block == 0 => (
                [n, c, h / block, block, w / block, block],
                [0, 3, 5, 1, 2, 4],
                [n, c * block * block, h / block, w / block],
            ),
            ("DepthToSpace", "CRD") if c % (block * block) == 0 => (
                [n, c / (block * block), block, block, h, w],
                [0, 1, 4, 2, 5, 3],
                [n, c / (block * block), h * block, w * block],
            ),
            ("DepthToSpace", _) if c % (block * block) == 0 => (
                [n, block, block, c / (block * block), h, w],
                [0, 3, 4, 1, 5, 2],
                [n, c / (block * block), h * block, w * block],
            ),
            _ => return Err(bad()),
        };
        let x = self.graph.reshape(x, &cut)?;
        let x = self.graph.transpose(x, &order)?;
        self.graph.reshape(x, &flat)
    }

    /// Repetition as an axis of length 1 that is expanded.
    fn tile(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let x = call.x(0)?;
        let Some(repeats) = self.graph.constant_of(call.x(1)?).map(Tensor::to_i64) else {
            return Err(call.unsupported("its repeats are not fixed"));
        };
        let dims = self.graph.dims(x).to_vec();
        if repeats.len() != dims.len() || repeats.iter().any(|times| !(0..1 << 24).contains(times)) {
            return Err(call.broken(format!("{dims:?} cannot be repeated {repeats:?} times")));
        }
        let times: Vec<usize> = repeats.iter().map(|times| *times as usize).collect();
        let thin: Vec<usize> = dims.iter().flat_map(|dim| [1, *dim]).collect();
        let wide: Vec<usize> = dims.iter().zip(&times).flat_map(|(dim, times)| [*times, *dim]).collect();
        let flat: Vec<usize> = dims.iter().zip(&times).map(|(dim, times)| dim * times).collect();
        let x = self.graph.reshape(x, &thin)?;
        let x = self.graph.expand(x, &wide)?;
        self.graph.reshape(x, &flat)
    }

    /// Padding with what lies at or behind the edge, as picking along each axis; with a constant it stays.
    fn pad(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let mode = call.attributes.text("mode", "constant");
        if mode == "constant" {
            let mut inputs = call.inputs.clone();
            // A value of 0 is what is meant without one.
            let plain = |value: Value| self.graph.constant_of(value).is_some_and(|tensor| tensor.to_f64() == [0.0]);
            if inputs.get(2).copied().flatten().is_some_and(plain) {
                inputs[2] = None;
            }
            let values = self.keep(call, inputs, Attributes::new())?;
            return values.first().copied().ok_or_else(|| call.broken("it gives nothing"));
        }
        let x = call.x(0)?;
        let rank = self.graph.dims(x).len();
        let numbers =
            |place: usize| call.input(place).and_then(|value| self.graph.constant_of(value)).map(Tensor::to_i64);
        let Some(pads) = numbers(1) else { return Err(call.unsupported("its pads are not fixed")) };
        let axes = numbers(3).unwrap_or_else(|| (0..rank as i64).collect());
        let mut x = x;
        for (at, axis) in axes.iter().enumerate() {
            let axis = if *axis < 0 { axis + rank as i64 } else { *axis } as usize;
            let (Some(before), Some(after), Some(length)) =
                (pads.get(at), pads.get(at + axes.len()), self.graph.dims(x).get(axis).map(|dim| *dim as i64))
            else {
                return Err(call.broken("its pads do not fit its axes"));
            };
            if before.unsigned_abs().max(after.unsigned_abs()) > 1 << 20 {
                return Err(call.broken(format!("pads of {before} and {after} are absurd")));
            }
            if (*before, *after) == (0, 0) {
                continue;
            }
            let place = |at: i64| match mode {
                "edge" => Ok(at.clamp(0, length - 1)),
                "wrap" => Ok(at.rem_euclid(length)),
                "reflect" if length == 1 => Ok(0),
                "reflect" => {
                    let round = at.rem_euclid(2 * (length - 1));
                    Ok(round.min(2 * (length - 1) - round))
                }
                other => Err(call.unsupported(format!("the mode `{other}` is not known here"))),
            };
            let places = (-before..length + after).map(place).collect::<Result<Vec<_>, _>>()?;
            let places = self.graph.ints(&places);
            x = self.graph.op("Gather", &[x, places], attributes([("axis", (axis as i64).into())]))?;
        }
        Ok(x)
    }

    /// A running sum as a product with a triangle of ones.
    fn cumulative_sum(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let x = call.x(0)?;
        let dims = self.graph.dims(x).to_vec();
        let axis = self.graph.constant_of(call.x(1)?).and_then(|tensor| tensor.to_i64().first().copied());
        let rank = dims.len() as i64;
        let axis = axis.map(|axis| if axis < 0 { axis + rank } else { axis });
        let Some(axis) = axis.and_then(|axis| usize::try_from(axis).ok()).filter(|axis| *axis < dims.len()) else {
            return Err(call.broken("its axis is not fixed, or does not exist"));
        };
        let (length, gap) = (dims[axis], usize::from(call.attributes.int("exclusive", 0) != 0));
        let backwards = call.attributes.int("reverse", 0) != 0;
        let weight = |from: usize, to: usize| match backwards {
            false => f32::from(u8::from(from + gap <= to)),
            true => f32::from(u8::from(from >= to + gap)),
        };
        let weights: Vec<f32> = (0..length)
            .flat_map(|from| (0..length).map(move |to| (from, to)))
            .map(|(from, to)| weight(from, to))
            .collect();
        let triangle = self.graph.constant(Tensor::f32(&[length, length], &weights)?);
        let triangle = self.graph.cast(triangle, self.graph.kind(x).element)?;
        let mut order: Vec<usize> = (0..dims.len()).collect();
        order.swap(axis, dims.len() - 1);
        let turned = self.graph.transpose(x, &order)?;
        let sums = self.graph.matmul(turned, triangle)?;
        self.graph.transpose(sums, &order)
    }

    /// Leading axes that data and indices share become indices like the others.
    fn gather_nd(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let (x, mut indices) = (call.x(0)?, call.x(1)?);
        let dims = self.graph.dims(indices).to_vec();
        let shared = usize::try_from(call.attributes.int("batch_dims", 0)).unwrap_or(usize::MAX);
        let (Some(lead), Some(count)) =
            (dims.get(..shared), dims.split_last().map(|(_, rest)| rest.iter().product::<usize>()))
        else {
            return Err(call.broken(format!("{dims:?} does not share {shared} axes")));
        };
        if !lead.is_empty() {
            let inner = count / lead.iter().product::<usize>().max(1);
            let mut places = Vec::with_capacity(count * shared);
            for at in 0..count {
                let mut rest = at / inner.max(1);
                let mut place = vec![0; shared];
                for axis in (0..shared).rev() {
                    place[axis] = (rest % lead[axis]) as i64;
                    rest /= lead[axis];
                }
                places.extend(place);
            }
            let mut wide = dims.clone();
            wide[dims.len() - 1] = shared;
            let places = self.graph.constant(Tensor::i64(&wide, &places)?);
            indices = self.graph.concat(&[places, indices], dims.len() - 1)?;
        }
        self.graph.op("GatherND", &[x, indices], Attributes::new())
    }

    /// Before opset 13 softmax took all axes from its own to the last as one.
    fn softmax(&mut self, call: &Call<'_>) -> Result<Vec<Value>, Error> {
        if self.opset >= 13 {
            return self.plain(call);
        }
        let x = call.x(0)?;
        let dims = self.graph.dims(x).to_vec();
        let axis = call.attributes.int("axis", 1);
        let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
        let Some((lead, rest)) = usize::try_from(axis).ok().and_then(|axis| dims.split_at_checked(axis)) else {
            return Err(call.broken(format!("the axis {axis} does not exist among {}", dims.len())));
        };
        let flat = self.graph.reshape(x, &[lead.iter().product(), rest.iter().product()])?;
        let y = self.graph.op(call.op, &[flat], attributes([("axis", (-1_i64).into())]))?;
        Ok(vec![self.graph.reshape(y, &dims)?])
    }
}
