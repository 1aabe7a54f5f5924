//! Settings written as words, the same in pipeline files and on the command line. Must not know which of the two.

use super::nearest;
use crate::graph::train::{AdamW, Denominator, Optimiser, Precision, Recompute, Sgd};
use crate::graph::weights::Start;
use crate::stage::measure::wish::ModeWord;
use crate::stage::merge::{Classes, Policy};
use crate::stage::train::weights::Balance;
use crate::stage::{ingest, merge};

/// Classes (`main`, `all`, `0,1,23`), policy and priorities of a merge.
pub fn merge(classes: Option<&str>, policy: Option<&str>, priority: Option<&str>) -> Result<merge::Settings, String> {
    let mut settings = merge::Settings::default();
    match classes {
        None => {}
        Some("main") => settings.classes = Classes::Main,
        Some("all") => settings.classes = Classes::All,
        Some(list) => {
            let list =
                ids(list).map_err(|error| format!("classes: {error}; write main, all, or a list such as 0,1,23"))?;
            settings.classes = Classes::List(list.into_iter().collect());
        }
    }
    if let Some(word) = policy {
        let unknown =
            || format!("policy: there is no {word:?}{}", nearest(word, Policy::ALL.iter().map(|(name, _)| *name)));
        settings.policy = Policy::from_name(word).ok_or_else(unknown)?;
    }
    if let Some(list) = priority {
        settings.priority = ids(list).map_err(|error| format!("priority: {error}; write a list such as 23,13,0"))?;
    }
    Ok(settings)
}

fn ids(list: &str) -> Result<Vec<u8>, String> {
    list.split(',').map(|id| id.trim().parse().map_err(|_| format!("{id:?} is no class id"))).collect()
}

/// How a CSV is written: the character between fields, the number of the first pixel, the form of the masks.
pub fn ingest(
    settings: &mut ingest::Settings,
    delimiter: Option<char>,
    rle_base: Option<u64>,
    rle_format: Option<&str>,
) -> Result<(), String> {
    if let Some(delimiter) = delimiter {
        let wrong = |_| format!("delimiter: {delimiter:?} is no ASCII character; write , or ; or a tab");
        settings.delimiter = u8::try_from(delimiter).map_err(wrong)?;
    }
    if let Some(base) = rle_base {
        settings.rle_base = u8::try_from(base).map_err(|_| format!("rle_base: {base} is neither 0 nor 1"))?;
    }
    settings.rle_format = match rle_format {
        None => settings.rle_format,
        Some("kaggle") => ingest::Format::Kaggle,
        Some("coco") => ingest::Format::Coco,
        Some(word) => return Err(format!("rle_format: {word:?} is neither kaggle nor coco")),
    };
    Ok(())
}

/// How a network looks at photos.
pub fn look(word: &str) -> Result<ModeWord, String> {
    find(word, [("whole", ModeWord::Whole), ("slide", ModeWord::Slide)])
}

/// How parameters follow their gradients, with the usual settings.
pub fn optimiser(word: &str) -> Result<Optimiser, String> {
    find(word, [("sgd", Optimiser::Sgd(Sgd::default())), ("adamw", Optimiser::AdamW(AdamW::default()))])
}

/// How random weights are drawn.
pub fn start(word: &str) -> Result<Start, String> {
    find(word, [("published", Start::Published), ("fan-in", Start::FanIn)])
}

/// The numbers of matrix products.
pub fn precision(word: &str) -> Result<Precision, String> {
    let all = [Precision::F32, Precision::Bf16, Precision::Bf16Emulated, Precision::F16];
    find(word, all.map(|precision| (precision.name(), precision)))
}

/// What is computed again on the way back.
pub fn recompute(word: &str) -> Result<Recompute, String> {
    find(word, [Recompute::None, Recompute::Attention, Recompute::Blocks].map(|what| (what.name(), what)))
}

/// What the sum of the loss is divided by.
pub fn loss_over(word: &str) -> Result<Denominator, String> {
    find(word, [("all", Denominator::All), ("valid", Denominator::Valid)])
}

/// How classes are weighed against each other.
pub fn balance(word: Option<&str>, beta: Option<f64>) -> Result<Balance, String> {
    let effective = Balance::EffectiveNumber { beta: beta.unwrap_or(0.9999) };
    let all = [
        ("none", Balance::None),
        ("inverse", Balance::Inverse),
        ("median-frequency", Balance::MedianFrequency),
        ("effective-number", effective),
    ];
    let balance = find(word.unwrap_or("none"), all)?;
    match beta.is_some() && balance != effective {
        true => Err("beta belongs to effective-number".to_owned()),
        false => Ok(balance),
    }
}

fn find<T, const N: usize>(word: &str, known: [(&'static str, T); N]) -> Result<T, String> {
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    let found = known.into_iter().find(|(name, _)| *name == word);
    found.map(|(_, value)| value).ok_or_else(|| format!("there is no {word:?}{}", nearest(word, names)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_settings() {
        let settings = merge(Some("0, 3"), Some("first-wins"), None);
        assert!(settings.is_ok_and(
            |settings| settings.policy == Policy::FirstWins && settings.classes == Classes::List([0, 3].into())
        ));
        assert!(
            merge(None, Some("small-on-tpo"), None).is_err_and(|error| error.contains("did you mean small-on-top"))
        );
        assert!(merge(Some("main,0"), None, None).is_err());
        let mut settings = ingest::Settings::default();
        assert!(ingest(&mut settings, Some(';'), Some(0), Some("coco")).is_ok());
        assert_eq!((settings.delimiter, settings.rle_base, settings.rle_format), (b';', 0, ingest::Format::Coco));
        assert!(ingest(&mut settings, Some('→'), None, None).is_err());
    }
}
