//! What a training leaves beside its checkpoints: the table of its history, curves, a picture of the first batch, and at the
//! end `training.json`, which says that it is done. Must not know how it is trained.

use super::Settings;
use super::history::{self, Part, Row};
use super::loader::Batch;
use super::progress::duration;
use super::sample::{SampleSettings, picture};
use crate::digest::Fingerprint;
use crate::graph::weights::{Weights, encode_safetensors};
use crate::graph::{Element, Tensor};
use crate::page::chart::{Chart, Curve, Mark};
use crate::stage::artifact::Artifact;
use crate::stage::tables::{Place, Publication};
use crate::stage::{Context, Error};
use crate::storage::{self, Store};
use crate::table::schema::HISTORY;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const SCHEMA: &str = "selvedge.training/1";
/// What says that a training is done, at the root of its model.
const TRAINING: &str = "training.json";

/// Where the model lies, and everything that is said of it.
pub fn model_store(name: &str, context: &Context) -> Store {
    context.tables.store().child(&format!("models/{name}"))
}

fn put(settings: &Settings, name: &str, bytes: impl Into<Bytes>, context: &Context) -> Result<(), Error> {
    let store = model_store(&settings.name, context);
    Ok(store.wait(store.put(name, bytes.into()))?)
}

/// Writes the samples of the first batch as a person can look at them.
pub fn batch_picture(
    settings: &Settings,
    sample: &SampleSettings,
    batch: &Batch,
    context: &Context,
) -> Result<(), Error> {
    let failed = |error: crate::image::Error| Error::Failed(format!("the picture of a batch: {error}"));
    let picture = picture(sample, &batch.images, &batch.labels).map_err(failed)?;
    put(settings, "batch.png", picture.png().map_err(failed)?, context)
}

/// Writes the batch of a step as safetensors: `image` f32 `[B,3,H,W]`, `label` u8 `[B,H,W]`, and in its metadata the rate.
pub fn batch_file(
    settings: &Settings,
    step: u64,
    batch: &Batch,
    size: [usize; 2],
    rate: f32,
    context: &Context,
) -> Result<(), Error> {
    let [height, width] = size;
    let pictures = batch.slots.len();
    let image = Tensor::f32(&[pictures, 3, height, width], &batch.images)?;
    let label = Tensor::new(Element::U8, vec![pictures, height, width], Bytes::from(batch.labels.clone()))?;
    let weights = Weights {
        tensors: BTreeMap::from([("image".to_owned(), image), ("label".to_owned(), label)]),
        metadata: BTreeMap::from([("learning_rate".to_owned(), rate.to_string())]),
    };
    put(settings, &format!("batches/{step:010}.safetensors"), encode_safetensors(&weights)?, context)
}

/// Publishes the rows so far as the table `history/NAME`.
pub fn table(settings: &Settings, rows: &[Row], context: &Context) -> Result<(), Error> {
    let folder = format!("history/{}", settings.name);
    let place = Place { table: &HISTORY, folder: &folder };
    let base = context.tables.current_at(place)?;
    let mut publication = Publication::begin(context, place);
    publication.put(history::encode(rows)?)?;
    publication.publish(base.as_ref(), Fingerprint::default(), BTreeMap::new())?;
    Ok(())
}

/// Draws loss, accuracy and validation over the epochs.
pub fn curves(settings: &Settings, rows: &[Row], context: &Context) -> Result<(), Error> {
    let curve = |name: &str, part: Part, of: fn(&Row) -> Option<f32>| Curve {
        name: name.to_owned(),
        points: rows
            .iter()
            .filter(|row| row.part == part)
            .filter_map(|row| Some((row.epoch, f64::from(of(row)?))))
            .collect(),
    };
    let percent = |curve: Curve| Curve { points: curve.points.iter().map(|(x, y)| (*x, y * 100.0)).collect(), ..curve };
    let best = best(rows);
    let loss = Chart {
        title: format!("{}: loss", settings.name),
        description: "The mean loss over the pixels of each step's batch.".to_owned(),
        x: "epoch".to_owned(),
        y: "cross entropy".to_owned(),
        curves: vec![curve("training", Part::Train, |row| row.loss)],
        ..Chart::default()
    };
    let accuracy = Chart {
        title: format!("{}: accuracy", settings.name),
        description: "Accuracy of each step's batch, and validation after each epoch.".to_owned(),
        x: "epoch".to_owned(),
        y: "per cent".to_owned(),
        curves: [
            curve("training aAcc", Part::Train, |row| row.pixel_accuracy),
            curve("val aAcc", Part::Val, |row| row.pixel_accuracy),
            curve("val mIoU", Part::Val, |row| row.mean_iou),
            curve("val foreground IoU", Part::Val, |row| row.foreground_iou),
        ]
        .into_iter()
        .filter(|curve| !curve.points.is_empty())
        .map(percent)
        .collect(),
        mark: best.map(|(epoch, score)| Mark { name: "best epoch".to_owned(), point: (epoch, score * 100.0) }),
    };
    put(settings, "loss.svg", loss.svg(), context)?;
    put(settings, "curves.svg", accuracy.svg(), context)
}

