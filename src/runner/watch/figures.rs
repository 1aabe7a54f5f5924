//! A run's figures in Prometheus' text format, and the same read back, so that counters go on from run to run. Pure; must not
//! touch a file.

use crate::clock::Timestamp;
use crate::outcome::Counts;
use crate::runner::state::End;
use std::fmt::Write;

/// What is told: name, type and help of each family, in the order of the file.
pub const FAMILIES: [(&str, &str, &str); 14] = [
    ("selvedge_last_run_timestamp_seconds", "gauge", "When the last run ended, in seconds since 1970."),
    ("selvedge_last_success_timestamp_seconds", "gauge", "When the last run ended that exited with 0 or 3."),
    ("selvedge_last_run_duration_seconds", "gauge", "Wall time of the last run."),
    ("selvedge_last_run_exit_code", "gauge", "Exit code of the last run; the README says what each means."),
    ("selvedge_last_run_items", "gauge", "Items of the last run by how they ended."),
    ("selvedge_last_run_stage_seconds", "gauge", "Wall time of each stage of the last run."),
    ("selvedge_last_run_source_bytes", "gauge", "Bytes of the photos that the last run worked on."),
    ("selvedge_last_run_images_per_second", "gauge", "Images per second of wall time."),
    ("selvedge_last_run_cpu_seconds", "gauge", "CPU time that the last run used."),
    ("selvedge_last_run_network_cpu_share", "gauge", "Share of that CPU time spent in the network, 0 to 1."),
    ("selvedge_last_run_cost_per_1000_images", "gauge", "Cost of 1000 images at the price set for a core hour."),
    ("selvedge_quarantined_items", "gauge", "Items that stand quarantined after the last run that came to its end."),
    ("selvedge_runs_total", "counter", "Runs by how they ended."),
    ("selvedge_items_total", "counter", "Items worked on by how they ended."),
];

/// What is kept of a family when a run ends.
const LAST_SUCCESS: &str = FAMILIES[1].0;
const QUARANTINED: &str = FAMILIES[11].0;
const RUNS: &str = FAMILIES[12].0;
const ITEMS: &str = FAMILIES[13].0;

/// One figure.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its family.
    pub name: String,
    /// What it is of, in the order it is written.
    pub labels: Vec<(String, String)>,
    /// The figure.
    pub value: f64,
}

impl Sample {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

/// A time as Prometheus counts it.
pub fn seconds(time: Timestamp) -> f64 {
    time.as_millisecond() as f64 / 1000.0
}

/// When the last success was, by the figures before this run.
pub fn last_success(before: &[Sample]) -> Option<f64> {
    before.iter().find(|sample| sample.name == LAST_SUCCESS).map(|sample| sample.value)
}

/// The figures after a run. One that was never begun changes nothing but its own count; `totals` says whether there is
/// something to count on from.
pub fn after(
    before: &[Sample],
    end: &End,
    begun: bool,
    success: bool,
    last_success: Option<f64>,
    totals: bool,
) -> Vec<Sample> {
    let mut samples = if begun { of_run(end) } else { Vec::new() };
    let pipeline = ("pipeline", end.pipeline.as_str());
    let kept = |sample: &&Sample| {
        if begun { matches!(sample.name.as_str(), QUARANTINED | RUNS | ITEMS) } else { sample.name != LAST_SUCCESS }
    };
    samples.extend(before.iter().filter(kept).cloned());
    if let Some(time) = if success { Some(seconds(end.ended)) } else { last_success } {
        set(&mut samples, LAST_SUCCESS, &[pipeline], |_| time);
    }
    if end.outcome == "done" {
        let standing = end.standing_quarantined + end.counts.quarantined;
        set(&mut samples, QUARANTINED, &[pipeline], |_| standing as f64);
    }
    if totals {
        let result = end.result.as_deref().unwrap_or("interrupted");
        set(&mut samples, RUNS, &[pipeline, ("result", result)], |runs| runs + 1.0);
        for stage in &end.stage_results {
            for (outcome, count) in words(&stage.counts).into_iter().filter(|(outcome, _)| *outcome != "cached") {
                let labels = [pipeline, ("stage", stage.name.as_str()), ("outcome", outcome)];
                set(&mut samples, ITEMS, &labels, |items| items + count as f64);
            }
        }
    }
    samples
}

/// The figures of one run alone.
fn of_run(end: &End) -> Vec<Sample> {
    let mut samples = Vec::new();
    let pipeline = ("pipeline", end.pipeline.as_str());
    let mut add = |name: &str, labels: &[(&str, &str)], value: Option<f64>| {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            set(&mut samples, name, labels, |_| value);
        }
    };
    add("selvedge_last_run_timestamp_seconds", &[pipeline], Some(seconds(end.ended)));
    add("selvedge_last_run_duration_seconds", &[pipeline], end.seconds);
    add("selvedge_last_run_exit_code", &[pipeline], end.exit.map(f64::from));
    for stage in &end.stage_results {
        let of = [pipeline, ("stage", stage.name.as_str())];
        for (outcome, count) in words(&stage.counts) {
            add("selvedge_last_run_items", &[of[0], of[1], ("outcome", outcome)], Some(count as f64));
        }
        add("selvedge_last_run_stage_seconds", &of, stage.seconds);
        add("selvedge_last_run_source_bytes", &of, stage.bytes.map(|bytes| bytes as f64));
        let work = |key: &str| stage.work.as_ref().and_then(|work| work.get(key)).and_then(serde_json::Value::as_f64);
        add("selvedge_last_run_images_per_second", &of, work("images_per_second"));
        add("selvedge_last_run_cpu_seconds", &of, work("cpu_seconds"));
        add("selvedge_last_run_network_cpu_share", &of, work("network_cpu_share"));
        add("selvedge_last_run_cost_per_1000_images", &of, work("cost_per_1000"));
    }
    samples
}

