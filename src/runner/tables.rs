//! The stages that make one table, or one model: what they depend on, whether that has changed, and the one call that makes it anew. Must
//! not know how they make it.

use super::Error;
use super::models::{self, Work};
use super::report;
use crate::digest::Fingerprint;
use crate::outcome::Counts;
use crate::pipeline::{Kind, Statistics};
use crate::stage::tables::Tables;
use crate::stage::{self, Context, Report, ingest, merge, split, stats};
use crate::storage::{Options, Store, split_location};
use crate::table::{Table, schema};
use std::collections::BTreeSet;

/// What the table of a stage depends on now.
pub fn fingerprint(kind: &Kind, context: &Context) -> Result<Fingerprint, Error> {
    wanted(kind, context).map_err(Error::of_stage(&context.stage))
}

fn wanted(kind: &Kind, context: &Context) -> Result<Fingerprint, stage::Error> {
    match kind {
        Kind::Ingest { settings, csv, labels, options } => {
            ingest::fingerprint(&ingest_settings(settings, csv, labels.as_deref(), options, context)?, context)
        }
        Kind::Merge { settings, annotations, options } => {
            merge::fingerprint(settings, &source(annotations.as_deref(), options, context)?, context)
        }
        Kind::Split { settings, photos, options } => {
            split::fingerprint(&split_settings(settings, photos.as_deref(), options, context)?, context)
        }
        Kind::Stats(statistics) => stats::fingerprint(&stats_settings(statistics, context)?, context),
        Kind::Train(training) => models::fingerprint(Work::Train(training), context),
        Kind::Evaluate(evaluation) => models::fingerprint(Work::Evaluate(evaluation), context),
        Kind::Compare(comparison) => models::fingerprint(Work::Compare(comparison), context),
        Kind::Cutout(_) => Err(stage::Error::Failed("a stage with items makes no table".to_owned())),
    }
}

/// What the table of a stage was made from, if it was made.
pub fn current(kind: &Kind, context: &Context) -> Result<Option<Fingerprint>, Error> {
    made_from(kind, context).map_err(Error::of_stage(&context.stage))
}

fn made_from(kind: &Kind, context: &Context) -> Result<Option<Fingerprint>, stage::Error> {
    let table: &'static Table = match kind {
        Kind::Ingest { .. } => &schema::ANNOTATIONS,
        Kind::Merge { .. } => &schema::MASKS,
        Kind::Split { .. } => &schema::SPLITS,
        Kind::Stats(_) => return Ok(stats::last(context)?.map(|answers| answers.fingerprint)),
        Kind::Train(training) => return models::current(Work::Train(training), context),
        Kind::Evaluate(evaluation) => return models::current(Work::Evaluate(evaluation), context),
        Kind::Compare(comparison) => return models::current(Work::Compare(comparison), context),
        Kind::Cutout(_) => return Ok(None),
    };
    Ok(context.tables.current(table)?.map(|version| version.depends_on))
}

/// Whether the table of a stage is there and nothing it depends on has changed.
pub fn is_current(kind: &Kind, context: &Context) -> Result<bool, Error> {
    Ok(current(kind, context)?
        .is_some_and(|made_from| fingerprint(kind, context).is_ok_and(|wanted| wanted == made_from)))
}

/// Makes the table of a stage unless it is current. Says whether there was nothing to do.
pub fn run(kind: &Kind, context: &Context) -> Result<(Report, bool), Error> {
    let of_stage = Error::of_stage(&context.stage);
    let wanted = wanted(kind, context).map_err(&of_stage)?;
    let earlier = made_from(kind, context).map_err(&of_stage)?;
    if earlier.as_ref() == Some(&wanted) {
        let counts = Counts { cached: 1, ..Counts::default() };
        let mut report = Report { counts, summary: "cached".to_owned(), artifacts: Vec::new() };
        let mut idle = true;
        if matches!(kind, Kind::Stats(_)) {
            // What no question names can have changed all the same, and nothing else would ever let it out of staging.
            let promoted = report::promote(context).map_err(&of_stage)?;
            if !promoted.is_empty() {
                report.summary = format!("cached; promoted {}", promoted.join(", "));
                idle = false;
            }
        }
        return Ok((report, idle));
    }
    let changed = earlier.map(|earlier| wanted.changed_since(&earlier).join(", "));
    let mut report = make(kind, wanted, context).map_err(&of_stage)?;
    if let Some(changed) = changed {
        report.summary = format!("{} (changed: {changed})", report.summary);
    }
    Ok((report, false))
}

