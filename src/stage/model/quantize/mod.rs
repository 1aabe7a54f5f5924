//! Static 8-bit quantisation of a model with the user's own photos, held to the maps of the model in floats on photos that it
//! was not calibrated with, and refused when it does not come near enough. Must not know terminals or tables.
//!
//! Nodes are taken back to floats, those that lose most first, until the bound holds. The photos that this search looks at
//! are calibration photos; the held-out ones judge what it arrives at, and send it on when they disagree.

mod agreement;
mod judge;
mod observe;
mod photos;
mod report;
mod search;

pub use agreement::{Agreement, PhotoAgreement, compare};
pub use report::{Candidate, Quantized};

use crate::event::Events;
use crate::event::{Level, note};
use crate::graph::quantise::{Choice, Method, Quantisable, Written};
use crate::graph::replace;
use crate::image::Probabilities;
use crate::predict::{ModelChoice, ModelFiles, Sidecar};
use crate::runtime::{self, Device};
use crate::stage::bench::Bench;
use crate::stage::{Error, check};
use crate::storage::Options;
use observe::Place;
use photos::{Photo, Photos, Search};
use search::Judged;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use tokio::runtime::Handle;

/// How to quantise.
#[derive(Clone)]
pub struct QuantizeSettings {
    /// Files, folders and prefixes with photos of the kind that will be cut out.
    pub photos: Vec<String>,
    /// The model to write; its sidecar and its report lie beside it.
    pub out: PathBuf,
    /// Photos to calibrate with.
    pub images: usize,
    /// Photos to judge by.
    pub holdout: usize,
    /// The mean IoU, and that of the worst tenth, that must be reached; 0 to 1.
    pub min_iou: f64,
    /// How ranges are chosen.
    pub method: Method,
    /// Nodes that stay in floats whatever the photos say.
    pub exclude: Vec<String>,
    /// Weights of 7 bits, for processors without VNNI.
    pub reduced: bool,
    /// Whether files that are there may be replaced.
    pub force: bool,
    /// How stores are reached.
    pub options: Options,
    /// What waits for stores.
    pub handle: Handle,
    /// Where to tell what happens.
    pub events: Events,
}

/// The share of computing nodes, without those that the user excludes, that may stay in floats; beyond it there is nothing to
/// gain.
const MOST_FLOATS: f64 = 0.6;
/// Photos that the ranges' effect on means is measured with.
const ROUNDED_WITH: usize = 16;

