//! What a run's committed shards change: attempts appended, quarantine replaced, ledger rewritten where it changed. Each step
//! may be repeated, so that a finish that was killed is simply done again. Must not know how the rows came about.

use super::state::{self, ShardCommit, StagePlan};
use super::{Error, freeze, ledger};
use crate::outcome::{Outcome, Reason};
use crate::stage::tables::{Place, Publication};
use crate::stage::{Context, cutout, quarantine};
use crate::table::{self, Manifest, PartWriter, read, schema};
use crate::{digest, digest::Fingerprint};
use arrow::array::{Array, AsArray, RecordBatch};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use std::collections::BTreeMap;

/// How often a table that several runs share is tried again when another one was quicker.
const MOST_CONFLICTS: usize = 16;
/// Outputs that are removed at a time.
const REMOVALS: usize = 16;
/// What a ledger names in its dependencies that a person changed after a fold; whatever was folded stands beside it.
pub const REVIEWED: &str = "reviewed";

/// Folds the committed shards of a stage into the tables. Attempts and quarantine come before the ledger: the ledger's new
/// version says that all of it is done.
///
/// Outputs that no row names any more are removed before that, where the settings say so, and always where they wait for a
/// person: killed in between, the ledger still names them. Gives how many were removed, and how many stay behind.
pub fn fold(
    plan: &StagePlan,
    commits: &[ShardCommit],
    context: &Context,
    pipeline: &str,
    settings: &cutout::Settings,
) -> Result<Tidied, Error> {
    let of_stage = Error::of_stage(&plan.stage);
    let folder = ledger::folder(pipeline, &plan.stage);
    let place = ledger::place(&folder);
    let current = context.tables.current_at(place).map_err(&of_stage)?;
    let depends_on = folded(plan, commits, context);
    let is_folded = |ledger: &Manifest| {
        let mut held = ledger.depends_on.clone();
        held.0.remove(REVIEWED);
        held == depends_on
    };
    if commits.is_empty() && plan.gone == 0 || current.as_ref().is_some_and(is_folded) {
        return Ok(Tidied::default());
    }
    append_attempts(plan, commits, context, pipeline)?;
    let mut publication = Publication::begin(context, place);
    let changes = ledger::Changes {
        rows: Box::new(commits.iter().flat_map(|commit| match ledger_rows(plan, commit, context) {
            Ok(batches) => batches.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        })),
        gone: Box::new(freeze::gone(context.tables.store(), &context.run, plan)),
    };
    let mut stale = Vec::new();
    ledger::fold(&context.tables, place, current.as_ref(), changes, &mut publication, &mut |left| stale.push(left))?;
    let key = format!("{folder}/fingerprints/{}.json", plan.fingerprint.digest());
    let store = context.tables.store();
    let parts = serde_json::to_vec_pretty(&plan.fingerprint).unwrap_or_default();
    store.wait(store.create(&key, Bytes::from(parts)))?;
    let parts = publication.parts().to_vec();
    let bad = quarantined(place, &parts, context)?;
    quarantine::replace(context, &depends_on, bad).map_err(&of_stage)?;
    (context.fence)().map_err(&of_stage)?;
    let tidied = tidy(stale, context, settings)?;
    publication.publish(current.as_ref(), depends_on, BTreeMap::new()).map_err(&of_stage)?;
    Ok(tidied)
}

/// What became of outputs that no row names any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Removed.
    pub removed: u64,
    /// Still there, since the settings do not say that they should go.
    pub left: u64,
}

fn tidy(stale: Vec<ledger::Stale>, context: &Context, settings: &cutout::Settings) -> Result<Tidied, Error> {
    let of_stage = Error::of_stage(&context.stage);
    let mut tidied = Tidied::default();
    if stale.is_empty() {
        return Ok(tidied);
    }
    let places = cutout::Places::open(settings, context.tables.store(), &context.stage).map_err(of_stage)?;
    let mut go = Vec::new();
    for ledger::Stale { keys, outcome } in stale {
        if settings.remove_stale || outcome == Outcome::Review {
            go.extend(keys.into_iter().map(|key| (places.of(outcome), key)));
        } else {
            tidied.left += keys.len() as u64;
        }
    }
    tidied.removed = go.len() as u64;
    let removals = futures::stream::iter(go).map(|(place, key)| async move { place.delete(&key).await });
    context.tables.store().wait(removals.buffer_unordered(REMOVALS).try_for_each(|()| async { Ok(()) }))?;
    Ok(tidied)
}

/// Which commits a version of the ledger holds: so that folding them again is seen to be done.
fn folded(plan: &StagePlan, commits: &[ShardCommit], context: &Context) -> Fingerprint {
    let owners: Vec<&str> = commits.iter().map(|commit| commit.owner.as_str()).collect();
    Fingerprint::default()
        .with("run", &context.run)
        .with("plan", &plan.owner)
        .with("commits", digest::of(owners.join(",").as_bytes()))
}

