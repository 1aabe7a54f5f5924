//! `[watch]`: who is told of a run's end, and of which ends. Addresses can hold a secret, so they are shown as scheme and
//! host only. Must not tell anybody anything.

use super::{Error, section::Section};
use std::fmt;
use std::path::PathBuf;

/// How a run can end, in the words of `result` in `outcome.json`.
pub const ENDS: [&str; 9] =
    ["done", "done_with_quarantine", "failed", "usage", "blocked", "busy", "skipped", "try_again", "stopped"];

/// Who is told of a run's end.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    /// A file for the node exporter's textfile collector.
    pub prometheus_file: Option<PathBuf>,
    /// A Pushgateway.
    pub push: Option<Address>,
    /// Where the run's outcome is posted as JSON.
    pub webhook: Option<Address>,
    /// Which ends are posted; all when absent.
    pub webhook_on: Option<Vec<String>>,
    /// A check that expects a sign of every run: the address after a success, the address and `/fail` otherwise.
    pub healthcheck: Option<Address>,
    /// A program and its arguments, given the outcome as JSON on standard input.
    pub command: Option<Vec<String>>,
    /// Which ends it is run for; all when absent.
    pub command_on: Option<Vec<String>>,
    /// How long it may take.
    pub command_seconds: u64,
}

/// A URL that may hold a secret, or the file that holds it.
#[derive(Clone)]
pub enum Address {
    /// The URL itself.
    Url(String),
    /// A file whose first line is the URL, read when somebody is to be told.
    File(PathBuf),
}

impl Address {
    fn parse(text: String) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("file:") {
            return Ok(Self::File(PathBuf::from(path.strip_prefix("//").unwrap_or(path))));
        }
        check(&text)?;
        Ok(Self::Url(text))
    }

    /// The URL. An error says what is wrong with it and never what it is.
    pub fn url(&self) -> Result<url::Url, String> {
        match self {
            Self::Url(text) => check(text),
            Self::File(path) => {
                let wrong = |cause: String| format!("{}: {cause}", path.display());
                let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
                check(text.lines().next().unwrap_or_default().trim()).map_err(wrong)
            }
        }
    }
}

impl fmt::Debug for Address {
    /// What may be shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(text) => f.write_str(&check(text).map(|url| shown(&url)).unwrap_or_default()),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

/// A URL as people may see it: scheme and host; user, path and query can be secrets.
pub fn shown(url: &url::Url) -> String {
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}/…", url.scheme(), url.host_str().unwrap_or_default())
}

fn check(text: &str) -> Result<url::Url, String> {
    match url::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err("is no URL that begins with https:// or http://".to_owned()),
    }
}

/// Reads `[watch]`.
pub fn read(section: &Section<'_>) -> Result<Watch, Error> {
    let address = |key: &'static str| {
        let Some(text) = section.text(key)? else { return Ok(None) };
        Address::parse(text)
            .map(Some)
            .map_err(|detail| section.error_at(key, format!("{detail}; or write file:PATH for a file that holds it")))
    };
    let ends = |key: &'static str| {
        let Some(words) = section.texts(key)? else { return Ok(None) };
        for word in &words {
            if !ENDS.contains(&word.as_str()) {
                let hint = super::nearest(word, ENDS);
                return Err(section.error_at(key, format!("no run ends as {word:?}{hint}")));
            }
        }
        Ok(Some(words))
    };
    let watch = Watch {
        prometheus_file: section.text("prometheus_file")?.map(PathBuf::from),
        push: address("push")?,
        webhook: address("webhook")?,
        webhook_on: ends("webhook_on")?,
        healthcheck: address("healthcheck")?,
        command: section.texts("command")?,
        command_on: ends("command_on")?,
        command_seconds: section.number("command_seconds")?.unwrap_or(60),
    };
    if watch.prometheus_file.as_ref().is_some_and(|path| path.extension().is_none_or(|end| end != "prom")) {
        let detail = "the node exporter reads only files whose names end in .prom";
        return Err(section.error_at("prometheus_file", detail));
    }
    if watch.command.as_ref().is_some_and(|words| words.first().is_none_or(String::is_empty)) {
        return Err(section.error_at("command", "needs a program, such as [\"/usr/local/bin/notify\", \"--all\"]"));
    }
    if !(1..=3600).contains(&watch.command_seconds) {
        return Err(section.error_at("command_seconds", "is to be from 1 to 3600"));
    }
    section.finish()?;
    Ok(watch)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn an_address_shows_its_host_and_never_its_secret() {
        let address =
            Address::parse("https://user:hidden@hooks.example.com:8443/hidden/x?key=hidden".to_owned()).unwrap();
        assert_eq!(format!("{address:?}"), "https://hooks.example.com:8443/…");
        assert_eq!(shown(&address.url().unwrap()), "https://hooks.example.com:8443/…");
        for wrong in ["hidden", "ftp://h/hidden", "https://", "https:// hidden/"] {
            assert!(!Address::parse(wrong.to_owned()).unwrap_err().contains("hidden"), "{wrong}");
        }
    }

    #[test]
    fn an_address_is_read_from_a_file() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let address = Address::parse(format!("file:{}", file.path().display())).unwrap();
        std::fs::write(file.path(), "https://h/hidden\n").unwrap();
        assert_eq!(address.url().unwrap().as_str(), "https://h/hidden");
        std::fs::write(file.path(), "hidden").unwrap();
        assert!(!address.url().unwrap_err().contains("hidden"));
    }
}
