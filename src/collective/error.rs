//! What can go wrong between ranks. Must not know which numbers were on the way.

use std::time::Duration;

/// Why the ranks could not be joined, or no longer work together.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A word that is no kind of collective.
    #[error("{word:?} is no way to train on several ranks; write none, mpi or nccl")]
    UnknownKind {
        /// The word as it was written.
        word: String,
    },
    /// This program was built without the kind.
    #[error("this selvedge was built without {kind}; build it with `cargo build --release --features {kind}`")]
    NotBuilt {
        /// The kind, which is also the cargo feature's name.
        kind: &'static str,
    },
    /// None of the library's names could be loaded.
    #[error("{what} could not be loaded; tried {}; {advice}", tried.join("; "))]
    LibraryMissing {
        /// The library, as people call it.
        what: &'static str,
        /// Each name that was tried, with the loader's words.
        tried: Vec<String>,
        /// What to install or which variable to set.
        advice: &'static str,
    },
    /// A library was loaded, and is not the one it should be.
    #[error("{library} cannot be used: {detail}; {advice}")]
    LibraryUnfit {
        /// The file or name it was loaded by.
        library: String,
        /// What is wrong with it.
        detail: String,
        /// What to install or which variable to set.
        advice: &'static str,
    },
    /// MPI was joined before in this process; it can be only once.
    #[error("this process has joined MPI before, and it can be joined only once; start a new job")]
    JoinedBefore,
    /// The launcher started several processes, and the library sees one alone.
    #[error(
        "{variable} says that {said} processes were started, but {library} sees this one alone: the launcher belongs to another MPI; use the mpiexec of the same MPI, or name the launcher's library with SELVEDGE_MPI"
    )]
    LauncherOfAnother {
        /// The launcher's variable.
        variable: &'static str,
        /// The number it holds.
        said: usize,
        /// The library that was loaded.
        library: String,
    },
    /// A call of a library failed.
    #[error("{call} failed: {detail}")]
    Call {
        /// The function's name.
        call: &'static str,
        /// The library's words.
        detail: String,
    },
    /// A variable that the launcher should have set is missing or wrong.
    #[error(
        "{variable} {detail}; start every rank with RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT, as torchrun or a Slurm script does"
    )]
    Environment {
        /// The variable or variables.
        variable: &'static str,
        /// What is wrong.
        detail: String,
    },
    /// The ranks did not find one another.
    #[error("the ranks could not meet at {address}: {detail}")]
    Meeting {
        /// Host and port of rank 0.
        address: String,
        /// What happened, and what to do.
        detail: String,
    },
    /// A rank ended, or its host did.
    #[error(
        "rank {rank} is gone ({detail}); its own message says why; start the job again, it goes on from the last checkpoint"
    )]
    RankLost {
        /// The rank on the other end; rank 0 also stands for those behind it.
        rank: usize,
        /// What the connection said.
        detail: String,
    },
    /// The others did not come to the same call in time.
    #[error(
        "no answer from the other ranks for {} s in {call}; one of them hangs or its host is gone; look at their logs and start the job again",
        waited.as_secs()
    )]
    Silence {
        /// The call.
        call: &'static str,
        /// How long was waited.
        waited: Duration,
    },
    /// The ranks made different calls, or bring sums of different lengths.
    #[error(
        "rank {rank} is at another step than this one ({detail}); start all ranks with the same program and the same settings"
    )]
    OutOfStep {
        /// The first rank that differs.
        rank: usize,
        /// The two calls or lengths.
        detail: String,
    },
    /// Not enough memory for what rank 0 sends.
    #[error("{bytes} bytes of rank 0 do not fit into this rank's memory; give the rank more")]
    Memory {
        /// The size.
        bytes: u64,
    },
    /// An earlier error ended the collective.
    #[error("the ranks were parted by an earlier error; start the job again, it goes on from the last checkpoint")]
    Parted,
}
