//! Losses, counts and descents against PyTorch's numbers (`tests/fixtures/graph`). Needs the library, no GPU.

use crate::graph_rules::{array, fixture};
use crate::runtime::loaded;
use selvedge::cancel::Cancel;
use selvedge::graph::net::Head;
use selvedge::graph::onnx::encode;
use selvedge::graph::train::{AdamW, CrossEntropy, Denominator, Optimiser, Recipe, Sgd, Trained, Trainee};
use selvedge::graph::weights::{Weights, read_weights};
use selvedge::graph::{Element, Graph, Tensor};
use selvedge::runtime::{Array, Device, Model, SessionSettings, State, Step};

/// A network whose logits are its only parameter, `z`.
fn bare_logits(dims: &[usize]) -> Trainee {
    let &[batch, classes, height, width] = dims else { panic!("{dims:?}") };
    let mut graph = Graph::new();
    let image = graph.input("image", Element::F32, &[batch, 3, height, width]).unwrap();
    let z = graph.input("z", Element::F32, dims).unwrap();
    let last = graph.transpose(z, &[0, 2, 3, 1]).unwrap();
    let logits = graph.reshape(last, &[batch, height * width, classes]).unwrap();
    let head = Head { name: "decode".to_owned(), logits, grid: (height, width), through: Vec::new(), weight: 1.0 };
    Trainee {
        graph,
        image,
        size: (height, width),
        heads: vec![head],
        parameters: vec![Trained { name: "z".to_owned(), value: z, rate: 1.0 }],
        statistics: Vec::new(),
        masks: Vec::new(),
    }
}

pub(crate) fn run(graph: &Graph, inputs: &[(&str, Array)], outputs: &[&str]) -> Vec<Array> {
    let bytes = encode(graph, "test");
    let runtime = loaded();
    let mut step = Step::open(&runtime, "test", Model::Bytes(&bytes), &SessionSettings::default(), &[]).unwrap();
    let mut state = State::new(&runtime, Device::Cpu).unwrap();
    let known = |name: &str| step.inputs().iter().any(|input| input.name == name);
    let inputs: Vec<_> = inputs.iter().filter(|(name, _)| known(name)).map(|(name, array)| (*name, array)).collect();
    step.run(&mut state, &inputs, outputs, &Cancel::default()).unwrap()
}

pub(crate) fn near(ours: &Array, theirs: &Tensor, allowed: f32, what: &str) {
    let (ours, theirs) = (ours.to_f32().unwrap(), theirs.to_f32());
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let most = theirs.iter().fold(1e-6_f32, |most, number| most.max(number.abs()));
    for (a, b) in ours.iter().zip(&theirs) {
        assert!((a - b).abs() <= allowed * most, "{what}: {a} instead of {b}");
    }
}

fn rules() -> Weights {
    read_weights(&fixture("graph/rules.safetensors")).unwrap()
}

#[test]
fn losses_gradients_and_counts_are_pytorchs() {
    let file = rules();
    let mut count = 0;
    for (key, about) in file.metadata.iter().filter(|(key, _)| key.starts_with("loss/") || key.starts_with("counts/")) {
        let about: serde_json::Value = serde_json::from_str(about).unwrap();
        let get = |name: &str| file.tensors.get(&format!("{key}/{name}"));
        let (logits, labels) = (get("logits").unwrap(), get("labels").unwrap());
        let denominator = if about["denominator"] == "all" { Denominator::All } else { Denominator::Valid };
        let class_weights = get("weights").map(Tensor::to_f32);
        let recipe = Recipe { loss: CrossEntropy { denominator, class_weights }, ..Recipe::default() };
        let trainee = bare_logits(logits.dims());
        let graph = trainee.gradient(&recipe, false).unwrap();
        let inputs = [
            ("z", array(logits)),
            ("label", array(labels)),
            ("accumulated/z", array(&Tensor::full(logits.dims(), 0.0))),
            ("image", array(&Tensor::full(&[labels.dims()[0], 3, labels.dims()[1], labels.dims()[2]], 0.0))),
        ];
        let found = run(&graph, &inputs, &["loss", "gradient/z", "counts"]);
        if let (Some(loss), Some(grad)) = (get("loss"), get("grad")) {
            near(&found[0], loss, 1e-6, key);
            near(&found[1], grad, 1e-6, key);
        }
        if let Some(counts) = get("counts") {
            assert_eq!(found[2].data(), counts.data(), "{key}");
        }
        count += 1;
    }
    assert_eq!(count, 20);
}

