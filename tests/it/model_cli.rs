//! The commands of `selvedge model` as a person meets them.

use crate::graph_rules::fixture;
use crate::runs::{code, data, end, json};
use selvedge::graph::onnx::read_model;
use selvedge::graph::weights::read_weights;
use std::path::Path;
use tempfile::TempDir;

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_golden_file_is_checked_and_what_was_computed_is_written_down() {
    let folder = TempDir::new().unwrap();
    let file = fixture("golden/setr_mla_a.safetensors");
    let answer = json(folder.path(), 0, &["model", "check-golden", path(&file), "--dump", "ours.safetensors"]);
    assert_eq!(answer["passed"], true);
    let tensors = answer["tensors"].as_array().unwrap();
    assert_eq!(tensors.len(), read_weights(&file).unwrap().tensors.len());
    let ours = read_weights(&folder.path().join("ours.safetensors")).unwrap();
    assert_eq!(ours.tensors["train/loss_per_step"].len(), 3);
    // A file of another kind does not pass either, and says why.
    let other = fixture("graph/exported/pup.safetensors");
    let refused = end(folder.path(), &["model", "check-golden", path(&other)]);
    assert_eq!(code(&refused), 1, "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(!refused.stderr.is_empty());
}

#[test]
fn an_exported_graph_is_checked_and_one_whose_weights_lost_their_names_does_not_pass() {
    let folder = TempDir::new().unwrap();
    let numbers = fixture("graph/exported/window.safetensors");
    let check = |graph: &str| {
        let graph = fixture(&format!("graph/exported/{graph}.onnx"));
        code(&end(folder.path(), &["model", "check-exported", path(&graph), path(&numbers)]))
    };
    assert_eq!(check("window_dynamo18"), 0);
    assert_eq!(check("window_dynamo21_opt"), 1);
    assert_eq!(check("mobile_dynamo21"), 1, "the numbers of another graph");
}

#[test]
fn a_network_is_exported_trained_for_a_step_and_cuts_photos_out() {
    let folder = TempDir::new().unwrap();
    let export = |more: &[&str]| {
        let words =
            ["model", "export", "--arch", "segmenter-vit-t-linear", "--size", "64x96", "--classes", "3", "--out", "m"];
        end(folder.path(), &[&words[..], more].concat())
    };
    let made = export(&["--batch", "1"]);
    assert_eq!(code(&made), 0, "{}", String::from_utf8_lossy(&made.stderr));
    let model = folder.path().join("m");
    for name in ["infer", "eval", "train_step", "grad", "update"] {
        let source = read_model(&model.join(format!("{name}.onnx"))).unwrap();
        assert_eq!((source.opset(), source.unknown.len()), (21, 0), "{name}");
    }
    assert_eq!(code(&export(&[])), 2, "a model is not replaced unasked");
    let timing = json(folder.path(), 0, &["model", "bench", "m", "--steps", "2", "--nodes"]);
    let losses = timing["timing"]["losses"].as_array().unwrap();
    assert_eq!(losses.len(), 4);
    assert!(losses.windows(2).all(|pair| pair[1].as_f64() < pair[0].as_f64()), "{losses:?}");
    assert!(timing["timing"]["nodes"]["CPUExecutionProvider"].as_u64() > Some(100));
    let photos = data().join("data/catalog");
    let words = ["cutout", path(&photos), "--model", "m/infer.onnx", "--out", "cut", "--limit", "2"];
    let cut = json(folder.path(), 0, &words);
    assert_eq!(cut["counts"]["ok"].as_u64().unwrap() + cut["counts"]["review"].as_u64().unwrap(), 2, "{cut}");

    // A file that is not the one that was written is refused.
    let step = model.join("train_step.onnx");
    let mut bytes = std::fs::read(&step).unwrap();
    bytes.push(0);
    std::fs::write(&step, bytes).unwrap();
    assert_eq!(code(&end(folder.path(), &["model", "bench", "m"])), 2);

    // Half of its weights again, for another number of classes.
    let words = ["model", "export", "--arch", "segmenter-vit-t-linear", "--size", "96x96", "--classes", "5", "--init"];
    let again = json(folder.path(), 0, &[&words[..], &["m/weights.safetensors", "--out", "n"]].concat());
    let outcome = |name: &str| {
        let lines = again["weights"].as_array().unwrap();
        lines.iter().find(|line| line["name"] == name).unwrap()["outcome"].clone()
    };
    assert_eq!(outcome("backbone.pos_embed"), "resized");
    assert_eq!(outcome("decode_head.conv_seg.weight"), "fresh");
    assert_eq!(outcome("backbone.layers.3.ln1.weight"), "loaded");
}

#[test]
fn a_foreign_graph_becomes_a_step_whose_loss_falls() {
    let folder = TempDir::new().unwrap();
    let graph = fixture("graph/exported/unet_legacy17.onnx");
    let made =
        json(folder.path(), 0, &["model", "differentiate", path(&graph), "--loss", "cross-entropy", "--out", "u"]);
    assert_eq!(made["parameters"], 5052);
    let timing = json(folder.path(), 0, &["model", "bench", "u", "--steps", "3"]);
    let losses = timing["timing"]["losses"].as_array().unwrap();
    assert!(losses[4].as_f64() < losses[0].as_f64(), "{losses:?}");
}

#[test]
fn mistakes_are_told_with_what_is_possible() {
    let folder = TempDir::new().unwrap();
    let graph = fixture("graph/exported/unet_legacy17.onnx");
    let graph = path(&graph);
    for (words, told) in [
        (vec!["export", "--arch", "segmenter-vit-x-mask", "--out", "m"], "segmenter-vit-b-mask"),
        (vec!["export", "--arch", "setr-pup", "--size", "512", "--out", "m"], "HEIGHTxWIDTH"),
        (vec!["export", "--arch", "setr-pup", "--init", "nothing.pth", "--out", "m"], "nothing.pth"),
        (vec!["differentiate", graph, "--output", "probabilities", "--out", "m"], "there are logits"),
        (vec!["differentiate", graph, "--momentum", "1.5", "--out", "m"], "momentum"),
        (vec!["differentiate", graph, "--class-weights", "1,2", "--out", "m"], "2 class weights for 4 classes"),
        (vec!["bench", "."], "model export"),
    ] {
        let refused = end(folder.path(), &[&["model"], &words[..]].concat());
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(code(&refused), 2, "{words:?}: {stderr}");
        assert!(stderr.contains(told), "{words:?}: {stderr}");
        assert!(!folder.path().join("m/artifact.toml").exists(), "{words:?}");
    }
}
