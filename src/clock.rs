//! Wall-clock time as the tables and manifests write it, and processor time as this thread and process spend it. Must not
//! know who asks.

use rustix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// A point in time (UTC); prints as RFC 3339, e.g. `2026-11-23T02:15:00Z`.
pub type Timestamp = jiff::Timestamp;

/// The current time of this host, cut to milliseconds, the precision of every table.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// The processor time that the calling thread has spent.
pub fn of_thread() -> Duration {
    spent(ClockId::ThreadCPUTime)
}

/// The processor time that all threads of this process have spent.
pub fn of_process() -> Duration {
    spent(ClockId::ProcessCPUTime)
}

fn spent(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0))
}
