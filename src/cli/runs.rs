//! The commands about runs of a pipeline. Must not know what a stage does.

use super::args::{GcArgs, PipelineRef, PlanArgs, RetryArgs, RunArgs, RunRef, RunsCommand, WorkArgs};
use super::{Answer, Desk, Exit, Refusal};
use crate::clock;
use crate::outcome::Reason;
use crate::pipeline::plan::Retry;
use crate::pipeline::{Given, Pipeline};
use crate::runner::{self, Share, Summary, gc, preview, state};
use crate::storage::Store;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

pub(super) fn read(from: &PipelineRef, desk: &Desk) -> Result<Pipeline, Refusal> {
    let mut sets = BTreeMap::new();
    for set in &from.sets {
        let (name, value) =
            set.split_once('=').ok_or_else(|| Refusal::usage(format!("--set {set}: write NAME=VALUE")))?;
        sets.insert(name.to_owned(), value.to_owned());
    }
    let date = match &from.date {
        Some(date) => {
            date.parse::<jiff::civil::Date>().map_err(|error| Refusal::usage(format!("--date {date}: {error}")))?
        }
        None => clock::now().to_zoned(jiff::tz::TimeZone::UTC).date(),
    };
    let date = date.to_string();
    let given = Given { sets: &sets, date: &date, environment: variable, store_options: &desk.store_options };
    Ok(Pipeline::read(&from.pipeline, &given)?)
}

/// The pipeline's store.
pub(super) fn open(pipeline: &Pipeline, desk: &Desk) -> Result<Store, Refusal> {
    Ok(Store::open(&pipeline.store, &pipeline.options, desk.handle.clone())?)
}

pub(super) fn settings(pipeline: &Pipeline, desk: &Desk, retry: Retry, limit: Option<u64>) -> runner::Settings {
    runner::Settings {
        retry,
        limit,
        threads: pipeline.limits.threads.unwrap_or(desk.threads).min(desk.threads),
        events: Arc::clone(&desk.events),
        cancel: desk.cancel.clone(),
    }
}

/// `run`
pub fn run(args: &RunArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let pipeline = read(&args.pipeline, desk)?;
    let store = open(&pipeline, desk)?;
    let summary = runner::run(&pipeline, &store, &settings(&pipeline, desk, Retry::Transient, args.limit))?;
    Ok(summarised(&summary, &store))
}

/// `retry`
pub fn retry(args: &RetryArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let reason = reason(args.reason.as_deref())?;
    let pipeline = read(&args.pipeline, desk)?;
    let store = open(&pipeline, desk)?;
    let summary = runner::run(&pipeline, &store, &settings(&pipeline, desk, Retry::Quarantined(reason), None))?;
    Ok(summarised(&summary, &store))
}

/// The reason that `--reason` names.
pub(super) fn reason(code: Option<&str>) -> Result<Option<Reason>, Refusal> {
    let Some(code) = code else { return Ok(None) };
    let unknown = || {
        let hint = crate::pipeline::nearest(code, Reason::ALL.iter().map(|reason| reason.code()));
        Refusal::usage(format!("--reason {code}: there is no such reason{hint}"))
    };
    Reason::from_code(code).map(Some).ok_or_else(unknown)
}

/// What a run came to, for people and as JSON.
pub fn summarised(summary: &Summary, store: &Store) -> Answer {
    let exit = Exit::of_counts(&summary.counts, !summary.over_limit.is_empty());
    let mut text = String::new();
    for (stage, line) in &summary.stages {
        let _ = writeln!(text, "{stage:>12}: {line}");
    }
    for stage in &summary.over_limit {
        let _ = writeln!(text, "{stage}: more items are quarantined than max_quarantine allows");
    }
    if summary.nothing_to_do {
        text.push_str("nothing to do: everything is made already\n");
    } else {
        for artifact in &summary.artifacts {
            let _ = writeln!(text, "made {artifact}");
        }
    }
    let _ = writeln!(text, "run {} ({})", summary.run, exit.word());
    let fields = json!({
        "run": summary.run,
        "stages": summary.stages.iter().cloned().collect::<BTreeMap<_, _>>(),
        "output": store.url(),
        "artifacts": summary.artifacts,
        "nothing_to_do": summary.nothing_to_do,
        "standing_quarantined": summary.standing_quarantined,
    });
    Answer { exit, counts: summary.counts, text, fields }
}

/// `plan`
pub fn plan(args: &PlanArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let pipeline = read(&args.pipeline, desk)?;
    let store = open(&pipeline, desk)?;
    let settings = settings(&pipeline, desk, Retry::Transient, args.limit);
    if let Some(item) = &args.why {
        let lines = preview::why(&pipeline, &store, &settings, item)?;
        return Ok(Answer::new(Exit::Done, lines.join("\n")).with(json!({"why": lines})));
    }
    if args.freeze {
        let run = runner::plan_array(&pipeline, &store, &settings)?;
        let url = format!("{}/{}", store.url(), state::folder(&run));
        return Ok(Answer::new(Exit::Done, url.clone()).with(json!({"run": run, "url": url})));
    }
    let previews = preview::preview(&pipeline, &store, &settings)?;
    let lines: Vec<String> = previews.iter().map(|stage| format!("{:>12}: {}", stage.stage, stage.summary)).collect();
    Ok(Answer::new(Exit::Done, lines.join("\n")).with(json!({"stages": previews})))
}

