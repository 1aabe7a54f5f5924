//! Training as its users see it: the program itself on made-up photos, stopped, killed, set otherwise, and used.

use crate::runs::{code, data, end, files, json, selvedge, store};
use arrow::array::AsArray;
use arrow::datatypes::{Float32Type, UInt64Type};
use selvedge::graph::weights::read_weights;
use selvedge::stage::tables::{Place, Tables};
use selvedge::table::schema::{HISTORY, QUARANTINE};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ExitStatus, Stdio};
use tempfile::TempDir;

/// A folder with photos and the tables made of their CSV.
pub(crate) fn dataset() -> TempDir {
    let folder = TempDir::new().unwrap();
    let photos = folder.path().join("photos");
    fs::create_dir(&photos).unwrap();
    for entry in fs::read_dir(data().join("data/train")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), photos.join(entry.file_name())).unwrap();
    }
    let csv = data().join("data/train.csv");
    for words in [
        &["ingest", "--csv", csv.to_str().unwrap(), "--out", "store"][..],
        &["merge", "--annotations", "store", "--out", "store"],
        &["split", "--data", "store", "--ratios", "0.6,0.2,0.2"],
    ] {
        assert_eq!(code(&end(folder.path(), words)), 0, "{words:?}");
    }
    folder
}

/// A small network that is trained for some steps; what `more` says goes before what is usual.
pub(crate) fn words<'a>(name: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let usual = [
        ("--arch", "segmenter-vit-xs-mask/8"),
        ("--size", "32x32"),
        ("--scale", "128x32"),
        ("--batch", "2"),
        ("--rate", "0.01"),
        ("--look", "whole"),
        ("--device", "cpu"),
    ];
    let unsaid =
        usual.iter().filter(|(flag, _)| !more.contains(flag) && (*flag != "--arch" || !more.contains(&"--model")));
    let usual = unsaid.flat_map(|(flag, value)| [*flag, *value]);
    ["train", "--data", "store", "--photos", "photos", "--name", name]
        .into_iter()
        .chain(usual)
        .chain(more.iter().copied())
        .collect()
}

pub(crate) fn trained(folder: &Path, name: &str, more: &[&str]) {
    let output = end(folder, &words(name, more));
    assert_eq!(code(&output), 0, "{}", String::from_utf8_lossy(&output.stderr));
}

/// The bytes of the weights, and the loss of every step.
fn result(folder: &Path, name: &str) -> (Vec<u8>, Vec<(u64, f32)>) {
    let weights = fs::read(folder.join(format!("store/models/{name}/weights.safetensors"))).unwrap();
    let tables = Tables::new(store(&folder.join("store")));
    let place_folder = format!("history/{name}");
    let place = Place { table: &HISTORY, folder: &place_folder };
    let version = tables.current_at(place).unwrap().unwrap();
    let mut losses = Vec::new();
    for batch in tables.scan(place, &version, Some(&["step", "part", "loss"])) {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            if batch.column(1).as_string::<i32>().value(row) == "train" {
                let loss = batch.column(2).as_primitive::<Float32Type>().value(row);
                losses.push((batch.column(0).as_primitive::<UInt64Type>().value(row), loss));
            }
        }
    }
    (weights, losses)
}

/// Ends a process once it has told of `epochs` epochs, and says how it ended.
pub(crate) fn end_after(mut child: Child, epochs: usize, signal: &str) -> ExitStatus {
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut told = 0;
    for line in lines {
        told += usize::from(line.unwrap().contains("waiting for data,"));
        if told == epochs {
            let sent = std::process::Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
            // It may have come to its end by itself in between.
            let _ = sent;
            told += 1;
        }
    }
    child.wait().unwrap()
}

