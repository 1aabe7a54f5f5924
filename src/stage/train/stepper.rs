//! One step of a training, in one graph or in several passes and an update, over a state that stays on the device. Must not
//! know where batches come from.

use super::loader::{Batch, Portion};
use super::masks::Draws;
use super::model::{Model, Piece};
use crate::cancel::Cancel;
use crate::collective::Collective;
use crate::graph::Tensor;
use crate::graph::weights::Weights;
use crate::runtime::{Array, Element, State, Step};
use crate::stage::Error;
use crate::stage::artifact::{Artifact, Mask};
use crate::stage::bench::{Bench, array, first_value, tensor};
use std::collections::BTreeMap;

/// What is asked of every step.
const SAID: [&str; 2] = ["loss", "counts"];
/// Numbers that are added up over ranks at a time, at least: few enough for the memory, many enough for the wire.
const BUCKET: usize = 16 << 20;

/// The opened graphs of a training and what they carry from step to step.
pub struct Stepper {
    graphs: Graphs,
    /// Parameters, momenta, statistics, and what is added up.
    pub state: State,
    /// Names of the state that a checkpoint holds.
    kept: Vec<String>,
    /// Names that gradients are added up under, with their shapes.
    sums: Vec<(String, Vec<usize>)>,
    masks: Vec<Mask>,
    size: [usize; 2],
    portion: Portion,
}

enum Graphs {
    Whole(Box<Step>),
    Parts { gradient: Vec<Piece>, update: Box<Step> },
}

/// What a step said.
#[derive(Clone, Debug, PartialEq)]
pub struct Said {
    /// The mean loss over the pixels of this process's share.
    pub loss: f32,
    /// Of each class: pixels right, predicted, labelled.
    pub counts: [Vec<u64>; 3],
}

impl Said {
    /// The share of labelled pixels that are right, 0–1.
    pub fn pixel_accuracy(&self) -> Option<f32> {
        let [right, _, labelled] = &self.counts;
        share(right.iter().sum(), labelled.iter().sum())
    }

    /// The mean over the classes of pixels right of those predicted or labelled, 0–1.
    pub fn mean_iou(&self) -> Option<f32> {
        let [right, predicted, labelled] = &self.counts;
        let classes = right.iter().zip(predicted).zip(labelled);
        let shares: Vec<f32> = classes
            .filter_map(|((right, predicted), labelled)| share(*right, (predicted + labelled).saturating_sub(*right)))
            .collect();
        (!shares.is_empty()).then(|| shares.iter().sum::<f32>() / shares.len() as f32)
    }
}

fn share(part: u64, whole: u64) -> Option<f32> {
    (whole > 0).then(|| (part as f64 / whole as f64) as f32)
}

impl Stepper {
    /// Opens the graphs and puts `weights` into the state; of a checkpoint, momenta are among them.
    pub fn open(model: &Model, weights: &Weights, portion: Portion, bench: &Bench) -> Result<Self, Error> {
        let graphs = match portion.ranks * portion.passes {
            1 => Graphs::Whole(Box::new(model.step("train_step", bench)?)),
            _ => Graphs::Parts {
                gradient: model.gradient(portion.ranks, bench)?,
                update: Box::new(model.step("update", bench)?),
            },
        };
        let steps: Vec<&Step> = match &graphs {
            Graphs::Whole(step) => vec![step],
            Graphs::Parts { gradient, update } => {
                gradient.iter().map(|piece| &piece.step).chain([update.as_ref()]).collect()
            }
        };
        let device = steps.first().map_or(bench.device, |step| step.placement().device);
        let mut state = State::new(&bench.runtime, device)?;
        let (mut kept, mut sums) = (Vec::new(), BTreeMap::new());
        for input in steps.iter().flat_map(|step| step.inputs()) {
            let name = input.name.as_str();
            let dims = input.fixed().unwrap_or_default();
            let value = match weights.tensors.get(name) {
                Some(tensor) => Some(array(tensor)?),
                None => first_value(name, &dims)?,
            };
            let Some(value) = value else { continue };
            if name.starts_with("accumulated/") {
                sums.insert(name.to_owned(), dims);
            }
            if state.contains(name) {
                continue;
            }
            state.set(name, &value)?;
            if !name.starts_with("accumulated/") {
                kept.push(name.to_owned());
            }
        }
        // What no step reads is kept all the same, so that the model is whole.
        for (name, tensor) in &weights.tensors {
            if !state.contains(name) {
                state.set(name, &array(tensor)?)?;
                kept.push(name.clone());
            }
        }
        let Artifact { masks, size, .. } = &model.artifact;
        let sums = sums.into_iter().collect();
        Ok(Self { graphs, state, kept, sums, masks: masks.clone(), size: *size, portion })
    }

