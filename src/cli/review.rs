//! The command `review`: what waits for a person, and the person's word on it. Must not know how a decision is kept.

use super::args::{DecideArgs, PipelineRef, ReviewCommand, ReviewRef};
use super::nights::{self, Draft};
use super::{Answer, Desk, Exit, Refusal, runs};
use crate::pipeline::plan::Retry;
use crate::pipeline::{Kind, Pipeline, StageSpec};
use crate::runner::review::{self, Decided, Waiting, Which};
use crate::runner::{Entry, Verdict};
use crate::stage::cutout::Settings;
use crate::storage::Store;
use serde_json::{Value, json};
use std::fmt::Write;
use std::path::PathBuf;

/// `review list|accept|reject`
pub fn review(command: &ReviewCommand, desk: &Desk) -> Result<Answer, Refusal> {
    match command {
        ReviewCommand::List { of, reason, limit } => list(of, reason.as_deref(), *limit, desk),
        ReviewCommand::Accept(args) => decide(args, Verdict::Accept, desk),
        ReviewCommand::Reject { which, note } => decide(which, Verdict::Reject { note: note.clone() }, desk),
    }
}

/// The pipeline that is meant, its store, and the words behind it.
fn opened<'a>(of: &'a ReviewRef, desk: &Desk) -> Result<(Pipeline, Store, &'a [String]), Refusal> {
    if let Some(out) = &of.out {
        let (pipeline, store) = of_folder(out, desk)?;
        return Ok((pipeline, store, &of.words));
    }
    let Some((file, words)) = of.words.split_first() else {
        return Err(Refusal::usage("name the pipeline file, or with --out the folder that `selvedge cutout` wrote to"));
    };
    let from = PipelineRef { pipeline: PathBuf::from(file), sets: of.sets.clone(), date: of.date.clone() };
    let pipeline = Draft::read(&from)?.single(&from, desk)?;
    let store = nights::open(&pipeline, desk)?;
    Ok((pipeline, store, words))
}

/// The pipeline that `cutout` was, by what it left beside the cutouts.
fn of_folder(out: &str, desk: &Desk) -> Result<(Pipeline, Store), Refusal> {
    let location = format!("{}/.selvedge", out.trim_end_matches('/'));
    let store = desk.store(&location)?;
    let told = review::told(&store, "cutout", "cutout")?.ok_or_else(|| {
        let text = format!("{} holds nothing of `selvedge cutout`", store.url());
        Refusal::usage(format!("{text}; give the folder of its --out, or a pipeline file"))
    })?;
    let mut settings = Settings::new(told.inputs, out.to_owned(), desk.options.clone());
    (settings.review, settings.sheet) = (told.review, told.sheet);
    let stages = vec![StageSpec { name: "cutout".to_owned(), kind: Kind::Cutout(settings), limit: None }];
    Ok((Pipeline { stages, ..Pipeline::of_command("cutout", &location, &desk.options) }, store))
}

fn list(of: &ReviewRef, reason: Option<&str>, limit: usize, desk: &Desk) -> Result<Answer, Refusal> {
    let reason = nights::reason(reason)?;
    let (pipeline, store, words) = opened(of, desk)?;
    if let Some(word) = words.first() {
        return Err(Refusal::usage(format!("{word}: `review list` takes no keys")));
    }
    let (mut text, mut stages, mut total) = (String::new(), Vec::new(), 0);
    for subject in review::subjects(&pipeline, of.stage.as_deref())? {
        let waiting = review::waiting(subject, &store, reason, limit)?;
        total += waiting.total;
        written(&mut text, &waiting);
        stages.push(json!({
            "stage": waiting.stage,
            "waiting": waiting.total,
            "sheet": waiting.sheet,
            "items": waiting.entries.iter().map(item).collect::<Vec<_>>(),
        }));
    }
    Ok(Answer::new(Exit::Done, text).with(json!({"waiting": total, "stages": stages})))
}