#[test]
fn a_training_that_is_killed_and_stopped_ends_bit_for_bit_where_an_undisturbed_one_does() {
    let folder = dataset();
    let length = ["--epochs", "12", "--checkpoint-steps", "1"];
    trained(folder.path(), "calm", &length);
    let mut rounds = 0;
    loop {
        let mut command = selvedge(folder.path(), &words("storm", &length));
        let child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let signal = if rounds % 2 == 0 { "-KILL" } else { "-TERM" };
        let status = end_after(child, 1 + rounds % 3, signal);
        match status.code() {
            Some(0) => break,
            None => assert_eq!(signal, "-KILL"),
            Some(other) => assert_eq!((other, signal), (143, "-TERM")),
        }
        rounds += 1;
        assert!(rounds < 30, "it does not get on");
    }
    assert!(rounds >= 4, "only {rounds} rounds");
    let (calm, storm) = (result(folder.path(), "calm"), result(folder.path(), "storm"));
    assert_eq!(storm.1, calm.1, "losses of the steps");
    assert!(storm.0 == calm.0, "the weights differ");
}

#[test]
fn a_damaged_checkpoint_is_left_out_and_the_training_ends_all_the_same() {
    let folder = dataset();
    let length = ["--steps", "8", "--checkpoint-steps", "2", "--validate-every", "0"];
    trained(folder.path(), "hurt", &length);
    let whole = result(folder.path(), "hurt");
    for damage in ["state", "manifest"] {
        let files = walk(&folder.path().join("store/train/hurt"));
        let ending = if damage == "state" { ".safetensors" } else { "0000000008.json" };
        let hit = files.iter().find(|file| file.ends_with(ending)).unwrap();
        let bytes = fs::read(hit).unwrap();
        fs::write(hit, &bytes[..bytes.len() / 2]).unwrap();
        // A training that is done is not looked at again.
        fs::remove_file(folder.path().join("store/models/hurt/training.json")).unwrap();
        let output = end(folder.path(), &words("hurt", &length));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(code(&output), 0, "{damage}: {told}");
        assert!(told.contains("is left out"), "{damage}: {told}");
        assert!(result(folder.path(), "hurt") == whole, "{damage}");
    }
}

#[test]
fn workers_and_cache_change_nothing_and_a_picture_of_the_first_batch_is_there() {
    let folder = dataset();
    trained(folder.path(), "one", &["--steps", "4", "--workers", "1"]);
    trained(folder.path(), "three", &["--steps", "4", "--workers", "3"]);
    assert!(result(folder.path(), "one") == result(folder.path(), "three"));
    // What is kept is smoother than what is decoded; from then on nothing is decoded, and it stays the same.
    for name in ["kept", "again"] {
        trained(folder.path(), name, &["--steps", "4", "--cache", "cache"]);
    }
    assert!(result(folder.path(), "kept") == result(folder.path(), "again"));
    for file in ["batch.png", "curves.svg", "loss.svg", "training.json", "artifact.toml", "infer.onnx"] {
        assert!(folder.path().join("store/models/one").join(file).is_file(), "{file}");
    }
}

#[test]
fn passes_of_a_part_of_the_batch_add_up_to_the_whole() {
    let folder = dataset();
    trained(folder.path(), "whole", &["--steps", "6", "--batch", "4"]);
    trained(folder.path(), "parts", &["--steps", "6", "--batch", "4", "--passes", "2"]);
    let (whole, parts) = (result(folder.path(), "whole"), result(folder.path(), "parts"));
    for ((step, one), (_, other)) in whole.1.iter().zip(&parts.1) {
        assert!((one - other).abs() <= 2e-5 * one.abs(), "step {step}: {one} and {other}");
    }
    let output = end(folder.path(), &words("odd", &["--steps", "6", "--batch", "3", "--passes", "2"]));
    assert_eq!(code(&output), 2, "a batch of 3 is not 2 passes");
}

