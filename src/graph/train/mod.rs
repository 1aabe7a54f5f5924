//! A forward graph becomes a training step: loss, gradients and update as more nodes of one ordinary graph, or cut between
//! gradients and update so that several batches or devices can be added up. Must not know who runs it.
//!
//! What goes in and out, `NAME` being a parameter's or a running statistic's:
//!
//! | graph | inputs | outputs |
//! |---|---|---|
//! | step | `image` f32 `[B,3,H,W]`, `label` u8 `[B,H,W]`, `learning_rate` f32, every `NAME`, `momentum/NAME`, masks | `loss`, `loss/HEAD`, `counts` i64 `[3,C]`, `next/NAME`, `next/momentum/NAME` |
//! | gradient | `image`, `label`, every `NAME`, `accumulated/NAME`, masks | `loss`, `loss/HEAD`, `counts`, `gradient/NAME`, `next/NAME` of running statistics |
//! | update | `learning_rate`, `gradient_scale` f32, every parameter's `NAME`, `momentum/NAME`, `accumulated/NAME` | `next/NAME`, `next/momentum/NAME` |
//!
//! [`Trainee::synchronised`] gives the gradient graph in segments, for ranks that share the statistics of their batches.
//!
//! With Adam there are `variance/NAME` and `next/variance/NAME` beside the momenta, and `bias_correction` f32 `[2]` with its
//! next value; all begin at 0.
//! In [`Precision::F16`] there are `loss_scale` f32 beside, `next/loss_scale`, and `finite` bool: a step whose gradients
//! are not finite changes nothing but the scale, which it halves.

mod loss;
mod optimise;
mod precision;
mod recompute;
mod synchronise;

use super::import::Imported;
use super::ir::{Graph, Value};
use super::net::{Head, MaskInput, Network};
use super::{Element, Error, all_gradients};
use optimise::{Moments, Rates, all_finite};
use precision::lower;

pub use loss::{CrossEntropy, Denominator, IGNORED};
pub use optimise::{AdamW, Optimiser, Sgd};
pub use precision::Precision;
pub use recompute::Recompute;

/// A parameter that a step changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Trained {
    /// Its name.
    pub name: String,
    /// The graph's input for it.
    pub value: Value,
    /// Its learning rate, as a multiple of the step's.
    pub rate: f32,
}

/// A running statistic, or a counter.
#[derive(Clone, Debug, PartialEq)]
pub struct Statistic {
    /// Its name.
    pub name: String,
    /// What it is after the step.
    pub next: Value,
}

/// A network in its training form, wherever it comes from.
#[derive(Clone, Debug)]
pub struct Trainee {
    /// From the picture to the logits, without outputs.
    pub graph: Graph,
    /// The pictures.
    pub image: Value,
    /// Height and width of the labels.
    pub size: (usize, usize),
    /// Where the losses are taken.
    pub heads: Vec<Head>,
    /// What is trained.
    pub parameters: Vec<Trained>,
    /// What follows the batches.
    pub statistics: Vec<Statistic>,
    /// What is drawn for every step.
    pub masks: Vec<MaskInput>,
}

/// How a step is made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recipe {
    /// The loss.
    pub loss: CrossEntropy,
    /// The update.
    pub optimiser: Optimiser,
    /// The numbers.
    pub precision: Precision,
    /// What the backward pass computes again.
    pub recompute: Recompute,
}

impl Trainee {
    /// A network built here, in [`Mode::Train`](super::net::Mode::Train). The rates of the heads' parameters are
    /// `head_rate` times the others'.
    pub fn of_network(network: Network, head_rate: f32) -> Self {
        let rate = |head: bool| if head { head_rate } else { 1.0 };
        Self {
            size: network.config.size,
            image: network.image,
            heads: network.heads,
            parameters: network
                .parameters
                .into_iter()
                .map(|parameter| Trained { rate: rate(parameter.head), value: parameter.value, name: parameter.name })
                .collect(),
            statistics: network
                .running
                .into_iter()
                .filter_map(|running| running.next.map(|next| Statistic { name: running.name, next }))
                .collect(),
            masks: network.masks,
            graph: network.graph,
        }
    }

