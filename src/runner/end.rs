//! The end of a run: what is written down of it, and in which order, so that a kill in between loses nothing. Must not know
//! who is told of it.

use super::state::{self, End, Record, StageEnd};
use super::{Error, Exit, Settings, Summary, fold_all};
use crate::cancel::{Cancel, Cause};
use crate::clock::{self, Timestamp};
use crate::outcome::Counts;
use crate::pipeline::Pipeline;
use crate::storage::Store;
use crate::{id, stage};
use std::collections::BTreeMap;

/// Letters of the line about a run, at most.
const LINE: usize = 600;

/// How a run ended.
pub struct Ended {
    /// What `outcome.json` holds, or would hold where a lost lock leaves the writing to another run; `None` when no run was
    /// begun, or when its end could not be written down.
    pub end: Option<End>,
    /// What it came to.
    pub result: Result<Summary, Error>,
}

/// Writes the end of a run down, unless the right to do so is lost: then the run that holds the lock now does it.
pub(super) fn write(
    pipeline: &Pipeline,
    store: &Store,
    settings: &Settings,
    record: &Record,
    summary: Summary,
    result: Result<(), Error>,
) -> Ended {
    let result = result.map(|()| summary.clone());
    let exit = Exit::of_result(&result);
    let ended = match &result {
        Ok(_) => ending(record, "done"),
        Err(Error::Stage { error: stage::Error::LostLock(_) | stage::Error::Cancelled(Cause::LostLock), .. }) => {
            ending(record, "interrupted")
        }
        Err(Error::Stage { error: stage::Error::Cancelled(_), .. }) => ending(record, "stopped"),
        Err(error) => End { error: Some(error.to_string()), ..ending(record, "failed") },
    };
    let end = summarised(ended, summary, exit);
    let written = match end.outcome.as_str() {
        "done" => state::create(store, &outcome_key(&record.run), &end).map(|_| end),
        "interrupted" => Ok(end),
        _ => close(pipeline, store, settings, record, end),
    };
    match written {
        Ok(end) => Ended { end: Some(end), result },
        Err(error) => Ended { end: None, result: result.and(Err(error)) },
    }
}

/// Ends a run that did not come to its end: first nothing more of it may be committed, then what was committed is folded
/// in, then its end is written. Killed in between, the next run does it again.
pub(super) fn close(
    pipeline: &Pipeline,
    store: &Store,
    settings: &Settings,
    record: &Record,
    end: End,
) -> Result<End, Error> {
    state::create(store, &closed_key(&record.run), &end)?;
    let settings = Settings { cancel: Cancel::default(), ..settings.clone() };
    let folded = fold_all(pipeline, store, &settings, record)?;
    let end = with_unfinished(end, folded);
    state::create(store, &outcome_key(&record.run), &end)?;
    Ok(end)
}

/// Adds the stages that were under way: what they had committed is done, and counts.
fn with_unfinished(mut end: End, folded: Vec<(String, Counts)>) -> End {
    for (name, counts) in folded {
        if !end.stage_results.iter().any(|stage| stage.name == name) {
            end.counts += counts;
            end.stage_results.push(StageEnd { name, counts, ..StageEnd::default() });
        }
    }
    end
}

fn summarised(end: End, summary: Summary, exit: Exit) -> End {
    let seconds = end.started.map(|started| seconds(started, end.ended));
    let done: Vec<String> = summary.stages.iter().map(|stage| format!("{}: {}", stage.name, stage.summary)).collect();
    End {
        text: line(&end, exit.word(), &done),
        result: Some(exit.word().to_owned()),
        exit: Some(exit as u8),
        seconds,
        counts: summary.counts,
        standing_quarantined: summary.standing_quarantined,
        over_limit: summary.over_limit,
        nothing_to_do: summary.nothing_to_do && exit.is_success(),
        stages: summary.stages.iter().map(|stage| (stage.name.clone(), stage.summary.clone())).collect(),
        stage_results: summary.stages,
        artifacts: summary.artifacts,
        ..end
    }
}

/// A run in one line: the pipeline, how it ended, for which day, what went wrong, and what its stages did.
fn line(end: &End, word: &str, done: &[String]) -> String {
    let mut line = format!("{} {}", end.pipeline, word.replace('_', " "));
    line.extend(end.date.iter().filter(|date| !date.is_empty()).map(|date| format!(" ({date})")));
    let said: Vec<&str> = end.error.iter().chain(done).map(String::as_str).collect();
    if !said.is_empty() {
        line.push_str(": ");
        line.push_str(&said.join("; ").replace(['\n', '\r'], " "));
    }
    match line.char_indices().nth(LINE) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    (to.as_millisecond() - from.as_millisecond()) as f64 / 1000.0
}

pub(super) fn outcome_key(run: &str) -> String {
    format!("{}/outcome.json", state::folder(run))
}

pub(super) fn closed_key(run: &str) -> String {
    format!("{}/closed.json", state::folder(run))
}

/// The end of this run, now, without figures.
pub(super) fn ending(record: &Record, outcome: &str) -> End {
    End {
        run: Some(record.run.clone()),
        date: Some(record.date.clone()),
        started: Some(record.started),
        ..blank(&record.pipeline, outcome)
    }
}

/// The end, for watchers, of what never became a run: refused, or skipped because another one is under way.
pub fn refused(pipeline: &Pipeline, started: Timestamp, exit: Exit, skipped: bool, why: String) -> End {
    let outcome = if skipped { "skipped" } else { "refused" };
    let end = End { date: Some(pipeline.date.clone()), error: Some(why), ..blank(&pipeline.name, outcome) };
    let word = if skipped { outcome } else { exit.word() };
    End {
        text: line(&end, word, &[]),
        result: Some(word.to_owned()),
        exit: Some(exit as u8),
        started: Some(started),
        seconds: Some(seconds(started, end.ended)),
        ..end
    }
}

fn blank(pipeline: &str, outcome: &str) -> End {
    End {
        schema: state::schema(),
        owner: id::token(),
        run: None,
        pipeline: pipeline.to_owned(),
        date: None,
        outcome: outcome.to_owned(),
        result: None,
        exit: None,
        started: None,
        ended: clock::now(),
        seconds: None,
        counts: Counts::default(),
        standing_quarantined: 0,
        over_limit: Vec::new(),
        nothing_to_do: false,
        stages: BTreeMap::new(),
        stage_results: Vec::new(),
        artifacts: Vec::new(),
        error: None,
        text: String::new(),
    }
}
