//! A training as a pipeline file or a command line says it: names and places, nothing opened. Must not open a store.

use super::Error;
use super::evaluation::look;
use super::section::Section;
use super::words;
use crate::collective;
use crate::graph::train::{CrossEntropy, Denominator, Optimiser, Precision, Recipe, Recompute};
use crate::graph::weights::Start;
use crate::runtime::Device;
use crate::stage::artifact::NetworkSettings;
use crate::stage::train::weights::Balance;
use crate::stage::train::{Length, Settings, Validation};
use crate::storage::Options;
use std::path::PathBuf;

/// A training.
#[derive(Clone)]
pub struct Training {
    /// Everything that is plain values.
    pub settings: Settings,
    /// What is trained.
    pub network: Network,
    /// Weights to begin with.
    pub init: Option<InitFrom>,
    /// The store of masks and splits; the stage's own when absent.
    pub data: Option<String>,
    /// Where the photos lie.
    pub photos: String,
    /// Where photos are kept shrunk.
    pub cache: Option<String>,
    /// Where it is computed.
    pub place: ComputeOn,
    /// What joins the processes that train together; a pipeline is one process.
    pub ranks: collective::Kind,
    /// Options of these stores.
    pub options: Options,
}

/// What is trained.
#[derive(Clone)]
pub enum Network {
    /// An exported model: a folder or URL.
    Folder(String),
    /// A network by name, and how its classes are weighed.
    Named(Box<NetworkSettings>, Balance),
}

/// Weights to begin with.
#[derive(Clone, Debug)]
pub struct InitFrom {
    /// A path, a URL, or the name of a published checkpoint.
    pub location: String,
    /// The SHA-256 of the file, where it is fetched.
    pub sha256: Option<String>,
    /// Whether its licence is accepted.
    pub accept: bool,
}

/// Where graphs are computed.
#[derive(Clone, Debug)]
pub struct ComputeOn {
    /// Where.
    pub device: Device,
    /// ONNX Runtime's library; looked for in the usual places when absent.
    pub runtime: Option<PathBuf>,
    /// Whether a GPU may shorten 32-bit products to TF32.
    pub tf32: bool,
    /// Whether a step is replayed as a CUDA graph.
    pub cuda_graph: bool,
}

impl Default for ComputeOn {
    /// A GPU if there is one, else the processor.
    fn default() -> Self {
        Self { device: Device::Auto, runtime: None, tf32: false, cuda_graph: false }
    }
}

/// A network as mmsegmentation's recipes train it: 28 classes, 512 × 512 pixels, two pictures a step.
pub fn network(arch: &str) -> NetworkSettings {
    NetworkSettings {
        arch: arch.to_owned(),
        classes: 28,
        size: (512, 512),
        batch: 2,
        seed: 1,
        start: Start::Published,
        recipe: Recipe {
            loss: CrossEntropy { denominator: Denominator::All, class_weights: None },
            optimiser: Optimiser::default(),
            precision: Precision::F32,
            recompute: Recompute::None,
        },
        head_rate: 1.0,
        drop_path: None,
        dropout: 0.0,
    }
}

/// Reads the keys of a stage of the kind `train`.
pub(super) fn read(section: &Section<'_>, name: &str, options: &Options) -> Result<Training, Error> {
    let mut settings = Settings::new(name);
    settings.length = match (section.number("epochs")?, section.number("steps")?) {
        (Some(epochs), None) => Length::Epochs(epochs),
        (None, Some(steps)) => Length::Steps(steps),
        (None, None) => return Err(section.error("needs epochs or steps")),
        (Some(_), Some(_)) => return Err(section.error("takes epochs or steps, not both")),
    };
    settings.passes = section.number("passes")?.unwrap_or(1).max(1) as usize;
    let rates = &mut settings.rates;
    rates.start = section.float("rate")?.unwrap_or(rates.start);
    rates.floor = section.float("floor")?.unwrap_or(rates.floor);
    rates.power = section.float("power")?.unwrap_or(rates.power);
    rates.warm_up = section.number("warm_up")?.unwrap_or(rates.warm_up);
    settings.oversample = section.float("oversample")?.unwrap_or(settings.oversample);
    augmentation(section, &mut settings)?;
    settings.seed = section.number("seed")?.unwrap_or(settings.seed);
    let every = section.number("validate_every")?.unwrap_or(1);
    let images = section.number("validate_images")?.map(|images| images as usize);
    let look = look(section)?;
    settings.validation = (every > 0).then_some(Validation { look, every, images });
    settings.checkpoint_steps = section.number("checkpoint_steps")?.filter(|steps| *steps > 0);
    settings.keep.last = section.number("keep_last")?.map_or(settings.keep.last, |last| last as usize);
    settings.keep.best = section.number("keep_best")?.map_or(settings.keep.best, |best| best as usize);
    settings.cache_bytes = section.number("cache_bytes")?.unwrap_or(settings.cache_bytes);
    settings.workers = section.number("workers")?.map_or(settings.workers, |workers| workers as usize);
    settings.images = section.number("images")?.map(|images| images as usize);
    settings.keep_batches = section.number("keep_batches")?.unwrap_or(0);
    let network = match (section.text("model")?, section.text("arch")?) {
        (Some(model), None) => Network::Folder(model),
        (None, Some(arch)) => named(section, &arch, settings.seed)?,
        _ => return Err(section.error("needs either arch, the name of a network, or model, an exported one")),
    };
    let location = section.text("init")?;
    let (sha256, accept) = (section.text("init_sha256")?, section.flag("accept_licence")?.unwrap_or(false));
    let init = location.map(|location| InitFrom { location, sha256, accept });
    let place = compute_on(section)?;
    Ok(Training {
        settings,
        network,
        init,
        data: section.text("data")?,
        photos: section.required_text("photos")?,
        cache: section.text("cache")?,
        place,
        ranks: collective::Kind::Alone,
        options: options.clone(),
    })
}

