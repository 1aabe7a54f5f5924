//! One rank of the tests of `collective`, started in numbers by `tests/mpi.sh`. Must not know the script's launchers.
//!
//! `ranks KIND check` holds every call to what it must give; `time MB` times sums; `loop` sums until it is killed;
//! `fail` and `panic` end rank 1 without leaving; `lengths` brings unequal lengths; `steps` makes unequal calls.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test's process: a panic is its failure, its output is read by the script"
)]

use selvedge::collective::{Collective, join};
use std::process::ExitCode;
use std::time::Instant;

/// What rank `rank` brings at `at`: values whose sum depends on the order of addition.
fn brought(rank: usize, at: usize) -> f32 {
    let mixed = (at as u32 ^ (rank as u32) << 20).wrapping_mul(2_654_435_761);
    let magnitude = [1.0, 1e-3, 1e4, 1e-7][(mixed >> 28) as usize % 4];
    ((mixed >> 8) as f32 / (1 << 23) as f32 - 1.0) * magnitude
}

fn check(all: &mut dyn Collective) {
    let (rank, ranks) = (all.rank(), all.ranks());
    for length in [0, 1, 3, 1000, (1 << 20) - 1, (1 << 20) + 1, 3_000_001, (1 << 24) + 5] {
        let mut values: Vec<f32> = (0..length).map(|at| brought(rank, at)).collect();
        all.sum(&mut values).unwrap();
        for (at, value) in values.iter().enumerate() {
            let expected = (1..ranks).fold(brought(0, at), |sum, rank| sum + brought(rank, at));
            assert_eq!(value.to_bits(), expected.to_bits(), "at {at} of {length}");
        }
    }
    let mut counts: Vec<u64> = (0..841).map(|at| (at as u64) << (rank * 8)).chain([u64::MAX]).collect();
    all.sum_counts(&mut counts).unwrap();
    for (at, count) in counts.iter().enumerate().take(841) {
        assert_eq!(*count, (0..ranks).map(|rank| (at as u64) << (rank * 8)).sum::<u64>());
    }
    assert_eq!(counts.last(), Some(&u64::MAX));
    for length in [0, 1, 5_000_000] {
        let mut bytes = if rank == 0 { (0..length).map(|at| at as u8).collect() } else { vec![9; rank * 7] };
        all.broadcast(&mut bytes).unwrap();
        assert!(bytes.len() == length && bytes.iter().enumerate().all(|(at, byte)| *byte == at as u8));
    }
    assert_eq!(all.greatest(0).unwrap(), 0);
    assert_eq!(all.greatest((rank * 10) as u64).unwrap(), (ranks as u64 - 1) * 10);
    assert_eq!(all.greatest(u64::MAX - rank as u64).unwrap(), u64::MAX);
    println!("rank {rank} of {ranks}: as it must be");
}

fn time(all: &mut dyn Collective, megabytes: usize) {
    let mut values = vec![0.5_f32; megabytes * 1_000_000 / 4];
    let mut seconds: Vec<f64> = Vec::new();
    for _ in 0..9 {
        all.greatest(0).unwrap();
        let begun = Instant::now();
        all.sum(&mut values).unwrap();
        seconds.push(begun.elapsed().as_secs_f64());
    }
    let begun = Instant::now();
    for _ in 0..1000 {
        all.greatest(1).unwrap();
    }
    let vote = begun.elapsed().as_secs_f64() / 1000.0;
    seconds.sort_by(f64::total_cmp);
    if all.rank() == 0 {
        println!(
            "sum of {megabytes} MB over {} ranks: median {:.3} s, least {:.3} s, most {:.3} s; a vote: {:.1} µs",
            all.ranks(),
            seconds[4],
            seconds[0],
            seconds[8],
            vote * 1e6
        );
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ranks: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [kind, test, rest @ ..] = &words[..] else { return Err("usage: ranks KIND TEST [MB]".into()) };
    let mut all = join(kind.parse()?, None)?;
    let rank = all.rank();
    match test.as_str() {
        "check" => check(&mut *all),
        "time" => time(&mut *all, rest.first().map_or(Ok(100), |word| word.parse())?),
        "loop" => {
            println!("rank {rank} is process {}", std::process::id());
            loop {
                all.sum(&mut vec![1.0; 100_000])?;
            }
        }
        "fail" if rank == 1 => return Err("rank 1 has had enough".into()),
        "panic" if rank == 1 => panic!("rank 1 has had enough"),
        "lengths" => all.sum(&mut vec![1.0; 5 + rank])?,
        "steps" if rank == 1 => drop(all.greatest(0)?),
        "fail" | "panic" | "steps" => all.sum(&mut [1.0])?,
        _ => return Err(format!("no test is called {test}").into()),
    }
    Ok(all.leave()?)
}
