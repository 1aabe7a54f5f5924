//! Models made to compute with bytes, and how the cores are divided among sessions, with the small networks of
//! `tests/fixtures/models`.

use crate::graph_rules::fixture;
use crate::runs::{code, data, end, json};
use crate::runtime::loaded;
use selvedge::cancel::Cancel;
use selvedge::graph::onnx::{Source, read_model};
use selvedge::graph::{Element, Tensor};
use selvedge::predict::{self, ModelChoice, ModelFiles};
use tempfile::TempDir;

/// A folder with a small network, what is red being foreground.
fn workplace_of(model: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    std::fs::copy(fixture(&format!("models/{model}.onnx")), folder.path().join("small.onnx")).unwrap();
    std::fs::write(folder.path().join("small.toml"), "licence = \"MIT\"\n").unwrap();
    folder
}

fn workplace() -> TempDir {
    workplace_of("small")
}

fn words<'a>(photos: &'a str, out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["model", "quantize", "small.onnx", "--photos", photos, "--out", out, "--images", "12", "--holdout", "6"], more]
        .concat()
}

fn photos() -> String {
    data().join("data/catalog").to_str().unwrap().to_owned()
}

fn tensor(source: &Source, name: &str) -> Tensor {
    source.initializer(name).unwrap_or_else(|| panic!("there is no {name}")).unwrap()
}

#[test]
fn a_model_is_quantised_by_channel_and_cuts_photos_out_as_before() {
    let folder = workplace();
    let photos = photos();
    let answer = json(folder.path(), 0, &words(&photos, "bytes.onnx", &["--min-iou", "0.98"]));
    let made = &answer["quantized"];
    assert!(made["agreement"]["mean_iou"].as_f64() >= Some(0.9), "{made}");
    assert_eq!(made["agreement"]["photos"].as_array().unwrap().len(), 6);
    assert!(made["cpu_ms"].as_f64() > Some(0.0) && made["cpu_ms_before"].as_f64() > Some(0.0));
    let report: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.path().join("bytes.json")).unwrap()).unwrap();
    assert_eq!(&report, made);

    let source = read_model(&folder.path().join("bytes.onnx")).unwrap();
    assert_eq!((source.opset(), source.unknown.len()), (17, 0));
    let weights = tensor(&source, "second/weight");
    assert_eq!((weights.element(), weights.dims()), (Element::I8, &[8, 8, 3, 3][..]));
    // Every channel has a scale of its own, so that its greatest weight is the greatest byte.
    assert_eq!(tensor(&source, "second/weight/scale").dims(), [8]);
    for channel in weights.data().chunks(8 * 9) {
        assert_eq!(channel.iter().map(|byte| (*byte as i8).unsigned_abs()).max(), Some(127));
    }
    assert!(tensor(&source, "second/weight/zero").data().iter().all(|byte| *byte == 0));
    assert_eq!(tensor(&source, "second/bias").element(), Element::I32);
    // What lies behind a rectifier begins at zero; the pool keeps the scale of what it is given.
    assert_eq!((tensor(&source, "b/zero").element(), tensor(&source, "b/zero").data()[0]), (Element::U8, 0));
    assert_eq!(tensor(&source, "b/scale").to_f32(), tensor(&source, "c/scale").to_f32());
    // The last node's result is not rectified, and the sigmoid behind it computes with floats.
    assert!(tensor(&source, "h/zero").data()[0] > 0);
    assert!(source.initializer("map/scale").is_none() && source.initializer("w2").is_none());

    let sidecar = std::fs::read_to_string(folder.path().join("bytes.toml")).unwrap();
    assert!(sidecar.contains("licence = \"MIT\"") && sidecar.starts_with("# Static int8 of small.onnx"), "{sidecar}");
    let cut = json(folder.path(), 0, &["cutout", &photos, "--model", "bytes.onnx", "--out", "cut", "--limit", "2"]);
    assert_eq!(cut["counts"]["failed"], 0, "{cut}");
}

