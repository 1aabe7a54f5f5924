//! `stats` and `report`: what is known of a store, on stdout or as a page. Must not know any question.

use super::data_args::{AskArgs, ReportArgs, StatsArgs};
use super::stages::alone;
use super::{Answer, Desk, Exit, Refusal};
use crate::outcome::Counts;
use crate::page::report::CheckOutcome;
use crate::pipeline::Statistics;
use crate::runner::report::{self, Wanted};
use crate::runner::stats_settings;
use crate::stage::Context;
use crate::stage::stats::{self, Findings};
use crate::stage::tables::Tables;
use serde_json::{Value, json};
use std::process::{Command, Stdio};

/// `stats`
pub fn stats(args: &StatsArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let context = context(&args.data, &args.ask, "stats", desk)?;
    let settings = stats_settings(&statistics(&args.ask, &[], desk), &context)?;
    let settings = stats::Settings { only: args.only.clone(), ..settings };
    let findings = stats::ask(&settings, &context)?;
    // What waits in staging is settled by the pipeline that made it, and a part is no report.
    if args.only.is_empty() && !args.ask.staged {
        stats::keep(&findings, &settings, &context)?;
    }
    Ok(answer(&findings, stats::text(&findings), json!({})))
}

/// `report`
pub fn report(args: &ReportArgs, desk: &Desk) -> Result<Answer, Refusal> {
    let context = context(&args.data, &args.ask, "report", desk)?;
    let statistics = statistics(&args.ask, &args.form, desk);
    let settings = stats_settings(&statistics, &context)?;
    let findings = stats::ask(&settings, &context)?;
    let wanted = Wanted { title: args.title.clone().unwrap_or_default(), run: args.run.clone() };
    let page = report::page(&findings, &settings, &statistics, &wanted, &context)?;
    let (folder, file) = report::place_of(&args.out)?;
    let url = report::write(&page, &findings, &desk.store(&folder)?, &file)?;
    let mut text = format!("{}: {}\n{url}", page.verdict.word(), findings.summary());
    if args.open && !shown(url.trim_start_matches("file://")) {
        text.push_str("\nno browser could be started; open the page by hand");
    }
    let fields = json!({"verdict": page.verdict.word(), "page": page, "output": url, "artifacts": [url]});
    Ok(answer(&findings, text, fields))
}

fn context(data: &str, ask: &AskArgs, stage: &str, desk: &Desk) -> Result<Context, Refusal> {
    let store = desk.store(data)?;
    let context = alone(desk, store.clone(), stage);
    Ok(if ask.staged { Context { tables: Tables::staged(store), ..context } } else { context })
}

fn statistics(ask: &AskArgs, forms: &[String], desk: &Desk) -> Statistics {
    Statistics {
        sql: ask.sql.clone(),
        photos: ask.photos.clone(),
        baseline: ask.baseline.clone(),
        report: None,
        forms: forms.to_vec(),
        accept: ask.accept.clone(),
        options: desk.options.clone(),
    }
}

/// Exit 4 when a check blocks.
fn answer(findings: &Findings, text: String, mut fields: Value) -> Answer {
    let checks = findings.checks.iter().map(|checked| {
        let outcome = match &checked.outcome {
            CheckOutcome::Passed => "passed",
            CheckOutcome::Failed => "failed",
            CheckOutcome::NotAsked(_) => "not_asked",
        };
        let answer = stats::json(std::iter::once(&checked.answer));
        json!({"name": checked.question.name, "severity": checked.rule.severity, "outcome": outcome,
            "advice": checked.rule.advice, "answer": answer[0]})
    });
    fields["summary"] = json!(findings.summary());
    fields["checks"] = checks.collect();
    fields["answers"] = stats::json(findings.asked.iter().map(|asked| &asked.answer));
    let exit = if findings.is_blocked() { Exit::Blocked } else { Exit::Done };
    Answer { exit, counts: Counts::default(), text, fields }
}

/// Shows a page in the browser that the desktop names; whether one could be started.
fn shown(page: &str) -> bool {
    ["xdg-open", "open"].iter().any(|opener| {
        let started =
            Command::new(opener).arg(page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        started.is_ok()
    })
}
