//! What `model inspect` and `model convert` do, as a library. Needs no ONNX Runtime.
#![allow(clippy::unwrap_used)]

use prost::Message;
use selvedge::graph::net::{Config, Mode, Normalisation, build, eval_graph, infer_graph};
use selvedge::graph::onnx::messages::{Function, Length, Model};
use selvedge::graph::onnx::write_model;
use selvedge::graph::train::{Recipe, Trainee};
use selvedge::graph::weights::{Weights, read_weights, write_pth, write_safetensors};
use selvedge::graph::{Element, Tensor};
use selvedge::stage::Error;
use selvedge::stage::model::convert::{ConvertSettings, LeftOut, convert, naming};
use selvedge::stage::model::inspect::{GraphFacts, InspectSettings, Inspection, PortRole, WeightsFacts, inspect};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn graph(path: &Path, lengths: &[(&str, usize)]) -> GraphFacts {
    let lengths = lengths.iter().map(|(name, length)| ((*name).to_owned(), *length)).collect();
    match inspect(path, &InspectSettings { lengths }).unwrap() {
        Inspection::Graph(facts) => *facts,
        other => panic!("{other:?}"),
    }
}

fn weights(path: &Path) -> WeightsFacts {
    match inspect(path, &InspectSettings::default()).unwrap() {
        Inspection::Weights(facts) => *facts,
        other => panic!("{other:?}"),
    }
}

/// A small Segmenter: its description, and weights that are all ones.
fn small() -> (Config, Weights) {
    let base = Config::named("segmenter-vit-t-mask", 5, (32, 48)).unwrap();
    let config = Config { width: 24, layers: 3, heads: 3, patch: 8, taps: vec![2], ..base };
    let network = build(&config, Mode::Eval, 1).unwrap();
    let mut weights = Weights::default();
    for wanted in network.wanted() {
        weights.tensors.insert(wanted.name, Tensor::full(&wanted.dims, 1.0));
    }
    weights.metadata.insert("grid".to_owned(), "4x6".to_owned());
    (config, weights)
}

/// The published weights by their table of names and shapes, all zeros.
fn published(table: &str) -> Weights {
    let text = fs::read_to_string(fixture("state_dicts").join(table)).unwrap();
    let mut weights = Weights::default();
    for line in text.lines().filter(|line| line.contains('\t') && !line.starts_with('#')) {
        let mut cells = line.split('\t');
        let (name, shape) = (cells.next().unwrap(), cells.next().unwrap());
        let dims: Option<Vec<usize>> = shape
            .trim_matches(|letter: char| !letter.is_ascii_digit())
            .split(|letter: char| !letter.is_ascii_digit())
            .filter(|part| !part.is_empty())
            .map(|part| part.parse().ok())
            .collect();
        weights.tensors.insert(name.to_owned(), Tensor::full(&dims.unwrap(), 0.0));
    }
    weights
}

