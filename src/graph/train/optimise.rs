//! The update of parameters from their gradients. Must not know losses or networks.

use crate::graph::attributes::Attributes;
use crate::graph::ir::{Graph, Value};
use crate::graph::{Error, Tensor};

/// Stochastic gradient descent as PyTorch defines it: `v' = momentum v + (g + decay p)`, then `p' = p - rate v'`, or with
/// Nesterov's look ahead `p' = p - rate (g + decay p + momentum v')`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// 0 keeps no momenta.
    pub momentum: f32,
    /// Added to the gradient, as a share of the parameter.
    pub weight_decay: f32,
    /// Whether the step looks ahead; needs a momentum.
    pub nesterov: bool,
}

impl Default for Sgd {
    /// The paper's: momentum 0.9, nothing else.
    fn default() -> Self {
        Self { momentum: 0.9, weight_decay: 0.0, nesterov: false }
    }
}

/// Adam with decoupled weight decay as PyTorch defines it: `m' = b1 m + (1 - b1) g`, `v' = b2 v + (1 - b2) g²`, then
/// `p' = p (1 - rate decay) - rate (m' / (1 - b1^t)) / (sqrt(v' / (1 - b2^t)) + epsilon)`, t counting steps from 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AdamW {
    /// b1 and b2, each 0 to below 1.
    pub betas: [f64; 2],
    /// Keeps the division from 0.
    pub epsilon: f32,
    /// Taken from the parameter itself, as a share of it and of the rate.
    pub weight_decay: f32,
}

impl Default for AdamW {
    /// PyTorch's.
    fn default() -> Self {
        Self { betas: [0.9, 0.999], epsilon: 1e-8, weight_decay: 0.01 }
    }
}

/// How parameters follow their gradients.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimiser {
    /// Descent with momentum: what published networks of this kind were trained by.
    Sgd(Sgd),
    /// Steps of about equal size for all parameters: what small transformers need that begin with random numbers.
    AdamW(AdamW),
}

impl Default for Optimiser {
    fn default() -> Self {
        Self::Sgd(Sgd::default())
    }
}

/// What an update keeps of a parameter from step to step.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moments {
    /// `momentum/NAME`: the momentum, or the mean of the gradients.
    pub momentum: Option<Value>,
    /// `variance/NAME`: the mean of their squares.
    pub variance: Option<Value>,
}

/// The rates of one step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    /// The learning rate.
    pub rate: Value,
    /// `1 - b1^t` and `1 - b2^t`, of Adam.
    pub corrections: Option<[Value; 2]>,
}

impl Optimiser {
    pub(super) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Sgd(sgd) => sgd.check(),
            Self::AdamW(adam) => adam.check(),
        }
    }

    /// Which moments there are.
    pub(super) fn keeps(&self) -> (bool, bool) {
        match self {
            Self::Sgd(sgd) => (sgd.momentum > 0.0, false),
            Self::AdamW(_) => (true, true),
        }
    }

    /// What corrects the moments of Adam after the step, `[2]`: `1 - b1^t` and `1 - b2^t`, followed from step to step as the
    /// moments of a gradient that is always 1. A power would lose half its digits beside 1.
    pub(super) fn corrected(&self, g: &mut Graph, correction: Value) -> Result<Value, Error> {
        let Self::AdamW(AdamW { betas, .. }) = self else { return Ok(correction) };
        let kept = g.constant(Tensor::f32(&[2], &betas.map(|beta| beta as f32))?);
        let new = g.constant(Tensor::f32(&[2], &betas.map(|beta| (1.0 - beta) as f32))?);
        let kept = g.mul(correction, kept)?;
        g.add(kept, new)
    }

    /// What does not differ from parameter to parameter.
    pub(super) fn rates(&self, g: &mut Graph, rate: Value, correction: Option<Value>) -> Result<Rates, Error> {
        let Some(correction) = correction else { return Ok(Rates { rate, corrections: None }) };
        let mut single = Vec::with_capacity(2);
        for part in g.split(correction, &[1, 1], 0)? {
            single.push(g.reshape(part, &[])?);
        }
        let corrections = <[Value; 2]>::try_from(single).ok();
        Ok(Rates { rate, corrections })
    }

    /// The parameter and its moments after the step; `rates` holds the learning rate of this parameter.
    pub(super) fn update(
        &self,
        g: &mut Graph,
        parameter: Value,
        gradient: Value,
        moments: Moments,
        rates: Rates,
    ) -> Result<(Value, Moments), Error> {
        match self {
            Self::Sgd(sgd) => sgd.update(g, parameter, gradient, moments.momentum, rates.rate),
            Self::AdamW(adam) => adam.update(g, parameter, gradient, moments, rates),
        }
    }
}

