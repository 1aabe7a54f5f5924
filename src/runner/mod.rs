//! Runs: a pipeline's stages in their order, under one lock, each doing only what is missing. A run is a plan, work on every
//! shard of it, and a finish; an array job does the same three things in other processes. Must not know terminals.

mod calibration;
pub mod cores;
mod end;
mod entry;
mod error;
mod exit;
mod fold;
mod freeze;
pub mod gc;
mod heart;
mod items;
mod ledger;
pub mod lock;
mod models;
mod pictures;
pub mod preview;
pub mod report;
pub mod review;
pub mod schedule;
mod settle;
mod sheet;
pub mod state;
mod tables;
mod thumbnails;
pub mod watch;
pub mod work;

pub use end::{Ended, refused};
pub use entry::Entry;
pub use error::Error;
pub use exit::Exit;
pub use settle::Verdict;
pub use tables::{run as table_stage, stats_settings};
pub use work::Share;

use crate::cancel::Cancel;
use crate::event::{Event, Events, Level, note};
use crate::outcome::Counts;
use crate::pipeline::plan::Retry;
use crate::pipeline::{Kind, Pipeline};
use crate::stage::tables::Tables;
use crate::stage::{self, Context, Fence, cutout};
use crate::storage::Store;
use crate::{clock, id};
use calibration::Measure;
use items::{StageDone, items_stage, plan_items};
use state::{End, Record, StageEnd, StagePlan};
use std::sync::Arc;
use std::time::Instant;

/// How a run is to go.
#[derive(Clone)]
pub struct Settings {
    /// What is done again though nothing changed.
    pub retry: Retry,
    /// No more items than this are taken up by a stage.
    pub limit: Option<u64>,
    /// Threads that stages may keep busy.
    pub threads: usize,
    /// Where to tell what happens.
    pub events: Events,
    /// The wish to stop.
    pub cancel: Cancel,
}

/// What a run, or one stage of it, came to.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// The run's name.
    pub run: String,
    /// How all items ended.
    pub counts: Counts,
    /// Stage by stage, in the order they ran.
    pub stages: Vec<StageEnd>,
    /// URLs of what was made.
    pub artifacts: Vec<String>,
    /// Stages with more quarantined items than their limit allows.
    pub over_limit: Vec<String>,
    /// Items that stand quarantined since earlier runs; they are among the cached ones.
    pub standing_quarantined: u64,
    /// Whether every stage found nothing to do, and nothing is over its limit.
    pub nothing_to_do: bool,
}

/// Runs a pipeline to its end.
pub fn run(pipeline: &Pipeline, store: &Store, settings: &Settings) -> Ended {
    match begin_checked(pipeline, store, settings) {
        Ok(begun) => conclude(pipeline, store, settings, begun),
        Err(error) => Ended { end: None, result: Err(error) },
    }
}

/// What cannot be read at all, or would be written among the photos, is refused before anything is written.
fn begin_checked(pipeline: &Pipeline, store: &Store, settings: &Settings) -> Result<Begun, Error> {
    for spec in &pipeline.stages {
        if let Kind::Cutout(cutout) = &spec.kind {
            cutout::open_inputs(cutout, store.handle()).map_err(Error::of_stage(&spec.name))?;
        }
    }
    begin(pipeline, store, settings, false)
}

/// Does all stages under the lock, writes the end down, and gives the lock back.
fn conclude(pipeline: &Pipeline, store: &Store, settings: &Settings, begun: Begun) -> Ended {
    let mut summary = Summary { run: begun.record.run.clone(), nothing_to_do: true, ..Summary::default() };
    let result = all_stages(pipeline, store, settings, &begun.record, &mut summary);
    let ended = end::write(pipeline, store, settings, &begun.record, summary, result);
    match begun.lock.release() {
        Ok(()) => ended,
        Err(error) => Ended { result: ended.result.and(Err(error)), ..ended },
    }
}

/// Plans a run for an array job and gives its name; nothing is worked on yet.
pub fn plan_array(pipeline: &Pipeline, store: &Store, settings: &Settings) -> Result<String, Error> {
    let begun = begin(pipeline, store, settings, true)?;
    for spec in &pipeline.stages {
        if let Kind::Cutout(cutout) = &spec.kind {
            let context = context(pipeline, store, settings, &begun.record, &spec.name);
            let cutout = calibration::settled(cutout, &context, Measure::Allowed)?;
            plan_items(pipeline, spec, &cutout, settings, &context)?;
        }
    }
    begun.lock.release()?;
    Ok(begun.record.run)
}

