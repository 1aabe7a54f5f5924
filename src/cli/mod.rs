//! The command line: words in, results on stdout, an exit code. Joins the runner and the reporter; must not decide anything
//! about data.

mod args;
mod cutout;
mod data_args;
mod doctor;
mod evaluate;
mod model;
mod model_args;
mod nights;
mod report;
mod review;
mod runs;
mod stages;
mod train;

use crate::cancel::{Cancel, Cause};
use crate::event::Events;
use crate::outcome::Counts;
use crate::storage::{Options, Store};
use crate::{reporter, runner};
use args::{Cli, Command, Global, Log};
use clap::Parser;
use runner::Exit;
use serde_json::{Value, json};
use std::io::Write;
use std::process::ExitCode;

/// What a command came to.
struct Answer {
    exit: Exit,
    counts: Counts,
    /// What people are told on stdout.
    text: String,
    /// What the JSON object holds besides.
    fields: Value,
}

impl Answer {
    fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self { exit, counts: Counts::default(), text: text.into(), fields: json!({}) }
    }

    fn with(self, fields: Value) -> Self {
        Self { fields, ..self }
    }
}

/// Why a command could not be done: the exit and the text for people.
struct Refusal(Exit, String);

impl Refusal {
    fn usage(text: impl Into<String>) -> Self {
        Self(Exit::Usage, text.into())
    }
}

impl From<runner::Error> for Refusal {
    fn from(error: runner::Error) -> Self {
        Self(Exit::of_run(&error), error.to_string())
    }
}

impl From<crate::stage::Error> for Refusal {
    fn from(error: crate::stage::Error) -> Self {
        Self(Exit::of_stage(&error), error.to_string())
    }
}

impl From<crate::storage::Error> for Refusal {
    fn from(error: crate::storage::Error) -> Self {
        crate::stage::Error::from(error).into()
    }
}

impl From<crate::pipeline::Error> for Refusal {
    fn from(error: crate::pipeline::Error) -> Self {
        runner::Error::from(error).into()
    }
}

/// What every command is given.
struct Desk {
    /// Options of stores as given, which go before a pipeline file's.
    store_options: Vec<(String, String)>,
    options: Options,
    handle: tokio::runtime::Handle,
    events: Events,
    cancel: Cancel,
    threads: usize,
}

impl Desk {
    fn store(&self, location: &str) -> Result<Store, Refusal> {
        Ok(Store::open(location, &self.options, self.handle.clone())?)
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    hush_decoders();
    let threads = cli.global.threads.filter(|threads| *threads > 0).unwrap_or_else(runner::cores::available);
    runner::cores::divide(threads);
    let command = name(&cli.command);
    let result = begin(&cli, threads).and_then(|(desk, runtime)| {
        let _runtime = runtime;
        answer(cli.command, &desk)
    });
    let exit = match &result {
        Ok(answer) => answer.exit,
        Err(Refusal(exit, _)) => *exit,
    };
    print(&cli.global, command, &result);
    ExitCode::from(exit as u8)
}

/// A decoder's panic is caught and becomes the photo's reason; it is not told a second time as a panic of the program.
fn hush_decoders() {
    let otherwise = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some("decode") {
            otherwise(panic);
        }
    }));
}

fn begin(cli: &Cli, threads: usize) -> Result<(Desk, tokio::runtime::Runtime), Refusal> {
    let mut options = Options::default();
    let mut store_options = Vec::new();
    // What the environment says comes first, so that the command line has the last word.
    let environment = std::env::var("SELVEDGE_STORE_OPTIONS").unwrap_or_default();
    let environment = environment.split(',').map(str::trim).filter(|option| !option.is_empty());
    let environment = environment.map(|option| ("SELVEDGE_STORE_OPTIONS", option));
    let given = cli.global.store_options.iter().map(|option| ("--store-option", option.as_str()));
    for (place, option) in environment.chain(given) {
        let (key, value) = option.split_once('=').ok_or_else(|| {
            Refusal::usage(format!("{place} {option}: write KEY=VALUE, such as endpoint=http://localhost:9000"))
        })?;
        options.set(key, value)?;
        store_options.push((key.to_owned(), value.to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Refusal(Exit::Failed, format!("no threads can be had: {error}")))?;
    let form = match cli.global.log {
        Log::Auto => reporter::Form::Auto,
        Log::Plain => reporter::Form::Plain,
        Log::Json => reporter::Form::Json,
        Log::Quiet => reporter::Form::Quiet,
    };
    reporter::trace(form);
    let cancel = Cancel::default();
    runtime.spawn(watch_signals(cancel.clone()));
    let handle = runtime.handle().clone();
    Ok((Desk { store_options, options, handle, events: reporter::open(form), cancel, threads }, runtime))
}

/// The first signal asks for a clean stop, and the second one ends the process as if nothing were listening.
async fn watch_signals(cancel: Cancel) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        return;
    };
    for last in [false, true] {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if last {
            std::process::abort();
        }
        cancel.cancel(Cause::Signal);
    }
}

