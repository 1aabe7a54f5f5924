//! The pipeline file as checked settings. Passes: syntax, parameters, keys and types, then what only makes sense together.
//! Must not open a store.

use super::schedule::{self, OnMissed};
use super::section::{Section, Source};
use super::{
    Comparison, Error, Evaluation, Limit, Params, Schedule, Statistics, Training, Watch, cutouts, evaluation,
    statistics, training, watch, words,
};
use crate::predict;
use crate::runtime::SessionSettings;
use crate::stage::{cutout, ingest, merge, split};
use crate::storage::Options;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A whole pipeline.
#[derive(Clone)]
pub struct Pipeline {
    /// Its name: of its locks and ledgers.
    pub name: String,
    /// Where everything it makes is kept.
    pub store: String,
    /// Options of every store it opens.
    pub options: Options,
    /// Limits of a run.
    pub limits: Limits,
    /// Its stages in the order they run.
    pub stages: Vec<StageSpec>,
    /// Which day a run belongs to, and what it does about missed nights and other runs.
    pub schedule: Schedule,
    /// Who is told of a run's end.
    pub watch: Watch,
    /// Whether anything in the file depends on `{date}`.
    pub dated: bool,
    /// The file's name.
    pub file: String,
    /// The file's text, secrets still as `${NAME}`.
    pub text: String,
    /// The day that `{date}` stands for.
    pub date: String,
    /// Parameters that were given.
    pub sets: BTreeMap<String, String>,
}

/// Limits of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// How many quarantined items a stage may have; none is counted when absent.
    pub max_quarantine: Option<Limit>,
    /// Threads; all cores when absent.
    pub threads: Option<usize>,
}

/// One stage.
#[derive(Clone)]
pub struct StageSpec {
    /// Its name: unique in the pipeline; its kind unless given.
    pub name: String,
    /// What it does.
    pub kind: Kind,
    /// How many quarantined items it may have, in place of the pipeline's limit.
    pub limit: Option<Limit>,
}

/// The known stages.
#[derive(Clone)]
pub enum Kind {
    /// CSV rows into annotations.
    Ingest {
        /// How strictly rows are judged; its files are those of `csv`.
        settings: ingest::Settings,
        /// The files.
        csv: Vec<String>,
        /// A list of classes and attributes; the public one when absent.
        labels: Option<String>,
        /// Options of the stores they lie in.
        options: Options,
    },
    /// Annotations into masks.
    Merge {
        /// Classes and policy.
        settings: merge::Settings,
        /// The store of the annotations; the stage's own when absent.
        annotations: Option<String>,
        /// Options of that store.
        options: Options,
    },
    /// Images into training parts.
    Split {
        /// The parts and the seed.
        settings: split::Settings,
        /// Where photos lie, so that equal ones stay together.
        photos: Option<String>,
        /// Options of that store.
        options: Options,
    },
    /// Questions and checks in SQL, and the page of their answers.
    Stats(Statistics),
    /// Masks, splits and photos into a model.
    Train(Box<Training>),
    /// A model and a split into figures.
    Evaluate(Box<Evaluation>),
    /// Figures of several models into a table.
    Compare(Comparison),
    /// Photos into cutouts.
    Cutout(cutout::Settings),
}

impl Kind {
    /// The word in the file.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ingest { .. } => "ingest",
            Self::Merge { .. } => "merge",
            Self::Split { .. } => "split",
            Self::Stats(_) => "stats",
            Self::Train(_) => "train",
            Self::Evaluate(_) => "evaluate",
            Self::Compare(_) => "compare",
            Self::Cutout(_) => "cutout",
        }
    }
}

const KINDS: [&str; 8] = ["ingest", "merge", "split", "stats", "train", "evaluate", "compare", "cutout"];

/// What fills a file in.
pub struct Given<'a> {
    /// Parameters given on the command line.
    pub sets: &'a BTreeMap<String, String>,
    /// What `{date}` stands for.
    pub date: &'a str,
    /// How to look an environment variable up.
    pub environment: fn(&str) -> Option<String>,
    /// Options of stores that go before the file's.
    pub store_options: &'a [(String, String)],
}