#[test]
fn a_graph_of_our_own_shows_data_weights_and_costs() {
    let folder = tempfile::tempdir().unwrap();
    let (config, weights) = small();
    let mut network = infer_graph(&config, 2, &Normalisation::of(&config), &weights).unwrap();
    network.metadata.insert("classes".to_owned(), "5\u{1b}[2J".to_owned());
    let path = folder.path().join("infer.onnx");
    write_model(&network, "infer", &path).unwrap();
    let facts = graph(&path, &[]);
    let count = build(&config, Mode::Eval, 1).unwrap().parameter_count() as u64;
    assert_eq!((facts.opset, facts.unknown.as_deref()), (21, None));
    assert_eq!(facts.weights.elements, count);
    assert_eq!(facts.inputs.len(), 1);
    assert_eq!(facts.inputs[0].shape.clone().unwrap(), ["2", "32", "48", "3"]);
    assert_eq!((facts.inputs[0].element.as_str(), facts.inputs[0].role), ("u8", PortRole::Data));
    let measure = facts.measure.as_ref().unwrap();
    assert!(measure.alive_bytes > 0 && measure.alive_bytes <= measure.total_bytes);
    assert!(measure.peak_bytes >= measure.alive_bytes);
    assert_eq!(facts.flops, Some(measure.flops()));
    assert!(facts.operators.windows(2).all(|pair| pair[0].nodes >= pair[1].nodes));

    let inspection = inspect(&path, &InspectSettings::default()).unwrap();
    let text = inspection.to_string();
    for wanted in ["  image  u8  [2, 32, 48, 3]", "probabilities  f32  [2, 5, 32, 48]", "MFLOP", "classes  5\\u{1b}[2J"]
    {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
    let json = serde_json::to_value(&inspection).unwrap();
    assert_eq!(json["kind"], "graph");
    assert_eq!(json["inputs"][0]["role"], "data");
    assert_eq!(json["measure"]["weights"]["elements"], count);

    // The same weights as inputs, and twice the work for twice the pictures.
    let path = folder.path().join("eval.onnx");
    write_model(&eval_graph(&config, 1).unwrap(), "eval", &path).unwrap();
    let eval = graph(&path, &[]);
    assert_eq!(eval.weights.elements, count);
    let data: Vec<_> = eval.inputs.iter().filter(|port| port.role == PortRole::Data).collect();
    assert_eq!(data.iter().map(|port| port.name.as_str()).collect::<Vec<_>>(), ["image"]);
    assert_eq!(facts.flops.unwrap(), 2 * eval.flops.unwrap());
}

#[test]
fn a_training_step_costs_three_forward_passes_and_tells_momenta_from_weights() {
    let folder = tempfile::tempdir().unwrap();
    let (config, _) = small();
    let count = |facts: &GraphFacts, role| facts.inputs.iter().filter(|port| port.role == role).count();
    let trainee = Trainee::of_network(build(&config, Mode::Train, 1).unwrap(), 1.0);
    let (step, eval) = (folder.path().join("train_step.onnx"), folder.path().join("eval.onnx"));
    write_model(&trainee.step(&Recipe::default()).unwrap(), "step", &step).unwrap();
    write_model(&eval_graph(&config, 1).unwrap(), "eval", &eval).unwrap();
    let (step, eval) = (graph(&step, &[]), graph(&eval, &[]));
    assert_eq!(step.unknown, None);
    let weights = count(&eval, PortRole::Weight);
    assert_eq!((count(&step, PortRole::Weight), count(&step, PortRole::State)), (weights, weights));
    assert_eq!(count(&step, PortRole::Data), 3);
    assert_eq!(step.weights.elements, eval.weights.elements);
    let times = step.flops.unwrap() as f64 / eval.flops.unwrap() as f64;
    assert!((2.5..3.5).contains(&times), "{times}");
}

#[test]
fn foreign_graphs_are_understood() {
    for name in ["residual_legacy17", "mobile_dynamo21", "next_dynamo18", "window_dynamo21_opt", "u2_legacy20"] {
        let facts = graph(&fixture(&format!("graph/exported/{name}.onnx")), &[]);
        assert_eq!(facts.unknown, None, "{name}");
        assert!(facts.flops.unwrap() > 100_000 && facts.weights.elements > 100, "{name}: {facts}");
        assert!(facts.producer.starts_with("pytorch"), "{name}: {}", facts.producer);
    }
}

/// A foreign graph, changed.
fn changed(folder: &TempDir, change: impl Fn(&mut Model)) -> PathBuf {
    let bytes = fs::read(fixture("graph/exported/residual_legacy17.onnx")).unwrap();
    let mut model = Model::decode(bytes.as_slice()).unwrap();
    change(&mut model);
    let path = folder.path().join("changed.onnx");
    fs::write(&path, model.encode_to_vec()).unwrap();
    path
}

#[test]
fn an_open_axis_is_named_and_can_be_fixed() {
    let folder = tempfile::tempdir().unwrap();
    let whole = graph(&fixture("graph/exported/residual_legacy17.onnx"), &[]);
    let path = changed(&folder, |model| {
        let graph = model.graph.as_mut().unwrap();
        let kind = graph.input[0].r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
        kind.shape.as_mut().unwrap().dim[0].length = Some(Length::Named("batch".to_owned()));
    });
    let open = graph(&path, &[]);
    assert!(open.unknown.as_ref().unwrap().contains("--length batch=N"), "{open}");
    assert_eq!(open.inputs[0].shape.as_ref().unwrap()[0], "batch");
    assert_eq!((open.flops, open.operators.clone()), (None, whole.operators.clone()));
    let batch: usize = whole.inputs[0].shape.as_ref().unwrap()[0].parse().unwrap();
    let fixed = graph(&path, &[("batch", batch)]);
    assert_eq!((fixed.flops, fixed.inputs), (whole.flops, whole.inputs));
}

#[test]
fn a_graph_with_an_unknown_operator_still_shows_what_can_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(&folder, |model| {
        let graph = model.graph.as_mut().unwrap();
        let node = graph.node.iter_mut().find(|node| node.op_type.as_deref() == Some("Relu")).unwrap();
        node.op_type = Some("Frobnicate".to_owned());
        node.domain = Some("com.example".to_owned());
    });
    let facts = graph(&path, &[]);
    assert!(facts.unknown.as_ref().unwrap().contains("Frobnicate"), "{facts}");
    assert!(facts.operators.iter().any(|count| count.operator == "com.example::Frobnicate" && count.nodes == 1));
    assert_eq!(facts.weights.elements, graph(&fixture("graph/exported/residual_legacy17.onnx"), &[]).weights.elements);
    let text = facts.to_string();
    assert!(text.contains("unknown") && text.contains("logits"), "{text}");
}