    /// Trains on the passes of one step. A step that fails or is cancelled leaves parameters and momenta as they were.
    pub fn step(
        &mut self,
        passes: &[Batch],
        rate: f32,
        draws: Draws,
        ranks: &mut dyn Collective,
        cancel: &Cancel,
    ) -> Result<Said, Error> {
        let mut said: Option<Said> = None;
        if let Graphs::Parts { .. } = &self.graphs {
            for (name, dims) in &self.sums {
                self.state.set(name, &array(&Tensor::full(dims, 0.0))?)?;
            }
        }
        for batch in passes {
            let mut inputs = self.inputs(batch, draws)?;
            let replies = match &mut self.graphs {
                Graphs::Whole(step) => {
                    inputs.push(("learning_rate".to_owned(), Array::scalar(rate)));
                    let inputs: Vec<(&str, &Array)> =
                        inputs.iter().map(|(name, array)| (name.as_str(), array)).collect();
                    step.run(&mut self.state, &inputs, &SAID, cancel)?
                }
                Graphs::Parts { gradient, .. } => {
                    inputs.push(("rank".to_owned(), Array::i64(&[], &[self.portion.rank as i64])?));
                    run(gradient, &mut self.state, &inputs, ranks, cancel)?
                }
            };
            said = Some(add(said, &replies)?);
        }
        let Some(mut said) = said else { return Err(Error::Failed("a step without a batch".to_owned())) };
        said.loss /= passes.len() as f32;
        if self.portion.ranks > 1 {
            self.add_up(&mut said, ranks)?;
        }
        if let Graphs::Parts { update, .. } = &mut self.graphs {
            let (rate, share) =
                (Array::scalar(rate), Array::scalar(1.0 / (self.portion.ranks * self.portion.passes) as f32));
            update.run(&mut self.state, &[("learning_rate", &rate), ("gradient_scale", &share)], &[], cancel)?;
        }
        Ok(said)
    }

    /// Adds the gradients of all ranks up, and what they say of their shares.
    fn add_up(&mut self, said: &mut Said, ranks: &mut dyn Collective) -> Result<(), Error> {
        let mut bucket: Vec<f32> = Vec::new();
        let mut held: Vec<(&str, &[usize])> = Vec::new();
        for (index, (name, dims)) in self.sums.iter().enumerate() {
            bucket.extend(self.state.get(name)?.to_f32()?);
            held.push((name, dims));
            if bucket.len() < BUCKET && index + 1 < self.sums.len() {
                continue;
            }
            ranks.sum(&mut bucket)?;
            let mut rest = bucket.as_slice();
            for (name, dims) in held.drain(..) {
                let (sum, more) = rest.split_at(dims.iter().product());
                self.state.set(name, &Array::from_f32(dims, sum)?)?;
                rest = more;
            }
            bucket.clear();
        }
        let mut loss = [said.loss];
        ranks.sum(&mut loss)?;
        said.loss = loss[0] / self.portion.ranks as f32;
        said.counts.iter_mut().try_for_each(|counts| ranks.sum_counts(counts))?;
        Ok(())
    }

    fn inputs(&self, batch: &Batch, draws: Draws) -> Result<Vec<(String, Array)>, Error> {
        let pictures = batch.slots.len();
        let [height, width] = self.size;
        let mut inputs = vec![
            ("image".to_owned(), Array::from_f32(&[pictures, 3, height, width], &batch.images)?),
            ("label".to_owned(), Array::u8(&[pictures, height, width], batch.labels.clone())?),
        ];
        for mask in &self.masks {
            let drawn = match mask.kind.as_str() {
                "paths" => Array::from_f32(&mask.dims, &draws.paths(&mask.name, &mask.keep, &batch.slots)?)?,
                _ => {
                    let keep = mask.keep.first().copied().unwrap_or(1.0);
                    Array::u8(&mask.dims, draws.numbers(&mask.name, keep, &mask.dims, &batch.slots)?)?
                }
            };
            inputs.push((mask.name.clone(), drawn));
        }
        Ok(inputs)
    }

