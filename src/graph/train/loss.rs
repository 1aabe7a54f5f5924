//! The loss of a segmentation and its gradient, and the counts that accuracy and IoU are made of. Must not know networks or
//! optimisers.

use crate::graph::attributes::Attributes;
use crate::graph::build::attributes;
use crate::graph::ir::{Graph, Value};
use crate::graph::{Element, Error, Tensor};

/// What the sum over pixels is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Denominator {
    /// The pixels that are not ignored; with class weights, the sum of their weights, as in PyTorch. None at all gives
    /// the loss 0.
    Valid,
    /// All pixels, ignored ones too, as in mmsegmentation.
    #[default]
    All,
}

/// Cross-entropy, pixel by pixel.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CrossEntropy {
    /// What the sum is divided by.
    pub denominator: Denominator,
    /// A weight for each class, or none.
    pub class_weights: Option<Vec<f32>>,
}

impl CrossEntropy {
    fn check(&self, classes: usize) -> Result<(), Error> {
        let fail = |detail: String| Err(Error::Step { detail });
        // A last class of the ignored number can be told apart, but never be labelled.
        if classes > usize::from(IGNORED) + 1 {
            return fail(format!("{classes} classes, and labels are bytes of which {IGNORED} is ignored"));
        }
        let Some(weights) = &self.class_weights else { return Ok(()) };
        if weights.len() != classes {
            return fail(format!("{} class weights for {classes} classes", weights.len()));
        }
        if weights.iter().any(|weight| !weight.is_finite() || *weight < 0.0)
            || weights.iter().all(|weight| *weight == 0.0)
        {
            return fail("class weights are numbers of at least 0, and not all 0".to_owned());
        }
        Ok(())
    }
}

/// The label of pixels that no loss, gradient or count sees.
pub const IGNORED: u8 = 255;

/// The labels of a batch in the forms that loss and counts need.
pub(super) struct Labels {
    /// `[R]` i64, 0 where ignored.
    class: Value,
    /// `[R]` bool.
    valid: Value,
    /// `[R, 1]` f32: 0 where ignored, else 1 or the weight of the class.
    weight: Value,
    /// One number: 1 over what the sum is divided by.
    share: Value,
    /// The lengths that a sum over pixels goes over, one after the other.
    rows: (usize, usize),
    classes: usize,
}

/// What is ignored and what counts, from `[B, H, W]` u8. A label that is neither a class nor 255 stops the step with an
/// index error of the runtime.
pub(super) fn labels(g: &mut Graph, label: Value, classes: usize, loss: &CrossEntropy) -> Result<Labels, Error> {
    loss.check(classes)?;
    let dims = g.dims(label).to_vec();
    let pixels: usize = dims.iter().product();
    let rows = (pixels / dims.last().copied().unwrap_or(1).max(1), dims.last().copied().unwrap_or(1));
    let flat = g.reshape(label, &[pixels])?;
    let flat = g.cast(flat, Element::I64)?;
    let ignored = g.constant(Tensor::i64(&[], &[i64::from(IGNORED)])?);
    let nothing = g.op("Equal", &[flat, ignored], Attributes::new())?;
    let valid = g.unary("Not", nothing)?;
    let zero = g.constant(Tensor::i64(&[], &[0])?);
    let class = g.op("Where", &[valid, flat, zero], Attributes::new())?;
    let mut weight = g.cast(valid, Element::F32)?;
    if let Some(weights) = &loss.class_weights {
        let table = g.named_constant("constant/class_weights", Tensor::f32(&[classes], weights)?);
        let own = g.op("Gather", &[table, class], attributes([("axis", 0_i64.into())]))?;
        weight = g.mul(weight, own)?;
    }
    let share = match loss.denominator {
        Denominator::All => g.scalar(1.0 / pixels as f32),
        Denominator::Valid => {
            let sum = sum_pixels(g, weight, rows)?;
            let nothing = g.scalar(0.0);
            let some = g.op("Greater", &[sum, nothing], Attributes::new())?;
            let one = g.scalar(1.0);
            let sum = g.op("Where", &[some, sum, one], Attributes::new())?;
            g.unary("Reciprocal", sum)?
        }
    };
    let weight = g.reshape(weight, &[pixels, 1])?;
    Ok(Labels { class, valid, weight, share, rows, classes })
}

/// One number: the sum over all pixels, row by row first.
fn sum_pixels(g: &mut Graph, values: Value, (rows, columns): (usize, usize)) -> Result<Value, Error> {
    let table = g.reshape(values, &[rows, columns])?;
    let lines = g.reduce("ReduceSum", table, &[1], false)?;
    g.reduce("ReduceSum", lines, &[0], false)
}

