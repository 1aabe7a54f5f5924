//! A trained network against the masks of a split: figures, a table of confusions, and panels to look at. Must not know how
//! the network was trained.
//!
//! It writes below the store
//!
//! | key | content |
//! |---|---|
//! | `models/NAME/evaluation.json` | every figure, per class too ([`Evaluation`]) |
//! | `models/NAME/evaluation.txt` | the same for people; its last line is `test mIoU 0.xx foreground IoU 0.xx` |
//! | `models/NAME/panels/IMAGE_ID.png` | photo, masks, prediction and cutout of some images side by side |
//! | table `confusion/NAME` | pixels of each labelled class by predicted class |

mod compare;
mod figures;
mod floors;
mod panel;
mod rows;
mod text;

pub use compare::{Comparison, compare, fingerprint_of, last_comparison, run_comparison};
pub use figures::{Common, Evaluation, Floors, Headline};

use super::artifact::{ARTIFACT, Artifact, Local};
use super::bench::Bench;
use super::dataset::{self, Dataset, Item};
use super::measure::network::{self, FILES, Network};
use super::measure::photos::{Measured, Question, Seen, measure};
use super::measure::wish::LookWish;
use super::{Context, Error, Report, check};
use crate::digest::{self, Fingerprint};
use crate::event::{Event, Level, note};
use crate::graph::net::Normalisation;
use crate::outcome::Counts;
use crate::storage::{self, Store};
use crate::table::labels;
use bytes::Bytes;
use futures::TryStreamExt;
use std::collections::BTreeSet;
use std::time::Instant;

/// Raised by hand when the same model and data would give other figures.
const CODE_VERSION: u32 = 1;
/// The form of `evaluation.json`.
pub const SCHEMA: &str = "selvedge.evaluation/1";
/// The file of figures below a model's folder.
pub const FIGURES: &str = "evaluation.json";
/// The file for people.
const TEXT: &str = "evaluation.txt";
/// The folder of panels.
const PANELS: &str = "panels/";
/// The split that classes are counted in.
const TRAIN: &str = "train";
/// The classes that there are names for: background, 27 main items, 19 parts.
const MOST_CLASSES: usize = 47;

/// What to evaluate.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The store whose root is the model's folder.
    pub model: Store,
    /// The name that figures are kept under: one part of a key.
    pub name: String,
    /// Where the photos lie.
    pub photos: Store,
    /// The split whose images are looked at.
    pub split: String,
    /// How they are looked at.
    pub look: LookWish,
    /// How many images become panels.
    pub panels: usize,
    /// Instances in the train split from which on a class counts as common.
    pub common: u64,
    /// Whether to measure what can be had without a network, too.
    pub floors: bool,
    /// No more images than this.
    pub limit: Option<usize>,
}

impl Settings {
    /// The test split, looked at as the model is made for, with six panels.
    pub fn new(model: Store, photos: Store) -> Self {
        let name = model.url().trim_end_matches('/').rsplit(['/', ':']).next().unwrap_or_default().to_owned();
        let look = LookWish::default();
        Self { model, name, photos, split: "test".into(), look, panels: 6, common: 200, floors: false, limit: None }
    }

    fn folder(&self) -> Result<String, Error> {
        match self.name.is_empty() || self.name.contains('/') {
            false => Ok(folder(&self.name)),
            true => Err(Error::Usage(format!(
                "`{}` cannot be the name of an evaluation: write one without slashes, such as seg-t",
                self.name
            ))),
        }
    }
}

fn folder(name: &str) -> String {
    format!("models/{name}")
}

/// What the figures depend on: the model's files, the images of the split, and how they are looked at.
pub fn fingerprint(settings: &Settings, context: &Context) -> Result<Fingerprint, Error> {
    settings.folder()?;
    let artifact = Local::open(&settings.model, &[])?.artifact;
    let look = settings.look.look(&artifact)?;
    let mut parts = dataset::fingerprint(&settings.photos, context)?.with("code", CODE_VERSION);
    for name in FILES {
        parts = parts.with(&format!("model {name}"), digest_of(&artifact, name, settings)?);
    }
    if let Some(annotations) = context.tables.current(&crate::table::schema::ANNOTATIONS)? {
        parts = parts.with("annotations", annotations.depends_on.digest());
    }
    Ok(parts
        .with("name", &settings.name)
        .with("split", &settings.split)
        .with("look", look)
        .with("panels", settings.panels)
        .with("common", settings.common)
        .with("floors", settings.floors)
        .with("limit", settings.limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string())))
}

