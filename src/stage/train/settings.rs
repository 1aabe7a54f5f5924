//! How a training is set, and what its result depends on. Must not know how it runs.

use super::checkpoint::Keep;
use super::model::Origin;
use super::sample::SampleSettings;
use super::schedule::Polynomial;
use super::weights::Balance;
use super::{Mismatch, outputs};
use crate::digest::Fingerprint;
use crate::graph::train::{AdamW, Denominator, Optimiser, Sgd};
use crate::graph::weights::Start;
use crate::stage::artifact::NetworkSettings;
use crate::stage::measure::wish::LookWish;
use crate::stage::tables::Tables;
use crate::stage::{Context, Error, dataset};
use crate::storage::Store;

/// Raised by hand when the same settings would train another model.
const CODE_VERSION: u32 = 1;

/// How to train.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the model is called: it is put to `models/NAME`.
    pub name: String,
    /// How long.
    pub length: Length,
    /// Batches whose gradients are added up to a step.
    pub passes: usize,
    /// The learning rates.
    pub rates: Rates,
    /// Images with rare classes come more often: the share of images, 0–1, below which a class counts as rare; 0 for none.
    pub oversample: f64,
    /// How samples are made; crop and normalisation are the model's.
    pub augmentation: SampleSettings,
    /// What order, samples and draws depend on.
    pub seed: u64,
    /// How it is validated, on the split `val`; without it the last step counts as the best.
    pub validation: Option<Validation>,
    /// Steps between checkpoints within an epoch; one is written after each epoch that is validated.
    pub checkpoint_steps: Option<u64>,
    /// How many checkpoints stay.
    pub keep: Keep,
    /// Bytes that may be added to the cache.
    pub cache_bytes: u64,
    /// Threads that make batches; by the machine where it is 0.
    pub workers: usize,
    /// Trains on no more images than this.
    pub images: Option<usize>,
    /// So many batches are kept beside the model, for whoever wants to train on the same ones elsewhere.
    pub keep_batches: u64,
}

impl Settings {
    /// A training of this name as the paper's, of one epoch.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            length: Length::Epochs(1),
            passes: 1,
            rates: Rates::default(),
            oversample: 0.0,
            augmentation: SampleSettings::default(),
            seed: 1,
            validation: Some(Validation { look: LookWish::default(), every: 1, images: None }),
            checkpoint_steps: None,
            keep: Keep::default(),
            cache_bytes: u64::MAX,
            workers: 0,
            images: None,
            keep_batches: 0,
        }
    }
}

/// What is trained, and on what.
#[derive(Clone)]
pub struct Sources {
    /// What is trained.
    pub model: Origin,
    /// The tables `masks` and `splits`; those of the stage's own store where there are none.
    pub data: Option<Tables>,
    /// The photos, named by image id and any ending, in any folder below.
    pub photos: Store,
    /// Where photos are kept shrunk from the first epoch on.
    pub cache: Option<Store>,
}

impl Sources {
    /// The context in which photos and masks are read.
    pub(super) fn data(&self, context: &Context) -> Context {
        let tables = self.data.clone().unwrap_or_else(|| context.tables.clone());
        Context { tables, ..context.clone() }
    }
}

/// How long to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// So often over all images.
    Epochs(u64),
    /// So many steps.
    Steps(u64),
}

/// The learning rates of the steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// The first one.
    pub start: f64,
    /// The last one.
    pub floor: f64,
    /// The power of the decay.
    pub power: f64,
    /// Steps in which it comes up from nothing.
    pub warm_up: u64,
}

impl Default for Rates {
    /// The paper's rate, with mmsegmentation's decay.
    fn default() -> Self {
        Self { start: 1e-3, floor: Polynomial::FLOOR, power: Polynomial::POWER, warm_up: 0 }
    }
}

impl Rates {
    /// The rate of each of so many steps.
    pub fn schedule(&self, steps: u64) -> Result<Polynomial, Mismatch> {
        let Self { start, floor, power, warm_up } = *self;
        Ok(Polynomial::new(start, floor, power, steps)?.with_warm_up(warm_up))
    }
}

/// How a training is validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Validation {
    /// How the network looks at a photo.
    pub look: LookWish,
    /// Epochs from one to the next.
    pub every: u64,
    /// No more images than this.
    pub images: Option<usize>,
}

