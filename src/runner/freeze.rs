//! The plan of a stage that works through items: the listing and the ledger walked side by side, both in key order, and what
//! is to be done written down once. Must not know how an item is done.

use super::state::{self, ShardPlan, StagePlan};
use super::{Error, ledger};
use crate::digest::Fingerprint;
use crate::event::{Events, Level, note};
use crate::id;
use crate::pipeline::plan::{Decision, Known, Retry, decide};
use crate::stage::cutout::inputs::{Inputs, Listed, Source};
use crate::stage::cutout::naming::{Meetings, Naming};
use crate::stage::tables::{Place, Tables};
use crate::storage::Store;
use crate::table::{PartWriter, read, schema};
use arrow::array::{AsArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{UInt32Type, UInt64Type};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Shards whose items share a file.
const SHARDS_IN_FILE: usize = 64;
/// So many photos may be gone whatever share they are.
const FEW_GONE: u64 = 20;
/// Names of unreadable inputs that are told one by one.
const MOST_TOLD: u64 = 20;

/// One input and what is to be done about it.
pub struct Planned {
    /// The input; absent when it is gone.
    pub source: Option<Source>,
    /// What the ledger knows of it.
    pub known: Option<Known>,
    /// What is to be done; `None` when it is gone.
    pub decision: Option<Decision>,
}

/// How to decide.
pub struct Rules<'a> {
    /// What every item's result depends on besides its source, digested.
    pub fingerprint: &'a str,
    /// What is done again though nothing changed.
    pub retry: &'a Retry,
    /// How outputs are called.
    pub naming: Naming,
}

/// Walks the listing and the ledger side by side and gives every item to `each`, in key order. Gives how many inputs could
/// not be listed; from then on nothing counts as gone, since it may only be out of sight.
pub fn walk(
    inputs: &Inputs,
    known: impl Iterator<Item = Result<Known, Error>>,
    rules: &Rules<'_>,
    events: &Events,
    mut each: impl FnMut(Planned) -> Result<(), Error>,
) -> Result<u64, Error> {
    let mut known = known.peekable();
    let mut meetings = Meetings::default();
    let mut unreadable = 0;
    let gone = |known: Known| Planned { source: None, known: Some(known), decision: None };
    for source in inputs.list().map_err(Error::of_stage("list"))? {
        let source = match source.map_err(Error::of_stage("list"))? {
            Listed::Source(source) => source,
            Listed::Unreadable(text) => {
                unreadable += 1;
                if unreadable <= MOST_TOLD {
                    note(events, Level::Error, text);
                }
                continue;
            }
        };
        if let Some(met) = meetings.take(rules.naming, &source.name) {
            let output = rules.naming.output(&source.name, "…");
            let text = format!("{met} and {} would both become {output}", source.name);
            return Err(Error::Usage(format!("{text}; give --name full, or rename one")));
        }
        while let Some(row) = known.next_if(|row| row.as_ref().map_or(true, |row| row.key < source.name)) {
            let row = row?;
            if inputs.is_whole() && unreadable == 0 {
                each(gone(row))?;
            }
        }
        let same = known.next_if(|row| row.as_ref().is_ok_and(|row| row.key == source.name)).transpose()?;
        let decision = decide(&source.etag, source.size, same.as_ref(), rules.fingerprint, rules.retry);
        each(Planned { source: Some(source), known: same, decision: Some(decision) })?;
    }
    for row in known {
        let row = row?;
        if inputs.is_whole() && unreadable == 0 {
            each(gone(row))?;
        }
    }
    Ok(unreadable)
}

/// What a frozen plan is made from.
pub struct Freeze<'a> {
    /// The tables of the pipeline's store.
    pub tables: &'a Tables,
    /// The run that it is for.
    pub run: &'a str,
    /// The pipeline's name.
    pub pipeline: &'a str,
    /// The stage's name.
    pub stage: &'a str,
    /// Photos in a shard.
    pub shard_items: usize,
    /// No more items than this are taken up.
    pub limit: Option<u64>,
    /// The greatest share of known photos that may be gone; a plan that finds more is refused.
    pub max_gone: Option<f64>,
    /// Where to tell what happens.
    pub events: &'a Events,
}