#[test]
fn the_same_photos_give_the_same_bytes() {
    let folder = workplace();
    for (out, threads) in [("one.onnx", "1"), ("two.onnx", "2")] {
        json(folder.path(), 0, &words(&photos(), out, &["--min-iou", "0.98", "--threads", threads]));
    }
    let read = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    assert!(read("one.onnx") == read("two.onnx"));
}

#[test]
fn a_node_can_be_left_in_floats_with_what_it_reads() {
    let folder = workplace();
    let photos = photos();
    let out = words(&photos, "bytes.onnx", &["--min-iou", "0.98", "--exclude", "second", "--method", "minmax"]);
    let made = json(folder.path(), 0, &out);
    // The first node gives what the second one reads.
    assert_eq!(made["quantized"]["float_nodes"], serde_json::json!(["first", "second"]));
    assert_eq!(made["quantized"]["quantised_nodes"], 1);
    let source = read_model(&folder.path().join("bytes.onnx")).unwrap();
    assert!(source.initializer("last/weight").is_some() && source.initializer("c/scale").is_none());
    assert_eq!(tensor(&source, "w2").element(), Element::F32);
}

#[test]
fn what_does_not_hold_the_bound_is_refused_with_the_worst_photos_and_leaves_nothing() {
    let folder = workplace_of("loud");
    let refused = end(folder.path(), &words(&photos(), "bytes.onnx", &[]));
    let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(code(&refused), 4, "{stderr}");
    for told in ["product-0000", "--min-iou", "Nothing was written"] {
        assert!(stderr.contains(told), "{stderr}");
    }
    for ending in ["onnx", "toml", "json"] {
        assert!(!folder.path().join(format!("bytes.{ending}")).exists(), "{ending}");
    }
}

#[test]
fn mistakes_are_refused_before_any_work() {
    let folder = workplace();
    let photos = photos();
    std::fs::write(folder.path().join("there.toml"), "").unwrap();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    for (words, told) in [
        (words(&photos, "there.onnx", &[]), "--force"),
        (words(&photos, "bytes.onnx", &["--exclude", "third"]), "first, second, last"),
        (words(&photos, "bytes.onnx", &["--min-iou", "98"]), "from 0 to 1"),
        (words(&photos, "bytes.onnx", &["--device", "cuda"]), "--device cpu"),
        (words("empty", "bytes.onnx", &[]), "at least 8"),
    ] {
        let refused = end(folder.path(), &words);
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(code(&refused), 2, "{words:?}: {stderr}");
        assert!(stderr.contains(told), "{words:?}: {stderr}");
    }
}

fn red() -> ModelChoice {
    let model = std::fs::read(fixture("models/red.onnx")).unwrap();
    ModelChoice::Network(ModelFiles { name: "red.onnx".into(), model, sidecar: Some("licence = \"MIT\"".into()) })
}

#[test]
fn the_cores_are_divided_by_what_was_measured() {
    let settings = predict::Settings::default();
    let division = predict::calibrate(&red(), &loaded(), &settings, 2, None, &Cancel::default()).unwrap();
    let ways: Vec<(usize, usize)> = division.tried.iter().map(|trial| (trial.sessions, trial.threads)).collect();
    assert_eq!(ways, [(2, 1), (1, 2)]);
    assert!(division.tried.iter().all(|trial| trial.images_per_second > 0.0 && trial.skipped.is_none()));
    let chosen = &division.tried[predict::best(&division.tried).unwrap()];
    assert_eq!((division.sessions, division.threads), (chosen.sessions, chosen.threads));
}

#[test]
fn a_threshold_has_nothing_to_divide() {
    let settings = predict::Settings::default();
    let division =
        predict::calibrate(&ModelChoice::Threshold, &loaded(), &settings, 6, None, &Cancel::default()).unwrap();
    assert_eq!((division.sessions, division.threads, division.tried.len()), (6, 1, 0));
}

#[test]
fn a_models_divisions_are_shown_as_a_table() {
    let folder = workplace();
    let shown = end(folder.path(), &["model", "bench", "small.onnx", "--threads", "2"]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(code(&shown), 0, "{}", String::from_utf8_lossy(&shown.stderr));
    assert!(text.contains("images/s") && text.contains("best: "), "{text}");
    assert!(!folder.path().join("small.json").exists());
}
