//! `run` and `retry`: one run, or one for each day that was asked for or missed; and everybody told of each end. Must not know
//! what a stage does.

use super::args::{PipelineRef, RetryArgs, RunArgs};
use super::{Answer, Desk, Exit, Refusal};
use crate::clock;
use crate::event::{Level, note};
use crate::outcome::{Counts, Reason};
use crate::pipeline::plan::Retry;
use crate::pipeline::schedule::{CatchUp, Dates, OnMissed, OnOverlap};
use crate::pipeline::{Given, Pipeline, Schedule};
use crate::runner::state::End;
use crate::runner::{self, Error, Summary, schedule, watch};
use crate::storage::Store;
use jiff::ToSpan;
use jiff::civil::Date;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// A pipeline file, read once, before it is known for which days.
pub(super) struct Draft {
    file: PathBuf,
    text: String,
    sets: BTreeMap<String, String>,
    schedule: Schedule,
}

impl Draft {
    pub(super) fn read(from: &PipelineRef) -> Result<Self, Refusal> {
        let mut sets = BTreeMap::new();
        for set in &from.sets {
            let (name, value) =
                set.split_once('=').ok_or_else(|| Refusal::usage(format!("--set {set}: write NAME=VALUE")))?;
            sets.insert(name.to_owned(), value.to_owned());
        }
        let text = Pipeline::text(&from.pipeline)?;
        let schedule = Pipeline::schedule(&from.pipeline, &text, variable)?;
        Ok(Self { file: from.pipeline.clone(), text, sets, schedule })
    }

    fn dates(&self, from: &PipelineRef) -> Result<Dates, Refusal> {
        self.schedule.dates(from.date.as_deref(), clock::now()).map_err(Refusal::usage)
    }

    /// The pipeline on a day.
    fn on(&self, day: Date, desk: &Desk) -> Result<Pipeline, Refusal> {
        let date = day.to_string();
        let given = Given { sets: &self.sets, date: &date, environment: variable, store_options: &desk.store_options };
        Ok(Pipeline::parse(&self.file, &self.text, &given)?)
    }

    /// The pipeline on the one day that was asked for.
    pub(super) fn single(&self, from: &PipelineRef, desk: &Desk) -> Result<Pipeline, Refusal> {
        match self.dates(from)? {
            Dates::Scheduled(day) => self.on(day, desk),
            Dates::Named(days) => match days.as_slice() {
                [day] => self.on(*day, desk),
                _ => Err(Refusal::usage("--date A..B is for `run`; give one day here")),
            },
        }
    }
}

/// The pipeline's store.
pub(super) fn open(pipeline: &Pipeline, desk: &Desk) -> Result<Store, Refusal> {
    Ok(Store::open(&pipeline.store, &pipeline.options, desk.handle.clone())?)
}

/// How one run ended, with all that is told of it.
struct Night {
    exit: Exit,
    end: End,
    summary: Option<Summary>,
    /// Why it did not come to its end; a run that was stopped has no error in its outcome, and people are told all the same.
    why: Option<String>,
    url: String,
}

/// `run`
pub fn run(args: &RunArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let draft = Draft::read(&args.pipeline)?;
    let settings = |pipeline: &Pipeline| super::runs::settings(pipeline, desk, Retry::Transient, args.limit);
    match draft.dates(&args.pipeline)? {
        Dates::Scheduled(day) => {
            let pipeline = draft.on(day, desk)?;
            let caught = match missed(&draft, &pipeline, day, desk) {
                Ok(caught) => caught,
                Err(refusal) => return Ok(told(&refused(&pipeline, refusal, desk, &settings(&pipeline)))),
            };
            let days: Vec<Date> = caught.run.iter().copied().chain([day]).collect();
            let answer = nights(&draft, &days, true, desk, &settings)?;
            Ok(with_missed(answer, &caught, &draft.schedule, pipeline.dated))
        }
        Dates::Named(days) => {
            if let [first, _, ..] = days.as_slice()
                && !draft.on(*first, desk)?.dated
            {
                let text = "nothing in it depends on {date}, so every run would do the same; leave --date away";
                return Err(Refusal::usage(format!("{}: {text}", draft.file.display())));
            }
            nights(&draft, &days, args.keep_going, desk, &settings)
        }
    }
}

