//! Cutouts that wait for a person: which ones do, and what the person decides about them. Under the pipeline's lock, and only
//! once what interrupted runs had committed is in the ledger. Must not know how a decision is carried out, or how it is shown.

use super::entry::{self, Entry, Worst};
use super::settle::{ACCEPTED, Desk, Item, Settled, Verdict};
use super::{Error, Settings, Unended, ledger, lock, sheet, state};
use crate::event::{Level, note};
use crate::id;
use crate::outcome::{Outcome, Reason};
use crate::pipeline::{Kind, Pipeline, StageSpec};
use crate::stage::tables::Tables;
use crate::stage::{self, cutout};
use crate::storage::{self, Store};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Keys that an error names, at most.
const MOST_NAMED: usize = 10;
/// Inputs of a command that are remembered, at most: a list of single photos is not.
const MOST_INPUTS: usize = 64;

/// Which cutouts are meant.
#[derive(Clone, Debug)]
pub enum Which {
    /// These, by the keys of their photos.
    Keys(Vec<String>),
    /// All that wait, of one reason where one is given.
    All(Option<Reason>),
}

/// What waits for a person in one stage.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The stage.
    pub stage: String,
    /// How many wait, of the reason that was asked for.
    pub total: u64,
    /// The most doubtful of them first, no more than were asked for.
    pub entries: Vec<Entry>,
    /// Where its contact sheet lies, if there is one.
    pub sheet: Option<String>,
}

/// What came of a decision.
#[derive(Clone, Debug, Default)]
pub struct Decided {
    /// How many were settled now.
    pub settled: u64,
    /// How many of the keys had been settled the same way before.
    pub before: u64,
    /// Keys that stay in review, each with the cause.
    pub left: Vec<(String, String)>,
    /// How many wait now.
    pub waiting: u64,
    /// Where the contact sheet lies, if there is one.
    pub sheet: Option<String>,
}

/// A stage of a pipeline that a person reviews.
#[derive(Clone, Copy)]
pub struct Subject<'a> {
    /// The pipeline.
    pub pipeline: &'a Pipeline,
    /// The stage.
    pub spec: &'a StageSpec,
    /// Its settings.
    pub cutout: &'a cutout::Settings,
}

/// The stages of a pipeline that a person can review: the one of a name, or all.
pub fn subjects<'a>(pipeline: &'a Pipeline, stage: Option<&str>) -> Result<Vec<Subject<'a>>, Error> {
    let all = pipeline.stages.iter().filter_map(|spec| match &spec.kind {
        Kind::Cutout(cutout) => Some(Subject { pipeline, spec, cutout }),
        _ => None,
    });
    let all: Vec<Subject<'a>> = all.collect();
    if all.is_empty() {
        return Err(Error::Usage(format!("{} has no stage that makes cutouts", pipeline.file)));
    }
    let Some(name) = stage else { return Ok(all) };
    let found: Vec<Subject<'a>> = all.iter().copied().filter(|subject| subject.spec.name == name).collect();
    if found.is_empty() {
        let hint = crate::pipeline::nearest(name, all.iter().map(|subject| subject.spec.name.as_str()));
        return Err(Error::Usage(format!("no stage called {name} makes cutouts{hint}")));
    }
    Ok(found)
}

/// What waits in one stage.
pub fn waiting(subject: Subject<'_>, store: &Store, reason: Option<Reason>, most: usize) -> Result<Waiting, Error> {
    let name = &subject.spec.name;
    let mut worst = Worst::new(most);
    each_waiting(&Tables::new(store.clone()), &subject.pipeline.name, name, |entry| {
        if reason.is_none() || entry.reason == reason {
            worst.offer(entry);
        }
    })?;
    let sheet = sheet::place(subject.cutout, store, name)?;
    Ok(Waiting { stage: name.clone(), total: worst.offered, entries: worst.sorted(), sheet })
}