impl AdamW {
    fn check(&self) -> Result<(), Error> {
        let betas = self.betas.iter().all(|beta| (0.0..1.0).contains(beta));
        let fine = |number: f32| number >= 0.0 && number.is_finite();
        match betas && fine(self.weight_decay) && fine(self.epsilon) && self.epsilon > 0.0 {
            true => Ok(()),
            false => Err(Error::Step {
                detail: format!(
                    "the betas are {:?}, epsilon is {}, the weight decay {}: betas are at least 0 and less than 1, epsilon above 0, a weight decay at least 0",
                    self.betas, self.epsilon, self.weight_decay
                ),
            }),
        }
    }

    fn update(
        &self,
        g: &mut Graph,
        parameter: Value,
        gradient: Value,
        moments: Moments,
        rates: Rates,
    ) -> Result<(Value, Moments), Error> {
        let missing = || Error::Step { detail: "Adam without its moments or its count of steps".to_owned() };
        let Moments { momentum: Some(mean), variance: Some(variance) } = moments else { return Err(missing()) };
        let [first, second] = rates.corrections.ok_or_else(missing)?;
        let follow = |g: &mut Graph, old: Value, new: Value, beta: f64| {
            let (old, new) = (g.scale(old, beta as f32)?, g.scale(new, (1.0 - beta) as f32)?);
            g.add(old, new)
        };
        let mean = follow(g, mean, gradient, self.betas[0])?;
        let square = g.mul(gradient, gradient)?;
        let variance = follow(g, variance, square, self.betas[1])?;
        let corrected = g.div(variance, second)?;
        let deviation = g.unary("Sqrt", corrected)?;
        let epsilon = g.scalar_like(self.epsilon, deviation)?;
        let deviation = g.add(deviation, epsilon)?;
        let size = g.div(rates.rate, first)?;
        let direction = g.div(mean, deviation)?;
        let step = g.mul(direction, size)?;
        let kept = match self.weight_decay > 0.0 {
            true => {
                let decay = g.scale(rates.rate, self.weight_decay)?;
                let decayed = g.mul(parameter, decay)?;
                g.sub(parameter, decayed)?
            }
            false => parameter,
        };
        let next = g.sub(kept, step)?;
        Ok((next, Moments { momentum: Some(mean), variance: Some(variance) }))
    }
}

impl Sgd {
    fn check(&self) -> Result<(), Error> {
        let fine = (0.0..1.0).contains(&self.momentum) && self.weight_decay >= 0.0 && self.weight_decay.is_finite();
        match fine && !(self.nesterov && self.momentum == 0.0) {
            true => Ok(()),
            false => Err(Error::Step {
                detail: format!(
                    "the momentum is {}, the weight decay {}: a momentum is at least 0 and less than 1, a weight decay at least 0, and Nesterov's step needs a momentum",
                    self.momentum, self.weight_decay
                ),
            }),
        }
    }

    /// `rate` is the learning rate of this parameter, one number.
    fn update(
        &self,
        g: &mut Graph,
        parameter: Value,
        gradient: Value,
        momentum: Option<Value>,
        rate: Value,
    ) -> Result<(Value, Moments), Error> {
        let decay = match self.weight_decay > 0.0 {
            true => Some(g.scale(parameter, self.weight_decay)?),
            false => None,
        };
        let Some(momentum) = momentum else {
            let slope = match decay {
                Some(decay) => g.add(gradient, decay)?,
                None => gradient,
            };
            let step = g.mul(slope, rate)?;
            return Ok((g.sub(parameter, step)?, Moments::default()));
        };
        // One pass over the parameters for each node: what can be added at once is.
        let sum = |g: &mut Graph, more: Value| match decay {
            Some(decay) => g.op("Sum", &[gradient, decay, more], Attributes::new()),
            None => g.add(gradient, more),
        };
        let kept = g.scale(momentum, self.momentum)?;
        let speed = sum(g, kept)?;
        let direction = match self.nesterov {
            false => speed,
            true => {
                let ahead = g.scale(speed, self.momentum)?;
                sum(g, ahead)?
            }
        };
        let step = g.mul(direction, rate)?;
        Ok((g.sub(parameter, step)?, Moments { momentum: Some(speed), variance: None }))
    }
}

/// Whether every number of all these is finite: a number times 0 is 0, unless it is infinite or none.
pub(super) fn all_finite(g: &mut Graph, values: &[Value]) -> Result<Value, Error> {
    let mut sums = Vec::with_capacity(values.len());
    for value in values {
        let nothing = g.scalar_like(0.0, *value)?;
        let product = g.mul(*value, nothing)?;
        let axes: Vec<usize> = (0..g.dims(product).len()).collect();
        let sum = g.reduce("ReduceSum", product, &axes, false)?;
        sums.push(g.reshape(sum, &[1])?);
    }
    let all = g.concat(&sums, 0)?;
    let total = g.reduce("ReduceSum", all, &[0], false)?;
    let broken = g.op("IsNaN", &[total], Attributes::new())?;
    g.unary("Not", broken)
}