    /// A graph from elsewhere. Each of `outputs` holds logits `[B, C, H, W]`, all of one size, and the weight of its loss.
    pub fn of_import(imported: &Imported, outputs: &[(String, f32)]) -> Result<Self, Error> {
        let mut graph = imported.graph.clone();
        let [image] = imported.inputs.as_slice() else {
            return Err(Error::Step {
                detail: format!("the graph has {} inputs, and one picture is what can be fed", imported.inputs.len()),
            });
        };
        let mut heads = Vec::with_capacity(outputs.len());
        let mut size = None;
        for (name, weight) in outputs {
            let known = imported.outputs.iter().find(|(known, _)| known == name);
            let Some((_, value)) = known else {
                let names: Vec<&str> = imported.outputs.iter().map(|(name, _)| name.as_str()).collect();
                return Err(Error::Step {
                    detail: format!("there is no output `{name}`; there are {}", names.join(", ")),
                });
            };
            let dims = graph.dims(*value).to_vec();
            let &[batch, classes, height, width] = dims.as_slice() else {
                return Err(Error::Step {
                    detail: format!("the output `{name}` is {dims:?}, and logits are [batch, classes, height, width]"),
                });
            };
            if *size.get_or_insert((height, width)) != (height, width) {
                return Err(Error::Step { detail: format!("the output `{name}` differs in size from the first one") });
            }
            let last = graph.transpose(*value, &[0, 2, 3, 1])?;
            let logits = graph.reshape(last, &[batch, height * width, classes])?;
            heads.push(Head {
                name: name.clone(),
                logits,
                grid: (height, width),
                through: Vec::new(),
                weight: *weight,
            });
        }
        let size = size.ok_or_else(|| Error::Step { detail: "no output was named".to_owned() })?;
        Ok(Self {
            image: *image,
            size,
            heads,
            parameters: imported
                .parameters
                .iter()
                .map(|parameter| Trained { name: parameter.name.clone(), value: parameter.value, rate: 1.0 })
                .collect(),
            statistics: imported
                .running
                .iter()
                .filter_map(|running| running.next.map(|next| Statistic { name: running.now.name.clone(), next }))
                .collect(),
            masks: Vec::new(),
            graph,
        })
    }

    fn check(&self) -> Result<(), Error> {
        let fine = |number: f32| number.is_finite() && number >= 0.0;
        if let Some(head) = self.heads.iter().find(|head| !fine(head.weight)) {
            return Err(Error::Step { detail: format!("the share of the loss of `{}` is {}", head.name, head.weight) });
        }
        if let Some(parameter) = self.parameters.iter().find(|parameter| !fine(parameter.rate)) {
            return Err(Error::Step {
                detail: format!("the learning rate of {} is {} times the step's", parameter.name, parameter.rate),
            });
        }
        Ok(())
    }

    /// Forward, loss, gradients and update in one graph.
    pub fn step(&self, recipe: &Recipe) -> Result<Graph, Error> {
        recipe.optimiser.check()?;
        self.check()?;
        let mut graph = self.graph.clone();
        let g = &mut graph;
        let scale = match recipe.precision.scales_loss() {
            true => Some(g.input("loss_scale", Element::F32, &[])?),
            false => None,
        };
        let rate = g.input("learning_rate", Element::F32, &[])?;
        let values: Vec<Value> = self.parameters.iter().map(|parameter| parameter.value).collect();
        let gradients = self.backward(g, recipe, scale, &values)?;
        let reports = g.outputs().to_vec();
        let (gradients, finite) = unscaled(g, gradients, scale)?;
        for statistic in &self.statistics {
            let next = match finite {
                Some(finite) => self.unless_broken(g, finite, statistic)?,
                None => statistic.next,
            };
            g.output(next, &format!("next/{}", statistic.name))?;
        }
        updates(g, &self.parameters, &gradients, recipe, rate, finite)?;
        if let (Some(scale), Some(finite)) = (scale, finite) {
            scale_outputs(g, scale, finite)?;
        }
        g.put_last(&reports);
        lower(g, recipe.precision)
    }

    fn unless_broken(&self, g: &mut Graph, finite: Value, statistic: &Statistic) -> Result<Value, Error> {
        let old = g.inputs().iter().copied().find(|input| g.name(*input) == statistic.name);
        match old {
            Some(old) => g.op("Where", &[finite, statistic.next, old], Default::default()),
            None => Ok(statistic.next),
        }
    }

