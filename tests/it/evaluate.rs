//! Evaluations: against a straightforward second computation, from stores of every kind, stopped, and refused.

use crate::graph_rules::array;
use crate::runs::{code, end, json};
use crate::runtime::loaded;
use crate::split::{Mask, World, masks};
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{UInt8Type, UInt64Type};
use bytes::Bytes;
use selvedge::cancel::{Cancel, Cause};
use selvedge::event::{Event, Sink};
use selvedge::graph::train::Recipe;
use selvedge::graph::weights::Start;
use selvedge::graph::weights::read_weights;
use selvedge::image::raster::ClassSpans;
use selvedge::image::taps::{Axis, bilinear};
use selvedge::image::{Limits, SourceImage, decode, encode};
use selvedge::runtime::{Array, Device, Model, SessionSettings, State, Step};
use selvedge::stage::artifact::{Network, NetworkSettings, publish};
use selvedge::stage::bench::Bench;
use selvedge::stage::evaluate::{self, Evaluation, Settings};
use selvedge::stage::measure::confusion::{Confusion, percent};
use selvedge::stage::measure::wish::{LookWish, ModeWord};
use selvedge::stage::tables::Place;
use selvedge::stage::{Error, Report};
use selvedge::storage::{Options, Store};
use selvedge::table::schema::{CONFUSION, MASKS, QUARANTINE, SPLITS};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

const ARCH: &str = "segmenter-vit-xs-mask/8";
const CLASSES: usize = 6;
const CROP: (usize, usize) = (32, 40);

fn bench() -> Bench {
    Bench { runtime: loaded(), threads: 1, device: Device::Cpu, tf32: false, cuda_graph: false }
}

/// A network of random weights.
fn model(classes: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    let settings = NetworkSettings {
        arch: ARCH.to_owned(),
        classes,
        size: CROP,
        batch: 2,
        seed: 5,
        start: Start::Published,
        recipe: Recipe::default(),
        head_rate: 1.0,
        drop_path: None,
        dropout: 0.0,
    };
    let network = Network::make(&settings).unwrap();
    let (weights, _) = network.begin(None).unwrap();
    network.write(folder.path(), &weights, &Cancel::default()).unwrap();
    folder
}

/// A photo of soft colours, `height × width × 3` bytes.
fn soft(height: u32, width: u32, seed: f32) -> Vec<u8> {
    let wave = |a: f32| (127.0 + 120.0 * (a + seed).sin()) as u8;
    let pixel = |y: u32, x: u32| {
        let (y, x) = (y as f32, x as f32);
        [wave(x / 9.0), wave(y / 7.0 + seed), wave((x + 2.0 * y) / 11.0)]
    };
    (0..height).flat_map(|y| (0..width).flat_map(move |x| pixel(y, x))).collect()
}

/// Sizes of the images: smaller than the crop, larger, upright, across, and long.
const SIZES: [(u32, u32); 6] = [(48, 64), (64, 48), (20, 30), (90, 90), (33, 100), (70, 31)];

/// Photos, masks and splits: `test` and, in `train`, two images.
struct Scene {
    world: World,
    photos: Store,
    model: TempDir,
    rows: Vec<Mask>,
}

impl Scene {
    fn new() -> Self {
        let world = World::new();
        let photos = world.store();
        let mut rows = Vec::new();
        for (index, (height, width)) in SIZES.iter().copied().enumerate() {
            let id = format!("image{index}");
            let png = encode::png_rgb(width, height, &soft(height, width, index as f32), None).unwrap();
            photos.wait(photos.put(&format!("{id}.png"), Bytes::from(png))).unwrap();
            let (mut classes, mut lengths, mut left) = (Vec::new(), Vec::new(), height * width);
            let kinds = [0, 1, 255, 0, 2, 3, 0, 5, 1];
            for span in 0.. {
                let length = (height / 2 + 5 * span % 17 + 1).min(left);
                if left == 0 {
                    break;
                }
                classes.push(kinds[(span as usize + index) % kinds.len()]);
                lengths.push(length);
                left -= length;
            }
            rows.push(Mask { id, height, width, classes, lengths });
        }
        let scene = Self { world, photos, model: model(CLASSES), rows };
        scene.world.publish(&MASKS, &[masks(&scene.rows)]);
        let split = |index: usize| if index < 2 { "train" } else { "test" };
        let text = |of: &dyn Fn(usize, &Mask) -> String| -> ArrayRef {
            let rows = scene.rows.iter().enumerate();
            Arc::new(StringArray::from_iter_values(rows.map(|(index, row)| of(index, row))))
        };
        let columns =
            vec![text(&|_, row| row.id.clone()), text(&|index, _| split(index).into()), text(&|_, _| "".into())];
        scene.world.publish(&SPLITS, &[RecordBatch::try_new(SPLITS.schema(), columns).unwrap()]);
        scene
    }

