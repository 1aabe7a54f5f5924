//! Shapes of what slides a window over the picture: convolutions and poolings. Must not know anything else.

use super::Inputs;
use crate::graph::Error;
use crate::graph::ir::TensorType;
use crate::graph::tensor::Element;

/// The window along one spatial axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Length of the input's axis.
    pub length: usize,
    /// Length of the output's axis.
    pub out: usize,
    /// Taps of the kernel.
    pub kernel: usize,
    /// From one output to the next.
    pub stride: usize,
    /// From one tap to the next.
    pub dilation: usize,
    /// Filled in before the first element.
    pub before: usize,
    /// Filled in after the last one.
    pub after: usize,
}

impl Window {
    /// From the first tap to the last, both counted.
    pub fn reach(&self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }
}

/// A setting that counts pixels: not negative, and small enough that sums and products of a few cannot overflow.
fn sane(value: i64) -> Option<usize> {
    u16::try_from(value).ok().map(usize::from)
}

/// The windows of a convolution or a pooling over an input of these spatial lengths.
pub(crate) fn windows(inputs: &Inputs<'_>, lengths: &[usize], kernel: &[usize]) -> Result<Vec<Window>, Error> {
    let node = inputs.node;
    let rank = lengths.len();
    let list = |name: &str, default: usize, wanted: usize| -> Result<Vec<usize>, Error> {
        let Some(values) = node.ints(name) else { return Ok(vec![default; wanted]) };
        let values: Option<Vec<usize>> = values.iter().map(|value| sane(*value)).collect();
        values
            .filter(|values| values.len() == wanted)
            .ok_or_else(|| node.unsupported(format!("`{name}` must be {wanted} numbers, none negative")))
    };
    let strides = list("strides", 1, rank)?;
    let dilations = list("dilations", 1, rank)?;
    let pads = list("pads", 0, 2 * rank)?;
    let auto_pad = node.text("auto_pad", "NOTSET");
    let ceil = node.int("ceil_mode", 0) != 0;
    let mut found = Vec::with_capacity(rank);
    for axis in 0..rank {
        let (length, kernel, stride, dilation) = (lengths[axis], kernel[axis], strides[axis], dilations[axis]);
        if kernel == 0 || stride == 0 || dilation == 0 {
            return Err(node.broken("a kernel, stride or dilation is 0"));
        }
        let (before, after) = (pads[axis], pads[axis + rank]);
        let mut window = Window { length, out: 0, kernel, stride, dilation, before, after };
        if auto_pad.starts_with("SAME") {
            window.out = length.div_ceil(stride);
            let total = ((window.out.max(1) - 1) * stride + window.reach()).saturating_sub(length);
            let small = total / 2;
            (window.before, window.after) =
                if auto_pad == "SAME_LOWER" { (total - small, small) } else { (small, total - small) };
            found.push(window);
            continue;
        }
        if auto_pad == "VALID" {
            (window.before, window.after) = (0, 0);
        }
        let padded = length + window.before + window.after;
        let Some(room) = padded.checked_sub(window.reach()) else {
            return Err(node.broken(format!("a window of {} is wider than {padded}", window.reach())));
        };
        window.out = if ceil { room.div_ceil(stride) } else { room / stride } + 1;
        // A last window that would begin in the padding is left out.
        if ceil && (window.out - 1) * stride >= length + window.before {
            window.out -= 1;
        }
        found.push(window);
    }
    Ok(found)
}

pub(super) fn infer(inputs: &Inputs<'_>) -> Result<Vec<TensorType>, Error> {
    let node = inputs.node;
    let x = inputs.kind(0)?;
    if x.dims.len() < 3 {
        return Err(node.broken(format!("{x} is no picture with channels")));
    }
    let lengths = &x.dims[2..];
    match node.op.as_str() {
        "Conv" => {
            let w = inputs.kind(1)?;
            let group = usize::try_from(node.int("group", 1)).unwrap_or(0);
            if w.dims.len() != x.dims.len() || group == 0 || w.dims[1] * group != x.dims[1] || w.dims[0] % group != 0 {
                return Err(node.broken(format!("{x} and the kernel {w} do not go together in {group} groups")));
            }
            let out = windows(inputs, lengths, &w.dims[2..])?.into_iter().map(|window| window.out);
            let dims: Vec<usize> = [x.dims[0], w.dims[0]].into_iter().chain(out).collect();
            Ok(vec![TensorType::new(x.element, &dims)])
        }
        "ConvTranspose" => transposed(inputs, x, lengths),
        _ => {
            let kernel = node.ints("kernel_shape").unwrap_or_default();
            let kernel: Vec<usize> = kernel.iter().filter_map(|k| sane(*k)).collect();
            if kernel.len() != lengths.len() {
                return Err(node.broken("its kernel_shape does not fit the picture"));
            }
            let out = windows(inputs, lengths, &kernel)?.into_iter().map(|window| window.out);
            let dims: Vec<usize> = x.dims[..2].iter().copied().chain(out).collect();
            let kind = TensorType::new(x.element, &dims);
            Ok(match node.op.as_str() {
                "MaxPool" => vec![kind, TensorType::new(Element::I64, &dims)],
                _ => vec![kind],
            })
        }
    }
}

fn transposed(inputs: &Inputs<'_>, x: &TensorType, lengths: &[usize]) -> Result<Vec<TensorType>, Error> {
    let node = inputs.node;
    let w = inputs.kind(1)?;
    let group = usize::try_from(node.int("group", 1)).unwrap_or(0);
    if w.dims.len() != x.dims.len() || group == 0 || w.dims[0] != x.dims[1] || w.dims[0] % group != 0 {
        return Err(node.broken(format!("{x} and the kernel {w} do not go together in {group} groups")));
    }
    if node.ints("output_shape").is_some() || node.text("auto_pad", "NOTSET") != "NOTSET" {
        return Err(node.unsupported("output_shape and auto_pad are not known here; export it with pads"));
    }
    let rank = lengths.len();
    let at = |name: &str, axis: usize, default: i64| {
        let value = node.ints(name).and_then(|values| values.get(axis)).copied().unwrap_or(default);
        sane(value).ok_or_else(|| node.unsupported(format!("`{name}` is negative or absurd")))
    };
    let mut dims = vec![x.dims[0], w.dims[1] * group];
    for (axis, length) in lengths.iter().enumerate() {
        let full = (length.max(&1) - 1) * at("strides", axis, 1)?
            + at("dilations", axis, 1)? * (w.dims[2 + axis].max(1) - 1)
            + 1
            + at("output_padding", axis, 0)?;
        let cut = at("pads", axis, 0)? + at("pads", axis + rank, 0)?;
        dims.push(full.checked_sub(cut).ok_or_else(|| node.broken("its pads cut everything away"))?);
    }
    Ok(vec![TensorType::new(x.element, &dims)])
}