#[test]
fn photos_that_cannot_be_used_are_quarantined_before_the_first_step() {
    let folder = dataset();
    let mut photos: Vec<_> =
        fs::read_dir(folder.path().join("photos")).unwrap().map(|entry| entry.unwrap().path()).collect();
    photos.sort();
    let bytes = fs::read(&photos[0]).unwrap();
    fs::write(&photos[0], &bytes[..bytes.len() / 2]).unwrap();
    fs::remove_file(&photos[1]).unwrap();
    let other = fs::read(&photos[3]).unwrap();
    fs::write(&photos[2], other).unwrap();
    let mut found = BTreeMap::new();
    // Which splits they are in depends on the draw: training and evaluation see all of them together.
    let output = end(folder.path(), &words("left", &["--steps", "2"]));
    assert!(matches!(code(&output), 0 | 2 | 3), "{}", String::from_utf8_lossy(&output.stderr));
    let tables = Tables::new(store(&folder.path().join("store")));
    let version = tables.current(&QUARANTINE).unwrap();
    if let Some(version) = version {
        for batch in tables.scan(Place::from(&QUARANTINE), &version, Some(&["stage", "item", "reason"])) {
            let batch = batch.unwrap();
            for row in 0..batch.num_rows() {
                if batch.column(0).as_string::<i32>().value(row) == "train" {
                    let text = |column: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
                    found.insert(text(1), text(2));
                }
            }
        }
    }
    let id = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
    for (path, reason) in [(&photos[0], "truncated"), (&photos[1], "missing_file"), (&photos[2], "size_mismatch")] {
        // A photo of the test split is not looked at by a training.
        if let Some(reason_found) = found.get(&id(path)) {
            assert_eq!(reason_found, reason);
        }
    }
    assert!(!found.is_empty(), "none of three bad photos of six was found");
    assert_eq!(code(&output) == 3, folder.path().join("store/models/left/training.json").exists());
}

#[test]
fn a_training_that_diverges_stops_with_its_last_good_checkpoint() {
    let folder = dataset();
    let output = end(
        folder.path(),
        &words("wild", &["--steps", "30", "--rate", "1e6", "--floor", "0", "--checkpoint-steps", "1"]),
    );
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(code(&output), 1, "{told}");
    assert!(told.contains("learning rate") && told.contains("checkpoint"), "{told}");
    assert!(!folder.path().join("store/models/wild/artifact.toml").exists());
    for entry in walk(&folder.path().join("store/train/wild")) {
        if entry.ends_with("safetensors") {
            let weights = read_weights(Path::new(&entry)).unwrap();
            assert!(weights.tensors.values().all(|tensor| tensor.to_f64().iter().all(|number| number.is_finite())));
        }
    }
}

fn walk(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path.to_str().unwrap().to_owned()) }
    }
    found
}

#[test]
fn an_exported_model_is_trained_by_its_own_graphs_to_the_same_weights() {
    let folder = dataset();
    let export = [
        "model",
        "export",
        "--arch",
        "segmenter-vit-xs-mask/8",
        "--size",
        "32x32",
        "--batch",
        "2",
        "--out",
        "exported",
    ];
    assert_eq!(code(&end(folder.path(), &export)), 0);
    trained(folder.path(), "built", &["--steps", "4"]);
    trained(folder.path(), "given", &["--steps", "4", "--model", "exported"]);
    let (built, given) = (result(folder.path(), "built"), result(folder.path(), "given"));
    assert_eq!(given.1, built.1);
    let read =
        |name: &str| read_weights(&folder.path().join(format!("store/models/{name}/weights.safetensors"))).unwrap();
    assert_eq!(read("given").tensors.keys().collect::<Vec<_>>(), read("built").tensors.keys().collect::<Vec<_>>());
}

#[test]
fn a_checkpoint_of_150_classes_begins_a_training_of_28() {
    let folder = dataset();
    let big =
        ["model", "export", "--arch", "segmenter-vit-xs-mask/8", "--classes", "150", "--size", "64x64", "--out", "big"];
    assert_eq!(code(&end(folder.path(), &big)), 0);
    let convert = ["model", "convert", "big/weights.safetensors", "ade.pth", "--names", "mmseg"];
    let converted = end(folder.path(), &convert);
    assert_eq!(code(&converted), 0, "{}", String::from_utf8_lossy(&converted.stderr));
    let output = end(folder.path(), &words("tuned", &["--steps", "1", "--init", "ade.pth"]));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(code(&output), 0, "{told}");
    let line = told.lines().find(|line| line.contains("start afresh")).unwrap_or_else(|| panic!("{told}"));
    assert!(line.contains("cls_emb") && line.contains("mask_norm") && !line.contains("patch_embed"), "{line}");
}