impl Pipeline {
    /// The pipeline, as yet without stages, that a command stands for which works in a store without a file.
    pub fn of_command(name: &str, store: &str, options: &Options) -> Self {
        Self {
            name: name.to_owned(),
            store: store.to_owned(),
            options: options.clone(),
            limits: Limits::default(),
            stages: Vec::new(),
            schedule: Schedule::default(),
            watch: Watch::default(),
            dated: false,
            file: name.to_owned(),
            text: String::new(),
            date: String::new(),
            sets: BTreeMap::new(),
        }
    }

    /// Reads a file's text; it is parsed for one date after the other from what was read once.
    pub fn text(file: &Path) -> Result<String, Error> {
        std::fs::read_to_string(file).map_err(|cause| Error::Unreadable { file: file.to_owned(), cause })
    }

    /// The schedule alone, which says what day it is before anything that uses `{date}` can be read.
    pub fn schedule(file: &Path, text: &str, environment: fn(&str) -> Option<String>) -> Result<Schedule, Error> {
        let root = toml::de::DeTable::parse(text)
            .map_err(|error| Error::Syntax { file: file.to_owned(), detail: error.to_string() })?;
        let root = root.into_inner();
        let params = Params::new(BTreeMap::new(), environment);
        let source = Source { file, text, params: &params };
        match Section::new(&source, "pipeline", 0, &root).section("schedule")? {
            Some(section) => schedule::read(&section),
            None => Ok(Schedule::default()),
        }
    }

    /// Reads a file's text.
    pub fn parse(file: &Path, text: &str, given: &Given<'_>) -> Result<Self, Error> {
        let Given { sets, date, environment, store_options } = *given;
        let root = toml::de::DeTable::parse(text)
            .map_err(|error| Error::Syntax { file: file.to_owned(), detail: error.to_string() })?;
        let root = root.into_inner();
        let named = BTreeMap::from([("date".to_owned(), date.to_owned())]);
        let params = Params::new(named, environment);
        let source = Source { file, text, params: &params };
        let mut named = params.named.clone();
        if let Some(declared) = Section::new(&source, "pipeline", 0, &root).section("params")? {
            named.extend(declared.entries()?);
        }
        for (name, value) in sets {
            if !named.contains_key(name) {
                let hint = super::nearest(name, named.keys().map(String::as_str));
                return Err(Error::Parameter(format!(
                    "--set {name}: {} declares no such parameter{hint}",
                    file.display()
                )));
            }
            named.insert(name.clone(), value.clone());
        }
        let declared = params.used.into_inner();
        let mut params = Params::new(named, environment);
        let source = Source { file, text, params: &params };
        if let Some(store) = Section::new(&source, "pipeline", 0, &root).text("store")? {
            params.named.insert("store".to_owned(), store);
        }
        let source = Source { file, text, params: &params };
        let mut pipeline = whole(&Section::new(&source, "pipeline", 0, &root), store_options)?;
        pipeline.file = file.display().to_string();
        pipeline.text = text.to_owned();
        date.clone_into(&mut pipeline.date);
        pipeline.sets.clone_from(sets);
        pipeline.dated = declared.contains("date") || params.used.borrow().contains("date");
        if pipeline.schedule.on_missed == OnMissed::RunAll && !pipeline.dated {
            let text = "on_missed = \"run_all\" needs {date} somewhere in the file: without it one run covers every night that \
                        was missed; write on_missed = \"run\"";
            return Err(Error::Parameter(format!("{}: [schedule] {text}", file.display())));
        }
        Ok(pipeline)
    }
}

fn whole(root: &Section<'_>, store_options: &[(String, String)]) -> Result<Pipeline, Error> {
    let name = root.required_text("name")?;
    let safe = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if name.is_empty() || !name.bytes().all(safe) {
        return Err(root.error_at("name", format!("{name:?} is to be lower-case letters, digits and -")));
    }
    let store = root.required_text("store")?;
    root.section("params")?;
    let mut options = Options::default();
    if let Some(section) = root.section("storage")? {
        for (key, value) in section.entries()? {
            options.set(&key, &value).map_err(|error| section.error(error.to_string()))?;
        }
    }
    for (key, value) in store_options {
        options.set(key, value).map_err(|error| Error::Parameter(error.to_string()))?;
    }
    let mut limits = Limits::default();
    if let Some(section) = root.section("limits")? {
        limits.max_quarantine = limit(&section)?;
        limits.threads = section.number("threads")?.map(|threads| threads as usize).filter(|threads| *threads > 0);
        section.finish()?;
    }
    let schedule = root.section("schedule")?.map(|section| schedule::read(&section)).transpose()?.unwrap_or_default();
    let watch = root.section("watch")?.map(|section| watch::read(&section)).transpose()?.unwrap_or_default();
    let mut stages: Vec<StageSpec> = Vec::new();
    for section in root.sections("stage")? {
        let stage = stage(&section, &options)?;
        section.finish()?;
        if stages.iter().any(|other| other.name == stage.name) {
            return Err(Error::Parameter(format!(
                "two stages are called {}; give one of them another name",
                stage.name
            )));
        }
        stages.push(stage);
    }
    root.finish()?;
    if stages.is_empty() {
        return Err(root.error("has no stage; add a [[stage]] with a kind"));
    }
    let (file, text, date, sets, dated) = Default::default();
    Ok(Pipeline { name, store, options, limits, stages, schedule, watch, dated, file, text, date, sets })
}

