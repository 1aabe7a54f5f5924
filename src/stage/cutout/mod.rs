//! The stage `cutout`: photos in, pictures with a clear background out, and one row for each photo whatever becomes of it.
//! Must not know the ledger or what was done before: it is given the items that are to be done.

pub mod inputs;
mod judge;
pub mod naming;
pub mod rows;
mod stations;

use super::{Context, Error};
use crate::digest::Fingerprint;
use crate::event::{Event, Level, note};
use crate::image::Limits;
use crate::outcome::{Counts, Outcome};
use crate::predict::{self, ModelChoice, ModelFiles};
use crate::runtime;
use crate::storage::{self, Options, Store, split_location};
use inputs::{Inputs, Source};
use naming::Naming;
use rows::ItemResult;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tokio::runtime::Handle;

/// Raised by hand whenever the same photo and model would give another cutout than before.
const CODE_VERSION: u32 = 1;

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
    /// Where ONNX Runtime's library lies, when not where it is looked for.
    pub runtime: Option<PathBuf>,
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
            runtime: None,
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

/// Opens the inputs, and refuses an output folder that lies within one: its cutouts would be tomorrow's photos. Writes
/// nothing.
pub fn open_inputs(settings: &Settings, handle: &Handle) -> Result<Inputs, Error> {
    let inputs = Inputs::open(&settings.inputs, &settings.keys, &settings.options, handle)?;
    let out = Store::open(&settings.out, &settings.options, handle.clone())?;
    let within = |folder: &str| format!("{}/", out.url()).starts_with(&format!("{}/", folder.trim_end_matches('/')));
    if let Some(folder) = inputs.folders().find(|folder| within(folder)) {
        let text = format!("the output {} lies within the input {folder}", out.url());
        return Err(Error::Usage(format!("{text}: its cutouts would be taken for photos; choose another folder")));
    }
    Ok(inputs)
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
) -> Result<Counts, Error> {
    let opened = open_model(settings, context)?;
    let out = Store::open(&settings.out, &settings.options, context.tables.store().handle().clone())?;
    let line = stations::Line { settings, inputs, out: &out, threads: context.threads, cancel: &context.cancel };
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
    Ok(counts)
}

fn open_model(settings: &Settings, context: &Context) -> Result<predict::Opened, Error> {
    let usage = |error: predict::Error| Error::Usage(error.to_string());
    let choice = choice(settings, context.tables.store().handle())?;
    let library = || {
        let environment = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
        runtime::Runtime::load(&runtime::locate(settings.runtime.as_deref(), environment.as_deref())?)
    };
    let mut how = settings.predict.clone();
    if how.sessions == 0 {
        how.sessions = context.threads;
    }
    let opened = predict::open(&choice, library, &how).map_err(usage)?;
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
