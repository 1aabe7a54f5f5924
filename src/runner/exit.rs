//! Exit codes, and which of them a result comes to: how the program ends, what `outcome.json` holds and what watchers are
//! told. Pure; must not end the process.

use super::{Error, Summary};
use crate::cancel::Cause;
use crate::outcome::Counts;
use crate::stage;

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// All done.
    Done = 0,
    /// Failed, or more quarantined than allowed.
    Failed = 1,
    /// Usage or configuration: nothing was begun.
    Usage = 2,
    /// Done, with items quarantined within the limit.
    Quarantined = 3,
    /// A data check blocked the output.
    Blocked = 4,
    /// Another run holds the lock.
    Busy = 5,
    /// Try again later.
    TryAgain = 75,
    /// Stopped by SIGTERM after a clean checkpoint.
    Stopped = 143,
}

impl Exit {
    /// The word in the JSON result.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Quarantined => "done_with_quarantine",
            Self::Blocked => "blocked",
            Self::Busy => "busy",
            Self::TryAgain => "try_again",
            Self::Stopped => "stopped",
        }
    }

    /// The exit of work that came to its end. Failures come before quarantined items.
    pub fn of_counts(counts: &Counts, over_limit: bool) -> Self {
        if counts.failed > 0 || over_limit {
            Self::Failed
        } else if counts.quarantined > 0 {
            Self::Quarantined
        } else {
            Self::Done
        }
    }

    /// The same for a task of an array job: to the engine quarantined items are data.
    pub fn of_share(counts: &Counts) -> Self {
        if counts.failed > 0 { Self::Failed } else { Self::Done }
    }

    /// The exit of a stage that stopped.
    pub fn of_stage(error: &stage::Error) -> Self {
        use crate::storage::Error as Storage;
        match error {
            stage::Error::Cancelled(Cause::Signal) => Self::Stopped,
            stage::Error::Cancelled(Cause::LostLock) | stage::Error::LostLock(_) | stage::Error::Conflict(_) => {
                Self::TryAgain
            }
            stage::Error::Usage(_) | stage::Error::Table(crate::table::Error::OtherMajor { .. }) => Self::Usage,
            stage::Error::Storage(Storage::Usage { .. }) => Self::Usage,
            stage::Error::Storage(Storage::Transient { .. }) => Self::TryAgain,
            stage::Error::Blocked(_) => Self::Blocked,
            stage::Error::Cancelled(Cause::Failure) | stage::Error::Failed(_) => Self::Failed,
            stage::Error::Table(_) | stage::Error::Storage(_) => Self::Failed,
        }
    }

    /// Of the ends of several runs, the one that is told: what stands first in the documented order.
    pub fn worst(ends: impl IntoIterator<Item = Self>) -> Self {
        const ORDER: [Exit; 8] = [
            Exit::Usage,
            Exit::Busy,
            Exit::Stopped,
            Exit::TryAgain,
            Exit::Failed,
            Exit::Blocked,
            Exit::Quarantined,
            Exit::Done,
        ];
        let place = |end: &Self| ORDER.iter().position(|other| other == end);
        ends.into_iter().min_by_key(place).unwrap_or(Self::Done)
    }

    /// Whether the work is done, be it with items quarantined within the limit.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Done | Self::Quarantined)
    }

    /// The exit of a run.
    pub fn of_result(result: &Result<Summary, Error>) -> Self {
        match result {
            Ok(summary) => Self::of_counts(&summary.counts, !summary.over_limit.is_empty()),
            Err(error) => Self::of_run(error),
        }
    }

    /// The exit of a run that stopped.
    pub fn of_run(error: &Error) -> Self {
        use crate::storage::Error as Storage;
        match error {
            Error::Busy { .. } | Error::ArrayBusy(_) => Self::Busy,
            Error::NotYet(_) | Error::Storage(Storage::Transient { .. }) => Self::TryAgain,
            Error::Usage(_) | Error::Incompatible { .. } | Error::Pipeline(_) => Self::Usage,
            Error::Table(crate::table::Error::OtherMajor { .. }) => Self::Usage,
            Error::Storage(Storage::Usage { .. }) => Self::Usage,
            Error::Stage { error, .. } => Self::of_stage(error),
            Error::State { .. } | Error::Table(_) | Error::Storage(_) => Self::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_the_one_that_is_promised() {
        let codes = [
            (Exit::Done, 0),
            (Exit::Failed, 1),
            (Exit::Usage, 2),
            (Exit::Quarantined, 3),
            (Exit::Blocked, 4),
            (Exit::Busy, 5),
            (Exit::TryAgain, 75),
            (Exit::Stopped, 143),
        ];
        for (exit, code) in codes {
            assert_eq!(exit as u8, code, "{}", exit.word());
        }
    }

    #[test]
    fn of_several_runs_the_worst_end_is_told() {
        assert_eq!(Exit::worst([]), Exit::Done);
        assert_eq!(Exit::worst([Exit::Done, Exit::Quarantined, Exit::Done]), Exit::Quarantined);
        assert_eq!(Exit::worst([Exit::Blocked, Exit::Failed]), Exit::Failed);
        assert_eq!(Exit::worst([Exit::Failed, Exit::TryAgain]), Exit::TryAgain);
        assert_eq!(Exit::worst([Exit::TryAgain, Exit::Stopped]), Exit::Stopped);
    }

    #[test]
    fn watchers_may_be_bound_to_every_end() {
        for exit in [
            Exit::Done,
            Exit::Failed,
            Exit::Usage,
            Exit::Quarantined,
            Exit::Blocked,
            Exit::Busy,
            Exit::TryAgain,
            Exit::Stopped,
        ] {
            assert!(crate::pipeline::watch::ENDS.contains(&exit.word()), "{}", exit.word());
        }
    }

    #[test]
    fn failures_come_before_quarantined_items() {
        let counts = |quarantined, failed| Counts { ok: 1, quarantined, failed, ..Counts::default() };
        assert_eq!(Exit::of_counts(&counts(0, 0), false), Exit::Done);
        assert_eq!(Exit::of_counts(&counts(1, 0), false), Exit::Quarantined);
        assert_eq!(Exit::of_counts(&counts(1, 0), true), Exit::Failed);
        assert_eq!(Exit::of_counts(&counts(1, 1), false), Exit::Failed);
        assert_eq!(Exit::of_share(&counts(1, 0)), Exit::Done);
        assert_eq!(Exit::of_share(&counts(0, 1)), Exit::Failed);
    }

    #[test]
    fn why_a_run_stopped_decides_its_code() {
        let stage = |error| Error::Stage { stage: "s".to_owned(), error };
        assert_eq!(Exit::of_run(&stage(stage::Error::Cancelled(Cause::Signal))), Exit::Stopped);
        assert_eq!(Exit::of_run(&stage(stage::Error::LostLock(String::new()))), Exit::TryAgain);
        assert_eq!(Exit::of_run(&stage(stage::Error::Usage(String::new()))), Exit::Usage);
        assert_eq!(Exit::of_run(&stage(stage::Error::Blocked(String::new()))), Exit::Blocked);
        assert_eq!(Exit::of_run(&stage(stage::Error::Failed(String::new()))), Exit::Failed);
        assert_eq!(Exit::of_run(&Error::NotYet(String::new())), Exit::TryAgain);
        assert_eq!(Exit::of_run(&Error::ArrayBusy(String::new())), Exit::Busy);
    }
}