#[test]
fn adaptive_steps_are_pytorchs() {
    let file = rules();
    let mut count = 0;
    for (key, about) in file.metadata.iter().filter(|(key, _)| key.starts_with("adamw/")) {
        let about: serde_json::Value = serde_json::from_str(about).unwrap();
        let number = |value: &serde_json::Value| value.as_f64().unwrap() as f32;
        let adam = AdamW {
            betas: [0, 1].map(|index| about["betas"][index].as_f64().unwrap()),
            epsilon: number(&about["epsilon"]),
            weight_decay: number(&about["weight_decay"]),
        };
        let recipe = Recipe { optimiser: Optimiser::AdamW(adam), ..Recipe::default() };
        let start = &file.tensors[&format!("{key}/start")];
        let mut trainee = bare_logits(&[1, 2, 3, 4]);
        let value = trainee.graph.input("p", Element::F32, start.dims()).unwrap();
        trainee.parameters = vec![Trained { name: "p".to_owned(), value, rate: 0.5 }];
        let graph = trainee.update(&recipe).unwrap();
        let row = |name: &str, step: usize| {
            let all = file.tensors[&format!("{key}/{name}")].to_f32();
            Tensor::f32(start.dims(), &all[step * 12..(step + 1) * 12]).unwrap()
        };
        let nothing = array(&Tensor::full(start.dims(), 0.0));
        let mut kept = vec![array(start), nothing.clone(), nothing, Array::from_f32(&[2], &[0.0; 2]).unwrap()];
        for (step, rate) in about["rates"].as_array().unwrap().iter().enumerate() {
            // Half the rate is asked of a parameter with the multiple 0.5.
            let mut state = kept.into_iter();
            let inputs = [
                ("p", state.next().unwrap()),
                ("momentum/p", state.next().unwrap()),
                ("variance/p", state.next().unwrap()),
                ("bias_correction", state.next().unwrap()),
                ("accumulated/p", array(&row("grads", step))),
                ("learning_rate", Array::scalar(2.0 * number(rate))),
                ("gradient_scale", Array::scalar(1.0)),
            ];
            kept = run(&graph, &inputs, &["next/p", "next/momentum/p", "next/variance/p", "next/bias_correction"]);
            near(&kept[0], &row("after", step), 1e-6, key);
            near(&kept[1], &row("momenta", step), 1e-6, key);
            near(&kept[2], &row("variances", step), 1e-6, key);
        }
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn descents_are_pytorchs() {
    let file = rules();
    let mut count = 0;
    for (key, about) in file.metadata.iter().filter(|(key, _)| key.starts_with("sgd/")) {
        let about: serde_json::Value = serde_json::from_str(about).unwrap();
        let get = |name: &str| &file.tensors[&format!("{key}/{name}")];
        let number = |name: &str| about[name].as_f64().unwrap() as f32;
        let sgd = Sgd {
            momentum: number("momentum"),
            weight_decay: number("weight_decay"),
            nesterov: about["nesterov"] == true,
        };
        let recipe = Recipe { optimiser: Optimiser::Sgd(sgd), ..Recipe::default() };
        let start = get("start");
        let mut trainee = bare_logits(&[1, 2, 3, 4]);
        let value = trainee.graph.input("p", Element::F32, start.dims()).unwrap();
        trainee.parameters = vec![Trained { name: "p".to_owned(), value, rate: 0.5 }];
        let graph = trainee.update(&recipe).unwrap();
        let mut outputs = vec!["next/p"];
        outputs.extend((sgd.momentum > 0.0).then_some("next/momentum/p"));
        let (mut p, mut momentum) = (array(start), array(&Tensor::full(start.dims(), 0.0)));
        let row = |name: &str, step: usize| {
            let all = get(name).to_f32();
            Tensor::f32(start.dims(), &all[step * 12..(step + 1) * 12]).unwrap()
        };
        for (step, rate) in about["rates"].as_array().unwrap().iter().enumerate() {
            // Half the rate is asked of a parameter with the multiple 0.5; a third of three gradients is one.
            let rate = 2.0 * rate.as_f64().unwrap() as f32;
            let thrice = Tensor::f32(start.dims(), &row("grads", step).to_f32().map_each(|g| 3.0 * g)).unwrap();
            let inputs = [
                ("p", p),
                ("momentum/p", momentum.clone()),
                ("accumulated/p", array(&thrice)),
                ("learning_rate", Array::scalar(rate)),
                ("gradient_scale", Array::scalar(1.0 / 3.0)),
            ];
            let mut found = run(&graph, &inputs, &outputs).into_iter();
            p = found.next().unwrap();
            near(&p, &row("after", step), 1e-6, key);
            if let Some(next) = found.next() {
                momentum = next;
                near(&momentum, &row("momenta", step), 1e-6, key);
            }
        }
        count += 1;
    }
    assert_eq!(count, 6);
}

trait MapEach {
    fn map_each(self, apply: impl Fn(f32) -> f32) -> Vec<f32>;
}

impl MapEach for Vec<f32> {
    fn map_each(self, apply: impl Fn(f32) -> f32) -> Vec<f32> {
        self.into_iter().map(apply).collect()
    }
}
