//! Wall-clock time as the tables and manifests write it. Must not know who asks.

/// A point in time (UTC); prints as RFC 3339, e.g. `2026-11-23T02:15:00Z`.
pub type Timestamp = jiff::Timestamp;

/// The current time of this host, cut to milliseconds, the precision of every table.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}
