//! The commands about runs that are planned, shared out, listed and tidied. Must not know what a stage does.

use super::args::{GcArgs, PlanArgs, RunRef, RunsCommand, WorkArgs};
use super::nights::{self, Draft, finished, open, variable};
use super::{Answer, Desk, Exit, Refusal};
use crate::pipeline::plan::Retry;
use crate::pipeline::{Given, Pipeline};
use crate::runner::{self, Share, gc, preview, state};
use crate::storage::Store;
use serde_json::json;
use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

pub(super) fn settings(pipeline: &Pipeline, desk: &Desk, retry: Retry, limit: Option<u64>) -> runner::Settings {
    runner::Settings {
        retry,
        limit,
        threads: pipeline.limits.threads.unwrap_or(desk.threads).min(desk.threads),
        events: Arc::clone(&desk.events),
        cancel: desk.cancel.clone(),
    }
}

/// `plan`
pub fn plan(args: &PlanArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let draft = Draft::read(&args.pipeline)?;
    let pipeline = draft.single(&args.pipeline, desk)?;
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
    let caught = nights::before(&draft, &args.pipeline, &pipeline, desk)?;
    let previews = preview::preview(&pipeline, &store, &settings)?;
    let stages = previews.iter().map(|stage| format!("{:>12}: {}", stage.stage, stage.summary));
    let first = (!caught.missed.is_empty()).then(|| nights::about(&caught, pipeline.dated));
    let lines: Vec<String> = first.into_iter().chain(stages).collect();
    let missed: Vec<String> = caught.missed.iter().map(ToString::to_string).collect();
    let fields = json!({"date": pipeline.date, "missed": missed, "stages": previews});
    Ok(Answer::new(Exit::Done, lines.join("\n")).with(fields))
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
    Ok(finished(&pipeline, &store, desk, &settings, &record.run))
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
                let outcome = end.as_ref().map_or("unfinished", |end| end.result.as_deref().unwrap_or(&end.outcome));
                let exit = end.as_ref().and_then(|end| end.exit);
                let counts = end.as_ref().map(|end| end.counts).unwrap_or_default();
                let (pipeline, date) = (&record.pipeline, &record.date);
                let counted = crate::reporter::counted(&counts);
                lines.push(format!("{run}  {pipeline}  {date}  {outcome}  {counted}"));
                values.push(json!({
                    "run": run, "pipeline": pipeline, "date": date, "outcome": outcome, "exit": exit, "counts": counts,
                }));
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