/// Gives every row of a ledger that waits for a person, in the order of keys.
pub(super) fn each_waiting(
    tables: &Tables,
    pipeline: &str,
    stage: &str,
    mut each: impl FnMut(Entry),
) -> Result<(), Error> {
    let folder = ledger::folder(pipeline, stage);
    let place = ledger::place(&folder);
    let of_stage = Error::of_stage(stage);
    let Some(current) = tables.current_at(place).map_err(&of_stage)? else { return Ok(()) };
    for batch in tables.scan(place, &current, Some(&entry::COLUMNS)) {
        entry::of_outcome(&batch.map_err(&of_stage)?, Outcome::Review)?.into_iter().for_each(&mut each);
    }
    Ok(())
}

/// Settles cutouts that wait. Keys that do not are refused, all together and before anything is done; those that were
/// settled the same way before are fine.
pub fn decide(
    subject: Subject<'_>,
    store: &Store,
    settings: &Settings,
    which: &Which,
    verdict: Verdict,
) -> Result<Decided, Error> {
    let Subject { pipeline, spec, .. } = subject;
    let name = format!("review-{}", id::token());
    let lock = lock::acquire(store, &pipeline.name, &name, &settings.cancel)?;
    let record = super::record(pipeline, &name, lock.epoch(), false);
    let decided = super::recover(pipeline, store, settings, &record, Unended::OfProcesses).and_then(|()| {
        let context = super::context(pipeline, store, settings, &record, &spec.name);
        let places = cutout::Places::open(subject.cutout, store, &spec.name).map_err(Error::of_stage(&spec.name))?;
        let folder = ledger::folder(&pipeline.name, &spec.name);
        let desk = Desk { context: &context, folder: &folder, places: &places };
        desk.resume()?;
        let (items, before) = chosen(&desk, &pipeline.name, which, &verdict)?;
        stage::check(&settings.cancel).map_err(Error::of_stage(&spec.name))?;
        let Settled { settled, left } =
            if items.is_empty() { Settled::default() } else { desk.settle(verdict, items)? };
        let sheet = match sheet::renew(subject, &context, None) {
            Ok(sheet) => sheet,
            Err(error) => {
                note(&settings.events, Level::Warn, format!("the contact sheet was not written: {error}"));
                None
            }
        };
        let mut waiting = 0;
        each_waiting(&context.tables, &pipeline.name, &spec.name, |_| waiting += 1)?;
        Ok(Decided { settled, before, left, waiting, sheet })
    });
    lock.release()?;
    decided
}

/// The cutouts that are meant, ascending by key, and how many of the keys were settled this way before.
fn chosen(desk: &Desk<'_>, pipeline: &str, which: &Which, verdict: &Verdict) -> Result<(Vec<Item>, u64), Error> {
    let stage = &desk.context.stage;
    let item = |entry: Entry| Item { key: entry.key, digest: entry.output_digest, outputs: entry.outputs };
    let mut items = Vec::new();
    let keys = match which {
        Which::All(reason) => {
            each_waiting(&desk.context.tables, pipeline, stage, |entry| {
                if reason.is_none() || entry.reason == *reason {
                    items.push(item(entry));
                }
            })?;
            return Ok((items, 0));
        }
        Which::Keys(keys) => keys,
    };
    let mut before = 0;
    // Why a key cannot be settled; those that were not met in the ledger keep the first cause.
    let mut wrong: BTreeMap<&str, Option<String>> = keys.iter().map(|key| (key.as_str(), None)).collect();
    let place = ledger::place(desk.folder);
    let of_stage = Error::of_stage(stage);
    let current = desk.context.tables.current_at(place).map_err(&of_stage)?;
    for part in current.iter().flat_map(|ledger| &ledger.parts) {
        if wrong.range(part.first.as_str()..).next().is_none_or(|(key, _)| *key > part.last.as_str()) {
            continue;
        }
        let bytes = desk.context.tables.part(place, part).map_err(&of_stage)?;
        for batch in crate::table::read::batches(place.table, bytes, Some(&entry::COLUMNS))? {
            for entry in entry::with_keys(&batch?, |key| wrong.contains_key(key))? {
                if entry.outcome == Outcome::Review {
                    wrong.remove(entry.key.as_str());
                    items.push(item(entry));
                } else if was_settled(&entry, verdict) {
                    wrong.remove(entry.key.as_str());
                    before += 1;
                } else if let Some(cause) = wrong.get_mut(entry.key.as_str()) {
                    let reason = entry.reason.map_or_else(String::new, |reason| format!(" ({reason})"));
                    *cause = Some(format!("it is {}{reason}, not in review", entry.outcome.word()));
                }
            }
        }
    }
    match wrong.is_empty() {
        true => Ok((items, before)),
        false => Err(refusal(desk, pipeline, &wrong)?),
    }
}