/// The rows of one commit as the table `attempts` has them, checked against the commit.
pub(super) fn attempt_rows(
    plan: &StagePlan,
    commit: &ShardCommit,
    context: &Context,
) -> Result<Vec<RecordBatch>, Error> {
    let store = context.tables.store();
    let key = format!("{}/{}", state::stage_folder(&context.run, &plan.stage), commit.file);
    let bytes = store.wait(store.get(&key))?;
    if bytes.len() as u64 != commit.size || digest::of(&bytes) != commit.blake3 {
        return Err(table::Error::Checksum { file: key }.into());
    }
    Ok(read::batches(&schema::ATTEMPTS, bytes, None)?.collect::<Result<_, _>>()?)
}

fn ledger_rows(plan: &StagePlan, commit: &ShardCommit, context: &Context) -> Result<Vec<RecordBatch>, Error> {
    let wanted = schema::LEDGER.schema();
    let mut rows = Vec::new();
    for batch in attempt_rows(plan, commit, context)? {
        let columns: Vec<usize> = wanted
            .fields()
            .iter()
            .map(|field| batch.schema().index_of(field.name()))
            .collect::<Result<_, _>>()
            .map_err(table::Error::from)?;
        rows.push(batch.project(&columns).map_err(table::Error::from)?);
    }
    Ok(rows)
}

/// Appends the run's attempts as one part, unless they are there already.
fn append_attempts(plan: &StagePlan, commits: &[ShardCommit], context: &Context, pipeline: &str) -> Result<(), Error> {
    let of_stage = Error::of_stage(&plan.stage);
    let tag = format!("{pipeline}/{}/{}", plan.stage, context.run);
    for _ in 0..MOST_CONFLICTS {
        let current = context.tables.current(&schema::ATTEMPTS).map_err(&of_stage)?;
        if commits.is_empty() || current.iter().flat_map(|table| &table.parts).any(|part| part.stage == tag) {
            return Ok(());
        }
        let mut publication = Publication::begin(context, Place::from(&schema::ATTEMPTS));
        for part in current.iter().flat_map(|table| &table.parts) {
            publication.keep(part.clone());
        }
        let mut writer = PartWriter::new(&schema::ATTEMPTS)?;
        for commit in commits {
            for batch in attempt_rows(plan, commit, context)? {
                writer.write(&batch)?;
            }
            if writer.bytes_written() > table::part::PART_BYTES {
                let full = std::mem::replace(&mut writer, PartWriter::new(&schema::ATTEMPTS)?);
                publication.put(full.finish()?).map_err(&of_stage)?.stage.clone_from(&tag);
            }
        }
        if writer.rows() > 0 {
            publication.put(writer.finish()?).map_err(&of_stage)?.stage.clone_from(&tag);
        }
        match publication.publish(current.as_ref(), Fingerprint::default(), BTreeMap::new()) {
            Ok(_) => return Ok(()),
            // Another pipeline of this store appended at the same time: take its parts over and try again.
            Err(crate::stage::Error::Conflict(_)) => {}
            Err(error) => return Err(of_stage(error)),
        }
    }
    Err(Error::NotYet("the table attempts is being written by too many runs at once".to_owned()))
}

/// Every row of the new ledger that stands quarantined.
pub(super) fn quarantined(
    place: Place<'_>,
    parts: &[table::PartEntry],
    context: &Context,
) -> Result<Vec<quarantine::Row>, Error> {
    let columns = ["key", "outcome", "reason", "detail"];
    let mut rows = Vec::new();
    let mut reasons: BTreeMap<&'static str, Reason> = BTreeMap::new();
    Reason::ALL.iter().for_each(|reason| {
        reasons.insert(reason.code(), *reason);
    });
    for part in parts {
        let bytes = context.tables.part(place, part).map_err(Error::of_stage("ledger"))?;
        for batch in read::batches(place.table, bytes, Some(&columns))? {
            let batch = batch?;
            let text = |index: usize| batch.column(index).as_string::<i32>();
            let (keys, outcomes, codes, details) = (text(0), text(1), text(2), text(3));
            for row in (0..batch.num_rows()).filter(|row| outcomes.value(*row) == "quarantined" && codes.is_valid(*row))
            {
                let Some(reason) = reasons.get(codes.value(row)) else { continue };
                rows.push(quarantine::Row {
                    item: keys.value(row).to_owned(),
                    reason: *reason,
                    detail: details.value(row).to_owned(),
                    place: keys.value(row).to_owned(),
                });
            }
        }
    }
    Ok(rows)
}