/// What waits, as a table for people.
fn written(text: &mut String, waiting: &Waiting) {
    let Waiting { stage, total, entries, sheet } = waiting;
    let _ = writeln!(text, "{stage}: {total} to review");
    let width = entries.iter().map(|entry| printable(&entry.key).chars().count()).max().unwrap_or(0).min(48);
    if !entries.is_empty() {
        let _ = writeln!(text, "{:>8}  {:<14}  {:<width$}  why", "doubt", "reason", "key");
    }
    for entry in entries {
        let doubt = entry.doubt.map_or_else(|| "-".to_owned(), |doubt| format!("{doubt:.2}"));
        let reason = entry.reason.map_or("-", |reason| reason.code());
        let (key, detail) = (printable(&entry.key), printable(&entry.detail));
        let _ = writeln!(text, "{doubt:>8}  {reason:<14}  {key:<width$}  {detail}");
    }
    let shown = entries.len() as u64;
    if shown < *total {
        let _ = writeln!(text, "… and {} more; --limit shows more of them", total - shown);
    }
    if let Some(sheet) = sheet.as_ref().filter(|_| *total > 0) {
        let _ = writeln!(text, "contact sheet: {sheet}");
    }
}

/// A text in one line of a terminal, whatever it holds.
fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}

fn item(entry: &Entry) -> Value {
    json!({
        "key": entry.key,
        "reason": entry.reason.map(|reason| reason.code()),
        "detail": entry.detail,
        "doubt": entry.doubt,
        "coverage": entry.coverage,
        "soft_share": entry.soft_share,
        "border_contact": entry.border_contact,
        "confidence": entry.confidence,
        "components": entry.components,
        "holes": entry.holes,
        "sharpness": entry.sharpness,
        "violations": entry.violations,
        "outputs": entry.outputs,
    })
}

fn decide(args: &DecideArgs, verdict: Verdict, desk: &Desk) -> Result<Answer, Refusal> {
    let reason = nights::reason(args.reason.as_deref())?;
    let (pipeline, store, keys) = opened(&args.of, desk)?;
    let which = match (keys, args.all) {
        ([], true) => Which::All(reason),
        ([], false) => return Err(Refusal::usage("name the keys of photos, or say --all; nothing was changed")),
        (_, true) => return Err(Refusal::usage("give either keys or --all; nothing was changed")),
        (keys, false) => Which::Keys(keys.to_vec()),
    };
    let subjects = review::subjects(&pipeline, args.of.stage.as_deref())?;
    let [subject] = subjects.as_slice() else {
        let names: Vec<&str> = subjects.iter().map(|subject| subject.spec.name.as_str()).collect();
        return Err(Refusal::usage(format!("several stages make cutouts; give --stage: {}", names.join(", "))));
    };
    let done = if verdict == Verdict::Accept { "accepted" } else { "rejected" };
    let settings = runs::settings(&pipeline, desk, Retry::Transient, None);
    let decided = review::decide(*subject, &store, &settings, &which, verdict)?;
    let Decided { settled, before, left, waiting, sheet } = &decided;
    let mut text = format!("{settled} {done}");
    if *before > 0 {
        let _ = write!(text, ", {before} were {done} before");
    }
    let _ = writeln!(text, "; {waiting} to review");
    for (key, why) in left {
        let _ = writeln!(text, "{} stays in review: {why}", printable(key));
    }
    if !left.is_empty() {
        text.push_str("reject those that stay, and `retry --reason rejected` makes them again\n");
    }
    if let Some(sheet) = sheet {
        let _ = writeln!(text, "contact sheet: {sheet}");
    }
    let exit = if left.is_empty() { Exit::Done } else { Exit::Failed };
    let left: Vec<Value> = left.iter().map(|(key, why)| json!({"key": key, "why": why})).collect();
    let fields = json!({done: settled, "before": before, "left": left, "waiting": waiting, "sheet": sheet, "output": store.url()});
    Ok(Answer::new(exit, text).with(fields))
}
