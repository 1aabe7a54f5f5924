//! The lock of a pipeline: `locks/<pipeline>/<epoch>.json`, created if absent; the highest epoch holds it. Nothing is
//! deleted to be retaken, and the heartbeat is a separate object. Must not know what is done under the lock.

use super::Error;
use super::heart::Heart;
use crate::cancel::{Cancel, Cause};
use crate::clock::{self, Timestamp};
use crate::id;
use crate::storage::{Created, Store};
use bytes::Bytes;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

/// A holder without a heartbeat for this long, by the store's clock, is taken for dead.
const SILENCE_SECONDS: i64 = 90;

/// Who holds, or held, a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Settles who won when an answer is lost.
    pub owner: String,
    /// The run.
    pub run: String,
    /// The host's name.
    pub host: String,
    /// The boot of that host: a process of another boot is dead.
    pub boot: String,
    /// The space of process numbers on that host: containers of one name have one each, and cannot see one another.
    #[serde(default)]
    pub space: String,
    /// The process.
    pub pid: u32,
    /// When that process started, in clock ticks since boot: tells it from a later one with the same number.
    pub process_start: u64,
    /// When the lock was taken, by the host's clock.
    pub since: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Beat {
    owner: String,
    released: bool,
}

/// A lock that is held. Dropping it without `release` leaves it to be taken over, as a kill would.
pub struct Lock {
    store: Store,
    folder: String,
    epoch: u64,
    owner: String,
    heart: Option<Heart>,
}

/// What the state of a lock's highest epoch allows.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Nobody holds it.
    Free,
    /// The holder lives, as far as can be told.
    Held,
}

/// Who holds the lock now, if anybody does.
pub fn held_by(store: &Store, pipeline: &str) -> Result<Option<Holder>, Error> {
    let folder = format!("locks/{pipeline}");
    match highest(store, &folder)? {
        Some(epoch) => holder(store, &folder, epoch),
        None => Ok(None),
    }
}

fn holder(store: &Store, folder: &str, epoch: u64) -> Result<Option<Holder>, Error> {
    let key = format!("{folder}/{}", file(epoch));
    let bytes = store.wait(store.get(&key))?;
    let holder: Holder = parse(&key, &bytes)?;
    Ok((verdict(store, folder, epoch, &holder)? == Verdict::Held).then_some(holder))
}

/// Takes the lock, or says who holds it.
pub fn acquire(store: &Store, pipeline: &str, run: &str, cancel: &Cancel) -> Result<Lock, Error> {
    let folder = format!("locks/{pipeline}");
    let highest = highest(store, &folder)?;
    if let Some(epoch) = highest
        && let Some(holder) = holder(store, &folder, epoch)?
    {
        return Err(Error::Busy { pipeline: pipeline.to_owned(), holder: Box::new(holder) });
    }
    let epoch = highest.unwrap_or(0) + 1;
    let holder = myself(run);
    let key = format!("{folder}/{}", file(epoch));
    match store.wait(store.create(&key, json(&holder)))? {
        Created::New => {}
        Created::Exists(bytes) => {
            // Somebody who started at the same time was quicker; exactly one create of an epoch succeeds.
            return Err(Error::Busy { pipeline: pipeline.to_owned(), holder: Box::new(parse(&key, &bytes)?) });
        }
    }
    let mut lock = Lock { store: store.clone(), folder, epoch, owner: holder.owner, heart: None };
    lock.beat(false)?;
    lock.heart = Some(lock.keep_beating(cancel.clone()));
    Ok(lock)
}

impl Lock {
    /// The epoch under which everything done now is published.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Gives the lock back.
    pub fn release(mut self) -> Result<(), Error> {
        if let Some(heart) = self.heart.take() {
            heart.stop();
        }
        self.beat(true)
    }

    fn beat(&self, released: bool) -> Result<(), Error> {
        beat(&self.store, &self.folder, self.epoch, &self.owner, released)
    }

    /// Beats until told to stop, and asks the work to stop when a higher epoch appears.
    fn keep_beating(&self, cancel: Cancel) -> Heart {
        let (store, folder, epoch, owner) = (self.store.clone(), self.folder.clone(), self.epoch, self.owner.clone());
        Heart::start(move || {
            if !still_highest(&store, &folder, epoch).unwrap_or(true) {
                cancel.cancel(Cause::LostLock);
                return false;
            }
            // A beat that cannot be written now is tried again at the next one; silence for 90 s gives the lock away.
            let _ = beat(&store, &folder, epoch, &owner, false);
            true
        })
    }
}

