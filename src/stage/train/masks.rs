//! The draws of a step: which branches of which picture are left out (drop-path), which numbers are (dropout). Must not know
//! networks, graphs or devices.
//!
//! A draw depends on the seed, the step, the name of the mask and the picture's slot in the whole batch, and on nothing
//! else. So a resumed run draws what an undisturbed one would have, and two ranks or two accumulated steps of half the
//! batch draw together what one step of the whole batch does.

use super::Mismatch;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The draws of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draws {
    /// The seed of the run.
    pub seed: u64,
    /// The step of the optimiser, counted from 0; accumulated passes share it.
    pub step: u64,
}

impl Draws {
    /// Drop-path factors `[K, B]`: in row k, `1 / keep[k]` with the probability `keep[k]` (0–1), else 0. `slots` says which
    /// picture of the whole batch each of the B here is.
    pub fn paths(&self, name: &str, keep: &[f32], slots: &[u64]) -> Result<Vec<f32>, Mismatch> {
        for keep in keep {
            check(name, *keep)?;
        }
        let batch = slots.len();
        let mut factors = vec![0.0; keep.len() * batch];
        for (column, slot) in slots.iter().enumerate() {
            let mut random = self.stream(name, *slot);
            for (keep, factor) in keep.iter().zip(factors.iter_mut().skip(column).step_by(batch)) {
                // The draw is always made, so that one branch's probability does not move another's.
                let stays = f64::from(random.next_u32()) < f64::from(*keep) * TWO_TO_32;
                *factor = if stays { keep.recip() } else { 0.0 };
            }
        }
        Ok(factors)
    }

    /// A dropout mask of some shape whose first axis is the pictures: 1 with the probability `keep` (0–1, to 1 / 65,536),
    /// else 0; nothing is scaled.
    pub fn numbers(&self, name: &str, keep: f32, dims: &[usize], slots: &[u64]) -> Result<Vec<u8>, Mismatch> {
        check(name, keep)?;
        let count = dims.iter().try_fold(1_usize, |product, dim| product.checked_mul(*dim));
        let (Some(count), Some(batch)) = (count.filter(|count| *count > 0), dims.first().copied()) else {
            return Err(Mismatch(format!("the mask {name} of the shape {dims:?} holds no numbers, or too many")));
        };
        if batch != slots.len() {
            return Err(Mismatch(format!("the mask {name} is for {batch} pictures, and there are {}", slots.len())));
        }
        // Sixteen bits a number: a mask can have a hundred million, and making the bits is most of the work.
        let below = (keep * 65_536.0).round() as u32;
        let mut mask = vec![0_u8; count];
        let mut bits = [0_u8; 4096];
        for (numbers, slot) in mask.chunks_exact_mut(count / batch).zip(slots) {
            let mut random = self.stream(name, *slot);
            for numbers in numbers.chunks_mut(bits.len() / 2) {
                random.fill_bytes(&mut bits);
                for (number, bits) in numbers.iter_mut().zip(bits.chunks_exact(2)) {
                    let drawn = bits.iter().rev().fold(0_u32, |drawn, byte| drawn << 8 | u32::from(*byte));
                    *number = u8::from(drawn < below);
                }
            }
        }
        Ok(mask)
    }

    /// The random numbers of one mask for one picture: seed, step, a hash (FNV-1a) of the name and the slot are the key.
    fn stream(&self, name: &str, slot: u64) -> ChaCha8Rng {
        let hash = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        let mut key = [0; 32];
        let words = [self.seed, self.step, hash, slot].map(u64::to_le_bytes);
        for (to, from) in key.iter_mut().zip(words.as_flattened()) {
            *to = *from;
        }
        ChaCha8Rng::from_seed(key)
    }
}

const TWO_TO_32: f64 = 4_294_967_296.0;

