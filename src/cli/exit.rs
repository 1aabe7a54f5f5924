//! Exit codes, and which of them a result comes to. Pure; must not end the process.

use crate::cancel::Cause;
use crate::outcome::Counts;
use crate::{runner, stage};

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

    /// The exit of a run that stopped.
    pub fn of_run(error: &runner::Error) -> Self {
        use crate::storage::Error as Storage;
        match error {
            runner::Error::Busy { .. } | runner::Error::ArrayBusy(_) => Self::Busy,
            runner::Error::NotYet(_) | runner::Error::Storage(Storage::Transient { .. }) => Self::TryAgain,
            runner::Error::Usage(_) | runner::Error::Incompatible { .. } | runner::Error::Pipeline(_) => Self::Usage,
            runner::Error::Table(crate::table::Error::OtherMajor { .. }) => Self::Usage,
            runner::Error::Storage(Storage::Usage { .. }) => Self::Usage,
            runner::Error::Stage { error, .. } => Self::of_stage(error),
            runner::Error::State { .. } | runner::Error::Table(_) | runner::Error::Storage(_) => Self::Failed,
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
        let stage = |error| runner::Error::Stage { stage: "s".to_owned(), error };
        assert_eq!(Exit::of_run(&stage(stage::Error::Cancelled(Cause::Signal))), Exit::Stopped);
        assert_eq!(Exit::of_run(&stage(stage::Error::LostLock(String::new()))), Exit::TryAgain);
        assert_eq!(Exit::of_run(&stage(stage::Error::Usage(String::new()))), Exit::Usage);
        assert_eq!(Exit::of_run(&stage(stage::Error::Blocked(String::new()))), Exit::Blocked);
        assert_eq!(Exit::of_run(&stage(stage::Error::Failed(String::new()))), Exit::Failed);
        assert_eq!(Exit::of_run(&runner::Error::NotYet(String::new())), Exit::TryAgain);
        assert_eq!(Exit::of_run(&runner::Error::ArrayBusy(String::new())), Exit::Busy);
    }
}
