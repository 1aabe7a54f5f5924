//! Graphs cut into segments, and batch norms over several ranks: two simulated ranks, whose sums are added by hand, come to
//! what one rank does with both their batches. Needs the library, no GPU.

use crate::graph_rules::{array, fixture};
use crate::runtime::loaded;
use selvedge::cancel::Cancel;
use selvedge::graph::net::{Config, Mode, build, eval_graph};
use selvedge::graph::onnx::{Source, encode};
use selvedge::graph::train::{Precision, Recipe, Recompute, Trainee};
use selvedge::graph::weights::{Weights, read_weights};
use selvedge::graph::{
    BatchNorm, Element, Graph, ImportSettings, Node, Segment, Tensor, Value, batch_norm_train, cut, import,
};
use selvedge::runtime::{Array, Device, Model, SessionSettings, State, Step};
use std::collections::{BTreeMap, BTreeSet};

const GOLDEN: [&str; 5] = ["segmenter_mask", "segmenter_linear", "setr_naive", "setr_pup", "setr_mla"];
const RANKS: usize = 2;

type Arrays = BTreeMap<String, Array>;

fn golden(name: &str) -> Weights {
    read_weights(&fixture(&format!("golden/{name}_a.safetensors"))).unwrap()
}

fn trainee(file: &Weights, batch: usize) -> Trainee {
    Trainee::of_network(build(&Config::golden(&file.metadata).unwrap(), Mode::Train, batch).unwrap(), 1.0)
}

fn open(graph: &Graph) -> Step {
    let bytes = encode(graph, "test");
    Step::open(&loaded(), "test", Model::Bytes(&bytes), &SessionSettings::default(), &[]).unwrap()
}

/// Runs a graph on what it takes of `held`, and gives all its outputs.
fn run(step: &mut Step, held: &Arrays) -> Arrays {
    let mut state = State::new(&loaded(), Device::Cpu).unwrap();
    let inputs: Vec<String> = step.inputs().iter().map(|input| input.name.clone()).collect();
    let inputs: Vec<(&str, &Array)> = inputs.iter().map(|name| (name.as_str(), &held[name])).collect();
    let outputs: Vec<String> = step.outputs().iter().map(|output| output.name.clone()).collect();
    let names: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let found = step.run(&mut state, &inputs, &names, &Cancel::default()).unwrap();
    outputs.into_iter().zip(found).collect()
}

fn zeros(trainee: &Trainee, prefix: &str) -> Arrays {
    let of = |value: Value| array(&Tensor::full(trainee.graph.dims(value), 0.0));
    trainee.parameters.iter().map(|parameter| (format!("{prefix}{}", parameter.name), of(parameter.value))).collect()
}

/// Everything a gradient graph takes, the batch beginning at one picture of the file's.
fn begin(trainee: &Trainee, file: &Weights, rank: usize) -> Arrays {
    let mut held = zeros(trainee, "accumulated/");
    held.extend(zeros(trainee, "momentum/"));
    for (name, tensor) in &file.tensors {
        if let Some(name) = name.strip_prefix("param/") {
            held.insert(name.to_owned(), array(tensor));
        }
    }
    held.insert("image".to_owned(), pictures(trainee, &file.tensors["input/image"], rank));
    held.insert("label".to_owned(), pictures(trainee, &file.tensors["input/label"], rank));
    held.insert("rank".to_owned(), Array::i64(&[], &[rank as i64]).unwrap());
    held
}

/// A rank's share of a batch.
fn pictures(trainee: &Trainee, all: &Tensor, rank: usize) -> Array {
    let batch = trainee.graph.dims(trainee.image)[0];
    let mut dims = all.dims().to_vec();
    let one = all.data().len() / dims[0];
    dims[0] = batch;
    let data = all.data().slice(rank * batch * one..(rank + 1) * batch * one);
    array(&Tensor::new(all.element(), dims, data).unwrap())
}

