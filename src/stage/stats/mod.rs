//! Questions in SQL, asked of the store's tables: a folder of files, each one question. Must not know what the questions
//! are about, nor how the answers are shown.
//!
//! A file opens with `-- title: …`, `-- question: …`, `-- grain: …` (what one row is) and `-- column NAME: …` (what it holds,
//! with its unit); all may be left out. A file put into the folder is asked by the next run. [`tables`] says what can be
//! queried.

mod question;
mod render;
pub mod tables;

pub use question::Question;
pub use render::{json, text};

use super::{Context, Error, Report, check};
use crate::digest::{self, Fingerprint};
use crate::event::{Event, Level, note};
use crate::outcome::Counts;
use crate::storage::{self, Store};
use crate::table::sql;
use bytes::Bytes;
use futures::TryStreamExt;
use serde::{Deserialize, Serialize};

/// Raised by hand when the same questions to the same tables would be answered otherwise.
const CODE_VERSION: u32 = 1;
/// Where the answers of the last run are kept, below the root of the tables.
pub const ANSWERS_KEY: &str = "stats/answers.json";
const SCHEMA: &str = "selvedge.answers/1";

/// The questions that ship with the program: file name and text.
pub const SHIPPED: [(&str, &str); 3] = [
    ("class_balance.sql", include_str!("../../../sql/03_class_balance.sql")),
    ("image_sizes.sql", include_str!("../../../sql/11_image_sizes.sql")),
    ("quarantine_by_reason.sql", include_str!("../../../sql/34_quarantine.sql")),
];

/// What to ask.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The folder of `.sql` files (those directly in it); the shipped questions when there is none.
    pub sql: Option<Store>,
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
}

/// The questions to ask, by name.
pub fn questions(settings: &Settings) -> Result<Vec<Question>, Error> {
    let Some(store) = &settings.sql else {
        return SHIPPED.iter().map(|(file, text)| Question::parse(file, text)).collect();
    };
    let listed: Vec<storage::ObjectInfo> = store.wait(store.list("").try_collect())?;
    let mut questions = Vec::new();
    for file in listed.iter().filter(|file| file.key.ends_with(".sql") && !file.key.contains('/')) {
        let bytes = store.wait(store.get(&file.key))?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|error| Error::Usage(format!("{}/{} is not UTF-8 text: {error}", store.url(), file.key)))?;
        questions.push(Question::parse(&file.key, text)?);
    }
    if questions.is_empty() {
        let text =
            format!("{} holds no .sql file; name another folder, or none to ask the shipped questions", store.url());
        return Err(Error::Usage(text));
    }
    Ok(questions)
}

/// What the answers depend on: the texts of the questions and the rows of the tables that they name.
pub fn fingerprint(settings: &Settings, context: &Context) -> Result<Fingerprint, Error> {
    let questions = questions(settings)?;
    depends_on(&questions, &tables::find(&questions, context)?)
}

fn depends_on(questions: &[Question], found: &[tables::Found]) -> Result<Fingerprint, Error> {
    let mut parts = Fingerprint::default().with("code", CODE_VERSION);
    for question in questions {
        parts = parts.with(&format!("sql {}", question.name), digest::of(question.text.as_bytes()));
    }
    for table in found {
        parts = parts.with(&format!("table {}", table.name), table.digest());
    }
    Ok(parts)
}

/// The answers of the last run, if there was one.
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

/// Asks every question and keeps the answers under [`ANSWERS_KEY`].
pub fn run(settings: &Settings, context: &Context) -> Result<(Vec<Answer>, Report), Error> {
    let stage = &context.stage;
    let questions = questions(settings)?;
    context.events.emit(Event::StageStarted {
        stage: stage.clone(),
        total: Some(questions.len() as u64),
        unit: "questions",
    });
    let found = tables::find(&questions, context)?;
    if found.iter().any(tables::Found::is_absent) && !found.iter().any(tables::Found::is_present) {
        let text = format!(
            "there is no table in {} that a question names; make some first with `selvedge ingest`",
            context.tables.store().url()
        );
        return Err(Error::Usage(text));
    }
    let frames = tables::load(&found, &questions, context)?;
    let mut answers = Vec::with_capacity(questions.len());
    for question in &questions {
        check(&context.cancel)?;
        let answer = sql::query(&question.name, &question.text, &frames)?;
        let absent: Vec<String> = found
            .iter()
            .filter(|table| table.is_absent() && question.tables.contains(&table.name))
            .map(|table| table.name.clone())
            .collect();
        if !absent.is_empty() {
            let text = format!("{}: {} is not in the store, and was taken as empty", question.name, absent.join(", "));
            note(&context.events, Level::Info, text);
        }
        answers.push(question.answered(&answer, absent)?);
        context.events.emit(Event::Advanced { stage: stage.clone(), by: 1 });
    }
    let kept =
        Answers { schema: SCHEMA.to_owned(), fingerprint: depends_on(&questions, &found)?, answers: answers.clone() };
    let bytes = serde_json::to_vec_pretty(&kept)
        .map_err(|error| Error::Failed(format!("the answers cannot be written: {error}")))?;
    (context.fence)()?;
    let store = context.tables.store();
    store.wait(store.put(ANSWERS_KEY, Bytes::from(bytes)))?;

    let counts = Counts { ok: answers.len() as u64, ..Counts::default() };
    let summary = format!("{} questions answered from {}", answers.len(), names(&found));
    Ok((answers, Report { counts, summary, artifacts: vec![store.child(ANSWERS_KEY).url().to_owned()] }))
}

fn names(found: &[tables::Found]) -> String {
    let names: Vec<&str> = found.iter().filter(|table| table.is_present()).map(|table| table.name.as_str()).collect();
    names.join(", ")
}
