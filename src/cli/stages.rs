//! The commands that run one stage alone. Must not know how a stage works.

use super::args::{CutoutArgs, IngestArgs, MasksCommand, MergeArgs, SampleArgs, Scenes, SplitArgs, StatsArgs};
use super::{Answer, Desk, Exit, Refusal, nights};
use crate::event::Event;
use crate::id;
use crate::outcome::{Counts, Outcome};
use crate::pipeline::plan::Retry;
use crate::pipeline::{Kind, Limit, Limits, Pipeline, Schedule, StageSpec, Watch, words};
use crate::runner;
use crate::stage::cutout::inputs::Listed;
use crate::stage::cutout::naming::Naming;
use crate::stage::tables::Tables;
use crate::stage::{self, Context, Report};
use crate::storage::{Store, split_location};
use crate::table;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

/// A stage alone: no run, no lock; a version that somebody else publishes at the same time is a conflict.
pub(super) fn alone(desk: &Desk, store: Store, stage: &str) -> Context {
    Context {
        tables: Tables::new(store),
        stage: stage.to_owned(),
        run: "-".to_owned(),
        epoch: 0,
        fence: Arc::new(|| Ok(())),
        events: Arc::clone(&desk.events),
        cancel: desk.cancel.clone(),
        threads: desk.threads,
    }
}

/// Tells the end of a stage and makes its answer.
pub(super) fn reported(report: &Report, output: &str, desk: &Desk, stage: &str, start: Instant) -> Answer {
    desk.events.emit(Event::StageFinished {
        stage: stage.to_owned(),
        counts: report.counts,
        summary: report.summary.clone(),
        seconds: start.elapsed().as_secs_f64(),
    });
    let exit = Exit::of_counts(&report.counts, false);
    let text = output.to_owned();
    let fields = json!({"summary": report.summary, "output": output, "artifacts": report.artifacts});
    Answer { exit, counts: report.counts, text, fields }
}

/// Runs a stage that makes a table, whether or not the table is there already.
pub fn make(kind: &Kind, store: Store, desk: &Desk) -> Result<Answer, Refusal> {
    let (url, start) = (store.url().to_owned(), Instant::now());
    let (report, _) = runner::table_stage(kind, &alone(desk, store, kind.word()))?;
    Ok(reported(&report, &url, desk, kind.word(), start))
}

/// `ingest`
pub fn ingest(args: &IngestArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let mut settings = stage::ingest::Settings {
        strict: args.strict,
        allow_empty: args.allow_empty,
        allow_truncated: args.allow_truncated,
        clip: args.clip,
        ..stage::ingest::Settings::default()
    };
    words::ingest(&mut settings, args.delimiter, args.rle_base, args.rle_format.as_deref()).map_err(Refusal::usage)?;
    settings.max_field_bytes = args.max_field_bytes.map_or(settings.max_field_bytes, |most| most as usize);
    settings.max_pixels = args.max_pixels.unwrap_or(settings.max_pixels);
    let (csv, labels, options) = (vec![args.csv.clone()], args.label_descriptions.clone(), desk.options.clone());
    make(&Kind::Ingest { settings, csv, labels, options }, desk.store(&args.out)?, desk)
}

/// `merge`
pub fn merge(args: &MergeArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let settings = words::merge(args.classes.as_deref(), args.policy.as_deref(), args.priority.as_deref());
    let settings = settings.map_err(Refusal::usage)?;
    let annotations = (args.annotations != args.out).then(|| args.annotations.clone());
    make(&Kind::Merge { settings, annotations, options: desk.options.clone() }, desk.store(&args.out)?, desk)
}

/// `split`
pub fn split(args: &SplitArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let mut settings = stage::split::Settings { seed: args.seed, ..stage::split::Settings::default() };
    if args.ratios.len() != settings.shares.len() {
        return Err(Refusal::usage("--ratios takes three numbers: train, val and test"));
    }
    settings.shares.iter_mut().zip(&args.ratios).for_each(|(share, ratio)| share.ratio = *ratio);
    let kind = Kind::Split { settings, photos: args.photos.clone(), options: desk.options.clone() };
    make(&kind, desk.store(&args.data)?, desk)
}

/// `stats`
pub fn stats(args: &StatsArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let context = alone(desk, desk.store(&args.data)?, "stats");
    let settings = runner::stats_settings(args.sql.as_deref(), &desk.options, &context)?;
    let (answers, report) = stage::stats::run(&settings, &context)?;
    let text = stage::stats::text(&answers);
    let fields = json!({"answers": stage::stats::json(&answers)});
    Ok(Answer { exit: Exit::Done, counts: report.counts, text, fields })
}

