//! Steps, gradients and updates as whole graphs: against golden numbers, exported graphs, and PyTorch's losses, descents and
//! mixed precision. Needs the library, no GPU.

use crate::graph_rules::{array, fixture};
use crate::losses::{near, run};
use crate::runtime::loaded;
use selvedge::cancel::Cancel;
use selvedge::graph::net::{Config, Mode, build, eval_graph};
use selvedge::graph::onnx::encode;
use selvedge::graph::train::{Precision, Recipe, Trainee};
use selvedge::graph::weights::{
    Naming, Weights, fit, from_canonical, read_weights, to_canonical, write_pth, write_safetensors,
};
use selvedge::graph::{Element, Graph, Tensor};
use selvedge::runtime::{Array, Device, Model, SessionSettings, State, Step};
use selvedge::stage::bench::Bench;
use selvedge::stage::model::{exported::check_exported, golden::check_golden};
use std::collections::BTreeSet;

fn bench() -> Bench {
    Bench { runtime: loaded(), threads: 1, device: Device::Cpu, tf32: false, cuda_graph: false }
}

const GOLDEN: [&str; 5] = ["segmenter_mask", "segmenter_linear", "setr_naive", "setr_pup", "setr_mla"];

fn golden(name: &str) -> std::path::PathBuf {
    fixture(&format!("golden/{name}_a.safetensors"))
}

#[test]
fn every_network_has_the_numbers_of_the_reference_in_every_tensor() {
    for name in GOLDEN {
        let (verdict, ours) = check_golden(&golden(name), &bench(), &Cancel::default()).unwrap();
        assert!(verdict.passed(), "{name}\n{verdict}");
        let file = read_weights(&golden(name)).unwrap();
        assert!(ours.tensors.keys().eq(file.tensors.keys()), "{name}: what is dumped is what the file holds");
    }
}

#[test]
fn a_golden_file_that_was_changed_anywhere_does_not_pass() {
    let file = read_weights(&golden("segmenter_linear")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.safetensors");
    let first = |prefix: &str| file.tensors.keys().find(|name| name.starts_with(prefix)).unwrap().clone();
    let check = |file: &Weights| {
        write_safetensors(&path, file).unwrap();
        check_golden(&path, &bench(), &Cancel::default()).is_ok_and(|(verdict, _)| verdict.passed())
    };
    assert!(check(&file));
    for name in ["eval/seg_logits", "train/decode.loss_ce", "train/loss_per_step", &first("grad/"), &first("after3/")] {
        let tensor = &file.tensors[name];
        let mut bent = tensor.to_f32();
        bent[0] += 0.5 + bent[0].abs();
        let with = |tensor: Tensor| {
            let mut file = file.clone();
            file.tensors.insert(name.to_owned(), tensor);
            file
        };
        assert!(!check(&with(Tensor::f32(tensor.dims(), &bent).unwrap())), "{name} with another number");
        bent[0] = f32::NAN;
        assert!(!check(&with(Tensor::f32(tensor.dims(), &bent).unwrap())), "{name} with none");
        let longer = [&[1], tensor.dims()].concat();
        assert!(!check(&with(tensor.with_dims(&longer).unwrap())), "{name} in another shape");
        let mut file = file.clone();
        file.tensors.remove(name);
        assert!(!check(&file), "{name} missing");
    }
    for name in [first("param/"), "grad/of.nothing".to_owned(), "strange".to_owned()] {
        let mut file = file.clone();
        if file.tensors.remove(&name).is_none() {
            file.tensors.insert(name.clone(), Tensor::scalar(0.0));
        }
        assert!(!check(&file), "{name}");
    }
}

#[test]
fn graphs_from_both_exporters_are_differentiated_as_pytorch_does() {
    let folder = fixture("graph/exported");
    let mut count = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let Some((network, exporter)) = name.strip_suffix(".onnx").and_then(|stem| stem.split_once('_')) else {
            continue;
        };
        // The newer exporter's optimiser renames weights.
        if exporter.ends_with("opt") {
            continue;
        }
        let numbers = folder.join(format!("{network}.safetensors"));
        let (verdict, _) = check_exported(&path, &numbers, &bench(), &Cancel::default()).unwrap();
        assert!(verdict.passed(), "{name}\n{verdict}");
        count += 1;
    }
    assert!(count >= 18, "{count} graphs");
}