/// What the trained model depends on. Threads, workers, caches and what is kept besides do not change it.
pub fn fingerprint(settings: &Settings, sources: &Sources, context: &Context) -> Result<Fingerprint, Error> {
    let Sources { model, photos, .. } = sources;
    let Settings { length, passes, rates, oversample, augmentation, seed, validation, images, .. } = settings;
    let network = match model {
        Origin::Folder(store) => {
            let bytes = store.wait(store.get(crate::stage::artifact::ARTIFACT)).map_err(|error| match error {
                crate::storage::Error::NotFound { .. } => {
                    Error::Usage(format!("{} holds no model; make one with `selvedge model export`", store.url()))
                }
                other => other.into(),
            })?;
            crate::digest::of(&bytes)
        }
        Origin::Network(named) => network_text(&named.settings, named.balance),
    };
    let init = match model {
        Origin::Network(named) => named.init.as_ref().map_or("random", |init| init.identity.as_str()),
        Origin::Folder(_) => "the model's",
    };
    let Rates { start, floor, power, warm_up } = rates;
    let validation = validation.as_ref().map_or("none".to_owned(), |Validation { look, every, images }| {
        let LookWish { mode, stride, base, flip, scales } = look;
        format!("every {every}, {}, {mode:?} {stride:?} {base:?} {flip} {scales:?}", limit_text(*images))
    });
    Ok(dataset::fingerprint(photos, &sources.data(context))?
        .with("code", CODE_VERSION)
        .with("network", network)
        .with("init", init)
        .with(
            "length",
            match length {
                Length::Epochs(epochs) => format!("{epochs} epochs"),
                Length::Steps(steps) => format!("{steps} steps"),
            },
        )
        .with("passes", passes)
        .with("rates", format!("{start} to {floor}, power {power}, warm-up {warm_up}"))
        .with("oversample", oversample)
        .with("augmentation", augmentation_text(augmentation))
        .with("seed", seed)
        .with("validation", validation)
        .with("images", limit_text(*images)))
}

// What these say of the same settings must not change from release to release, or every training would begin anew: a new
// setting is written only where it is not what was done before.

fn limit_text(images: Option<usize>) -> String {
    images.map_or("all images".to_owned(), |images| format!("{images} images"))
}

fn network_text(settings: &NetworkSettings, balance: Balance) -> String {
    let NetworkSettings { arch, classes, size, batch, seed, start, recipe, head_rate, drop_path, dropout } = settings;
    let optimiser = match recipe.optimiser {
        Optimiser::Sgd(Sgd { momentum, weight_decay, nesterov }) => {
            format!("sgd {momentum} {weight_decay}{}", if nesterov { " nesterov" } else { "" })
        }
        Optimiser::AdamW(AdamW { betas: [first, second], epsilon, weight_decay }) => {
            format!("adamw {first} {second} {epsilon} {weight_decay}")
        }
    };
    let over = match recipe.loss.denominator {
        Denominator::All => "all",
        Denominator::Valid => "valid",
    };
    let balance = match balance {
        Balance::None => "none".to_owned(),
        Balance::Inverse => "inverse".to_owned(),
        Balance::MedianFrequency => "median-frequency".to_owned(),
        Balance::EffectiveNumber { beta } => format!("effective-number {beta}"),
    };
    let start = match start {
        Start::Published => "",
        Start::FanIn => " start fan-in",
    };
    format!(
        "{arch} {classes} classes {}x{} batch {batch} seed {seed}{start} {} recompute {} over {over} {optimiser} heads {head_rate} \
         drop-path {} dropout {dropout} weights {balance}",
        size.0,
        size.1,
        recipe.precision.name(),
        recipe.recompute.name(),
        drop_path.map_or("usual".to_owned(), |share| share.to_string()),
    )
}

fn augmentation_text(augmentation: &SampleSettings) -> String {
    let SampleSettings { scale, ratio, max_class_share, redraws, flip, distort, .. } = augmentation;
    let word = |flag: bool, word: &str| if flag { format!(" {word}") } else { String::new() };
    format!(
        "{}x{} times {} to {}, one class below {max_class_share} in {redraws} redraws{}{}",
        scale.0,
        scale.1,
        ratio.0,
        ratio.1,
        word(*flip, "flip"),
        word(*distort, "distort")
    )
}

/// What the last finished training of this name depended on.
pub fn last(name: &str, context: &Context) -> Result<Option<Fingerprint>, Error> {
    outputs::last(name, context)
}