fn added(a: &Array, b: &Array) -> Array {
    assert_eq!(a.dims(), b.dims());
    if a.element() == selvedge::runtime::Element::I64 {
        let numbers = |array: &Array| -> Vec<i64> {
            array.data().as_chunks::<8>().0.iter().map(|bytes| i64::from_le_bytes(*bytes)).collect()
        };
        let sum: Vec<i64> = numbers(a).into_iter().zip(numbers(b)).map(|(a, b)| a + b).collect();
        return Array::i64(a.dims(), &sum).unwrap();
    }
    let (a_numbers, b_numbers) = (a.to_f32().unwrap(), b.to_f32().unwrap());
    let sum: Vec<f32> = a_numbers.iter().zip(b_numbers).map(|(a, b)| a + b).collect();
    Array::from_f32(a.dims(), &sum).unwrap()
}

/// Runs the segments on every rank in turn, and adds up over the ranks in between. What the lists of a segment say is
/// kept to: nothing is there that they do not name. Gives what each rank gave out.
fn together(parts: &mut [(Segment, Step)], ranks: &[Arrays]) -> Vec<Arrays> {
    let read: BTreeSet<String> = parts.iter().flat_map(|(segment, _)| segment.carried_in.clone()).collect();
    let mut carried: Vec<Arrays> = vec![Arrays::new(); ranks.len()];
    let mut given: Vec<Arrays> = vec![Arrays::new(); ranks.len()];
    for (segment, step) in parts {
        for (rank, own) in ranks.iter().enumerate() {
            let mut held = own.clone();
            for name in &segment.carried_in {
                held.insert(name.clone(), carried[rank][name].clone());
            }
            let outputs = run(step, &held);
            carried[rank].retain(|name, _| !segment.spent.contains(name));
            for name in segment.cuts.iter().chain(&segment.carried_out) {
                carried[rank].insert(name.clone(), outputs[name].clone());
            }
            given[rank].extend(outputs.into_iter().filter(|(name, _)| !name.starts_with("carry/")));
        }
        for name in &segment.cuts {
            let sum = carried.iter().map(|own| own[name].clone()).reduce(|a, b| added(&a, &b)).unwrap();
            for own in carried.iter_mut().filter(|own| own.contains_key(name)) {
                own.insert(name.clone(), sum.clone());
            }
        }
    }
    let left = carried.iter().flat_map(Arrays::keys).find(|name| read.contains(*name));
    assert_eq!(left, None, "was never spent");
    given
}

fn opened(segments: Vec<Segment>) -> Vec<(Segment, Step)> {
    segments.into_iter().map(|segment| (segment.clone(), open(&segment.graph))).collect()
}

fn mean(given: &[Arrays], name: &str) -> Vec<f32> {
    let sum = given.iter().map(|own| own[name].clone()).reduce(|a, b| added(&a, &b)).unwrap();
    sum.to_f32().unwrap().into_iter().map(|number| number / given.len() as f32).collect()
}

fn apart(ours: &[f32], theirs: &[f32]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let apart = length(&mut ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b)));
    apart / length(&mut theirs.iter().map(|value| f64::from(*value))).max(1e-12)
}

#[test]
fn segments_run_in_turn_give_the_bits_of_the_whole() {
    for name in GOLDEN {
        let file = golden(name);
        let trainee = trainee(&file, 2);
        for recompute in [Recompute::None, Recompute::Blocks] {
            let graph = trainee.gradient(&Recipe { recompute, ..Recipe::default() }, true).unwrap();
            let held = begin(&trainee, &file, 0);
            let whole = run(&mut open(&graph), &held);
            // Where the heads begin and end, and some outputs, which keep their names.
            let mut at: Vec<Value> = trainee.heads.iter().map(|head| head.logits).collect();
            let norms = graph.nodes().iter().filter(|node| node.op == "LayerNormalization");
            at.extend(norms.filter_map(|node| node.output(0)).step_by(2));
            at.extend(graph.outputs().iter().step_by(10));
            let segments = cut(&graph, &at).unwrap();
            assert!(segments.len() > 5, "{name}: {} segments", segments.len());
            let named: BTreeSet<&String> = segments.iter().flat_map(|segment| &segment.cuts).collect();
            assert_eq!(
                named,
                at.iter().map(|value| graph.name(*value).to_owned()).collect::<BTreeSet<_>>().iter().collect()
            );
            same_nodes(&graph, &segments);
            let mut given = together(&mut opened(segments), &[held]).remove(0);
            given.retain(|name, _| whole.contains_key(name));
            same_numbers(&given, &whole, name == "setr_mla", name);
        }
    }
}