#[test]
fn weights_tell_their_names_and_their_network() {
    let folder = tempfile::tempdir().unwrap();
    for (table, naming, name, classes) in [
        ("segmenter_vit_t.tsv", "Segmenter", "segmenter-vit-t-mask", 150),
        ("mmseg_segmenter_vit_s_fcn.tsv", "mmsegmentation", "segmenter-vit-s-linear", 150),
    ] {
        let path = folder.path().join("published.safetensors");
        write_safetensors(&path, &published(table)).unwrap();
        let facts = weights(&path);
        assert_eq!((facts.format, facts.naming.as_deref()), ("safetensors", Some(naming)));
        let network = facts.network.clone().unwrap();
        assert_eq!((network.name.as_deref(), network.classes), (Some(name), Some(classes)));
        assert_eq!((network.patch, network.grid), (16, Some((32, 32))));
        assert_eq!((network.missing.len(), network.different.len()), (0, 0), "{network:?}");
        assert!(network.unused.iter().all(|name| name.starts_with("encoder.head.")), "{network:?}");
    }
    let (_, small) = small();
    let path = folder.path().join("small.pth");
    write_pth(&path, &small, Some("state_dict")).unwrap();
    let inspection = inspect(&path, &InspectSettings::default()).unwrap();
    let text = inspection.to_string();
    for wanted in ["PyTorch checkpoint", "segmenter_mask of its own size, 5 classes", "decode_head.cls_emb"] {
        assert!(text.contains(wanted), "{wanted} in\n{text}");
    }
    assert_eq!(serde_json::to_value(&inspection).unwrap()["kind"], "weights");
    let facts = weights(&fixture("weights/timm.pth"));
    assert_eq!((facts.naming.as_deref(), facts.network.unwrap().arch), (Some("timm"), None));
}

#[test]
fn an_artifact_is_shown_graph_by_graph_and_another_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let error = inspect(folder.path(), &InspectSettings::default()).unwrap_err();
    assert!(matches!(&error, Error::Usage(text) if text.contains("has no artifact.toml")), "{error}");
    let (config, weights) = small();
    write_model(&eval_graph(&config, 1).unwrap(), "eval", &folder.path().join("eval.onnx")).unwrap();
    write_safetensors(&folder.path().join("weights.safetensors"), &weights).unwrap();
    let about = "arch = 'small'\n[input]\nsize = [32, 48]\n";
    fs::write(folder.path().join("artifact.toml"), about).unwrap();
    let inspection = inspect(folder.path(), &InspectSettings::default()).unwrap();
    let Inspection::Artifact(facts) = &inspection else { panic!("{inspection:?}") };
    assert_eq!((facts.graphs.len(), facts.weights.len()), (1, 1));
    assert_eq!(facts.metadata["input.size"], "[32, 48]");
    let text = inspection.to_string();
    assert!(text.contains("eval.onnx: ONNX") && text.contains("\n  arch        small"), "{text}");
    fs::write(folder.path().join("artifact.toml"), "= 1").unwrap();
    assert!(matches!(inspect(folder.path(), &InspectSettings::default()), Err(Error::Failed(_))));
}