fn words(counts: &Counts) -> [(&'static str, u64); 5] {
    [
        ("ok", counts.ok),
        ("cached", counts.cached),
        ("review", counts.review),
        ("quarantined", counts.quarantined),
        ("failed", counts.failed),
    ]
}

/// Changes one figure, from 0 where it was not there.
fn set(samples: &mut Vec<Sample>, name: &str, labels: &[(&str, &str)], change: impl Fn(f64) -> f64) {
    let same = |sample: &Sample| {
        sample.name == name
            && sample.labels.len() == labels.len()
            && labels.iter().all(|(label, value)| sample.label(label) == Some(*value))
    };
    match samples.iter_mut().find(|sample| same(sample)) {
        Some(sample) => sample.value = change(sample.value),
        None => samples.push(Sample {
            name: name.to_owned(),
            labels: labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect(),
            value: change(0.0),
        }),
    }
}

/// Figures as text, family by family.
pub fn render(samples: &[Sample]) -> String {
    let mut text = String::new();
    for (name, kind, help) in FAMILIES {
        let mut family: Vec<&Sample> = samples.iter().filter(|sample| sample.name == name).collect();
        if family.is_empty() {
            continue;
        }
        family.sort_by(|a, b| a.labels.cmp(&b.labels));
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for sample in family {
            let labels: Vec<String> =
                sample.labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value))).collect();
            let _ = writeln!(text, "{name}{{{}}} {}", labels.join(","), sample.value);
        }
    }
    text
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Reads figures back, as `render` writes them; `None` when the text is not of that form.
pub fn parse(text: &str) -> Option<Vec<Sample>> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(sample).collect()
}

fn sample(line: &str) -> Option<Sample> {
    let (name, mut rest) = line.split_once('{')?;
    let mut labels = Vec::new();
    while !rest.starts_with('}') {
        let (label, after) = rest.split_once("=\"")?;
        let (value, after) = unescaped(after)?;
        labels.push((label.to_owned(), value));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    let value = rest[1..].trim().parse().ok().filter(|value: &f64| value.is_finite())?;
    Some(Sample { name: name.to_owned(), labels, value })
}

/// A label's value up to its closing quote, and what stands behind that.
fn unescaped(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                other => other,
            }),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use crate::runner::state::StageEnd;
    use proptest::prelude::*;

    #[test]
    fn speed_and_cost_are_told_where_they_are_known() {
        let work = serde_json::json!({
            "images_per_second": 3.5, "cpu_seconds": 12, "network_cpu_share": 0.75, "cost_per_1000": 0.02, "bottleneck": "predict",
        });
        let stage = StageEnd { name: "cut \"out\"".to_owned(), work: Some(work), ..StageEnd::default() };
        let end: End = serde_json::from_value(serde_json::json!({
            "schema": "run/1.1", "owner": "", "pipeline": "p", "outcome": "done", "ended": "2026-11-23T00:00:00Z",
            "counts": Counts::default(), "stages": {}, "artifacts": [], "error": null, "stage_results": [stage],
        }))
        .unwrap();
        let text = render(&after(&[], &end, true, true, None, false));
        for line in ["images_per_second", "cpu_seconds", "network_cpu_share", "cost_per_1000_images"]
            .iter()
            .zip([3.5, 12.0, 0.75, 0.02])
        {
            let line = format!("selvedge_last_run_{}{{pipeline=\"p\",stage=\"cut \\\"out\\\"\"}} {}\n", line.0, line.1);
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(values in prop::collection::vec((any::<String>(), -1e15..1e15), 1..5)) {
            let mut samples = Vec::new();
            for (label, value) in &values {
                set(&mut samples, ITEMS, &[("pipeline", "p"), ("stage", label)], |_| *value);
            }
            samples.sort_by(|a, b| a.labels.cmp(&b.labels));
            prop_assert_eq!(parse(&render(&samples)), Some(samples));
        }

        #[test]
        fn what_was_cut_short_or_damaged_is_no_panic(text in any::<String>(), cut in 0usize..40) {
            let _ = parse(&text);
            let whole = "selvedge_runs_total{pipeline=\"p\\\\\",result=\"done\"} 3";
            let _ = parse(&whole[..cut.min(whole.len())]);
        }
    }
}