fn digest_of(artifact: &Artifact, name: &str, settings: &Settings) -> Result<String, Error> {
    let file = artifact.files.get(name).ok_or_else(|| {
        Error::Usage(format!(
            "{} has no {name}, by which a model is evaluated; export it with `selvedge model export`",
            settings.model.child(ARTIFACT).url()
        ))
    })?;
    Ok(file.blake3.clone())
}

/// The figures kept under a name, if there are any.
pub fn last(name: &str, context: &Context) -> Result<Option<Evaluation>, Error> {
    let store = context.tables.store().child(&folder(name));
    match Evaluation::read(&store) {
        Err(Error::Storage(storage::Error::NotFound { .. })) => Ok(None),
        other => other.map(Some),
    }
}

/// Evaluates the model and keeps what came of it. The fingerprint is that of [`fingerprint`].
pub fn run(
    settings: &Settings,
    fingerprint: Fingerprint,
    context: &Context,
    bench: &Bench,
) -> Result<(Evaluation, Report), Error> {
    let folder = settings.folder()?;
    let local = Local::open(&settings.model, &FILES)?;
    let question = question(settings, &local.artifact, context)?;
    let (mut set, train) = open(settings, context)?;
    set.truncate(settings.limit.unwrap_or(usize::MAX));
    let items = set.items();

    let mut step = network::open(&local, bench)?;
    let mut state = network::load(&local, &step, bench)?;
    if let Some(reason) = &step.placement().fallback {
        note(&context.events, Level::Warn, format!("not on a GPU: {reason}"));
    }
    let device = step.placement().device.to_string();
    let mut network = Network::new(&mut step, &mut state)?;
    check_classes(network.classes(), settings)?;
    let classes = network.classes();
    let stage = || context.stage.clone();
    context.events.emit(Event::StageStarted { stage: stage(), total: Some(items.len() as u64), unit: "images" });
    let mut panels = panel::Panels::new(items, settings.panels, classes);
    let start = Instant::now();
    let mut on_each = |seen: Seen<'_>| {
        context.events.emit(Event::Advanced { stage: stage(), by: 1 });
        panels.see(&seen)
    };
    let measured = measure(&set, items, &mut network, &question, &context.cancel, &mut on_each)?;
    let seconds = start.elapsed().as_secs_f64();

    let instances = rows::instances(classes, context)?;
    let floors = match &train {
        Some(train) => Some(floors::floors(&set, train, classes, instances.as_deref(), settings, context)?),
        None => None,
    };
    let pictures = panels.draw(&set)?;
    let evaluation = Evaluation {
        schema: SCHEMA.to_owned(),
        name: settings.name.clone(),
        model: local.artifact.model.clone(),
        split: settings.split.clone(),
        images: items.len() as u64,
        quarantined: set.quarantined(),
        pixels: measured.confusion.pixels(),
        look: question.look.to_string(),
        device,
        seconds: thousandths(seconds),
        images_per_second: thousandths(items.len() as f64 / seconds.max(1e-9)),
        floors,
        fingerprint,
        ..figures(&measured, instances.as_deref(), settings.common)?
    };
    let artifacts = keep(settings, &folder, &evaluation, &measured, pictures, context)?;
    let counts = Counts { ok: evaluation.images, quarantined: set.quarantined(), ..Counts::default() };
    let summary = format!(
        "{}: {} in {seconds:.1} s, {:.2} images/s",
        settings.name,
        evaluation.headline.line(&settings.split),
        evaluation.images_per_second
    );
    Ok((evaluation, Report { counts, summary, artifacts }))
}