/// `retry`
pub fn retry(args: &RetryArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let reason = reason(args.reason.as_deref())?;
    let pipeline = Draft::read(&args.pipeline)?.single(&args.pipeline, desk)?;
    let settings = super::runs::settings(&pipeline, desk, Retry::Quarantined(reason), None);
    Ok(told(&night(&pipeline, desk, &settings)))
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

/// What the past asks for before the run that `plan` speaks of; nothing when a person named the day.
pub(super) fn before(draft: &Draft, from: &PipelineRef, pipeline: &Pipeline, desk: &Desk) -> Result<CatchUp, Refusal> {
    match draft.dates(from)? {
        Dates::Scheduled(day) => missed(draft, pipeline, day, desk),
        Dates::Named(_) => Ok(CatchUp::default()),
    }
}

/// What the past asks for before the run of a day.
fn missed(draft: &Draft, pipeline: &Pipeline, day: Date, desk: &Desk) -> Result<CatchUp, Refusal> {
    if draft.schedule.on_missed == OnMissed::Ignore {
        return Ok(CatchUp::default());
    }
    let before = draft.on(day.saturating_sub(1.days()), desk)?;
    if before.store != pipeline.store {
        let text = "the store depends on {date}, so no run can see the nights before it, which on_missed asks for";
        return Err(Refusal::usage(format!("{}: {text}", draft.file.display())));
    }
    let past = schedule::past(&open(pipeline, desk)?, &pipeline.name, clock::now())?;
    let caught = draft.schedule.catch_up(day, &past, pipeline.dated);
    if !caught.missed.is_empty() {
        note(&desk.events, Level::Warn, about(&caught, pipeline.dated));
    }
    Ok(caught)
}

/// What is said of missed nights.
pub(super) fn about(caught: &CatchUp, dated: bool) -> String {
    let list = |days: &[Date]| days.iter().map(Date::to_string).collect::<Vec<_>>().join(", ");
    let mut text = format!("no run succeeded for {}", list(&caught.missed));
    let left: Vec<Date> = caught.missed.iter().filter(|day| !caught.run.contains(day)).copied().collect();
    if dated {
        let _ = write!(text, "; to be run first: {}", list(&caught.run));
        if !left.is_empty() {
            let _ = write!(text, "; left to `run --date`: {}", list(&left));
        }
    } else {
        text.push_str("; the run to come covers it");
    }
    if let Some(first) = caught.further_back {
        let _ = write!(text, "; nights before {first} were not looked for, as max_catch_up says");
    }
    text
}

fn with_missed(mut answer: Answer, caught: &CatchUp, schedule: &Schedule, dated: bool) -> Answer {
    if schedule.on_missed != OnMissed::Ignore {
        answer.fields["missed"] = json!(caught.missed.iter().map(Date::to_string).collect::<Vec<_>>());
        if !caught.missed.is_empty() {
            answer.text = format!("{}\n{}", about(caught, dated), answer.text);
        }
    }
    answer
}

/// One run for each day, in order. The first that fails is the last one, unless told to keep going; a wish to stop always
/// ends it.
fn nights(
    draft: &Draft,
    days: &[Date],
    keep_going: bool,
    desk: &Desk,
    settings: &impl Fn(&Pipeline) -> runner::Settings,
) -> Result<Answer, Refusal> {
    let pipelines: Vec<Pipeline> = days.iter().map(|day| draft.on(*day, desk)).collect::<Result<_, _>>()?;
    let mut done: Vec<(Date, Night)> = Vec::new();
    for (day, pipeline) in days.iter().zip(&pipelines) {
        if days.len() > 1 {
            note(&desk.events, Level::Info, format!("{}: the run for {day}", pipeline.name));
        }
        // A run that fails raises its own flag, which is not the next run's.
        let settings = runner::Settings { cancel: desk.cancel.below(), ..settings(pipeline) };
        let night = night(pipeline, desk, &settings);
        let on = goes_on(&night, keep_going) && !desk.cancel.is_cancelled();
        if let (true, Some(error)) = (days.len() > 1, &night.why) {
            note(&desk.events, Level::Error, format!("{day}: {error}"));
        }
        done.push((*day, night));
        if !on {
            break;
        }
    }
    match done.as_slice() {
        [(_, night)] if days.len() == 1 => Ok(told(night)),
        done => Ok(listed(done, &days[done.len()..])),
    }
}

/// Whether the run of the next day may begin. Where another run is under way, or the store cannot be reached, the next one
/// would meet the same.
fn goes_on(night: &Night, keep_going: bool) -> bool {
    match night.exit {
        _ if night.end.outcome == "skipped" => false,
        Exit::Stopped | Exit::Busy | Exit::TryAgain => false,
        exit => exit.is_success() || keep_going,
    }
}

/// One run, and everybody told of its end.
fn night(pipeline: &Pipeline, desk: &Desk, settings: &runner::Settings) -> Night {
    let started = clock::now();
    let store = match open(pipeline, desk) {
        Ok(store) => store,
        Err(refusal) => return refused(pipeline, refusal, desk, settings),
    };
    let ended = schedule::run(pipeline, &store, settings);
    let busy = matches!(ended.result, Err(Error::Busy { .. } | Error::ArrayBusy(_)));
    let skipped = busy && pipeline.schedule.on_overlap == OnOverlap::Skip;
    let night = concluded(pipeline, &store, ended, started, skipped);
    watch::tell(pipeline, Some(&store), &night.end, settings, &desk.handle);
    night
}

fn concluded(
    pipeline: &Pipeline,
    store: &Store,
    ended: runner::Ended,
    started: clock::Timestamp,
    skipped: bool,
) -> Night {
    let exit = if skipped { Exit::Done } else { Exit::of_result(&ended.result) };
    let (summary, error) = match ended.result {
        Ok(summary) => (Some(summary), None),
        Err(error) => (None, Some(error.to_string())),
    };
    let unbegun = || runner::refused(pipeline, started, exit, skipped, error.clone().unwrap_or_default());
    let end = ended.end.unwrap_or_else(unbegun);
    Night { exit, end, summary, why: error, url: store.url().to_owned() }
}

/// `finish`: the end of an array job is told as that of a run is.
pub(super) fn finished(
    pipeline: &Pipeline,
    store: &Store,
    desk: &Desk,
    settings: &runner::Settings,
    run: &str,
) -> Answer {
    let started = clock::now();
    let night = concluded(pipeline, store, runner::finish_array(pipeline, store, settings, run), started, false);
    watch::tell(pipeline, Some(store), &night.end, settings, &desk.handle);
    told(&night)
}

/// What cannot even be begun, told to everybody.
fn refused(pipeline: &Pipeline, Refusal(exit, why): Refusal, desk: &Desk, settings: &runner::Settings) -> Night {
    let end = runner::refused(pipeline, clock::now(), exit, false, why.clone());
    watch::tell(pipeline, None, &end, settings, &desk.handle);
    Night { exit, end, summary: None, why: Some(why), url: pipeline.store.clone() }
}

/// What one run came to, for people and as JSON.
fn told(night: &Night) -> Answer {
    let Night { exit, end, summary, url, .. } = night;
    let fields = fields(night);
    match summary {
        Some(summary) => {
            let answer = summarised(summary, url);
            Answer { fields, ..answer }
        }
        None if end.outcome == "skipped" => {
            let why = night.why.as_deref().unwrap_or_default();
            let text = format!("skipped, as on_overlap says: {why}");
            Answer { text, ..Answer::new(Exit::Done, "").with(fields) }
        }
        None => Answer { counts: end.counts, ..Answer::new(*exit, "").with(fields) },
    }
}

/// What several runs came to.
fn listed(done: &[(Date, Night)], left: &[Date]) -> Answer {
    let exit = Exit::worst(done.iter().map(|(_, night)| night.exit));
    let mut text = String::new();
    let mut counts = Counts::default();
    for (day, night) in done {
        counts += night.end.counts;
        let run = night.end.run.as_deref().map_or_else(String::new, |run| format!("  {run}"));
        let word = night.end.result.as_deref().unwrap_or_default();
        let why = night.why.as_deref().map_or_else(String::new, |why| format!("  {why}"));
        let _ = writeln!(text, "{day}{run}  {word}  {}{why}", crate::reporter::counted(&night.end.counts));
    }
    for day in left {
        let _ = writeln!(text, "{day}  not run");
    }
    let runs: Vec<Value> = done.iter().map(|(_, night)| fields(night)).collect();
    let left: Vec<String> = left.iter().map(Date::to_string).collect();
    Answer { exit, counts, text, fields: json!({"runs": runs, "not_run": left}) }
}

/// The fields of `outcome.json`, as the answer of a command holds them.
fn fields(night: &Night) -> Value {
    let Night { exit, end, why, url, .. } = night;
    let mut fields = serde_json::to_value(end).unwrap_or_default();
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("schema");
        fields.remove("owner");
        fields.remove("error");
        fields.extend(why.as_ref().map(|why| ("error".to_owned(), json!(why))));
        fields.insert("outcome".to_owned(), json!(end.result.as_deref().unwrap_or(exit.word())));
        fields.insert("output".to_owned(), json!(url));
    }
    fields
}

/// What a run that came to its end did, for people.
pub fn summarised(summary: &Summary, url: &str) -> Answer {
    let exit = Exit::of_counts(&summary.counts, !summary.over_limit.is_empty());
    let mut text = String::new();
    for stage in &summary.stages {
        let _ = writeln!(text, "{:>12}: {}", stage.name, stage.summary);
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
        "stages": summary.stages.iter().map(|stage| (&stage.name, &stage.summary)).collect::<BTreeMap<_, _>>(),
        "stage_results": summary.stages,
        "output": url,
        "artifacts": summary.artifacts,
        "nothing_to_do": summary.nothing_to_do,
        "standing_quarantined": summary.standing_quarantined,
    });
    Answer { exit, counts: summary.counts, text, fields }
}