/// The golden network of a name, what its steps need to run, and its file.
fn tiny(name: &str) -> (Trainee, Weights) {
    let file = read_weights(&golden(name)).unwrap();
    let config = Config::golden(&file.metadata).unwrap();
    let batch = file.tensors["input/image"].dims()[0];
    (Trainee::of_network(build(&config, Mode::Train, batch).unwrap(), 1.0), file)
}

/// The state a step begins with: parameters, statistics, momenta and accumulators of zero.
fn begin(trainee: &Trainee, file: &Weights) -> State {
    let mut state = State::new(&loaded(), Device::Cpu).unwrap();
    for (name, tensor) in &file.tensors {
        if let Some(name) = name.strip_prefix("param/") {
            state.set(name, &array(tensor)).unwrap();
        }
    }
    for parameter in &trainee.parameters {
        let zeros = array(&Tensor::full(trainee.graph.dims(parameter.value), 0.0));
        for prefix in ["momentum/", "accumulated/"] {
            state.set(&format!("{prefix}{}", parameter.name), &zeros).unwrap();
        }
    }
    state
}

fn open(graph: &Graph, writes: &[(String, String)]) -> Step {
    let bytes = encode(graph, "test");
    Step::open(&loaded(), "test", Model::Bytes(&bytes), &SessionSettings::default(), writes).unwrap()
}

/// Pairs of a state's names and the outputs that follow them.
fn next(names: impl IntoIterator<Item = String>) -> Vec<(String, String)> {
    names.into_iter().map(|name| (name.clone(), format!("next/{name}"))).collect()
}

fn trained(trainee: &Trainee) -> Vec<String> {
    let names = trainee.parameters.iter().map(|parameter| parameter.name.clone());
    let momenta = trainee.parameters.iter().map(|parameter| format!("momentum/{}", parameter.name));
    names.chain(momenta).collect()
}

#[test]
fn gradients_added_up_and_an_update_come_to_what_one_step_does() {
    let (trainee, file) = tiny("setr_naive");
    let recipe = Recipe::default();
    let (image, label) = (array(&file.tensors["input/image"]), array(&file.tensors["input/label"]));
    let rate = Array::scalar(0.01);
    let statistics = || trainee.statistics.iter().map(|statistic| statistic.name.clone());
    let mut whole = begin(&trainee, &file);
    let mut step = open(&trainee.step(&recipe).unwrap(), &next(trained(&trainee).into_iter().chain(statistics())));
    let inputs = [("image", &image), ("label", &label), ("learning_rate", &rate)];
    step.run(&mut whole, &inputs, &[], &Cancel::default()).unwrap();

    // The same batch twice, divided by two.
    let mut parts = begin(&trainee, &file);
    let mut writes: Vec<_> = trainee
        .parameters
        .iter()
        .map(|parameter| (format!("accumulated/{}", parameter.name), format!("gradient/{}", parameter.name)))
        .collect();
    let counters: Vec<String> = statistics().filter(|name| name.ends_with("num_batches_tracked")).collect();
    writes.extend(next(counters.clone()));
    let mut gradient = open(&trainee.gradient(&recipe, false).unwrap(), &writes);
    for _ in 0..2 {
        gradient.run(&mut parts, &[("image", &image), ("label", &label)], &[], &Cancel::default()).unwrap();
    }
    let mut update = open(&trainee.update(&recipe).unwrap(), &next(trained(&trainee)));
    let half = Array::scalar(0.5);
    let inputs = [("learning_rate", &rate), ("gradient_scale", &half)];
    update.run(&mut parts, &inputs, &[], &Cancel::default()).unwrap();
    for name in trained(&trainee) {
        let whole =
            Tensor::f32(parts.get(&name).unwrap().dims(), &whole.get(&name).unwrap().to_f32().unwrap()).unwrap();
        near(&parts.get(&name).unwrap(), &whole, 1e-5, &name);
    }
    assert!(!counters.is_empty());
    for counter in counters {
        assert_eq!(parts.get(&counter).unwrap(), Array::i64(&[], &[2]).unwrap());
    }
}

