//! Rank 0 in the middle, a TCP connection to every other rank: words, counts and bytes go over it, and it tells that a
//! rank is gone. Must not know GPUs.
//!
//! A connection that closes is how a killed process is noticed, at once and without a clock. Whoever can reach the port
//! while the ranks meet could pose as one of them, as with any of the usual launchers: it is for a cluster's own network.

use super::Error;
use super::agree::{Call, Word, in_step, word};
use super::place::Place;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long ranks wait for one another at the start, and in a call. Rank 0 may evaluate or save for minutes while the
/// others are at the next call already.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    pub(super) meeting: Duration,
    pub(super) call: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Patience { meeting: Duration::from_secs(300), call: Duration::from_secs(1800) }
    }
}

/// What a rank says first, with its rank and the number of ranks.
const GREETING: [u8; 8] = *b"selvedg1";
/// How long a stranger at the port may hold the others up.
const GREETING_WAIT: Duration = Duration::from_secs(5);
const CLOSED: &str = "it closed its connection";
const RETRY: Duration = Duration::from_millis(50);

/// This rank's end of the star.
pub(super) struct Star {
    rank: usize,
    ranks: usize,
    /// On rank 0 the connection to each other rank, from rank 1 on; elsewhere the one to rank 0.
    ends: Vec<TcpStream>,
    wait: Duration,
}

impl Star {
    /// Meets the others; returns when all are there.
    pub(super) fn meet(place: &Place, patience: Patience) -> Result<Star, Error> {
        let ends = match &place.meeting {
            None => Vec::new(),
            Some(meeting) => {
                let failed =
                    |detail: String| Error::Meeting { address: format!("{}:{}", meeting.0, meeting.1), detail };
                let until = Instant::now() + patience.meeting;
                match place.rank {
                    0 => gather(listen(meeting).map_err(failed)?, place.ranks, until).map_err(failed)?,
                    _ => vec![reach(meeting, place, until).map_err(failed)?],
                }
            }
        };
        let mut star = Star { rank: place.rank, ranks: place.ranks, ends, wait: patience.meeting };
        for end in &star.ends {
            let set = end.set_nodelay(true).and_then(|()| end.set_write_timeout(Some(patience.call)));
            set.map_err(|error| Error::Call { call: "setsockopt", detail: error.to_string() })?;
        }
        // Nobody goes on before all are there. Rank 0 gives up first: it knows who is missing.
        star.read_wait(patience.meeting * 2)?;
        star.say(Call::Join, 0)?;
        star.read_wait(patience.call)?;
        Ok(star)
    }

    fn read_wait(&mut self, wait: Duration) -> Result<(), Error> {
        self.wait = wait;
        let set = self.ends.iter().try_for_each(|end| end.set_read_timeout(Some(wait)));
        set.map_err(|error| Error::Call { call: "setsockopt", detail: error.to_string() })
    }

    pub(super) fn rank(&self) -> usize {
        self.rank
    }

    pub(super) fn ranks(&self) -> usize {
        self.ranks
    }

    /// Says `number` before `call`, and returns what all ranks said.
    pub(super) fn say(&self, call: Call, number: u64) -> Result<Vec<u64>, Error> {
        let mut words: Vec<Word> = vec![word(call, number); self.ranks];
        if self.rank == 0 {
            for (end, place) in self.ends.iter().zip(words.iter_mut().skip(1)) {
                let mut bytes = [0; 16];
                self.done(call, end, (&*end).read_exact(&mut bytes))?;
                *place = word_of(bytes);
            }
            let all: Vec<u8> = words.iter().flat_map(|word| bytes_of(*word)).collect();
            self.send(call, &all)?;
        } else if let Some(end) = self.ends.first() {
            self.send(call, &bytes_of(word(call, number)))?;
            for place in &mut words {
                let mut bytes = [0; 16];
                self.done(call, end, (&*end).read_exact(&mut bytes))?;
                *place = word_of(bytes);
            }
        }
        in_step(call, &words)
    }

