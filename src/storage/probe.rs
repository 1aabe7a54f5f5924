//! Tries whether a store keeps the promises that runs rely on, for `selvedge doctor`. Must not know any backend.

use super::{Created, Error, Store};
use crate::id;
use bytes::Bytes;
use futures::TryStreamExt;
use futures::future::join_all;
use std::fmt;

/// Writers that race to create one object, and how often they do.
const WRITERS: usize = 8;
const ROUNDS: usize = 10;

/// One promise of a store, tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// The promise, in words.
    pub name: &'static str,
    /// Whether it was kept.
    pub passed: bool,
    /// What was seen; what to do about it when it was not kept.
    pub detail: String,
}

/// What was tried on a store, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeReport {
    /// The store, for people.
    pub url: String,
    /// The promises in the order they were tried.
    pub checks: Vec<Check>,
}

impl ProbeReport {
    /// Whether runs may use the store.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

impl fmt::Display for ProbeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)?;
        for Check { name, passed, detail } in &self.checks {
            let mark = if *passed { "ok" } else { "FAILED" };
            write!(f, "\n  {mark}: {name} ({detail})")?;
        }
        Ok(())
    }
}

/// Writes, reads, lists, creates and deletes under a folder of its own, `.probe-…`, and removes what it wrote. An error is one
/// of reaching the store at all; a broken promise is in the report.
pub async fn probe(store: &Store) -> Result<ProbeReport, Error> {
    let folder = format!(".probe-{}", id::token());
    let mut written = Vec::new();
    let checks = checks(&store.child(&folder), &mut written).await;
    for key in written {
        let removed = store.child(&folder).delete(&key).await;
        if checks.is_ok() {
            removed?;
        }
    }
    Ok(ProbeReport { url: store.url().to_owned(), checks: checks? })
}

async fn checks(store: &Store, written: &mut Vec<String>) -> Result<Vec<Check>, Error> {
    let mut checks = Vec::new();
    let mut tell = |name, passed, detail: String| checks.push(Check { name, passed, detail });
    // '-' sorts before '/', and 'b' before 'ü', which tells byte order from the orders of dictionaries and folders.
    let keys = ["a b+c#1%.txt", "b-x", "b/x", "ü/😀.txt"];
    for key in keys {
        written.push(key.to_owned());
        store.put(key, Bytes::from(format!("probe of {key}"))).await?;
    }
    let mut same = true;
    for key in keys {
        same &= store.get(key).await? == format!("probe of {key}").as_bytes();
    }
    tell("what was put is read back, under names with spaces and signs", same, format!("{} objects", keys.len()));
    match store.list("").map_ok(|found| found.key).try_collect::<Vec<_>>().await {
        Ok(listed) => tell("a listing is complete and in key order", listed == keys, listed.join(", ")),
        Err(error @ Error::Unordered { .. }) => {
            tell("a listing is complete and in key order", false, error.to_string());
        }
        Err(error) => return Err(error),
    }
    written.push("twice".to_owned());
    let first = store.create("twice", Bytes::from(id::token())).await?;
    let second = store.create("twice", Bytes::from(id::token())).await?;
    let once = first == Created::New && matches!(second, Created::Exists(_));
    let advice = "the store overwrites what should only be created; runs there could lose work, use another store";
    tell("an object is created once", once, if once { "the second create was told so".into() } else { advice.into() });
    let mut lost = 0;
    for round in 0..ROUNDS {
        let key = format!("race-{round}");
        written.push(key.clone());
        let outcomes = join_all((0..WRITERS).map(|_| store.create(&key, Bytes::from(id::token())))).await;
        let mut winners = 0;
        for outcome in outcomes {
            winners += usize::from(outcome? == Created::New);
        }
        lost += usize::from(winners != 1);
    }
    let detail = match lost {
        0 => format!("{ROUNDS} rounds of {WRITERS} writers"),
        _ => format!("{lost} of {ROUNDS} rounds had no winner or several; {advice}"),
    };
    tell("of writers that race to create an object exactly one wins", lost == 0, detail);
    for key in written.drain(..) {
        store.delete(&key).await?;
    }
    let left = store.list("").try_collect::<Vec<_>>().await?.len();
    tell("what was deleted is gone", left == 0, format!("{left} objects left"));
    Ok(checks)
}
