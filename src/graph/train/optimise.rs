//! The update of parameters from their gradients. Must not know losses or networks.

use crate::graph::Error;
use crate::graph::attributes::Attributes;
use crate::graph::ir::{Graph, Value};

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

/// A parameter and its momentum after the step.
pub(super) struct Updated {
    pub parameter: Value,
    pub momentum: Option<Value>,
}

impl Sgd {
    pub(super) fn check(&self) -> Result<(), Error> {
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
    pub(super) fn update(
        &self,
        g: &mut Graph,
        parameter: Value,
        gradient: Value,
        momentum: Option<Value>,
        rate: Value,
    ) -> Result<Updated, Error> {
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
            return Ok(Updated { parameter: g.sub(parameter, step)?, momentum: None });
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
        Ok(Updated { parameter: g.sub(parameter, step)?, momentum: Some(speed) })
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
