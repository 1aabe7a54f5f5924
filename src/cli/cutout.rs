//! The command `cutout`: a folder of photos as a pipeline of one stage, or one photo from hand to hand. Must not know how a
//! cutout is made.

use super::args::CutoutArgs;
use super::stages::alone;
use super::{Answer, Desk, Exit, Refusal, nights};
use crate::id;
use crate::image::product::Form;
use crate::outcome::{Counts, Outcome, Reason};
use crate::pipeline::pairs::Pairs;
use crate::pipeline::plan::Retry;
use crate::pipeline::{Kind, Limit, Limits, Pipeline, StageSpec, cutouts};
use crate::runner;
use crate::stage;
use crate::stage::cutout::inputs::Listed;
use crate::stage::cutout::naming::Naming;
use crate::stage::cutout::rows::ItemResult;
use crate::stage::cutout::{Places, Settings};
use crate::storage::{Store, split_location};
use crate::table;
use serde_json::json;
use std::io::{Read, Write};
use std::sync::Arc;

/// `cutout`
pub fn cutout(args: &CutoutArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let settings = settings(args, desk)?;
    let limit = args.max_quarantine.as_deref().map(Limit::parse).transpose();
    let limit = limit.map_err(|error| Refusal::usage(format!("--max-quarantine: {error}")))?;
    if args.inputs.iter().any(|input| input == "-") || args.out == "-" || ending(&args.out).is_some() {
        return one(args, settings, desk);
    }
    let location = format!("{}/.selvedge", args.out.trim_end_matches('/'));
    let pipeline = Pipeline {
        stages: vec![StageSpec { name: "cutout".to_owned(), kind: Kind::Cutout(settings), limit: None }],
        limits: Limits { max_quarantine: limit, threads: None },
        ..Pipeline::of_command("cutout", &location, &desk.options)
    };
    let retry = if args.retry { Retry::Quarantined(None) } else { Retry::Transient };
    let settings = runner::Settings {
        retry,
        limit: args.limit,
        threads: desk.threads,
        events: Arc::clone(&desk.events),
        cancel: desk.cancel.clone(),
    };
    let store = desk.store(&location)?;
    Ok(nights::summarised(&runner::run(&pipeline, &store, &settings).result?, store.url()))
}

fn settings(args: &CutoutArgs, desk: &Desk) -> Result<Settings, Refusal> {
    let mut settings = Settings::new(args.inputs.clone(), args.out.clone(), desk.options.clone());
    if let Some(list) = &args.list {
        match listed(list, desk)? {
            ("key", keys) => settings.keys = keys,
            (_, urls) => settings.inputs.extend(urls),
        }
    }
    settings.model.clone_from(&args.model);
    settings.naming = Naming::from_word(&args.naming)
        .ok_or_else(|| Refusal::usage(format!("--name {}: write stem or full", args.naming)))?;
    let device =
        args.device.parse().map_err(|error: crate::runtime::Error| Refusal::usage(format!("--device: {error}")))?;
    settings.predict.session.device = device;
    settings.predict.session.intra_threads = args.session_threads.unwrap_or(1).max(1);
    settings.predict.accept_nc = args.accept_nc;
    settings.predict.classes.clone_from(&args.classes);
    settings.runtime.clone_from(&args.runtime);
    settings.edges =
        cutouts::edges(&args.edges).map_err(|error| Refusal::usage(format!("--edges {}: {error}", args.edges)))?;
    if !args.outputs.is_empty() {
        settings.outputs.clear();
    }
    for text in &args.outputs {
        let output = Pairs::parse(text).and_then(cutouts::output);
        settings.outputs.push(output.map_err(|error| Refusal::usage(format!("--output {text}: {error}")))?);
    }
    let review = Pairs::parse(&args.review).and_then(cutouts::review);
    let review = review.map_err(|error| Refusal::usage(format!("--review {}: {error}", args.review)))?;
    settings.bounds = review.bounds;
    settings.review = review.to;
    settings.sheet = review.sheet.unwrap_or(settings.sheet);
    settings.remove_stale = args.remove_stale;
    settings.price_per_core_hour = args.price_per_core_hour;
    Ok(settings)
}

/// The form of an image file of this name, if it is one that is written here.
fn ending(name: &str) -> Option<Form> {
    let (_, ending) = name.rsplit_once('.')?;
    Form::from_word(&ending.to_lowercase())
}

