//! The gradient of every operator, one node at a time, against numbers that PyTorch computed (`tests/fixtures/graph`).

use crate::runtime::loaded;
use selvedge::cancel::Cancel;
use selvedge::graph::onnx::messages::{
    Attribute, Dimension, Graph as GraphMessage, Length, Model as ModelMessage, Node, OperatorSet, Shape,
    Tensor as TensorMessage, TensorType, Type, ValueInfo, attribute_type,
};
use selvedge::graph::onnx::{Source, encode};
use selvedge::graph::weights::{Weights, read_weights};
use selvedge::graph::{Element, ImportSettings, Tensor, gradients, import};
use selvedge::runtime::{Array, Device, Model, SessionSettings, State, Step};
use serde_json::Value;
use std::path::{Path, PathBuf};

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A tensor of the graph as an array of the runtime.
pub(crate) fn array(tensor: &Tensor) -> Array {
    let element = match tensor.element() {
        Element::F32 => selvedge::runtime::Element::F32,
        Element::I64 => selvedge::runtime::Element::I64,
        Element::U8 => selvedge::runtime::Element::U8,
        Element::Bool => selvedge::runtime::Element::Bool,
        other => panic!("{other}"),
    };
    Array::new(element, tensor.dims(), tensor.data().clone()).unwrap()
}

fn code(element: Element) -> i32 {
    match element {
        Element::F32 => 1,
        Element::U8 => 2,
        Element::I64 => 7,
        Element::Bool => 9,
        other => panic!("{other}"),
    }
}

fn info(name: &str, tensor: &Tensor) -> ValueInfo {
    let dim = |length: &usize| Dimension { length: Some(Length::Fixed(*length as i64)), denotation: None };
    let shape = Shape { dim: tensor.dims().iter().map(dim).collect() };
    let kind = TensorType { elem_type: Some(code(tensor.element())), shape: Some(shape) };
    let kind = Type { tensor_type: Some(kind), denotation: None };
    ValueInfo { name: Some(name.to_owned()), r#type: Some(kind), ..ValueInfo::default() }
}

fn attribute(name: &str, value: &Value) -> Attribute {
    let mut attribute = Attribute { name: Some(name.to_owned()), ..Attribute::default() };
    let kind = match value {
        Value::Number(number) if number.is_i64() => {
            attribute.i = number.as_i64();
            attribute_type::INT
        }
        Value::Number(number) => {
            attribute.f = number.as_f64().map(|number| number as f32);
            attribute_type::FLOAT
        }
        Value::String(text) => {
            attribute.s = Some(text.clone().into_bytes().into());
            attribute_type::STRING
        }
        Value::Array(values) if values.iter().all(Value::is_i64) => {
            attribute.ints = values.iter().filter_map(Value::as_i64).collect();
            attribute_type::INTS
        }
        other => panic!("{other}"),
    };
    attribute.r#type = Some(kind);
    attribute
}

fn words(value: &Value) -> Vec<String> {
    value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect()
}

fn node(about: &Value) -> Node {
    Node {
        op_type: Some(about["op"].as_str().unwrap().to_owned()),
        input: words(&about["inputs"]),
        output: words(&about["outputs"]),
        attribute: about["attributes"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| attribute(name, value))
            .collect(),
        ..Node::default()
    }
}

fn once(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    let mut seen = Vec::new();
    names.retain(|name| {
        !seen.contains(name) && {
            seen.push(name.clone());
            true
        }
    });
    names
}

struct Case<'a> {
    name: &'a str,
    about: Value,
    numbers: &'a Weights,
}