    /// Slid over a small base, so that every photo has several windows or is smaller than one.
    fn settings(&self) -> Settings {
        let model = self.folder(self.model.path());
        let look = LookWish { base: (96, 48), ..LookWish::default() };
        Settings { name: "tiny".to_owned(), look, panels: 2, ..Settings::new(model, self.photos.clone()) }
    }

    fn folder(&self, path: &Path) -> Store {
        Store::open(path.to_str().unwrap(), &Options::default(), self.world.runtime.handle().clone()).unwrap()
    }

    fn run(&self, settings: &Settings) -> Result<(Evaluation, Report), Error> {
        let fingerprint = evaluate::fingerprint(settings, &self.world.context)?;
        evaluate::run(settings, fingerprint, &self.world.context, &bench())
    }

    fn kept(&self, key: &str) -> Bytes {
        let store = self.world.context.tables.store();
        store.wait(store.get(&format!("models/tiny/{key}"))).unwrap()
    }

    /// The table of confusions as a matrix.
    fn confusion(&self) -> Confusion {
        let place = Place { table: &CONFUSION, folder: "confusion/tiny" };
        let tables = &self.world.context.tables;
        let version = tables.current_at(place).unwrap().unwrap();
        let mut counts = vec![0; CLASSES * CLASSES];
        for batch in tables.scan(place, &version, None) {
            let batch = batch.unwrap();
            let class =
                |column: usize, row: usize| batch.column(column).as_primitive::<UInt8Type>().value(row) as usize;
            for row in 0..batch.num_rows() {
                assert_eq!(batch.column(0).as_string::<i32>().value(row), "tiny");
                assert_eq!(batch.column(1).as_string::<i32>().value(row), "test");
                let pixels = batch.column(4).as_primitive::<UInt64Type>().value(row);
                counts[class(2, row) * CLASSES + class(3, row)] = pixels;
            }
        }
        Confusion::from_counts(CLASSES, counts).unwrap()
    }
}

/// The logits of one window, alone in its batch.
fn ask(step: &mut Step, state: &mut State, window: &[f32]) -> Vec<f64> {
    let mut images = window.to_vec();
    images.resize(window.len() * 2, 0.0);
    let images = Array::from_f32(&[2, 3, CROP.0, CROP.1], &images).unwrap();
    let all = step.run(state, &[("image", &images)], &["logits"], &Cancel::default()).unwrap().remove(0);
    let all = all.to_f32().unwrap();
    all[..all.len() / 2].iter().map(|number| f64::from(*number)).collect()
}

/// What mmsegmentation's slide over one photo gives, pixel by pixel: the class map.
fn slid_over(step: &mut Step, state: &mut State, photo: &[u8], (height, width): (usize, usize)) -> Vec<u8> {
    let factor = (96.0 / height.max(width) as f64).min(48.0 / height.min(width) as f64);
    let side = |side: usize| (side as f64 * factor + 0.5) as usize;
    let (rows, columns) = (side(height), side(width));
    let axis = |target: usize| Axis { target: target as u32, first: 0, count: target as u32, reversed: false };
    let picture = bilinear(photo, (width as u32, height as u32), axis(rows), axis(columns)).unwrap();
    let stride = [(CROP.0 * 480 + 256) / 512, (CROP.1 * 480 + 256) / 512];
    let mut sums = vec![0.0; CLASSES * rows * columns];
    let mut seen = vec![0.0; rows * columns];
    let starts = |length: usize, crop: usize, stride: usize| {
        let mut starts = vec![0];
        while starts[starts.len() - 1] + crop < length {
            starts.push((starts[starts.len() - 1] + stride).min(length - crop));
        }
        starts
    };
    for top in starts(rows, CROP.0, stride[0]) {
        for left in starts(columns, CROP.1, stride[1]) {
            let mut window = vec![0.0_f32; 3 * CROP.0 * CROP.1];
            let inside = |y: usize, x: usize| top + y < rows && left + x < columns;
            for (at, value) in window.iter_mut().enumerate() {
                let (channel, y, x) = (at / CROP.1 / CROP.0, at / CROP.1 % CROP.0, at % CROP.1);
                if inside(y, x) {
                    *value = (f32::from(picture[((top + y) * columns + left + x) * 3 + channel]) - 127.5) / 127.5;
                }
            }
            let logits = ask(step, state, &window);
            for (at, logit) in logits.iter().enumerate() {
                let (class, y, x) = (at / CROP.1 / CROP.0, at / CROP.1 % CROP.0, at % CROP.1);
                if inside(y, x) {
                    sums[(class * rows + top + y) * columns + left + x] += logit;
                    seen[(top + y) * columns + left + x] += if class == 0 { 1.0 } else { 0.0 };
                }
            }
        }
    }
    let mut map = Vec::with_capacity(height * width);
    let tap = |at: usize, from: usize, to: usize| {
        let middle = ((at as f64 + 0.5) * from as f64 / to as f64 - 0.5).max(0.0);
        let first = (middle as usize).min(from - 1);
        (first, (first + 1).min(from - 1), middle - first as f64)
    };
    for y in 0..height {
        let (up, down, low) = tap(y, rows, height);
        for x in 0..width {
            let (left, right, far) = tap(x, columns, width);
            let value = |class: usize| {
                let at = |y: usize, x: usize| sums[(class * rows + y) * columns + x] / seen[y * columns + x];
                let upper = at(up, left) * (1.0 - far) + at(up, right) * far;
                let lower = at(down, left) * (1.0 - far) + at(down, right) * far;
                upper * (1.0 - low) + lower * low
            };
            let mut best = 0;
            for class in 1..CLASSES {
                if value(class) > value(best) {
                    best = class;
                }
            }
            map.push(best as u8);
        }
    }
    map
}

