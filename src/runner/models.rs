//! What the stages that train and evaluate need beside their settings: stores opened, weights to begin with found or fetched,
//! ONNX Runtime loaded. Must not know how they work.

use crate::collective::{self, Collective};
use crate::digest::{self, Fingerprint};
use crate::event::Silent;
use crate::graph::map_file;
use crate::pipeline::{Comparison, ComputeOn, Evaluation, InitFrom, Network, Training};
use crate::runtime::{Device, Runtime, locate};
use crate::stage::bench::Bench;
use crate::stage::model::fetch::{FetchSettings, fetch};
use crate::stage::model::known::Known;
use crate::stage::model::load_weights;
use crate::stage::tables::Tables;
use crate::stage::train::model::{Init, Named, Origin};
use crate::stage::train::{self, Sources};
use crate::stage::{Context, Error, Report, evaluate};
use crate::storage::{Options, Store};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A stage that makes a model, or judges some.
#[derive(Clone, Copy)]
pub enum Work<'a> {
    /// Train one.
    Train(&'a Training),
    /// Measure one.
    Evaluate(&'a Evaluation),
    /// Put some side by side.
    Compare(&'a Comparison),
}

/// What the result depends on now.
pub fn fingerprint(work: Work<'_>, context: &Context) -> Result<Fingerprint, Error> {
    match work {
        Work::Train(training) => train::fingerprint(&training.settings, &sources(training, context)?, context),
        Work::Evaluate(evaluation) => evaluate::fingerprint(&settings(evaluation, context)?, context),
        Work::Compare(comparison) => evaluate::fingerprint_of(&compared(comparison, context)?),
    }
}

/// What the result was made from, if it was made.
pub fn current(work: Work<'_>, context: &Context) -> Result<Option<Fingerprint>, Error> {
    match work {
        Work::Train(training) => train::last(&training.settings.name, context),
        Work::Evaluate(evaluation) => {
            let name = settings(evaluation, context)?.name;
            Ok(evaluate::last(&name, context)?.map(|evaluation| evaluation.fingerprint))
        }
        Work::Compare(_) => evaluate::last_comparison(context),
    }
}

/// Makes it.
pub fn run(work: Work<'_>, wanted: &Fingerprint, context: &Context) -> Result<Report, Error> {
    match work {
        Work::Train(training) => {
            let bench = bench(&training.place, context)?;
            let sources = sources(training, context)?;
            let mut ranks = join(training, &bench)?;
            // Of several ranks the first one speaks for all.
            let silent = Context { events: Arc::new(Silent), ..context.clone() };
            let context = if ranks.rank() == 0 { context } else { &silent };
            let ended = train::run(&training.settings, &sources, wanted, &bench, ranks.as_mut(), context);
            if matches!(ended, Ok(_) | Err(Error::Cancelled(_))) {
                ranks.leave().map_err(Error::from)?;
            }
            ended
        }
        Work::Evaluate(evaluation) => {
            let bench = bench(&evaluation.place, context)?;
            let settings = settings(evaluation, context)?;
            evaluate::run(&settings, wanted.clone(), context, &bench).map(|(_, report)| report)
        }
        Work::Compare(comparison) => evaluate::run_comparison(&compared(comparison, context)?, wanted, context),
    }
}

fn join(training: &Training, bench: &Bench) -> Result<Box<dyn Collective>, Error> {
    let device = match bench.device {
        Device::Cuda(ordinal) => Some(ordinal as usize),
        Device::Cpu | Device::Auto => None,
    };
    collective::join(training.ranks, device).map_err(|error| Error::Usage(error.to_string()))
}

fn settings(evaluation: &Evaluation, context: &Context) -> Result<evaluate::Settings, Error> {
    let open = |location: &str| open(location, &evaluation.options, context);
    let usual = evaluate::Settings::new(open(&evaluation.model)?, open(&evaluation.photos)?);
    Ok(evaluate::Settings {
        name: evaluation.name.clone().unwrap_or(usual.name),
        split: evaluation.split.clone(),
        look: evaluation.look.clone(),
        panels: evaluation.panels,
        common: evaluation.common,
        floors: evaluation.floors,
        limit: evaluation.images,
        ..usual
    })
}

fn compared(comparison: &Comparison, context: &Context) -> Result<Vec<Store>, Error> {
    comparison.models.iter().map(|model| open(model, &comparison.options, context)).collect()
}

fn open(location: &str, options: &Options, context: &Context) -> Result<Store, Error> {
    Ok(Store::open(location, options, context.tables.store().handle().clone())?)
}

/// Where a stage computes.
pub fn bench(place: &ComputeOn, context: &Context) -> Result<Bench, Error> {
    let environment = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from);
    let runtime = Runtime::load(&locate(place.runtime.as_deref(), environment.as_deref())?)?;
    let ComputeOn { device, tf32, cuda_graph, .. } = *place;
    Ok(Bench { runtime, threads: context.threads, device, tf32, cuda_graph })
}

fn sources(training: &Training, context: &Context) -> Result<Sources, Error> {
    let open = |location: &String| open(location, &training.options, context);
    let model = match &training.network {
        Network::Folder(location) => Origin::Folder(open(location)?),
        Network::Named(settings, balance) => {
            let init = training.init.as_ref().map(|init| begin(init, &training.options, context)).transpose()?;
            Origin::Network(Box::new(Named { settings: (**settings).clone(), balance: *balance, init }))
        }
    };
    Ok(Sources {
        model,
        data: training.data.as_ref().map(open).transpose()?.map(Tables::new),
        photos: open(&training.photos)?,
        cache: training.cache.as_ref().map(open).transpose()?,
    })
}

/// Weights to begin with: a file of this machine as it is, anything else fetched when it is wanted.
fn begin(init: &InitFrom, options: &Options, context: &Context) -> Result<Init, Error> {
    let path = Path::new(&init.location);
    if path.is_file() {
        let identity = digest::of(&map_file(path)?);
        let path = path.to_path_buf();
        return Ok(Init { identity, load: Arc::new(move || load_weights(&path)) });
    }
    if !init.location.contains("://") && Known::find(&init.location).is_none() {
        return Err(Error::Usage(format!(
            "init: there is no file {}, and no published checkpoint of that name; `selvedge model fetch` lists them",
            init.location
        )));
    }
    let identity = format!("{} {}", init.location, init.sha256.as_deref().unwrap_or("-"));
    let (init, options, context) = (init.clone(), options.clone(), context.clone());
    let load = move || {
        let folder = tempfile::tempdir().map_err(|error| Error::Failed(format!("a temporary folder: {error}")))?;
        let settings = FetchSettings {
            to: folder.path().to_path_buf(),
            sha256: init.sha256.clone(),
            accept: init.accept,
            force: true,
            options: options.clone(),
            handle: context.tables.store().handle().clone(),
            events: Arc::clone(&context.events),
            cancel: context.cancel.clone(),
        };
        load_weights(&fetch(&init.location, &settings)?.path)
    };
    Ok(Init { identity, load: Arc::new(load) })
}
