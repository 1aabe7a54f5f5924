//! The command that is run when a run has ended: no shell, the outcome on standard input, a limit of time. Must not know what
//! the command does.

use crate::runner::state::End;
use std::io::{Read, Seek, SeekFrom, Write};
use std::process::Stdio;
use std::time::Duration;
use tokio::runtime::Handle;

/// How much of what the command said goes into a warning.
const MOST_BYTES: u64 = 500;

/// Runs the command and waits for its end. Its input and its words are files, not pipes, so that one that reads nothing, or
/// leaves another process behind, holds nobody up.
pub fn run(words: &[String], end: &End, body: &[u8], seconds: u64, handle: &Handle) -> Result<(), String> {
    let Some((program, arguments)) = words.split_first() else { return Ok(()) };
    let wrong = |cause: String| format!("command {program}: {cause}");
    let io = |error: std::io::Error| wrong(error.to_string());
    let mut input = tempfile::tempfile().map_err(io)?;
    input.write_all(body).and_then(|()| input.rewind()).map_err(io)?;
    let mut said = tempfile::tempfile().map_err(io)?;
    let mut command = tokio::process::Command::new(program);
    command
        .args(arguments)
        .env("SELVEDGE_PIPELINE", &end.pipeline)
        .env("SELVEDGE_RUN", end.run.as_deref().unwrap_or_default())
        .env("SELVEDGE_EXIT", end.exit.map_or_else(String::new, |exit| exit.to_string()))
        .env("SELVEDGE_OUTCOME", end.result.as_deref().unwrap_or_default())
        .stdin(Stdio::from(input))
        .stdout(Stdio::null())
        .stderr(Stdio::from(said.try_clone().map_err(io)?))
        .kill_on_drop(true);
    let status = handle.block_on(async {
        let mut child = command.spawn()?;
        match tokio::time::timeout(Duration::from_secs(seconds), child.wait()).await {
            Ok(status) => status.map(Some),
            Err(_) => child.kill().await.map(|()| None),
        }
    });
    match status.map_err(io)? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(wrong(format!("{status}{}", last_words(&mut said)))),
        None => Err(wrong(format!("ended after {seconds} s, which is its limit{}", last_words(&mut said)))),
    }
}

fn last_words(said: &mut std::fs::File) -> String {
    let length = said.metadata().map_or(0, |about| about.len());
    let mut bytes = Vec::new();
    let read = said
        .seek(SeekFrom::Start(length.saturating_sub(MOST_BYTES)))
        .and_then(|_| said.take(MOST_BYTES).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    match (read, text.trim()) {
        (Ok(_), text) if !text.is_empty() => format!("; it said: {text}"),
        _ => String::new(),
    }
}