#[test]
fn an_evaluation_is_what_sliding_over_each_photo_by_itself_gives() {
    let scene = Scene::new();
    let (evaluation, report) = scene.run(&scene.settings()).unwrap();
    assert_eq!((evaluation.images, report.counts.ok, report.counts.quarantined), (4, 4, 0));

    let graph = scene.model.path().join("eval.onnx");
    let mut step = Step::open(&loaded(), "tiny", Model::File(&graph), &SessionSettings::default(), &[]).unwrap();
    let mut state = State::new(&loaded(), Device::Cpu).unwrap();
    for (name, tensor) in &read_weights(&scene.model.path().join("weights.safetensors")).unwrap().tensors {
        state.set(name, &array(tensor)).unwrap();
    }
    let mut naive = Confusion::new(CLASSES).unwrap();
    let mut predicted = BTreeMap::new();
    for (index, row) in scene.rows.iter().enumerate().skip(2) {
        let photo = soft(row.height, row.width, index as f32);
        let size = (row.height as usize, row.width as usize);
        let map = slid_over(&mut step, &mut state, &photo, size);
        let spans = ClassSpans { height: row.height, width: row.width, classes: &row.classes, lengths: &row.lengths };
        naive.add(&spans.rasterise().unwrap(), &map).unwrap();
        map.iter().for_each(|class| *predicted.entry(*class).or_insert(0) += 1);
    }
    assert!(predicted.len() > 1, "a network of one answer proves little: {predicted:?}");
    let confusion = scene.confusion();
    let differing: u64 = confusion.counts().iter().zip(naive.counts()).map(|(one, other)| one.abs_diff(*other)).sum();
    assert_eq!(confusion.pixels(), naive.pixels());
    // Where two classes are all but equal, 32 and 64 bits may disagree.
    assert!(differing * 500 <= naive.pixels(), "{differing} of {}", naive.pixels());
}

#[test]
fn the_figures_kept_are_those_of_the_confusions_kept() {
    let scene = Scene::new();
    let (evaluation, _) = scene.run(&scene.settings()).unwrap();
    let metrics = scene.confusion().metrics();
    let object: serde_json::Value = serde_json::from_slice(&scene.kept("evaluation.json")).unwrap();
    assert_eq!(object["schema"], "selvedge.evaluation/1");
    for (key, value) in metrics.to_json(&["background", "shirt, blouse"]) {
        if key == "per_class" {
            for (class, figures) in value.as_array().unwrap().iter().enumerate() {
                for key in ["IoU", "Acc", "labelled_px", "right_px"] {
                    assert_eq!(object["per_class"][class][key], figures[key], "{key} of {class}");
                }
            }
            assert_eq!(object["per_class"][1]["name"], "shirt, blouse");
        } else {
            assert_eq!(object[&key], value, "{key}");
        }
    }
    assert_eq!(object["aAcc"].as_f64(), percent(metrics.pixel_accuracy));
    assert!(object["boundary_iou"].as_f64().is_some_and(|iou| (0.0..=100.0).contains(&iou)));
    // Without annotations nothing is known of common classes.
    assert_eq!((&object["mIoU_common"], &object["instances"]), (&serde_json::Value::Null, &serde_json::Value::Null));
    let text = String::from_utf8(scene.kept("evaluation.txt").to_vec()).unwrap();
    let (mean, foreground) = (metrics.mean_iou.unwrap(), metrics.foreground_iou.unwrap());
    let last = format!("test mIoU {mean:.2} foreground IoU {foreground:.2}");
    assert_eq!(text.lines().last(), Some(last.as_str()));
    assert_eq!(evaluate::last("tiny", &scene.world.context).unwrap(), Some(evaluation));
    assert_eq!(evaluate::last("other", &scene.world.context).unwrap(), None);
}