/// Reads where a stage is to compute.
pub(super) fn compute_on(section: &Section<'_>) -> Result<ComputeOn, Error> {
    let mut place = ComputeOn::default();
    if let Some(device) = section.text("device")? {
        place.device = device.parse().map_err(|detail| section.error_at("device", format!("{detail}")))?;
    }
    place.runtime = section.text("runtime")?.map(PathBuf::from);
    place.tf32 = section.flag("tf32")?.unwrap_or(place.tf32);
    place.cuda_graph = section.flag("cuda_graph")?.unwrap_or(place.cuda_graph);
    Ok(place)
}

fn augmentation(section: &Section<'_>, settings: &mut Settings) -> Result<(), Error> {
    let augmentation = &mut settings.augmentation;
    augmentation.scale = section.pair("scale")?.unwrap_or(augmentation.scale);
    if let Some(ratio) = section.floats("ratio")? {
        let [low, high] = ratio.as_slice() else { return Err(section.error_at("ratio", "takes two numbers")) };
        augmentation.ratio = (*low, *high);
    }
    augmentation.max_class_share = section.float("max_class_share")?.unwrap_or(augmentation.max_class_share);
    augmentation.flip = section.flag("flip")?.unwrap_or(augmentation.flip);
    augmentation.distort = section.flag("distort")?.unwrap_or(augmentation.distort);
    Ok(())
}

fn named(section: &Section<'_>, arch: &str, seed: u64) -> Result<Network, Error> {
    let mut network = network(arch);
    let whole = |number: u64| number as usize;
    network.classes = section.number("classes")?.map_or(network.classes, whole);
    if let Some((height, width)) = section.pair("size")? {
        network.size = (height as usize, width as usize);
    }
    network.batch = section.number("batch")?.map_or(network.batch, whole);
    network.seed = seed;
    if let Some(word) = section.text("start")? {
        network.start = words::start(&word).map_err(|detail| section.error_at("start", detail))?;
    }
    network.head_rate = section.float("head_rate")?.map_or(network.head_rate, |rate| rate as f32);
    network.drop_path = section.float("drop_path")?.map(|share| share as f32);
    network.dropout = section.float("dropout")?.map_or(network.dropout, |share| share as f32);
    let recipe = &mut network.recipe;
    recipe.optimiser = optimiser(section)?;
    let said = |key: &'static str| move |detail: String| section.error_at(key, detail);
    if let Some(word) = section.text("precision")? {
        recipe.precision = words::precision(&word).map_err(said("precision"))?;
    }
    if let Some(word) = section.text("recompute")? {
        recipe.recompute = words::recompute(&word).map_err(said("recompute"))?;
    }
    if let Some(word) = section.text("loss_over")? {
        recipe.loss.denominator = words::loss_over(&word).map_err(said("loss_over"))?;
    }
    let (balance, beta) = (section.text("class_weights")?, section.float("beta")?);
    let balance = words::balance(balance.as_deref(), beta).map_err(said("class_weights"))?;
    Ok(Network::Named(Box::new(network), balance))
}

fn optimiser(section: &Section<'_>) -> Result<Optimiser, Error> {
    let word = section.text("optimiser")?;
    let mut optimiser =
        words::optimiser(word.as_deref().unwrap_or("sgd")).map_err(|detail| section.error_at("optimiser", detail))?;
    match &mut optimiser {
        Optimiser::Sgd(sgd) => {
            sgd.momentum = section.float("momentum")?.map_or(sgd.momentum, |momentum| momentum as f32);
            sgd.weight_decay = section.float("weight_decay")?.map_or(sgd.weight_decay, |decay| decay as f32);
            sgd.nesterov = section.flag("nesterov")?.unwrap_or(sgd.nesterov);
        }
        Optimiser::AdamW(adam) => {
            if let Some(betas) = section.floats("betas")? {
                let [first, second] = betas.as_slice() else {
                    return Err(section.error_at("betas", "takes two numbers"));
                };
                adam.betas = [*first, *second];
            }
            adam.epsilon = section.float("epsilon")?.map_or(adam.epsilon, |epsilon| epsilon as f32);
            adam.weight_decay = section.float("weight_decay")?.map_or(adam.weight_decay, |decay| decay as f32);
        }
    }
    Ok(optimiser)
}
