//! Questions in SQL, asked of the store's tables: a folder of files, each one question, and below it `checks`, whose answers
//! are to have no rows. Must not know what the questions are about, nor how the answers are shown.
//!
//! `docs/questions.md` says what a file holds and what can be queried. A file put into the folder is asked by the next run.

mod changes;
mod derive;
mod load;
pub mod paper;
mod photos;
mod question;
mod render;
mod runs;
mod snapshot;
mod tables;

pub use question::{Keep, Question, Rule};
pub use render::{json, text};
pub use snapshot::{Figure, Snapshot};

use super::{Context, Error, check, dataset};
use crate::clock;
use crate::digest::{self, Fingerprint};
use crate::event::Event;
use crate::page::report::{CheckOutcome, Severity};
use crate::storage::{self, Store};
use crate::table::schema::STATS;
use crate::table::{frame, sql};
use bytes::Bytes;
use futures::TryStreamExt;
use polars::prelude::DataFrame;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// Raised by hand when the same questions to the same tables would be answered otherwise.
const CODE_VERSION: u32 = 2;
/// Where the answers of the last run are kept, below the root of the tables.
pub const ANSWERS_KEY: &str = "stats/answers.json";
/// Where answers stay that a check has blocked.
pub const STAGED_ANSWERS_KEY: &str = "stats/staging/answers.json";
const SCHEMA: &str = "selvedge.answers/1";

/// What to ask.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The folder of `.sql` files (those directly in it, and those directly in its folder `checks`); the shipped questions when
    /// there is none.
    pub sql: Option<Store>,
    /// Only the questions and checks of these names; all when empty.
    pub only: Vec<String>,
    /// Photos to look at, so that questions about them can be answered.
    pub photos: Option<Store>,
    /// The day, or time, of the figures that are compared with besides the last ones.
    pub baseline: Option<String>,
    /// Checks that warn this time though they would block: somebody has looked.
    pub accept: Vec<String>,
}

impl Settings {
    /// Whether a question is among those that were asked for.
    fn wants(&self, question: &Question) -> bool {
        self.only.is_empty() || self.only.contains(&question.name)
    }
}

/// One question and its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The file's name without its ending.
    pub name: String,
    /// The title; the name where the file gives none.
    pub title: String,
    /// The question in words.
    pub question: String,
    /// What one row is.
    pub grain: String,
    /// The columns of the answer.
    pub columns: Vec<AnswerColumn>,
    /// The rows: one value a column, each null, boolean, number, text, or a list of them.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Tables that the question names and that were never published: they were taken as empty.
    pub absent: Vec<String>,
}

/// One column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerColumn {
    /// Its name in the query.
    pub name: String,
    /// What it holds, with its unit; empty where the file does not say.
    pub meaning: String,
}

/// The answers of one run as they are kept in the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answers {
    /// `selvedge.answers/1`.
    pub schema: String,
    /// What the answers depend on: equal fingerprints mean equal answers.
    pub fingerprint: Fingerprint,
    /// The answers, by name.
    pub answers: Vec<Answer>,
    /// The rows that checks found, by name; none in what was kept before there were checks.
    #[serde(default)]
    pub checks: Vec<Answer>,
}

/// A question with its answer.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The question.
    pub question: Question,
    /// Its answer.
    pub answer: Answer,
}

/// A check with what it found.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The check.
    pub question: Question,
    /// What kind of check it is.
    pub rule: Rule,
    /// The offending rows.
    pub answer: Answer,
    /// Passed, failed, or not asked.
    pub outcome: CheckOutcome,
}

/// Everything that was asked and answered.
#[derive(Clone, Debug)]
pub struct Findings {
    /// Questions, by name.
    pub asked: Vec<Asked>,
    /// Checks, by name.
    pub checks: Vec<Checked>,
    /// What it depends on.
    pub fingerprint: Fingerprint,
    /// The figures that are kept of it.
    pub snapshot: Snapshot,
    /// When the figures were taken that it was compared with, if there are any.
    pub last: Option<String>,
    /// The tables that were there, by name, with their rows.
    pub tables: Vec<(String, u64)>,
}

