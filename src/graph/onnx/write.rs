//! A graph as an ONNX file. Weights of more than a message can hold go into a second file beside it. Must not know how
//! graphs are made.

use super::messages::{
    Attribute as AttributeMessage, Dimension, Entry, Graph as GraphMessage, Length, Model, Node as NodeMessage,
    OperatorSet, Shape, Tensor as TensorMessage, TensorType as TypeMessage, Type, ValueInfo, attribute_type,
};
use super::{IR_VERSION, OPSET, code_of};
use crate::graph::attributes::Attribute;
use crate::graph::disk::replace;
use crate::graph::ir::{Graph, Node, TensorType, Value};
use crate::graph::{Error, Tensor};
use prost::Message;
use std::collections::HashSet;
use std::io::Write;
use std::path::Path;

/// Above this many bytes of weights they are written beside the model: readers refuse messages of 2 GiB.
const EXTERNAL_ABOVE: usize = 1_500_000_000;
/// Smaller constants stay in the model in any case.
const EXTERNAL_TENSOR: usize = 4096;

/// The graph as the bytes of one file. What no output needs is left out.
pub fn encode(graph: &Graph, name: &str) -> Vec<u8> {
    let tensors = constants(graph).into_iter().map(|(name, tensor)| tensor_message(&name, tensor)).collect();
    message(graph, name, tensors).encode_to_vec()
}

/// Writes the graph, whole or not at all: to a temporary file beside it, which is then renamed. Above 1.5 GB the weights
/// lie in `FILE.data`. Gives the files it wrote.
pub fn write_model(graph: &Graph, name: &str, path: &Path) -> Result<Vec<std::path::PathBuf>, Error> {
    let constants = constants(graph);
    let total: usize = constants.iter().map(|(_, tensor)| tensor.data().len()).sum();
    write_parts(graph, name, path, &constants, total > EXTERNAL_ABOVE)
}

fn write_parts(
    graph: &Graph,
    name: &str,
    path: &Path,
    constants: &[(String, &Tensor)],
    external: bool,
) -> Result<Vec<std::path::PathBuf>, Error> {
    let mut written = vec![path.to_path_buf()];
    let mut tensors = Vec::with_capacity(constants.len());
    if external {
        let mut file_name = path.file_name().unwrap_or_default().to_os_string();
        file_name.push(".data");
        let location = file_name.to_string_lossy().into_owned();
        let data_path = path.with_file_name(&file_name);
        let failed = |error: std::io::Error| Error::file(&data_path, &error);
        let mut offset = 0_usize;
        replace(&data_path, |file| {
            for (name, tensor) in constants {
                if tensor.data().len() < EXTERNAL_TENSOR {
                    tensors.push(tensor_message(name, tensor));
                    continue;
                }
                // Readers map the file, page by page.
                let gap = offset.next_multiple_of(4096) - offset;
                file.write_all(&[0; 4096][..gap]).map_err(failed)?;
                offset += gap;
                file.write_all(tensor.data()).map_err(failed)?;
                tensors.push(outside(name, tensor, &location, offset));
                offset += tensor.data().len();
            }
            Ok(())
        })?;
        written.push(data_path);
    } else {
        tensors.extend(constants.iter().map(|(name, tensor)| tensor_message(name, tensor)));
    }
    let bytes = message(graph, name, tensors).encode_to_vec();
    replace(path, |file| file.write_all(&bytes).map_err(|error| Error::file(path, &error)))?;
    Ok(written)
}

/// The constants that live nodes or outputs use, by name.
fn constants(graph: &Graph) -> Vec<(String, &Tensor)> {
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for value in graph.live().iter().flat_map(|node| node.inputs.iter().flatten()) {
        if let (Some(tensor), true) = (graph.constant_of(*value), seen.insert(*value)) {
            found.push((graph.name(*value).to_owned(), tensor));
        }
    }
    found
}