/// ONNX Runtime moves transposes through everything that it can before it computes, as far as the graph goes; so the
/// rows of a batch norm behind a product of tokens may be summed along another axis in a segment than in the whole. With
/// its optimisation off all networks agree to the bit; as it is, those that have such a product agree in all but rounding.
fn same_numbers(given: &Arrays, whole: &Arrays, moved: bool, what: &str) {
    assert_eq!(given.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>(), "{what}");
    if !moved {
        let other: Vec<&String> =
            given.iter().filter(|(name, array)| **array != whole[*name]).map(|(n, _)| n).collect();
        assert!(other.is_empty(), "{what}: {other:?}");
    }
    let all = |arrays: &Arrays| -> Vec<f32> {
        let gradients = arrays.iter().filter(|(name, _)| name.starts_with("gradient/"));
        gradients.flat_map(|(_, array)| array.to_f32().unwrap()).collect()
    };
    let apart = apart(&all(given), &all(whole));
    assert!(apart < 2e-6, "{what}: {apart:e}");
}

/// Each node of the whole stands in one segment, as it was; those that only show a value in another shape in as many as
/// read them.
fn same_nodes(whole: &Graph, segments: &[Segment]) {
    let told = |graph: &Graph, node: &Node| {
        let input = |input: &Option<Value>| {
            let name = graph.name((*input)?);
            Some(name.strip_prefix("carry/").unwrap_or(name).to_owned())
        };
        (node.op.clone(), node.inputs.iter().map(input).collect::<Vec<_>>(), node.attributes.clone())
    };
    let wanted: BTreeMap<&String, _> = whole.live().into_iter().map(|node| (&node.name, told(whole, node))).collect();
    let mut seen = BTreeSet::new();
    for segment in segments {
        for node in segment.graph.nodes() {
            assert_eq!(told(&segment.graph, node), wanted[&node.name], "{}", node.name);
            assert!(seen.insert(node.name.clone()) || node.op == "Reshape", "{} stands in two segments", node.name);
        }
    }
    assert!(wanted.keys().all(|name| seen.contains(*name)));
}

#[test]
fn one_rank_alone_computes_what_it_does_without_segments() {
    for name in GOLDEN {
        let file = golden(name);
        let trainee = trainee(&file, 2);
        let recipe = Recipe::default();
        let held = begin(&trainee, &file, 0);
        let whole = run(&mut open(&trainee.gradient(&recipe, false).unwrap()), &held);
        let mut given = together(&mut opened(trainee.synchronised(&recipe, 1).unwrap()), &[held]).remove(0);
        given.retain(|name, _| whole.contains_key(name));
        same_numbers(&given, &whole, ["setr_naive", "setr_mla"].contains(&name), name);
    }
}

#[test]
fn two_ranks_have_the_gradients_losses_counts_and_statistics_of_one_with_both_batches() {
    for (name, cuts) in
        [("segmenter_mask", 0), ("segmenter_linear", 0), ("setr_naive", 4), ("setr_pup", 8), ("setr_mla", 8)]
    {
        let file = golden(name);
        let (all, half) = (trainee(&file, 2), trainee(&file, 1));
        let recipe = Recipe::default();
        let whole = run(&mut open(&all.gradient(&recipe, false).unwrap()), &begin(&all, &file, 0));
        let segments = half.synchronised(&recipe, RANKS).unwrap();
        assert_eq!(segments.len(), cuts + 1, "{name}");
        let ranks: Vec<Arrays> = (0..RANKS).map(|rank| begin(&half, &file, rank)).collect();
        let given = together(&mut opened(segments), &ranks);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let mut worst: (f64, f64) = (0.0, 0.0);
        for (output, wanted) in &whole {
            match output.as_str() {
                "counts" => assert_eq!(added(&given[0][output], &given[1][output]), *wanted),
                _ if output.starts_with("next/") => {
                    assert_eq!(given[0][output], given[1][output], "{name}: ranks differ in {output}");
                    if output.ends_with("num_batches_tracked") {
                        assert_eq!(given[0][output], *wanted);
                        continue;
                    }
                    let apart = apart(&given[0][output].to_f32().unwrap(), &wanted.to_f32().unwrap());
                    worst.1 = worst.1.max(apart);
                    assert!(apart < 1e-6, "{name}: {output} {apart:e}");
                }
                _ => {
                    let (mean, wanted) = (mean(&given, output), wanted.to_f32().unwrap());
                    let apart = apart(&mean, &wanted);
                    // What a key's bias adds to all scores alike cancels: that gradient is nothing but rounding.
                    if wanted.iter().any(|number| number.abs() > 1e-7) {
                        worst.0 = worst.0.max(apart);
                        assert!(apart < 2e-5, "{name}: {output} {apart:e}");
                    }
                    if output.starts_with("gradient/") {
                        ours.extend(mean);
                        theirs.extend(wanted);
                    }
                }
            }
        }
        let all = apart(&ours, &theirs);
        println!("{name}: all gradients {all:e}, worst {:e}, statistics {:e}", worst.0, worst.1);
        assert!(theirs.len() > 1000 && all < 2e-6, "{name}: all gradients {all:e}");
    }
}