/// A run by its URL: its store and its record.
fn recorded(from: &RunRef, desk: &Desk) -> Result<(Store, state::Record), Refusal> {
    let url = from.run.trim_end_matches('/');
    let (location, run) = url.rsplit_once("/runs/").ok_or_else(|| {
        Refusal::usage(format!("--run {url}: give the URL that `plan --freeze` printed, STORE/runs/NAME"))
    })?;
    let store = desk.store(location)?;
    let record: Option<state::Record> = state::read(&store, &format!("{}/run.json", state::folder(run)))?;
    Ok((store, record.ok_or_else(|| Refusal::usage(format!("{location} has no run {run}")))?))
}

/// A run and its pipeline as it was frozen.
fn frozen(from: &RunRef, desk: &Desk) -> Result<(Store, state::Record, Pipeline), Refusal> {
    let (store, record) = recorded(from, desk)?;
    let given =
        Given { sets: &record.sets, date: &record.date, environment: variable, store_options: &desk.store_options };
    let pipeline = Pipeline::parse(Path::new(&record.file), &record.text, &given)?;
    Ok((store, record, pipeline))
}

/// `work`
pub fn work(args: &WorkArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let share = match &args.shard {
        Some(text) => Share::parse(text).map_err(|error| Refusal::usage(format!("--shard: {error}")))?,
        None => Share::from_engine(variable)
            .map_err(Refusal::usage)?
            .ok_or_else(|| Refusal::usage("no array engine's variables are set; give --shard I/N"))?,
    };
    let (store, record, pipeline) = frozen(&args.run, desk)?;
    let settings = settings(&pipeline, desk, Retry::Transient, None);
    let summary = runner::work_array(&pipeline, &store, &settings, &record.run, share)?;
    let text = format!("share {}/{} of run {} is committed", share.index, share.of, record.run);
    let exit = Exit::of_share(&summary.counts);
    Ok(Answer { exit, counts: summary.counts, text, fields: json!({"run": record.run}) })
}

/// `finish`
pub fn finish(args: &RunRef, desk: &Desk) -> Result<Answer, Refusal> {
    let (store, record, pipeline) = frozen(args, desk)?;
    let settings = settings(&pipeline, desk, Retry::Transient, None);
    let summary = runner::finish_array(&pipeline, &store, &settings, &record.run)?;
    Ok(summarised(&summary, &store))
}

/// `runs list|show`
pub fn runs(command: &RunsCommand, desk: &Desk) -> Result<Answer, Refusal> {
    match command {
        RunsCommand::List { store, last } => {
            let store = desk.store(store)?;
            let names = state::runs(&store)?;
            let mut lines = Vec::new();
            let mut values = Vec::new();
            for run in &names[names.len().saturating_sub(*last)..] {
                let Some(record) = state::read::<state::Record>(&store, &format!("{}/run.json", state::folder(run)))?
                else {
                    continue;
                };
                let end: Option<state::End> = state::read(&store, &format!("{}/outcome.json", state::folder(run)))?;
                let outcome = end.as_ref().map_or("unfinished", |end| end.outcome.as_str());
                let counts = end.as_ref().map(|end| end.counts).unwrap_or_default();
                lines.push(format!("{run}  {}  {outcome}  {}", record.pipeline, crate::reporter::counted(&counts)));
                values.push(json!({"run": run, "pipeline": record.pipeline, "outcome": outcome, "counts": counts}));
            }
            if lines.is_empty() {
                lines.push(format!("{} has no runs; what `cutout --out DIR` keeps lies in DIR/.selvedge", store.url()));
            }
            Ok(Answer::new(Exit::Done, lines.join("\n")).with(json!({"runs": values})))
        }
        RunsCommand::Show(run) => {
            let (store, record) = recorded(run, desk)?;
            let end: Option<state::End> = state::read(&store, &format!("{}/outcome.json", state::folder(&record.run)))?;
            let value = json!({"record": record, "end": end});
            let text = serde_json::to_string_pretty(&value).unwrap_or_default();
            Ok(Answer::new(Exit::Done, text).with(value))
        }
    }
}

/// `gc`
pub fn gc(args: &GcArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let store = desk.store(&args.store)?;
    let removals = gc::decide(&store, args.keep)?;
    let bytes: u64 = removals.iter().map(|removal| removal.size).sum();
    let mut text = String::new();
    for removal in removals.iter().filter(|_| args.dry_run) {
        let _ = writeln!(text, "{} ({} bytes): {}", removal.key, removal.size, removal.why);
    }
    let verb = if args.dry_run { "would be removed" } else { "removed" };
    let _ = writeln!(text, "{} objects of {bytes} bytes {verb}", removals.len());
    if !args.dry_run {
        gc::remove(&store, &removals)?;
    }
    let fields = json!({"objects": removals.len(), "bytes": bytes, "dry_run": args.dry_run});
    Ok(Answer::new(Exit::Done, text).with(fields))
}
