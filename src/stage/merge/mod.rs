//! The stage `merge`: the masks of each image in `annotations` merged to one row of `masks`, in spans and never as a raster.
//! Must not know CSV, photos or training.

mod images;
mod policy;

pub use policy::Policy;

use super::parts::Parts;
use super::portions::{Annotations, End, Portion};
use super::tables::Tables;
use super::{Context, Error, Report, check, stations};
use crate::digest::Fingerprint;
use crate::event::{Event, Level, note};
use crate::outcome::Counts;
use crate::table::Manifest;
use crate::table::labels;
use crate::table::schema::{ANNOTATIONS, MASKS};
use arrow::array::RecordBatch;
use images::Sums;
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Raised by hand when the same annotations and settings would give other rows.
pub const CODE_VERSION: u32 = 1;
/// Images merged by one thread at a time.
const CHUNK_IMAGES: usize = 64;
/// The share of its pixels that a class may lose in the merge without a word.
const LOST: f64 = 0.5;

/// Which classes are merged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Classes {
    /// The main items, ids 0–26.
    Main,
    /// All.
    All,
    /// These.
    List(BTreeSet<u8>),
}

/// What to merge, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which classes.
    pub classes: Classes,
    /// Which mask lies on top.
    pub policy: Policy,
    /// Classes from the top down, for `class-priority`.
    pub priority: Vec<u8>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { classes: Classes::Main, policy: Policy::default(), priority: Vec::new() }
    }
}

/// The settings as the merge uses them.
pub(super) struct Rules {
    pub(super) policy: Policy,
    /// By class: whether it is merged.
    pub(super) chosen: [bool; 256],
    /// By class: its place in the list of priorities.
    pub(super) ranks: [u16; 256],
}

impl Settings {
    fn rules(&self) -> Result<Rules, Error> {
        if self.policy == Policy::ClassPriority && self.priority.is_empty() {
            return Err(Error::Usage(
                "the policy class-priority needs a list of classes, from the top down".to_owned(),
            ));
        }
        if self.policy != Policy::ClassPriority && !self.priority.is_empty() {
            return Err(Error::Usage(format!("a list of priorities has no meaning under the policy {}", self.policy)));
        }
        let mut once = BTreeSet::new();
        if let Some(twice) = self.priority.iter().find(|class| !once.insert(**class)) {
            return Err(Error::Usage(format!("the class {twice} stands in the list of priorities twice")));
        }
        let mut chosen = [self.classes == Classes::All; 256];
        match &self.classes {
            Classes::All => {}
            Classes::Main => labels::CLASSES.iter().for_each(|class| chosen[class.id as usize] = class.main),
            Classes::List(list) if list.is_empty() => {
                return Err(Error::Usage("no class to merge: give at least one".to_owned()));
            }
            Classes::List(list) => list.iter().for_each(|class| chosen[*class as usize] = true),
        }
        Ok(Rules { policy: self.policy, chosen, ranks: policy::ranks(&self.priority) })
    }
}

/// What the result is made from: the current annotations, the settings, and the code.
pub fn fingerprint(settings: &Settings, source: &Tables, _: &Context) -> Result<Fingerprint, Error> {
    settings.rules()?;
    let annotations = annotations(source)?;
    let classes = match &settings.classes {
        Classes::Main => "main".to_owned(),
        Classes::All => "all".to_owned(),
        Classes::List(list) => format!("{list:?}"),
    };
    Ok(Fingerprint::default()
        .with("annotations", annotations.depends_on.digest())
        .with("classes", classes)
        .with("code", CODE_VERSION)
        .with("policy", settings.policy)
        .with("priority", format!("{:?}", settings.priority)))
}

fn annotations(source: &Tables) -> Result<Manifest, Error> {
    source.current(&ANNOTATIONS)?.ok_or_else(|| {
        Error::Usage(format!(
            "{} holds no annotations; run `selvedge ingest --csv FILE --out` on it first",
            source.store().url()
        ))
    })
}