#[test]
fn three_steps_of_two_ranks_come_to_those_of_one() {
    for name in GOLDEN {
        let file = golden(name);
        let (all, half) = (trainee(&file, 2), trainee(&file, 1));
        let recipe = Recipe::default();
        let mut whole = begin(&all, &file, 0);
        whole.insert("learning_rate".to_owned(), Array::scalar(0.01));
        let mut ranks: Vec<Arrays> = (0..RANKS).map(|rank| begin(&half, &file, rank)).collect();
        let mut step = open(&all.step(&recipe).unwrap());
        let mut parts = opened(half.synchronised(&recipe, RANKS).unwrap());
        let mut update = open(&half.update(&recipe).unwrap());
        let advance = |held: &mut Arrays, outputs: Arrays| {
            for (name, array) in outputs {
                if let Some(name) = name.strip_prefix("next/") {
                    held.insert(name.to_owned(), array);
                }
            }
        };
        for at in 0..3 {
            let outputs = run(&mut step, &whole);
            let loss = outputs["loss"].to_f32().unwrap();
            advance(&mut whole, outputs);
            let given = together(&mut parts, &ranks);
            let apart = apart(&mean(&given, "loss"), &loss);
            assert!(apart < 1e-5, "{name}: loss {at} {apart:e}");
            let mut sums = Arrays::from([
                ("learning_rate".to_owned(), Array::scalar(0.01)),
                ("gradient_scale".to_owned(), Array::scalar(1.0 / RANKS as f32)),
            ]);
            for output in given[0].keys().filter(|name| name.starts_with("gradient/")) {
                sums.insert(output.clone(), added(&given[0][output], &given[1][output]));
            }
            for (held, given) in ranks.iter_mut().zip(given) {
                let mut inputs = held.clone();
                inputs.extend(sums.clone());
                let outputs = run(&mut update, &inputs);
                advance(held, outputs);
                advance(held, given);
            }
        }
        let mut worst: f64 = 0.0;
        for (tensor, wanted) in whole.iter().filter(|(name, _)| file.tensors.contains_key(&format!("param/{name}"))) {
            assert_eq!(ranks[0][tensor], ranks[1][tensor], "{name}: ranks differ in {tensor}");
            if tensor.ends_with("num_batches_tracked") {
                assert_eq!(ranks[0][tensor], *wanted);
                continue;
            }
            let reference = &file.tensors[&format!("after3/{tensor}")];
            let ours = ranks[0][tensor].to_f32().unwrap();
            let apart = apart(&ours, &wanted.to_f32().unwrap());
            worst = worst.max(apart);
            assert!(apart < 1e-5, "{name}: {tensor} {apart:e}");
            let apart = self::apart(&ours, &reference.to_f32());
            assert!(apart < 1e-4, "{name}: {tensor} {apart:e} from the reference");
        }
        println!("{name}: after three steps at most {worst:e}");
    }
}