fn check(name: &str, keep: f32) -> Result<(), Mismatch> {
    match keep > 0.0 && keep <= 1.0 {
        true => Ok(()),
        false => {
            Err(Mismatch(format!("the mask {name} keeps with probability {keep}; it is to be above 0, at most 1")))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const DRAWS: Draws = Draws { seed: 3, step: 7 };

    #[test]
    fn what_is_drawn_is_kept_for_ever() {
        // Other numbers here would make runs that were stopped by an earlier release go on differently.
        assert_eq!(DRAWS.paths("drop_path", &[1.0, 0.5, 0.25], &[0, 1]).unwrap(), [1.0, 1.0, 2.0, 2.0, 0.0, 0.0]);
        let numbers = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1, 1, 0, 1, 1, 1, 1, 0, 0, 1];
        assert_eq!(DRAWS.numbers("dropout/0", 0.5, &[2, 3, 4], &[0, 1]).unwrap(), numbers);
    }

    #[test]
    fn parts_of_a_batch_draw_what_the_whole_does() {
        let whole = DRAWS.numbers("dropout/1", 0.9, &[4, 3000], &[0, 1, 2, 3]).unwrap();
        let odd = DRAWS.numbers("dropout/1", 0.9, &[2, 3000], &[1, 3]).unwrap();
        assert_eq!(odd, [&whole[3000..6000], &whole[9000..]].concat());
        let keep = [0.9, 0.5, 0.3];
        let whole = DRAWS.paths("drop_path", &keep, &[0, 1, 2]).unwrap();
        let last = DRAWS.paths("drop_path", &keep, &[2]).unwrap();
        assert_eq!(last, [whole[2], whole[5], whole[8]]);
    }

    #[test]
    fn shares_are_as_asked_for() {
        let slots: Vec<u64> = (0..4000).collect();
        let factors = DRAWS.paths("drop_path", &[1.0, 0.9, 0.4], &slots).unwrap();
        assert!(factors[..4000].iter().all(|factor| *factor == 1.0));
        for (row, keep) in [(1, 0.9_f32), (2, 0.4)] {
            let row = &factors[row * 4000..(row + 1) * 4000];
            assert!(row.iter().all(|factor| *factor == 0.0 || *factor == 1.0 / keep));
            let mean = row.iter().sum::<f32>() / 4000.0;
            assert!((mean - 1.0).abs() < 0.06, "{mean}");
        }
        let mask = DRAWS.numbers("dropout/0", 0.9, &[1, 1_000_000], &[0]).unwrap();
        let kept = mask.iter().map(|number| u32::from(*number)).sum::<u32>();
        assert!((899_000..901_000).contains(&kept), "{kept}");
        assert!(DRAWS.numbers("dropout/0", 1.0, &[1, 5000], &[0]).unwrap().iter().all(|number| *number == 1));
    }

    #[test]
    fn seed_step_name_and_slot_each_change_the_draw() {
        let draw = |draws: Draws, name, slot| draws.numbers(name, 0.5, &[1, 64], &[slot]).unwrap();
        let first = draw(DRAWS, "a", 0);
        assert_eq!(first, draw(DRAWS, "a", 0));
        for other in [
            draw(Draws { seed: 4, ..DRAWS }, "a", 0),
            draw(Draws { step: 8, ..DRAWS }, "a", 0),
            draw(DRAWS, "b", 0),
            draw(DRAWS, "a", 1),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn shapes_and_probabilities_that_cannot_be_are_refused() {
        assert!(DRAWS.numbers("a", 0.0, &[1, 2], &[0]).is_err());
        assert!(DRAWS.numbers("a", 0.5, &[2, 2], &[0]).is_err());
        assert!(DRAWS.numbers("a", 0.5, &[], &[]).is_err());
        assert!(DRAWS.numbers("a", 0.5, &[usize::MAX, 2], &[0]).is_err());
        assert!(DRAWS.paths("a", &[f32::NAN], &[0]).is_err());
        assert!(DRAWS.paths("a", &[], &[0]).unwrap().is_empty());
        assert!(DRAWS.paths("a", &[0.5], &[]).unwrap().is_empty());
    }
}
