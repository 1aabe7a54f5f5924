//! Chance: everything random about one sample, as plain numbers, and the stream that they are drawn from. Must not know
//! photos or labels.

use super::distort::Distortion;
use super::sample::SampleSettings;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// Sets these streams apart from others that are keyed by the same seed.
const STREAM: &[u8; 8] = b"sample/1";
/// Most that is added to or taken from the brightness, in levels.
const BRIGHTNESS: f64 = 32.0;
/// Lowest and highest factor of contrast and saturation.
const FACTOR: (f64, f64) = (0.5, 1.5);
/// The hue is turned by −18 to 17 steps of 2°.
const HUE: i32 = 18;

/// What was drawn for one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct Draws {
    /// What the base scale is multiplied by.
    pub ratio: f64,
    /// Whether the sample is mirrored, if the settings allow it.
    pub flip: bool,
    /// What is done to its colours, if the settings allow it.
    pub distortion: Option<Distortion>,
    /// Where each crop lies in its margin, down and right, `[0, 1)`: one for each redraw and one more.
    pub offsets: Vec<[f64; 2]>,
}

impl Draws {
    /// Draws for the sample `index` of an epoch. The numbers depend on seed, epoch and index alone, so samples may be made in
    /// any order and on any thread; and each of them does not depend on whether the others are used, so that a setting
    /// switched on or off leaves the rest of the samples as they were.
    pub fn new(settings: &SampleSettings, seed: u64, epoch: u64, index: u64) -> Self {
        let mut key = [0; 32];
        for (part, number) in
            key.as_chunks_mut::<8>().0.iter_mut().zip([seed, epoch, index, u64::from_le_bytes(*STREAM)])
        {
            *part = number.to_le_bytes();
        }
        let mut dice = Dice(ChaCha8Rng::from_seed(key));
        let ratio = dice.range(settings.ratio);
        let flip = dice.coin();
        let brightness = (dice.coin(), dice.range((-BRIGHTNESS, BRIGHTNESS)) as f32);
        let contrast_last = dice.coin();
        let contrast = (dice.coin(), dice.range(FACTOR) as f32);
        let saturation = (dice.coin(), dice.range(FACTOR) as f32);
        let hue = (dice.coin(), dice.range((0.0, f64::from(2 * HUE))) as i32 - HUE);
        let distortion = Distortion {
            brightness: brightness.0.then_some(brightness.1),
            contrast: contrast.0.then_some(contrast.1),
            contrast_last,
            saturation: saturation.0.then_some(saturation.1),
            hue: hue.0.then_some(hue.1),
        };
        let offsets = (0..=settings.redraws).map(|_| [dice.unit(), dice.unit()]).collect();
        Self { ratio, flip, distortion: Some(distortion), offsets }
    }
}

struct Dice(ChaCha8Rng);

impl Dice {
    /// Evenly spread over `[0, 1)`, 53 bits.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn range(&mut self, (low, high): (f64, f64)) -> f64 {
        low + (high - low) * self.unit()
    }

    fn coin(&mut self) -> bool {
        self.unit() < 0.5
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn draws(seed: u64, epoch: u64, index: u64) -> Draws {
        Draws::new(&SampleSettings::default(), seed, epoch, index)
    }

    #[test]
    fn draws_depend_on_seed_epoch_and_index_and_on_nothing_else() {
        let first = draws(1, 2, 3);
        assert_eq!(first, draws(1, 2, 3));
        for other in [draws(2, 2, 3), draws(1, 3, 3), draws(1, 2, 4), draws(2, 1, 3), draws(3, 2, 1)] {
            assert_ne!(first.ratio, other.ratio);
            assert_ne!(first.offsets, other.offsets);
        }
        let fewer = SampleSettings { redraws: 2, flip: false, ..SampleSettings::default() };
        let fewer = Draws::new(&fewer, 1, 2, 3);
        assert_eq!((fewer.ratio, fewer.distortion), (first.ratio, first.distortion));
        assert_eq!(fewer.offsets, first.offsets[..3]);
    }

    #[test]
    fn draws_stay_the_same_from_release_to_release() {
        let known = draws(7, 0, 0);
        assert_eq!((known.ratio, known.flip, known.offsets[0]), KNOWN);
    }
    const KNOWN: (f64, bool, [f64; 2]) = (1.9956947226116633, false, [0.30948970031450407, 0.5350642061680095]);

    #[test]
    fn draws_are_spread_as_the_recipe_says() {
        let all: Vec<Draws> = (0..4000).map(|index| draws(5, 1, index)).collect();
        let share = |count: usize| count as f64 / all.len() as f64;
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        let distortion = |draws: &Draws| draws.distortion.unwrap();
        assert!(all.iter().all(|draws| (0.5..2.0).contains(&draws.ratio) && draws.offsets.len() == 11));
        assert!((mean(all.iter().map(|draws| draws.ratio).collect()) - 1.25).abs() < 0.03);
        assert!((mean(all.iter().map(|draws| draws.offsets[10][1]).collect()) - 0.5).abs() < 0.03);
        assert!((share(all.iter().filter(|draws| draws.flip).count()) - 0.5).abs() < 0.03);
        for used in [
            |distortion: Distortion| distortion.brightness.is_some(),
            |distortion: Distortion| distortion.contrast.is_some(),
            |distortion: Distortion| distortion.contrast_last,
            |distortion: Distortion| distortion.saturation.is_some(),
            |distortion: Distortion| distortion.hue.is_some(),
        ] {
            assert!((share(all.iter().filter(|draws| used(distortion(draws))).count()) - 0.5).abs() < 0.03);
        }
        let hues: std::collections::BTreeSet<i32> = all.iter().filter_map(|draws| distortion(draws).hue).collect();
        assert_eq!(hues, (-18..18).collect());
    }
}
