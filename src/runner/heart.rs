//! A thread that gives a sign of life every 15 seconds. Must not know to whom.

use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a sign of life is given.
const BEAT: Duration = Duration::from_secs(15);

/// A heart that beats until it is stopped or dropped.
pub struct Heart {
    stop: Sender<()>,
    thread: JoinHandle<()>,
}

impl Heart {
    /// Begins to beat; `beat` answers whether to go on.
    pub fn start(beat: impl Fn() -> bool + Send + 'static) -> Self {
        let (stop, stopped) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            while stopped.recv_timeout(BEAT) == Err(RecvTimeoutError::Timeout) {
                if !beat() {
                    return;
                }
            }
        });
        Self { stop, thread }
    }

    /// Stops, and waits until a beat under way has ended.
    pub fn stop(self) {
        drop(self.stop);
        // A heart that panicked has nothing more to say.
        let _ = self.thread.join();
    }
}