/// Does one share of an array job. Stages that make tables are the first share's; the others wait for them.
pub fn work_array(
    pipeline: &Pipeline,
    store: &Store,
    settings: &Settings,
    run: &str,
    share: Share,
) -> Result<Summary, Error> {
    let record = open_run(store, run)?;
    let last_items = pipeline.stages.iter().rposition(|spec| matches!(spec.kind, Kind::Cutout(_)));
    let mut summary = Summary { run: run.to_owned(), ..Summary::default() };
    let record = Record { epoch: 0, ..record };
    let (at, key) = (store.clone(), format!("{}/beats/{}.json", state::folder(run), share.index));
    let sign = move || at.wait(at.put(&key, bytes::Bytes::from_static(b"{}"))).is_ok();
    sign();
    let heart = heart::Heart::start(move || {
        // A sign of life that cannot be written now is given at the next beat.
        sign();
        true
    });
    for spec in pipeline.stages.iter().take(last_items.map_or(0, |last| last + 1)) {
        let context = context(pipeline, store, settings, &record, &spec.name);
        match &spec.kind {
            Kind::Cutout(cutout) => {
                let cutout = calibration::settled(cutout, &context, Measure::Allowed)?;
                let plan = plan_items(pipeline, spec, &cutout, settings, &context)?;
                summary.counts += work::work(&plan, share, &cutout, &context)?.0;
            }
            kind if share.index == 0 => {
                tables::run(kind, &context)?;
            }
            kind if !tables::is_current(kind, &context)? => {
                return Err(Error::NotYet(format!("{} is not made yet; share 0 makes it", spec.name)));
            }
            _ => {}
        }
    }
    heart.stop();
    Ok(summary)
}

/// Ends an array job: checks that every shard is committed, publishes, and runs the stages behind the last one with items.
pub fn finish_array(pipeline: &Pipeline, store: &Store, settings: &Settings, run: &str) -> Ended {
    match begin_finish(pipeline, store, settings, run) {
        Ok(begun) => conclude(pipeline, store, settings, begun),
        Err(error) => Ended { end: None, result: Err(error) },
    }
}

fn begin_finish(pipeline: &Pipeline, store: &Store, settings: &Settings, run: &str) -> Result<Begun, Error> {
    let record = open_run(store, run)?;
    let lock = lock::acquire(store, &pipeline.name, run, &settings.cancel)?;
    let record = Record { epoch: lock.epoch(), ..record };
    for spec in &pipeline.stages {
        let Some(plan) = read_plan(store, run, &spec.name)? else { continue };
        let missing = work::commits(store, run, &plan)?.iter().filter(|commit| commit.is_none()).count();
        if missing > 0 {
            lock.release()?;
            let text =
                format!("{}: {missing} of {} shards of run {run} are not committed", spec.name, plan.shards.len());
            return Err(Error::NotYet(text));
        }
    }
    Ok(Begun { lock, record })
}

struct Begun {
    lock: lock::Lock,
    record: Record,
}

/// Takes the lock, closes what earlier runs left open, and writes the new run down.
fn begin(pipeline: &Pipeline, store: &Store, settings: &Settings, array: bool) -> Result<Begun, Error> {
    let run = id::run();
    let lock = lock::acquire(store, &pipeline.name, &run, &settings.cancel)?;
    let record = record(pipeline, &run, lock.epoch(), array);
    if let Err(error) = recover(pipeline, store, settings, &record, Unended::All) {
        lock.release()?;
        return Err(error);
    }
    state::create(store, &format!("{}/run.json", state::folder(&run)), &record)?;
    Ok(Begun { lock, record })
}

/// What a run is written down as.
fn record(pipeline: &Pipeline, run: &str, epoch: u64, array: bool) -> Record {
    Record {
        schema: state::schema(),
        run: run.to_owned(),
        pipeline: pipeline.name.clone(),
        file: pipeline.file.clone(),
        text: pipeline.text.clone(),
        date: pipeline.date.clone(),
        sets: pipeline.sets.clone(),
        array,
        epoch,
        host: lock::host(),
        started: clock::now(),
        program: env!("CARGO_PKG_VERSION").to_owned(),
    }
}

/// Which runs without an end are ended for good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unended {
    /// All of them.
    All,
    /// Those of one process, which is dead; an array job that nobody works on now may still be waiting for its turn.
    OfProcesses,
}

