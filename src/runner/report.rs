//! The report: questions asked, the page of their answers put where people look, and, when no check blocks, the tables that
//! waited for it promoted. Must not know any question, nor how the page looks.

use super::pictures::Pictures;
use super::state::{self, End};
use super::tables::{open, stats_settings};
use super::{Error, Exit};
use crate::clock;
use crate::event::{Level, note};
use crate::outcome::Counts;
use crate::page::picture::quoted;
use crate::page::report::{Page, csv};
use crate::pipeline::Statistics;
use crate::stage::stats::paper::{self, Heading};
use crate::stage::stats::{self, Findings};
use crate::stage::{self, Context, Report};
use crate::storage::{Store, redact, split_location};
use crate::table::schema::{ANNOTATIONS, IMAGES, MASKS, SPLITS};
use bytes::Bytes;
use futures::TryStreamExt;

/// The page's name where no other is given.
const FILE: &str = "report.html";
/// Where the page of the last report lies that nothing blocked, and its tables below it.
const FOLDER: &str = "stats";
/// Where those lie that a check has blocked.
const STAGING: &str = "stats/staging";

/// What a page is to say.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// The title; of the store when empty.
    pub title: String,
    /// The run that the page is about; the newest that has ended when absent.
    pub run: Option<String>,
}

/// Does the stage of a pipeline: asks, puts the page, and promotes or blocks. Blocked, the page and the answers lie in
/// `stats/staging`, the tables stay in staging too, and the error names the checks.
pub fn stage(statistics: &Statistics, context: &Context) -> Result<Report, stage::Error> {
    let settings = stats_settings(statistics, context)?;
    let findings = stats::ask(&settings, context)?;
    let wanted = Wanted { title: String::new(), run: Some(context.run.clone()) };
    let page = page(&findings, &settings, statistics, &wanted, context).map_err(Error::into_stage)?;
    let store = context.tables.store();
    (context.fence)()?;
    if findings.is_blocked() {
        let url = write(&page, &findings, &store.child(STAGING), FILE)?;
        stats::keep(&findings, &settings, context)?;
        let text = format!("{}; nothing was promoted; look at {url}", findings.summary());
        return Err(stage::Error::Blocked(text));
    }
    let mut artifacts = vec![write(&page, &findings, &store.child(FOLDER), FILE)?];
    if let Some(place) = &statistics.report {
        let (folder, file) = place_of(place)?;
        artifacts.push(write(&page, &findings, &open(&folder, &statistics.options, context)?, &file)?);
    }
    for checked in findings.failed() {
        let (name, rows) = (&checked.question.name, checked.answer.rows.len());
        note(&context.events, Level::Warn, format!("{name} found {rows}: {}", checked.rule.advice));
    }
    let promoted = promote(context)?;
    stats::keep(&findings, &settings, context)?;
    let mut summary = findings.summary();
    if !promoted.is_empty() {
        summary = format!("{summary}; promoted {}", promoted.join(", "));
    }
    // Questions are no items: the counts of a run are about photos and rows.
    Ok(Report { counts: Counts::default(), summary, artifacts })
}

/// The page of what was found, with pictures.
pub fn page(
    findings: &Findings,
    settings: &stats::Settings,
    statistics: &Statistics,
    wanted: &Wanted,
    context: &Context,
) -> Result<Page, Error> {
    let store = context.tables.store();
    let end = end_of(wanted.run.as_deref(), store)?;
    let source = redact(store.url());
    let title = if wanted.title.is_empty() { format!("Report of {}", name_of(&source)) } else { wanted.title.clone() };
    let heading = Heading {
        title,
        made: clock::now().strftime("%Y-%m-%d %H:%M UTC").to_string(),
        command: command(&source, statistics, findings.is_blocked() && context.tables.is_staged()),
        source,
        forms: statistics.forms.clone(),
        facts: facts(end.as_ref(), wanted, context).map_err(Error::of_stage(&context.stage))?,
        failure: end.as_ref().and_then(failure),
    };
    let mut page = paper::page(findings, &heading);
    Pictures { photos: settings.photos.as_ref(), context }.add_to(&mut page)?;
    Ok(page)
}

/// The end of a run, or of the newest that has ended; none of one that is under way.
fn end_of(run: Option<&str>, store: &Store) -> Result<Option<End>, Error> {
    let end = |run: &str| state::read::<End>(store, &format!("{}/outcome.json", state::folder(run)));
    let Some(run) = run else {
        for run in state::runs(store)?.iter().rev() {
            if let Some(end) = end(run)? {
                return Ok(Some(end));
            }
        }
        return Ok(None);
    };
    let ended = end(run)?;
    if ended.is_none() && store.wait(store.head(&format!("{}/run.json", state::folder(run))))?.is_none() {
        let text = format!("{} has no run {run}; `selvedge runs list` names them", store.url());
        return Err(Error::Usage(text));
    }
    Ok(ended)
}

