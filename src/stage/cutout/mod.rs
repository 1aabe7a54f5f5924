//! The stage `cutout`: photos in, pictures with a clear background out, and one row for each photo whatever becomes of it.
//! Must not know the ledger or what was done before: it is given the items that are to be done.

pub mod inputs;
pub mod judge;
mod meter;
pub mod naming;
pub mod products;
pub mod rows;
mod stations;

use super::{Context, Error};
use crate::digest::Fingerprint;
use crate::event::{Event, Level, note};
use crate::image::{Edges, Limits};
use crate::outcome::{Counts, Outcome};
use crate::predict::{self, ModelChoice, ModelFiles};
use crate::runtime;
use crate::storage::{self, Options, Store, split_location};
use inputs::{Inputs, Source};
use judge::Bounds;
use meter::Meter;
pub use meter::Work;
use naming::Naming;
use products::Output;
use rows::ItemResult;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::runtime::Handle;

/// Raised by hand whenever the same photo and model would give another cutout than before.
const CODE_VERSION: u32 = 2;

/// What a cutout stage is told.
#[derive(Clone)]
pub struct Settings {
    /// Files, folders and prefixes.
    pub inputs: Vec<String>,
    /// When not empty: only these keys below the one input, which is a folder.
    pub keys: Vec<String>,
    /// Options of the stores that photos are read from and cutouts written to.
    pub options: Options,
    /// The folder or prefix for the cutouts.
    pub out: String,
    /// `threshold`, or the path or URL of an ONNX model or of a trained model's folder.
    pub model: String,
    /// How the model is run.
    pub predict: predict::Settings,
    /// Whether the threads of a session are measured rather than given; asked before anything is planned.
    pub calibrate: bool,
    /// Where ONNX Runtime's library lies, when not where it is looked for.
    pub runtime: Option<PathBuf>,
    /// How edges are treated.
    pub edges: Edges,
    /// What is made of every cutout.
    pub outputs: Vec<Output>,
    /// What a cutout must keep to go to `out` without a person looking at it.
    pub bounds: Bounds,
    /// The folder or prefix for those that a person should look at; `review/STAGE` of the pipeline's store when absent.
    pub review: Option<String>,
    /// Whether outputs whose photo is gone, or that a photo no longer makes, are removed.
    pub remove_stale: bool,
    /// Where they are removed: the greatest share of known photos that may be gone before the run is refused.
    pub max_gone: f64,
    /// Cutouts on the contact sheet of a run, the most doubtful first; 0 for none.
    pub sheet: u32,
    /// What an hour of a core costs, in any currency.
    pub price_per_core_hour: Option<f64>,
    /// How outputs are called.
    pub naming: Naming,
    /// Limits on a photo.
    pub limits: Limits,
    /// Seconds after which a photo that is still being decoded is given up.
    pub decode_seconds: u64,
    /// Photos in a shard: what a kill can cost, and what an array job is cut into.
    pub shard_items: u32,
}

impl Settings {
    /// The defaults: the threshold in place of a model, full names, shards of 64 photos.
    pub fn new(inputs: Vec<String>, out: String, options: Options) -> Self {
        // 0 sessions: as many as there are threads, each of one thread, so that the bytes do not depend on the cores.
        let predict = predict::Settings { sessions: 0, ..predict::Settings::default() };
        Self {
            inputs,
            keys: Vec::new(),
            options,
            out,
            model: "threshold".to_owned(),
            predict,
            calibrate: false,
            runtime: None,
            edges: Edges::default(),
            outputs: vec![Output::default()],
            bounds: Bounds::default(),
            review: None,
            remove_stale: false,
            max_gone: 0.1,
            sheet: 200,
            price_per_core_hour: None,
            naming: Naming::Full,
            limits: Limits::default(),
            decode_seconds: 60,
            shard_items: 64,
        }
    }
}

