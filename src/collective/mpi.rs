//! Ranks joined by MPI: what is sent to whom, and in which order it is added up. Must not know the C interface.
//!
//! MPI only moves bytes here; the adding is done in this file, in the order of the ranks. So the sums do not depend on
//! the library, the network or the moment, and a library's own reduction, which may do as it likes, is not asked. Each
//! rank adds up its share of the values and hands the sums to all: as many bytes on the wire as the best reductions.

mod library;

use super::agree::{Call, Word, in_step, word};
use super::{Collective, Error};
use library::{Blocks, Library, Loaded, Plain};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

/// Values that are added up at once: long enough for the network, short enough that all blocks stay in the cache.
const CHUNK: usize = 1 << 20;

/// Bytes that one call of MPI broadcasts, whose counts end at 2³¹.
const PIECE: usize = 1 << 30;

/// Launchers' variables that hold the number of processes, with the libraries that answer to that launcher.
const LAUNCHERS: [(&str, &[&str]); 3] =
    [("OMPI_COMM_WORLD_SIZE", &OPEN_MPI), ("PMI_SIZE", &MPICH), ("SLURM_STEP_NUM_TASKS", &[])];
const OPEN_MPI: [&str; 1] = ["libmpi.so.40"];
const MPICH: [&str; 3] = ["libmpi.so.12", "libmpich.so.12", "libmpi_abi.so.1"];

static JOINED: AtomicBool = AtomicBool::new(false);

struct Mpi<H> {
    library: Library<H>,
    rank: usize,
    ranks: usize,
    /// Room for the blocks that come in, kept between sums.
    staging: Vec<f32>,
}

/// Finds the library, begins MPI and learns this process's place.
pub(super) fn join() -> Result<Box<dyn Collective>, Error> {
    if JOINED.swap(true, Ordering::SeqCst) {
        return Err(Error::JoinedBefore);
    }
    let variable = |name: &str| std::env::var(name).ok();
    match library::load(&names(variable))? {
        Loaded::Ints(library) => begin(library, launched(variable)),
        Loaded::Pointers(library) => begin(library, launched(variable)),
    }
}

fn begin<H: Copy + Send + Sync + 'static>(
    library: Library<H>,
    launched: Option<(&'static str, usize)>,
) -> Result<Box<dyn Collective>, Error> {
    let any_thread = library.init()?;
    let (rank, ranks) = library.place()?;
    // Checked before anything binds the job to this process: MPI is ended in good order, and the message is printed.
    let refusal = match launched {
        Some((variable, said)) if ranks == 1 && said > 1 => {
            Some(Error::LauncherOfAnother { variable, said, library: library.name().to_owned() })
        }
        _ if !any_thread => Some(Error::LibraryUnfit {
            library: library.name().to_owned(),
            detail: "it was built without threads (MPI_THREAD_SERIALIZED)".to_owned(),
            advice: "use an MPI that was built with them",
        }),
        _ => None,
    };
    if let Some(refusal) = refusal {
        library.finalize()?;
        return Err(refusal);
    }
    library.bind_job_to_process()?;
    Ok(Box::new(Mpi { library, rank, ranks, staging: Vec::new() }))
}

/// The launcher's word on how many processes it started, with its variable.
fn launched(variable: impl Fn(&str) -> Option<String>) -> Option<(&'static str, usize)> {
    LAUNCHERS.iter().find_map(|(name, _)| Some((*name, variable(name)?.parse().ok()?)))
}

/// The libraries to try: the one that was named and no other, else the launcher's first.
fn names(variable: impl Fn(&str) -> Option<String>) -> Vec<String> {
    if let Some(named) = variable("SELVEDGE_MPI").filter(|named| !named.is_empty()) {
        return vec![named];
    }
    let launchers = LAUNCHERS.iter().find(|(name, _)| variable(name).is_some()).map_or(&[][..], |(_, names)| names);
    let mut names: Vec<String> = Vec::new();
    for name in launchers.iter().chain(&OPEN_MPI).chain(&MPICH).chain(&["libmpi.so"]) {
        if !names.iter().any(|listed| listed == name) {
            names.push((*name).to_owned());
        }
    }
    names
}

/// The share of `length` values that rank `rank` of `ranks` adds up.
fn share(length: usize, rank: usize, ranks: usize) -> Range<usize> {
    // Within a chunk, so that the products are far from overflowing.
    length * rank / ranks..length * (rank + 1) / ranks
}

/// Adds the blocks of `length` values that follow the first one to it, in their order.
fn add_up<T: Plain>(blocks: &mut [T], length: usize, add: fn(T, T) -> T) {
    let (first, others) = blocks.split_at_mut(length.min(blocks.len()));
    for block in others.chunks_exact(length.max(1)) {
        for (sum, value) in first.iter_mut().zip(block) {
            *sum = add(*sum, *value);
        }
    }
}

