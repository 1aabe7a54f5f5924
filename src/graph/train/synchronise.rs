//! Batch norms whose statistics are those of all ranks together: the gradient graph in segments, between which sums are
//! taken over the ranks. Must not know who adds up, nor how ranks talk.
//!
//! Going forward a rank gives mean and variance of its own batch in a row of zeros for everybody else, so that the sum
//! over the ranks is a table of all ranks' moments, whatever the order of adding. From it each finds the common mean and
//! variance by itself. Sums of numbers and of their squares would need no table and no rank's number, but lose every digit
//! where a channel's mean is much larger than its deviation; summing means first and deviations from the common mean
//! second would be as exact as the table, at the price of stopping twice for each batch norm. A table is some KiB.

use super::{Recipe, Trainee};
use crate::graph::batch_norm::{BatchNormValues, Shared};
use crate::graph::cut::{Segment, cut};
use crate::graph::ir::{Composite, Graph, Value};
use crate::graph::{Element, Error, Tensor};
use std::collections::{HashMap, HashSet};

/// How the names begin of what is to be added up over the ranks.
const SUM: &str = "sum/";
/// So many ranks still find their rows in a table of 1 MiB.
const MOST_RANKS: usize = 512;

impl Trainee {
    /// [`Trainee::gradient`] for one of `ranks` ranks, each with a batch as large as the others', in segments. After each
    /// segment its `cuts` (`sum/forward/NAME` f32 `[ranks, 2C]` and `sum/backward/NAME` f32 `[2,C,1,…]`, `NAME` being the
    /// scale of a batch norm) are to be added up over all ranks, element by element; later segments read the sums. An
    /// input beside those of [`Trainee::gradient`] is `rank` i64, without axes: which of the ranks this is, from 0.
    ///
    /// Gradients are those of a rank's own share: their mean over the ranks is the gradient of the mean of the ranks'
    /// losses; what [`Denominator::Valid`](super::Denominator::Valid) divides by is each rank's own. Running statistics are
    /// those of the whole batch, the same on every rank. Without a batch norm there is one segment, and no `rank`.
    pub fn synchronised(&self, recipe: &Recipe, ranks: usize) -> Result<Vec<Segment>, Error> {
        let mut trainee = self.clone();
        synchronise(&mut trainee.graph, ranks)?;
        let graph = trainee.gradient(recipe, false)?;
        let sums: Vec<Value> =
            graph.outputs().iter().copied().filter(|output| graph.name(*output).starts_with(SUM)).collect();
        cut(&graph, &sums)
    }
}

/// Makes every batch norm in training form one over all ranks. What is to be added up becomes an output; where its sum is
/// needed the graph reads the value itself, as for a single rank.
fn synchronise(graph: &mut Graph, ranks: usize) -> Result<(), Error> {
    if !(1..=MOST_RANKS).contains(&ranks) {
        let detail = format!("{ranks} ranks cannot share their batch norms; 1 to {MOST_RANKS} can");
        return Err(Error::Step { detail });
    }
    let mut by_variance: HashMap<Value, (Value, BatchNormValues)> = HashMap::new();
    for y in graph.nodes().iter().filter_map(|node| node.output(0)) {
        if let Some(Composite::BatchNorm(values)) = graph.composite(y) {
            by_variance.insert(values.variance, (y, values.clone()));
        }
    }
    if by_variance.is_empty() {
        return Ok(());
    }
    let rank = graph.input("rank", Element::I64, &[])?;
    let nodes = graph.take_nodes(0);
    graph.scoped("synchronised", |graph| {
        let row = row(graph, rank, ranks)?;
        let mut joining = Joining { ranks, row, now: HashMap::new(), flat: HashMap::new(), names: HashSet::new() };
        for mut node in nodes {
            for input in node.inputs.iter_mut().flatten() {
                *input = joining.now.get(input).copied().unwrap_or(*input);
            }
            let outputs = node.outputs.clone();
            graph.put_node(node);
            for output in outputs.into_iter().flatten() {
                if let Some((y, values)) = by_variance.remove(&output) {
                    joining.join(graph, y, values)?;
                }
                if let Some(correction) = joining.flat.remove(&output) {
                    let unbiased = graph.scale(output, correction)?;
                    joining.now.insert(output, unbiased);
                }
            }
        }
        Ok(())
    })
}

/// `[ranks, 1]`: 1 at the rank's place, else 0. A rank that is not among them is an index error of the runtime.
fn row(graph: &mut Graph, rank: Value, ranks: usize) -> Result<Value, Error> {
    let ones: Vec<f32> = (0..ranks * ranks).map(|at| f32::from(u8::from(at / ranks == at % ranks))).collect();
    let table = graph.constant(Tensor::f32(&[ranks, ranks], &ones)?);
    let settings = crate::graph::build::attributes([("axis", 0_i64.into())]);
    let row = graph.op("Gather", &[table, rank], settings)?;
    graph.reshape(row, &[ranks, 1])
}

struct Joining {
    ranks: usize,
    row: Value,
    /// What stands for a value from here on.
    now: HashMap<Value, Value>,
    /// By what running variances take in: the factor that makes it unbiased over all ranks instead of over one.
    flat: HashMap<Value, f32>,
    names: HashSet<String>,
}

impl Joining {
    /// Puts the common moments in the place of a batch norm's own.
    fn join(&mut self, graph: &mut Graph, y: Value, mut values: BatchNormValues) -> Result<(), Error> {
        let name = self.name(graph.name(values.scale));
        let dims = graph.dims(values.mean).to_vec();
        let channels: usize = dims.iter().product();
        let mean = graph.reshape(values.mean, &[1, channels])?;
        let variance = graph.reshape(values.variance, &[1, channels])?;
        let own = graph.concat(&[mean, variance], 1)?;
        let table = graph.mul(self.row, own)?;
        graph.output(table, &format!("{SUM}forward/{name}"))?;

        let parts = graph.split(table, &[channels; 2], 1)?;
        let [means, variances] = parts.as_slice() else {
            return Err(Error::Node { node: name, detail: "a table of moments has two halves".to_owned() });
        };
        let mean = graph.reduce("ReduceMean", *means, &[0], true)?;
        let within = graph.reduce("ReduceMean", *variances, &[0], true)?;
        let apart = graph.sub(*means, mean)?;
        let squares = graph.mul(apart, apart)?;
        let between = graph.reduce("ReduceMean", squares, &[0], true)?;
        let variance = graph.add(within, between)?;
        let mean = graph.reshape(mean, &dims)?;
        let variance = graph.reshape(variance, &dims)?;
        let centred = graph.sub(values.x, mean)?;
        for (old, new) in [(values.mean, mean), (values.centred, centred), (values.variance, variance)] {
            self.now.insert(old, new);
        }
        let unbiased = |count: f64| count / (count - 1.0);
        let count = values.count(graph) as f64;
        self.flat.insert(values.flat_variance, (unbiased(count * self.ranks as f64) / unbiased(count)) as f32);

        (values.mean, values.centred, values.variance) = (mean, centred, variance);
        values.shared = Some(Shared { ranks: self.ranks, backward: format!("{SUM}backward/{name}") });
        graph.set_composite(y, Composite::BatchNorm(values));
        Ok(())
    }

    /// A name of its own for a batch norm that is used several times.
    fn name(&mut self, scale: &str) -> String {
        let mut name = scale.to_owned();
        let mut count = 1;
        while !self.names.insert(name.clone()) {
            count += 1;
            name = format!("{scale}/{count}");
        }
        name
    }
}