/// `cutout`
pub fn cutout(args: &CutoutArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let mut settings = stage::cutout::Settings::new(args.inputs.clone(), args.out.clone(), desk.options.clone());
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
    settings.predict.accept_nc = args.accept_nc;
    settings.predict.classes.clone_from(&args.classes);
    settings.runtime.clone_from(&args.runtime);
    let limit = args.max_quarantine.as_deref().map(Limit::parse).transpose();
    let limit = limit.map_err(|error| Refusal::usage(format!("--max-quarantine: {error}")))?;
    if args.inputs.iter().any(|input| input == "-") || args.out == "-" || args.out.to_lowercase().ends_with(".png") {
        return one(args, settings, desk);
    }
    let of_file = [".jpg", ".jpeg", ".webp", ".gif", ".tif", ".tiff", ".bmp"];
    if of_file.iter().any(|ending| args.out.to_lowercase().ends_with(ending)) {
        return Err(Refusal::usage(format!("--out {}: cutouts are PNG; name a .png file, or a folder", args.out)));
    }
    let location = format!("{}/.selvedge", args.out.trim_end_matches('/'));
    let pipeline = Pipeline {
        name: "cutout".to_owned(),
        store: location.clone(),
        options: desk.options.clone(),
        limits: Limits { max_quarantine: limit, threads: None },
        stages: vec![StageSpec { name: "cutout".to_owned(), kind: Kind::Cutout(settings), limit: None }],
        schedule: Schedule::default(),
        watch: Watch::default(),
        dated: false,
        file: "cutout".to_owned(),
        text: String::new(),
        date: String::new(),
        sets: BTreeMap::new(),
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
fn one(args: &CutoutArgs, mut settings: stage::cutout::Settings, desk: &Desk) -> Result<Answer, Refusal> {
    let [input] = args.inputs.as_slice() else {
        return Err(Refusal::usage(format!("--out {} is one file; give one photo, or a folder to write to", args.out)));
    };
    if args.out != "-" && !args.out.to_lowercase().ends_with(".png") {
        return Err(Refusal::usage(format!("--out {}: one photo goes to a .png file or to -", args.out)));
    }
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
    let context = alone(desk, memory.clone(), "cutout");
    let inputs = stage::cutout::open_inputs(&settings, memory.handle())?;
    let mut sources = Vec::new();
    for listed in inputs.list()? {
        match listed? {
            Listed::Source(source) => sources.push(source),
            Listed::Unreadable(text) => return Err(Refusal(Exit::Failed, text)),
        }
    }
    if sources.len() != 1 {
        return Err(Refusal::usage(format!("{input} is a folder, and --out {} is one file", args.out)));
    }
    let shard = stage::cutout::Shard { index: 0, items: 1 };
    let mut result = None;
    stage::cutout::work(
        &settings,
        &inputs,
        &[shard],
        |_| Ok(sources.clone()),
        &context,
        |_, mut results| {
            result = results.pop();
            Ok(())
        },
    )?;
    let result = result.ok_or_else(|| Refusal(Exit::Failed, "the photo came to no end".to_owned()))?;
    let mut counts = Counts::default();
    counts.add(result.outcome);
    if let Some(output) = result.outputs.first() {
        let bytes = memory.wait(memory.get(&format!("out/{output}")))?;
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
    let fields =
        json!({"output": args.out, "reason": result.reason.map(crate::outcome::Reason::code), "detail": result.detail});
    Ok(Answer { exit, counts, text, fields })
}

/// `masks …`
pub fn masks(command: &MasksCommand, desk: &Desk) -> Result<Answer, Refusal> {
    match command {
        MasksCommand::Export { data, out } => {
            let settings = stage::masks::ExportSettings { out: desk.store(out)?, splits: Vec::new() };
            let start = Instant::now();
            let report = stage::masks::export(&settings, &alone(desk, desk.store(data)?, "masks"))?;
            Ok(reported(&report, out, desk, "masks", start))
        }
        MasksCommand::Show { data, image, photos, out } => {
            let photos = photos.as_deref().map(|photos| desk.store(photos)).transpose()?;
            let settings = stage::masks::ShowSettings { image_id: image.clone(), photos, long_side: 1600 };
            let shown = stage::masks::show(&settings, &alone(desk, desk.store(data)?, "masks"))?;
            write_file(out, &shown.png)?;
            let lines: Vec<String> = shown
                .legend
                .iter()
                .map(|entry| {
                    let [r, g, b] = entry.colour;
                    format!("#{r:02x}{g:02x}{b:02x}  {:>5.1} %  {}", entry.share * 100.0, entry.name)
                })
                .collect();
            Ok(Answer::new(Exit::Done, format!("{}\n{}", out.display(), lines.join("\n"))))
        }
    }
}

fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    std::fs::write(path, bytes).map_err(|error| Refusal(Exit::Failed, format!("{}: {error}", path.display())))
}

/// `sample-data`
pub fn sample(args: &SampleArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let store = desk.store(&args.out.display().to_string())?;
    let settings = stage::sample::Settings {
        images: u64::from(args.images),
        catalog: u64::from(args.catalog),
        seed: args.seed,
        long_side: args.long_side,
        scenes: match args.scenes {
            Scenes::Mixed => stage::sample::Scenes::Mixed,
            Scenes::Lookbook => stage::sample::Scenes::Lookbook,
        },
    };
    let write = |key: &str, bytes: &[u8]| {
        store.wait(store.put(key, bytes::Bytes::copy_from_slice(bytes))).map_err(std::io::Error::other)
    };
    let summary = stage::sample::run(&settings, write, &desk.events, &desk.cancel).map_err(|error| {
        let exit = if matches!(error, stage::sample::Error::LongSide(_)) { Exit::Usage } else { Exit::Failed };
        Refusal(exit, error.to_string())
    })?;
    let text = format!(
        "{} images with {} rows, {} catalogue photos\n{}",
        summary.images,
        summary.rows,
        summary.catalog,
        store.url()
    );
    Ok(Answer::new(Exit::Done, text).with(json!({"output": store.url()})))
}
