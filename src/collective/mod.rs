//! Ranks that train together: sums, a broadcast and a vote over all of them, and nothing else. Must not know graphs,
//! tables or what the numbers mean.
//!
//! Every call is collective: all ranks make the same calls in the same order, or each of them gets an error. The sums
//! are bit-equal on all ranks. A rank that is lost is never waited for without end: with MPI the launcher ends the job,
//! with NCCL the others get [`Error::RankLost`].

#[cfg(any(feature = "mpi", feature = "nccl"))]
mod agree;
mod alone;
mod error;
#[cfg(any(feature = "mpi", feature = "nccl"))]
mod load;
#[cfg(feature = "mpi")]
mod mpi;
#[cfg(feature = "nccl")]
mod nccl;
#[cfg(feature = "nccl")]
mod place;
#[cfg(feature = "nccl")]
mod star;

pub use alone::Alone;
pub use error::Error;

use std::str::FromStr;

/// All the ranks of one training, seen from one of them.
pub trait Collective: Send {
    /// This process's number, from 0 to below [`Collective::ranks`].
    fn rank(&self) -> usize;

    /// How many processes train together, at least 1.
    fn ranks(&self) -> usize;

    /// Replaces each of `values` by its sum over all ranks, the same bits on every rank; fails on all of them when the
    /// lengths differ. With MPI it is added up in the order of the ranks, whatever the library. With NCCL the order is
    /// the library's own, fixed for the same GPUs and the same length as long as no switch does the adding: set
    /// `NCCL_NVLS_ENABLE=0` and `NCCL_COLLNET_ENABLE=0` where a run must repeat another bit by bit.
    fn sum(&mut self, values: &mut [f32]) -> Result<(), Error>;

    /// Replaces each of `values` by its sum over all ranks; stays at the greatest `u64` rather than wrap.
    fn sum_counts(&mut self, values: &mut [u64]) -> Result<(), Error>;

    /// Replaces `bytes` by what rank 0 has; the length may differ before.
    fn broadcast(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error>;

    /// The greatest of the values that the ranks bring: a vote, such as whether anybody was asked to stop.
    fn greatest(&mut self, value: u64) -> Result<u64, Error>;

    /// The good end, made by all ranks. Whoever ends without it (an error, a panic) takes the job down with it, as the
    /// others would wait for ever: with MPI when the process ends, so that it can still say why; with NCCL at once.
    fn leave(self: Box<Self>) -> Result<(), Error>;
}

/// Which library carries the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One process, nothing to carry.
    Alone,
    /// MPI: processes on CPUs, started by `mpiexec` or `srun`.
    Mpi,
    /// NCCL: one process for each NVIDIA GPU.
    Nccl,
}

impl FromStr for Kind {
    type Err = Error;

    fn from_str(word: &str) -> Result<Self, Error> {
        match word {
            "none" => Ok(Kind::Alone),
            "mpi" => Ok(Kind::Mpi),
            "nccl" => Ok(Kind::Nccl),
            _ => Err(Error::UnknownKind { word: word.to_owned() }),
        }
    }
}

/// Joins the other ranks that were started with this process; waits for them. `device` is the ordinal of the CUDA
/// device to stage through, else the launcher's local rank; only [`Kind::Nccl`] asks for it.
pub fn join(kind: Kind, device: Option<usize>) -> Result<Box<dyn Collective>, Error> {
    match kind {
        Kind::Alone => Ok(Box::new(Alone)),
        #[cfg(feature = "mpi")]
        Kind::Mpi => mpi::join(),
        #[cfg(not(feature = "mpi"))]
        Kind::Mpi => Err(Error::NotBuilt { kind: "mpi" }),
        #[cfg(feature = "nccl")]
        Kind::Nccl => nccl::join(device),
        #[cfg(not(feature = "nccl"))]
        Kind::Nccl => {
            let _ = device;
            Err(Error::NotBuilt { kind: "nccl" })
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_by_their_words() {
        assert_eq!("none".parse::<Kind>().unwrap(), Kind::Alone);
        assert_eq!("mpi".parse::<Kind>().unwrap(), Kind::Mpi);
        assert_eq!("nccl".parse::<Kind>().unwrap(), Kind::Nccl);
        let error = "MPI".parse::<Kind>().unwrap_err().to_string();
        assert!(error.contains("MPI") && error.contains("none, mpi or nccl"), "{error}");
    }

    #[test]
    #[cfg(not(feature = "mpi"))]
    fn a_program_built_without_mpi_says_how_to_build_it_with() {
        let error = join(Kind::Mpi, None).err().unwrap().to_string();
        assert!(error.contains("--features mpi"), "{error}");
    }

    #[test]
    #[cfg(not(feature = "nccl"))]
    fn a_program_built_without_nccl_says_how_to_build_it_with() {
        let error = join(Kind::Nccl, None).err().unwrap().to_string();
        assert!(error.contains("--features nccl"), "{error}");
    }
}