fn message(graph: &Graph, name: &str, initializer: Vec<TensorMessage>) -> Model {
    let info = |value: &Value| ValueInfo {
        name: Some(graph.name(*value).to_owned()),
        r#type: Some(type_message(graph.kind(*value))),
        ..ValueInfo::default()
    };
    Model {
        ir_version: Some(IR_VERSION),
        producer_name: Some("selvedge".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        graph: Some(GraphMessage {
            node: graph.live().into_iter().map(|node| node_message(graph, node)).collect(),
            name: Some(name.to_owned()),
            initializer,
            input: graph.inputs().iter().map(info).collect(),
            output: graph.outputs().iter().map(info).collect(),
            ..GraphMessage::default()
        }),
        opset_import: vec![OperatorSet { domain: Some(String::new()), version: Some(OPSET) }],
        metadata_props: graph
            .metadata
            .iter()
            .map(|(key, value)| Entry { key: Some(key.clone()), value: Some(value.clone()) })
            .collect(),
        ..Model::default()
    }
}

fn type_message(kind: &TensorType) -> Type {
    let dim = |length: &usize| Dimension { length: Some(Length::Fixed(*length as i64)), denotation: None };
    Type {
        tensor_type: Some(TypeMessage {
            elem_type: Some(code_of(kind.element)),
            shape: Some(Shape { dim: kind.dims.iter().map(dim).collect() }),
        }),
        denotation: None,
    }
}

fn node_message(graph: &Graph, node: &Node) -> NodeMessage {
    let names = |values: &[Option<Value>]| {
        let mut names: Vec<String> =
            values.iter().map(|value| value.map_or_else(String::new, |value| graph.name(value).to_owned())).collect();
        while names.last().is_some_and(String::is_empty) {
            names.pop();
        }
        names
    };
    NodeMessage {
        input: names(&node.inputs),
        output: names(&node.outputs),
        name: Some(node.name.clone()),
        op_type: Some(node.op.clone()),
        attribute: node.attributes.iter().map(|(name, value)| attribute_message(name, value)).collect(),
        ..NodeMessage::default()
    }
}

fn attribute_message(name: &str, value: &Attribute) -> AttributeMessage {
    let mut message = AttributeMessage { name: Some(name.to_owned()), ..AttributeMessage::default() };
    let kind = match value {
        Attribute::Int(value) => {
            message.i = Some(*value);
            attribute_type::INT
        }
        Attribute::Float(value) => {
            message.f = Some(*value);
            attribute_type::FLOAT
        }
        Attribute::Text(value) => {
            message.s = Some(value.clone().into_bytes().into());
            attribute_type::STRING
        }
        Attribute::Ints(values) => {
            message.ints.clone_from(values);
            attribute_type::INTS
        }
        Attribute::Floats(values) => {
            message.floats.clone_from(values);
            attribute_type::FLOATS
        }
        Attribute::Tensor(tensor) => {
            message.t = Some(Box::new(tensor_message("", tensor)));
            attribute_type::TENSOR
        }
    };
    message.r#type = Some(kind);
    message
}

fn tensor_message(name: &str, tensor: &Tensor) -> TensorMessage {
    TensorMessage {
        dims: tensor.dims().iter().map(|dim| *dim as i64).collect(),
        data_type: Some(code_of(tensor.element())),
        name: Some(name.to_owned()),
        raw_data: Some(tensor.data().clone()),
        ..TensorMessage::default()
    }
}

fn outside(name: &str, tensor: &Tensor, location: &str, offset: usize) -> TensorMessage {
    let entry = |key: &str, value: String| Entry { key: Some(key.to_owned()), value: Some(value) };
    TensorMessage {
        raw_data: None,
        data_location: Some(1),
        external_data: vec![
            entry("location", location.to_owned()),
            entry("offset", offset.to_string()),
            entry("length", tensor.data().len().to_string()),
        ],
        ..tensor_message(name, tensor)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{constants, write_parts};
    use crate::graph::onnx::read_model;
    use crate::graph::{Element, Graph, Tensor};

    #[test]
    fn weights_beside_the_model_read_back_as_they_were() {
        let mut graph = Graph::new();
        let x = graph.input("x", Element::F32, &[2, 2000]).unwrap();
        let values: Vec<f32> = (0..2000).map(|at| at as f32 / 7.0).collect();
        let weight = graph.named_constant("weight", Tensor::f32(&[2000], &values).unwrap());
        let small = graph.named_constant("small", Tensor::scalar(3.0));
        let y = graph.mul(x, weight).unwrap();
        let y = graph.add(y, small).unwrap();
        graph.output(y, "y").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.onnx");
        let written = write_parts(&graph, "m", &path, &constants(&graph), true).unwrap();
        assert_eq!(written.len(), 2);
        assert!(std::fs::metadata(&path).unwrap().len() < 1000);
        let source = read_model(&path).unwrap();
        let back = source.initializer("weight").unwrap().unwrap();
        assert_eq!(back.to_f32(), values);
        assert_eq!(source.initializer("small").unwrap().unwrap().to_f32(), [3.0]);
    }
}
