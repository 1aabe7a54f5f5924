//! A pipeline file: text in, checked settings out; and what is to be done about an item. Must not run anything.

pub mod cutouts;
mod error;
mod evaluation;
mod limit;
pub mod pairs;
mod params;
pub mod plan;
pub mod schedule;
mod section;
mod spec;
mod statistics;
mod training;
pub mod watch;
pub mod words;

pub use error::Error;
pub use evaluation::{Comparison, Evaluation};
pub use limit::Limit;
pub use params::Params;
pub use schedule::Schedule;
pub use spec::{Given, Kind, Limits, Pipeline, StageSpec};
pub use statistics::Statistics;
pub use training::{ComputeOn, InitFrom, Network, Training, network};
pub use watch::Watch;

/// `, did you mean X?` when a known word is near the one given; else the list of known words.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    known.dedup();
    let near = known.iter().map(|other| (strsim::damerau_levenshtein(word, other), *other)).min();
    match near {
        Some((distance, other)) if distance <= 2.max(word.len() / 3) => format!(", did you mean {other}?"),
        _ if known.is_empty() => String::new(),
        _ => format!("; known are {}", known.join(", ")),
    }
}
