//! What a run would do, without doing any of it: per stage what is new, changed, cached or gone, and why. Must not write.

use super::calibration::{self, Measure};
use super::freeze::{self, Rules};
use super::{Error, Settings, ledger, tables};
use crate::digest::Fingerprint;
use crate::outcome::Outcome;
use crate::pipeline::plan::{Decision, Known};
use crate::pipeline::{Kind, Pipeline, StageSpec};
use crate::stage::{Context, cutout};
use crate::storage::Store;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a run would do about one stage.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StagePreview {
    /// The stage's name.
    pub stage: String,
    /// What would happen, in a line.
    pub summary: String,
    /// Items by what is to be done about them; for a table one item.
    pub decisions: BTreeMap<String, u64>,
    /// Items that need nothing done.
    pub cached: u64,
    /// Items that are no longer there.
    pub gone: u64,
    /// Of the cached ones, how many stand quarantined.
    pub standing_quarantined: u64,
    /// Parts of the fingerprint that differ from the last run's.
    pub changed: Vec<String>,
}

/// What a run would do about every stage. Later stages are judged by the tables as they are now.
pub fn preview(pipeline: &Pipeline, store: &Store, settings: &Settings) -> Result<Vec<StagePreview>, Error> {
    let mut previews = Vec::new();
    let mut upstream_changes = false;
    for spec in &pipeline.stages {
        let context = read_only(pipeline, store, settings, &spec.name);
        let preview = match &spec.kind {
            Kind::Cutout(cutout) => {
                let cutout = calibration::settled(cutout, &context, Measure::No)?;
                items(pipeline, spec, &cutout, settings, &context)?
            }
            kind => table(spec, kind, upstream_changes, &context)?,
        };
        upstream_changes |= !matches!(spec.kind, Kind::Cutout(_)) && preview.cached == 0;
        previews.push(preview);
    }
    Ok(previews)
}

fn read_only(pipeline: &Pipeline, store: &Store, settings: &Settings, stage: &str) -> Context {
    Context {
        tables: super::tables_of(pipeline, store, stage),
        stage: stage.to_owned(),
        run: "-".to_owned(),
        epoch: 0,
        fence: Arc::new(|| Err(crate::stage::Error::Failed("a plan writes nothing".to_owned()))),
        events: Arc::clone(&settings.events),
        cancel: settings.cancel.clone(),
        threads: settings.threads,
    }
}

fn table(spec: &StageSpec, kind: &Kind, upstream_changes: bool, context: &Context) -> Result<StagePreview, Error> {
    let mut preview = StagePreview { stage: spec.name.clone(), ..StagePreview::default() };
    let current = tables::current(kind, context)?;
    let wanted = match tables::fingerprint(kind, context) {
        Ok(wanted) => Some(wanted),
        // The table that it is made from does not exist yet, and an earlier stage will make it.
        Err(_) if upstream_changes => None,
        Err(error) => return Err(error),
    };
    let (word, changed) = match (&current, &wanted) {
        (None, _) => (Decision::New, Vec::new()),
        (Some(_), None) => (Decision::SourceChanged, Vec::new()),
        (Some(current), Some(wanted)) if current == wanted && !upstream_changes => (Decision::Cached, Vec::new()),
        (Some(_), Some(wanted)) if upstream_changes && current.as_ref() == Some(wanted) => {
            (Decision::SourceChanged, vec!["a table made by an earlier stage".to_owned()])
        }
        (Some(current), Some(wanted)) => (Decision::SettingsChanged, wanted.changed_since(current)),
    };
    if word == Decision::Cached {
        preview.cached = 1;
        "cached".clone_into(&mut preview.summary);
        return Ok(preview);
    }
    preview.decisions.insert(word.word().to_owned(), 1);
    preview.summary = match (word, changed.is_empty()) {
        (Decision::New, _) => "new: never made".to_owned(),
        (_, true) => "changed: an earlier stage changes".to_owned(),
        (_, false) => format!("changed: {}", changed.join(", ")),
    };
    preview.changed = changed;
    Ok(preview)
}

/// What the cutouts will depend on. A model that an earlier stage has yet to train is another one than any before.
fn fingerprint(
    pipeline: &Pipeline,
    spec: &StageSpec,
    cutout: &cutout::Settings,
    context: &Context,
) -> Result<Fingerprint, Error> {
    let trains = pipeline.stages.iter().any(|stage| matches!(stage.kind, Kind::Train(_)));
    match cutout::fingerprint(cutout, context.tables.store().handle()) {
        Err(crate::stage::Error::Usage(_)) if trains => Ok(Fingerprint::default().with("model", "not trained yet")),
        other => other.map_err(Error::of_stage(&spec.name)),
    }
}

