//! Normalisations of exported graphs. Must not know files.

use super::{Call, Reader};
use crate::graph::Error;
use crate::graph::attributes::Attributes;
use crate::graph::batch_norm::{BatchNorm, batch_norm_train};
use crate::graph::ir::Value;

impl Reader<'_> {
    /// While training by the statistics of the batch, whatever the exporter wrote.
    pub(super) fn batch_norm(&mut self, call: &Call<'_>) -> Result<Vec<Value>, Error> {
        let [x, scale, bias, mean, variance] = [call.x(0)?, call.x(1)?, call.x(2)?, call.x(3)?, call.x(4)?];
        if !self.training {
            let settings: Attributes = call
                .attributes
                .iter()
                .filter(|(name, _)| *name == "epsilon")
                .map(|(k, v)| (k.clone(), v.clone()))
                .collect();
            return self.graph.node(
                "BatchNormalization",
                call.name,
                &[x, scale, bias, mean, variance].map(Some),
                1,
                settings,
            );
        }
        // One that is used several times moves its statistics each time.
        let now = |reader: &Self, start: Value| {
            reader.running.iter().rev().find(|(of, _)| *of == start).map(|(_, next)| *next)
        };
        let norm = BatchNorm {
            scale,
            bias,
            running_mean: now(self, mean).unwrap_or(mean),
            running_var: now(self, variance).unwrap_or(variance),
            momentum: 1.0 - call.attributes.float("momentum", 0.9),
            epsilon: call.attributes.float("epsilon", 1e-5),
        };
        let out = self.graph.scoped(call.name, |graph| batch_norm_train(graph, x, &norm))?;
        self.running.push((mean, out.next_mean));
        self.running.push((variance, out.next_var));
        Ok(vec![out.y, out.next_mean, out.next_var])
    }

    /// Mean 0 and variance 1 over axes, the last of them summed first.
    fn normalise(&mut self, x: Value, axes: &[usize], epsilon: f32) -> Result<Value, Error> {
        let g = &mut self.graph;
        let mean = g.reduce_in_stages("ReduceMean", x, axes, true)?;
        let centred = g.sub(x, mean)?;
        let squares = g.mul(centred, centred)?;
        let variance = g.reduce_in_stages("ReduceMean", squares, axes, true)?;
        let epsilon = g.scalar_like(epsilon, variance)?;
        let variance = g.add(variance, epsilon)?;
        let deviation = g.unary("Sqrt", variance)?;
        g.div(centred, deviation)
    }

    fn per_channel(&mut self, value: Value, rank: usize) -> Result<Value, Error> {
        let mut dims = vec![1; rank];
        let Some(channels) = dims.get_mut(1) else {
            let detail = "what it normalises has no axis of channels".to_owned();
            return Err(Error::Node { node: "normalisation".to_owned(), detail });
        };
        *channels = self.graph.kind(value).len();
        self.graph.reshape(value, &dims)
    }

    fn affine(&mut self, normal: Value, scale: Value, bias: Value) -> Result<Value, Error> {
        let rank = self.graph.dims(normal).len();
        let (scale, bias) = (self.per_channel(scale, rank)?, self.per_channel(bias, rank)?);
        let scaled = self.graph.mul(normal, scale)?;
        self.graph.add(scaled, bias)
    }

    pub(super) fn instance_norm(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let x = call.x(0)?;
        let axes: Vec<usize> = (2..self.graph.dims(x).len()).collect();
        let normal = self.normalise(x, &axes, call.attributes.float("epsilon", 1e-5))?;
        self.affine(normal, call.x(1)?, call.x(2)?)
    }

    pub(super) fn group_norm(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let x = call.x(0)?;
        let dims = self.graph.dims(x).to_vec();
        let groups = usize::try_from(call.attributes.int("num_groups", 0)).unwrap_or(0);
        let channels = dims.get(1).copied().unwrap_or(0);
        if groups == 0 || channels == 0 || channels % groups != 0 {
            return Err(call.broken(format!("{channels} channels do not make {groups} groups")));
        }
        let grouped = self.graph.reshape(x, &[dims[0], groups, dims[1..].iter().product::<usize>() / groups])?;
        let normal = self.normalise(grouped, &[2], call.attributes.float("epsilon", 1e-5))?;
        let normal = self.graph.reshape(normal, &dims)?;
        // Until opset 20 there was one scale a group; now there is one a channel.
        let mut per_channel = [call.x(1)?, call.x(2)?];
        for value in &mut per_channel {
            if self.graph.kind(*value).len() == groups && groups != channels {
                let thin = self.graph.reshape(*value, &[groups, 1])?;
                let wide = self.graph.expand(thin, &[groups, channels / groups])?;
                *value = self.graph.reshape(wide, &[channels])?;
            }
        }
        self.affine(normal, per_channel[0], per_channel[1])
    }

    pub(super) fn rms_norm(&mut self, call: &Call<'_>) -> Result<Value, Error> {
        let x = call.x(0)?;
        let rank = self.graph.dims(x).len() as i64;
        let axis = call.attributes.int("axis", -1);
        let axis = if axis < 0 { axis + rank } else { axis };
        let axes: Vec<usize> = (axis.clamp(0, rank) as usize..rank as usize).collect();
        let g = &mut self.graph;
        let squares = g.mul(x, x)?;
        let mean = g.reduce("ReduceMean", squares, &axes, true)?;
        let epsilon = g.scalar_like(call.attributes.float("epsilon", 1e-5), mean)?;
        let mean = g.add(mean, epsilon)?;
        let length = g.unary("Sqrt", mean)?;
        let normal = g.div(x, length)?;
        g.mul(normal, call.x(1)?)
    }
}
