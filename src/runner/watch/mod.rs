//! Tells those who watch a pipeline how a run ended. Whatever goes wrong here is a warning: how a run exits never depends on
//! it, and no address is shown beyond its host. Must not know how the run was done.

pub mod figures;
mod message;
mod program;
#[cfg(feature = "otel")]
mod trace;

use super::state::End;
use super::{Settings, schedule};
use crate::cancel::Cause;
use crate::event::{Level, note};
use crate::id;
use crate::pipeline::{Pipeline, Watch};
use crate::storage::Store;
use figures::Sample;
use message::Message;
use std::io::Write;
use std::path::Path;
use tokio::runtime::Handle;

/// Tells everybody that the pipeline names. `store` is `None` when it could not be opened. Takes a minute at most, and
/// `command_seconds` for the command; after a wish to stop nothing is sent twice.
pub fn tell(pipeline: &Pipeline, store: Option<&Store>, end: &End, settings: &Settings, handle: &Handle) {
    let watch = &pipeline.watch;
    let warn = |text: String| note(&settings.events, Level::Warn, text);
    let body = serde_json::to_vec(end).unwrap_or_default();
    let mut messages = Vec::new();
    if watch.prometheus_file.is_some() || watch.push.is_some() {
        match samples(watch, store, end) {
            Ok(samples) => {
                let text = figures::render(&samples);
                if let Some(Err(error)) = watch.prometheus_file.as_deref().map(|file| replace(file, text.as_bytes())) {
                    warn(error);
                }
                // A run that was never begun has no figures, and a push would replace those of the last one.
                if let (Some(address), true) = (&watch.push, was_begun(end)) {
                    messages.push(Message::push(address, &pipeline.name, text));
                }
            }
            Err(error) => warn(error),
        }
    }
    let result = end.result.as_deref().unwrap_or_default();
    let wanted = |on: &Option<Vec<String>>| on.as_ref().is_none_or(|ends| ends.iter().any(|end| end == result));
    if let (Some(address), true) = (&watch.webhook, wanted(&watch.webhook_on)) {
        messages.push(Message::webhook(address, body.clone()));
    }
    if let (Some(address), true) = (&watch.healthcheck, was_begun(end)) {
        messages.push(Message::healthcheck(address, succeeded(end), body.clone()));
    }
    #[cfg(feature = "otel")]
    match trace::message(end, |name| std::env::var(name).ok()) {
        Ok(message) => messages.extend(message),
        Err(error) => warn(error),
    }
    let tries = if settings.cancel.cause() == Some(Cause::Signal) { 1 } else { message::TRIES };
    message::send(messages, tries, handle).into_iter().for_each(warn);
    if let (Some(words), true) = (&watch.command, wanted(&watch.command_on))
        && let Err(error) = program::run(words, end, &body, watch.command_seconds, handle)
    {
        warn(error);
    }
}

/// Whether a run got as far as its own work, or failed to: not so where another one kept it from it.
fn was_begun(end: &End) -> bool {
    !matches!(end.result.as_deref(), Some("busy" | "skipped"))
}

fn succeeded(end: &End) -> bool {
    was_begun(end) && matches!(end.exit, Some(0 | 3))
}

/// The figures after this run: those of the file as it was, brought up to date.
fn samples(watch: &Watch, store: Option<&Store>, end: &End) -> Result<Vec<Sample>, String> {
    let before = match &watch.prometheus_file {
        Some(file) => before(file, &end.pipeline)?,
        None => Vec::new(),
    };
    let known = figures::last_success(&before);
    // Without a file, and with a new one, the store is asked. One that cannot be read leaves the figure out.
    let last_success = known.or_else(|| {
        let store = store.filter(|_| !succeeded(end))?;
        schedule::last_success(store, &end.pipeline).ok()?.map(figures::seconds)
    });
    let totals = watch.prometheus_file.is_some();
    Ok(figures::after(&before, end, was_begun(end), succeeded(end), last_success, totals))
}

fn before(file: &Path, pipeline: &str) -> Result<Vec<Sample>, String> {
    let shown = file.display();
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(format!("prometheus_file {shown}: {error}")),
    };
    // A file that is none of ours or was cut short is written anew; counters then begin at 0, which Prometheus expects.
    let samples = figures::parse(&text).unwrap_or_default();
    match samples.iter().find_map(|sample| sample.label("pipeline").filter(|name| *name != pipeline)) {
        Some(other) => Err(format!(
            "prometheus_file {shown} holds the figures of the pipeline {other}; give each pipeline a file of its own"
        )),
        None => Ok(samples),
    }
}

/// Replaces a file as a whole: whoever reads it meanwhile sees the old one. Everybody may read it, as the node exporter
/// runs as a user of its own.
fn replace(file: &Path, bytes: &[u8]) -> Result<(), String> {
    use std::os::unix::fs::PermissionsExt;
    let wrong = |error: std::io::Error| format!("prometheus_file {}: {error}", file.display());
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let partial = file.with_file_name(format!(".{name}.{}", id::token()));
    let written = (|| {
        let mut writer = std::fs::File::create_new(&partial)?;
        writer.write_all(bytes)?;
        writer.set_permissions(std::fs::Permissions::from_mode(0o644))?;
        writer.sync_all()?;
        std::fs::rename(&partial, file)
    })();
    if written.is_err() {
        // What was written of it is of no use; where it was never made there is nothing to remove.
        let _ = std::fs::remove_file(&partial);
    }
    written.map_err(wrong)
}