fn limit(section: &Section<'_>) -> Result<Option<Limit>, Error> {
    let Some(text) = section.text("max_quarantine")? else { return Ok(None) };
    Limit::parse(&text).map(Some).map_err(|detail| section.error_at("max_quarantine", detail))
}

fn stage(section: &Section<'_>, options: &Options) -> Result<StageSpec, Error> {
    let word = section.required_text("kind")?;
    let name = section.text("name")?.unwrap_or_else(|| word.clone());
    let kind = match word.as_str() {
        "ingest" => ingest(section, options)?,
        "merge" => merge(section, options)?,
        "split" => split(section, options)?,
        "stats" => Kind::Stats(statistics::read(section, options)?),
        "train" => Kind::Train(Box::new(training::read(section, &name, options)?)),
        "evaluate" => Kind::Evaluate(Box::new(evaluation::read(section, options)?)),
        "compare" => Kind::Compare(evaluation::read_comparison(section, options)?),
        "cutout" => Kind::Cutout(cutout(section, options)?),
        _ => {
            let hint = super::nearest(&word, KINDS);
            return Err(section.error_at("kind", format!("there is no stage {word:?}{hint}")));
        }
    };
    if name.is_empty() || name.contains(['/', ' ']) {
        return Err(section.error_at("name", "a stage's name holds neither / nor spaces"));
    }
    Ok(StageSpec { name, kind, limit: limit(section)? })
}

fn ingest(section: &Section<'_>, options: &Options) -> Result<Kind, Error> {
    let csv = section.texts("csv")?.ok_or_else(|| section.error("needs csv"))?;
    let mut settings = ingest::Settings::default();
    settings.strict = section.flag("strict")?.unwrap_or(settings.strict);
    settings.allow_empty = section.flag("allow_empty")?.unwrap_or(settings.allow_empty);
    settings.allow_truncated = section.flag("allow_truncated")?.unwrap_or(settings.allow_truncated);
    settings.clip = section.flag("clip")?.unwrap_or(settings.clip);
    settings.max_field_bytes =
        section.number("max_field_bytes")?.map_or(settings.max_field_bytes, |most| most as usize);
    settings.max_pixels = section.number("max_pixels")?.unwrap_or(settings.max_pixels);
    let labels = section.text("label_descriptions")?;
    let delimiter = section.text("delimiter")?.and_then(|text| text.chars().next());
    let base = section.number("rle_base")?;
    let format = section.text("rle_format")?;
    words::ingest(&mut settings, delimiter, base, format.as_deref()).map_err(|detail| section.error(detail))?;
    Ok(Kind::Ingest { settings, csv, labels, options: options.clone() })
}

fn merge(section: &Section<'_>, options: &Options) -> Result<Kind, Error> {
    let (classes, policy, priority) = (section.text("classes")?, section.text("policy")?, section.text("priority")?);
    let settings = words::merge(classes.as_deref(), policy.as_deref(), priority.as_deref());
    let settings = settings.map_err(|detail| section.error(detail))?;
    Ok(Kind::Merge { settings, annotations: section.text("annotations")?, options: options.clone() })
}

fn split(section: &Section<'_>, options: &Options) -> Result<Kind, Error> {
    let mut settings = split::Settings::default();
    if let Some(ratios) = section.floats("ratios")? {
        if ratios.len() != settings.shares.len() {
            return Err(section.error_at("ratios", "takes three numbers: train, val and test"));
        }
        for (share, ratio) in settings.shares.iter_mut().zip(ratios) {
            share.ratio = ratio;
        }
    }
    settings.seed = section.number("seed")?.unwrap_or(settings.seed);
    Ok(Kind::Split { settings, photos: section.text("photos")?, options: options.clone() })
}

