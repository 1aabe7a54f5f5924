//! An evaluation as a pipeline file says it: names and places, nothing opened. Must not open a store.

use super::section::Section;
use super::training::compute_on;
use super::{ComputeOn, Error, words};
use crate::stage::measure::wish::LookWish;
use crate::storage::Options;

/// One model against the masks of a split.
#[derive(Clone)]
pub struct Evaluation {
    /// The model's folder or URL.
    pub model: String,
    /// The name that figures are kept under; the last part of the model's folder when absent.
    pub name: Option<String>,
    /// Where the photos lie.
    pub photos: String,
    /// The split.
    pub split: String,
    /// How photos are looked at.
    pub look: LookWish,
    /// Images that become panels.
    pub panels: usize,
    /// Instances in the train split from which on a class counts as common.
    pub common: u64,
    /// Whether to measure what can be had without a network, too.
    pub floors: bool,
    /// No more images than this.
    pub images: Option<usize>,
    /// Where it is computed.
    pub place: ComputeOn,
    /// Options of these stores.
    pub options: Options,
}

/// Models side by side.
#[derive(Clone)]
pub struct Comparison {
    /// The evaluated models' folders or URLs.
    pub models: Vec<String>,
    /// Options of these stores.
    pub options: Options,
}

/// Reads the keys of a stage of the kind `evaluate`.
pub(super) fn read(section: &Section<'_>, options: &Options) -> Result<Evaluation, Error> {
    let count = |key: &'static str, usual: u64| section.number(key).map(|number| number.unwrap_or(usual));
    Ok(Evaluation {
        model: section.required_text("model")?,
        name: section.text("keep_as")?,
        photos: section.required_text("photos")?,
        split: section.text("split")?.unwrap_or_else(|| "test".to_owned()),
        look: look(section)?,
        panels: count("panels", 6)? as usize,
        common: count("common", 200)?,
        floors: section.flag("floors")?.unwrap_or(false),
        images: section.number("images")?.map(|images| images as usize),
        place: compute_on(section)?,
        options: options.clone(),
    })
}

/// Reads the keys of a stage of the kind `compare`.
pub(super) fn read_comparison(section: &Section<'_>, options: &Options) -> Result<Comparison, Error> {
    let models = section.texts("models")?.ok_or_else(|| section.error("needs models"))?;
    Ok(Comparison { models, options: options.clone() })
}

/// How photos are looked at.
pub(super) fn look(section: &Section<'_>) -> Result<LookWish, Error> {
    let mut look = LookWish::default();
    if let Some(word) = section.text("look")? {
        look.mode = words::look(&word).map_err(|detail| section.error_at("look", detail))?;
    }
    look.stride = section.number("stride")?.map(|stride| stride as usize);
    if let Some((long, short)) = section.pair("base")? {
        look.base = (long as usize, short as usize);
    }
    look.flip = section.flag("look_flipped")?.unwrap_or(look.flip);
    look.scales = section.floats("look_scales")?.unwrap_or(look.scales);
    Ok(look)
}