fn relative(ours: &[f32], theirs: &[f32]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>().sqrt();
    let apart = length(&mut ours.iter().zip(theirs).map(|(a, b)| f64::from(a - b)));
    apart / length(&mut theirs.iter().map(|value| f64::from(*value))).max(1e-12)
}

#[test]
fn products_in_bf16_come_near_pytorchs_autocast() {
    let file = read_weights(&fixture("graph/autocast.safetensors")).unwrap();
    let config = Config::golden(&file.metadata).unwrap();
    let trainee = Trainee::of_network(build(&config, Mode::Train, 2).unwrap(), 1.0);
    let recipe = Recipe { precision: Precision::Bf16Emulated, ..Recipe::default() };
    let mut state = begin(&trainee, &file);
    let mut step = open(&trainee.gradient(&recipe, false).unwrap(), &[]);
    let names: Vec<String> =
        trainee.parameters.iter().map(|parameter| format!("gradient/{}", parameter.name)).collect();
    let outputs: Vec<&str> = ["loss"].into_iter().chain(names.iter().map(String::as_str)).collect();
    let (image, label) = (array(&file.tensors["input/image"]), array(&file.tensors["input/label"]));
    let found = step.run(&mut state, &[("image", &image), ("label", &label)], &outputs, &Cancel::default()).unwrap();
    let wanted = file.tensors["train/loss_per_step"].to_f32()[0];
    let loss = found[0].to_f32().unwrap()[0];
    assert!((loss - wanted).abs() <= 2e-2 * wanted, "{loss} instead of {wanted}");
    // Both round, each in its own places, so they differ by more than either is from the truth; what is asked is that
    // ours is near the truth, nearer than autocast's own.
    let exact = read_weights(&golden("segmenter_mask")).unwrap();
    let (mut ours, mut theirs, mut truth) = (Vec::new(), Vec::new(), Vec::new());
    for (parameter, gradient) in trainee.parameters.iter().zip(&found[1..]) {
        let name = format!("grad/{}", parameter.name);
        ours.extend(gradient.to_f32().unwrap());
        theirs.extend(file.tensors[&name].to_f32());
        truth.extend(exact.tensors[&name].to_f32());
    }
    let (own, other, apart) = (relative(&ours, &truth), relative(&theirs, &truth), relative(&ours, &theirs));
    assert!(own <= 2e-2 && own <= other, "{own:e} from the truth, autocast {other:e}");
    assert!(apart <= 2.5e-2, "{apart:e} apart");
    assert!(own > 1e-4, "nothing was rounded");
}

#[test]
fn a_step_that_is_not_finite_changes_nothing_and_halves_the_scale() {
    let (trainee, file) = tiny("setr_pup");
    let recipe = Recipe { precision: Precision::F16, ..Recipe::default() };
    let statistics = trainee.statistics.iter().map(|statistic| statistic.name.clone());
    let mut names: Vec<String> = trained(&trainee).into_iter().chain(statistics).collect();
    names.push("loss_scale".to_owned());
    let mut step = open(&trainee.step(&recipe).unwrap(), &next(names.clone()));
    let mut state = begin(&trainee, &file);
    state.set("loss_scale", &Array::scalar(1024.0)).unwrap();
    let (label, rate) = (array(&file.tensors["input/label"]), Array::scalar(0.01));
    let image = file.tensors["input/image"].clone();
    let mut numbers = image.to_f32();
    numbers[77] = f32::INFINITY;
    let broken = Array::from_f32(image.dims(), &numbers).unwrap();
    let before: Vec<Array> = names.iter().map(|name| state.get(name).unwrap()).collect();
    let inputs = [("image", &broken), ("label", &label), ("learning_rate", &rate)];
    let found = step.run(&mut state, &inputs, &["finite"], &Cancel::default()).unwrap();
    assert_eq!(found[0].data()[0], 0);
    for (name, before) in names.iter().zip(&before) {
        let after = state.get(name).unwrap();
        match name.as_str() {
            "loss_scale" => assert_eq!(after, Array::scalar(512.0)),
            _ => assert_eq!(after, *before, "{name}"),
        }
    }
    let image = array(&image);
    let inputs = [("image", &image), ("label", &label), ("learning_rate", &rate)];
    let found = step.run(&mut state, &inputs, &["finite", "loss"], &Cancel::default()).unwrap();
    assert_eq!(found[0].data()[0], 1);
    assert_eq!(state.get("loss_scale").unwrap(), Array::scalar(512.0));
    let exact = file.tensors["train/loss_per_step"].to_f32()[0];
    let loss = found[1].to_f32().unwrap()[0];
    assert!((loss - exact).abs() < 1e-2 * exact, "{loss} instead of {exact}");
    assert_ne!(state.get(&names[0]).unwrap(), before[0]);
}