/// The best validation: epoch and mean IoU, 0–1. Of equal ones the earlier.
fn best(rows: &[Row]) -> Option<(f64, f64)> {
    let validations = rows.iter().filter(|row| row.part == Part::Val);
    let scores = validations.filter_map(|row| Some((row.epoch, f64::from(row.mean_iou?))));
    scores.fold(None, |best: Option<(f64, f64)>, score| match best {
        Some(best) if best.1 >= score.1 => Some(best),
        _ => Some(score),
    })
}

/// How a training ended.
pub struct Ended<'a> {
    /// What was trained.
    pub artifact: &'a Artifact,
    /// All rows.
    pub history: &'a [Row],
    /// Steps of the optimiser.
    pub steps: u64,
    /// Epochs.
    pub epochs: f64,
    /// Pictures of a step.
    pub batch: usize,
    /// Images of the split.
    pub images: usize,
    /// The step whose model was published.
    pub best: u64,
    /// Its validation, 0–1.
    pub score: Option<f64>,
    /// Wall time of this process.
    pub seconds: f64,
}

/// Writes `training.json`: from then on the training counts as done. Gives a line about it.
pub fn close(
    settings: &Settings,
    ended: &Ended<'_>,
    depends_on: &Fingerprint,
    context: &Context,
) -> Result<String, Error> {
    let Ended { artifact, history, steps, epochs, batch, images, best, score, seconds } = ended;
    let steps_seconds = |of: fn(&Row) -> f32| -> f64 {
        history.iter().filter(|row| row.part == Part::Train).map(|row| f64::from(of(row))).sum()
    };
    let (trained, waited) = (steps_seconds(|row| row.seconds), steps_seconds(|row| row.wait_seconds));
    let speed = *steps as f64 * *batch as f64 / trained.max(1e-9);
    let last = history.iter().rev().find(|row| row.part == Part::Train);
    let report = json!({
        "schema": SCHEMA,
        "model": artifact.model,
        "classes": artifact.classes,
        "parameters": artifact.parameters,
        "images": images,
        "batch": batch,
        "steps": steps,
        "epochs": epochs,
        "best_step": best,
        "best_mean_iou": score,
        "last_loss": last.and_then(|row| row.loss),
        "train_seconds": trained,
        "images_per_second": speed,
        "data_wait_share": waited / trained.max(1e-9),
        "seconds": seconds,
        "fingerprint": depends_on,
        "run": context.run,
    });
    let text = serde_json::to_vec_pretty(&report)
        .map_err(|error| Error::Failed(format!("{TRAINING} cannot be written: {error}")))?;
    (context.fence)()?;
    put(settings, TRAINING, text, context)?;
    let score = score.map_or(String::new(), |score| format!(", val mIoU {:.1} %", score * 100.0));
    Ok(format!(
        "{} steps of {batch} in {}, best step {best}{score}, {speed:.1} images/s, {:.0} % waiting for data",
        steps,
        duration(trained),
        waited / trained.max(1e-9) * 100.0
    ))
}

/// What the last finished training of this name depended on.
pub fn last(name: &str, context: &Context) -> Result<Option<Fingerprint>, Error> {
    let store = model_store(name, context);
    let bytes = match store.wait(store.get(TRAINING)) {
        Ok(bytes) => bytes,
        Err(storage::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let unreadable = |detail: String| {
        let url = store.child(TRAINING);
        Error::Failed(format!("{} cannot be read ({detail}); remove it and train again", url.url()))
    };
    let report: Value = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if report.get("schema") != Some(&json!(SCHEMA)) {
        return Err(unreadable(format!("{SCHEMA} is read here")));
    }
    let fingerprint = report.get("fingerprint").cloned().unwrap_or_default();
    serde_json::from_value(fingerprint).map(Some).map_err(|error| unreadable(error.to_string()))
}