    /// Adds `values` up over all ranks, after [`Star::say`]; stays at the greatest number rather than wrap.
    pub(super) fn sum_counts(&self, values: &mut [u64]) -> Result<(), Error> {
        let call = Call::SumCounts;
        let mut bytes = vec![0; values.len() * 8];
        if self.rank == 0 {
            for end in &self.ends {
                self.done(call, end, (&*end).read_exact(&mut bytes))?;
                for (sum, value) in values.iter_mut().zip(numbers(&bytes)) {
                    *sum = sum.saturating_add(value);
                }
            }
        }
        let mine: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.send(call, &mine)?;
        if let (1.., Some(end)) = (self.rank, self.ends.first()) {
            self.done(call, end, (&*end).read_exact(&mut bytes))?;
            values.iter_mut().zip(numbers(&bytes)).for_each(|(value, sum)| *value = sum);
        }
        Ok(())
    }

    /// Replaces `bytes` by those of rank 0.
    pub(super) fn broadcast(&self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let call = Call::Broadcast;
        let lengths = self.say(call, bytes.len() as u64)?;
        if self.rank == 0 {
            return self.send(call, bytes);
        }
        let wanted = lengths.first().copied().unwrap_or_default();
        let memory = || Error::Memory { bytes: wanted };
        let length = usize::try_from(wanted).map_err(|_| memory())?;
        bytes.try_reserve_exact(length.saturating_sub(bytes.len())).map_err(|_| memory())?;
        bytes.resize(length, 0);
        match self.ends.first() {
            Some(end) => self.done(call, end, (&*end).read_exact(bytes)),
            None => Ok(()),
        }
    }

    /// Whether a rank is gone, found out without waiting: for those who wait for something else.
    pub(super) fn check(&self, call: Call) -> Result<(), Error> {
        for end in &self.ends {
            let peeked = end.set_nonblocking(true).and_then(|()| end.peek(&mut [0]));
            let back = end.set_nonblocking(false);
            match peeked {
                Ok(0) => return Err(self.gone(end, CLOSED)),
                // Waiting for its word, or ahead with its next one.
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => self.done(call, end, Err(error))?,
            }
            self.done(call, end, back)?;
        }
        Ok(())
    }

    /// To rank 0, or from there to all others.
    fn send(&self, call: Call, bytes: &[u8]) -> Result<(), Error> {
        self.ends.iter().try_for_each(|end| self.done(call, end, (&*end).write_all(bytes)))
    }

    fn done(&self, call: Call, end: &TcpStream, result: io::Result<()>) -> Result<(), Error> {
        result.map_err(|error| match error.kind() {
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Error::Silence { call: call.name(), waited: self.wait },
            ErrorKind::UnexpectedEof => self.gone(end, CLOSED),
            _ => self.gone(end, &error.to_string()),
        })
    }

    fn gone(&self, end: &TcpStream, detail: &str) -> Error {
        let at = self.ends.iter().position(|other| std::ptr::eq(other, end)).unwrap_or_default();
        Error::RankLost { rank: if self.rank == 0 { at + 1 } else { 0 }, detail: detail.to_owned() }
    }
}

fn bytes_of([code, number]: Word) -> [u8; 16] {
    (u128::from(code) << 64 | u128::from(number)).to_le_bytes()
}

fn word_of(bytes: [u8; 16]) -> Word {
    let both = u128::from_le_bytes(bytes);
    [(both >> 64) as u64, both as u64]
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.as_chunks().0.iter().map(|number| u64::from_le_bytes(*number))
}