/// What ONNX Runtime's CUDA provider (1.31.1, opset 21) has kernels for, in 32 bits; measured by placing each alone.
const CUDA_F32: &[&str] = &[
    "MatMul",
    "Gemm",
    "Add",
    "Sub",
    "Sum",
    "Mul",
    "Div",
    "Neg",
    "Sqrt",
    "Exp",
    "Erf",
    "Pow",
    "Sign",
    "Abs",
    "Tanh",
    "Sigmoid",
    "Relu",
    "Gelu",
    "Min",
    "Max",
    "Softmax",
    "LayerNormalization",
    "ReduceSum",
    "ReduceMean",
    "Transpose",
    "Reshape",
    "Concat",
    "Split",
    "Slice",
    "Expand",
    "Gather",
    "GatherElements",
    "ScatterElements",
    "ScatterND",
    "Where",
    "Cast",
    "ConstantOfShape",
    "IsNaN",
    "Conv",
    "AveragePool",
    "LpNormalization",
    "Reciprocal",
    "Log",
    "Clip",
    "LogSoftmax",
    "ReduceMax",
    "ReduceL2",
    "ReduceLogSumExp",
    "Pad",
    "Equal",
    "Greater",
    "GreaterOrEqual",
    "ArgMax",
    "BatchNormalization",
    "Resize",
    "ConvTranspose",
    "GlobalAveragePool",
    "OneHot",
    "Einsum",
    "MaxPool",
];
/// Beside them, over integers and booleans only.
const CUDA_OTHER: &[&str] = &["Not", "And", "Identity", "Squeeze", "Unsqueeze"];
/// In bf16.
const CUDA_BF16: &[&str] =
    &["MatMul", "Gemm", "Reshape", "Transpose", "Split", "Slice", "Cast", "Squeeze", "Unsqueeze"];
/// In 16-bit floats.
const CUDA_F16: &[&str] = &[
    "MatMul",
    "Gemm",
    "Reshape",
    "Transpose",
    "Split",
    "Slice",
    "Cast",
    "Squeeze",
    "Unsqueeze",
    "Conv",
    "ConvTranspose",
];

#[test]
fn every_node_of_every_step_has_a_kernel_on_a_gpu() {
    for name in GOLDEN {
        let (trainee, _) = tiny(name);
        for precision in [Precision::F32, Precision::Bf16, Precision::F16] {
            let recipe = Recipe { precision, ..Recipe::default() };
            let mut seen = BTreeSet::new();
            for graph in [trainee.step(&recipe), trainee.gradient(&recipe, false), trainee.update(&recipe)] {
                let graph = graph.unwrap();
                for node in graph.live() {
                    let values = node.inputs.iter().chain(&node.outputs).flatten();
                    let kinds: BTreeSet<Element> = values.map(|value| graph.kind(*value).element).collect();
                    let table: &[&[&str]] = match (kinds.contains(&Element::Bf16), kinds.contains(&Element::F16)) {
                        (true, _) => &[CUDA_BF16],
                        (_, true) => &[CUDA_F16],
                        _ => &[CUDA_F32, CUDA_OTHER],
                    };
                    assert!(
                        table.concat().contains(&node.op.as_str()),
                        "{name} {precision:?}: {} {kinds:?}",
                        node.label()
                    );
                    seen.extend(kinds);
                }
            }
            assert_eq!(seen.contains(&Element::Bf16), precision == Precision::Bf16);
            assert_eq!(seen.contains(&Element::F16), precision == Precision::F16);
        }
    }
}

