//! The commands that run one stage alone. Must not know how a stage works.

use super::args::{IngestArgs, MergeArgs, SplitArgs};
use super::data_args::{MasksCommand, SampleArgs, Scenes};
use super::{Answer, Desk, Exit, Refusal};
use crate::event::Event;
use crate::pipeline::{Kind, words};
use crate::runner;
use crate::stage::tables::Tables;
use crate::stage::{self, Context, Report};
use crate::storage::Store;
use serde_json::json;
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