    /// Forward, loss and gradients, added to what was accumulated so far; with `of_image` also `gradient/image`, which
    /// is not accumulated. A loss scale stays in the gradients.
    pub fn gradient(&self, recipe: &Recipe, of_image: bool) -> Result<Graph, Error> {
        let mut graph = self.graph.clone();
        let g = &mut graph;
        let scale = match recipe.precision.scales_loss() {
            true => Some(g.input("loss_scale", Element::F32, &[])?),
            false => None,
        };
        let mut values: Vec<Value> = self.parameters.iter().map(|parameter| parameter.value).collect();
        values.extend(of_image.then_some(self.image));
        let gradients = self.backward(g, recipe, scale, &values)?;
        let reports = g.outputs().to_vec();
        for (parameter, gradient) in self.parameters.iter().zip(&gradients) {
            let kind = g.kind(*gradient).clone();
            let sum = g.input(&format!("accumulated/{}", parameter.name), kind.element, &kind.dims)?;
            let sum = g.add(sum, *gradient)?;
            g.output(sum, &format!("gradient/{}", parameter.name))?;
        }
        if let (true, Some(gradient)) = (of_image, gradients.last()) {
            g.output(*gradient, "gradient/image")?;
        }
        for statistic in &self.statistics {
            g.output(statistic.next, &format!("next/{}", statistic.name))?;
        }
        g.put_last(&reports);
        lower(g, recipe.precision)
    }

    /// The update alone, from gradients that were added up; they are multiplied by `gradient_scale` first, which is 1
    /// over their number.
    pub fn update(&self, recipe: &Recipe) -> Result<Graph, Error> {
        recipe.optimiser.check()?;
        let mut graph = Graph::new();
        let g = &mut graph;
        let rate = g.input("learning_rate", Element::F32, &[])?;
        let share = g.input("gradient_scale", Element::F32, &[])?;
        let scale = match recipe.precision.scales_loss() {
            true => Some(g.input("loss_scale", Element::F32, &[])?),
            false => None,
        };
        let mut parameters = Vec::with_capacity(self.parameters.len());
        let mut gradients = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            let kind = self.graph.kind(parameter.value).clone();
            let value = g.input(&parameter.name, kind.element, &kind.dims)?;
            let gradient = g.input(&format!("accumulated/{}", parameter.name), kind.element, &kind.dims)?;
            gradients.push(g.mul(gradient, share)?);
            parameters.push(Trained { value, ..parameter.clone() });
        }
        let (gradients, finite) = unscaled(g, gradients, scale)?;
        updates(g, &parameters, &gradients, recipe, rate, finite)?;
        if let (Some(scale), Some(finite)) = (scale, finite) {
            scale_outputs(g, scale, finite)?;
        }
        Ok(graph)
    }

    /// Declares labels, losses and counts, and gives the gradients of `values`; of what no loss depends on, zeros.
    fn backward(
        &self,
        g: &mut Graph,
        recipe: &Recipe,
        scale: Option<Value>,
        values: &[Value],
    ) -> Result<Vec<Value>, Error> {
        let Some(classes) = self.heads.first().and_then(|head| g.dims(head.logits).last().copied()) else {
            return Err(Error::Step { detail: "the network has no logits".to_owned() });
        };
        let batch = g.dims(self.image).first().copied().unwrap_or(1);
        let (height, width) = self.size;
        let label = g.input("label", Element::U8, &[batch, height, width])?;
        let mut seeds = Vec::with_capacity(self.heads.len());
        let mut parts = Vec::with_capacity(self.heads.len());
        let counts = g.scoped("loss", |g| {
            let labels = loss::labels(g, label, classes, &recipe.loss)?;
            let mut counts = None;
            for head in &self.heads {
                let logits = g.upsample_last(head.logits, head.grid, &head.through, self.size)?;
                let logits = g.reshape(logits, &[batch * height * width, classes])?;
                let scored = loss::cross_entropy(g, logits, &labels, head.weight, scale)?;
                parts.push((head.name.clone(), scored.loss));
                seeds.push((logits, scored.gradient));
                if counts.is_none() {
                    counts = Some(loss::counts(g, scored.logs, &labels)?);
                }
            }
            Ok(counts)
        })?;
        let mut total = None;
        for (_, part) in &parts {
            total = Some(match total {
                None => *part,
                Some(sum) => g.add(sum, *part)?,
            });
        }
        // Losses are single numbers: an output more that copies one costs nothing.
        for (name, value) in total
            .map(|total| ("loss".to_owned(), total))
            .into_iter()
            .chain(parts.into_iter().map(|(name, part)| (format!("loss/{name}"), part)))
        {
            g.output(value, &name)?;
        }
        if let Some(counts) = counts {
            g.output(counts, "counts")?;
        }
        let forward = g.nodes().len();
        let known = all_gradients(g, &seeds, values)?;
        let kept: Vec<Value> = self.statistics.iter().map(|statistic| statistic.next).collect();
        recompute::recompute(g, recipe.recompute, forward, &known, &kept)?;
        values
            .iter()
            .map(|value| match known.get(value) {
                Some(gradient) => Ok(*gradient),
                None => {
                    let dims = g.dims(*value).to_vec();
                    let nothing = g.scalar_like(0.0, *value)?;
                    g.expand(nothing, &dims)
                }
            })
            .collect()
    }
}

