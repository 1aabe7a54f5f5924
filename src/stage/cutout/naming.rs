//! What an output is called. Must not know where it is written.

/// How an output's name comes from its input's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// `a.jpg` → `a.jpg.png`, with the extension of the output: never depends on neighbours.
    Full,
    /// `a.jpg` → `a.png`: two inputs that would meet are refused before any work.
    Stem,
}

impl Naming {
    /// The word that settings use.
    pub fn word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Stem => "stem",
        }
    }

    /// The naming that a setting's word stands for.
    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Full, Self::Stem].into_iter().find(|naming| naming.word() == word)
    }

    /// The key of the output of this name, with the extension of its format.
    pub fn output(self, name: &str, extension: &str) -> String {
        match self {
            Self::Full => format!("{name}.{extension}"),
            Self::Stem => format!("{}.{extension}", stem(name)),
        }
    }
}

/// The name without its last extension; a name that is all extension, such as `.jpg`, stays whole.
fn stem(name: &str) -> &str {
    let file = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[file..].rfind('.') {
        Some(dot) if dot > 0 => &name[..file + dot],
        _ => name,
    }
}

/// Finds inputs whose outputs would meet, from names in ascending order, remembering only the few that still can meet.
#[derive(Default)]
pub struct Meetings {
    /// Name and stem of earlier inputs that a later one can still meet.
    open: Vec<(String, String)>,
}

impl Meetings {
    /// Takes the next name; gives the earlier name that it meets.
    pub fn take(&mut self, naming: Naming, name: &str) -> Option<String> {
        if naming == Naming::Full {
            return None;
        }
        let stem = stem(name);
        // Names with one stem share the prefix `stem.` (or are the stem), so that in ascending order nothing that lacks
        // the prefix stands between them but names that sort before `stem.`, which `name < stem.` tells.
        self.open.retain(|(_, earlier)| name.starts_with(earlier.as_str()) || *name < *format!("{earlier}."));
        if let Some((met, _)) = self.open.iter().find(|(_, earlier)| earlier == stem) {
            return Some(met.clone());
        }
        self.open.push((name.to_owned(), stem.to_owned()));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_full_or_stems() {
        assert_eq!(Naming::Full.output("a/b.jpg", "png"), "a/b.jpg.png");
        assert_eq!(Naming::Stem.output("a/b.jpg", "webp"), "a/b.webp");
        assert_eq!(Naming::Stem.output("a.d/b", "png"), "a.d/b.png");
        assert_eq!(Naming::Stem.output(".jpg", "png"), ".jpg.png");
    }

    #[test]
    fn stems_that_meet_are_found_across_neighbours() {
        let mut names = ["a.jpg", "a-b.jpg", "a.b.jpg", "a.b.png", "a.png", "b.jpg", "a"];
        names.sort_unstable();
        let mut meetings = Meetings::default();
        let met: Vec<_> = names.iter().filter_map(|name| Some((*name, meetings.take(Naming::Stem, name)?))).collect();
        assert_eq!(met, [("a.b.png", "a.b.jpg".to_owned()), ("a.jpg", "a".to_owned()), ("a.png", "a".to_owned())]);
    }

    proptest::proptest! {
        #[test]
        fn a_meeting_is_found_whenever_there_is_one(mut names in proptest::collection::vec("[a-c.-]{1,5}", 1..12)) {
            names.sort_unstable();
            names.dedup();
            let mut meetings = Meetings::default();
            let found = names.iter().any(|name| meetings.take(Naming::Stem, name).is_some());
            let mut outputs: Vec<_> = names.iter().map(|name| Naming::Stem.output(name, "png")).collect();
            let all = outputs.len();
            outputs.sort_unstable();
            outputs.dedup();
            proptest::prop_assert_eq!(found, outputs.len() < all);
        }
    }
}
