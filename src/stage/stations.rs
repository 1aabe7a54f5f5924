//! Three stations in a row: one makes work, one does it, one puts the results away. Each has a thread, and at most one piece
//! waits between two of them, so that memory stays bounded and the order stays what it was. Must not know the work.

use super::Error;
use std::sync::mpsc::sync_channel;

/// Pieces that may wait between two stations.
const WAITING: usize = 1;

/// Runs the stations to their end. `make` calls its argument with each piece and stops when that says `false`: a later
/// station has ended. `work` runs on the caller's thread. The first error in the order `put`, `work`, `make` is returned.
pub(super) fn run<A: Send, B: Send>(
    make: impl FnOnce(&mut dyn FnMut(A) -> bool) -> Result<(), Error> + Send,
    mut work: impl FnMut(A) -> Result<B, Error>,
    mut put: impl FnMut(B) -> Result<(), Error> + Send,
) -> Result<(), Error> {
    std::thread::scope(|scope| {
        let (to_work, pieces) = sync_channel::<A>(WAITING);
        let (to_put, results) = sync_channel::<B>(WAITING);
        let making = scope.spawn(move || make(&mut |piece| to_work.send(piece).is_ok()));
        let putting = scope.spawn(move || results.into_iter().try_for_each(&mut put));
        let mut worked = Ok(());
        for piece in pieces {
            match work(piece) {
                Ok(result) => {
                    if to_put.send(result).is_err() {
                        break;
                    }
                }
                Err(error) => {
                    worked = Err(error);
                    break;
                }
            }
        }
        drop(to_put);
        // The loop has dropped the receiver by now, so that `make` ends at its next piece.
        let put = putting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let made = making.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        put.and(worked).and(made)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use crate::stage::Error;

    #[test]
    fn the_order_stays_and_a_failure_ends_all_stations() {
        let mut seen = Vec::new();
        let all = |give: &mut dyn FnMut(u32) -> bool| {
            let _ = (0..100).all(give);
            Ok(())
        };
        super::run(
            all,
            |piece| Ok(piece * 2),
            |result| {
                seen.push(result);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(seen, (0..100).map(|piece| piece * 2).collect::<Vec<_>>());
        let failed = |_: u32| Err(Error::Failed("full".to_owned()));
        assert!(super::run(all, Ok, failed).is_err());
        let bad = |piece| if piece == 3 { Err(Error::Failed("bad".to_owned())) } else { Ok(piece) };
        assert!(super::run(all, bad, |_| Ok(())).is_err());
    }
}
