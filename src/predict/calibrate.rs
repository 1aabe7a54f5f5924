//! How many sessions of how many threads: the ways to divide the cores are tried on this machine with this model for a
//! second or two each, all sessions at once, and the fastest is taken. Must not know where the answer is kept.
//!
//! Many sessions of one thread lose nothing to waiting for each other, but each holds the model's memory and they share one
//! cache; a few of several threads need less of both. Which wins depends on the model and the processor, so it is measured.

use super::{Error, ModelChoice, ModelInput, Predictor, Settings, open};
use crate::cancel::Cancel;
use crate::runtime::{self, Device, Runtime};
use serde::{Deserialize, Serialize};
use std::sync::Barrier;
use std::time::{Duration, Instant};

/// How long a division is timed, unless two runs of each session take longer.
const TIMED: Duration = Duration::from_millis(1500);
/// Runs of each session at least.
const FEWEST: usize = 2;
/// A division is not worth more threads a session for so little.
const NEARLY: f64 = 0.97;

/// One way to divide the cores.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Sessions side by side.
    pub sessions: usize,
    /// Threads within each.
    pub threads: usize,
    /// Pictures by all of them in a second; 0 where it was not tried.
    pub images_per_second: f64,
    /// Mebibytes that the process grew by; estimated from one session where it was not tried. 0 where the system does not tell.
    pub mebibytes: f64,
    /// Why it was not tried.
    pub skipped: Option<String>,
}

/// The way that was chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Division {
    /// Sessions side by side.
    pub sessions: usize,
    /// Threads within each.
    pub threads: usize,
    /// Pictures by all of them in a second, without decoding and encoding; 0 where nothing was timed.
    pub images_per_second: f64,
    /// All that were tried or skipped, the most sessions first.
    pub tried: Vec<Trial>,
}

/// The divisions of so many cores: as many sessions as cores, half as many with two threads each, and so on to one session.
pub fn divisions(cores: usize) -> Vec<(usize, usize)> {
    let cores = cores.max(1);
    let mut found = Vec::new();
    let mut threads = 1;
    while threads < cores {
        found.push((cores / threads, threads));
        threads *= 2;
    }
    found.push((1, cores));
    found.dedup_by_key(|(sessions, _)| *sessions);
    // Of the two with one session, the one that uses all cores.
    if let Some(last) = found.last_mut().filter(|(sessions, _)| *sessions == 1) {
        last.1 = cores;
    }
    found
}

/// The place of the best among them: the most pictures a second, and of those within 3 % of it the fewest threads a session.
pub fn best(tried: &[Trial]) -> Option<usize> {
    let timed = || tried.iter().enumerate().filter(|(_, trial)| trial.skipped.is_none());
    let most = timed().map(|(_, trial)| trial.images_per_second).fold(0.0, f64::max);
    let near = timed().filter(|(_, trial)| trial.images_per_second >= NEARLY * most);
    near.min_by_key(|(_, trial)| trial.threads).map(|(place, _)| place)
}

/// Times the divisions of `cores` on the model's own input size and gives the best. Divisions whose sessions would need more
/// than `memory` bytes, judged by one session, are skipped, but for one session, which there must be. On a GPU there is
/// one session and nothing to divide; the threshold has no session. The sessions of `settings` are not looked at.
pub fn calibrate(
    choice: &ModelChoice,
    runtime: &Runtime,
    settings: &Settings,
    cores: usize,
    memory: Option<u64>,
    cancel: &Cancel,
) -> Result<Division, Error> {
    let untimed = |sessions| Division { sessions, threads: 1, images_per_second: 0.0, tried: Vec::new() };
    match choice {
        ModelChoice::Threshold => return Ok(untimed(cores.max(1))),
        ModelChoice::Network(_) if settings.session.device != Device::Cpu => return Ok(untimed(1)),
        ModelChoice::Network(_) => {}
    }
    let ways = divisions(cores);
    let one = session_bytes(choice, runtime, settings, cancel)?;
    let mut tried = Vec::with_capacity(ways.len());
    for (sessions, threads) in ways {
        let wanted = one.saturating_mul(sessions as u64);
        let trial = match memory {
            Some(memory) if sessions > 1 && wanted > memory => Trial {
                sessions,
                threads,
                images_per_second: 0.0,
                mebibytes: mebibytes(wanted),
                skipped: Some(format!(
                    "it would take {:.0} MiB of the {:.0} there are",
                    mebibytes(wanted),
                    mebibytes(memory)
                )),
            },
            _ => time(choice, runtime, &divided(settings, sessions, threads), cancel)?,
        };
        tried.push(trial);
    }
    let chosen = best(&tried).and_then(|place| tried.get(place)).cloned();
    let Some(Trial { sessions, threads, images_per_second, .. }) = chosen else { return Ok(untimed(1)) };
    Ok(Division { sessions, threads, images_per_second, tried })
}

fn divided(settings: &Settings, sessions: usize, threads: usize) -> Settings {
    let session = runtime::SessionSettings { intra_threads: threads, ..settings.session.clone() };
    Settings { session, sessions, ..settings.clone() }
}