/// Why a run is no good one, if so: what it was to make was not made, or waits in staging.
fn failure(end: &End) -> Option<String> {
    let bad = [Exit::Failed as u8, Exit::Blocked as u8];
    let exit = end.exit.filter(|exit| bad.contains(exit))?;
    let word = if exit == Exit::Blocked as u8 { "was blocked" } else { "failed" };
    let why = end.error.as_deref().unwrap_or("items failed, or too many are quarantined");
    Some(format!("the run {} {word}: {why}", end.run.as_deref().unwrap_or_default()))
}

/// Puts the page, and beside it, in a folder of the page's name, a CSV of every table: these first, since the page leads to
/// them. Gives the page's place.
pub fn write(page: &Page, findings: &Findings, folder: &Store, file: &str) -> Result<String, stage::Error> {
    let tables = format!("{}-tables", file.trim_end_matches(".html"));
    let answers = findings.asked.iter().map(|asked| (&asked.question.name, &asked.answer));
    let failed = findings.failed().map(|checked| (&checked.question.name, &checked.answer));
    for (name, answer) in answers.chain(failed) {
        let bytes = Bytes::from(csv(&paper::table(answer)));
        folder.wait(folder.put(&format!("{tables}/{}", paper::csv_of(name)), bytes))?;
    }
    folder.wait(folder.put(file, Bytes::from(paper::linked(page, &tables).html())))?;
    Ok(folder.child(file).url().to_owned())
}

/// Folder and file that a page goes to: a place that ends in `.html` is the file itself.
pub fn place_of(place: &str) -> Result<(String, String), stage::Error> {
    match place.ends_with(".html") {
        true => Ok(split_location(place)?),
        false => Ok((place.to_owned(), FILE.to_owned())),
    }
}

/// Lets out what no check blocks, and removes what an earlier report left aside, which is answered by now. Gives the names of
/// the tables.
pub fn promote(context: &Context) -> Result<Vec<&'static str>, stage::Error> {
    let promoted = context.tables.promote(&context.fence)?;
    let store = context.tables.store();
    let left: Vec<crate::storage::ObjectInfo> = store.wait(store.list(STAGING).try_collect())?;
    for object in left {
        store.wait(store.delete(&object.key))?;
    }
    Ok(promoted)
}

/// The last part of a place.
fn name_of(url: &str) -> &str {
    url.trim_end_matches('/').rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(url)
}

/// The command that asks the same questions again.
fn command(source: &str, statistics: &Statistics, staged: bool) -> String {
    let mut words = vec!["selvedge stats --data".to_owned(), quoted(source.trim_start_matches("file://"))];
    words.extend(staged.then(|| "--staged".to_owned()));
    let given = [("--sql", &statistics.sql), ("--photos", &statistics.photos), ("--baseline", &statistics.baseline)];
    for (flag, value) in given {
        if let Some(value) = value {
            words.extend([flag.to_owned(), quoted(&redact(value))]);
        }
    }
    words.join(" ")
}

/// What the page says of the run and of the tables.
fn facts(end: Option<&End>, wanted: &Wanted, context: &Context) -> Result<Vec<(String, String)>, stage::Error> {
    let mut facts: Vec<(String, String)> = Vec::new();
    let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
    match end {
        Some(end) => {
            let run = end.run.as_deref().unwrap_or("none");
            let result = end.result.as_deref().unwrap_or(&end.outcome).replace('_', " ");
            add("Run", format!("{run} of {}, {result}", end.pipeline));
        }
        None => {
            if let Some(run) = &wanted.run {
                add("Run", format!("{run}, under way when this page was made"));
            }
        }
    }
    for table in [&ANNOTATIONS, &MASKS, &SPLITS, &IMAGES] {
        let Some(version) = context.tables.current(table)? else { continue };
        let digest = version.depends_on.digest();
        add(table.name, format!("{} rows, version {} ({})", version.rows, version.version, &digest[..12]));
        if table.name == MASKS.name {
            let parts = [("Policy of the merge", "policy"), ("Classes that are merged", "classes")];
            for (name, part) in parts {
                version.depends_on.0.get(part).into_iter().for_each(|value| add(name, value.clone()));
            }
        }
    }
    add("Program", format!("selvedge {}", env!("CARGO_PKG_VERSION")));
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_file_or_a_folder_for_one() {
        let placed = |place: &str| place_of(place).unwrap_or_default();
        assert_eq!(placed("s3://b/reports"), ("s3://b/reports".to_owned(), "report.html".to_owned()));
        assert_eq!(placed("s3://b/reports/nightly.html").1, "nightly.html");
        assert_eq!(name_of("file:///data/demo/store/"), "store");
    }
}
