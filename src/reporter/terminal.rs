//! Events on a terminal: a bar a stage, problems as lines above it. Must not know the other forms.

use super::lines::plain_line;
use crate::event::{Event, Level, Sink};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Bars on stderr.
#[derive(Default)]
pub struct Terminal {
    bars: MultiProgress,
    open: Mutex<HashMap<String, ProgressBar>>,
}

impl Terminal {
    fn start(&self, stage: &str, total: Option<u64>, unit: &str) -> ProgressBar {
        let counted = if unit == "bytes" { "{binary_bytes}/{binary_total_bytes}" } else { "{human_pos}/{human_len}" };
        let (bar, form) = match total {
            Some(total) => {
                (ProgressBar::new(total), format!("{{prefix:>12}} {{bar:32}} {counted} {unit} {{per_sec}} eta {{eta}}"))
            }
            None => (ProgressBar::new_spinner(), format!("{{prefix:>12}} {{spinner}} {{human_pos}} {unit}")),
        };
        let bar = self.bars.add(bar.with_prefix(stage.to_owned()));
        // A template that indicatif cannot read leaves its plain bar.
        if let Ok(style) = ProgressStyle::with_template(&form) {
            bar.set_style(style);
        }
        bar
    }

    fn line(&self, event: &Event) {
        if let Some(line) = plain_line(event, Level::Info) {
            // Nobody reads stderr any more: there is nobody left to tell.
            let _ = self.bars.println(line);
        }
    }
}

impl Sink for Terminal {
    fn emit(&self, event: Event) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match &event {
            Event::StageStarted { stage, total, unit } => {
                let bar = self.start(stage, *total, unit);
                open.insert(stage.clone(), bar);
            }
            Event::Advanced { stage, by } => {
                if let Some(bar) = open.get(stage) {
                    bar.inc(*by);
                }
            }
            Event::StageFinished { stage, .. } => {
                if let Some(bar) = open.remove(stage) {
                    bar.finish_and_clear();
                }
                self.line(&event);
            }
            Event::Item { .. } | Event::Note { .. } => self.line(&event),
        }
    }
}
