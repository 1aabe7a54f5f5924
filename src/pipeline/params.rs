//! What `{name}` and `${NAME}` in a pipeline file stand for. Must not know which setting a text belongs to.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Values for `{name}` (from `[params]`, `--set` and the run's date) and `${NAME}` (from the environment).
pub struct Params {
    /// By name, as in `{name}`.
    pub named: BTreeMap<String, String>,
    /// How to look an environment variable up.
    pub environment: fn(&str) -> Option<String>,
    /// The names that were filled in so far.
    pub used: RefCell<BTreeSet<String>>,
}

impl Params {
    /// Parameters of which none was filled in yet.
    pub fn new(named: BTreeMap<String, String>, environment: fn(&str) -> Option<String>) -> Self {
        Self { named, environment, used: RefCell::default() }
    }

    /// Fills a text in; `{{` and `}}` stand for the braces themselves. The error says what is missing, never a value.
    pub fn fill(&self, text: &str) -> Result<String, String> {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}', '$']) {
            filled.push_str(&rest[..at]);
            let tail = &rest[at..];
            if let Some(after) = tail.strip_prefix("{{").or_else(|| tail.strip_prefix("}}")) {
                filled.push(if tail.starts_with('{') { '{' } else { '}' });
                rest = after;
            } else if let Some(after) = tail.strip_prefix("${") {
                let (name, after) = after.split_once('}').ok_or_else(|| format!("`${{` without `}}` in {text:?}"))?;
                let value = (self.environment)(name);
                filled
                    .push_str(&value.ok_or_else(|| format!("the environment variable {name} is not set; export it"))?);
                rest = after;
            } else if let Some(after) = tail.strip_prefix('{') {
                let (name, after) = after.split_once('}').ok_or_else(|| format!("`{{` without `}}` in {text:?}"))?;
                let unknown = || {
                    let hint = super::nearest(name, self.named.keys().map(String::as_str));
                    format!("no parameter is called {name}{hint}; declare it in [params] or give --set {name}=…")
                };
                filled.push_str(self.named.get(name).ok_or_else(unknown)?);
                self.used.borrow_mut().insert(name.to_owned());
                rest = after;
            } else {
                filled.push_str(&tail[..1]);
                rest = &tail[1..];
            }
        }
        filled.push_str(rest);
        Ok(filled)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params() -> Params {
        let named = BTreeMap::from([("date".to_owned(), "2026-11-23".to_owned())]);
        Params::new(named, |name| (name == "HOME_BUCKET").then(|| "s3://b".to_owned()))
    }

    #[test]
    fn names_and_variables_are_filled_in() {
        assert_eq!(params().fill("${HOME_BUCKET}/in/{date}/{{x}}").as_deref(), Ok("s3://b/in/2026-11-23/{x}"));
    }

    #[test]
    fn an_unknown_name_suggests_the_nearest() {
        let error = params().fill("{dat}").err().unwrap_or_default();
        assert!(error.contains("did you mean date"), "{error}");
    }

    #[test]
    fn a_missing_variable_is_named() {
        let error = params().fill("${NOPE}").err().unwrap_or_default();
        assert!(error.contains("NOPE"), "{error}");
    }
}