#[test]
fn what_is_no_model_is_refused_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in [("a.onnx", "no model"), ("a.pth", "no weights"), ("a", "neither")] {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = inspect(&path, &InspectSettings::default()).unwrap_err();
        assert!(matches!(&error, Error::Usage(text) if text.contains(name)), "{error}");
    }
    for name in ["absent.onnx", "absent.pth", "absent"] {
        let error = inspect(&folder.path().join(name), &InspectSettings::default()).unwrap_err();
        assert!(matches!(&error, Error::Usage(text) if text.contains(name)), "{error}");
    }
}

fn settings(word: &str) -> ConvertSettings {
    ConvertSettings { naming: naming(word).unwrap(), force: false }
}

#[test]
fn weights_go_through_every_format_and_naming_and_come_back() {
    let folder = tempfile::tempdir().unwrap();
    let (_, small) = small();
    let at = |name: &str| folder.path().join(name);
    write_safetensors(&at("a.safetensors"), &small).unwrap();
    let report = convert(&at("a.safetensors"), &at("b.pth"), &settings("segmenter")).unwrap();
    assert_eq!((report.tensors, report.left_out.len()), (small.tensors.len(), 0));
    assert_eq!(report.naming_from.as_deref(), Some("mmsegmentation"));
    assert_eq!(report.naming_to.as_deref(), Some("Segmenter"));
    assert_eq!(report.metadata, small.metadata);
    assert!(read_weights(&at("b.pth")).unwrap().tensors.contains_key("encoder.blocks.0.norm1.weight"));
    let report = convert(&at("b.pth"), &at("c.safetensors"), &settings("mmseg")).unwrap();
    assert_eq!(read_weights(&at("c.safetensors")).unwrap().tensors, small.tensors);
    assert!(report.left_out.iter().any(|left| left.name == "meta (a dict of 1)"), "{report}");
    convert(&at("a.safetensors"), &at("d.pth"), &settings("keep")).unwrap();
    assert_eq!(read_weights(&at("d.pth")).unwrap().tensors, small.tensors);
    let report = convert(&at("a.safetensors"), &at("e.safetensors"), &settings("timm")).unwrap();
    let encoder = small.tensors.keys().filter(|name| name.starts_with("backbone.")).count();
    assert_eq!((report.tensors, report.left_out.len()), (encoder, small.tensors.len() - encoder));
    let text = report.to_string();
    assert!(text.contains("timm has names for the encoder only: decode_head.classes_proj.weight, "), "{text}");
    assert_eq!(weights(&at("e.safetensors")).naming.as_deref(), Some("timm"));
}

#[test]
fn a_classifier_of_nobody_is_left_out_and_a_bias_that_is_missing_is_added() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (_, mut small) = small();
    small.tensors.remove("backbone.patch_embed.projection.bias");
    small.tensors.insert("head.weight".to_owned(), Tensor::full(&[2, 24], 1.0));
    write_safetensors(&at("a.safetensors"), &small).unwrap();
    let report = convert(&at("a.safetensors"), &at("b.safetensors"), &settings("segmenter")).unwrap();
    assert_eq!(report.left_out.iter().map(|left| left.name.as_str()).collect::<Vec<_>>(), ["head.weight"]);
    assert_eq!(report.added, ["encoder.patch_embed.proj.bias"]);
    let kept = convert(&at("a.safetensors"), &at("c.safetensors"), &settings("keep")).unwrap();
    assert_eq!((kept.tensors, kept.naming_to), (small.tensors.len(), None));
}