#[test]
fn a_pipeline_trains_evaluates_compares_and_cuts_out_and_does_nothing_twice() {
    let folder = dataset();
    fs::create_dir(folder.path().join("unseen")).unwrap();
    for photo in ["product-000000.jpg", "product-000001.jpg"] {
        fs::copy(data().join("data/catalog").join(photo), folder.path().join("unseen").join(photo)).unwrap();
    }
    let pipeline = r#"
        name = "fashion"
        store = "store"
        [[stage]]
        kind = "train"
        name = "tiny"
        arch = "segmenter-vit-xs-linear/8"
        size = [32, 32]
        scale = [128, 32]
        batch = 2
        steps = 3
        rate = 0.01
        device = "cpu"
        look = "whole"
        class_weights = "median-frequency"
        photos = "photos"
        [[stage]]
        kind = "evaluate"
        model = "{store}/models/tiny"
        photos = "photos"
        look = "whole"
        floors = true
        device = "cpu"
        [[stage]]
        kind = "compare"
        models = ["{store}/models/tiny"]
        [[stage]]
        kind = "cutout"
        input = "unseen/"
        out = "cutouts"
        model = "{store}/models/tiny"
        classes = ["dress", "pants", "shirt, blouse"]
    "#;
    fs::write(folder.path().join("fashion.toml"), pipeline).unwrap();
    let first = json(folder.path(), 0, &["run", "fashion.toml"]);
    assert_eq!(first["outcome"], "done");
    let figures = fs::read(folder.path().join("store/models/tiny/evaluation.json")).unwrap();
    let figures: serde_json::Value = serde_json::from_slice(&figures).unwrap();
    for key in ["aAcc", "mAcc", "mIoU", "foreground_iou", "boundary_iou", "per_class", "floors"] {
        assert!(!figures[key].is_null() || key == "boundary_iou", "{key}: {figures}");
    }
    assert!(folder.path().join("store/models/comparison.txt").is_file());
    let made = ["cutouts", "store/review/cutout"].map(|place| files(&folder.path().join(place)).into_keys());
    let made = made.into_iter().flatten().filter(|path| path.extension().is_some_and(|extension| extension == "png"));
    assert_eq!(made.count(), 2, "one cutout a photo, in the shop or to be looked at");
    let again = json(folder.path(), 0, &["run", "fashion.toml"]);
    assert_eq!(again["counts"]["ok"], 0, "{again}");
    fs::write(folder.path().join("fashion.toml"), pipeline.replace("rate = 0.01", "rate = 0.02")).unwrap();
    let changed = end(folder.path(), &["run", "fashion.toml"]);
    let told = String::from_utf8_lossy(&changed.stderr).into_owned();
    assert!(code(&changed) == 0 && told.contains("changed: rates"), "{told}");
}

#[test]
fn every_shipped_pipeline_can_be_read_and_names_networks_that_can_be_built() {
    for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/pipelines")).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let sets = BTreeMap::new();
        let given = selvedge::pipeline::Given {
            sets: &sets,
            date: "2026-11-23",
            environment: |_| Some("x".to_owned()),
            store_options: &[],
        };
        let pipeline = selvedge::pipeline::Pipeline::parse(&path, &text, &given).unwrap();
        for stage in &pipeline.stages {
            if let selvedge::pipeline::Kind::Train(training) = &stage.kind
                && let selvedge::pipeline::Network::Named(network, _) = &training.network
            {
                selvedge::graph::net::Config::named(&network.arch, network.classes, network.size).unwrap();
            }
        }
    }
}