fn cutout(section: &Section<'_>, options: &Options) -> Result<cutout::Settings, Error> {
    let inputs = section.texts("input")?.ok_or_else(|| section.error("needs input"))?;
    let mut settings = cutout::Settings::new(inputs, section.required_text("out")?, options.clone());
    settings.model = section.text("model")?.unwrap_or(settings.model);
    settings.runtime = section.text("runtime")?.map(PathBuf::from);
    if let Some(word) = section.text("naming")? {
        settings.naming = cutout::naming::Naming::from_word(&word)
            .ok_or_else(|| section.error_at("naming", format!("{word:?} is neither full nor stem")))?;
    }
    cutout_products(section, &mut settings)?;
    settings.limits.max_pixels = section.number("max_pixels")?.unwrap_or(settings.limits.max_pixels);
    settings.limits.max_bytes = section.number("max_bytes")?.unwrap_or(settings.limits.max_bytes);
    settings.decode_seconds = section.number("decode_seconds")?.unwrap_or(settings.decode_seconds).max(1);
    if let Some(items) = section.number("shard_items")? {
        settings.shard_items = u32::try_from(items.max(1)).map_err(|_| section.error_at("shard_items", "too many"))?;
    }
    let predict::Settings { session: SessionSettings { intra_threads, .. }, sessions, batch, accept_nc, classes } =
        &mut settings.predict;
    *classes = section.texts("classes")?.unwrap_or_default();
    match section.word_or_number("session_threads")? {
        None => {}
        Some(text) if text == "auto" => settings.calibrate = true,
        Some(text) => match text.parse::<usize>() {
            Ok(threads) if threads > 0 => *intra_threads = threads,
            _ => {
                return Err(
                    section.error_at("session_threads", format!("{text:?} is neither auto nor a number from 1"))
                );
            }
        },
    }
    *sessions = section.number("sessions")?.map_or(*sessions, |sessions| sessions as usize);
    *batch = section.number("batch")?.map(|batch| batch.max(1) as usize);
    *accept_nc = section.flag("accept_nc")?.unwrap_or(*accept_nc);
    if let Some(device) = section.text("device")? {
        settings.predict.session.device =
            device.parse().map_err(|detail| section.error_at("device", format!("{detail}")))?;
    }
    Ok(settings)
}

/// What is made of every cutout, and which ones a person should look at.
fn cutout_products(section: &Section<'_>, settings: &mut cutout::Settings) -> Result<(), Error> {
    if section.is_table("edges") {
        let edges = section.section("edges")?.map(|edges| edges.pairs()).transpose()?;
        if let Some(pairs) = edges {
            settings.edges = cutouts::edges_of(pairs).map_err(|detail| section.error_at("edges", detail))?;
        }
    } else if let Some(word) = section.text("edges")? {
        settings.edges = cutouts::edges(&word).map_err(|detail| section.error_at("edges", detail))?;
    }
    let outputs = section.sections("output")?;
    if !outputs.is_empty() {
        settings.outputs.clear();
    }
    for output in outputs {
        let output = cutouts::output(output.pairs()?).map_err(|detail| output.error(detail))?;
        settings.outputs.push(output);
    }
    cutout::products::check(&settings.outputs).map_err(|error| section.error(error.to_string()))?;
    if let Some(review) = section.section("review")? {
        let read = cutouts::review(review.pairs()?).map_err(|detail| review.error(detail))?;
        settings.review = read.to;
        settings.sheet = read.sheet.unwrap_or(settings.sheet);
        settings.bounds = read.bounds;
    }
    if let Some(word) = section.text("stale")? {
        settings.remove_stale = match word.as_str() {
            "keep" => false,
            "remove" => true,
            _ => return Err(section.error_at("stale", format!("{word:?} is neither keep nor remove"))),
        };
    }
    if let Some(text) = section.text("max_gone")? {
        let share = text.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        let share = share.filter(|share| (0.0..=100.0).contains(share));
        settings.max_gone = share.ok_or_else(|| section.error_at("max_gone", "write a share such as \"10%\""))? / 100.0;
    }
    settings.price_per_core_hour = section.float("price_per_core_hour")?;
    Ok(())
}