impl Findings {
    /// The checks that found rows, those that block before the others.
    pub fn failed(&self) -> impl Iterator<Item = &Checked> {
        let failed = |severity: Severity| {
            self.checks.iter().filter(move |c| c.rule.severity == severity && c.outcome == CheckOutcome::Failed)
        };
        failed(Severity::Block).chain(failed(Severity::Warn))
    }

    /// Whether a check blocks what the tables are used for.
    pub fn is_blocked(&self) -> bool {
        self.failed().any(|check| check.rule.severity == Severity::Block)
    }

    /// What was found, in a line.
    pub fn summary(&self) -> String {
        let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
        let failed: Vec<String> = self
            .failed()
            .map(|check| {
                let word = if check.rule.severity == Severity::Block { "blocks" } else { "warns" };
                format!("{} {word} ({})", check.question.name, count(check.answer.rows.len(), "row"))
            })
            .collect();
        let asked = self.checks.iter().filter(|check| !matches!(check.outcome, CheckOutcome::NotAsked(_))).count();
        let told = if failed.is_empty() { "all passed".to_owned() } else { failed.join(", ") };
        let tables: Vec<&str> = self.tables.iter().map(|(name, _)| name.as_str()).collect();
        let (questions, checks) = (count(self.asked.len(), "question"), count(asked, "check"));
        format!("{questions} answered from {}; {checks}: {told}", tables.join(", "))
    }
}

/// The questions and checks to ask, by name; with them those that they compare with.
pub fn questions(settings: &Settings) -> Result<Vec<Question>, Error> {
    let mut questions = match &settings.sql {
        None => SHIPPED.iter().map(|(file, text)| Question::parse(file, text)).collect::<Result<_, _>>()?,
        Some(store) => of_folder(store)?,
    };
    let known: Vec<String> = questions.iter().map(|question| question.name.clone()).collect();
    if let Some(unknown) = settings.only.iter().find(|only| !known.contains(only)) {
        return Err(Error::Usage(format!("there is no question {unknown}; there are {}", known.join(", "))));
    }
    // One that compares figures needs those that are kept of others.
    let comparing = questions.iter().any(|question| settings.wants(question) && compares(question));
    for accepted in &settings.accept {
        let check = questions.iter_mut().find(|question| question.name == *accepted && question.rule.is_some());
        match check.and_then(|question| question.rule.as_mut()) {
            Some(rule) => rule.severity = Severity::Warn,
            None => return Err(Error::Usage(format!("there is no check {accepted} to accept"))),
        }
    }
    questions.retain(|question| settings.wants(question) || comparing && !question.keeps.is_empty());
    Ok(questions)
}

fn of_folder(store: &Store) -> Result<Vec<Question>, Error> {
    let listed: Vec<storage::ObjectInfo> = store.wait(store.list("").try_collect())?;
    let mut questions: Vec<Question> = Vec::new();
    let asked = |key: &str| key.ends_with(".sql") && !key.strip_prefix("checks/").unwrap_or(key).contains('/');
    for file in listed.iter().filter(|file| asked(&file.key)) {
        let bytes = store.wait(store.get(&file.key))?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| Error::Usage(format!("{}/{} is not UTF-8 text: {error}", store.url(), file.key)))?;
        let question = Question::parse(&file.key, text)?;
        if questions.iter().any(|other| other.name == question.name) {
            let text = format!("{}: two files are called {}.sql; rename one", store.url(), question.name);
            return Err(Error::Usage(text));
        }
        questions.push(question);
    }
    if questions.is_empty() {
        let text =
            format!("{} holds no .sql file; name another folder, or none to ask the shipped questions", store.url());
        return Err(Error::Usage(text));
    }
    Ok(questions)
}

/// What the answers depend on: the texts of the questions, the rows of the tables that they name, and the photos.
pub fn fingerprint(settings: &Settings, context: &Context) -> Result<Fingerprint, Error> {
    let questions = questions(settings)?;
    let questions: Vec<&Question> = questions.iter().collect();
    let data = data(settings, &questions, &tables::find(&questions, context)?, context)?;
    Ok(depends_on(settings, &questions, data))
}