/// Folds what interrupted runs of this pipeline had committed, and ends them: nothing committed is ever done twice.
fn recover(
    pipeline: &Pipeline,
    store: &Store,
    settings: &Settings,
    by: &Record,
    unended: Unended,
) -> Result<(), Error> {
    for run in state::runs(store)? {
        let folder = state::folder(&run);
        if store.wait(store.head(&format!("{folder}/outcome.json")))?.is_some() {
            continue;
        }
        let Some(record) = state::read::<Record>(store, &format!("{folder}/run.json"))? else { continue };
        if record.pipeline != pipeline.name {
            continue;
        }
        if record.array && array_lives(store, &record)? {
            let text = format!("the array job of run {run} of {} is under way", record.pipeline);
            return Err(Error::ArrayBusy(format!(
                "{text}; let it end with `finish`, or wait until it is silent for 90 s"
            )));
        }
        let array = record.array;
        if array && unended == Unended::OfProcesses {
            continue;
        }
        let record = Record { epoch: by.epoch, ..record };
        let error = Some(format!("ended by run {}", by.run));
        end::close(pipeline, store, settings, &record, End { error, ..end::ending(&record, "interrupted") })?;
        if !array {
            tidy(pipeline, store)?;
        }
        note(&settings.events, Level::Info, format!("continuing after run {run}, which was interrupted"));
    }
    Ok(())
}

/// Removes what writers of a dead run left half-written: nobody else writes here while the lock is held.
fn tidy(pipeline: &Pipeline, store: &Store) -> Result<(), Error> {
    let now = store.wait(store.server_time("locks"))?;
    store.wait(store.remove_partials(now))?;
    for spec in &pipeline.stages {
        if let Kind::Cutout(cutout) = &spec.kind {
            let out = Store::open(&cutout.out, &cutout.options, store.handle().clone())?;
            out.wait(out.remove_partials(now))?;
        }
    }
    Ok(())
}

/// Whether an array job was planned, or gave a sign of life, within the last 90 seconds by the store's clock.
fn array_lives(store: &Store, record: &Record) -> Result<bool, Error> {
    use futures::TryStreamExt;
    let folder = state::folder(&record.run);
    let mut signs = vec![store.wait(store.head(&format!("{folder}/run.json")))?];
    let beats: Vec<_> = store.wait(store.list(&format!("{folder}/beats")).try_collect())?;
    signs.extend(beats.into_iter().map(Some));
    let Some(last) = signs.into_iter().flatten().map(|sign: crate::storage::ObjectInfo| sign.modified).max() else {
        return Ok(false);
    };
    let now = store.wait(store.server_time(&folder))?;
    Ok(now.as_second() - last.as_second() <= 90)
}

/// Folds whatever shards of a run are committed, and says how the items of each such stage ended.
fn fold_all(
    pipeline: &Pipeline,
    store: &Store,
    settings: &Settings,
    record: &Record,
) -> Result<Vec<(String, Counts)>, Error> {
    let mut folded = Vec::new();
    for spec in &pipeline.stages {
        let Kind::Cutout(cutout) = &spec.kind else { continue };
        let Some(plan) = read_plan(store, &record.run, &spec.name)? else { continue };
        let commits: Vec<_> = work::commits(store, &record.run, &plan)?.into_iter().flatten().collect();
        // Keys that a half-done run found gone are dropped by the next whole one.
        let plan = StagePlan { gone: 0, gone_files: 0, ..plan };
        let context = Context {
            fence: lock_fence(pipeline, store, record),
            ..context(pipeline, store, settings, record, &spec.name)
        };
        fold::fold(&plan, &commits, &context, &pipeline.name, cutout)?;
        let mut counts = Counts::default();
        commits.iter().for_each(|commit| counts += commit.counts);
        folded.push((spec.name.clone(), counts));
    }
    Ok(folded)
}

fn read_plan(store: &Store, run: &str, stage: &str) -> Result<Option<StagePlan>, Error> {
    state::read(store, &format!("{}/plan.json", state::stage_folder(run, stage)))
}

fn open_run(store: &Store, run: &str) -> Result<Record, Error> {
    let folder = state::folder(run);
    if let Some(end) = state::read::<End>(store, &format!("{folder}/outcome.json"))? {
        return Err(Error::Usage(format!("run {run} has ended already ({}); plan a new one", end.outcome)));
    }
    let record: Option<Record> = state::read(store, &format!("{folder}/run.json"))?;
    if record.as_ref().is_some_and(|record| !record.array) {
        let text = format!("run {run} is not an array job: the process that began it does its shards");
        return Err(Error::Usage(format!("{text}; `selvedge plan PIPELINE --freeze` plans one")));
    }
    record.ok_or_else(|| Error::Usage(format!("{} has no run {run}; `selvedge runs list` names them", store.url())))
}

