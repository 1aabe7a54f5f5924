//! How many bad items a run may have: `"1%"` or a count. Must not know what an item is.

use crate::outcome::Counts;

/// A limit on quarantined items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Limit {
    /// No more than this many.
    Count(u64),
    /// No more than this share of all items, 0–1.
    Share(f64),
}

impl Limit {
    /// Reads `"1%"` or `"20"`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no limit; write a share such as \"1%\" or a count such as \"20\"");
        if let Some(percent) = text.trim().strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
            if !(0.0..=100.0).contains(&percent) {
                return Err(wrong());
            }
            return Ok(Self::Share(percent / 100.0));
        }
        text.trim().parse().map(Self::Count).map_err(|_| wrong())
    }

    /// Whether the counts stay within it.
    pub fn allows(self, counts: &Counts) -> bool {
        match self {
            Self::Count(most) => counts.quarantined <= most,
            Self::Share(share) => counts.quarantined as f64 <= share * counts.total() as f64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_counts_are_read() {
        assert_eq!(Limit::parse("1%"), Ok(Limit::Share(0.01)));
        assert_eq!(Limit::parse(" 20 "), Ok(Limit::Count(20)));
        assert!(Limit::parse("lots").is_err());
        assert!(Limit::parse("120%").is_err());
    }

    #[test]
    fn a_share_counts_all_items() {
        let counts = Counts { ok: 98, quarantined: 2, ..Counts::default() };
        assert!(Limit::Share(0.02).allows(&counts));
        assert!(!Limit::Share(0.01).allows(&counts));
        assert!(!Limit::Count(1).allows(&counts));
    }
}
