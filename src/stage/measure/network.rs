//! A network as it is measured: its evaluation graph, opened, and a state that has its weights, which a training may own.
//! Must not know pictures, nor what the classes mean.

use super::windows::Size;
use crate::cancel::Cancel;
use crate::graph::weights::read_weights;
use crate::runtime::{self, Array, Dimension, Element, Model, State, Step, ValueInfo};
use crate::stage::artifact::{Local, WEIGHTS};
use crate::stage::bench::{Bench, array};
use crate::stage::{Error, check};

/// The file of the evaluation graph.
const GRAPH: &str = "eval.onnx";
/// The files that a model is measured by.
pub const FILES: [&str; 2] = [GRAPH, WEIGHTS];
/// The graph's input: normalised pictures, f32 `[batch, 3, H, W]`.
const IMAGE: &str = "image";
/// The graph's output: f32 `[batch, classes, H, W]`.
const LOGITS: &str = "logits";

/// Opens the evaluation graph of a model. The weights are to come from a state.
pub fn open(local: &Local, bench: &Bench) -> Result<Step, Error> {
    let path = local.file(GRAPH)?;
    Ok(Step::open(&bench.runtime, &local.artifact.model, Model::File(&path), &bench.settings(), &[])?)
}

/// The weights of a model where the step computes: those that the step reads.
pub fn load(local: &Local, step: &Step, bench: &Bench) -> Result<State, Error> {
    let weights = read_weights(&local.file(WEIGHTS)?)?;
    let mut state = State::new(&bench.runtime, step.placement().device)?;
    for input in step.inputs() {
        if let Some(tensor) = weights.tensors.get(&input.name) {
            state.set(&input.name, &array(tensor)?)?;
        }
    }
    Ok(state)
}

/// An opened graph together with the state that it reads its weights from.
#[derive(Debug)]
pub struct Network<'a> {
    step: &'a mut Step,
    state: &'a mut State,
    batch: usize,
    classes: usize,
    crop: Size,
}

impl<'a> Network<'a> {
    /// Puts both together; what the state holds besides is not looked at.
    pub fn new(step: &'a mut Step, state: &'a mut State) -> Result<Self, Error> {
        let sizes = |values: &[ValueInfo], name: &str, what: &str| -> Result<[usize; 4], Error> {
            let found = values.iter().find(|value| value.name == name);
            let fixed = found.filter(|value| value.element == Element::F32.name()).and_then(|value| {
                let sizes = value.shape.iter().map(|dimension| match dimension {
                    Dimension::Fixed(length) if *length > 0 => Some(*length),
                    _ => None,
                });
                sizes.collect::<Option<Vec<usize>>>()?.try_into().ok()
            });
            fixed.ok_or_else(|| {
                Error::Usage(format!(
                    "the evaluation graph has no {what} `{name}` of 32-bit floats with four fixed sizes; export the model anew with `selvedge model export`"
                ))
            })
        };
        let [batch, channels, height, width] = sizes(step.inputs(), IMAGE, "input")?;
        let [same_batch, classes, ..] = sizes(step.outputs(), LOGITS, "output")?;
        let [.., logits_height, logits_width] = sizes(step.outputs(), LOGITS, "output")?;
        if channels != 3 || same_batch != batch || (logits_height, logits_width) != (height, width) || classes > 255 {
            return Err(Error::Usage(format!(
                "the evaluation graph makes {same_batch} × {classes} × {logits_height} × {logits_width} logits of {batch} × {channels} × {height} × {width} numbers; it is to be 3 channels and up to 255 classes of one size"
            )));
        }
        Ok(Self { step, state, batch, classes, crop: (height, width) })
    }

    /// Windows that are shown to it at a time.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Height and width of a window.
    pub fn crop(&self) -> Size {
        self.crop
    }

    /// How many classes it tells apart, background among them.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// What it says of a batch: `[batch, 3, H, W]` to f32 `[batch, classes, H, W]`.
    pub fn logits(&mut self, images: &[f32], cancel: &Cancel) -> Result<Array, Error> {
        let (height, width) = self.crop;
        let images = Array::from_f32(&[self.batch, 3, height, width], images)?;
        let mut logits = match self.step.run(self.state, &[(IMAGE, &images)], &[LOGITS], cancel) {
            Err(runtime::Error::Cancelled { model }) => {
                check(cancel)?;
                return Err(runtime::Error::Cancelled { model }.into());
            }
            result => result?,
        };
        logits.pop().ok_or_else(|| Error::Failed(format!("the network gave no `{LOGITS}`")))
    }
}