fn items(
    pipeline: &Pipeline,
    spec: &StageSpec,
    cutout: &cutout::Settings,
    settings: &Settings,
    context: &Context,
) -> Result<StagePreview, Error> {
    let mut preview = StagePreview { stage: spec.name.clone(), ..StagePreview::default() };
    let fingerprint = fingerprint(pipeline, spec, cutout, context)?;
    each(pipeline, spec, cutout, &fingerprint, settings, context, |_, known, decision| match decision {
        Some(Decision::Cached) => {
            preview.cached += 1;
            preview.standing_quarantined += u64::from(known.is_some_and(|row| row.outcome == Outcome::Quarantined));
        }
        Some(decision) => *preview.decisions.entry(decision.word().to_owned()).or_default() += 1,
        None => preview.gone += 1,
    })?;
    if preview.decisions.contains_key(Decision::SettingsChanged.word())
        && let Some(last) = last_fingerprint(pipeline, spec, context)?
    {
        preview.changed = fingerprint.changed_since(&last);
    }
    let mut words: Vec<String> = preview.decisions.iter().map(|(word, count)| format!("{count} {word}")).collect();
    words.push(format!("{} cached", preview.cached));
    words.extend((preview.gone > 0).then(|| format!("{} gone", preview.gone)));
    words.extend((!preview.changed.is_empty()).then(|| format!("changed: {}", preview.changed.join(", "))));
    preview.summary = words.join(", ");
    Ok(preview)
}

fn each(
    pipeline: &Pipeline,
    spec: &StageSpec,
    cutout: &cutout::Settings,
    fingerprint: &Fingerprint,
    settings: &Settings,
    context: &Context,
    mut each: impl FnMut(&str, Option<&Known>, Option<Decision>),
) -> Result<(), Error> {
    let inputs = cutout::open_inputs(cutout, context.tables.store().handle()).map_err(Error::of_stage(&spec.name))?;
    let folder = ledger::folder(&pipeline.name, &spec.name);
    let place = ledger::place(&folder);
    let current = context.tables.current_at(place).map_err(Error::of_stage(&spec.name))?;
    let digest = fingerprint.digest();
    let rules = Rules { fingerprint: &digest, retry: &settings.retry, naming: cutout.naming };
    let known = ledger::known(&context.tables, place, current.as_ref());
    freeze::walk(&inputs, known, &rules, &settings.events, |planned| {
        let name = planned.source.as_ref().map(|source| source.name.as_str());
        let key = name.or(planned.known.as_ref().map(|known| known.key.as_str())).unwrap_or_default();
        each(key, planned.known.as_ref(), planned.decision);
        Ok(())
    })?;
    Ok(())
}

/// The parts behind the newest fingerprint that the ledger holds rows of.
fn last_fingerprint(pipeline: &Pipeline, spec: &StageSpec, context: &Context) -> Result<Option<Fingerprint>, Error> {
    let folder = ledger::folder(&pipeline.name, &spec.name);
    let place = ledger::place(&folder);
    let Some(current) = context.tables.current_at(place).map_err(Error::of_stage(&spec.name))? else { return Ok(None) };
    let first = ledger::known(&context.tables, place, Some(&current)).next().transpose()?;
    let Some(digest) = first.map(|row| row.fingerprint) else { return Ok(None) };
    fingerprint_of(context, &folder, &digest)
}

fn fingerprint_of(context: &Context, folder: &str, digest: &str) -> Result<Option<Fingerprint>, Error> {
    let store = context.tables.store();
    let key = format!("{folder}/fingerprints/{digest}.json");
    let bytes = match store.wait(store.get(&key)) {
        Ok(bytes) => bytes,
        Err(crate::storage::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let wrong = |error: serde_json::Error| Error::State { key, detail: error.to_string() };
    serde_json::from_slice(&bytes).map(Some).map_err(wrong)
}

/// Why a run would, or would not, do something about one item; a line for each stage that knows it.
pub fn why(pipeline: &Pipeline, store: &Store, settings: &Settings, item: &str) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for spec in &pipeline.stages {
        let Kind::Cutout(cutout) = &spec.kind else { continue };
        let context = read_only(pipeline, store, settings, &spec.name);
        let fingerprint = fingerprint(pipeline, spec, cutout, &context)?;
        let mut found = None;
        each(pipeline, spec, cutout, &fingerprint, settings, &context, |key, known, decision| {
            if key == item {
                found = Some((known.cloned(), decision));
            }
        })?;
        let Some((known, decision)) = found else { continue };
        let before = known.as_ref().map_or_else(String::new, |known| {
            let reason = known.reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            format!("; the ledger says {}{reason}", known.outcome.word())
        });
        let because = match (decision, &known) {
            (None, _) => "gone: it is no longer listed".to_owned(),
            (Some(Decision::SettingsChanged), Some(known)) => {
                let folder = ledger::folder(&pipeline.name, &spec.name);
                let last = fingerprint_of(&context, &folder, &known.fingerprint)?;
                let parts = last.map_or_else(Vec::new, |last| fingerprint.changed_since(&last));
                format!("settings changed: {}", if parts.is_empty() { "unknown".to_owned() } else { parts.join(", ") })
            }
            (Some(decision), _) => decision.to_string(),
        };
        lines.push(format!("{}: {item}: {because}{before}", spec.name));
    }
    if lines.is_empty() {
        return Err(Error::Usage(format!("no stage lists or remembers {item}; give its name below the input folder")));
    }
    Ok(lines)
}
