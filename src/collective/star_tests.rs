//! The star over localhost, a thread for each rank.

use super::*;
use std::sync::Mutex;
use std::thread;

const SHORT: Patience = Patience { meeting: Duration::from_secs(5), call: Duration::from_secs(5) };

/// A port that was free a moment ago, and that no other test here was given.
fn free_port() -> u16 {
    static GIVEN: Mutex<Vec<u16>> = Mutex::new(Vec::new());
    let mut given = GIVEN.lock().unwrap();
    loop {
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        if !given.contains(&port) {
            given.push(port);
            return port;
        }
    }
}

fn place(rank: usize, ranks: usize, port: u16) -> Place {
    Place { rank, ranks, local: rank, meeting: Some(("127.0.0.1".to_owned(), port)) }
}

/// Does `act` as each rank; rank 0 comes last, as it may.
fn as_ranks<T: Send + 'static>(ranks: usize, act: fn(Star) -> T) -> Vec<T> {
    let port = free_port();
    let threads: Vec<_> = (0..ranks)
        .map(|rank| {
            thread::spawn(move || {
                if rank == 0 {
                    sleep(Duration::from_millis(120));
                }
                act(Star::meet(&place(rank, ranks, port), SHORT).unwrap())
            })
        })
        .collect();
    threads.into_iter().map(|thread| thread.join().unwrap()).collect()
}

#[test]
fn every_rank_hears_what_all_said() {
    for ranks in 1..5 {
        let heard = as_ranks(ranks, |star| star.say(Call::Greatest, star.rank() as u64 * 10 + 1).unwrap());
        let expected: Vec<u64> = (0..ranks as u64).map(|rank| rank * 10 + 1).collect();
        assert!(heard.len() == ranks && heard.iter().all(|heard| *heard == expected), "{heard:?}");
    }
}

#[test]
fn counts_are_added_up_for_all() {
    let sums = as_ranks(3, |star| {
        let mut counts: Vec<u64> = (0..5000).map(|at| at << star.rank()).chain([u64::MAX]).collect();
        star.say(Call::SumCounts, counts.len() as u64).unwrap();
        star.sum_counts(&mut counts).unwrap();
        counts
    });
    let expected: Vec<u64> = (0..5000).map(|at| at * 7).chain([u64::MAX]).collect();
    assert!(sums.iter().all(|sums| *sums == expected));
}

#[test]
fn what_rank_0_has_comes_to_all_whatever_they_had() {
    let got = as_ranks(3, |star| {
        let mut bytes = if star.rank() == 0 { vec![7; 300_000] } else { vec![1; star.rank()] };
        star.broadcast(&mut bytes).unwrap();
        let mut none = vec![star.rank() as u8; star.rank()];
        star.broadcast(&mut none).unwrap();
        (bytes, none)
    });
    assert!(got.iter().all(|(bytes, none)| *bytes == vec![7; 300_000] && none.is_empty()));
}

#[test]
fn ranks_at_different_calls_all_fail() {
    let errors = as_ranks(3, |star| {
        let call = if star.rank() == 2 { Call::Leave } else { Call::Sum };
        star.say(call, 0).unwrap_err().to_string()
    });
    assert!(errors.iter().all(|error| error.contains("another step")), "{errors:?}");
}

#[test]
fn a_lost_rank_is_noticed_by_all_without_waiting_for_the_clock() {
    let begun = Instant::now();
    let errors = as_ranks(3, |star| {
        if star.rank() == 2 {
            return String::new();
        }
        // As a rank does that waits for its GPU; rank 1 notices when rank 0 gives up.
        loop {
            match star.check(Call::Sum) {
                Ok(()) => sleep(Duration::from_millis(5)),
                Err(error) => return error.to_string(),
            }
        }
    });
    assert!(errors[0].starts_with("rank 2 is gone") && errors[1].starts_with("rank 0 is gone"), "{errors:?}");
    assert!(begun.elapsed() < SHORT.call);
}

#[test]
fn a_rank_that_is_ahead_with_its_next_word_is_not_taken_for_lost() {
    let sane = as_ranks(2, |star| {
        if star.rank() == 1 {
            return star.say(Call::Leave, 0).is_ok();
        }
        sleep(Duration::from_millis(100));
        star.check(Call::Sum).is_ok() && star.say(Call::Leave, 0).is_ok()
    });
    assert_eq!(sane, [true, true]);
}

#[test]
fn a_rank_that_never_comes_is_named() {
    let short = Patience { meeting: Duration::from_millis(300), ..SHORT };
    let port = free_port();
    let one = thread::spawn(move || Star::meet(&place(1, 3, port), short).err().unwrap().to_string());
    let error = Star::meet(&place(0, 3, port), short).err().unwrap().to_string();
    assert!(error.contains("rank 2 did not come"), "{error}");
    assert!(error.contains(&port.to_string()), "{error}");
    assert!(one.join().unwrap().contains("rank 0"));
}

#[test]
fn without_rank_0_the_others_say_where_they_looked() {
    let short = Patience { meeting: Duration::from_millis(200), ..SHORT };
    let error = Star::meet(&place(1, 2, free_port()), short).err().unwrap().to_string();
    assert!(error.contains("127.0.0.1") && error.contains("MASTER_ADDR"), "{error}");
}

#[test]
fn a_stranger_at_the_port_is_turned_away() {
    let port = free_port();
    let zero = thread::spawn(move || Star::meet(&place(0, 2, port), SHORT).map(|star| star.ranks()).unwrap());
    let mut stranger = loop {
        match TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
            Ok(stranger) => break stranger,
            Err(_) => sleep(Duration::from_millis(5)),
        }
    };
    stranger.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let one = Star::meet(&place(1, 2, port), SHORT).map(|star| star.ranks()).unwrap();
    assert_eq!((one, zero.join().unwrap()), (2, 2));
}

#[test]
fn ranks_of_unlike_jobs_and_twins_are_refused() {
    for (rank, ranks, word) in [(1, 4, "WORLD_SIZE"), (0, 2, "came twice"), (9, 2, "came twice")] {
        let port = free_port();
        let other = thread::spawn(move || {
            let place = Place { rank, ..place(1, ranks, port) };
            reach(&("127.0.0.1".to_owned(), port), &place, Instant::now() + SHORT.meeting)
        });
        let error = Star::meet(&place(0, 2, port), SHORT).err().unwrap().to_string();
        assert!(error.contains(word), "{error}");
        drop(other.join());
    }
}

#[test]
fn a_port_in_use_is_told_with_the_variable_to_set() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let error = Star::meet(&place(0, 2, taken.local_addr().unwrap().port()), SHORT).err().unwrap().to_string();
    assert!(error.contains("SELVEDGE_MASTER_PORT"), "{error}");
}