/// What every cutout depends on besides its photo.
pub fn fingerprint(settings: &Settings, handle: &Handle) -> Result<Fingerprint, Error> {
    let model = choice(settings, handle)?;
    let predict::Settings { session, batch, classes, .. } = &settings.predict;
    let fingerprint = Fingerprint::default()
        .with("code", CODE_VERSION)
        .with("model", model.identity().map_err(|error| Error::Usage(error.to_string()))?)
        .with("session", format!("{session} batch={batch:?}"))
        .with("edges", products::canonical_edges(&settings.edges))
        .with("products", products::canonical(settings, handle)?)
        .with("bounds", format!("{:?}", settings.bounds))
        .with("review", settings.review.as_deref().unwrap_or_default().trim_end_matches('/'))
        .with("naming", settings.naming.word())
        .with("limits", format!("{} px, {} bytes", settings.limits.max_pixels, settings.limits.max_bytes))
        .with("out", settings.out.trim_end_matches('/'));
    Ok(match classes.is_empty() {
        true => fingerprint,
        false => fingerprint.with("classes", classes.join(", ")),
    })
}

/// The model that is meant. One that lies in no local folder is read whole, with its sidecar.
fn choice(settings: &Settings, handle: &Handle) -> Result<ModelChoice, Error> {
    let location = settings.model.trim_end_matches('/');
    if !location.contains("://") {
        return ModelChoice::read(location).map_err(|error| Error::Usage(error.to_string()));
    }
    let location = match location.ends_with(".onnx") {
        true => location.to_owned(),
        false => format!("{location}/{}", ModelFiles::TRAINED),
    };
    let (folder, name) = split_location(&location)?;
    let store = Store::open(&folder, &settings.options, handle.clone())?;
    let get = |name: &str| match store.wait(store.get(name)) {
        Err(storage::Error::NotFound { .. }) => Ok(None),
        other => other.map(Some),
    };
    let model = get(&name)?.ok_or_else(|| {
        Error::Usage(format!(
            "there is no model at {}; name an ONNX file, or the folder of a trained model",
            store.child(&name).url()
        ))
    })?;
    let mut files = ModelFiles { name, model: model.to_vec(), sidecar: None };
    if let Some(text) = get(&files.sidecar_name())? {
        let text = String::from_utf8(text.to_vec())
            .map_err(|error| Error::Usage(format!("{}: it is not UTF-8 text: {error}", files.sidecar_name())))?;
        files.sidecar = Some(text);
    }
    Ok(ModelChoice::Network(files))
}

/// Opens the inputs, and refuses outputs that cannot be made, and an output folder that lies within an input: its cutouts
/// would be tomorrow's photos. Writes nothing.
pub fn open_inputs(settings: &Settings, handle: &Handle) -> Result<Inputs, Error> {
    products::check(&settings.outputs)?;
    let inputs = Inputs::open(&settings.inputs, &settings.keys, &settings.options, handle)?;
    for place in std::iter::once(&settings.out).chain(&settings.review) {
        let out = Store::open(place, &settings.options, handle.clone())?;
        let within =
            |folder: &str| format!("{}/", out.url()).starts_with(&format!("{}/", folder.trim_end_matches('/')));
        if let Some(folder) = inputs.folders().find(|folder| within(folder)) {
            let text = format!("the output {} lies within the input {folder}", out.url());
            return Err(Error::Usage(format!("{text}: its cutouts would be taken for photos; choose another folder")));
        }
    }
    Ok(inputs)
}

/// Where cutouts go.
pub struct Places {
    /// Those that may go to the shop.
    pub out: Store,
    /// Those that a person should look at.
    pub review: Store,
}

impl Places {
    /// Opens both. `store` is the pipeline's and `stage` the stage's name: what holds the ones for review unless another
    /// place is given.
    pub fn open(settings: &Settings, store: &Store, stage: &str) -> Result<Self, Error> {
        let out = Store::open(&settings.out, &settings.options, store.handle().clone())?;
        let review = match &settings.review {
            Some(place) => Store::open(place, &settings.options, store.handle().clone())?,
            None => store.child(&format!("review/{stage}")),
        };
        Ok(Self { out, review })
    }

    /// Where the outputs of an item lie that ended so.
    pub fn of(&self, outcome: Outcome) -> &Store {
        if outcome == Outcome::Review { &self.review } else { &self.out }
    }
}

