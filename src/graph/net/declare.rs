//! Declaring the tensors of a network as inputs of its graph, in the order of the state dict. Must not know what is
//! computed with them.

use super::{Mode, Parameter, Running, StateTensor};
use crate::graph::weights::Role;
use crate::graph::{BatchNorm, Element, Error, Graph, Tensor, Value};

/// A graph that so far has inputs only, and the lists of them.
pub(super) struct Declared {
    pub graph: Graph,
    pub mode: Mode,
    pub state: Vec<StateTensor>,
    pub parameters: Vec<Parameter>,
    pub running: Vec<Running>,
    /// How likely each branch that drop-path can leave out is kept, in the order of the blocks.
    pub paths: Vec<f32>,
}

impl Declared {
    pub fn new(graph: Graph, mode: Mode) -> Self {
        Self { graph, mode, state: Vec::new(), parameters: Vec::new(), running: Vec::new(), paths: Vec::new() }
    }

    pub fn parameter(&mut self, name: String, dims: &[usize], role: Role) -> Result<Value, Error> {
        let value = self.graph.input(&name, Element::F32, dims)?;
        self.state.push(StateTensor { name: name.clone(), element: Element::F32, dims: dims.to_vec(), role });
        self.parameters.push(Parameter { value, head: name.contains("head"), name, role });
        Ok(value)
    }

    pub fn weight(&mut self, name: String, dims: &[usize]) -> Result<Value, Error> {
        self.parameter(name, dims, Role::Weight)
    }

    /// Weight, bias, running statistics and counter of a batch norm.
    pub fn batch_norm(&mut self, name: &str, channels: usize) -> Result<BatchNorm, Error> {
        let scale = self.weight(format!("{name}.weight"), &[channels])?;
        let bias = self.weight(format!("{name}.bias"), &[channels])?;
        let running_mean = self.statistic(format!("{name}.running_mean"), channels)?;
        let running_var = self.statistic(format!("{name}.running_var"), channels)?;
        self.counter(format!("{name}.num_batches_tracked"))?;
        Ok(BatchNorm { scale, bias, running_mean, running_var, momentum: MOMENTUM, epsilon: EPSILON })
    }

    fn statistic(&mut self, name: String, channels: usize) -> Result<Value, Error> {
        let value = self.graph.input(&name, Element::F32, &[channels])?;
        self.buffer(name, Element::F32, &[channels], Some(value), None);
        Ok(value)
    }

    fn counter(&mut self, name: String) -> Result<(), Error> {
        let (mut value, mut next) = (None, None);
        if self.mode == Mode::Train {
            let count = self.graph.input(&name, Element::I64, &[])?;
            let one = self.graph.constant(Tensor::i64(&[], &[1])?);
            (value, next) = (Some(count), Some(self.graph.add(count, one)?));
        }
        self.buffer(name, Element::I64, &[], value, next);
        Ok(())
    }

    fn buffer(&mut self, name: String, element: Element, dims: &[usize], value: Option<Value>, next: Option<Value>) {
        self.state.push(StateTensor { name: name.clone(), element, dims: dims.to_vec(), role: Role::Buffer });
        self.running.push(Running { name, value, next });
    }
}

/// Of every batch norm; PyTorch's defaults, which mmsegmentation keeps.
const MOMENTUM: f32 = 0.1;
const EPSILON: f32 = 1e-5;