/// Bytes that one session of one thread makes the process grow by, its first run done; 0 where the system does not tell.
fn session_bytes(choice: &ModelChoice, runtime: &Runtime, settings: &Settings, cancel: &Cancel) -> Result<u64, Error> {
    let before = resident();
    let mut opened = open(choice, || Ok(runtime.clone()), &divided(settings, 1, 1))?;
    let pictures = vec![opened.preparer.noise(); opened.batch.max(1)];
    for predictor in &mut opened.predictors {
        predictor.predict(&pictures, cancel)?;
    }
    Ok(resident().saturating_sub(before))
}

/// Pictures a second of a session, and the session, which is still open.
type Timed = (f64, Box<dyn Predictor>);

fn time(choice: &ModelChoice, runtime: &Runtime, settings: &Settings, cancel: &Cancel) -> Result<Trial, Error> {
    let before = resident();
    let opened = open(choice, || Ok(runtime.clone()), settings)?;
    let pictures = vec![opened.preparer.noise(); opened.batch.max(1)];
    let start = Barrier::new(opened.predictors.len());
    let rates: Vec<Result<Timed, Error>> = std::thread::scope(|scope| {
        let run = |mut predictor: Box<dyn Predictor>| {
            let (start, pictures) = (&start, &pictures);
            scope.spawn(move || Ok((rate(predictor.as_mut(), pictures, start, cancel)?, predictor)))
        };
        let threads: Vec<_> = opened.predictors.into_iter().map(run).collect();
        let ended = |thread: std::thread::ScopedJoinHandle<'_, _>| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        threads.into_iter().map(ended).collect()
    });
    let rates = rates.into_iter().collect::<Result<Vec<_>, Error>>()?;
    // The sessions are still open here.
    let grown = resident().saturating_sub(before);
    Ok(Trial {
        sessions: settings.sessions,
        threads: settings.session.intra_threads,
        images_per_second: rates.iter().map(|(rate, _)| rate).sum(),
        mebibytes: mebibytes(grown),
        skipped: None,
    })
}

/// Pictures a second of one session, timed together with the others.
fn rate(
    predictor: &mut dyn Predictor,
    pictures: &[ModelInput],
    start: &Barrier,
    cancel: &Cancel,
) -> Result<f64, Error> {
    let warm = predictor.predict(pictures, cancel);
    // Everybody comes here, also one that failed, or the others would wait for ever.
    start.wait();
    warm?;
    let begun = Instant::now();
    let mut runs = 0;
    while runs < FEWEST || begun.elapsed() < TIMED {
        predictor.predict(pictures, cancel)?;
        runs += 1;
    }
    Ok((runs * pictures.len()) as f64 / begun.elapsed().as_secs_f64())
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Bytes of memory that this process holds; 0 where the system does not tell.
fn resident() -> u64 {
    kibibytes("/proc/self/status", "VmRSS:").unwrap_or(0)
}

/// A line of a file of the system, in bytes.
fn kibibytes(path: &str, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok()?.checked_mul(1024)
}

/// Bytes of memory that there are for this process: what the machine has left, or the cgroup if that is less. `None` where
/// the system does not tell.
pub fn available_memory() -> Option<u64> {
    let machine = kibibytes("/proc/meminfo", "MemAvailable:");
    let read = |name: &str| -> Option<u64> {
        std::fs::read_to_string(format!("{}/{name}", cgroup()?)).ok()?.trim().parse().ok()
    };
    let group = read("memory.max").map(|most| most.saturating_sub(read("memory.current").unwrap_or(0)));
    [machine, group].into_iter().flatten().min()
}

/// The folder of this process's cgroup, version 2.
fn cgroup() -> Option<String> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?.trim_end_matches('/').to_owned();
    Some(format!("/sys/fs/cgroup{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(sessions: usize, threads: usize, images_per_second: f64) -> Trial {
        Trial { sessions, threads, images_per_second, mebibytes: 0.0, skipped: None }
    }

    #[test]
    fn cores_are_divided_by_two_and_two_down_to_one_session() {
        assert_eq!(divisions(1), [(1, 1)]);
        assert_eq!(divisions(2), [(2, 1), (1, 2)]);
        assert_eq!(divisions(6), [(6, 1), (3, 2), (1, 6)]);
        assert_eq!(divisions(16), [(16, 1), (8, 2), (4, 4), (2, 8), (1, 16)]);
        assert_eq!(divisions(0), [(1, 1)]);
    }

    #[test]
    fn the_fastest_wins_unless_fewer_threads_are_nearly_as_fast() {
        let tried = [trial(8, 1, 9.8), trial(4, 2, 10.0), trial(1, 8, 7.0)];
        assert_eq!(best(&tried), Some(0));
        let tried = [trial(8, 1, 9.6), trial(4, 2, 10.0), trial(1, 8, 7.0)];
        assert_eq!(best(&tried), Some(1));
    }

    #[test]
    fn what_was_skipped_is_never_chosen() {
        let skipped = Trial { skipped: Some("too much memory".to_owned()), ..trial(8, 1, 0.0) };
        assert_eq!(best(&[skipped.clone(), trial(1, 8, 0.0)]), Some(1));
        assert_eq!(best(&[skipped]), None);
        assert_eq!(best(&[]), None);
    }
}