/// Whether no epoch above this one exists: asked before anything is published.
pub fn still_held(store: &Store, pipeline: &str, epoch: u64) -> Result<bool, Error> {
    still_highest(store, &format!("locks/{pipeline}"), epoch)
}

fn still_highest(store: &Store, folder: &str, epoch: u64) -> Result<bool, Error> {
    Ok(highest(store, folder)?.is_none_or(|highest| highest <= epoch))
}

fn highest(store: &Store, folder: &str) -> Result<Option<u64>, Error> {
    let prefix = format!("{folder}/");
    let objects: Vec<_> = store.wait(store.list(&prefix).try_collect())?;
    let epochs = objects.iter().filter_map(|object: &crate::storage::ObjectInfo| {
        crate::table::manifest::version_of(object.key.strip_prefix(&prefix)?)
    });
    Ok(epochs.max())
}

fn file(epoch: u64) -> String {
    crate::table::manifest::version_file(epoch)
}

fn beat_key(folder: &str, epoch: u64) -> String {
    format!("{folder}/{epoch:010}.beat")
}

fn beat(store: &Store, folder: &str, epoch: u64, owner: &str, released: bool) -> Result<(), Error> {
    let beat = Beat { owner: owner.to_owned(), released };
    Ok(store.wait(store.put(&beat_key(folder, epoch), json(&beat)))?)
}

fn verdict(store: &Store, folder: &str, epoch: u64, holder: &Holder) -> Result<Verdict, Error> {
    let key = beat_key(folder, epoch);
    let last = match store.wait(store.head(&key))? {
        Some(info) => {
            let beat: Beat = parse(&key, &store.wait(store.get(&key))?)?;
            if beat.released {
                return Ok(Verdict::Free);
            }
            Some(info.modified)
        }
        // Killed between the create and the first beat: the create itself is the last sign of life.
        None => store.wait(store.head(&format!("{folder}/{}", file(epoch))))?.map(|info| info.modified),
    };
    let here = myself("");
    let visible = (&holder.host, &holder.boot, &holder.space) == (&here.host, &here.boot, &here.space);
    if visible && !here.space.is_empty() {
        let alive = process_start(holder.pid) == Some(holder.process_start);
        return Ok(if alive { Verdict::Held } else { Verdict::Free });
    }
    let Some(last) = last else { return Ok(Verdict::Free) };
    let now = store.wait(store.server_time(&format!("{folder}/clock")))?;
    Ok(if now.as_second() - last.as_second() > SILENCE_SECONDS { Verdict::Free } else { Verdict::Held })
}

fn myself(run: &str) -> Holder {
    let read = |path: &str| std::fs::read_to_string(path).map(|text| text.trim().to_owned()).unwrap_or_default();
    let pid = std::process::id();
    Holder {
        owner: id::token(),
        run: run.to_owned(),
        host: host(),
        boot: read("/proc/sys/kernel/random/boot_id"),
        space: std::fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default(),
        pid,
        process_start: process_start(pid).unwrap_or(0),
        since: clock::now(),
    }
}

/// This host's name, as tables and locks hold it.
pub fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map(|name| name.trim().to_owned()).unwrap_or_default()
}

/// When a process started, in ticks since boot; `None` when there is no such process (a zombie counts as none).
fn process_start(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so fields are counted from behind it; state is field 3, start field 22.
    let fields: Vec<&str> = stat.get(stat.rfind(')')? + 1..)?.split_whitespace().collect();
    if matches!(*fields.first()?, "Z" | "X") {
        return None;
    }
    fields.get(19)?.parse().ok()
}

fn json<T: Serialize>(value: &T) -> Bytes {
    // Plain structs of strings and numbers always serialise.
    Bytes::from(serde_json::to_vec_pretty(value).unwrap_or_default())
}

fn parse<'a, T: Deserialize<'a>>(key: &str, bytes: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|error| Error::State { key: key.to_owned(), detail: error.to_string() })
}

#[cfg(test)]
mod tests {
    #[test]
    fn this_process_lives_and_a_made_up_one_does_not() {
        assert!(super::process_start(std::process::id()).is_some());
        assert_eq!(super::process_start(u32::MAX), None);
    }
}