/// One shard of the plan: its number and how many photos it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Its number.
    pub index: u32,
    /// Its photos.
    pub items: usize,
}

/// Works through shards (their photos come from `load`) and gives each one's results to `commit` once all of its photos have
/// come to an end, ascending by name. A shard that `commit` was not called for is not done.
pub fn work(
    settings: &Settings,
    inputs: &Inputs,
    shards: &[Shard],
    load: impl Fn(Shard) -> Result<Vec<Source>, Error> + Send + Sync,
    context: &Context,
    mut commit: impl FnMut(u32, Vec<ItemResult>) -> Result<(), Error>,
) -> Result<(Counts, Work), Error> {
    let opened = open_model(settings, context)?;
    let places = Places::open(settings, context.tables.store(), &context.stage)?;
    let products = products::open(settings, context.tables.store().handle())?;
    let meter = Meter::begin();
    let line = stations::Line {
        settings,
        inputs,
        places: &places,
        products: &products,
        meter: &meter,
        threads: context.threads,
        cancel: &context.cancel,
    };
    let threads = stations::threads(&line, opened.predictors.len());
    let sources = shards.iter().flat_map(|shard| match load(*shard) {
        Ok(sources) => sources.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    });
    let sizes: BTreeMap<u32, usize> = shards.iter().map(|shard| (shard.index, shard.items)).collect();
    let mut open: BTreeMap<u32, Vec<ItemResult>> = BTreeMap::new();
    let mut counts = Counts::default();
    stations::run(&line, opened, sources, |(source, result)| {
        tell(context, &result);
        counts.add(result.outcome);
        let results = open.entry(source.shard).or_default();
        results.push(result);
        if Some(&results.len()) == sizes.get(&source.shard) {
            let mut results = open.remove(&source.shard).unwrap_or_default();
            results.sort_by(|a, b| a.key.cmp(&b.key));
            commit(source.shard, results)?;
        }
        Ok(())
    })?;
    super::check(&context.cancel)?;
    let inner = settings.predict.session.intra_threads;
    let work = meter.work(counts.total(), threads, inner, context.threads, settings.price_per_core_hour);
    Ok((counts, work))
}

/// What the model is, in words that are the same for the same model.
pub fn model_identity(settings: &Settings, handle: &Handle) -> Result<String, Error> {
    choice(settings, handle)?.identity().map_err(|error| Error::Usage(error.to_string()))
}

/// Measures how the cores are best divided between sessions of the model.
pub fn calibrate(settings: &Settings, context: &Context) -> Result<predict::Division, Error> {
    let usage = |error: predict::Error| Error::Usage(error.to_string());
    let choice = choice(settings, context.tables.store().handle())?;
    let runtime = library(settings).map_err(|error| Error::Usage(error.to_string()))?;
    let memory = predict::available_memory();
    predict::calibrate(&choice, &runtime, &settings.predict, context.threads, memory, &context.cancel).map_err(usage)
}

fn library(settings: &Settings) -> Result<runtime::Runtime, runtime::Error> {
    let environment = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    runtime::Runtime::load(&runtime::locate(settings.runtime.as_deref(), environment.as_deref())?)
}

fn open_model(settings: &Settings, context: &Context) -> Result<predict::Opened, Error> {
    let usage = |error: predict::Error| Error::Usage(error.to_string());
    let choice = choice(settings, context.tables.store().handle())?;
    let mut how = settings.predict.clone();
    if how.sessions == 0 {
        how.sessions = (context.threads / how.session.intra_threads.max(1)).max(1);
    }
    let opened = predict::open(&choice, || library(settings), &how).map_err(usage)?;
    opened.notes.iter().for_each(|text| note(&context.events, Level::Info, text.as_str()));
    Ok(opened)
}

fn tell(context: &Context, result: &ItemResult) {
    context.events.emit(Event::Advanced { stage: context.stage.clone(), by: 1 });
    if result.outcome != Outcome::Ok {
        context.events.emit(Event::Item {
            stage: context.stage.clone(),
            item: result.key.clone(),
            outcome: result.outcome,
            reason: result.reason,
            detail: result.detail.clone(),
        });
    }
}