/// Plans a stage and writes the plan down. Whoever creates `plan.json` first has planned; a plan that is there is taken.
pub fn freeze(
    with: &Freeze<'_>,
    inputs: &Inputs,
    fingerprint: &Fingerprint,
    retry: &Retry,
    naming: Naming,
) -> Result<StagePlan, Error> {
    let store = with.tables.store();
    let folder = state::stage_folder(with.run, with.stage);
    let key = format!("{folder}/plan.json");
    if let Some(plan) = state::read(store, &key)? {
        return Ok(plan);
    }
    let of_stage = Error::of_stage(with.stage);
    let ledger_folder = ledger::folder(with.pipeline, with.stage);
    let place: Place<'_> = ledger::place(&ledger_folder);
    let current = with.tables.current_at(place).map_err(&of_stage)?;
    let digest = fingerprint.digest();
    let rules = Rules { fingerprint: &digest, retry, naming };
    let owner = id::token();
    let mut plan = StagePlan {
        schema: state::schema(),
        owner: owner.clone(),
        stage: with.stage.to_owned(),
        fingerprint: fingerprint.clone(),
        decisions: BTreeMap::new(),
        cached: 0,
        standing_quarantined: 0,
        gone: 0,
        unreadable: 0,
        left_over: 0,
        gone_files: 0,
        ledger: current.as_ref().map_or(0, |ledger| ledger.version),
        shards: Vec::new(),
        files: Vec::new(),
    };
    let mut items = ItemFiles { store, folder: &folder, owner: &owner, writer: None, groups: 0 };
    let mut gone = Gone { store, folder: &folder, owner: &owner, keys: Vec::new(), files: 0 };
    let mut shard: Vec<(Source, Decision)> = Vec::new();
    let mut taken = 0_u64;
    plan.unreadable =
        walk(inputs, ledger::known(with.tables, place, current.as_ref()), &rules, with.events, |planned| {
            match (planned.source, planned.decision) {
                (Some(_), Some(Decision::Cached)) => {
                    plan.cached += 1;
                    let quarantined =
                        planned.known.is_some_and(|known| known.outcome == crate::outcome::Outcome::Quarantined);
                    plan.standing_quarantined += u64::from(quarantined);
                }
                (Some(_), Some(_)) if with.limit.is_some_and(|limit| taken >= limit) => plan.left_over += 1,
                (Some(source), Some(decision)) => {
                    taken += 1;
                    *plan.decisions.entry(decision.word().to_owned()).or_default() += 1;
                    shard.push((source, decision));
                    if shard.len() == with.shard_items.max(1) {
                        items.write(&mut plan, &std::mem::take(&mut shard))?;
                    }
                }
                _ => {
                    plan.gone += 1;
                    gone.push(planned.known.map(|known| known.key).unwrap_or_default())?;
                }
            }
            Ok(())
        })?;
    if !shard.is_empty() {
        items.write(&mut plan, &shard)?;
    }
    items.finish(&mut plan)?;
    plan.gone_files = gone.finish()?;
    if plan.cached + taken + plan.left_over + plan.unreadable == 0 {
        let text = format!("{}: no photo is listed, and the ledger knows {}", with.stage, plan.gone);
        return Err(Error::Usage(format!("{text}: is the input's place right, and may it be listed?")));
    }
    // A prefix that is listed by half must not empty the shop.
    let known = plan.gone + plan.cached + taken - plan.decisions.get(Decision::New.word()).copied().unwrap_or(0);
    if let Some(most) = with.max_gone
        && plan.gone > FEW_GONE
        && plan.gone as f64 > most * known as f64
    {
        let text =
            format!("{}: {} of {known} photos are gone, and their outputs would be removed", with.stage, plan.gone);
        let advice = format!("max_gone allows {} %; look at the input, or raise max_gone", most * 100.0);
        return Err(of_stage(crate::stage::Error::Blocked(format!("{text}: {advice}"))));
    }
    if state::create(store, &key, &plan)? {
        return Ok(plan);
    }
    let missing = || Error::State { key: key.clone(), detail: "it was there a moment ago".to_owned() };
    state::read(store, &key)?.ok_or_else(missing)
}

/// The files of a plan's items: a row group for each shard.
struct ItemFiles<'a> {
    store: &'a Store,
    folder: &'a str,
    owner: &'a str,
    writer: Option<PartWriter>,
    groups: usize,
}