/// Reads the annotations of `source`, merges, and publishes to the context's tables.
pub fn run(settings: &Settings, source: &Tables, fingerprint: Fingerprint, context: &Context) -> Result<Report, Error> {
    let rules = settings.rules()?;
    let manifest = annotations(source)?;
    let stage = context.stage.clone();
    context.events.emit(Event::StageStarted { stage, total: Some(manifest.rows), unit: "rows" });
    let base = context.tables.current(&MASKS)?;
    let annotations = Annotations { context, source, manifest: &manifest };
    let (mut parts, mut sums, mut end) = pass(&annotations, &rules, false)?;
    if end == End::Scattered {
        parts.abandon();
        (parts, sums, end) = pass(&annotations, &rules, true)?;
    }
    debug_assert_eq!(end, End::Whole);
    if let Err(error) = check(&context.cancel) {
        parts.abandon();
        return Err(error);
    }
    tell_losses(&sums, settings.policy, context);
    let share = 100.0 * sums.contested as f64 / sums.pixels.max(1) as f64;
    let summary = format!(
        "{} images merged from {} rows ({}), {share:.2} % of their pixels claimed by more than one class, {} without a mask",
        sums.images, sums.rows, settings.policy, sums.bare
    );
    parts.finish(true)?.publish(base.as_ref(), fingerprint, facts(&sums))?;
    let url = format!("{}/{}", context.tables.store().url().trim_end_matches('/'), MASKS.name);
    Ok(Report { counts: Counts { ok: sums.images, ..Counts::default() }, summary, artifacts: vec![url] })
}

/// One way through the annotations; nothing of it is visible yet.
fn pass<'a>(annotations: &Annotations<'a>, rules: &Rules, scattered: bool) -> Result<(Parts<'a>, Sums, End), Error> {
    let context = annotations.context;
    let mut parts = Parts::begin(context, &MASKS, "");
    let mut sums = Sums::default();
    let mut end = End::Whole;
    let done = stations::run(
        |give| {
            match scattered {
                false => end = annotations.contiguous(give)?,
                true => annotations.scattered(give)?,
            }
            Ok(())
        },
        |portion: Portion| {
            let chunks: Vec<Range<usize>> = (0..portion.images.len())
                .step_by(CHUNK_IMAGES)
                .map(|first| first..portion.images.len().min(first + CHUNK_IMAGES))
                .collect();
            let merged: Vec<Result<(RecordBatch, usize, Sums), Error>> =
                chunks.into_par_iter().map(|which| images::merge(&portion, which, rules)).collect();
            let mut batches = Vec::with_capacity(merged.len());
            for merged in merged {
                let (batch, weight, part) = merged?;
                sums.add(&part);
                batches.push((batch, weight));
            }
            let stage = context.stage.clone();
            context.events.emit(Event::Advanced { stage, by: portion.places.len() as u64 });
            Ok(batches)
        },
        |batches| batches.iter().try_for_each(|(batch, weight)| parts.write(batch, *weight)),
    );
    match done {
        Ok(()) => Ok((parts, sums, end)),
        Err(error) => {
            parts.abandon();
            Err(error)
        }
    }
}

/// Classes that mostly vanish below others, under policies that keep classes apart.
fn tell_losses(sums: &Sums, policy: Policy, context: &Context) {
    if policy == Policy::Foreground {
        return;
    }
    for value in 1..255 {
        let (annotated, visible) = (sums.annotated[value], sums.visible[value]);
        if (visible as f64) < (1.0 - LOST) * annotated as f64 {
            let lost = 100.0 * (1.0 - visible as f64 / annotated as f64);
            let text = format!(
                "class {} loses {lost:.0} % of its pixels to masks on top of it under the policy {policy}; another policy may suit it better",
                value - 1
            );
            note(&context.events, Level::Warn, text);
        }
    }
}

/// Figures for the manifest.
fn facts(sums: &Sums) -> BTreeMap<String, u64> {
    let mut facts = BTreeMap::from([
        ("images".to_owned(), sums.images),
        ("rows_merged".to_owned(), sums.rows),
        ("no_main_item".to_owned(), sums.no_main),
        ("no_mask".to_owned(), sums.bare),
        ("pixels".to_owned(), sums.pixels),
        ("conflicted_px".to_owned(), sums.contested),
    ]);
    for value in (0..256).filter(|value| sums.annotated[*value] + sums.visible[*value] > 0) {
        facts.insert(format!("annotated_px.{value:03}"), sums.annotated[value]);
        facts.insert(format!("visible_px.{value:03}"), sums.visible[value]);
    }
    facts
}