impl<H: Copy + Send + Sync + 'static> Mpi<H> {
    fn agree(&self, call: Call, number: u64) -> Result<Vec<u64>, Error> {
        let words: Vec<Word> = self.library.all_gather(word(call, number), self.ranks)?;
        in_step(call, &words)
    }

    fn sum_in_rank_order<T: Plain>(
        &self,
        values: &mut [T],
        staging: &mut Vec<T>,
        zero: T,
        add: fn(T, T) -> T,
    ) -> Result<(), Error> {
        for chunk in values.chunks_mut(CHUNK) {
            let shares: Vec<_> = (0..self.ranks).map(|rank| share(chunk.len(), rank, self.ranks)).collect();
            let mine = share(chunk.len(), self.rank, self.ranks).len();
            staging.resize(mine * self.ranks, zero);
            let of_all = Blocks {
                counts: shares.iter().map(ExactSizeIterator::len).collect(),
                starts: shares.iter().map(|share| share.start).collect(),
            };
            let from_all =
                Blocks { counts: vec![mine; self.ranks], starts: (0..self.ranks).map(|rank| rank * mine).collect() };
            self.library.all_to_all((chunk, &of_all), (staging, &from_all))?;
            add_up(staging, mine, add);
            self.library.gather_blocks(staging.get(..mine).unwrap_or_default(), chunk, &of_all)?;
        }
        Ok(())
    }
}

impl<H: Copy + Send + Sync + 'static> Collective for Mpi<H> {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn sum(&mut self, values: &mut [f32]) -> Result<(), Error> {
        self.agree(Call::Sum, values.len() as u64)?;
        let mut staging = std::mem::take(&mut self.staging);
        self.sum_in_rank_order(values, &mut staging, 0.0, |a, b| a + b)?;
        self.staging = staging;
        Ok(())
    }

    fn sum_counts(&mut self, values: &mut [u64]) -> Result<(), Error> {
        self.agree(Call::SumCounts, values.len() as u64)?;
        self.sum_in_rank_order(values, &mut Vec::new(), 0, u64::saturating_add)
    }

    fn broadcast(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let lengths = self.agree(Call::Broadcast, bytes.len() as u64)?;
        let wanted = lengths.first().copied().unwrap_or_default();
        let length = usize::try_from(wanted).map_err(|_| Error::Memory { bytes: wanted })?;
        bytes.try_reserve_exact(length.saturating_sub(bytes.len())).map_err(|_| Error::Memory { bytes: wanted })?;
        bytes.resize(length, 0);
        for piece in bytes.chunks_mut(PIECE) {
            self.library.broadcast(piece)?;
        }
        Ok(())
    }

    fn greatest(&mut self, value: u64) -> Result<u64, Error> {
        Ok(self.agree(Call::Greatest, value)?.into_iter().max().unwrap_or(value))
    }

    fn leave(self: Box<Self>) -> Result<(), Error> {
        self.agree(Call::Leave, 0)?;
        self.library.finalize()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_every_value_once() {
        for length in [0, 1, 2, 5, 7, 1000] {
            for ranks in 1..9 {
                let all: Vec<usize> = (0..ranks).flat_map(|rank| share(length, rank, ranks)).collect();
                assert_eq!(all, (0..length).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn blocks_are_added_in_the_order_of_the_ranks() {
        // 1 + 2⁻²⁴ + 2⁻²⁴ is 1 in that order, and more in the other.
        let small = 2_f32.powi(-24);
        let mut blocks = [1.0, 0.5, small, 0.25, small, 0.25];
        add_up(&mut blocks, 2, |a, b| a + b);
        assert_eq!(blocks[..2], [1.0, 1.0]);
        let mut none: [f32; 0] = [];
        add_up(&mut none, 0, |a, b| a + b);
    }

    #[test]
    fn the_launchers_own_library_is_tried_first() {
        let of = |set: &'static str| names(move |name| (name == set).then(|| "2".to_owned()));
        assert_eq!(of("OMPI_COMM_WORLD_SIZE").first().unwrap(), "libmpi.so.40");
        assert_eq!(of("PMI_SIZE").first().unwrap(), "libmpi.so.12");
        assert_eq!(of("PMI_SIZE").len(), 5);
        assert_eq!(of("SELVEDGE_MPI"), ["2"]);
        assert_eq!(of("").first().unwrap(), "libmpi.so.40");
    }

    #[test]
    fn a_launchers_count_is_read() {
        assert_eq!(launched(|name| (name == "PMI_SIZE").then(|| "4".to_owned())), Some(("PMI_SIZE", 4)));
        assert_eq!(launched(|_| None), None);
    }
}
