//! Collects what the contact sheet of a stage shows: what waits for a person by the ledger, the least sure of what passed in
//! this run, and small pictures of both sides. What was collected is kept beside the ledger, under the version of the ledger
//! that it speaks of, so that a sheet is made anew only when that has changed and no picture is made twice. Must not know how
//! a sheet looks.

use super::entry::{Entry, Worst};
use super::review::{Subject, each_waiting};
use super::state::{self, ShardCommit, StagePlan};
use super::thumbnails::Thumbnails;
use super::{Error, entry, fold, ledger};
use crate::clock;
use crate::event::{Level, note};
use crate::outcome::{Counts, Outcome};
use crate::page::picture::quoted;
use crate::page::sheet::{self as page, Card, Figure, Run, Sheet};
use crate::stage::Context;
use crate::stage::cutout::{self, Places};
use crate::storage::{ObjectInfo, Store};
use crate::table::manifest;
use bytes::Bytes;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// What a run did just now.
#[derive(Clone, Copy)]
pub struct Fresh<'a> {
    /// Its plan.
    pub plan: &'a StagePlan,
    /// Its committed shards.
    pub commits: &'a [ShardCommit],
    /// How its items ended.
    pub counts: Counts,
}

/// A contact sheet with what tells whether a card is still true: `ledger/<pipeline>/<stage>/sheet/<version>.json`.
#[derive(Serialize, Deserialize)]
struct Kept {
    /// `run/1.0`.
    schema: String,
    sheet: Sheet,
    /// By key: the photo's version and the digest of the outputs that a card shows.
    shown: BTreeMap<String, (String, String)>,
}

/// Makes the sheet of a run. What goes wrong is told, and is not the run's failure. Gives where the sheet lies.
pub fn after_run(subject: Subject<'_>, context: &Context, fresh: Fresh<'_>) -> Option<String> {
    renew(subject, context, Some(fresh)).unwrap_or_else(|error| {
        let text = format!("{}: the contact sheet was not written: {error}", context.stage);
        note(&context.events, Level::Warn, text);
        None
    })
}

/// Where the sheet of a stage lies, if it was ever made.
pub fn place(cutout: &cutout::Settings, store: &Store, stage: &str) -> Result<Option<String>, Error> {
    let review = Places::open(cutout, store, stage).map_err(Error::of_stage(stage))?.review;
    let file = page::file(0);
    Ok(review.wait(review.head(&file))?.map(|_| review.child(&file).url().to_owned()))
}

/// What the newest sheet of a stage shows, if one was ever made and can be read.
pub fn newest(store: &Store, folder: &str) -> Result<Option<Sheet>, Error> {
    let kept: Vec<ObjectInfo> = store.wait(store.list(&format!("{folder}/sheet")).try_collect())?;
    let Some(newest) = kept.last() else { return Ok(None) };
    Ok(state::read::<Kept>(store, &newest.key)?.map(|kept| kept.sheet))
}

/// Makes the sheet anew if the ledger has changed since the last one. Gives where it lies.
pub fn renew(subject: Subject<'_>, context: &Context, fresh: Option<Fresh<'_>>) -> Result<Option<String>, Error> {
    let Subject { pipeline, spec, cutout } = subject;
    let most = cutout.sheet as usize;
    let folder = ledger::folder(&pipeline.name, &spec.name);
    let of_stage = Error::of_stage(&spec.name);
    let versions = context.tables.versions(ledger::place(&folder)).map_err(&of_stage)?;
    let Some(version) = versions.last().filter(|_| most > 0) else { return Ok(None) };
    let places = Places::open(cutout, context.tables.store(), &spec.name).map_err(&of_stage)?;
    let url = places.review.child(&page::file(0)).url().to_owned();
    let store = context.tables.store();
    let kept_at = format!("{folder}/sheet");
    let key = format!("{kept_at}/{}", manifest::version_file(*version));
    let earlier: Vec<ObjectInfo> = store.wait(store.list(&kept_at).try_collect())?;
    if earlier.iter().any(|kept| kept.key == key) {
        return Ok(Some(url));
    }
    // One that cannot be read only saves less work.
    let last = earlier.last().and_then(|kept| state::read::<Kept>(store, &kept.key).ok().flatten());

    let mut waiting = Worst::new(most);
    each_waiting(&context.tables, &pipeline.name, &spec.name, |entry| waiting.offer(entry))?;
    let total = waiting.offered;
    let waiting = waiting.sorted();
    let passed = passed(fresh, context, most - waiting.len())?;

    let (last_sheet, mut known) = match last {
        Some(Kept { sheet, shown, .. }) => (Some(sheet), shown),
        None => (None, BTreeMap::new()),
    };
    let run = match fresh {
        Some(Fresh { counts, .. }) => Some(Run { name: context.run.clone(), counts }),
        None => last_sheet.as_ref().and_then(|sheet| sheet.run.clone()),
    };
    let (mut cards, mut old_passed) = (BTreeMap::new(), Vec::new());
    if let Some(Sheet { doubtful, passed, .. }) = last_sheet {
        old_passed = passed.iter().map(|card| card.key.clone()).collect();
        cards.extend(doubtful.into_iter().chain(passed).map(|card| (card.key.clone(), card)));
    }
    let mut missing = Vec::new();
    for entry in waiting.iter().chain(&passed) {
        let same = known.get(&entry.key) == Some(&(entry.etag.clone(), entry.output_digest.clone()));
        if !same || !cards.get(&entry.key).is_some_and(|card| card.before.is_shown() && card.after.is_shown()) {
            missing.push(entry);
        }
    }
    let thumbnails = Thumbnails { cutout, places: &places, context };
    for (entry, (before, after)) in missing.iter().zip(thumbnails.make(&missing)?) {
        cards.insert(entry.key.clone(), Card { before, after, ..card(entry) });
    }
    let mut take = |entry: &Entry| {
        let Card { before, after, .. } = cards.remove(&entry.key)?;
        known.insert(entry.key.clone(), (entry.etag.clone(), entry.output_digest.clone()));
        Some(Card { before, after, ..card(entry) })
    };
    let doubtful: Vec<Card> = waiting.iter().filter_map(&mut take).collect();
    let mut passed: Vec<Card> = passed.iter().filter_map(&mut take).collect();
    if fresh.is_none_or(|fresh| fresh.commits.is_empty()) {
        // Nothing new passed: what did so last is still the best there is to show.
        let old = old_passed.iter().filter_map(|key| cards.remove(key)).take(most - doubtful.len());
        passed = old.collect();
    }
    let sheet = Sheet {
        pipeline: pipeline.name.clone(),
        stage: spec.name.clone(),
        run,
        made: clock::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        accept: command(subject, "accept"),
        reject: command(subject, "reject"),
        waiting: total,
        doubtful,
        passed,
    };
    write(&places.review, &sheet)?;
    let shown: BTreeSet<&str> = sheet.doubtful.iter().chain(&sheet.passed).map(|card| card.key.as_str()).collect();
    known.retain(|key, _| shown.contains(key.as_str()));
    let kept = Kept { schema: state::schema(), sheet, shown: known };
    store.wait(store.put(&key, Bytes::from(serde_json::to_vec(&kept).unwrap_or_default())))?;
    for kept in earlier {
        store.wait(store.delete(&kept.key))?;
    }
    Ok(Some(url))
}

