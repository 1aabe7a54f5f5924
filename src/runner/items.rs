//! A stage of a run that works through items: planned, worked through, folded, and its contact sheet written. Must not know
//! the other stages.

use super::state::StagePlan;
use super::{Error, Settings, Share, fold, freeze, read_plan, review, sheet, work};
use crate::event::{Event, Level, note};
use crate::outcome::Counts;
use crate::pipeline::{Pipeline, StageSpec};
use crate::stage::{Context, Report, cutout};

/// The plan of the stage in this run: the one that is there, or a new one.
pub(super) fn plan_items(
    pipeline: &Pipeline,
    spec: &StageSpec,
    cutout: &cutout::Settings,
    settings: &Settings,
    context: &Context,
) -> Result<StagePlan, Error> {
    if let Some(plan) = read_plan(context.tables.store(), &context.run, &spec.name)? {
        return Ok(plan);
    }
    let of_stage = Error::of_stage(&spec.name);
    let inputs = cutout::open_inputs(cutout, context.tables.store().handle()).map_err(&of_stage)?;
    let fingerprint = cutout::fingerprint(cutout, context.tables.store().handle()).map_err(&of_stage)?;
    let freeze = freeze::Freeze {
        tables: &context.tables,
        run: &context.run,
        pipeline: &pipeline.name,
        stage: &spec.name,
        shard_items: cutout.shard_items as usize,
        limit: settings.limit,
        max_gone: cutout.remove_stale.then_some(cutout.max_gone),
        events: &settings.events,
    };
    freeze::freeze(&freeze, &inputs, &fingerprint, &settings.retry, cutout.naming)
}

/// What a stage of a run came to.
pub(super) struct StageDone {
    pub(super) report: Report,
    /// Whether there was nothing to do.
    pub(super) idle: bool,
    /// Items that stand quarantined since earlier runs.
    pub(super) standing: u64,
    /// Where the time went, of a stage that works through items.
    pub(super) work: Option<serde_json::Value>,
}

/// Plans the stage, works on every shard, and folds.
pub(super) fn items_stage(
    pipeline: &Pipeline,
    spec: &StageSpec,
    cutout: &cutout::Settings,
    settings: &Settings,
    context: &Context,
) -> Result<StageDone, Error> {
    let plan = plan_items(pipeline, spec, cutout, settings, context)?;
    let subject = review::Subject { pipeline, spec, cutout };
    review::remember(subject, context.tables.store())?;
    let todo: u64 = plan.decisions.values().sum();
    settings.events.emit(Event::StageStarted { stage: spec.name.clone(), total: Some(todo), unit: "images" });
    let (_, spent) = work::work(&plan, Share::ALL, cutout, context)?;
    if spent.images > 0 {
        note(&settings.events, Level::Info, format!("{}: {spent}", spec.name));
    }
    let commits: Vec<_> = work::commits(context.tables.store(), &context.run, &plan)?.into_iter().flatten().collect();
    let tidied = fold::fold(&plan, &commits, context, &pipeline.name, cutout)?;
    let mut counts = Counts { cached: plan.cached, failed: plan.unreadable, ..Counts::default() };
    commits.iter().for_each(|commit| counts += commit.counts);
    let mut parts: Vec<String> = plan.decisions.iter().map(|(word, count)| format!("{count} {word}")).collect();
    parts.extend((plan.cached > 0).then(|| format!("{} cached", plan.cached)));
    parts.extend((plan.unreadable > 0).then(|| format!("{} could not be listed", plan.unreadable)));
    parts.extend((plan.gone > 0).then(|| format!("{} gone", plan.gone)));
    parts.extend((tidied.removed > 0).then(|| format!("{} outputs removed", tidied.removed)));
    parts.extend((tidied.left > 0).then(|| format!("{} outputs left whose photo is gone or changed", tidied.left)));
    parts.extend((plan.left_over > 0).then(|| format!("{} left for a later run", plan.left_over)));
    parts.extend((plan.standing_quarantined > 0).then(|| {
        format!("{} still quarantined since earlier runs (retry takes them up again)", plan.standing_quarantined)
    }));
    let mut artifacts = vec![cutout.out.clone()];
    artifacts.extend(sheet::after_run(subject, context, sheet::Fresh { plan: &plan, commits: &commits, counts }));
    let report = Report { counts, summary: parts.join(", "), artifacts };
    let idle = todo == 0 && plan.gone == 0 && plan.unreadable == 0;
    // A struct of numbers and one text always becomes JSON.
    let work = (spent.images > 0).then(|| serde_json::to_value(&spent).unwrap_or_default());
    Ok(StageDone { report, idle, standing: plan.standing_quarantined, work })
}
