//! Where the time of a line of stations went: what each one was busy for, and what part of the processor's time the network
//! had. Must not know what the stations do.

use crate::clock;
use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The stations in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Station {
    /// Reading the source.
    Fetch,
    /// Decoding, resizing and normalising.
    Decode,
    /// The network.
    Predict,
    /// Matte, colour, products and encoding.
    Compose,
    /// Writing the outputs.
    Put,
}

/// Every station, with its name.
const STATIONS: [(Station, &str); 5] = [
    (Station::Fetch, "fetch"),
    (Station::Decode, "decode"),
    (Station::Predict, "predict"),
    (Station::Compose, "compose"),
    (Station::Put, "put"),
];

/// What one station has spent, in nanoseconds over all of its threads.
#[derive(Default)]
struct Spent {
    busy: AtomicU64,
    cpu: AtomicU64,
}

/// Adds up what the stations spend.
pub struct Meter {
    stations: [Spent; 5],
    began: Instant,
    process: Duration,
}

/// Where the time of a stage went.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Images that came to an end.
    pub images: u64,
    /// Wall time, s.
    pub seconds: f64,
    /// Processor time of the whole process meanwhile, s.
    pub cpu_seconds: f64,
    /// Images by wall second.
    pub images_per_second: f64,
    /// Share of the processor time that the network's runs took, 0–1.
    pub network_cpu_share: f64,
    /// The station that was busy for the greatest share of its threads' time.
    pub bottleneck: String,
    /// That share, 0–1.
    pub busy: f64,
    /// Processor seconds of each station, in the order fetch, decode, predict, compose, put. What waits for the store on
    /// other threads is in none.
    pub station_cpu_seconds: [f64; 5],
    /// What a thousand images cost, in the currency of the price that was given for an hour of a core.
    pub cost_per_1000: Option<f64>,
}

impl Meter {
    /// Begins to count.
    pub fn begin() -> Self {
        Self { stations: Default::default(), began: Instant::now(), process: clock::of_process() }
    }

    /// Does some work of a station and counts it, on the calling thread.
    pub fn time<T>(&self, station: Station, work: impl FnOnce() -> T) -> T {
        let (began, cpu) = (Instant::now(), clock::of_thread());
        let done = work();
        self.stations[station as usize].busy.fetch_add(nanoseconds(began.elapsed()), Ordering::Relaxed);
        self.add_cpu(station, clock::of_thread().saturating_sub(cpu));
        done
    }

    /// Counts processor time that a station spent on another thread.
    pub fn add_cpu(&self, station: Station, cpu: Duration) {
        self.stations[station as usize].cpu.fetch_add(nanoseconds(cpu), Ordering::Relaxed);
    }

    /// What it came to. `threads` of each station; `inner` are the threads that a run of the network has of its own, whose
    /// time no thread of ours sees; `price` is of an hour of a core, of which there are `cores`.
    pub fn work(&self, images: u64, threads: [usize; 5], inner: usize, cores: usize, price: Option<f64>) -> Work {
        let seconds = self.began.elapsed().as_secs_f64();
        let cpu_seconds = clock::of_process().saturating_sub(self.process).as_secs_f64();
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / 1e9;
        let mut cpu = [0, 1, 2, 3, 4].map(|at| read(&self.stations[at].cpu));
        if inner > 1 {
            // The session's own threads: what nobody else spent.
            let others: f64 = cpu.iter().sum::<f64>() - cpu[Station::Predict as usize];
            cpu[Station::Predict as usize] = (cpu_seconds - others).max(cpu[Station::Predict as usize]);
        }
        let shares = [0, 1, 2, 3, 4].map(|at| read(&self.stations[at].busy) / (threads[at].max(1) as f64 * seconds));
        let (at, busy) = shares.into_iter().enumerate().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or((0, 0.0));
        let rate = |of: f64, by: f64| if by > 0.0 { of / by } else { 0.0 };
        let hours = seconds * cores as f64 / 3600.0;
        Work {
            images,
            seconds,
            cpu_seconds,
            images_per_second: rate(images as f64, seconds),
            network_cpu_share: rate(cpu[Station::Predict as usize], cpu_seconds).min(1.0),
            bottleneck: STATIONS[at].1.to_owned(),
            busy: busy.min(1.0),
            station_cpu_seconds: cpu,
            cost_per_1000: price.filter(|_| images > 0).map(|price| hours * price * 1000.0 / images as f64),
        }
    }
}

impl std::fmt::Display for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { images_per_second, network_cpu_share, cpu_seconds, bottleneck, busy, .. } = self;
        write!(f, "{images_per_second:.2} images/s, {:.0} % of {cpu_seconds:.1} CPU s", network_cpu_share * 100.0)?;
        write!(f, " inside the network, bottleneck {bottleneck} ({:.0} % busy)", busy * 100.0)?;
        match self.cost_per_1000 {
            Some(cost) => write!(f, ", {cost:.4} per 1,000 images"),
            None => Ok(()),
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn burn() -> u64 {
        (0..3_000_000_u64).fold(1, |sum, at| sum.wrapping_mul(31).wrapping_add(at))
    }

    #[test]
    fn the_station_that_works_is_the_bottleneck_and_has_the_time() {
        let meter = Meter::begin();
        std::hint::black_box(meter.time(Station::Predict, burn));
        let work = meter.work(2, [1; 5], 1, 2, Some(3600.0));
        assert_eq!(work.bottleneck, "predict");
        assert!(work.station_cpu_seconds[2] > 0.0 && work.network_cpu_share > 0.0, "{work:?}");
        let cost = work.cost_per_1000.unwrap_or_default();
        assert!((cost - work.seconds * 1000.0).abs() <= cost * 1e-9, "{work:?}");
    }

    #[test]
    fn threads_of_the_network_are_counted_as_the_rest() {
        let meter = Meter::begin();
        meter.time(Station::Predict, || drop(std::thread::spawn(burn).join()));
        let outside = meter.work(1, [1; 5], 1, 1, None).network_cpu_share;
        let inside = meter.work(1, [1; 5], 4, 1, None).network_cpu_share;
        assert!(inside > outside, "{inside} {outside}");
    }
}