/// Quantises a model. Nothing is written unless the bound holds ([`Error::Blocked`] else).
pub fn quantize(
    model: &Path,
    settings: &QuantizeSettings,
    bench: &Bench,
    cancel: &crate::cancel::Cancel,
) -> Result<Quantized, Error> {
    if bench.device != Device::Cpu {
        return Err(Error::Usage("a model is quantised for the processor; use --device cpu".to_owned()));
    }
    if !(0.0..=1.0).contains(&settings.min_iou) || settings.images == 0 || settings.holdout == 0 {
        return Err(Error::Usage("--min-iou is from 0 to 1, and --images and --holdout are at least 1".to_owned()));
    }
    let [sidecar_path, report_path] = ["toml", "json"].map(|ending| settings.out.with_extension(ending));
    for path in [&settings.out, &sidecar_path, &report_path] {
        if !settings.force && path.exists() {
            return Err(Error::Usage(format!("{} is there already; replace it with --force", path.display())));
        }
    }
    let ModelChoice::Network(files) = ModelChoice::read(&model.to_string_lossy()).map_err(judge::usage)? else {
        return Err(Error::Usage("the threshold is no network; name an ONNX model".to_owned()));
    };
    let session = runtime::SessionSettings { device: bench.device, ..runtime::SessionSettings::default() };
    let place = Place { runtime: &bench.runtime, settings: session, threads: bench.threads.max(1), cancel };
    let say = |text: String| note(&settings.events, Level::Info, text);
    let opened = judge::open(&files, &place, 1)?;
    let (preparer, sidecar) = (opened.preparer.clone(), opened.sidecar.clone());
    let licence = opened.licence.clone();
    drop(opened);
    let search = Search {
        locations: &settings.photos,
        images: settings.images,
        holdout: settings.holdout,
        options: &settings.options,
        handle: &settings.handle,
    };
    let photos = photos::load(&search, &preparer, cancel)?;
    let simplified = runtime::simplify(&bench.runtime, &files.name, &files.model)?;
    let network = Quantisable::read(simplified, &files.name)?;
    let excluded = named(&network, &settings.exclude)?;

    say(format!("ranges of {} tensors from {} photos", network.tensors().len(), photos.calibration.len()));
    let statistics = observe::statistics(&network, &network.tensors(), &photos.calibration, &place)?;
    let codings = network.inputs().into_iter().filter(|tensor| statistics.contains_key(tensor));
    let codings: BTreeMap<_, _> =
        codings.map(|tensor| (tensor.clone(), network.coding(&tensor, &statistics, settings.method))).collect();
    let few = &photos.calibration[..photos.calibration.len().min(ROUNDED_WITH)];
    let rounded = observe::rounded_means(&network, &codings, few, &place)?;

    let attempt = |left_out: &BTreeSet<usize>| -> Written {
        let choice = Choice {
            method: settings.method,
            statistics: &statistics,
            rounded: &rounded,
            left_out,
            reduced: settings.reduced,
        };
        network.write(&choice, &format!("static int8 of {}", files.name))
    };
    let tuning: Vec<&Photo> = tuning(&photos);
    let held: Vec<&Photo> = photos.holdout.iter().collect();
    let both: Vec<&Photo> = tuning.iter().chain(&held).copied().collect();
    let wanted = judge::maps(&files, &both, &place)?;
    let (wanted_tuning, wanted_held) = wanted.split_at(tuning.len());
    let judged = |written: &Written, photos: &[&Photo], wanted: &[Probabilities]| -> Result<Agreement, Error> {
        let form = ModelFiles { model: written.bytes.clone(), ..files.clone() };
        Ok(judge::agreement(photos, wanted, &judge::maps(&form, photos, &place)?))
    };

    let order: Vec<usize> =
        network.by_noise(&statistics, settings.method).into_iter().map(|(index, _)| index).collect();
    let at_most = attempt(&excluded).quantised;
    let mut tried = Vec::new();
    let reached = search::search(&order, &excluded, |left_out| {
        check(cancel)?;
        let written = attempt(left_out);
        if (written.quantised as f64) < (1.0 - MOST_FLOATS) * at_most as f64 || written.quantised == 0 {
            return Ok(None);
        }
        let mut agreement = judged(&written, &tuning, wanted_tuning)?;
        let mut candidate = Candidate::of(&written, &agreement);
        let mut holds = agreement.holds(settings.min_iou);
        if holds {
            agreement = judged(&written, &held, wanted_held)?;
            holds = agreement.holds(settings.min_iou);
            candidate.held_out_iou = Some(agreement.mean_iou);
        }
        say(candidate.to_string());
        tried.push(candidate);
        Ok(Some(Judged { holds, form: (written, agreement) }))
    })?;
    let (written, agreement) = match reached {
        Some(Judged { holds: true, form }) => form,
        Some(Judged { form: (_, agreement), .. }) => {
            return Err(Error::Blocked(report::refusal(&files.name, settings, &agreement, &tried)));
        }
        None => return Err(Error::Blocked(format!("--exclude leaves too little of {} to quantise", files.name))),
    };
    let form = ModelFiles { model: written.bytes.clone(), ..files.clone() };
    let photo = photos.holdout.first().ok_or_else(|| Error::Failed("no photo was held out".to_owned()))?;
    let cost = judge::cost([&files, &form], photo, &place)?;
    let quantized = Quantized {
        model: files.name.clone(),
        output: settings.out.display().to_string(),
        method: report::word(settings.method).to_owned(),
        images: photos.calibration.len(),
        unreadable: photos.unreadable,
        quantised_nodes: written.quantised,
        float_nodes: written.floats,
        bytes: written.bytes.len() as u64,
        bytes_before: files.model.len() as u64,
        cpu_ms_before: cost[0],
        cpu_ms: cost[1],
        speedup: cost[0] / cost[1],
        licence,
        tried,
        agreement,
    };
    let sidecar = sidecar_text(&files, sidecar.as_ref(), &quantized)?;
    let json = serde_json::to_vec_pretty(&quantized).map_err(|error| Error::Failed(error.to_string()))?;
    for (path, bytes) in [(&report_path, json), (&sidecar_path, sidecar.into_bytes()), (&settings.out, written.bytes)] {
        let failed = |error: std::io::Error| crate::graph::Error::file(path, &error);
        replace(path, |file| file.write_all(&bytes).map_err(failed))?;
    }
    Ok(quantized)
}

/// Calibration photos for the search, about as many as are held out, spread evenly.
fn tuning(photos: &Photos) -> Vec<&Photo> {
    let count = photos.holdout.len().clamp(1, photos.calibration.len().max(1));
    (0..count).filter_map(|at| photos.calibration.get(at * photos.calibration.len() / count)).collect()
}

/// The nodes of these names.
fn named(network: &Quantisable, names: &[String]) -> Result<BTreeSet<usize>, Error> {
    let there = network.computing();
    let find = |name: &String| {
        let found = there.iter().find(|(_, known)| known == name).map(|(index, _)| *index);
        found.ok_or_else(|| {
            let known: Vec<&str> = there.iter().take(20).map(|(_, name)| name.as_str()).collect();
            Error::Usage(format!("--exclude {name}: no such node; there are {} and others", known.join(", ")))
        })
    };
    names.iter().map(find).collect()
}

/// The source's sidecar with a word on where the model comes from; written out where it followed from the model's name.
fn sidecar_text(files: &ModelFiles, sidecar: Option<&Sidecar>, quantized: &Quantized) -> Result<String, Error> {
    let text = match (&files.sidecar, sidecar) {
        (Some(text), _) => text.clone(),
        (None, Some(sidecar)) => toml::to_string(sidecar).map_err(|error| Error::Failed(error.to_string()))?,
        (None, None) => String::new(),
    };
    let licence = quantized.licence.as_deref().unwrap_or("unknown");
    Ok(format!(
        "# Static int8 of {} by selvedge: mean IoU {:.4} with it on {} photos. The model's licence is still {licence}.\n{text}",
        quantized.model,
        quantized.agreement.mean_iou,
        quantized.agreement.photos.len()
    ))
}