fn name(command: &Command) -> &'static str {
    match command {
        Command::Run(_) => "run",
        Command::Plan(_) => "plan",
        Command::Work(_) => "work",
        Command::Finish(_) => "finish",
        Command::Runs(_) => "runs",
        Command::Retry(_) => "retry",
        Command::Gc(_) => "gc",
        Command::Ingest(_) => "ingest",
        Command::Merge(_) => "merge",
        Command::Split(_) => "split",
        Command::Stats(_) => "stats",
        Command::Report(_) => "report",
        Command::Train(_) => "train",
        Command::Evaluate(_) => "evaluate",
        Command::Cutout(_) => "cutout",
        Command::Review(_) => "review",
        Command::Masks(_) => "masks",
        Command::Model(_) => "model",
        Command::SampleData(_) => "sample-data",
        Command::Doctor(_) => "doctor",
    }
}

fn answer(command: Command, desk: &Desk) -> Result<Answer, Refusal> {
    match command {
        Command::Run(args) => nights::run(&args, desk),
        Command::Plan(args) => runs::plan(&args, desk),
        Command::Work(args) => runs::work(&args, desk),
        Command::Finish(args) => runs::finish(&args, desk),
        Command::Runs(args) => runs::runs(&args, desk),
        Command::Retry(args) => nights::retry(&args, desk),
        Command::Gc(args) => runs::gc(&args, desk),
        Command::Ingest(args) => stages::ingest(&args, desk),
        Command::Merge(args) => stages::merge(&args, desk),
        Command::Split(args) => stages::split(&args, desk),
        Command::Stats(args) => report::stats(&args, desk),
        Command::Report(args) => report::report(&args, desk),
        Command::Train(args) => train::train(&args, desk),
        Command::Evaluate(args) => evaluate::evaluate(&args, desk),
        Command::Cutout(args) => cutout::cutout(&args, desk),
        Command::Review(args) => review::review(&args, desk),
        Command::Masks(args) => stages::masks(&args, desk),
        Command::Model(args) => model::model(&args, desk),
        Command::SampleData(args) => stages::sample(&args, desk),
        Command::Doctor(args) => doctor::doctor(&args, desk),
    }
}

/// Results go to stdout, errors to stderr; with `--json` the one object on stdout says either.
fn print(global: &Global, command: &str, result: &Result<Answer, Refusal>) {
    // Nobody reads the stream any more: there is nobody left to tell.
    let error = match result {
        Err(Refusal(_, text)) => Some(text.as_str()),
        // A run that failed leaves more to tell than its error.
        Ok(answer) => answer.fields.get("error").and_then(Value::as_str).filter(|_| answer.exit != Exit::Done),
    };
    if let Some(text) = error {
        let line = match global.log {
            Log::Json => json!({"event": "error", "text": text}).to_string(),
            Log::Auto | Log::Plain | Log::Quiet => format!("error: {text}"),
        };
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
    let line = match result {
        _ if global.json => json_object(command, result).to_string(),
        Ok(answer) => answer.text.clone(),
        Err(_) => String::new(),
    };
    if !line.is_empty() {
        let _ = writeln!(std::io::stdout().lock(), "{}", line.trim_end_matches('\n'));
    }
}

fn json_object(command: &str, result: &Result<Answer, Refusal>) -> Value {
    let empty = Counts::default();
    let (exit, counts) = match result {
        Ok(answer) => (answer.exit, &answer.counts),
        Err(Refusal(exit, _)) => (*exit, &empty),
    };
    let mut object = json!({
        "schema": "result/1.0",
        "command": command,
        "outcome": exit.word(),
        "exit": exit as u8,
        "counts": counts,
    });
    match result {
        Ok(answer) => {
            for (key, value) in answer.fields.as_object().into_iter().flatten() {
                object[key] = value.clone();
            }
        }
        Err(Refusal(_, text)) => object["error"] = json!(text),
    }
    object
}