impl Case<'_> {
    fn tensor(&self, kind: &str, value: &str) -> Option<&Tensor> {
        self.numbers.tensors.get(&format!("{}/{kind}/{value}", self.name))
    }

    fn model(&self) -> Source {
        let (inputs, constants) = (words(&self.about["inputs"]), words(&self.about["constants"]));
        let given = |name: &&String| !name.is_empty() && !constants.contains(name);
        let graph = GraphMessage {
            node: match self.about.get("nodes") {
                Some(nodes) => nodes.as_array().unwrap().iter().map(node).collect(),
                None => vec![node(&self.about)],
            },
            name: Some("case".to_owned()),
            input: once(&inputs)
                .iter()
                .filter(given)
                .map(|name| info(name, self.tensor("in", name).unwrap()))
                .collect(),
            output: words(&self.about["outputs"])
                .iter()
                .map(|name| ValueInfo { name: Some(name.clone()), ..ValueInfo::default() })
                .collect(),
            initializer: constants
                .iter()
                .map(|name| {
                    let tensor = self.tensor("in", name).unwrap();
                    TensorMessage {
                        dims: tensor.dims().iter().map(|dim| *dim as i64).collect(),
                        data_type: Some(code(tensor.element())),
                        name: Some(name.clone()),
                        raw_data: Some(tensor.data().clone()),
                        ..TensorMessage::default()
                    }
                })
                .collect(),
            ..GraphMessage::default()
        };
        let model = ModelMessage {
            ir_version: Some(10),
            graph: Some(graph),
            opset_import: vec![OperatorSet { domain: Some(String::new()), version: self.about["opset"].as_i64() }],
            ..ModelMessage::default()
        };
        let bytes = prost::Message::encode_to_vec(&model);
        Source::decode(bytes.into(), self.name, PathBuf::new()).unwrap()
    }

    /// The worst difference of an output or gradient, as a share of the greatest number of it.
    fn check(&self) -> Result<f64, String> {
        let training = self.about.get("training").is_some();
        // What the file keeps as weights must stay constant here, whatever its type.
        let kept = if words(&self.about["constants"]).is_empty() { Vec::new() } else { vec![String::new()] };
        let settings = ImportSettings { training, frozen: kept, ..ImportSettings::default() };
        let mut imported = import(&self.model(), &settings).map_err(|error| error.to_string())?;
        let mut compared: Vec<(String, &Tensor)> = Vec::new();
        let (mut seeds, mut feeds) = (Vec::new(), Vec::new());
        for (name, value) in imported.outputs.clone() {
            let wanted = self.tensor("out", &name).unwrap();
            if let Some(dy) = self.tensor("dy", &name) {
                let feed = format!("dy/{name}");
                let input = imported.graph.input(&feed, dy.element(), dy.dims()).map_err(|error| error.to_string())?;
                seeds.push((value, input));
                feeds.push((feed, array(dy)));
            }
            imported.graph.output(value, &format!("out/{name}")).map_err(|error| error.to_string())?;
            compared.push((format!("out/{name}"), wanted));
        }
        let names: Vec<String> = imported.inputs.iter().map(|value| imported.graph.name(*value).to_owned()).collect();
        feeds.extend(names.iter().map(|name| (name.clone(), array(self.tensor("in", name).unwrap()))));
        feeds.extend(imported.running.iter().map(|running| (running.now.name.clone(), array(&running.now.tensor))));
        let found = gradients(&mut imported.graph, &seeds, &imported.inputs).map_err(|error| error.to_string())?;
        let mut worst = 0.0_f64;
        for (name, gradient) in names.iter().zip(found) {
            let Some(wanted) = self.tensor("grad", name) else { continue };
            match gradient {
                Some(gradient) => {
                    imported.graph.output(gradient, &format!("grad/{name}")).map_err(|error| error.to_string())?;
                    compared.push((format!("grad/{name}"), wanted));
                }
                None if wanted.to_f32().iter().all(|number| *number == 0.0) => {}
                None => return Err(format!("there is no gradient of {name}")),
            }
        }
        let model = encode(&imported.graph, self.name);
        let runtime = loaded();
        let settings = SessionSettings::default();
        let mut step =
            Step::open(&runtime, self.name, Model::Bytes(&model), &settings, &[]).map_err(|e| e.to_string())?;
        let mut state = State::new(&runtime, Device::Cpu).map_err(|error| error.to_string())?;
        let kept = |name: &str| step.inputs().iter().any(|input| input.name == name);
        let inputs: Vec<_> =
            feeds.iter().filter(|(name, _)| kept(name)).map(|(name, array)| (name.as_str(), array)).collect();
        let outputs: Vec<&str> = compared.iter().map(|(name, _)| name.as_str()).collect();
        let arrays = step.run(&mut state, &inputs, &outputs, &Cancel::default()).map_err(|error| error.to_string())?;
        for ((name, wanted), array) in compared.iter().zip(arrays) {
            if array.dims() != wanted.dims() {
                return Err(format!("{name} is {:?} instead of {:?}", array.dims(), wanted.dims()));
            }
            let numbers = array.to_f32().map_err(|error| error.to_string())?;
            let greatest = wanted.to_f32().iter().fold(1.0_f32, |most, number| most.max(number.abs()));
            for (ours, theirs) in numbers.iter().zip(wanted.to_f32()) {
                let apart = f64::from((ours - theirs).abs() / greatest);
                if apart.is_nan() || apart > 1e-5 {
                    return Err(format!("{name} holds {ours} instead of {theirs}"));
                }
                worst = worst.max(apart);
            }
        }
        Ok(worst)
    }
}

#[test]
fn every_operator_has_the_gradient_that_pytorch_computes() {
    let numbers = read_weights(&fixture("graph/rules.safetensors")).unwrap();
    let (mut failed, mut count, mut worst) = (Vec::new(), 0, 0.0_f64);
    for (key, about) in &numbers.metadata {
        let Some(name) = key.strip_prefix("case/") else { continue };
        let about: Value = serde_json::from_str(about).unwrap();
        let case = Case { name, about, numbers: &numbers };
        count += 1;
        match case.check() {
            Ok(apart) => worst = worst.max(apart),
            Err(error) => failed.push(format!("{name}: {error}")),
        }
    }
    assert!(
        failed.is_empty(),
        "{} of {count} cases (worst of the others {worst:.1e}):\n{}",
        failed.len(),
        failed.join("\n")
    );
    assert!(count > 400, "{count} cases");
}