impl ItemFiles<'_> {
    fn write(&mut self, plan: &mut StagePlan, shard: &[(Source, Decision)]) -> Result<(), Error> {
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => PartWriter::new(&schema::ITEMS)?,
        };
        writer.write(&batch(shard)?)?;
        writer.end_row_group()?;
        let bytes = shard.iter().map(|(source, _)| source.size).sum();
        plan.shards.push(ShardPlan { file: plan.files.len(), group: self.groups, items: shard.len(), bytes });
        self.groups += 1;
        self.writer = Some(writer);
        if self.groups == SHARDS_IN_FILE { self.finish(plan) } else { Ok(()) }
    }

    fn finish(&mut self, plan: &mut StagePlan) -> Result<(), Error> {
        let Some(writer) = self.writer.take() else { return Ok(()) };
        let file = format!("items-{:05}-{}.parquet", plan.files.len(), self.owner);
        self.store.wait(self.store.put(&format!("{}/{file}", self.folder), writer.finish()?.bytes))?;
        plan.files.push(file);
        self.groups = 0;
        Ok(())
    }
}

fn batch(shard: &[(Source, Decision)]) -> Result<RecordBatch, Error> {
    let columns: Vec<arrow::array::ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(shard.iter().map(|(source, _)| &source.name))),
        Arc::new(StringArray::from_iter_values(shard.iter().map(|(source, _)| &source.etag))),
        Arc::new(UInt64Array::from_iter_values(shard.iter().map(|(source, _)| source.size))),
        Arc::new(UInt32Array::from_iter_values(shard.iter().map(|(source, _)| source.root))),
        Arc::new(StringArray::from_iter_values(shard.iter().map(|(_, decision)| decision.word()))),
    ];
    Ok(RecordBatch::try_new(schema::ITEMS.schema(), columns).map_err(crate::table::Error::from)?)
}

/// Reads the items of one shard.
pub fn items(store: &Store, run: &str, plan: &StagePlan, shard: u32) -> Result<Vec<Source>, Error> {
    let Some(at) = plan.shards.get(shard as usize) else {
        return Err(Error::Usage(format!("the plan has {} shards, and {shard} is not one of them", plan.shards.len())));
    };
    let file = plan.files.get(at.file).map_or("", String::as_str);
    let bytes = store.wait(store.get(&format!("{}/{file}", state::stage_folder(run, &plan.stage))))?;
    let mut sources = Vec::with_capacity(at.items);
    for batch in read::row_group(&schema::ITEMS, bytes, at.group)? {
        let batch = batch?;
        let (names, etags) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        let (sizes, roots) =
            (batch.column(2).as_primitive::<UInt64Type>(), batch.column(3).as_primitive::<UInt32Type>());
        for row in 0..batch.num_rows() {
            sources.push(Source {
                root: roots.value(row),
                name: names.value(row).to_owned(),
                etag: etags.value(row).to_owned(),
                size: sizes.value(row),
                shard,
            });
        }
    }
    Ok(sources)
}

/// Keys of the ledger that are no longer listed, in files of bounded size: one JSON list each.
struct Gone<'a> {
    store: &'a Store,
    folder: &'a str,
    owner: &'a str,
    keys: Vec<String>,
    files: usize,
}

impl Gone<'_> {
    fn push(&mut self, key: String) -> Result<(), Error> {
        self.keys.push(key);
        if self.keys.len() == 100_000 { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let bytes = serde_json::to_vec(&self.keys).unwrap_or_default();
        self.store.wait(self.store.put(&gone_key(self.folder, self.files, self.owner), Bytes::from(bytes)))?;
        self.keys.clear();
        self.files += 1;
        Ok(())
    }

    fn finish(mut self) -> Result<usize, Error> {
        if !self.keys.is_empty() {
            self.flush()?;
        }
        Ok(self.files)
    }
}

fn gone_key(folder: &str, file: usize, owner: &str) -> String {
    format!("{folder}/gone-{file:05}-{owner}.json")
}

/// Reads the keys that a plan found gone, ascending.
pub fn gone<'a>(store: &'a Store, run: &str, plan: &'a StagePlan) -> impl Iterator<Item = Result<String, Error>> + 'a {
    let folder = state::stage_folder(run, &plan.stage);
    (0..plan.gone_files).flat_map(move |file| {
        let key = gone_key(&folder, file, &plan.owner);
        let read = store.wait(store.get(&key)).map_err(Error::from).and_then(|bytes| {
            let wrong = |error: serde_json::Error| Error::State { key: key.clone(), detail: error.to_string() };
            serde_json::from_slice::<Vec<String>>(&bytes).map_err(wrong)
        });
        match read {
            Ok(keys) => keys.into_iter().map(Ok).collect(),
            Err(error) => vec![Err(error)],
        }
    })
}