/// An evaluation without what depends on time and place.
fn timeless(mut evaluation: Evaluation) -> Evaluation {
    (evaluation.seconds, evaluation.images_per_second) = (0.0, 0.0);
    evaluation
}

#[test]
fn threads_and_the_kind_of_store_change_no_figure() {
    let mut scene = Scene::new();
    let (first, _) = scene.run(&scene.settings()).unwrap();
    scene.world.context.threads = 7;
    let remote = scene.world.store();
    publish(scene.model.path(), &remote, &scene.world.context).unwrap();
    let (second, _) = scene.run(&Settings { model: remote, ..scene.settings() }).unwrap();
    assert_eq!(timeless(first), timeless(second));
}

#[test]
fn a_photo_can_be_looked_at_whole_at_several_scales_and_mirrored() {
    let scene = Scene::new();
    let whole = LookWish { mode: ModeWord::Whole, ..LookWish::default() };
    let (once, _) = scene.run(&Settings { look: whole.clone(), ..scene.settings() }).unwrap();
    assert_eq!(once.look, "whole, scales 1");
    let several = LookWish { flip: true, scales: vec![0.5, 1.0], ..scene.settings().look };
    let (several, _) = scene.run(&Settings { look: several, ..scene.settings() }).unwrap();
    assert_eq!(several.pixels, once.pixels);
    assert!(several.figures != once.figures);
    let wrong = LookWish { stride: Some(4), ..whole };
    assert!(matches!(scene.run(&Settings { look: wrong, ..scene.settings() }), Err(Error::Usage(_))));
}

#[test]
fn panels_show_photo_masks_prediction_and_cutout_and_old_ones_go() {
    let scene = Scene::new();
    let store = scene.world.context.tables.store().child("models/tiny");
    store.wait(store.put("panels/old.png", Bytes::from_static(b"old"))).unwrap();
    scene.run(&scene.settings()).unwrap();
    assert!(store.wait(store.head("panels/old.png")).unwrap().is_none());
    for id in ["image2", "image4"] {
        let bytes = scene.kept(&format!("panels/{id}.png"));
        let panel = decode(&SourceImage { bytes }, &Limits::default()).unwrap();
        assert!(panel.width > 4 * panel.height / 2, "{} × {}", panel.width, panel.height);
        // The photo lies in the first column, as it is.
        let index = id.strip_prefix("image").unwrap().parse::<usize>().unwrap();
        let photo = soft(SIZES[index].0, SIZES[index].1, index as f32);
        let at = (8 + 24) * panel.width as usize * 3 + 8 * 3;
        assert_eq!(panel.rgb[at..at + 30], photo[..30]);
    }
}

#[test]
fn missing_and_damaged_photos_are_quarantined_and_none_at_all_is_a_mistake() {
    let scene = Scene::new();
    scene.photos.wait(scene.photos.delete("image2.png")).unwrap();
    scene.photos.wait(scene.photos.put("image3.png", Bytes::from_static(b"no photo"))).unwrap();
    let (evaluation, report) = scene.run(&scene.settings()).unwrap();
    assert_eq!((evaluation.images, evaluation.quarantined), (2, 2));
    assert_eq!((report.counts.ok, report.counts.quarantined), (2, 2));
    let version = scene.world.context.tables.current(&QUARANTINE).unwrap().unwrap();
    assert_eq!(version.rows, 2);
    let nowhere = Settings { photos: scene.world.store(), ..scene.settings() };
    assert!(matches!(scene.run(&nowhere), Err(Error::Usage(text)) if text.contains("quarantine")));
}

