//! The networks against mmsegmentation's: names and shapes of their tensors, numbers of weights, and, for tiny ones with
//! given weights, what they compute. Needs ONNX Runtime, no GPU.

use crate::runtime::loaded;
use safetensors::{Dtype, SafeTensors};
use selvedge::cancel::Cancel;
use selvedge::graph::net::{Arch, Config, DropPathOn, MaskKind, Mode, Network, build};
use selvedge::graph::onnx::encode;
use selvedge::graph::weights::Role;
use selvedge::graph::{Attributes, BatchNorm, Element, Error, Graph, Tensor, Value, batch_norm_train, gradients};
use selvedge::runtime::{Session, SessionSettings};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn fixture(folder: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder).join(name)
}

/// A file of reference numbers.
struct Golden {
    metadata: BTreeMap<String, String>,
    tensors: BTreeMap<String, Tensor>,
}

impl Golden {
    fn read(name: &str) -> Self {
        let bytes = std::fs::read(fixture("golden", name)).unwrap();
        let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
        let metadata = header.metadata().clone().unwrap().into_iter().collect();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let tensors = file.iter().map(|(name, view)| {
            let element = match view.dtype() {
                Dtype::F32 => Element::F32,
                Dtype::I64 => Element::I64,
                Dtype::U8 => Element::U8,
                other => panic!("{name} is {other:?}"),
            };
            let tensor = Tensor::new(element, view.shape().to_vec(), view.data().to_vec().into()).unwrap();
            (name.to_owned(), tensor)
        });
        Self { metadata, tensors: tensors.collect() }
    }

    fn tensor(&self, name: &str) -> &Tensor {
        self.tensors.get(name).unwrap_or_else(|| panic!("no {name}"))
    }

    fn config(&self) -> Config {
        Config::golden(&self.metadata).unwrap()
    }

    fn batch(&self) -> usize {
        self.metadata["B"].parse().unwrap()
    }

    /// The network with the file's weights as constants, so that the picture is the only input.
    fn network(&self, mode: Mode) -> Network {
        let mut network = build(&self.config(), mode, self.batch()).unwrap();
        fill(&mut network, |name, _| self.tensor(&format!("param/{name}")).clone());
        network
    }
}

const GOLDEN: [&str; 5] = [
    "segmenter_mask_a.safetensors",
    "segmenter_linear_a.safetensors",
    "setr_naive_a.safetensors",
    "setr_pup_a.safetensors",
    "setr_mla_a.safetensors",
];

/// Makes every input but the picture a constant.
fn fill(network: &mut Network, weights: impl Fn(&str, &[usize]) -> Tensor) {
    for input in network.graph.inputs().to_vec() {
        if input != network.image {
            let tensor = weights(network.graph.name(input), network.graph.dims(input));
            network.graph.embed(input, tensor).unwrap();
        }
    }
}

/// Runs a graph with one input and gives the outputs by the names given to them.
fn run(graph: &mut Graph, input: Value, data: &[f32], outputs: &[(Value, &str)]) -> Vec<Vec<f32>> {
    for (value, name) in outputs {
        graph.output(*value, name).unwrap();
    }
    let names: Vec<&str> = outputs.iter().map(|(_, name)| *name).collect();
    let model = encode(graph, "test");
    let mut session = Session::open(&loaded(), "test", &model, &SessionSettings::default()).unwrap();
    let found = session.run_f32(graph.name(input), graph.dims(input), data, &names, &Cancel::default()).unwrap();
    for (tensor, (value, name)) in found.iter().zip(outputs) {
        assert_eq!(tensor.shape, graph.dims(*value), "{name}");
    }
    found.into_iter().map(|tensor| tensor.data).collect()
}

