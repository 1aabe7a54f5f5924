//! Events as lines: plain ones for people and cron mail, JSON for collectors. Must not know the terminal.

use crate::clock;
use crate::event::{Event, Level, Sink};
use crate::outcome::{Counts, Outcome};
use serde_json::json;
use std::collections::HashMap;
use std::io::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A plain line of progress is written at most this often.
const PROGRESS_EVERY: Duration = Duration::from_secs(30);

/// Events as lines on stderr.
pub struct Lines {
    json: bool,
    least: Level,
    progress: Mutex<HashMap<String, Progress>>,
}

struct Progress {
    done: u64,
    total: Option<u64>,
    unit: &'static str,
    last: Instant,
}

impl Lines {
    /// Plain lines from this level up.
    pub fn plain(least: Level) -> Self {
        Self { json: false, least, progress: Mutex::default() }
    }

    /// JSON lines, everything.
    pub fn json() -> Self {
        Self { json: true, least: Level::Info, progress: Mutex::default() }
    }

    /// Counts an event in; gives the line to write, if it is time for one.
    fn line(&self, event: &Event) -> Option<String> {
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        if let Event::StageStarted { stage, total, unit } = event {
            let entry = Progress { done: 0, total: *total, unit, last: Instant::now() };
            progress.insert(stage.clone(), entry);
        }
        if let Event::Advanced { stage, by } = event {
            let entry = progress.get_mut(stage)?;
            entry.done += by;
            if entry.last.elapsed() < PROGRESS_EVERY {
                return None;
            }
            entry.last = Instant::now();
            let (done, total, unit) = (entry.done, entry.total, entry.unit);
            if self.json {
                return Some(stamped(
                    json!({"event": "progress", "stage": stage, "done": done, "total": total, "unit": unit}),
                ));
            }
            let of = total.map_or_else(String::new, |total| format!(" of {total}"));
            return (self.least == Level::Info).then(|| format!("{stage}: {done}{of} {unit}"));
        }
        drop(progress);
        if self.json { Some(json_line(event)) } else { plain_line(event, self.least) }
    }
}

impl Sink for Lines {
    fn emit(&self, event: Event) {
        if let Some(line) = self.line(&event) {
            // Nobody reads stderr any more: there is nobody left to tell.
            let _ = writeln!(std::io::stderr().lock(), "{line}");
        }
    }
}

fn stamped(mut value: serde_json::Value) -> String {
    value["time"] = json!(clock::now().to_string());
    value.to_string()
}

fn json_line(event: &Event) -> String {
    stamped(match event {
        Event::StageStarted { stage, total, unit } => {
            json!({"event": "stage_started", "stage": stage, "total": total, "unit": unit})
        }
        Event::Advanced { stage, by } => json!({"event": "advanced", "stage": stage, "by": by}),
        Event::Item { stage, item, outcome, reason, detail } => json!({
            "event": "item", "stage": stage, "item": item, "outcome": outcome.word(),
            "reason": reason.map(crate::outcome::Reason::code), "detail": detail,
        }),
        Event::StageFinished { stage, counts, summary, seconds } => json!({
            "event": "stage_finished", "stage": stage, "counts": counts, "summary": summary, "seconds": seconds,
        }),
        Event::Note { level, text } => json!({"event": "note", "level": word(*level), "text": text}),
    })
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Info => "info",
        Level::Warn => "warning",
        Level::Error => "error",
    }
}

/// The plain line of an event, if it matters enough.
pub fn plain_line(event: &Event, least: Level) -> Option<String> {
    let (level, line) = match event {
        Event::StageStarted { stage, total, unit } => {
            let total = total.map_or_else(String::new, |total| format!(": {total} {unit}"));
            (Level::Info, format!("{stage}{total}"))
        }
        Event::Advanced { .. } => return None,
        Event::Item { stage, item, outcome, reason, detail } => {
            let level = if *outcome == Outcome::Failed { Level::Error } else { Level::Warn };
            let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
            (level, format!("{stage}: {item}: {}{reason}: {detail}", outcome.word()))
        }
        Event::StageFinished { stage, counts, summary, seconds } => {
            (Level::Info, format!("{stage}: {summary} [{}, {seconds:.1} s]", counted(counts)))
        }
        Event::Note { level, text } => {
            let word = if *level == Level::Info { String::new() } else { format!("{}: ", word(*level)) };
            (*level, format!("{word}{text}"))
        }
    };
    (rank(level) >= rank(least)).then_some(line)
}

fn rank(level: Level) -> u8 {
    match level {
        Level::Info => 0,
        Level::Warn => 1,
        Level::Error => 2,
    }
}

/// Counts in words, without those that are zero.
pub fn counted(counts: &Counts) -> String {
    let Counts { ok, cached, review, quarantined, failed } = *counts;
    let words =
        [(ok, "ok"), (cached, "cached"), (review, "to review"), (quarantined, "quarantined"), (failed, "failed")];
    let words: Vec<String> =
        words.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Reason;

    #[test]
    fn an_item_is_told_with_its_reason() {
        let event = Event::Item {
            stage: "cutout".to_owned(),
            item: "a.jpg".to_owned(),
            outcome: Outcome::Quarantined,
            reason: Some(Reason::Truncated),
            detail: "ends early".to_owned(),
        };
        let line = plain_line(&event, Level::Warn);
        assert_eq!(line.as_deref(), Some("cutout: a.jpg: quarantined (truncated): ends early"));
        assert_eq!(plain_line(&event, Level::Error), None);
        let json: serde_json::Value = serde_json::from_str(&json_line(&event)).unwrap_or_default();
        assert_eq!(json["reason"], "truncated");
    }
}