#[test]
fn a_mean_a_thousand_times_the_deviation_costs_no_more_digits_than_on_one_rank() {
    let build = |batch: usize| {
        let mut graph = Graph::new();
        let x = graph.input("x", Element::F32, &[batch, 3, 5, 7]).unwrap();
        let mut channels = |name: &str| graph.input(name, Element::F32, &[3]).unwrap();
        let [scale, bias, running_mean, running_var] =
            ["scale", "bias", "running_mean", "running_var"].map(&mut channels);
        let norm = BatchNorm { scale, bias, running_mean, running_var, momentum: 0.5, epsilon: 1e-5 };
        (batch_norm_train(&mut graph, x, &norm).unwrap(), graph, x)
    };
    // As a network whose logits are what the batch norm gives.
    let network = |batch: usize| {
        let (out, mut graph, x) = build(batch);
        let last = graph.transpose(out.y, &[0, 2, 3, 1]).unwrap();
        let logits = graph.reshape(last, &[batch, 35, 3]).unwrap();
        let head = selvedge::graph::net::Head {
            name: "decode".to_owned(),
            logits,
            grid: (5, 7),
            through: Vec::new(),
            weight: 1.0,
        };
        Trainee {
            image: x,
            size: (5, 7),
            heads: vec![head],
            parameters: vec![selvedge::graph::train::Trained { name: "x".to_owned(), value: x, rate: 1.0 }],
            statistics: vec![
                selvedge::graph::train::Statistic { name: "running_mean".to_owned(), next: out.next_mean },
                selvedge::graph::train::Statistic { name: "running_var".to_owned(), next: out.next_var },
            ],
            masks: Vec::new(),
            graph,
        }
    };
    let mut seed = 1_u32;
    let mut draw = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 8) as f32 / (1 << 24) as f32
    };
    let numbers: Vec<f32> = (0..6 * 105).map(|at| [1000.0, -3.0, 4096.0][at / 35 % 3] + draw()).collect();
    let labels: Vec<u8> = (0..6 * 35).map(|_| (draw() * 3.0) as u8).collect();
    let ones = |value: f32| Array::from_f32(&[3], &[value; 3]).unwrap();
    let held = |from: usize, batch: usize, rank: i64| {
        let pictures = &numbers[from * 105..(from + batch) * 105];
        Arrays::from([
            ("x".to_owned(), Array::from_f32(&[batch, 3, 5, 7], pictures).unwrap()),
            ("label".to_owned(), Array::u8(&[batch, 5, 7], labels[from * 35..(from + batch) * 35].to_vec()).unwrap()),
            ("accumulated/x".to_owned(), Array::from_f32(&[batch, 3, 5, 7], &vec![0.0; batch * 105]).unwrap()),
            ("rank".to_owned(), Array::i64(&[], &[rank]).unwrap()),
            ("scale".to_owned(), ones(1.5)),
            ("bias".to_owned(), ones(0.5)),
            ("running_mean".to_owned(), ones(0.0)),
            ("running_var".to_owned(), ones(1.0)),
        ])
    };
    let recipe = Recipe::default();
    let whole = run(&mut open(&network(6).gradient(&recipe, false).unwrap()), &held(0, 6, 0));
    let ranks: Vec<Arrays> = (0..3).map(|rank| held(rank * 2, 2, rank as i64)).collect();
    let given = together(&mut opened(network(2).synchronised(&recipe, 3).unwrap()), &ranks);
    // The variance of the whole batch in 64 bits, unbiased, blended half and half with 1.
    for channel in 0..3 {
        let of: Vec<f64> =
            (0..numbers.len()).filter(|at| at / 35 % 3 == channel).map(|at| f64::from(numbers[at])).collect();
        let mean = of.iter().sum::<f64>() / of.len() as f64;
        let variance = of.iter().map(|number| (number - mean).powi(2)).sum::<f64>() / (of.len() - 1) as f64;
        for own in given.iter().chain([&whole]) {
            let found = f64::from(own["next/running_var"].to_f32().unwrap()[channel]);
            assert!((found - 0.5 - 0.5 * variance).abs() < 2e-6, "{found} for {variance}");
        }
    }
    let (mut ours, theirs) = (Vec::new(), whole["gradient/x"].to_f32().unwrap());
    for own in &given {
        // A rank's loss is the mean over its own pictures, which are a third of all.
        ours.extend(own["gradient/x"].to_f32().unwrap().into_iter().map(|number| number / 3.0));
    }
    let apart = apart(&ours, &theirs);
    assert!(apart < 1e-3, "{apart:e}");
}

