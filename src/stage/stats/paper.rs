//! What was found as a page: parts, sections and figures in the order of the questions, each with the command that computes it
//! again. Pure; must not know where the page goes, nor what its pictures show.

use super::{Answer, Asked, Checked, Findings, Question};
use crate::page::picture::quoted;
use crate::page::plot::{Column, Table};
use crate::page::report::{Check, CheckOutcome, Figure, Page, Part, Section, Severity, Verdict};
use serde_json::Value;

/// Parts of the page in their order; others follow, by their first question.
const PARTS: [&str; 4] = ["Dataset", "Training", "Cutouts", "Runs"];

/// What the page says besides what was found.
#[derive(Clone, Debug, Default)]
pub struct Heading {
    /// The title.
    pub title: String,
    /// When the page was made, as people write it.
    pub made: String,
    /// The store.
    pub source: String,
    /// The command that asks again, without the names of questions, such as `selvedge stats --data store`.
    pub command: String,
    /// Parts that are shown; all when empty.
    pub forms: Vec<String>,
    /// Facts of the run and the data, in their order.
    pub facts: Vec<(String, String)>,
    /// Why the run that the page is about is no good one, if so.
    pub failure: Option<String>,
}

/// The page, as yet without pictures.
pub fn page(findings: &Findings, heading: &Heading) -> Page {
    let wanted =
        |part: &str| heading.forms.is_empty() || heading.forms.iter().any(|form| form.eq_ignore_ascii_case(part));
    let mut parts: Vec<Part> = Vec::new();
    for name in PARTS {
        parts.extend(part(name, findings, heading).filter(|_| wanted(name)));
    }
    for Asked { question, .. } in &findings.asked {
        let (name, _) = &question.section;
        if !PARTS.contains(&name.as_str()) && !parts.iter().any(|part| part.title == *name) && wanted(name) {
            parts.extend(part(name, findings, heading));
        }
    }
    let verdict = verdict(findings, heading);
    let mut reproduce = vec![("Ask all of it again".to_owned(), heading.command.clone())];
    for Asked { question, .. } in findings.asked.iter().filter(|asked| asked.question.numbers.is_some()) {
        if parts.iter().any(|part| part.title == question.section.0) {
            let figures = format!("Headline figures of {}", question.section.0);
            reproduce.push((figures, command(&question.name, heading)));
        }
    }
    reproduce.push(("One question alone".to_owned(), format!("{} --only NAME", heading.command)));
    Page {
        title: heading.title.clone(),
        made: heading.made.clone(),
        source: heading.source.clone(),
        verdict,
        summary: summary(findings, heading),
        facts: heading.facts.clone(),
        checks: findings.checks.iter().map(|checked| check(checked, heading)).collect(),
        parts,
        reproduce,
    }
}

/// What the page says at the top.
fn verdict(findings: &Findings, heading: &Heading) -> Verdict {
    match findings.failed().next().map(|check| check.rule.severity) {
        Some(Severity::Block) => Verdict::Blocked,
        _ if heading.failure.is_some() => Verdict::Failed,
        Some(Severity::Warn) => Verdict::Warned,
        None => Verdict::Passed,
    }
}

/// What is behind the verdict, in a line; how many checks held the page says itself.
fn summary(findings: &Findings, heading: &Heading) -> String {
    let mut words: Vec<String> = heading.failure.iter().cloned().collect();
    words.extend(findings.failed().map(|checked| {
        let word = if checked.rule.severity == Severity::Block { "blocks" } else { "warns" };
        format!("{} {word}", checked.question.title)
    }));
    words.push(match &findings.last {
        Some(last) => {
            format!("compared with the figures of {}", last.split('.').next().unwrap_or(last).replace('T', " "))
        }
        None => "nothing earlier to compare with".to_owned(),
    });
    words.join("; ")
}