/// The least sure of what passed in a run, the least sure first.
fn passed(fresh: Option<Fresh<'_>>, context: &Context, most: usize) -> Result<Vec<Entry>, Error> {
    let mut least_sure = Worst::new(most);
    for (plan, commit) in fresh.iter().flat_map(|fresh| fresh.commits.iter().map(move |commit| (fresh.plan, commit))) {
        if most == 0 {
            break;
        }
        for batch in fold::attempt_rows(plan, commit, context)? {
            entry::of_outcome(&batch, Outcome::Ok)?.into_iter().for_each(|entry| least_sure.offer(entry));
        }
    }
    Ok(least_sure.sorted())
}

/// Writes the pages, and removes those of a longer sheet before.
fn write(review: &Store, sheet: &Sheet) -> Result<(), Error> {
    let pages = sheet.pages();
    let mut number = pages.len();
    // The first page last: it leads to others that are there.
    for (page, text) in pages.into_iter().enumerate().rev() {
        review.wait(review.put(&page::file(page), Bytes::from(text)))?;
    }
    while review.wait(review.head(&page::file(number)))?.is_some() {
        review.wait(review.delete(&page::file(number)))?;
        number += 1;
    }
    Ok(())
}

/// The card of an entry, still without its pictures.
fn card(entry: &Entry) -> Card {
    let absent = || crate::page::picture::Picture::Absent(String::new());
    Card {
        key: entry.key.clone(),
        outcome: entry.outcome,
        reason: entry.reason.map_or("", |reason| reason.code()).to_owned(),
        detail: entry.detail.clone(),
        before: absent(),
        after: absent(),
        figures: figures(entry),
    }
}

/// The figures of an entry, the broken ones marked: those that its detail names.
fn figures(entry: &Entry) -> Vec<Figure> {
    let share = |value: f32| format!("{value:.3}");
    let count = |value: u32| value.to_string();
    let all = [
        ("coverage", Some(share(entry.coverage))),
        ("soft share", Some(share(entry.soft_share))),
        ("border contact", Some(share(entry.border_contact))),
        ("confidence", Some(share(entry.confidence))),
        ("components", entry.components.map(count)),
        ("holes", entry.holes.map(count)),
        ("sharpness", entry.sharpness.map(share)),
        ("doubt", entry.doubt.map(|doubt| format!("{doubt:.2}"))),
        ("rules broken", (!entry.violations.is_empty()).then(|| entry.violations.join("; "))),
    ];
    let named = |name: &str| {
        entry.detail.split("; ").any(|cause| cause.strip_prefix(name).is_some_and(|rest| rest.starts_with(' ')))
    };
    let waits = entry.outcome == Outcome::Review;
    let empty = entry.reason == Some(crate::outcome::Reason::Empty);
    let figure = |(name, value): (&str, Option<String>)| {
        let broken = named(name) || name == "rules broken" || empty && name == "coverage";
        Some(Figure { name: name.to_owned(), value: value?, broken: waits && broken })
    };
    all.into_iter().filter_map(figure).collect()
}

/// The command that settles what this stage left to a person, without keys.
fn command(Subject { pipeline, spec, .. }: Subject<'_>, verb: &str) -> String {
    let mut words = vec!["selvedge".to_owned(), "review".to_owned(), verb.to_owned()];
    if pipeline.text.is_empty() {
        let folder = pipeline.store.strip_suffix("/.selvedge").unwrap_or(&pipeline.store);
        words.extend(["--out".to_owned(), quoted(&crate::storage::redact(folder))]);
    } else {
        words.push(quoted(&pipeline.file));
        for (name, value) in &pipeline.sets {
            words.extend(["--set".to_owned(), quoted(&format!("{name}={value}"))]);
        }
        if pipeline.text.contains("{date}") {
            words.extend(["--date".to_owned(), quoted(&pipeline.date)]);
        }
        let several = pipeline.stages.iter().filter(|stage| matches!(stage.kind, crate::pipeline::Kind::Cutout(_)));
        if several.count() > 1 {
            words.extend(["--stage".to_owned(), quoted(&spec.name)]);
        }
    }
    words.join(" ")
}
