//! Class weights of the loss, from how often each class occurs in the training split. Must not know graphs or tables.
//!
//! | balance | weight of a class that occurs n of N times, k classes occurring | scale, as published |
//! |---|---|---|
//! | none | no weights | |
//! | inverse | N / (k n) | weighted by how often each class occurs, the weights have the mean 1 |
//! | median frequency | median(f) / f | the median class has 1; f = n / pixels of the images that show the class |
//! | effective number | (1 − β) / (1 − βⁿ) | the weights of the k classes add up to k |
//!
//! A class that does not occur has the weight 0 and takes no part in medians, sums or k: nothing can be learnt of it, and a
//! division by its count has no answer. A loss that is divided by all pixels (mmsegmentation's) grows or shrinks with the
//! scale, so that a rate that was found with one balance does not carry over to another.

use super::Mismatch;

/// How classes are weighed against each other.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Balance {
    /// Every pixel alike, as the paper does.
    #[default]
    None,
    /// By the inverse of how often a class occurs.
    Inverse,
    /// By frequency within the images that show the class (Eigen and Fergus 2015).
    MedianFrequency,
    /// By the effective number of samples (Cui et al. 2019).
    EffectiveNumber {
        /// β, in 0–1 and less than 1: 0 is none, near 1 is inverse. To matter it has to be about 1 − 1 / n. Made for counts of
        /// instances or images: 0.9999 makes all weights equal when n are millions of pixels.
        beta: f64,
    },
}

/// How often each class occurs, from class 0 on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Occurrence {
    /// How often: pixels for all balances; for the effective number, better instances or images.
    pub counts: Vec<u64>,
    /// Pixels, ignored ones left out, of all images that show the class. Only the median frequency looks at it.
    pub shown_in: Vec<u64>,
}

/// The weight of each class, or none where all pixels count alike.
pub fn class_weights(balance: Balance, occurrence: &Occurrence) -> Result<Option<Vec<f32>>, Mismatch> {
    let counts = &occurrence.counts;
    if balance == Balance::None {
        return Ok(None);
    }
    if counts.iter().all(|count| *count == 0) {
        return Err(Mismatch("no class occurs in the training split, so that no weights can be given".to_owned()));
    }
    let occurring = || counts.iter().filter(|count| **count > 0);
    let k = occurring().count() as f64;
    let weights: Vec<f64> = match balance {
        Balance::None => return Ok(None),
        Balance::Inverse => {
            let all: f64 = occurring().map(|count| *count as f64).sum();
            counts.iter().map(|count| of(*count, |n| all / (k * n))).collect()
        }
        Balance::MedianFrequency => {
            let frequencies = frequencies(occurrence)?;
            let median = median(frequencies.iter().copied().filter(|frequency| *frequency > 0.0).collect());
            frequencies.iter().map(|frequency| if *frequency > 0.0 { median / frequency } else { 0.0 }).collect()
        }
        Balance::EffectiveNumber { beta } => {
            if !(0.0..1.0).contains(&beta) {
                return Err(Mismatch(format!(
                    "beta is {beta}; it is to be at least 0 and less than 1, such as 0.9999"
                )));
            }
            // 1 − βⁿ without losing it beside 1.
            let raw: Vec<f64> =
                counts.iter().map(|count| of(*count, |n| (1.0 - beta) / -(n * beta.ln()).exp_m1())).collect();
            let sum: f64 = raw.iter().sum();
            raw.iter().map(|weight| weight * k / sum).collect()
        }
    };
    Ok(Some(weights.into_iter().map(|weight| weight as f32).collect()))
}

fn of(count: u64, weight: impl Fn(f64) -> f64) -> f64 {
    if count > 0 { weight(count as f64) } else { 0.0 }
}

/// The share of each class in the images that show it; 0 for a class that does not occur.
fn frequencies(occurrence: &Occurrence) -> Result<Vec<f64>, Mismatch> {
    let Occurrence { counts, shown_in } = occurrence;
    if counts.len() != shown_in.len() || counts.iter().zip(shown_in).any(|(count, all)| count > all) {
        let text = "the median frequency needs, class by class, the pixels of the images that show it, and those are at least the class's own";
        return Err(Mismatch(text.to_owned()));
    }
    Ok(counts.iter().zip(shown_in).map(|(count, all)| of(*count, |n| n / *all as f64)).collect())
}

/// The middle value, or the mean of the middle two; 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.get(middle), middle.checked_sub(1).and_then(|below| values.get(below))) {
        (Some(upper), Some(lower)) if values.len().is_multiple_of(2) => (lower + upper) / 2.0,
        (Some(middle), _) => *middle,
        (None, _) => 0.0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixture::{numbers, read, whole_numbers};
    use super::*;

    #[test]
    fn weights_equal_the_published_formulas() {
        for case in read()["weights"].as_array().unwrap() {
            let occurrence =
                Occurrence { counts: whole_numbers(&case["counts"]), shown_in: whole_numbers(&case["shown_in"]) };
            let balance = match case["balance"].as_str().unwrap() {
                "inverse" => Balance::Inverse,
                "median_frequency" => Balance::MedianFrequency,
                _ => Balance::EffectiveNumber { beta: case["beta"].as_f64().unwrap() },
            };
            let got = class_weights(balance, &occurrence).unwrap().unwrap();
            let wanted = numbers(&case["weights"]);
            assert_eq!(got.len(), wanted.len());
            for (got, wanted) in got.iter().zip(&wanted) {
                assert!((f64::from(*got) - wanted).abs() <= 1e-6 * wanted, "{got} for {wanted} of {case}");
            }
        }
    }

    #[test]
    fn an_absent_class_has_no_weight_and_no_say() {
        let occurrence = Occurrence { counts: vec![90, 0, 10], shown_in: vec![100, 0, 100] };
        let inverse = class_weights(Balance::Inverse, &occurrence).unwrap().unwrap();
        assert_eq!(inverse, [0.555_555_6, 0.0, 5.0]);
        let median = class_weights(Balance::MedianFrequency, &occurrence).unwrap().unwrap();
        assert_eq!(median, [0.555_555_6, 0.0, 5.0]);
        let none = class_weights(Balance::EffectiveNumber { beta: 0.0 }, &occurrence).unwrap().unwrap();
        assert_eq!(none, [1.0, 0.0, 1.0]);
        assert_eq!(class_weights(Balance::None, &occurrence).unwrap(), None);
    }

    #[test]
    fn what_cannot_be_weighed_is_refused() {
        let nothing = Occurrence { counts: vec![0; 3], shown_in: vec![0; 3] };
        assert!(class_weights(Balance::Inverse, &nothing).is_err());
        assert!(class_weights(Balance::Inverse, &Occurrence::default()).is_err());
        let some = Occurrence { counts: vec![2, 3], shown_in: vec![2] };
        assert!(class_weights(Balance::MedianFrequency, &some).is_err());
        let too_few = Occurrence { counts: vec![2, 3], shown_in: vec![2, 2] };
        assert!(class_weights(Balance::MedianFrequency, &too_few).is_err());
        for beta in [-0.1, 1.0, f64::NAN] {
            assert!(class_weights(Balance::EffectiveNumber { beta }, &some).is_err());
        }
    }
}