/// One part, unless none of its questions could be asked.
fn part(name: &str, findings: &Findings, heading: &Heading) -> Option<Part> {
    let mut part = Part {
        id: name.to_lowercase().replace(|sign: char| !sign.is_ascii_alphanumeric(), "-"),
        title: name.to_owned(),
        lead: String::new(),
        numbers: Vec::new(),
        sections: Vec::new(),
    };
    for Asked { question, answer } in findings.asked.iter().filter(|asked| asked.question.section.0 == name) {
        if !answer.absent.is_empty() && answer.rows.is_empty() || only_zeros(question, answer) {
            continue;
        }
        if let Some((label, value)) = &question.numbers {
            part.numbers.extend(numbers(answer, label, value));
            if part.lead.is_empty() {
                part.lead.clone_from(&question.question);
            }
            continue;
        }
        let title = &question.section.1;
        let place = part.sections.iter().position(|section| section.title == *title).unwrap_or_else(|| {
            part.sections.push(Section { title: title.clone(), figures: Vec::new(), panels: Vec::new() });
            part.sections.len() - 1
        });
        part.sections[place].figures.push(figure(question, answer, heading));
    }
    (!part.sections.is_empty() || !part.numbers.is_empty()).then_some(part)
}

/// Whether every table that the question names, but for the lists that are always there, is absent: a question about classes
/// has a row for each of them all the same.
fn only_zeros(question: &Question, answer: &Answer) -> bool {
    let always = |table: &&String| ["labels", "attributes", "stats"].contains(&table.as_str());
    let asked = question.tables.iter().filter(|table| !always(table));
    let known = asked.filter(|table| super::tables::OPEN.iter().any(|open| open.name == table.as_str()));
    let mut known = known.peekable();
    known.peek().is_some() && known.all(|table| answer.absent.contains(table))
}

fn numbers(answer: &Answer, label: &str, value: &str) -> Vec<(String, String)> {
    let place = |name: &str| answer.columns.iter().position(|column| column.name == name);
    let (Some(label), Some(value)) = (place(label), place(value)) else { return Vec::new() };
    let text = |cell: Option<&Value>| match cell {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.as_f64().filter(|value| value.fract() == 0.0).map_or_else(
            || other.to_string(),
            |whole| format!("{whole:.0}"), // Counts stand beside shares in one column, and are floats there.
        )),
    };
    answer.rows.iter().filter_map(|row| Some((text(row.get(label))?, text(row.get(value))?))).collect()
}

/// An answer as the page's table.
pub fn table(answer: &Answer) -> Table {
    let column = |column: &super::AnswerColumn| Column { name: column.name.clone(), meaning: column.meaning.clone() };
    Table { columns: answer.columns.iter().map(column).collect(), rows: answer.rows.clone() }
}

fn figure(question: &Question, answer: &Answer, heading: &Heading) -> Figure {
    let absent = match answer.absent.as_slice() {
        [] => None,
        absent => Some(format!("Not in the store, and taken as empty: {}.", absent.join(", "))),
    };
    Figure {
        name: question.name.clone(),
        title: question.title.clone(),
        question: question.question.clone(),
        grain: question.grain.clone(),
        plot: question.plot.clone(),
        table: table(answer),
        notes: absent.into_iter().collect(),
        command: command(&question.name, heading),
        sql: question.text.clone(),
        csv: Some(csv_of(&question.name)),
    }
}

fn check(checked: &Checked, heading: &Heading) -> Check {
    let question = &checked.question;
    Check {
        name: question.name.clone(),
        title: question.title.clone(),
        question: question.question.clone(),
        severity: checked.rule.severity,
        outcome: checked.outcome.clone(),
        advice: checked.rule.advice.clone(),
        table: table(&checked.answer),
        rows: checked.answer.rows.len() as u64,
        command: command(&question.name, heading),
        csv: (checked.outcome == CheckOutcome::Failed).then(|| csv_of(&question.name)),
    }
}

fn command(name: &str, heading: &Heading) -> String {
    format!("{} --only {}", heading.command, quoted(name))
}

/// The file of an answer as CSV, in the folder of the page's tables.
pub fn csv_of(name: &str) -> String {
    format!("{name}.csv")
}

/// The page with links into the folder of its tables.
pub fn linked(page: &Page, folder: &str) -> Page {
    let mut page = page.clone();
    let figures = page.parts.iter_mut().flat_map(|part| &mut part.sections).flat_map(|section| &mut section.figures);
    let links = figures.map(|figure| &mut figure.csv).chain(page.checks.iter_mut().map(|check| &mut check.csv));
    links.flatten().for_each(|link| *link = format!("{folder}/{link}"));
    page
}