/// Gradients without the loss scale, and whether they are finite.
fn unscaled(g: &mut Graph, gradients: Vec<Value>, scale: Option<Value>) -> Result<(Vec<Value>, Option<Value>), Error> {
    let Some(scale) = scale else { return Ok((gradients, None)) };
    let inverse = g.unary("Reciprocal", scale)?;
    let gradients: Vec<Value> =
        gradients.into_iter().map(|gradient| g.mul(gradient, inverse)).collect::<Result<_, _>>()?;
    let finite = all_finite(g, &gradients)?;
    Ok((gradients, Some(finite)))
}

fn scale_outputs(g: &mut Graph, scale: Value, finite: Value) -> Result<(), Error> {
    let half = g.scale(scale, 0.5)?;
    let next = g.op("Where", &[finite, scale, half], Default::default())?;
    g.output(next, "next/loss_scale")?;
    g.output(finite, "finite")
}

fn updates(
    g: &mut Graph,
    parameters: &[Trained],
    gradients: &[Value],
    recipe: &Recipe,
    rate: Value,
    finite: Option<Value>,
) -> Result<(), Error> {
    let keep = |g: &mut Graph, new: Value, old: Value| match finite {
        Some(finite) => g.op("Where", &[finite, new, old], Default::default()),
        None => Ok(new),
    };
    let (momenta, variances) = recipe.optimiser.keeps();
    let mut correction = None;
    if variances {
        let old = g.input("bias_correction", Element::F32, &[2])?;
        let new = g.scoped("update", |g| recipe.optimiser.corrected(g, old))?;
        let next = keep(g, new, old)?;
        g.output(next, "next/bias_correction")?;
        correction = Some(new);
    }
    let rates = g.scoped("update", |g| recipe.optimiser.rates(g, rate, correction))?;
    for (parameter, gradient) in parameters.iter().zip(gradients) {
        let kind = g.kind(parameter.value).clone();
        let mut moment = |wanted: bool, what: &str| match wanted {
            true => g.input(&format!("{what}/{}", parameter.name), kind.element, &kind.dims).map(Some),
            false => Ok(None),
        };
        let moments = Moments { momentum: moment(momenta, "momentum")?, variance: moment(variances, "variance")? };
        let rates = Rates { rate: g.scale(rates.rate, parameter.rate)?, ..rates };
        let (next, moved) =
            g.scoped("update", |g| recipe.optimiser.update(g, parameter.value, *gradient, moments, rates))?;
        let next = keep(g, next, parameter.value)?;
        g.output(next, &format!("next/{}", parameter.name))?;
        let moved = [("momentum", moved.momentum, moments.momentum), ("variance", moved.variance, moments.variance)];
        for (what, new, old) in moved {
            if let (Some(new), Some(old)) = (new, old) {
                let next = keep(g, new, old)?;
                g.output(next, &format!("next/{what}/{}", parameter.name))?;
            }
        }
    }
    Ok(())
}
