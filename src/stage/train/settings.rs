//! How a training is set, and what its result depends on. Must not know how it runs.

use super::checkpoint::Keep;
use super::model::Origin;
use super::sample::SampleSettings;
use super::schedule::Polynomial;
use super::{Mismatch, outputs};
use crate::digest::Fingerprint;
use crate::stage::measure::look::Look;
use crate::stage::{Context, Error, dataset};
use crate::storage::Store;

/// Raised by hand when the same settings would train another model.
const CODE_VERSION: u32 = 1;

/// How to train.
#[derive(Clone)]
pub struct Settings {
    /// What the model is called: it is put to `models/NAME`.
    pub name: String,
    /// What is trained.
    pub model: Origin,
    /// The photos, named by image id and any ending, in any folder below.
    pub photos: Store,
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
    /// Where photos are kept shrunk from the first epoch on.
    pub cache: Option<Store>,
    /// Bytes that may be added there.
    pub cache_bytes: u64,
    /// Threads that make batches.
    pub workers: usize,
    /// Trains on no more images than this.
    pub images: Option<usize>,
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
    pub look: Look,
    /// Epochs from one to the next.
    pub every: u64,
    /// No more images than this.
    pub images: Option<usize>,
}

/// What the trained model depends on. Threads, workers, caches and what is kept of checkpoints do not change it.
pub fn fingerprint(settings: &Settings, context: &Context) -> Result<Fingerprint, Error> {
    let Settings { model, length, passes, rates, oversample, augmentation, seed, validation, images, .. } = settings;
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
        Origin::Network(named) => {
            format!("{:?} {:?}", named.settings, named.balance)
        }
    };
    let init = match model {
        Origin::Network(named) => named.init.as_ref().map_or("random", |init| init.identity.as_str()),
        Origin::Folder(_) => "the model's",
    };
    Ok(dataset::fingerprint(&settings.photos, context)?
        .with("code", CODE_VERSION)
        .with("network", network)
        .with("init", init)
        .with("length", format!("{length:?}"))
        .with("passes", passes)
        .with("rates", format!("{rates:?}"))
        .with("oversample", oversample)
        .with("augmentation", format!("{augmentation:?}"))
        .with("seed", seed)
        .with("validation", format!("{validation:?}"))
        .with("images", format!("{images:?}")))
}

/// What the last finished training of this name depended on.
pub fn last(settings: &Settings, context: &Context) -> Result<Option<Fingerprint>, Error> {
    outputs::last(settings, context)
}
