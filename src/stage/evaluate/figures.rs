//! The figures of an evaluation as they are kept. Must not know how they were measured.

use super::{FIGURES, SCHEMA};
use crate::digest::Fingerprint;
use crate::stage::Error;
use crate::stage::measure::Mismatch;
use crate::stage::measure::confusion::{Metrics, percent};
use crate::storage::Store;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What `evaluation.json` holds. Figures are per cent with two decimals, as mmsegmentation prints them, and `null` where no
/// pixel speaks for them; only those of [`Headline`] are shares.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// `selvedge.evaluation/1`.
    pub schema: String,
    /// The name it is kept under.
    pub name: String,
    /// The network: `segmenter-vit-b-mask`.
    pub model: String,
    /// The split whose images were looked at.
    pub split: String,
    /// How many they were.
    pub images: u64,
    /// Images of the split that could not be used.
    pub quarantined: u64,
    /// Pixels that count, at the photos' own sizes.
    pub pixels: u64,
    /// How they were looked at.
    pub look: String,
    /// Where the network ran.
    pub device: String,
    /// `aAcc`, `mAcc`, `mIoU`, `foreground_iou`, `paper_equation_1`, `paper_equation_2`, `per_class`.
    #[serde(flatten)]
    pub figures: Map<String, Value>,
    /// The IoU of the edges of the foreground.
    pub boundary_iou: Option<f64>,
    /// The mean IoU of the common classes; `null` where no class is common, or nothing is known of it.
    #[serde(rename = "mIoU_common")]
    pub common: Option<Common>,
    /// Instances of each class in the train split, background first (not counted there); `null` where the store has no
    /// table of annotations.
    pub instances: Option<Vec<u64>>,
    /// What people are told first.
    pub headline: Headline,
    /// What can be had without a network, where it was asked for.
    pub floors: Option<Floors>,
    /// What all this depends on.
    pub fingerprint: Fingerprint,
    /// Wall time of looking at all images.
    pub seconds: f64,
    /// Images a second.
    pub images_per_second: f64,
}

/// The mean IoU of background and of the classes that are common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Common {
    /// In per cent.
    pub value: Option<f64>,
    /// From how many instances in the train split on a class is common.
    pub at_least: u64,
    /// The classes of the class map, background among them.
    pub classes: Vec<usize>,
}

impl Common {
    /// The figure, and its exact share. `None` where no class is common or nothing is known of it.
    pub(super) fn of(
        metrics: &Metrics,
        instances: Option<&[u64]>,
        at_least: u64,
    ) -> Result<Option<(Self, Option<f64>)>, Mismatch> {
        let Some(instances) = instances else { return Ok(None) };
        let common = |class: &usize| *class == 0 || instances.get(*class).is_some_and(|seen| *seen >= at_least);
        let classes: Vec<usize> = (0..metrics.per_class.len()).filter(common).collect();
        if classes.len() < 2 {
            return Ok(None);
        }
        let share = metrics.mean_iou_of_common(instances, at_least)?;
        Ok(Some((Self { value: percent(share), at_least, classes }, share)))
    }
}

/// The two figures that people are told first: shares, 0–1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Headline {
    /// The mean IoU of the common classes where there are any, else of all.
    pub mean_iou: Option<f64>,
    /// Whether it is that of the common classes.
    pub common: bool,
    /// The IoU of the foreground.
    pub foreground_iou: Option<f64>,
}

impl Headline {
    pub(super) fn of(metrics: &Metrics, common: Option<&(Common, Option<f64>)>) -> Self {
        let mean_iou = common.map_or(metrics.mean_iou, |(_, share)| *share);
        Self { mean_iou, common: common.is_some(), foreground_iou: metrics.foreground_iou }
    }

    /// `test mIoU 0.47 foreground IoU 0.97`
    pub fn line(&self, split: &str) -> String {
        format!("{split} mIoU {} foreground IoU {}", share(self.mean_iou), share(self.foreground_iou))
    }
}

/// A share with two decimals.
pub(super) fn share(share: Option<f64>) -> String {
    share.map_or_else(|| "nan".to_owned(), |share| format!("{share:.2}"))
}

/// What can be had without a network, on the same images: a network is to be better.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Floors {
    /// The IoU of the foreground that colour thresholding finds, in per cent.
    pub threshold_foreground_iou: Option<f64>,
    /// The mean IoU of giving each colour its most frequent class, in per cent.
    pub colour_miou: Option<f64>,
    /// The same over the common classes.
    #[serde(rename = "colour_mIoU_common")]
    pub colour_miou_common: Option<f64>,
    /// The IoU of the foreground of the same, in per cent.
    pub colour_foreground_iou: Option<f64>,
    /// Photos that the classes of colours were learnt from.
    pub colour_photos: u64,
}

impl Evaluation {
    /// A figure in per cent by its key.
    pub fn figure(&self, key: &str) -> Option<f64> {
        self.figures.get(key).and_then(Value::as_f64)
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, Error> {
        let failed = |error: serde_json::Error| Error::Failed(format!("{FIGURES} cannot be written: {error}"));
        let mut bytes = serde_json::to_vec_pretty(self).map_err(failed)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// Reads the figures in the folder at the root of a store.
    pub fn read(store: &Store) -> Result<Self, Error> {
        let bytes = store.wait(store.get(FIGURES))?;
        let unreadable = |detail: String| {
            Error::Failed(format!(
                "{} cannot be read ({detail}); remove it and run `selvedge evaluate` again",
                store.child(FIGURES).url()
            ))
        };
        let evaluation: Self = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
        match evaluation.schema == SCHEMA {
            true => Ok(evaluation),
            false => Err(unreadable(format!("it is {}, and {SCHEMA} is read here", evaluation.schema))),
        }
    }
}
