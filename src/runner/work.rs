//! Work on the shards of a frozen plan, and the commit of each: rows first, then one create-if-absent. Must not know how a
//! photo is cut out, nor what the ledger says.

use super::state::{self, ShardCommit, StagePlan};
use super::{Error, freeze, lock};
use crate::outcome::Counts;
use crate::stage::Context;
use crate::stage::cutout::rows::{Attempt, ItemResult, batch};
use crate::stage::cutout::{self, Shard};
use crate::storage::Store;
use crate::table::{part, schema};
use crate::{digest, id};

/// Which shards of a plan to do: those whose number leaves `index` when divided by `of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// From 0.
    pub index: u32,
    /// At least 1.
    pub of: u32,
}

impl Share {
    /// All shards.
    pub const ALL: Self = Self { index: 0, of: 1 };

    /// Reads `I/N`, from 0 to N − 1.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no share; write I/N with I from 0 to N − 1, such as 0/16");
        let (index, of) = text.split_once('/').ok_or_else(wrong)?;
        let share = Self { index: index.parse().map_err(|_| wrong())?, of: of.parse().map_err(|_| wrong())? };
        if share.index < share.of { Ok(share) } else { Err(wrong()) }
    }

    /// The share that an array engine's own variables name: Kubernetes Indexed Job, Slurm array, AWS Batch array.
    pub fn from_engine(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        let number = |name: &str| -> Result<Option<u32>, String> {
            let Some(text) = variable(name) else { return Ok(None) };
            text.parse().map(Some).map_err(|_| format!("{name}={text:?} is no number"))
        };
        let slurm_first = number("SLURM_ARRAY_TASK_MIN")?.unwrap_or(0);
        for (index, of, first) in [
            ("JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", 0),
            ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", slurm_first),
            ("AWS_BATCH_JOB_ARRAY_INDEX", "AWS_BATCH_JOB_ARRAY_SIZE", 0),
        ] {
            let Some(number_of_task) = number(index)? else { continue };
            let of_tasks = number(of)?.ok_or_else(|| format!("{index} is set and {of} is not; give --shard I/N"))?;
            let place = number_of_task.checked_sub(first).filter(|place| *place < of_tasks);
            let place = place
                .ok_or_else(|| format!("{index}={number_of_task} lies outside {of}={of_tasks}; give --shard I/N"))?;
            return Ok(Some(Self { index: place, of: of_tasks }));
        }
        Ok(None)
    }

    fn has(self, shard: u32) -> bool {
        shard % self.of == self.index
    }
}

/// Does what is not yet committed of a share of the plan. Gives the counts of what this call did.
pub fn work(
    plan: &StagePlan,
    share: Share,
    settings: &cutout::Settings,
    context: &Context,
) -> Result<(Counts, cutout::Work), Error> {
    let of_stage = Error::of_stage(&plan.stage);
    let store = context.tables.store();
    let run = &context.run;
    let mut shards = Vec::new();
    for (index, shard) in plan.shards.iter().enumerate() {
        let index = index as u32;
        if share.has(index) && store.wait(store.head(&state::shard_key(run, &plan.stage, index)))?.is_none() {
            shards.push(Shard { index, items: shard.items });
        }
    }
    if shards.is_empty() {
        return Ok(Default::default());
    }
    let inputs = cutout::open_inputs(settings, store.handle()).map_err(&of_stage)?;
    let load = |shard: Shard| {
        (context.fence)()?;
        freeze::items(store, run, plan, shard.index).map_err(Error::into_stage)
    };
    let fingerprint = plan.fingerprint.digest();
    let host = lock::host();
    let commit = |shard: u32, results: Vec<ItemResult>| {
        (context.fence)()?;
        let attempt = id::token();
        let about = Attempt { run, fingerprint: &fingerprint, shard, host: &host, attempt: &attempt };
        let rows = part::whole(&schema::ATTEMPTS, &[batch(&about, &results)?])?;
        commit(store, run, &plan.stage, shard, attempt.clone(), rows, &results).map_err(Error::into_stage)
    };
    cutout::work(settings, &inputs, &shards, load, context, commit).map_err(&of_stage)
}

fn commit(
    store: &Store,
    run: &str,
    stage: &str,
    shard: u32,
    attempt: String,
    rows: part::Part,
    results: &[ItemResult],
) -> Result<(), Error> {
    let file = format!("attempts/shard-{shard:05}-{attempt}.parquet");
    let mut counts = Counts::default();
    results.iter().for_each(|result| counts.add(result.outcome));
    let commit = ShardCommit {
        schema: state::schema(),
        owner: attempt,
        size: rows.bytes.len() as u64,
        blake3: digest::of(&rows.bytes),
        counts,
        file,
    };
    store.wait(store.put(&format!("{}/{}", state::stage_folder(run, stage), commit.file), rows.bytes))?;
    // When another attempt was quicker, its rows count and ours are left to gc; the outputs are the same bytes.
    state::create(store, &state::shard_key(run, stage, shard), &commit)?;
    Ok(())
}

/// The commits of a plan's shards in order; `None` for one that is not committed.
pub fn commits(store: &Store, run: &str, plan: &StagePlan) -> Result<Vec<Option<ShardCommit>>, Error> {
    (0..plan.shards.len()).map(|shard| state::read(store, &state::shard_key(run, &plan.stage, shard as u32))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(set: &[(&str, &str)]) -> Result<Option<Share>, String> {
        Share::from_engine(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn a_share_is_read() {
        assert_eq!(Share::parse("3/16"), Ok(Share { index: 3, of: 16 }));
        assert!(Share::parse("16/16").is_err());
        assert!(Share::parse("0/0").is_err());
        assert!(Share::parse("x").is_err());
    }

    #[test]
    fn engines_name_the_share() {
        assert_eq!(engine(&[]), Ok(None));
        let kubernetes = engine(&[("JOB_COMPLETION_INDEX", "2"), ("JOB_COMPLETIONS", "4")]);
        assert_eq!(kubernetes, Ok(Some(Share { index: 2, of: 4 })));
        let slurm = [("SLURM_ARRAY_TASK_ID", "5"), ("SLURM_ARRAY_TASK_COUNT", "4"), ("SLURM_ARRAY_TASK_MIN", "3")];
        assert_eq!(engine(&slurm), Ok(Some(Share { index: 2, of: 4 })));
        assert!(engine(&[("AWS_BATCH_JOB_ARRAY_INDEX", "1")]).is_err());
    }

    #[test]
    fn shares_cover_every_shard_once() {
        for shard in 0..20 {
            assert_eq!((0..3).filter(|index| Share { index: *index, of: 3 }.has(shard)).count(), 1);
        }
    }
}
