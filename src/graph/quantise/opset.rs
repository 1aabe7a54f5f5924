//! From the operators of version 11 or 12 to those of 13, the first with a scale for each channel. Must not know what is
//! quantised.

use crate::graph::Error;
use crate::graph::onnx::messages::{Graph, Model, Node, OperatorSet, Tensor};

/// Scales for each channel begin with this version.
const PER_CHANNEL: i64 = 13;
/// Older files differ in more operators than are brought over here.
const OLDEST: i64 = 11;

/// The version of the standard operators.
fn version(model: &Model) -> i64 {
    let standard = |set: &&OperatorSet| matches!(set.domain.as_deref(), None | Some("" | "ai.onnx"));
    model.opset_import.iter().find(standard).and_then(|set| set.version).unwrap_or(1)
}

/// Brings the model to version 13 if it is older, and drops domains of operators that no node is of.
pub(super) fn upgrade(model: &mut Model, name: &str) -> Result<(), Error> {
    let from = version(model);
    if from < OLDEST {
        return Err(Error::Format {
            what: name.to_owned(),
            wanted: "ONNX model of operators 11 or newer",
            detail: format!("it is written in operators {from}; export it with opset_version=17"),
        });
    }
    let Some(graph) = model.graph.as_mut() else { return Ok(()) };
    if from < PER_CHANNEL {
        for index in 0..graph.node.len() {
            upgrade_node(graph, index)?;
        }
    }
    let used = |domain: &str| graph.node.iter().any(|node| node.domain.as_deref().unwrap_or("") == domain);
    model.opset_import.retain(|set| match set.domain.as_deref().unwrap_or("") {
        "" | "ai.onnx" => true,
        other => used(other),
    });
    for set in &mut model.opset_import {
        if matches!(set.domain.as_deref(), None | Some("" | "ai.onnx")) {
            set.version = Some(from.max(PER_CHANNEL));
        }
    }
    Ok(())
}

fn upgrade_node(graph: &mut Graph, index: usize) -> Result<(), Error> {
    let node = &mut graph.node[index];
    if !matches!(node.domain.as_deref(), None | Some("" | "ai.onnx")) {
        return Ok(());
    }
    match node.op_type.as_deref().unwrap_or("") {
        "Squeeze" | "Unsqueeze" | "ReduceSum" => move_into_input(graph, index, "axes"),
        "Split" => move_into_input(graph, index, "split"),
        "Dropout" => node.attribute.clear(),
        operator @ ("Softmax" | "LogSoftmax" | "Hardmax") => {
            // Before 13 all axes from this one on were one; the same only for the last.
            let axis = node.attribute.iter().find(|a| a.name.as_deref() == Some("axis")).and_then(|a| a.i);
            if axis != Some(-1) {
                return Err(Error::Unsupported {
                    node: format!("{operator} {}", node.name.as_deref().unwrap_or("")),
                    detail: "before operators 13 it means something else; export the model with opset_version=17"
                        .to_owned(),
                });
            }
        }
        _ => {}
    }
    Ok(())
}

/// What was an attribute becomes the second input.
fn move_into_input(graph: &mut Graph, index: usize, attribute: &str) {
    let node: &mut Node = &mut graph.node[index];
    let Some(at) = node.attribute.iter().position(|a| a.name.as_deref() == Some(attribute)) else { return };
    let values = node.attribute.remove(at).ints;
    let name = format!("{}/{attribute}", node.output.first().map_or("", String::as_str));
    node.input.truncate(1);
    node.input.push(name.clone());
    graph.initializer.push(Tensor {
        dims: vec![values.len() as i64],
        data_type: Some(7),
        int64_data: values,
        name: Some(name),
        ..Tensor::default()
    });
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::onnx::messages::Attribute;

    fn model(version: i64, node: Node) -> Model {
        let sets = [("", version), ("com.microsoft", 1)];
        Model {
            graph: Some(Graph { node: vec![node], ..Graph::default() }),
            opset_import: sets
                .map(|(domain, version)| OperatorSet { domain: Some(domain.to_owned()), version: Some(version) })
                .to_vec(),
            ..Model::default()
        }
    }

    #[test]
    fn axes_become_an_input_and_unused_domains_go() {
        let axes = Attribute { name: Some("axes".to_owned()), ints: vec![0, 2], ..Attribute::default() };
        let squeeze = Node {
            op_type: Some("Squeeze".to_owned()),
            input: vec!["x".to_owned()],
            output: vec!["y".to_owned()],
            attribute: vec![axes],
            ..Node::default()
        };
        let mut model = model(11, squeeze);
        upgrade(&mut model, "m.onnx").unwrap();
        assert_eq!((version(&model), model.opset_import.len()), (13, 1));
        let graph = model.graph.unwrap();
        assert_eq!(graph.node[0].input, ["x", "y/axes"]);
        assert_eq!(graph.initializer[0].int64_data, [0, 2]);
        assert!(graph.node[0].attribute.is_empty());
    }

    #[test]
    fn what_is_too_old_or_means_something_else_is_refused() {
        let node = |operator: &str| Node { op_type: Some(operator.to_owned()), ..Node::default() };
        assert!(upgrade(&mut model(10, node("Relu")), "m").unwrap_err().to_string().contains("opset_version=17"));
        assert!(upgrade(&mut model(12, node("Softmax")), "m").is_err());
        assert!(upgrade(&mut model(17, node("Softmax")), "m").is_ok());
    }
}