/// Numbers of no pattern, between -1 and 1.
fn noise(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// Weights of no pattern, the same for the same name; variances above 0.
fn noisy(name: &str, dims: &[usize]) -> Tensor {
    let seed = name.bytes().fold(7_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let mut values = noise(seed, dims.iter().product());
    if name.ends_with("running_var") {
        values.iter_mut().for_each(|value| *value = value.abs() + 0.1);
    }
    Tensor::f32(dims, &values).unwrap()
}

fn farthest(found: &[f32], wanted: &[f32]) -> f32 {
    assert_eq!(found.len(), wanted.len());
    found.iter().zip(wanted).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_network_computes_the_logits_of_the_reference() {
    for name in GOLDEN {
        let golden = Golden::read(name);
        let mut network = golden.network(Mode::Eval);
        let logits = network.full_size(&network.heads[0].clone()).unwrap();
        let image = golden.tensor("input/image").to_f32();
        let found = run(&mut network.graph, network.image, &image, &[(logits, "logits")]).remove(0);
        let far = farthest(&found, &golden.tensor("eval/seg_logits").to_f32());
        assert!(far <= 1e-4, "{name}: {far:e}");
    }
}

/// Cross-entropy of `[B, C, H, W]`, summed over the pixels with a label and divided by all.
fn cross_entropy(logits: &[f32], labels: &[i64], dims: &[usize]) -> f64 {
    let (classes, area) = (dims[1], dims[2] * dims[3]);
    let mut sum = 0.0;
    for (at, label) in labels.iter().enumerate().filter(|(_, label)| **label != 255) {
        let (image, pixel) = (at / area, at % area);
        let logit = |class: usize| f64::from(logits[(image * classes + class) * area + pixel]);
        let log_sum = (0..classes).map(|class| logit(class).exp()).sum::<f64>().ln();
        sum += log_sum - logit(*label as usize);
    }
    sum / labels.len() as f64
}

#[test]
fn every_head_has_the_loss_of_the_reference_while_training() {
    for name in GOLDEN {
        let golden = Golden::read(name);
        let mut network = golden.network(Mode::Train);
        let heads = network.heads.clone();
        let parts = golden.tensors.keys().filter(|name| name.ends_with(".loss_ce")).count();
        assert_eq!(heads.len(), parts, "{name}");
        let mut outputs = Vec::new();
        for head in &heads {
            outputs.push((network.full_size(head).unwrap(), head.name.as_str()));
        }
        let image = golden.tensor("input/image").to_f32();
        let found = run(&mut network.graph, network.image, &image, &outputs);
        let labels = golden.tensor("input/label").to_i64();
        for ((head, logits), (value, _)) in heads.iter().zip(&found).zip(&outputs) {
            let loss = f64::from(head.weight) * cross_entropy(logits, &labels, network.graph.dims(*value));
            let wanted = golden.tensor(&format!("train/{}.loss_ce", head.name)).to_f64()[0];
            assert!((loss - wanted).abs() <= 1e-5 * wanted, "{name} {}: {loss}, not {wanted}", head.name);
        }
    }
}

/// The whole loss as a node: each head's cross-entropy at the size of the pictures, times the head's weight.
fn loss(network: &mut Network, labels: &Tensor) -> Value {
    let &[batch, height, width] = labels.dims() else { panic!("{labels:?}") };
    let (classes, area) = (network.config.classes, height * width);
    let mut picked = vec![0.0; batch * classes * area];
    for (at, label) in labels.to_i64().into_iter().enumerate().filter(|(_, label)| *label != 255) {
        picked[(at / area * classes + label as usize) * area + at % area] = -1.0 / (batch * area) as f32;
    }
    let picked = Tensor::f32(&[batch, classes, height, width], &picked).unwrap();
    let mut total = network.graph.scalar(0.0);
    for head in network.heads.clone() {
        let logits = network.full_size(&head).unwrap();
        let graph = &mut network.graph;
        let axis = Attributes::from([("axis".to_owned(), 1_i64.into())]);
        let logs = graph.op("LogSoftmax", &[logits], axis).unwrap();
        let picked = graph.constant(picked.clone());
        let chosen = graph.mul(logs, picked).unwrap();
        let sum = graph.reduce_in_stages("ReduceSum", chosen, &[0, 1, 2, 3], false).unwrap();
        let part = graph.scale(sum, head.weight).unwrap();
        total = graph.add(total, part).unwrap();
    }
    total
}

#[test]
fn three_steps_of_descent_end_where_the_reference_ends() {
    for name in GOLDEN {
        let golden = Golden::read(name);
        let image = golden.tensor("input/image").to_f32();
        let given = |name: &str| golden.tensor(&format!("param/{name}")).to_f32();
        let network = build(&golden.config(), Mode::Train, golden.batch()).unwrap();
        let mut values: BTreeMap<String, Vec<f32>> =
            network.state.iter().map(|tensor| (tensor.name.clone(), given(&tensor.name))).collect();
        let mut momenta: BTreeMap<String, Vec<f32>> = BTreeMap::new();
        for step in 0..3 {
            let mut network = network.clone();
            let total = loss(&mut network, golden.tensor("input/label"));
            let weights: Vec<Value> = network.parameters.iter().map(|one| one.value).collect();
            let one = network.graph.scalar(1.0);
            let found = gradients(&mut network.graph, &[(total, one)], &weights).unwrap();
            let mut outputs = vec![(total, "loss".to_owned())];
            for (parameter, gradient) in network.parameters.iter().zip(found) {
                match gradient {
                    Some(gradient) => outputs.push((gradient, format!("grad/{}", parameter.name))),
                    None => {
                        let wanted = golden.tensor(&format!("grad/{}", parameter.name)).to_f32();
                        assert!(wanted.iter().all(|value| *value == 0.0), "{}", parameter.name);
                    }
                }
            }
            let statistics = network.running.iter().filter(|one| !one.name.ends_with("num_batches_tracked"));
            outputs.extend(statistics.map(|one| (one.next.unwrap(), format!("next/{}", one.name))));
            let outputs: Vec<(Value, &str)> = outputs.iter().map(|(value, name)| (*value, name.as_str())).collect();
            fill(&mut network, |name, dims| match values[name].as_slice() {
                [count] if name.ends_with("num_batches_tracked") => Tensor::i64(dims, &[*count as i64]).unwrap(),
                values => Tensor::f32(dims, values).unwrap(),
            });
            let found = run(&mut network.graph, network.image, &image, &outputs);
            for ((_, name), found) in outputs.iter().zip(found) {
                if *name == "loss" {
                    let wanted = golden.tensor("train/loss_per_step").to_f32()[step];
                    assert!((found[0] - wanted).abs() <= 1e-5 * wanted, "loss {step}: {} {wanted}", found[0]);
                } else if let Some(name) = name.strip_prefix("grad/") {
                    if step == 0 {
                        close(&format!("gradient of {name}"), &found, golden.tensor(&format!("grad/{name}")), 1e-4);
                    }
                    let momentum = momenta.entry(name.to_owned()).or_insert_with(|| vec![0.0; found.len()]);
                    let weights = values.get_mut(name).unwrap().iter_mut();
                    for ((weight, momentum), gradient) in weights.zip(momentum).zip(&found) {
                        *momentum = 0.9 * *momentum + gradient;
                        *weight -= 0.01 * *momentum;
                    }
                } else if let Some(name) = name.strip_prefix("next/") {
                    values.insert(name.to_owned(), found);
                }
            }
        }
        for (name, values) in values.iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")) {
            close(name, values, golden.tensor(&format!("after3/{name}")), 1e-5);
        }
    }
}

/// Whether the distance is below this share of the length.
fn close(name: &str, found: &[f32], wanted: &Tensor, share: f32) {
    let wanted = wanted.to_f32();
    let length = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>().sqrt();
    let far = length(&mut found.iter().zip(&wanted).map(|(a, b)| a - b));
    let long = length(&mut wanted.iter().copied());
    assert!(found.len() == wanted.len() && far <= share * long + 1e-7, "{name}: {far:e} of {long:e}");
}

/// Name, axes and type, as in the lists.
fn listed(network: &Network) -> Vec<String> {
    let line = |name: &str, dims: &[usize], element: Element| {
        let dims: Vec<String> = dims.iter().map(usize::to_string).collect();
        let element = if element == Element::I64 { "int64" } else { "float32" };
        format!("{name}\t{}\t{element}", dims.join(","))
    };
    network.state.iter().map(|tensor| line(&tensor.name, &tensor.dims, tensor.element)).collect()
}

#[test]
fn the_state_dicts_are_those_of_mmsegmentation_tensor_by_tensor() {
    let cases = [
        ("segmenter-vit-t-mask", 512, "mmseg_segmenter_vit_t.tsv", 183),
        ("segmenter-vit-s-mask", 512, "mmseg_segmenter_vit_s.tsv", 183),
        ("segmenter-vit-b-mask", 512, "mmseg_segmenter_vit_b.tsv", 183),
        ("segmenter-vit-l-mask", 640, "mmseg_segmenter_vit_l_640.tsv", 327),
        ("segmenter-vit-s-linear", 512, "mmseg_segmenter_vit_s_fcn.tsv", 152),
        ("setr-naive", 512, "setr_naive.tsv", 350),
        ("setr-pup", 512, "setr_pup.tsv", 368),
        ("setr-mla", 512, "setr_mla.tsv", 406),
    ];
    for (name, side, file, count) in cases {
        let config = Config::named(name, 150, (side, side)).unwrap();
        let network = build(&config, Mode::Train, 1).unwrap();
        let wanted = std::fs::read_to_string(fixture("state_dicts", file)).unwrap();
        let found = listed(&network);
        assert_eq!(found, wanted.lines().collect::<Vec<_>>(), "{name}");
        assert_eq!(found.len(), count, "{name}");
        assert_eq!(network.wanted().len(), count, "{name}");
        // The graph takes them in the same order, behind the picture.
        let inputs: Vec<&str> = network.graph.inputs().iter().map(|input| network.graph.name(*input)).collect();
        let names: Vec<&str> = network.state.iter().map(|tensor| tensor.name.as_str()).collect();
        assert_eq!((inputs[0], &inputs[1..]), ("image", &names[..]), "{name}");
        let unused: Vec<&str> = network.unused().into_iter().map(|parameter| parameter.name.as_str()).collect();
        let wanted: &[&str] = if name == "setr-mla" { &["backbone.cls_token"] } else { &[] };
        assert_eq!(unused, wanted, "{name}");
    }
}

#[test]
fn the_networks_have_the_published_numbers_of_weights() {
    let cases = [
        ("segmenter-vit-t-mask", 28, 6_689_720, 6_689_720),
        ("segmenter-vit-s-mask", 28, 25_986_872, 25_986_872),
        ("segmenter-vit-b-mask", 28, 102_403_640, 102_403_640),
        ("segmenter-vit-l-mask", 28, 332_519_480, 332_519_480),
        ("segmenter-vit-t-linear", 28, 5_688_796, 5_688_796),
        ("segmenter-vit-s-linear", 28, 21_994_396, 21_994_396),
        ("segmenter-vit-b-linear", 28, 86_456_092, 86_456_092),
        ("segmenter-vit-l-linear", 28, 304_178_204, 304_178_204),
        ("setr-naive", 28, 305_433_200, 304_419_356),
        ("setr-pup", 28, 317_165_680, 308_287_516),
        ("setr-mla", 28, 309_382_284, 309_353_500),
        ("segmenter-vit-t-mask", 150, 6_713_388, 6_713_388),
        ("setr-pup", 150, 317_291_096, 308_318_870),
    ];
    for (name, classes, training, inference) in cases {
        let config = Config::named(name, classes, (512, 512)).unwrap();
        assert_eq!(build(&config, Mode::Train, 2).unwrap().parameter_count(), training, "{name}");
        assert_eq!(build(&config, Mode::Eval, 1).unwrap().parameter_count(), inference, "{name}");
    }
}

#[test]
fn tensors_say_what_becomes_of_them_with_other_classes_and_sizes() {
    let config = Config::named("segmenter-vit-t-mask/8", 28, (512, 384)).unwrap();
    let network = build(&config, Mode::Train, 1).unwrap();
    let of = |role: Role| -> Vec<&str> {
        network.parameters.iter().filter(|one| one.role == role).map(|one| one.name.as_str()).collect()
    };
    let wanted = ["decode_head.cls_emb", "decode_head.mask_norm.weight", "decode_head.mask_norm.bias"];
    assert_eq!(of(Role::Class), wanted);
    assert_eq!(of(Role::Position { grid: (64, 48), class_tokens: 1, cubic: true }), ["backbone.pos_embed"]);
    assert_eq!(network.graph.dims(network.heads[0].logits), [1, 64 * 48, 28]);

    let network = build(&Config::named("setr-mla", 28, (512, 512)).unwrap(), Mode::Train, 1).unwrap();
    let heads = network.parameters.iter().filter(|one| one.head);
    assert!(heads.clone().all(|one| one.name.starts_with("decode_head.") || one.name.starts_with("auxiliary_head.")));
    assert_eq!(heads.count(), 2 + 4 * 2 * 3 + 4 * 2);
    assert!(network.running.iter().all(|one| one.value.is_some() && one.next.is_some()));
    assert_eq!(network.heads.iter().map(|head| head.weight).collect::<Vec<_>>(), [1.0, 0.4, 0.4, 0.4, 0.4]);
}

/// A small network, two blocks deep, at this size.
fn small(arch: Arch, patch: usize, size: (usize, usize)) -> Config {
    let config = Config::named("segmenter-vit-t-mask", 5, size).unwrap();
    let epsilon = if arch.is_setr() { 1e-6 } else { 1e-5 };
    let taps = if arch.is_setr() { vec![0, 1] } else { vec![1] };
    Config {
        arch,
        width: 16,
        heads: 2,
        layers: 2,
        taps,
        patch,
        decoder_channels: 8,
        decoder_epsilon: epsilon,
        ..config
    }
}

const ARCHS: [Arch; 5] = [Arch::SegmenterMask, Arch::SegmenterLinear, Arch::SetrNaive, Arch::SetrPup, Arch::SetrMla];

#[test]
fn a_size_between_patches_is_filled_up_with_zeros_below_and_to_the_right() {
    for arch in ARCHS {
        let (height, width) = (21, 38);
        let picture = noise(3, 2 * 3 * height * width);
        let logits = |size: (usize, usize), data: &[f32]| {
            let mut network = build(&small(arch, 8, size), Mode::Eval, 2).unwrap();
            fill(&mut network, noisy);
            let head = network.heads[0].clone();
            assert_eq!(head.grid.0 * head.grid.1, network.graph.dims(head.logits)[1]);
            let full = network.full_size(&head).unwrap();
            assert_eq!(network.graph.dims(full), [2, 5, size.0, size.1]);
            run(&mut network.graph, network.image, data, &[(head.logits, "logits")]).remove(0)
        };
        let mut padded = vec![0.0; 2 * 3 * 24 * 40];
        for (row, line) in picture.chunks(width).enumerate() {
            let start = (row / height * 24 + row % height) * 40;
            padded[start..start + width].copy_from_slice(line);
        }
        let (found, wanted) = (logits((height, width), &picture), logits((24, 40), &padded));
        assert_eq!(found, wanted, "{arch}");
        assert!(found.iter().all(|value| value.is_finite()) && found.iter().any(|value| *value != found[0]));
    }
}

#[test]
fn a_branch_with_factor_one_is_whole_and_with_factor_zero_is_left_out() {
    let plain = small(Arch::SegmenterMask, 8, (32, 24));
    let dropping = Config { drop_path: 0.2, decoder_drop_path: 0.1, ..plain.clone() };
    let picture = noise(5, 2 * 3 * 32 * 24);
    let logits = |config: &Config, factors: &[f32], weights: &dyn Fn(&str, &[usize]) -> Tensor| {
        let mut network = build(config, Mode::Train, 2).unwrap();
        fill(&mut network, |name, dims| match name {
            "drop_path" => Tensor::f32(dims, factors).unwrap(),
            _ => weights(name, dims),
        });
        let logits = network.heads[0].logits;
        run(&mut network.graph, network.image, &picture, &[(logits, "logits")]).remove(0)
    };
    let whole = logits(&plain, &[], &noisy);
    assert_eq!(logits(&dropping, &[1.0; 8], &noisy), whole);
    // Without the branches of both second blocks for the first picture, it is as if their last layers gave nothing.
    let silent = |name: &str, dims: &[usize]| match name {
        _ if !name.starts_with("backbone.layers.1.") && !name.starts_with("decode_head.layers.1.") => noisy(name, dims),
        _ if name.contains(".out_proj.") || name.contains(".ffn.layers.1.") => Tensor::full(dims, 0.0),
        _ => noisy(name, dims),
    };
    let half = whole.len() / 2;
    let found = logits(&dropping, &[0.0, 1.0].repeat(4), &noisy);
    assert_eq!(found[..half], logits(&plain, &[], &silent)[..half]);
    assert_eq!(found[half..], whole[half..]);
}

#[test]
fn what_is_drawn_while_training_comes_in_as_inputs_and_evaluation_has_none() {
    let base = Config::named("segmenter-vit-t-mask", 28, (64, 64)).unwrap();
    assert!(build(&base, Mode::Train, 2).unwrap().masks.is_empty());
    let config = Config { drop_path: 0.1, decoder_drop_path: 0.1, decoder_dropout: 0.1, ..base };
    let network = build(&config, Mode::Train, 2).unwrap();
    assert_eq!(network.masks.len(), 1 + 2 * 4);
    let paths = &network.masks[0];
    assert_eq!((paths.name.as_str(), paths.kind, paths.dims.as_slice()), ("drop_path", MaskKind::Paths, &[24, 2][..]));
    let keep = &paths.keep_probabilities;
    assert_eq!(keep.len(), 24);
    assert!((keep[0] - (1.0 - 0.1 / 11.0)).abs() < 1e-6 && keep[0] == keep[1]);
    assert_eq!(keep[20..], [0.9; 4]);
    let dims: Vec<_> = network.masks[1..5].iter().map(|mask| mask.dims.clone()).collect();
    assert_eq!(dims, [vec![2, 3, 44, 44], vec![2, 44, 192], vec![2, 44, 768], vec![2, 44, 192]]);
    for mask in &network.masks[1..] {
        assert_eq!((mask.kind, network.graph.kind(mask.value).element), (MaskKind::Numbers, Element::U8));
        assert_eq!(mask.keep_probabilities, [0.9]);
    }
    let mut graph = network.graph.clone();
    let logits = network.heads[0].logits;
    let weights: Vec<Value> = network.parameters.iter().map(|one| one.value).collect();
    let found = gradients(&mut graph, &[(logits, logits)], &weights).unwrap();
    assert!(found.iter().all(Option::is_some));
    let later = Config { drop_path_on: DropPathOn::Mlp, ..config.clone() };
    assert_eq!(build(&later, Mode::Train, 2).unwrap().masks[0].dims, [12, 2]);
    assert!(build(&config, Mode::Eval, 2).unwrap().masks.is_empty());
}

#[test]
fn batch_norm_normalises_by_the_batch_and_remembers_the_unbiased_variance() {
    for dims in [&[6, 3][..], &[2, 3, 5], &[2, 3, 4, 5], &[2, 3, 2, 3, 4]] {
        let mut graph = Graph::new();
        let x = graph.input("x", Element::F32, dims).unwrap();
        let given = [[0.5, -2.0, 1.5], [0.25, 0.0, -1.0], [0.1, 0.2, 0.3], [1.0, 2.0, 3.0]];
        let [scale, bias, running_mean, running_var] =
            given.map(|values| graph.constant(Tensor::f32(&[3], &values).unwrap()));
        let norm = BatchNorm { scale, bias, running_mean, running_var, momentum: 0.1, epsilon: 1e-5 };
        let out = batch_norm_train(&mut graph, x, &norm).unwrap();
        let data: Vec<f32> = noise(11, dims.iter().product()).iter().map(|value| 3.0 * value + 1.0).collect();
        let outputs = [(out.y, "y"), (out.next_mean, "mean"), (out.next_var, "var")];
        let found = run(&mut graph, x, &data, &outputs);

        let inner: usize = dims[2..].iter().product();
        for channel in 0..3 {
            let mine = |at: &usize| at / inner % 3 == channel;
            let places: Vec<usize> = (0..data.len()).filter(mine).collect();
            let count = places.len() as f64;
            let mean = places.iter().map(|at| f64::from(data[*at])).sum::<f64>() / count;
            let square = places.iter().map(|at| (f64::from(data[*at]) - mean).powi(2)).sum::<f64>();
            let [scale, bias, old_mean, old_var] = given.map(|values| f64::from(values[channel]));
            for at in places {
                let normal = (f64::from(data[at]) - mean) / (square / count + 1e-5).sqrt();
                assert!((f64::from(found[0][at]) - (normal * scale + bias)).abs() < 1e-5, "{dims:?}");
            }
            assert!((f64::from(found[1][channel]) - (0.9 * old_mean + 0.1 * mean)).abs() < 1e-6, "{dims:?}");
            let variance = square / (count - 1.0);
            assert!((f64::from(found[2][channel]) - (0.9 * old_var + 0.1 * variance)).abs() < 1e-6, "{dims:?}");
        }
    }
}

#[test]
fn a_batch_norm_over_one_number_is_told_before_the_training() {
    let config = small(Arch::SetrNaive, 16, (16, 16));
    let error = build(&config, Mode::Train, 1).unwrap_err();
    assert!(matches!(&error, Error::Node { detail, .. } if detail.contains("at least 2")), "{error}");
    build(&config, Mode::Eval, 1).unwrap();
    assert!(matches!(build(&config, Mode::Eval, 0), Err(Error::Network { .. })));
}