/// The images of the split; those to learn from as well where the floors need them.
fn open(settings: &Settings, context: &Context) -> Result<(Dataset, Option<Dataset>), Error> {
    let splits = match settings.floors {
        true if settings.split != TRAIN => vec![settings.split.as_str(), TRAIN],
        _ => vec![settings.split.as_str()],
    };
    let mut sets = Dataset::open(&settings.photos, &splits, true, context, context)?.into_iter();
    let Some(set) = sets.next() else { return Err(Error::Failed("no split was opened".to_owned())) };
    let train = match settings.floors {
        true => Some(sets.next().unwrap_or_else(|| set.clone())),
        false => None,
    };
    dataset::tell_quarantined(std::slice::from_ref(&set), context);
    Ok((set, train))
}

fn question(settings: &Settings, artifact: &Artifact, context: &Context) -> Result<Question, Error> {
    let Some([mean, deviation]) = artifact.normalisation else {
        return Err(Error::Usage(format!(
            "{} does not say how its pictures are normalised: add `normalisation = [[R, G, B], [R, G, B]]`, mean and deviation in 0 to 255",
            settings.model.child(ARTIFACT).url()
        )));
    };
    Ok(Question {
        look: settings.look.look(artifact)?,
        normalisation: Normalisation { mean, deviation },
        boundary: true,
        threads: context.threads,
    })
}

fn check_classes(classes: usize, settings: &Settings) -> Result<(), Error> {
    match classes > MOST_CLASSES {
        false => Ok(()),
        true => Err(Error::Usage(format!(
            "{} tells {classes} classes apart, and the masks know {MOST_CLASSES}; train it on them first with `selvedge train`",
            settings.model.url()
        ))),
    }
}

/// The figures alone.
fn figures(measured: &Measured, instances: Option<&[u64]>, common: u64) -> Result<Evaluation, Error> {
    let metrics = measured.confusion.metrics();
    let classes = measured.confusion.classes();
    let names: Vec<&str> = (0..classes).map(|value| labels::value_name(u8::try_from(value).unwrap_or(254))).collect();
    let common = Common::of(&metrics, instances, common)?;
    Ok(Evaluation {
        headline: Headline::of(&metrics, common.as_ref()),
        common: common.map(|(common, _)| common),
        boundary_iou: super::measure::confusion::percent(measured.boundary.and_then(|boundary| boundary.iou())),
        instances: instances.map(<[u64]>::to_vec),
        figures: metrics.to_json(&names),
        ..Evaluation::default()
    })
}

/// Writes everything; the figures last, so that whoever finds them finds the rest.
fn keep(
    settings: &Settings,
    folder: &str,
    evaluation: &Evaluation,
    measured: &Measured,
    pictures: Vec<(String, Vec<u8>)>,
    context: &Context,
) -> Result<Vec<String>, Error> {
    check(&context.cancel)?;
    (context.fence)()?;
    let store = context.tables.store().child(folder);
    rows::publish(&settings.name, &settings.split, &measured.confusion, &evaluation.fingerprint, context)?;
    let mut keys = BTreeSet::new();
    for (image_id, png) in pictures {
        let key = format!("{PANELS}{image_id}.png");
        store.wait(store.put(&key, Bytes::from(png)))?;
        keys.insert(key);
    }
    let listed: Vec<storage::ObjectInfo> = store.wait(store.list(PANELS).try_collect())?;
    for old in listed.iter().filter(|old| !keys.contains(&old.key)) {
        store.wait(store.delete(&old.key))?;
    }
    store.wait(store.put(TEXT, Bytes::from(evaluation.text())))?;
    store.wait(store.put(FIGURES, Bytes::from(evaluation.to_json()?)))?;
    keys.extend([TEXT.to_owned(), FIGURES.to_owned()]);
    let mut urls: Vec<String> = keys.iter().map(|key| store.child(key).url().to_owned()).collect();
    urls.push(context.tables.store().child(&rows::folder(&settings.name)).url().to_owned());
    Ok(urls)
}

/// Times are told to three decimals: more are noise, and a number that short reads back as it was written.
fn thousandths(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

/// Some images, spread evenly.
fn spread(items: &[Item], count: usize) -> Vec<usize> {
    let count = count.min(items.len());
    (0..count).map(|index| index * items.len() / count.max(1)).collect()
}

/// A digest of the figures that a table depends on.
fn depends_on(fingerprint: &Fingerprint) -> Fingerprint {
    Fingerprint::default().with("evaluation", digest::of(fingerprint.digest().as_bytes()))
}