    /// The first tensor that holds a number which is not finite, if there is one.
    pub fn broken(&self) -> Result<Option<String>, Error> {
        for name in &self.kept {
            if tensor(&self.state.get(name)?)?.to_f64().iter().any(|number| !number.is_finite()) {
                return Ok(Some(name.clone()));
            }
        }
        Ok(None)
    }

    /// What a checkpoint holds: everything that later steps depend on.
    pub fn save(&self) -> Result<Weights, Error> {
        let mut saved = Weights::default();
        for name in &self.kept {
            saved.tensors.insert(name.clone(), tensor(&self.state.get(name)?)?);
        }
        Ok(saved)
    }
}

/// Runs the parts of a gradient graph in turn, with the sums over the ranks in between, and gives what [`SAID`] names. What
/// parts hand on to each other lies in the state only in between.
fn run(
    pieces: &mut [Piece],
    state: &mut State,
    given: &[(String, Array)],
    ranks: &mut dyn Collective,
    cancel: &Cancel,
) -> Result<Vec<Array>, Error> {
    let mut said: BTreeMap<&str, Array> = BTreeMap::new();
    for Piece { step, cuts, carried, spent } in pieces {
        let takes = |name: &str| step.inputs().iter().any(|input| input.name == name);
        let inputs: Vec<(&str, &Array)> =
            given.iter().filter(|(name, _)| takes(name)).map(|(name, array)| (name.as_str(), array)).collect();
        let reports: Vec<&str> =
            SAID.into_iter().filter(|name| step.outputs().iter().any(|output| output.name == *name)).collect();
        let wanted: Vec<&str> =
            reports.iter().copied().chain(cuts.iter().chain(&*carried).map(String::as_str)).collect();
        let mut replies = step.run(state, &inputs, &wanted, cancel)?.into_iter();
        said.extend(reports.into_iter().zip(replies.by_ref()));
        for name in &*cuts {
            let Some(reply) = replies.next() else { break };
            let mut sum = reply.to_f32()?;
            ranks.sum(&mut sum)?;
            state.set(name, &Array::from_f32(reply.dims(), &sum)?)?;
        }
        for (name, reply) in carried.iter().zip(replies) {
            state.set(name, &reply)?;
        }
        spent.iter().for_each(|name| {
            state.remove(name);
        });
    }
    SAID.into_iter()
        .map(|name| said.remove(name).ok_or_else(|| Error::Failed(format!("a step does not say its {name}"))))
        .collect()
}

/// What a model consists of, of all that a checkpoint holds.
pub fn weights_of(saved: &Weights) -> Weights {
    let mut weights = saved.clone();
    let state = ["momentum/", "variance/", "loss_scale", "bias_correction"];
    weights.tensors.retain(|name, _| !state.iter().any(|kind| name.starts_with(kind)));
    weights
}

fn add(said: Option<Said>, replies: &[Array]) -> Result<Said, Error> {
    let [loss, counts] = replies else { return Err(Error::Failed("a step answered something else".to_owned())) };
    let loss = loss.to_f32()?.first().copied().unwrap_or(f32::NAN);
    let counts = numbers(counts)?;
    let classes = counts.len() / 3;
    let mut rows = counts.chunks_exact(classes.max(1)).map(<[u64]>::to_vec);
    let mut row = || rows.next().unwrap_or_default();
    let counts = [row(), row(), row()];
    Ok(match said {
        None => Said { loss, counts },
        Some(mut sum) => {
            sum.loss += loss;
            for (sum, more) in sum.counts.iter_mut().flatten().zip(counts.iter().flatten()) {
                *sum += more;
            }
            sum
        }
    })
}

fn numbers(counts: &Array) -> Result<Vec<u64>, Error> {
    if counts.element() != Element::I64 {
        return Err(Error::Failed(format!("the counts of a step are {}", counts.element().name())));
    }
    let (words, _) = counts.data().as_chunks::<8>();
    Ok(words.iter().map(|word| u64::try_from(i64::from_le_bytes(*word)).unwrap_or(0)).collect())
}
