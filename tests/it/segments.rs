//! Graphs cut into segments that are run in turn: the same nodes, the same numbers. Needs the library, no GPU.

use crate::graph_rules::{array, fixture};
use crate::runtime::loaded;
use selvedge::cancel::Cancel;
use selvedge::graph::net::{Config, Mode, build};
use selvedge::graph::onnx::encode;
use selvedge::graph::train::{Recipe, Recompute, Trainee};
use selvedge::graph::weights::{Weights, read_weights};
use selvedge::graph::{Element, Graph, Node, Segment, Tensor, Value, cut};
use selvedge::runtime::{Array, Device, Model, SessionSettings, State, Step};
use std::collections::{BTreeMap, BTreeSet};

pub(crate) const GOLDEN: [&str; 5] = ["segmenter_mask", "segmenter_linear", "setr_naive", "setr_pup", "setr_mla"];

pub(crate) type Arrays = BTreeMap<String, Array>;

pub(crate) fn golden(name: &str) -> Weights {
    read_weights(&fixture(&format!("golden/{name}_a.safetensors"))).unwrap()
}

pub(crate) fn trainee(file: &Weights, batch: usize) -> Trainee {
    Trainee::of_network(build(&Config::golden(&file.metadata).unwrap(), Mode::Train, batch).unwrap(), 1.0)
}

pub(crate) fn open(graph: &Graph) -> Step {
    let bytes = encode(graph, "test");
    Step::open(&loaded(), "test", Model::Bytes(&bytes), &SessionSettings::default(), &[]).unwrap()
}

/// Runs a graph on what it takes of `held`, and gives all its outputs.
pub(crate) fn run(step: &mut Step, held: &Arrays) -> Arrays {
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
pub(crate) fn begin(trainee: &Trainee, file: &Weights, rank: usize) -> Arrays {
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

pub(crate) fn added(a: &Array, b: &Array) -> Array {
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
pub(crate) fn together(parts: &mut [(Segment, Step)], ranks: &[Arrays]) -> Vec<Arrays> {
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

pub(crate) fn opened(segments: Vec<Segment>) -> Vec<(Segment, Step)> {
    segments.into_iter().map(|segment| (segment.clone(), open(&segment.graph))).collect()
}

pub(crate) fn apart(ours: &[f32], theirs: &[f32]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let apart = length(&mut ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b)));
    apart / length(&mut theirs.iter().map(|value| f64::from(*value))).max(1e-12)
}

/// ONNX Runtime moves transposes through everything that it can before it computes, as far as the graph goes; so the
/// rows of a batch norm behind a product of tokens may be summed along another axis in a segment than in the whole. With
/// its optimisation off all networks agree to the bit; as it is, those that have such a product agree in all but rounding.
pub(crate) fn same_numbers(given: &Arrays, whole: &Arrays, moved: bool, what: &str) {
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