fn was_settled(entry: &Entry, verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Accept => entry.outcome == Outcome::Ok && entry.notes.iter().any(|note| note == ACCEPTED),
        Verdict::Reject { .. } => entry.reason == Some(Reason::Rejected),
    }
}

/// Names the keys that do not wait for a person, each with what is the matter.
fn refusal(desk: &Desk<'_>, pipeline: &str, wrong: &BTreeMap<&str, Option<String>>) -> Result<Error, Error> {
    let unknown: Vec<&str> = wrong.iter().filter(|(_, cause)| cause.is_none()).map(|(key, _)| *key).collect();
    let mut near: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    each_waiting(&desk.context.tables, pipeline, &desk.context.stage, |entry| {
        for key in unknown.iter().take(MOST_NAMED) {
            let distance = strsim::damerau_levenshtein(key, &entry.key);
            if near.get(key).is_none_or(|(nearest, _)| distance < *nearest) {
                near.insert(key, (distance, entry.key.clone()));
            }
        }
    })?;
    let told = wrong.iter().take(MOST_NAMED).map(|(key, cause)| match (cause, near.get(key)) {
        (Some(cause), _) => format!("{key}: {cause}"),
        (None, Some((_, other))) => format!("{key}: no such photo; the nearest that waits is {other}"),
        (None, None) => format!("{key}: no such photo, and none waits"),
    });
    let mut text = told.collect::<Vec<_>>().join("\n");
    if wrong.len() > MOST_NAMED {
        text.push_str(&format!("\nand {} more", wrong.len() - MOST_NAMED));
    }
    Ok(Error::Usage(format!("{text}\nnothing was changed; `selvedge review list` names what waits")))
}

/// What a command without a pipeline file was told, for the review of what it made: `places.json` beside the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// `run/1.0`.
    schema: String,
    /// Where photos were read from, no more than a few.
    pub inputs: Vec<String>,
    /// Where the doubtful ones go.
    pub review: Option<String>,
    /// Cutouts on the contact sheet.
    pub sheet: u32,
}

fn told_key(pipeline: &str, stage: &str) -> String {
    format!("{}/places.json", ledger::folder(pipeline, stage))
}

/// Writes down what a command was told that has no file to read it from again.
pub(super) fn remember(subject: Subject<'_>, store: &Store) -> Result<(), Error> {
    let Subject { pipeline, spec, cutout } = subject;
    if !pipeline.text.is_empty() {
        return Ok(());
    }
    let inputs = if cutout.inputs.len() > MOST_INPUTS { &[][..] } else { &cutout.inputs };
    let told = Told {
        schema: state::schema(),
        inputs: inputs.iter().map(|input| anywhere(input)).collect(),
        review: cutout.review.as_deref().map(anywhere),
        sheet: cutout.sheet,
    };
    let key = told_key(&pipeline.name, &spec.name);
    if state::read::<Told>(store, &key).ok().flatten().as_ref() != Some(&told) {
        let bytes = Bytes::from(serde_json::to_vec_pretty(&told).unwrap_or_default());
        store.wait(store.put(&key, bytes))?;
    }
    Ok(())
}

/// The location as it is from any working folder, without a secret that it may hold.
fn anywhere(location: &str) -> String {
    if location.contains("://") {
        return storage::redact(location);
    }
    let path = std::path::absolute(location).ok();
    path.and_then(|path| path.to_str().map(str::to_owned)).unwrap_or_else(|| location.to_owned())
}

/// What a command was told, where it was one that made the cutouts of a store.
pub fn told(store: &Store, pipeline: &str, stage: &str) -> Result<Option<Told>, Error> {
    state::read(store, &told_key(pipeline, stage))
}