#[test]
fn a_model_of_other_classes_is_refused() {
    let scene = Scene::new();
    for (classes, told) in [(3, "hold class 5"), (150, "150 classes")] {
        let model = model(classes);
        let settings = Settings { model: scene.folder(model.path()), ..scene.settings() };
        let refused = scene.run(&settings);
        assert!(matches!(&refused, Err(Error::Usage(text)) if text.contains(told)), "{classes}: {refused:?}");
    }
    assert_eq!(evaluate::last("tiny", &scene.world.context).unwrap(), None);
    let nothing = Settings { model: scene.world.store(), ..scene.settings() };
    assert!(matches!(scene.run(&nothing), Err(Error::Usage(text)) if text.contains("holds no model")));
    let slash = Settings { name: "a/b".to_owned(), ..scene.settings() };
    assert!(matches!(scene.run(&slash), Err(Error::Usage(_))));
}

/// Asks to stop as soon as the first image is done.
struct StopAtOne(Cancel);

impl Sink for StopAtOne {
    fn emit(&self, event: Event) {
        if matches!(event, Event::Advanced { .. }) {
            self.0.cancel(Cause::Signal);
        }
    }
}

#[test]
fn one_that_is_stopped_keeps_nothing() {
    let mut scene = Scene::new();
    // The photos are known by then, so that the first thing to advance is the evaluation.
    scene.run(&Settings { name: "before".to_owned(), ..scene.settings() }).unwrap();
    scene.world.context.events = Arc::new(StopAtOne(scene.world.context.cancel.clone()));
    let stopped = scene.run(&scene.settings());
    assert!(matches!(stopped, Err(Error::Cancelled(Cause::Signal))), "{stopped:?}");
    assert_eq!(evaluate::last("tiny", &scene.world.context).unwrap(), None);
}

#[test]
fn a_model_stands_beside_what_needs_none() {
    let scene = Scene::new();
    let (evaluation, _) = scene.run(&Settings { floors: true, ..scene.settings() }).unwrap();
    let floors = evaluation.floors.unwrap();
    assert_eq!(floors.colour_photos, 2);
    for figure in [floors.threshold_foreground_iou, floors.colour_miou, floors.colour_foreground_iou] {
        assert!(figure.is_some_and(|figure| (0.0..=100.0).contains(&figure)), "{floors:?}");
    }
    let text = String::from_utf8(scene.kept("evaluation.txt").to_vec()).unwrap();
    assert!(text.contains("without a network: colour threshold foreground IoU 0."), "{text}");
}

#[test]
fn evaluated_models_stand_side_by_side() {
    let folder = TempDir::new().unwrap();
    let made = crate::runs::data().join("data");
    let (csv, photos) = (made.join("train.csv"), made.join("train"));
    let (csv, photos) = (csv.to_str().unwrap(), photos.to_str().unwrap());
    for words in [
        &["ingest", "--csv", csv, "--out", "store"][..],
        &["merge", "--annotations", "store", "--out", "store"],
        &["split", "--data", "store"],
        &["model", "export", "--arch", ARCH, "--size", "32x32", "--out", "one"],
        &["model", "export", "--arch", ARCH, "--size", "32x32", "--seed", "2", "--out", "two"],
    ] {
        let ended = end(folder.path(), words);
        assert_eq!(code(&ended), 0, "{words:?}: {}", String::from_utf8_lossy(&ended.stderr));
    }
    for (model, more) in
        [("one", &["--mode", "whole"][..]), ("two", &["--base", "128x64", "--panels", "1", "--common", "2"])]
    {
        let words = ["evaluate", "--data", "store", "--photos", photos, "--model", model, "--split", "train"];
        let told = json(folder.path(), 0, &[&words[..], more].concat());
        assert_eq!(told["evaluation"]["name"], model);
    }
    let two: Evaluation =
        serde_json::from_slice(&std::fs::read(folder.path().join("store/models/two/evaluation.json")).unwrap())
            .unwrap();
    let common = two.common.unwrap();
    assert_eq!((common.at_least, common.classes[0], two.headline.common), (2, 0, true));
    let instances = two.instances.unwrap();
    assert!(common.classes.iter().skip(1).all(|class| instances[*class] >= 2));

    let words = ["evaluate", "--compare", "store/models/one", "store/models/two", "--out", "side"];
    let told = json(folder.path(), 0, &words);
    let rows = told["comparison"]["models"].as_array().unwrap();
    assert_eq!((&rows[0]["name"], &rows[1]["name"]), (&"one".into(), &"two".into()));
    let text = std::fs::read_to_string(folder.path().join("side/comparison.txt")).unwrap();
    assert!(text.starts_with("model ") && text.lines().count() == 3, "{text}");
    let missing = end(folder.path(), &["evaluate", "--compare", "store/models/none"]);
    assert_eq!(code(&missing), 2);
    assert_eq!(code(&end(folder.path(), &["evaluate", "--model", "one"])), 2);
}
