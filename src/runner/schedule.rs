//! A run that keeps to its schedule: it waits for another one where it is told to, and knows which nights had a run. Must not
//! decide which nights are run.

use super::state::{self, End, Record};
use super::{Ended, Error, Settings, lock};
use crate::cancel::Cancel;
use crate::clock::Timestamp;
use crate::event::{Level, note};
use crate::pipeline::Pipeline;
use crate::pipeline::schedule::{MOST_CATCH_UP, OnOverlap, Past};
use crate::stage;
use crate::storage::Store;
use futures::{StreamExt, TryStreamExt};
use std::time::{Duration, Instant};

/// How often the lock is looked at while waiting for it.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often an array job under way is: each look takes the lock once.
const LOOK_AT_ARRAY_EVERY: Duration = Duration::from_secs(30);
/// How often the wish to stop is looked at.
const HEED_EVERY: Duration = Duration::from_millis(100);
/// Objects of past runs that are read at a time.
const READ_AT_ONCE: usize = 16;

/// Runs a pipeline; with `on_overlap = "wait"` as soon as no other run of it is under way.
pub fn run(pipeline: &Pipeline, store: &Store, settings: &Settings) -> Ended {
    let mut told = false;
    loop {
        let ended = super::run(pipeline, store, settings);
        let Err(error @ (Error::Busy { .. } | Error::ArrayBusy(_))) = &ended.result else { return ended };
        if pipeline.schedule.on_overlap != OnOverlap::Wait {
            return ended;
        }
        if !told {
            note(&settings.events, Level::Info, format!("waiting, as on_overlap says: {error}"));
            told = true;
        }
        let waited = match error {
            Error::Busy { .. } => until_free(pipeline, store, &settings.cancel),
            _ => pause(&settings.cancel, LOOK_AT_ARRAY_EVERY),
        };
        if let Err(error) = waited {
            return Ended { end: None, result: Err(error) };
        }
    }
}

fn until_free(pipeline: &Pipeline, store: &Store, cancel: &Cancel) -> Result<(), Error> {
    while lock::held_by(store, &pipeline.name)?.is_some() {
        pause(cancel, LOOK_EVERY)?;
    }
    Ok(())
}

/// Waits this long, or until asked to stop.
fn pause(cancel: &Cancel, time: Duration) -> Result<(), Error> {
    let end = Instant::now() + time;
    while Instant::now() < end {
        stage::check(cancel).map_err(Error::of_stage("waiting for another run"))?;
        std::thread::sleep(HEED_EVERY.min(end.saturating_duration_since(Instant::now())));
    }
    Ok(())
}

/// The runs of a pipeline that were begun recently enough to count, in no order.
pub fn past(store: &Store, pipeline: &str, now: Timestamp) -> Result<Vec<Past>, Error> {
    let since = Timestamp::from_second(now.as_second().saturating_sub((MOST_CATCH_UP + 2) * 24 * 3600));
    // A run's name begins with its start, so that older ones need not be read.
    let since = since.unwrap_or(Timestamp::MIN).strftime("%Y%m%dT%H%M%S").to_string();
    let runs = state::runs(store)?.into_iter().filter(|run| run.as_str() >= since.as_str());
    let read = futures::stream::iter(runs).map(|run| one(store, run)).buffer_unordered(READ_AT_ONCE);
    let found: Vec<Option<(String, Past)>> = store.wait(read.try_collect())?;
    Ok(found.into_iter().flatten().filter(|(name, _)| name == pipeline).map(|(_, past)| past).collect())
}

/// A run and its pipeline's name; `None` when there is nothing to go by.
async fn one(store: &Store, run: String) -> Result<Option<(String, Past)>, Error> {
    let folder = state::folder(&run);
    let end: Option<End> = state::fetch(store, &format!("{folder}/outcome.json")).await?;
    let done = end.as_ref().is_some_and(is_success);
    if let Some(End { pipeline, date: Some(date), started: Some(started), .. }) = end {
        return Ok(date.parse().ok().map(|date| (pipeline, Past { date, started, done })));
    }
    let Some(record) = state::fetch::<Record>(store, &format!("{folder}/run.json")).await? else { return Ok(None) };
    let Record { pipeline, date, started, .. } = record;
    Ok(date.parse().ok().map(|date| (pipeline, Past { date, started, done })))
}

/// Whether a run did what it was to do; those of run/1.0 did not yet say how they exited.
fn is_success(end: &End) -> bool {
    end.outcome == "done" && end.exit.map_or(end.counts.failed == 0, |exit| matches!(exit, 0 | 3))
}

/// When the last run of a pipeline that succeeded ended, if the store remembers one; newer runs are read first.
pub fn last_success(store: &Store, pipeline: &str) -> Result<Option<Timestamp>, Error> {
    const MOST: usize = 200;
    for run in state::runs(store)?.iter().rev().take(MOST) {
        let end: Option<End> = state::read(store, &format!("{}/outcome.json", state::folder(run)))?;
        if let Some(end) = end.filter(|end| end.pipeline == pipeline && is_success(end)) {
            return Ok(Some(end.ended));
        }
    }
    Ok(None)
}
