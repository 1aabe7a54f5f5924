//! What is to be done about one input, from what is listed and what is known. Pure; must not know where either comes from.

use crate::outcome::{Outcome, Reason};
use std::fmt;

/// What the ledger knows of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The item's key.
    pub key: String,
    /// The source's version then.
    pub etag: String,
    /// The source's bytes then.
    pub size: u64,
    /// What model, options and code were then.
    pub fingerprint: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, unless it was fine.
    pub reason: Option<Reason>,
}

/// Which items are done again though nothing about them changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// Only what went wrong around the item.
    #[default]
    Transient,
    /// Quarantined items of this reason too, of any reason when there is none.
    Quarantined(Option<Reason>),
}

/// What is to be done about one input, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// Never seen before.
    New,
    /// The source has another version or size.
    SourceChanged,
    /// Model, options or code have changed.
    SettingsChanged,
    /// It failed, or asked to be tried again.
    Retry,
    /// Done, and nothing has changed.
    Cached,
}

impl Decision {
    /// The word that plans hold.
    pub fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::SourceChanged => "source changed",
            Self::SettingsChanged => "settings changed",
            Self::Retry => "retry",
            Self::Cached => "cached",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Decides about one listed input.
pub fn decide(etag: &str, size: u64, known: Option<&Known>, fingerprint: &str, retry: &Retry) -> Decision {
    let Some(known) = known else { return Decision::New };
    if known.etag != etag || known.size != size {
        return Decision::SourceChanged;
    }
    if known.fingerprint != fingerprint {
        return Decision::SettingsChanged;
    }
    let again = match (known.outcome, retry) {
        (Outcome::Failed, _) => true,
        (Outcome::Quarantined, Retry::Transient) => known.reason == Some(Reason::TransientExhausted),
        (Outcome::Quarantined, Retry::Quarantined(reason)) => reason.is_none() || *reason == known.reason,
        (Outcome::Ok | Outcome::Review, _) => false,
    };
    if again { Decision::Retry } else { Decision::Cached }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(outcome: Outcome, reason: Option<Reason>) -> Known {
        let (key, etag, fingerprint) = ("a".to_owned(), "e".to_owned(), "f".to_owned());
        Known { key, etag, size: 1, fingerprint, outcome, reason }
    }

    fn about(known: &Known, retry: &Retry) -> Decision {
        decide("e", 1, Some(known), "f", retry)
    }

    #[test]
    fn only_what_is_missing_or_changed_is_done() {
        let fine = known(Outcome::Ok, None);
        assert_eq!(decide("e", 1, None, "f", &Retry::Transient), Decision::New);
        assert_eq!(about(&fine, &Retry::Transient), Decision::Cached);
        assert_eq!(decide("x", 1, Some(&fine), "f", &Retry::Transient), Decision::SourceChanged);
        assert_eq!(decide("e", 2, Some(&fine), "f", &Retry::Transient), Decision::SourceChanged);
        assert_eq!(decide("e", 1, Some(&fine), "g", &Retry::Transient), Decision::SettingsChanged);
    }

    #[test]
    fn bad_items_wait_for_a_retry_and_unlucky_ones_do_not() {
        let bad = known(Outcome::Quarantined, Some(Reason::Truncated));
        assert_eq!(about(&bad, &Retry::Transient), Decision::Cached);
        assert_eq!(about(&bad, &Retry::Quarantined(None)), Decision::Retry);
        assert_eq!(about(&bad, &Retry::Quarantined(Some(Reason::Truncated))), Decision::Retry);
        assert_eq!(about(&bad, &Retry::Quarantined(Some(Reason::NotAnImage))), Decision::Cached);
        let unlucky = known(Outcome::Quarantined, Some(Reason::TransientExhausted));
        assert_eq!(about(&unlucky, &Retry::Transient), Decision::Retry);
        assert_eq!(about(&known(Outcome::Failed, Some(Reason::WriteError)), &Retry::Transient), Decision::Retry);
    }
}
