//! What is computed again in the backward pass instead of being kept: the same numbers, truly computed again, in less
//! memory. Needs the library, no GPU.

use crate::graph_rules::{array, fixture};
use crate::runtime::loaded;
use selvedge::cancel::Cancel;
use selvedge::graph::net::{Config, MaskKind, Mode, build};
use selvedge::graph::onnx::encode;
use selvedge::graph::train::{Precision, Recipe, Recompute, Trainee};
use selvedge::graph::weights::{Weights, read_weights};
use selvedge::graph::{ImportSettings, Tensor, import, measure, onnx::read_model};
use selvedge::runtime::{Array, Device, Element, Model, SessionSettings, State, Step};
use std::collections::BTreeMap;

const GOLDEN: [&str; 5] = ["segmenter_mask", "segmenter_linear", "setr_naive", "setr_pup", "setr_mla"];
const SETTINGS: [Recompute; 3] = [Recompute::None, Recompute::Attention, Recompute::Blocks];

/// A number of a sequence that is the same every time, from 0 to 1.
fn draws() -> impl FnMut() -> f32 {
    let mut seed = 1_u32;
    move || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32
    }
}

/// The inputs that a golden file holds, by their names in the graph.
fn inputs(file: &Weights) -> BTreeMap<String, Tensor> {
    let held = file.tensors.iter().filter_map(|(name, tensor)| {
        let name = name.strip_prefix("param/").or_else(|| name.strip_prefix("input/"))?;
        Some((name.to_owned(), tensor.clone()))
    });
    held.collect()
}

/// The outputs of the gradient graph, losses first, and how many nodes the runtime ran for them.
fn gradients(
    trainee: &Trainee,
    held: &BTreeMap<String, Tensor>,
    recompute: Recompute,
) -> (Vec<(String, Vec<f32>)>, usize) {
    let recipe = Recipe { recompute, ..Recipe::default() };
    let graph = trainee.gradient(&recipe, true).unwrap();
    let mut state = State::new(&loaded(), Device::Cpu).unwrap();
    let mut given = Vec::new();
    for value in graph.inputs() {
        let (name, kind) = (graph.name(*value), graph.kind(*value));
        let mut draw = draws();
        let mask = trainee.masks.iter().find(|mask| mask.name == name);
        if let Some(tensor) = held.get(name) {
            given.push((name, array(tensor)));
        } else if let Some(mask) = mask {
            let kept = (0..kind.len()).map(|_| draw() < 0.7);
            given.push((
                name,
                match mask.kind {
                    MaskKind::Paths => Array::from_f32(
                        &kind.dims,
                        &kept.map(|kept| f32::from(u8::from(kept)) / 0.7).collect::<Vec<_>>(),
                    ),
                    MaskKind::Numbers => Array::new(Element::U8, &kind.dims, kept.map(u8::from).collect::<Vec<u8>>()),
                }
                .unwrap(),
            ));
        } else {
            assert!(name.starts_with("accumulated/"), "{name}");
            given.push((name, Array::from_f32(&kind.dims, &vec![0.0; kind.len()]).unwrap()));
        }
    }
    let given: Vec<(&str, &Array)> = given.iter().map(|(name, array)| (*name, array)).collect();
    let names: Vec<&str> = graph
        .outputs()
        .iter()
        .map(|output| graph.name(*output))
        .filter(|name| !name.starts_with("next/") && *name != "counts")
        .collect();
    let bytes = encode(&graph, "test");
    let mut step = Step::open(&loaded(), "test", Model::Bytes(&bytes), &SessionSettings::default(), &[]).unwrap();
    let nodes = step.count_nodes(&mut state, &given).unwrap().values().sum();
    let found = step.run(&mut state, &given, &names, &Cancel::default()).unwrap();
    let numbers = names.iter().zip(found).map(|(name, array)| ((*name).to_owned(), array.to_f32().unwrap()));
    (numbers.collect(), nodes)
}

fn apart(ours: &[f32], theirs: &[f32]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let apart = length(&mut ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b)));
    apart / length(&mut theirs.iter().map(|value| f64::from(*value))).max(1e-12)
}

fn check(
    trainee: &Trainee,
    held: &BTreeMap<String, Tensor>,
    reference: Option<&Weights>,
    attentions: usize,
    what: &str,
) {
    let (plain, nodes) = gradients(trainee, held, Recompute::None);
    for recompute in [Recompute::Attention, Recompute::Blocks] {
        let (again, more) = gradients(trainee, held, recompute);
        // A gate of four nodes, the product and the softmax; whole blocks are some ten nodes more.
        let least = if recompute == Recompute::Attention { 6 } else { 14 };
        assert!(more >= nodes + least * attentions, "{what}, {recompute:?}: {more} nodes after {nodes}, merged again");
        assert_eq!(plain.len(), again.len());
        for ((name, plain), (_, again)) in plain.iter().zip(&again) {
            assert!(plain.iter().all(|number| number.is_finite()), "{what}: {name}");
            assert!(apart(again, plain) <= 1e-6, "{what}, {recompute:?}: {name} is {:e} apart", apart(again, plain));
        }
        let sum = |found: &[(String, Vec<f32>)], names: &dyn Fn(&str) -> bool| -> Vec<f32> {
            found.iter().filter(|(name, _)| names(name)).flat_map(|(_, numbers)| numbers.iter().copied()).collect()
        };
        if let Some(file) = reference {
            let known = |name: &str| file.tensors.contains_key(&name.replacen("gradient/", "grad/", 1));
            let theirs: Vec<f32> = again
                .iter()
                .filter_map(|(name, _)| file.tensors.get(&name.replacen("gradient/", "grad/", 1)))
                .flat_map(|tensor| tensor.to_f32())
                .collect();
            assert!(theirs.len() > 1000);
            let apart = apart(&sum(&again, &known), &theirs);
            assert!(apart <= 1e-4, "{what}, {recompute:?}: {apart:e} from the reference");
        }
    }
}

