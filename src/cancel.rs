//! The wish to stop, carried to every loop that can take a while. Must not know who wishes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// Why the work is to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// SIGTERM or SIGINT: stop after the current commit, exit 143.
    Signal,
    /// Another run has taken the lock over: stop without another commit, exit 75.
    LostLock,
    /// A station of the same stage has failed: drain and report that failure.
    Failure,
}

/// A flag shared by all clones; the first cause stays.
#[derive(Clone, Debug, Default)]
pub struct Cancel {
    cause: Arc<AtomicU8>,
    above: Option<Arc<Cancel>>,
}

impl Cancel {
    /// A flag that is up when this one is, and whose own cause stays unknown to this one: for one run of several.
    pub fn below(&self) -> Self {
        Self { cause: Arc::default(), above: Some(Arc::new(self.clone())) }
    }

    /// Asks everyone who holds a clone to stop.
    pub fn cancel(&self, cause: Cause) {
        let code = cause as u8 + 1;
        // Losing the race means that an earlier cause is already set, and that one is kept.
        let _ = self.cause.compare_exchange(0, code, Ordering::SeqCst, Ordering::SeqCst);
    }

    /// The cause, once somebody asked to stop.
    pub fn cause(&self) -> Option<Cause> {
        match self.cause.load(Ordering::SeqCst) {
            0 => self.above.as_ref().and_then(|above| above.cause()),
            1 => Some(Cause::Signal),
            2 => Some(Cause::LostLock),
            _ => Some(Cause::Failure),
        }
    }

    /// Whether somebody asked to stop.
    pub fn is_cancelled(&self) -> bool {
        self.cause().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_goes_down_and_not_up() {
        let whole = Cancel::default();
        let (first, second) = (whole.below(), whole.below());
        first.cancel(Cause::Failure);
        assert_eq!((first.cause(), second.cause(), whole.cause()), (Some(Cause::Failure), None, None));
        whole.cancel(Cause::Signal);
        assert_eq!((first.cause(), second.cause()), (Some(Cause::Failure), Some(Cause::Signal)));
    }
}
