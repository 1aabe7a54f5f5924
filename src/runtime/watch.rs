//! Ends a running network when somebody asks to stop. Must not know what the network computes.

use super::Error;
use crate::cancel::Cancel;
use ort::session::RunOptions;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// How often a running network looks whether it is to stop.
const POLL: Duration = Duration::from_millis(50);

/// Does `work` with options through which it is told to end at the next operator once `cancel` is set. Whatever then
/// comes back as an error is [`Error::Cancelled`].
pub(super) fn cancellable<T>(
    model: &str,
    cancel: &Cancel,
    options: &RunOptions,
    work: impl FnOnce(&RunOptions) -> Result<T, ort::Error>,
) -> Result<T, Error> {
    let (running, watched) = mpsc::channel::<()>();
    let result = thread::scope(|scope| {
        let watch = || {
            let watched = watched;
            loop {
                if cancel.is_cancelled() {
                    // Should the library refuse, the run simply ends by itself.
                    let _ = options.terminate();
                    return;
                }
                if watched.recv_timeout(POLL) != Err(mpsc::RecvTimeoutError::Timeout) {
                    return;
                }
            }
        };
        // Without a watcher the run cannot be cut short, which is no reason not to run.
        let _ = thread::Builder::new().name("cancel-watch".to_owned()).spawn_scoped(scope, watch);
        let result = work(options);
        drop(running);
        result
    });
    result.map_err(|error| match cancel.is_cancelled() {
        true => Error::Cancelled { model: model.to_owned() },
        false => Error::Run { model: model.to_owned(), detail: error.to_string() },
    })
}