#[test]
fn batch_norms_of_graphs_from_elsewhere_are_shared_too() {
    let file = golden("setr_naive");
    let exported = |batch: usize| {
        let mut graph = eval_graph(&Config::golden(&file.metadata).unwrap(), batch).unwrap();
        for input in graph.inputs().to_vec() {
            if let Some(tensor) = file.tensors.get(&format!("param/{}", graph.name(input))) {
                graph.embed(input, tensor.clone()).unwrap();
            }
        }
        assert!(graph.nodes().iter().any(|node| node.op == "BatchNormalization"));
        let source = Source::decode(encode(&graph, "exported").into(), "exported", Default::default()).unwrap();
        let settings = ImportSettings { training: true, ..ImportSettings::default() };
        let imported = import(&source, &settings).unwrap();
        Trainee::of_import(&imported, &[("logits".to_owned(), 1.0)]).unwrap()
    };
    let (all, half) = (exported(2), exported(1));
    let recipe = Recipe::default();
    let whole = run(&mut open(&all.gradient(&recipe, false).unwrap()), &begin(&all, &file, 0));
    let segments = half.synchronised(&recipe, RANKS).unwrap();
    assert!(segments.len() > 2);
    let ranks: Vec<Arrays> = (0..RANKS).map(|rank| begin(&half, &file, rank)).collect();
    let given = together(&mut opened(segments), &ranks);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for (output, wanted) in whole.iter().filter(|(name, _)| name.as_str() != "counts") {
        ours.extend(mean(&given, output));
        theirs.extend(wanted.to_f32().unwrap());
    }
    let apart = apart(&ours, &theirs);
    assert!(theirs.len() > 1000 && apart < 2e-6, "{apart:e}");
}

#[test]
fn segments_come_in_every_precision_and_a_rank_that_is_none_is_an_error() {
    let file = golden("setr_mla");
    let trainee = trainee(&file, 1);
    for precision in [Precision::F32, Precision::Bf16, Precision::Bf16Emulated, Precision::F16] {
        let segments = trainee.synchronised(&Recipe { precision, ..Recipe::default() }, 4).unwrap();
        assert_eq!(segments.len(), 9, "{precision:?}");
        // Eight batch norms of the neck and eight of the head; those that do not need each other share a cut.
        let counts: Vec<usize> = segments.iter().map(|segment| segment.cuts.len()).collect();
        assert_eq!(counts, [4, 4, 4, 4, 4, 4, 4, 4, 0], "{precision:?}");
    }
    assert!(trainee.synchronised(&Recipe::default(), 0).is_err());
    assert!(trainee.synchronised(&Recipe::default(), 1000).is_err());
    let mut parts = opened(trainee.synchronised(&Recipe::default(), RANKS).unwrap());
    let mut held = begin(&trainee, &file, 0);
    held.insert("rank".to_owned(), Array::i64(&[], &[2]).unwrap());
    let mut state = State::new(&loaded(), Device::Cpu).unwrap();
    let step = &mut parts[0].1;
    let names: Vec<String> = step.inputs().iter().map(|input| input.name.clone()).collect();
    let inputs: Vec<(&str, &Array)> = names.iter().map(|name| (name.as_str(), &held[name])).collect();
    assert!(step.run(&mut state, &inputs, &[], &Cancel::default()).is_err());
}

#[test]
fn a_graph_is_cut_only_where_a_node_makes_something() {
    let mut graph = Graph::new();
    let x = graph.input("x", Element::F32, &[4]).unwrap();
    let y = graph.unary("Exp", x).unwrap();
    let unused = graph.unary("Sqrt", x).unwrap();
    graph.output(y, "y").unwrap();
    let seed = graph.scalar(1.0);
    for at in [x, unused, seed] {
        assert!(cut(&graph, &[at]).is_err());
    }
    let [whole] = cut(&graph, &[]).unwrap().try_into().unwrap_or_else(|_| panic!("more than one"));
    assert_eq!(encode(&whole.graph, "a"), encode(&graph, "a"));
}