/// The photos that a list names, and by which column.
fn listed(list: &str, desk: &Desk) -> Result<(&'static str, Vec<String>), Refusal> {
    let (folder, file) = split_location(list)?;
    let store = desk.store(&folder)?;
    let bytes = store.wait(store.get(&file))?;
    let found = table::list::column(list, bytes, &["url", "key"]).map_err(|error| Refusal::usage(error.to_string()))?;
    if found.1.is_empty() {
        return Err(Refusal::usage(format!("the list {list} names no photo")));
    }
    Ok(found)
}

/// One photo, from a file or standard input, to one file or standard output: made in memory, then written by one put.
fn one(args: &CutoutArgs, mut settings: Settings, desk: &Desk) -> Result<Answer, Refusal> {
    let [input] = args.inputs.as_slice() else {
        return Err(Refusal::usage(format!("--out {} is one file; give one photo, or a folder to write to", args.out)));
    };
    of_one_file(args, &mut settings)?;
    let memory = desk.store(&format!("memory://cutout-{}", id::token()))?;
    if input == "-" {
        let mut bytes = Vec::new();
        let most = settings.limits.max_bytes + 1;
        std::io::stdin()
            .lock()
            .take(most)
            .read_to_end(&mut bytes)
            .map_err(|error| Refusal::usage(format!("standard input: {error}")))?;
        memory.wait(memory.put("in/stdin", bytes.into()))?;
        settings.inputs = vec![format!("{}/in/stdin", memory.url())];
    }
    settings.out = format!("{}/out", memory.url());
    settings.review = None;
    let result = made(&settings, &memory, args, desk)?;
    let mut counts = Counts::default();
    counts.add(result.outcome);
    if let Some(output) = result.outputs.first() {
        let places = Places::open(&settings, &memory, "cutout")?;
        let place = places.of(result.outcome);
        let bytes = place.wait(place.get(output))?;
        if args.out == "-" {
            std::io::stdout()
                .lock()
                .write_all(&bytes)
                .map_err(|error| Refusal(Exit::Failed, format!("standard output: {error}")))?;
        } else {
            let (folder, file) = split_location(&args.out)?;
            let store = desk.store(&folder)?;
            store.wait(store.put(&file, bytes))?;
        }
    }
    let exit = match result.outcome {
        Outcome::Ok | Outcome::Review => Exit::Done,
        Outcome::Quarantined => Exit::Quarantined,
        Outcome::Failed => Exit::Failed,
    };
    let text = if args.out == "-" || result.outputs.is_empty() { String::new() } else { args.out.clone() };
    let fields = json!({"output": args.out, "reason": result.reason.map(Reason::code), "detail": result.detail});
    Ok(Answer { exit, counts, text, fields })
}

/// Makes the settings such that they give the one file that is asked for.
fn of_one_file(args: &CutoutArgs, settings: &mut Settings) -> Result<(), Refusal> {
    let [output] = settings.outputs.as_mut_slice() else {
        return Err(Refusal::usage(format!("--out {} is one file, and several outputs are asked for", args.out)));
    };
    let Some(form) = ending(&args.out) else {
        let known = "write .png, .webp, .jpg or .tiff, or name a folder";
        return match args.out == "-" {
            true => Ok(()),
            false => Err(Refusal::usage(format!("--out {}: {known}", args.out))),
        };
    };
    output.name.clear();
    if args.outputs.is_empty() {
        // What has no transparency is laid on white.
        output.product = cutouts::of_form(form);
    }
    let made = output.product.extension();
    if made != cutouts::of_form(form).extension() {
        return Err(Refusal::usage(format!("--out {}: the output that is asked for is a .{made} file", args.out)));
    }
    Ok(())
}

/// Cuts out the one photo that the settings name.
fn made(settings: &Settings, memory: &Store, args: &CutoutArgs, desk: &Desk) -> Result<ItemResult, Refusal> {
    let context = alone(desk, memory.clone(), "cutout");
    let inputs = stage::cutout::open_inputs(settings, memory.handle())?;
    let mut sources = Vec::new();
    for listed in inputs.list()? {
        match listed? {
            Listed::Source(source) => sources.push(source),
            Listed::Unreadable(text) => return Err(Refusal(Exit::Failed, text)),
        }
    }
    if sources.len() != 1 {
        let input = args.inputs.join(" ");
        return Err(Refusal::usage(format!("{input} is a folder, and --out {} is one file", args.out)));
    }
    let mut result = None;
    stage::cutout::work(
        settings,
        &inputs,
        &[stage::cutout::Shard { index: 0, items: 1 }],
        |_| Ok(sources.clone()),
        &context,
        |_, mut results| {
            result = results.pop();
            Ok(())
        },
    )?;
    result.ok_or_else(|| Refusal(Exit::Failed, "the photo came to no end".to_owned()))
}