#[test]
fn gradients_of_every_network_are_those_of_the_reference_whatever_is_computed_again() {
    for name in GOLDEN {
        let file = read_weights(&fixture(&format!("golden/{name}_a.safetensors"))).unwrap();
        let config = Config::golden(&file.metadata).unwrap();
        let batch = file.tensors["input/image"].dims()[0];
        let trainee = Trainee::of_network(build(&config, Mode::Train, batch).unwrap(), 1.0);
        let decoder = if name == "segmenter_mask" { config.decoder_layers } else { 0 };
        check(&trainee, &inputs(&file), Some(&file), config.layers + decoder, name);
    }
}

#[test]
fn what_is_left_out_at_random_is_left_out_again() {
    let file = read_weights(&fixture("golden/segmenter_mask_a.safetensors")).unwrap();
    let mut config = Config::golden(&file.metadata).unwrap();
    (config.drop_path, config.decoder_drop_path, config.decoder_dropout) = (0.3, 0.3, 0.3);
    let batch = file.tensors["input/image"].dims()[0];
    let trainee = Trainee::of_network(build(&config, Mode::Train, batch).unwrap(), 1.0);
    assert!(trainee.masks.len() > 3);
    check(&trainee, &inputs(&file), None, config.layers + config.decoder_layers, "with masks");
    // The mask's factors are as large as the probabilities: they are not kept either.
    let kept = |recompute| {
        let graph = trainee.gradient(&Recipe { recompute, ..Recipe::default() }, false).unwrap();
        graph.nodes().iter().filter(|node| node.op == "Cast" && node.name.contains("attention")).count()
    };
    assert_eq!(kept(Recompute::Attention), kept(Recompute::None) + config.decoder_layers);
}

#[test]
fn attention_in_graphs_from_elsewhere_is_found_too() {
    let folder = fixture("graph/exported");
    let mut found = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some((network, exporter)) = name.strip_suffix(".onnx").and_then(|stem| stem.split_once('_')) else {
            continue;
        };
        if exporter.ends_with("opt") {
            continue;
        }
        let imported = import(&read_model(&path).unwrap(), &ImportSettings::default()).unwrap();
        let trainee = Trainee::of_import(&imported, &[(imported.outputs[0].0.clone(), 1.0)]).unwrap();
        let numbers = read_weights(&folder.join(format!("{network}.safetensors"))).unwrap();
        let image = trainee.graph.name(trainee.image).to_owned();
        let weights = imported.parameters.iter().chain(imported.running.iter().map(|running| &running.now));
        let held = weights
            .map(|tensor| (tensor.name.clone(), tensor.tensor.clone()))
            .chain([(image, numbers.tensors["input/image"].clone())])
            .chain([("label".to_owned(), numbers.tensors["input/label"].clone())])
            .collect();
        let softmaxes = |recompute| {
            let graph = trainee.step(&Recipe { recompute, ..Recipe::default() }).unwrap();
            graph.nodes().iter().filter(|node| node.op == "Softmax").count()
        };
        let [none, attention, blocks] = SETTINGS.map(softmaxes);
        assert_eq!((attention, blocks), (2 * none, 2 * none), "{name}");
        check(&trainee, &held, None, 0, &name);
        found += none;
    }
    assert!(found > 8, "{found} attentions");
}

#[test]
fn what_is_computed_again_can_be_lowered_and_the_losses_come_first() {
    let file = read_weights(&fixture("golden/setr_mla_a.safetensors")).unwrap();
    let trainee = Trainee::of_network(build(&Config::golden(&file.metadata).unwrap(), Mode::Train, 1).unwrap(), 1.0);
    for recompute in SETTINGS {
        for precision in [Precision::F32, Precision::Bf16, Precision::Bf16Emulated, Precision::F16] {
            let recipe = Recipe { recompute, precision, ..Recipe::default() };
            let graph = trainee.step(&recipe).unwrap();
            // The runtime begins with what the last node needs.
            let last = graph.nodes().last().unwrap().output(0).unwrap();
            assert!(["loss", "counts"].contains(&graph.name(last)), "{recipe:?}: {}", graph.name(last));
        }
    }
}

#[test]
fn less_memory_is_needed_for_what_is_computed_again() {
    let config = Config::named("segmenter-vit-t-mask", 28, (512, 512)).unwrap();
    let trainee = Trainee::of_network(build(&config, Mode::Train, 2).unwrap(), 1.0);
    let [none, attention, blocks] = SETTINGS.map(|recompute| {
        let graph = trainee.step(&Recipe { recompute, ..Recipe::default() }).unwrap();
        measure(&graph, graph.outputs(), |_| false).alive_bytes as f64
    });
    assert!(attention < 0.75 * none, "{attention} after {none}");
    assert!(blocks < 0.4 * none, "{blocks} after {none}");
}