/// What answers depend on that depend on this data.
fn depends_on(settings: &Settings, questions: &[&Question], data: Fingerprint) -> Fingerprint {
    let mut parts = data.with("code", CODE_VERSION);
    for question in questions {
        let kind = if question.rule.is_some() { "check" } else { "sql" };
        parts = parts.with(&format!("{kind} {}", question.name), digest::of(question.text.as_bytes()));
    }
    if !settings.accept.is_empty() {
        parts = parts.with("accepted", settings.accept.join(", "));
    }
    match &settings.baseline {
        Some(baseline) => parts.with("baseline", baseline),
        None => parts,
    }
}

/// What the answers depend on besides the questions.
fn data(
    settings: &Settings,
    questions: &[&Question],
    found: &[tables::Found],
    context: &Context,
) -> Result<Fingerprint, Error> {
    let mut parts = Fingerprint::default();
    for table in found.iter().filter(|table| table.is_data()) {
        parts = parts.with(&format!("table {}", table.name()), table.digest());
    }
    if tables::uses_derived(questions)
        && let Some(derived) = derive::fingerprint(context)?
    {
        parts = parts.with("masks of annotations", derived.digest());
    }
    Ok(match &settings.photos {
        Some(photos) => parts.with("photos", dataset::listing_digest(photos)?),
        None => parts,
    })
}