#[test]
fn the_weights_inside_a_graph_are_those_that_were_put_in() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (config, weights) = small();
    let network = infer_graph(&config, 1, &Normalisation::of(&config), &weights).unwrap();
    write_model(&network, "infer", &at("infer.onnx")).unwrap();
    let report = convert(&at("infer.onnx"), &at("w.safetensors"), &settings("keep")).unwrap();
    assert_eq!(read_weights(&at("w.safetensors")).unwrap().tensors, weights.tensors);
    let of_the_graph = |left: &LeftOut| ["constant", "upsample_"].iter().any(|start| left.name.starts_with(start));
    assert!(!report.left_out.is_empty() && report.left_out.iter().all(of_the_graph), "{report}");
    let foreign = fixture("graph/exported/residual_legacy17.onnx");
    let report = convert(&foreign, &at("f.pth"), &settings("keep")).unwrap();
    assert!(report.tensors > 3 && report.naming_from.is_none(), "{report}");
    let error = convert(&foreign, &at("g.pth"), &settings("mmseg")).unwrap_err().to_string();
    assert!(error.contains("are not those of mmsegmentation"), "{error}");
    assert!(!at("g.pth").exists());
}

#[test]
fn a_file_is_not_replaced_unless_that_is_wanted_and_no_graph_is_made_of_weights() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("b.pth"), "old").unwrap();
    let from = fixture("weights/segmenter.pth");
    let error = convert(&from, &at("b.pth"), &settings("keep")).unwrap_err();
    assert!(matches!(&error, Error::Usage(text) if text.contains("--force")), "{error}");
    assert_eq!(fs::read(at("b.pth")).unwrap(), b"old");
    convert(&from, &at("b.pth"), &ConvertSettings { naming: None, force: true }).unwrap();
    // Also onto itself.
    let onto = ConvertSettings { naming: naming("mmseg").unwrap(), force: true };
    convert(&at("b.pth"), &at("b.pth"), &onto).unwrap();
    assert_eq!(weights(&at("b.pth")).naming.as_deref(), Some("mmsegmentation"));
    for (to, wanted) in [("c.onnx", "model export --init"), ("c.npz", ".safetensors or .pth"), ("c", ".pth")] {
        let error = convert(&from, &at(to), &settings("keep")).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    assert!(naming("mmcls").unwrap_err().to_string().contains("mmseg, segmenter, timm or keep"));
}

#[test]
fn counters_stay_integers_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let (_, mut small) = small();
    let name = "neck.norm.num_batches_tracked";
    small.tensors.insert(name.to_owned(), Tensor::i64(&[], &[7]).unwrap());
    write_safetensors(&at("a.safetensors"), &small).unwrap();
    convert(&at("a.safetensors"), &at("b.pth"), &settings("mmseg")).unwrap();
    let read = read_weights(&at("b.pth")).unwrap();
    assert_eq!((read.tensors[name].element(), read.tensors[name].to_i64()), (Element::I64, vec![7]));
}

#[test]
fn a_function_that_calls_itself_is_an_error_and_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    let path = changed(&folder, |model| {
        let graph = model.graph.as_mut().unwrap();
        let node = graph.node.iter_mut().find(|node| node.op_type.as_deref() == Some("Relu")).unwrap();
        (node.op_type, node.domain) = (Some("Twice".to_owned()), Some("own".to_owned()));
        let (x, y) = (vec!["x".to_owned()], vec!["y".to_owned()]);
        let inner = selvedge::graph::onnx::messages::Node { input: x.clone(), output: y.clone(), ..node.clone() };
        model.functions.push(Function {
            name: node.op_type.clone(),
            domain: node.domain.clone(),
            input: x,
            output: y,
            node: vec![inner.clone(), inner],
            ..Function::default()
        });
    });
    assert!(graph(&path, &[]).unknown.unwrap().contains("call each other too deeply"));
}

#[test]
fn axes_of_absurd_lengths_are_an_error_and_no_crash() {
    let folder = tempfile::tempdir().unwrap();
    for length in [1_i64 << 32, 1 << 46, i64::MAX] {
        let path = changed(&folder, |model| {
            let input = &mut model.graph.as_mut().unwrap().input[0];
            let kind = input.r#type.as_mut().unwrap().tensor_type.as_mut().unwrap();
            for axis in [0, 2, 3] {
                kind.shape.as_mut().unwrap().dim[axis].length = Some(Length::Fixed(length));
            }
        });
        let unknown = graph(&path, &[]).unknown.unwrap();
        assert!(unknown.contains("more elements than a machine can hold"), "{unknown}");
    }
}
