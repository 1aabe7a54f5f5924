//! What happens, told upwards: stages and runner emit, the reporter alone prints. Must not know how it is shown.

use crate::outcome::{Counts, Outcome, Reason};
use std::sync::Arc;

/// How much a note matters to a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Good to know.
    Info,
    /// Something to look at; the work goes on.
    Warn,
    /// Something that failed.
    Error,
}

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A stage begins; `total` is in units of work (bytes or items), when known.
    StageStarted {
        /// The stage's name in the pipeline file.
        stage: String,
        /// How many units it will work through.
        total: Option<u64>,
        /// What a unit is: `bytes`, `images`, `rows`.
        unit: &'static str,
    },
    /// Work went on by so many units since the last such event of the stage.
    Advanced {
        /// The stage's name.
        stage: String,
        /// Units done since the last event.
        by: u64,
    },
    /// One item came to an end that a person may want to know of (every outcome but `ok`).
    Item {
        /// The stage's name.
        stage: String,
        /// The item's key.
        item: String,
        /// What became of it.
        outcome: Outcome,
        /// Why, unless it is fine.
        reason: Option<Reason>,
        /// The cause in words.
        detail: String,
    },
    /// A stage came to its end.
    StageFinished {
        /// The stage's name.
        stage: String,
        /// How its items ended.
        counts: Counts,
        /// What it did, in a line.
        summary: String,
        /// Wall time in seconds.
        seconds: f64,
    },
    /// Something worth telling that is none of the above.
    Note {
        /// How much it matters.
        level: Level,
        /// The text, for people.
        text: String,
    },
}

/// Where events go. Called from many threads at once; must not block for long.
pub trait Sink: Send + Sync {
    /// Takes one event.
    fn emit(&self, event: Event);
}

/// A sink shared by everyone who has something to tell.
pub type Events = Arc<dyn Sink>;

/// A sink that forgets everything, for tests and for callers who watch results only.
pub struct Silent;

impl Sink for Silent {
    fn emit(&self, _: Event) {}
}

/// Tells something in a line.
pub fn note(events: &Events, level: Level, text: impl Into<String>) {
    events.emit(Event::Note { level, text: text.into() });
}
