//! What a person or a log collector is shown of the events: bars on a terminal, plain lines in cron, JSON lines when asked.
//! Everything here goes to stderr; results are the command line's matter. Must not know what caused an event.

mod lines;
mod terminal;

pub use lines::counted;

use crate::event::{Events, Level};
use std::io::IsTerminal;
use std::sync::Arc;

/// How events are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Bars on a terminal, plain lines elsewhere.
    Auto,
    /// Plain lines.
    Plain,
    /// One JSON object a line.
    Json,
    /// Problems only, as plain lines.
    Quiet,
}

/// The reporter of this form.
pub fn open(form: Form) -> Events {
    match form {
        Form::Auto if std::io::stderr().is_terminal() => Arc::new(terminal::Terminal::default()),
        Form::Auto | Form::Plain => Arc::new(lines::Lines::plain(Level::Info)),
        Form::Quiet => Arc::new(lines::Lines::plain(Level::Warn)),
        Form::Json => Arc::new(lines::Lines::json()),
    }
}

/// Sends what libraries trace to stderr, in the same form: warnings unless SELVEDGE_LOG asks for more.
pub fn trace(form: Form) {
    let filter = tracing_subscriber::EnvFilter::try_from_env("SELVEDGE_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call finds the first one's subscriber, which is as good.
    let _ = match form {
        Form::Json => subscriber.json().try_init(),
        Form::Auto | Form::Plain | Form::Quiet => subscriber.try_init(),
    };
}