/// Listens where rank 0 is looked for; on all of the host's addresses when that one is not its own, as behind a name
/// of a service.
fn listen((host, port): &(String, u16)) -> Result<TcpListener, String> {
    let bound = match TcpListener::bind((host.as_str(), *port)) {
        Err(error) if error.kind() != ErrorKind::AddrInUse => TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port))
            .or_else(|_| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port))),
        bound => bound,
    };
    let listener = bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            "another program listens there (torchrun does on its MASTER_PORT); give all ranks a free port in SELVEDGE_MASTER_PORT"
                .to_owned()
        }
        _ => format!("rank 0 cannot listen there: {error}; set MASTER_ADDR to rank 0's host and MASTER_PORT to a free port"),
    })?;
    listener.set_nonblocking(true).map_err(|error| error.to_string())?;
    Ok(listener)
}

/// Waits for ranks 1 and up; what does not greet like one of them is turned away.
fn gather(listener: TcpListener, ranks: usize, until: Instant) -> Result<Vec<TcpStream>, String> {
    let mut ends: Vec<Option<TcpStream>> = (1..ranks).map(|_| None).collect();
    while ends.iter().any(Option::is_none) {
        let end = match listener.accept() {
            Ok((end, _)) => end,
            Err(_) if Instant::now() < until => {
                sleep(RETRY);
                continue;
            }
            Err(_) => {
                let missing = ends.iter().enumerate().filter(|(_, end)| end.is_none());
                let missing: Vec<String> = missing.map(|(at, _)| (at + 1).to_string()).collect();
                return Err(format!("rank {} did not come in time; look at its log", missing.join(", ")));
            }
        };
        let Some((rank, said)) = greeted(&end) else { continue };
        if said != ranks as u64 {
            return Err(format!(
                "rank {rank} was started as one of {said}, rank 0 as one of {ranks}; give all the same WORLD_SIZE"
            ));
        }
        match usize::try_from(rank).ok().and_then(|rank| ends.get_mut(rank.checked_sub(1)?)) {
            Some(empty @ None) => *empty = Some(end),
            _ => return Err(format!("rank {rank} came twice; give every process its own RANK")),
        }
    }
    Ok(ends.into_iter().flatten().collect())
}

fn greeted(end: &TcpStream) -> Option<(u64, u64)> {
    let mut greeting = [0; 24];
    end.set_nonblocking(false).and_then(|()| end.set_read_timeout(Some(GREETING_WAIT))).ok()?;
    (&*end).read_exact(&mut greeting).ok()?;
    let numbers = greeting.strip_prefix(&GREETING)?;
    let mut numbers = self::numbers(numbers);
    Some((numbers.next()?, numbers.next()?))
}

/// Calls rank 0 until it answers: it may have been started later.
fn reach((host, port): &(String, u16), place: &Place, until: Instant) -> Result<TcpStream, String> {
    loop {
        let tried = (host.as_str(), *port).to_socket_addrs().and_then(|addresses| {
            let mut last = io::Error::new(ErrorKind::NotFound, "the host has no address");
            for address in addresses {
                let left = until.saturating_duration_since(Instant::now()).max(RETRY);
                match TcpStream::connect_timeout(&address, left) {
                    // A port that nobody listens on yet can be given to the caller itself.
                    Ok(end) if end.local_addr().ok() == end.peer_addr().ok() => {}
                    Ok(end) => return Ok(end),
                    Err(error) => last = error,
                }
            }
            Err(last)
        });
        match tried {
            Ok(end) => {
                let numbers = [place.rank as u64, place.ranks as u64].map(u64::to_le_bytes);
                let greeting = [&GREETING[..], numbers.as_flattened()].concat();
                (&end)
                    .write_all(&greeting)
                    .map_err(|error| format!("rank 0 closed the connection: {error}; look at its log"))?;
                return Ok(end);
            }
            Err(_) if Instant::now() < until => sleep(RETRY),
            Err(error) => {
                return Err(format!(
                    "rank 0 did not answer in time: {error}; look at its log, and check MASTER_ADDR and MASTER_PORT"
                ));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "star_tests.rs"]
mod tests;