/// What a head's logits come to.
pub(super) struct Scored {
    /// Logarithms of the probabilities, `[R, C]`.
    pub logs: Value,
    /// One number.
    pub loss: Value,
    /// Of the logits, `[R, C]`.
    pub gradient: Value,
}

/// The loss of logits `[R, C]` times `factor`, and its gradient of the same shape, times `scale` if there is one.
pub(super) fn cross_entropy(
    g: &mut Graph,
    logits: Value,
    labels: &Labels,
    factor: f32,
    scale: Option<Value>,
) -> Result<Scored, Error> {
    let pixels = g.dims(logits).first().copied().unwrap_or(0);
    let logs = g.op("LogSoftmax", &[logits], attributes([("axis", (-1_i64).into())]))?;
    let index = g.reshape(labels.class, &[pixels, 1])?;
    let picked = g.op("GatherElements", &[logs, index], attributes([("axis", 1_i64.into())]))?;
    let weighted = g.mul(picked, labels.weight)?;
    let sum = sum_pixels(g, weighted, labels.rows)?;
    let share = g.scale(labels.share, factor)?;
    let negative = g.mul(sum, share)?;
    let loss = g.unary("Neg", negative)?;

    // (softmax - one-hot) weight / N. The one is subtracted where it stands: a map of ones and zeros as large as the
    // logits would cost more time and memory than all the rest.
    let share = match scale {
        Some(scale) => g.mul(share, scale)?,
        None => share,
    };
    let coefficient = g.mul(labels.weight, share)?;
    let probabilities = g.unary("Exp", logs)?;
    let weighed = g.mul(probabilities, coefficient)?;
    let taken = g.unary("Neg", coefficient)?;
    let settings = attributes([("axis", 1_i64.into()), ("reduction", "add".into())]);
    let gradient = g.op("ScatterElements", &[weighed, index, taken], settings)?;
    Ok(Scored { logs, loss, gradient })
}

/// Counts are kept in 32-bit floats while they are summed, exact up to here.
const MOST_PIXELS: usize = 1 << 24;

/// `[3, C]` i64, over the pixels that are not ignored: of each class how many are right, how many are predicted, how many
/// are labelled. From the logits, or anything that grows with them.
pub(super) fn counts(g: &mut Graph, logits: Value, labels: &Labels) -> Result<Value, Error> {
    let pixels = g.dims(logits).first().copied().unwrap_or(0);
    if pixels > MOST_PIXELS {
        return Err(Error::Step {
            detail: format!(
                "{pixels} pixels in one step, and {MOST_PIXELS} can be counted exactly; take a smaller batch"
            ),
        });
    }
    let predicted = g.op("ArgMax", &[logits], attributes([("axis", 1_i64.into()), ("keepdims", 0_i64.into())]))?;
    let classes = labels.classes;
    // One cell for each pair of label and prediction; a row more takes what does not count.
    let outside = g.constant(Tensor::i64(&[], &[classes as i64])?);
    let row = g.op("Where", &[labels.valid, labels.class, outside], Attributes::new())?;
    let width = g.constant(Tensor::i64(&[], &[classes as i64])?);
    let start = g.mul(row, width)?;
    let cell = g.add(start, predicted)?;
    let nothing = g.scalar(0.0);
    let cells = g.expand(nothing, &[(classes + 1) * classes])?;
    let one = g.scalar(1.0);
    let ones = g.expand(one, &[pixels])?;
    let settings = attributes([("axis", 0_i64.into()), ("reduction", "add".into())]);
    let sums = g.op("ScatterElements", &[cells, cell, ones], settings)?;
    let sums = g.slice(sums, 0, 0, classes * classes, 1)?;
    let pairs = g.reshape(sums, &[classes, classes])?;
    let same: Vec<f32> = (0..classes * classes).map(|at| f32::from(u8::from(at / classes == at % classes))).collect();
    let same = g.constant(Tensor::f32(&[classes, classes], &same)?);
    let right = g.mul(pairs, same)?;
    let mut rows = Vec::with_capacity(3);
    for (table, axis) in [(right, 1), (pairs, 0), (pairs, 1)] {
        let sums = g.reduce("ReduceSum", table, &[axis], false)?;
        rows.push(g.reshape(sums, &[1, classes])?);
    }
    let table = g.concat(&rows, 0)?;
    g.cast(table, Element::I64)
}