/// The answers of the last run that no check blocked, if there was one.
pub fn last(context: &Context) -> Result<Option<Answers>, Error> {
    let store = context.tables.store();
    let bytes = match store.wait(store.get(ANSWERS_KEY)) {
        Ok(bytes) => bytes,
        Err(storage::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let unreadable = |detail: String| {
        Error::Failed(format!(
            "{}/{ANSWERS_KEY} cannot be read ({detail}); remove it and run `selvedge stats` again",
            store.url()
        ))
    };
    let answers: Answers = serde_json::from_slice(&bytes).map_err(|error| unreadable(error.to_string()))?;
    if answers.schema != SCHEMA {
        return Err(unreadable(format!("it is {}, and {SCHEMA} is read here", answers.schema)));
    }
    Ok(Some(answers))
}

/// Asks every question and check. What is computed on the way (facts of photos, figures of masks) is remembered in tables of
/// its own; the answers are not kept.
pub fn ask(settings: &Settings, context: &Context) -> Result<Findings, Error> {
    let (stage, events) = (&context.stage, &context.events);
    let questions = questions(settings)?;
    let refs: Vec<&Question> = questions.iter().collect();
    let present = match &settings.photos {
        Some(photos) => Some(super::photos::survey_all(photos, "", context)?.into_keys().collect::<HashSet<String>>()),
        None => None,
    };
    if tables::uses_derived(&refs) {
        derive::renew(context)?;
    }
    let found = tables::find(&refs, context)?;
    let is_there = |table: &tables::Found| table.is_data() && !table.versions.is_empty();
    if found.iter().any(tables::Found::is_absent) && !found.iter().any(is_there) {
        let text = format!(
            "there is no table in {} that a question names; make some first with `selvedge ingest`",
            context.tables.store().url()
        );
        return Err(Error::Usage(text));
    }
    events.emit(Event::StageStarted { stage: stage.clone(), total: Some(questions.len() as u64), unit: "questions" });
    let data = data(settings, &refs, &found, context)?;
    let earlier = snapshot::earlier(context)?;
    let against = snapshot::against(&earlier, &data.digest(), settings.baseline.as_deref())?;
    let mut now = Snapshot { taken: snapshot::taken(clock::now()), data: data.digest(), figures: Vec::new() };
    let mut frames = load::load(&found, &refs, present.as_ref(), context)?;

    // Those about kept figures come last, checks at the very end: what is kept of the questions before is among the figures.
    let turn = |question: &Question| (compares(question), compares(question) && question.rule.is_some());
    let mut order: Vec<usize> = (0..questions.len()).collect();
    order.sort_by_key(|place| turn(&questions[*place]));
    let mut answers: Vec<Option<Answer>> = vec![None; questions.len()];
    let mut known = None;
    for place in order {
        check(&context.cancel)?;
        let question = &questions[place];
        if compares(question) && known != Some(now.figures.len()) {
            known = Some(now.figures.len());
            frames.retain(|(name, _)| *name != STATS.name);
            frames.push((STATS.name, frame::of_batch(&snapshot::batch(&earlier, against, &now)?)?));
        }
        let answer = answered(question, &frames, &found)?;
        now.figures.extend(snapshot::kept(&question.keeps, &answer));
        answers[place] = Some(answer);
        events.emit(Event::Advanced { stage: stage.clone(), by: 1 });
    }
    let fingerprint = depends_on(settings, &refs, data);
    let tables =
        found.iter().filter(|table| is_there(table)).map(|table| (table.name().to_owned(), table.rows())).collect();
    let last = against.last.and_then(|last| earlier.get(last)).map(|snapshot| snapshot.taken.clone());
    let mut findings = Findings { asked: Vec::new(), checks: Vec::new(), fingerprint, snapshot: now, last, tables };
    for (question, answer) in questions.into_iter().zip(answers) {
        let Some(answer) = answer.filter(|_| settings.wants(&question)) else { continue };
        match question.rule.clone() {
            None => findings.asked.push(Asked { question, answer }),
            Some(rule) => {
                let outcome = judged(&question, &answer, findings.last.is_some() || against.baseline.is_some());
                findings.checks.push(Checked { question, rule, answer, outcome });
            }
        }
    }
    Ok(findings)
}

/// Whether a question is about kept figures.
fn compares(question: &Question) -> bool {
    question.tables.contains(STATS.name)
}

fn answered(question: &Question, frames: &[(&str, DataFrame)], found: &[tables::Found]) -> Result<Answer, Error> {
    let frame = sql::query(&question.name, &question.text, frames)?;
    let absent = found.iter().filter(|table| table.is_absent() && question.tables.contains(table.name()));
    question.answered(&frame, absent.map(|table| table.name().to_owned()).collect())
}

/// What a check came to. One that lacks a table says nothing, and is not said to have passed.
fn judged(question: &Question, answer: &Answer, comparable: bool) -> CheckOutcome {
    if !answer.rows.is_empty() {
        return CheckOutcome::Failed;
    }
    let absent: Vec<&str> =
        answer.absent.iter().filter(|table| !question.optional.contains(table)).map(String::as_str).collect();
    if !absent.is_empty() {
        return CheckOutcome::NotAsked(format!("{} is not in the store", absent.join(", ")));
    }
    if compares(question) && !comparable {
        return CheckOutcome::NotAsked("there are no earlier figures to compare with".to_owned());
    }
    CheckOutcome::Passed
}

/// Keeps the answers: for good with their figures, or, when a check blocks, aside, where nothing takes them for the last ones.
pub fn keep(findings: &Findings, settings: &Settings, context: &Context) -> Result<(), Error> {
    let kept = Answers {
        schema: SCHEMA.to_owned(),
        fingerprint: findings.fingerprint.clone(),
        answers: findings.asked.iter().map(|asked| asked.answer.clone()).collect(),
        checks: findings.checks.iter().map(|checked| checked.answer.clone()).collect(),
    };
    let bytes = serde_json::to_vec_pretty(&kept)
        .map_err(|error| Error::Failed(format!("the answers cannot be written: {error}")))?;
    (context.fence)()?;
    let store = context.tables.store();
    if findings.is_blocked() {
        store.wait(store.put(STAGED_ANSWERS_KEY, Bytes::from(bytes)))?;
        return Ok(());
    }
    snapshot::keep(&findings.snapshot, settings.baseline.as_deref(), context)?;
    store.wait(store.put(ANSWERS_KEY, Bytes::from(bytes)))?;
    Ok(())
}
