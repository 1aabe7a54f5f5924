//! From a picture to the probability that a pixel is foreground: any ONNX model by a sidecar, or the plain threshold.
//! Must not know tables, files of photos, nor what is made of the result.
//!
//! The work falls in two, so that it can lie on different threads: a [`Preparer`] turns pixels into numbers, is shared by
//! as many threads as like, and costs no session; a [`Predictor`] owns one session and belongs to one thread. [`open`]
//! makes one of the former and as many of the latter as asked for.

mod calibrate;
mod error;
mod model;
mod network;
mod prepare;
mod presets;
mod read_out;
mod sidecar;

pub use calibrate::{Division, Trial, available_memory, best, calibrate, divisions};
pub use error::Error;
pub use model::{ModelChoice, ModelFiles};
pub use prepare::{ModelInput, Preparer, Window};
pub use presets::{PRESETS, preset};
pub use read_out::MINMAX_FLOOR;
pub use sidecar::{
    Activation, ColourOrder, Foreground, Layout, Output, Resize, Scale, Sidecar, Stretch, is_non_commercial,
};

use crate::cancel::Cancel;
use crate::image::Probabilities;
use crate::runtime::{self, Runtime, SessionSettings};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Raised by hand whenever the same model and the same picture would give other probabilities than before.
const CODE_VERSION: &str = "1";

/// How a model is run. All of it but `accept_nc` belongs into a plan and its fingerprint;
/// [`Display`](fmt::Display) writes it for that, in a form that does not change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// How one session computes.
    pub session: SessionSettings,
    /// Sessions side by side, at least 1; each holds the model's memory once more.
    pub sessions: usize,
    /// Pictures in one run of a session; a model that takes one at a time is run so often instead. `None` is what the
    /// sidecar says.
    pub batch: Option<usize>,
    /// Whether a model may be used whose licence forbids commercial use.
    pub accept_nc: bool,
    /// The classes that are foreground, by name or channel, in place of the sidecar's.
    pub classes: Vec<String>,
}

impl Default for Settings {
    /// One session of one thread, batches as the sidecar says, no model that forbids commercial use.
    fn default() -> Self {
        Self { session: SessionSettings::default(), sessions: 1, batch: None, accept_nc: false, classes: Vec::new() }
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sessions={} batch=", self.sessions)?;
        match self.batch {
            Some(batch) => write!(f, "{batch} ")?,
            None => f.write_str("sidecar ")?,
        }
        if !self.classes.is_empty() {
            write!(f, "classes={:?} ", self.classes)?;
        }
        self.session.fmt(f)
    }
}

/// Turns prepared pictures into probabilities. Belongs to one thread at a time.
pub trait Predictor: Send {
    /// The probabilities of each picture, in the order given, at the network's own size (letterbox borders cut off). They
    /// hold the numbers as the network means them: nothing is stretched unless the sidecar asks.
    fn predict(&mut self, batch: &[ModelInput], cancel: &Cancel) -> Result<Vec<Probabilities>, Error>;
}

/// A model that is ready to be used.
pub struct Opened {
    /// The licence that the sidecar or preset states.
    pub licence: Option<String>,
    /// How the model is fed and read, by its sidecar or preset; `None` for the threshold.
    pub sidecar: Option<Sidecar>,
    /// Pictures in one run that the model takes and the settings ask for.
    pub batch: usize,
    /// Turns pictures into numbers; clone it for each thread.
    pub preparer: Preparer,
    /// One for each inference thread.
    pub predictors: Vec<Box<dyn Predictor>>,
    /// What a person should know: a GPU that could not be used, a model recognised without a sidecar.
    pub notes: Vec<String>,
}

/// Opens a model. The runtime is only asked for when the model needs it, so that the threshold works without any.
pub fn open(
    choice: &ModelChoice,
    runtime: impl FnOnce() -> Result<Runtime, runtime::Error>,
    settings: &Settings,
) -> Result<Opened, Error> {
    match choice {
        ModelChoice::Network(files) => network::open(&runtime()?, files, settings),
        ModelChoice::Threshold => Ok(Opened {
            licence: None,
            sidecar: None,
            batch: 1,
            preparer: Preparer::threshold(),
            predictors: (0..settings.sessions.max(1)).map(|_| Box::new(Threshold) as Box<dyn Predictor>).collect(),
            notes: Vec::new(),
        }),
    }
}

/// The predictor without a model: the preparer has done all there is to do.
struct Threshold;

impl Predictor for Threshold {
    fn predict(&mut self, batch: &[ModelInput], _: &Cancel) -> Result<Vec<Probabilities>, Error> {
        let mut maps = Vec::with_capacity(batch.len());
        for input in batch {
            let Window { width, height, .. } = input.window;
            maps.push(Probabilities { width, height, plane: input.data.clone() });
        }
        Ok(maps)
    }
}