#[test]
fn masks_of_ones_drop_nothing_and_masks_of_zeros_silence_gradients() {
    let file = read_weights(&golden("segmenter_mask")).unwrap();
    let mut config = Config::golden(&file.metadata).unwrap();
    (config.drop_path, config.decoder_drop_path, config.decoder_dropout) = (0.3, 0.2, 0.1);
    let trainee = Trainee::of_network(build(&config, Mode::Train, 2).unwrap(), 1.0);
    assert!(trainee.masks.len() > 1);
    let recipe = Recipe::default();
    let (image, label) = (array(&file.tensors["input/image"]), array(&file.tensors["input/label"]));
    let name = "gradient/backbone.layers.3.ffn.layers.0.0.weight";
    let gradient = |paths: f32, numbers: u8| {
        let mut state = begin(&trainee, &file);
        let mut step = open(&trainee.gradient(&recipe, false).unwrap(), &[]);
        let masks: Vec<Array> = trainee
            .masks
            .iter()
            .map(|mask| {
                let count = mask.dims.iter().product::<usize>();
                match mask.name.as_str() {
                    "drop_path" => Array::from_f32(&mask.dims, &vec![paths; count]).unwrap(),
                    _ => Array::u8(&mask.dims, vec![numbers; count]).unwrap(),
                }
            })
            .collect();
        let mut inputs = vec![("image", &image), ("label", &label)];
        inputs.extend(trainee.masks.iter().zip(&masks).map(|(mask, array)| (mask.name.as_str(), array)));
        step.run(&mut state, &inputs, &[name, "loss"], &Cancel::default()).unwrap()
    };
    let none = gradient(0.0, 0);
    assert!(none[0].to_f32().unwrap().iter().all(|number| *number == 0.0));
    let all = gradient(1.0, 1);
    assert!(all[0].to_f32().unwrap().iter().any(|number| *number != 0.0));
    assert!(all[1].to_f32().unwrap()[0].is_finite());
}

#[test]
fn evaluation_and_training_give_the_same_logits_where_nothing_is_random() {
    // Segmenter has no batch norm: both forms compute the same.
    let file = read_weights(&golden("segmenter_linear")).unwrap();
    let config = Config::golden(&file.metadata).unwrap();
    let image = array(&file.tensors["input/image"]);
    let inputs: Vec<(String, Array)> = file
        .tensors
        .iter()
        .filter_map(|(name, tensor)| Some((name.strip_prefix("param/")?.to_owned(), array(tensor))))
        .chain([("image".to_owned(), image)])
        .collect();
    let inputs: Vec<(&str, Array)> = inputs.iter().map(|(name, array)| (name.as_str(), array.clone())).collect();
    let eval = run(&eval_graph(&config, 2).unwrap(), &inputs, &["logits"]);
    let mut network = build(&config, Mode::Train, 2).unwrap();
    let head = network.heads[0].clone();
    let logits = network.full_size(&head).unwrap();
    network.graph.output(logits, "logits").unwrap();
    let train = run(&network.graph, &inputs, &["logits"]);
    assert_eq!(eval[0], train[0]);
}

#[test]
fn a_checkpoint_in_any_naming_gives_the_logits_of_the_reference() {
    let file = read_weights(&golden("segmenter_mask")).unwrap();
    let config = Config::golden(&file.metadata).unwrap();
    let own = file.tensors.iter().filter_map(|(name, tensor)| Some((name.strip_prefix("param/")?, tensor.clone())));
    let own = Weights { tensors: own.map(|(name, tensor)| (name.to_owned(), tensor)).collect(), ..Weights::default() };
    let wanted = build(&config, Mode::Eval, 2).unwrap().wanted();
    let folder = tempfile::tempdir().unwrap();
    for (naming, wrap) in [(Naming::Mmseg, "state_dict"), (Naming::Segmenter, "model")] {
        let path = folder.path().join(format!("{naming:?}.pth"));
        write_pth(&path, &from_canonical(&own, naming).unwrap(), Some(wrap)).unwrap();
        let read = to_canonical(read_weights(&path).unwrap()).unwrap();
        let (fitted, _) = fit(&read, &wanted, |want| panic!("{} starts anew", want.name)).unwrap();
        let mut inputs: Vec<(&str, Array)> =
            fitted.tensors.iter().map(|(name, tensor)| (name.as_str(), array(tensor))).collect();
        inputs.push(("image", array(&file.tensors["input/image"])));
        let found = run(&eval_graph(&config, 2).unwrap(), &inputs, &["logits"]);
        near(&found[0], &file.tensors["eval/seg_logits"], 1e-5, &format!("{naming:?}"));
    }
}