fn context(pipeline: &Pipeline, store: &Store, settings: &Settings, record: &Record, stage: &str) -> Context {
    let (at, key, run) = (store.clone(), end::closed_key(&record.run), record.run.clone());
    let lock = lock_fence(pipeline, store, record);
    let fence: Fence = Arc::new(move || {
        if at.wait(at.head(&key))?.is_some() {
            return Err(stage::Error::LostLock(format!("run {run} was closed")));
        }
        lock()
    });
    Context {
        tables: tables_of(pipeline, store, stage),
        stage: stage.to_owned(),
        run: record.run.clone(),
        epoch: record.epoch,
        fence,
        events: Arc::clone(&settings.events),
        cancel: settings.cancel.clone(),
        threads: settings.threads,
    }
}

/// The tables as a stage sees them: up to the last stage that checks them they wait in staging.
fn tables_of(pipeline: &Pipeline, store: &Store, stage: &str) -> Tables {
    let checked = pipeline.stages.iter().rposition(|spec| matches!(spec.kind, Kind::Stats(_)));
    let own = pipeline.stages.iter().position(|spec| spec.name == stage);
    match (own, checked) {
        (Some(own), Some(checked)) if own <= checked => Tables::staged(store.clone()),
        _ => Tables::new(store.clone()),
    }
}

/// Refuses when another run has taken the lock. The workers of an array job hold no lock (epoch 0): for them it is enough
/// that their run is not closed.
fn lock_fence(pipeline: &Pipeline, store: &Store, record: &Record) -> Fence {
    let (at, name, run, epoch) = (store.clone(), pipeline.name.clone(), record.run.clone(), record.epoch);
    Arc::new(move || {
        if epoch > 0 && !lock::still_held(&at, &name, epoch).map_err(Error::into_stage)? {
            return Err(stage::Error::LostLock(format!("another run of {name} has taken over from run {run}")));
        }
        Ok(())
    })
}

/// Every stage in order: plan, work on all shards, fold. The summary holds the stages that came to their end.
fn all_stages(
    pipeline: &Pipeline,
    store: &Store,
    settings: &Settings,
    record: &Record,
    summary: &mut Summary,
) -> Result<(), Error> {
    for spec in &pipeline.stages {
        stage::check(&settings.cancel).map_err(Error::of_stage(&spec.name))?;
        let context = context(pipeline, store, settings, record, &spec.name);
        let (start, started) = (Instant::now(), clock::now());
        let StageDone { report, idle, standing, work } = match &spec.kind {
            Kind::Cutout(cutout) => {
                let cutout = calibration::settled(cutout, &context, Measure::Allowed)?;
                items_stage(pipeline, spec, &cutout, settings, &context)?
            }
            kind => {
                let (report, idle) = tables::run(kind, &context)?;
                StageDone { report, idle, standing: 0, work: None }
            }
        };
        // What stands quarantined since earlier runs counts against the limit too, or the second night would look fine.
        let judged = Counts {
            quarantined: report.counts.quarantined + standing,
            cached: report.counts.cached - standing,
            ..report.counts
        };
        if spec.limit.or(pipeline.limits.max_quarantine).is_some_and(|limit| !limit.allows(&judged)) {
            summary.over_limit.push(spec.name.clone());
            summary.nothing_to_do = false;
        }
        summary.standing_quarantined += standing;
        let seconds = start.elapsed().as_secs_f64();
        settings.events.emit(Event::StageFinished {
            stage: spec.name.clone(),
            counts: report.counts,
            summary: report.summary.clone(),
            seconds,
        });
        summary.nothing_to_do &= idle;
        summary.counts += report.counts;
        summary.artifacts.extend(report.artifacts);
        let plan = read_plan(store, &record.run, &spec.name)?;
        summary.stages.push(StageEnd {
            name: spec.name.clone(),
            counts: report.counts,
            summary: report.summary,
            started: Some(started),
            seconds: Some(seconds),
            bytes: plan.map(|plan| plan.shards.iter().map(|shard| shard.bytes).sum()),
            work,
        });
    }
    Ok(())
}