fn make(kind: &Kind, wanted: Fingerprint, context: &Context) -> Result<Report, stage::Error> {
    match kind {
        Kind::Ingest { settings, csv, labels, options } => {
            ingest::run(&ingest_settings(settings, csv, labels.as_deref(), options, context)?, wanted, context)
        }
        Kind::Merge { settings, annotations, options } => {
            merge::run(settings, &source(annotations.as_deref(), options, context)?, wanted, context)
        }
        Kind::Split { settings, photos, options } => {
            split::run(&split_settings(settings, photos.as_deref(), options, context)?, wanted, context)
        }
        Kind::Train(training) => models::run(Work::Train(training), &wanted, context),
        Kind::Evaluate(evaluation) => models::run(Work::Evaluate(evaluation), &wanted, context),
        Kind::Compare(comparison) => models::run(Work::Compare(comparison), &wanted, context),
        Kind::Stats(statistics) => report::stage(statistics, context),
        Kind::Cutout(_) => Err(stage::Error::Failed("a stage with items makes no table".to_owned())),
    }
}

/// The tables that masks are merged from: the stage's own store unless another is named.
fn source(annotations: Option<&str>, options: &Options, context: &Context) -> Result<Tables, stage::Error> {
    match annotations {
        None => Ok(context.tables.clone()),
        Some(location) => Ok(Tables::new(open(location, options, context)?)),
    }
}

pub(super) fn open(location: &str, options: &Options, context: &Context) -> Result<Store, stage::Error> {
    Ok(Store::open(location, options, context.tables.store().handle().clone())?)
}

fn ingest_settings(
    settings: &ingest::Settings,
    csv: &[String],
    labels: Option<&str>,
    options: &Options,
    context: &Context,
) -> Result<ingest::Settings, stage::Error> {
    let source = |location: &str| -> Result<ingest::Source, stage::Error> {
        let (folder, key) = split_location(location)?;
        Ok(ingest::Source { store: open(&folder, options, context)?, key })
    };
    let csv = csv.iter().map(|location| source(location)).collect::<Result<_, _>>()?;
    Ok(ingest::Settings { csv, label_descriptions: labels.map(source).transpose()?, ..settings.clone() })
}

fn split_settings(
    settings: &split::Settings,
    photos: Option<&str>,
    options: &Options,
    context: &Context,
) -> Result<split::Settings, stage::Error> {
    let photos = photos.map(|photos| open(photos, options, context)).transpose()?;
    Ok(split::Settings { photos, ..settings.clone() })
}

/// What to ask: the questions of the folder named, else of `./sql` if there is one, else the shipped ones. A part of the
/// page that none of them belongs to is refused here, before any work.
pub fn stats_settings(statistics: &Statistics, context: &Context) -> Result<stats::Settings, stage::Error> {
    let Statistics { sql, photos, baseline, accept, forms, options, .. } = statistics;
    let here = std::path::Path::new("sql").is_dir().then_some("sql");
    let opened = |place: Option<&str>| place.map(|place| open(place, options, context)).transpose();
    let settings = stats::Settings {
        sql: opened(sql.as_deref().or(here))?,
        only: Vec::new(),
        photos: opened(photos.as_deref())?,
        baseline: baseline.clone(),
        accept: accept.clone(),
    };
    if !forms.is_empty() {
        let questions = stats::questions(&settings)?;
        let parts: BTreeSet<&str> = questions.iter().map(|question| question.section.0.as_str()).collect();
        if let Some(form) = forms.iter().find(|form| !parts.iter().any(|part| part.eq_ignore_ascii_case(form))) {
            let parts = parts.into_iter().collect::<Vec<_>>().join(", ");
            return Err(stage::Error::Usage(format!("there is no part {form} in a report; there are {parts}")));
        }
    }
    Ok(settings)
}
