//! Lists of values in exported graphs: cut from one value, put together, picked from by a fixed place. Must not know files.

use super::{Names, Reader};
use crate::graph::Error;
use crate::graph::ir::{Graph, Value};
use crate::graph::onnx::messages::Node as NodeMessage;

impl Reader<'_> {
    /// Exporters cut a value into a list and pick from it; whether the node was of that kind.
    pub(super) fn listed(&mut self, node: &NodeMessage, names: &mut Names) -> Result<bool, Error> {
        let label = format!("{} `{}`", node.op_type.as_deref().unwrap_or(""), node.name.as_deref().unwrap_or(""));
        let broken = |detail: &str| Error::Unsupported { node: label.clone(), detail: detail.to_owned() };
        let input = |place: usize| node.input.get(place).and_then(|name| names.get(name)).copied();
        let number = |graph: &Graph, place: usize| {
            input(place).and_then(|value| graph.constant_of(value)).map(|tensor| (tensor.dims().len(), tensor.to_i64()))
        };
        let output = node.output.first().cloned().unwrap_or_default();
        match node.op_type.as_deref() {
            Some("SplitToSequence") => {
                let x = input(0).ok_or_else(|| broken("it has no input"))?;
                let setting = |name: &str, default: i64| {
                    let found = node.attribute.iter().find(|attribute| attribute.name.as_deref() == Some(name));
                    found.and_then(|attribute| attribute.i).unwrap_or(default)
                };
                let dims = self.graph.dims(x).to_vec();
                let axis = setting("axis", 0);
                let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
                let axis = usize::try_from(axis).ok().filter(|axis| *axis < dims.len());
                let axis = axis.ok_or_else(|| broken("its axis does not exist"))?;
                let whole = node.input.get(1).is_some_and(|name| !name.is_empty());
                let lengths: Vec<usize> = match number(&self.graph, 1) {
                    Some((0, chunk)) => {
                        let chunk = chunk.first().and_then(|chunk| usize::try_from(*chunk).ok()).unwrap_or(0).max(1);
                        (0..dims[axis].div_ceil(chunk)).map(|at| chunk.min(dims[axis] - at * chunk)).collect()
                    }
                    Some((_, lengths)) => lengths.iter().filter_map(|length| usize::try_from(*length).ok()).collect(),
                    None if whole => return Err(broken("its lengths are not fixed")),
                    None => vec![1; dims[axis]],
                };
                let mut parts = self.graph.split(x, &lengths, axis)?;
                if !whole && setting("keepdims", 1) == 0 {
                    let mut thin = dims.clone();
                    thin.remove(axis);
                    parts = parts.into_iter().map(|part| self.graph.reshape(part, &thin)).collect::<Result<_, _>>()?;
                }
                self.lists.insert(output, parts);
            }
            Some("SequenceConstruct") => {
                let parts: Option<Vec<Value>> = (0..node.input.len()).map(input).collect();
                self.lists.insert(output, parts.ok_or_else(|| broken("one of its inputs is missing"))?);
            }
            Some("SequenceAt") => {
                let list = node.input.first().and_then(|name| self.lists.get(name));
                let place = number(&self.graph, 1).and_then(|(_, place)| place.first().copied());
                let (Some(list), Some(place)) = (list, place) else {
                    return Err(broken("its list or its place is not fixed"));
                };
                let place = if place < 0 { place + list.len() as i64 } else { place };
                let value = usize::try_from(place).ok().and_then(|place| list.get(place)).copied();
                names.insert(output, value.ok_or_else(|| broken("its place lies outside the list"))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
