//! Which sample comes when: every epoch a permutation of all samples, cut into batches and dealt out to ranks. Must not know
//! pictures, or what happens to a sample.
//!
//! The epochs follow one another in one endless stream, as in mmsegmentation's `InfiniteSampler`: a batch takes the next
//! samples of the stream, and where an epoch ends in the middle of a batch, the batch goes on with the next epoch. No sample
//! is dropped, none comes twice in an epoch (but by oversampling), and all batches have the same size, as a graph of fixed
//! size needs. Of a batch, rank r of R takes samples r, r + R, r + 2R, …, so that the ranks together train on the same
//! batch as one rank that takes it whole.
//!
//! Where training stands in the stream is two numbers, an epoch and a position in it: the sampler's part of a checkpoint.

use super::Mismatch;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The samples of each epoch.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    seed: u64,
    samples: u32,
    /// How often each sample comes in an epoch on average; once each where there is none.
    repeats: Option<Vec<f64>>,
}

impl Order {
    /// Every sample of `0..samples` once an epoch.
    pub fn new(samples: usize, seed: u64) -> Result<Self, Mismatch> {
        let Some(samples) = u32::try_from(samples).ok().filter(|samples| *samples > 0) else {
            return Err(Mismatch(format!("{samples} samples cannot be ordered; there are to be 1 to {}", u32::MAX)));
        };
        Ok(Self { seed, samples, repeats: None })
    }

    /// Sample i comes `repeats[i]` times an epoch on average, each at least 1: the whole part always, and once more with
    /// the rest as probability, drawn anew each epoch. Epochs then differ a little in length.
    pub fn repeating(repeats: Vec<f64>, seed: u64) -> Result<Self, Mismatch> {
        let mut order = Self::new(repeats.len(), seed)?;
        if let Some(wrong) = repeats.iter().find(|repeat| !(1.0..=1e6).contains(*repeat)) {
            return Err(Mismatch(format!("a sample is to come {wrong} times an epoch; 1 to a million are possible")));
        }
        if repeats.iter().map(|repeat| repeat.ceil()).sum::<f64>() > f64::from(u32::MAX) {
            return Err(Mismatch(
                "an epoch has more samples than can be counted; raise the oversampling less".to_owned(),
            ));
        }
        order.repeats = Some(repeats);
        Ok(order)
    }

    /// The samples of an epoch, counted from 0, in their order.
    pub fn epoch(&self, epoch: u64) -> Vec<u32> {
        let mut random = self.stream(epoch);
        let mut samples: Vec<u32> = match &self.repeats {
            None => (0..self.samples).collect(),
            Some(repeats) => {
                let times =
                    (0..self.samples).zip(repeats).map(|(sample, repeat)| (sample, times(*repeat, &mut random)));
                times.flat_map(|(sample, times)| std::iter::repeat_n(sample, times)).collect()
            }
        };
        // Fisher and Yates: from the end, each place takes one of those not yet placed.
        for last in (1..samples.len()).rev() {
            let chosen = (u128::from(random.next_u64()) * (last as u128 + 1)) >> 64;
            samples.swap(last, chosen as usize);
        }
        samples
    }

    /// How many samples an epoch has.
    pub fn epoch_len(&self, epoch: u64) -> u64 {
        let Some(repeats) = &self.repeats else { return u64::from(self.samples) };
        let mut random = self.stream(epoch);
        repeats.iter().map(|repeat| times(*repeat, &mut random) as u64).sum()
    }

    /// The steps after which all samples of the first `epochs` epochs have come, with `batch` samples a step over all ranks:
    /// where epoch `epochs - 1` ends, and how long a training of that many epochs is.
    pub fn steps(&self, epochs: u64, batch: usize) -> Result<u64, Mismatch> {
        let too_many = || Mismatch(format!("{epochs} epochs in batches of {batch} cannot be counted"));
        let samples = match &self.repeats {
            None => u64::from(self.samples).checked_mul(epochs),
            Some(_) => (0..epochs).try_fold(0_u64, |sum, epoch| sum.checked_add(self.epoch_len(epoch))),
        };
        match (samples, batch as u64) {
            (Some(samples), batch) if batch > 0 => Ok(samples.div_ceil(batch)),
            _ => Err(too_many()),
        }
    }

    /// The steps, up to the last one, after which every so many epochs have ended; the last one is among them.
    pub fn ends(&self, steps: u64, batch: usize, every: u64) -> BTreeSet<u64> {
        let mut ends = BTreeSet::from([steps]);
        let mut samples = 0_u64;
        for epoch in 0.. {
            samples = samples.saturating_add(self.epoch_len(epoch));
            let step = samples.div_ceil(batch.max(1) as u64);
            if step >= steps {
                break;
            }
            if (epoch + 1).is_multiple_of(every.max(1)) {
                ends.insert(step);
            }
        }
        ends
    }

    /// Where so many samples beyond a place lie.
    pub fn after(&self, place: Place, samples: u64) -> Place {
        let mut place = Place { position: place.position + samples, ..place };
        loop {
            let length = self.epoch_len(place.epoch);
            if place.position < length {
                return place;
            }
            place = Place { epoch: place.epoch + 1, position: place.position - length };
        }
    }

    /// Epochs that are done at a place, with their fraction.
    pub fn epochs(&self, place: Place) -> f64 {
        place.epoch as f64 + place.position as f64 / self.epoch_len(place.epoch).max(1) as f64
    }

    /// The random numbers of an epoch: seed, epoch and what they are for are the key.
    fn stream(&self, epoch: u64) -> ChaCha8Rng {
        let mut key = [0; 32];
        let parts = [self.seed.to_le_bytes(), epoch.to_le_bytes(), *b"order\0\0\0"];
        for (to, from) in key.iter_mut().zip(parts.as_flattened()) {
            *to = *from;
        }
        ChaCha8Rng::from_seed(key)
    }
}

/// The whole part of `repeat`, or by chance one more.
fn times(repeat: f64, random: &mut ChaCha8Rng) -> usize {
    let drawn = (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
    repeat as usize + usize::from(drawn < repeat.fract())
}

/// A place in the stream of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// The epoch, counted from 0.
    pub epoch: u64,
    /// The position within it, counted from 0.
    pub position: u64,
}

/// A sample that is to be trained on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Draw {
    /// Where in the stream it comes: with the seed, all that its crop and flip are to depend on. An oversampled picture has
    /// several places in an epoch, and is to look different at each.
    pub place: Place,
    /// Its slot in the whole batch, over all ranks.
    pub slot: u64,
    /// Which of the samples it is.
    pub sample: u32,
}

/// The stream of samples from some place on.
#[derive(Clone, Debug)]
pub struct Stream {
    order: Order,
    place: Place,
    current: Vec<u32>,
}

impl Stream {
    /// Goes on at a place, that of the start or of a checkpoint. An error if the epoch is not so long: the checkpoint was
    /// made with other data.
    pub fn from(order: Order, place: Place) -> Result<Self, Mismatch> {
        let current = order.epoch(place.epoch);
        if place.position > current.len() as u64 {
            return Err(Mismatch(format!(
                "the checkpoint stands at sample {} of epoch {}, which has {}: resume with the data and settings it was made with",
                place.position,
                place.epoch,
                current.len()
            )));
        }
        Ok(Self { order, place, current })
    }

    /// The next sample to come.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The next batch, of all ranks together.
    pub fn batch(&mut self, size: usize) -> Vec<Draw> {
        let mut batch = Vec::with_capacity(size);
        for slot in 0..size as u64 {
            while self.place.position >= self.current.len() as u64 {
                self.place = Place { epoch: self.place.epoch + 1, position: 0 };
                self.current = self.order.epoch(self.place.epoch);
            }
            if let Some(sample) = self.current.get(self.place.position as usize) {
                batch.push(Draw { place: self.place, slot, sample: *sample });
            }
            self.place.position += 1;
        }
        batch
    }
}

/// What one of some ranks trains on of a batch. An error if the batch cannot be shared out evenly, or there is no such rank.
pub fn share(batch: &[Draw], rank: usize, ranks: usize) -> Result<Vec<Draw>, Mismatch> {
    if rank >= ranks || !batch.len().is_multiple_of(ranks) {
        return Err(Mismatch(format!(
            "rank {rank} of {ranks} cannot take its share of a batch of {}: the batch is the total over all ranks and a multiple of their number",
            batch.len()
        )));
    }
    Ok(batch.iter().skip(rank).step_by(ranks).copied().collect())
}

/// How often each sample is to come for rare classes to be seen more (LVIS, Gupta et al. 2019): for a class in the share f
/// of the samples, `max(1, sqrt(threshold / f))`, for a sample the greatest of its classes, 1 for one without classes.
/// `classes` says which each sample shows, in any order; repeats count once. The threshold is a share, 0–1; 0 is none.
pub fn repeats(classes: &[Vec<u8>], threshold: f64) -> Result<Vec<f64>, Mismatch> {
    if !(0.0..=1.0).contains(&threshold) {
        let text = format!("the threshold of oversampling is {threshold}; it is a share of the samples, 0 to 1");
        return Err(Mismatch(text));
    }
    let mut showing = [0_u64; 256];
    for classes in classes {
        for (class, count) in (0_u8..=255).zip(&mut showing) {
            *count += u64::from(classes.contains(&class));
        }
    }
    let factor = |class: &u8| {
        let count = showing.get(usize::from(*class)).copied().unwrap_or(0);
        (threshold * classes.len() as f64 / count as f64).sqrt()
    };
    Ok(classes.iter().map(|classes| classes.iter().map(factor).fold(1.0, f64::max)).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::fixture::{numbers, read, whole_numbers};
    use super::*;

    #[test]
    fn an_epoch_is_every_sample_once_and_no_two_epochs_are_alike() {
        let order = Order::new(1000, 5).unwrap();
        let (first, second) = (order.epoch(0), order.epoch(1));
        for epoch in [&first, &second] {
            let mut sorted = epoch.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, (0..1000).collect::<Vec<u32>>());
        }
        assert_ne!(first, second);
        assert_eq!(first, order.epoch(0));
        assert_ne!(first, Order::new(1000, 6).unwrap().epoch(0));
    }

    #[test]
    fn what_is_drawn_is_kept_for_ever() {
        // Other numbers here would make runs that were stopped by an earlier release go on differently.
        assert_eq!(Order::new(10, 7).unwrap().epoch(3), [4, 2, 7, 6, 3, 9, 0, 5, 1, 8]);
        assert_eq!(Order::repeating(vec![1.0, 2.5, 1.5, 1.0], 7).unwrap().epoch(3), [2, 1, 3, 0, 1, 1]);
    }

    #[test]
    fn every_sample_is_as_likely_at_every_place() {
        let order = Order::new(5, 1).unwrap();
        let mut counts = [[0_u32; 5]; 5];
        for epoch in 0..5000 {
            for (place, sample) in order.epoch(epoch).into_iter().enumerate() {
                counts[place][sample as usize] += 1;
            }
        }
        assert!(counts.iter().flatten().all(|count| (880..1120).contains(count)), "{counts:?}");
    }

    #[test]
    fn batches_run_on_over_the_end_of_an_epoch() {
        let order = Order::new(5, 2).unwrap();
        let mut stream = Stream::from(order.clone(), Place::default()).unwrap();
        let drawn: Vec<u32> = (0..5).flat_map(|_| stream.batch(3)).map(|draw| draw.sample).collect();
        assert_eq!(drawn, [order.epoch(0), order.epoch(1), order.epoch(2)].concat());
        assert_eq!(stream.batch(1)[0].place, Place { epoch: 3, position: 0 });
        let large = Stream::from(order, Place::default()).unwrap().batch(11);
        assert_eq!(large.last().unwrap().place, Place { epoch: 2, position: 0 });
    }

    #[test]
    fn a_stream_resumed_anywhere_goes_on_as_if_never_stopped() {
        for order in [Order::new(7, 3).unwrap(), Order::repeating(vec![1.0, 1.5, 2.25, 1.0], 3).unwrap()] {
            let mut whole = Stream::from(order.clone(), Place::default()).unwrap();
            for _ in 0..20 {
                let mut resumed = Stream::from(order.clone(), whole.place()).unwrap();
                let next = whole.batch(2);
                assert_eq!(resumed.batch(2), next);
                assert_eq!(resumed.place(), whole.place());
            }
        }
        let order = Order::new(7, 3).unwrap();
        assert!(Stream::from(order, Place { epoch: 0, position: 8 }).is_err());
    }

    #[test]
    fn ranks_share_a_batch_among_them() {
        let batch = Stream::from(Order::new(9, 4).unwrap(), Place::default()).unwrap().batch(6);
        let (even, odd) = (share(&batch, 0, 2).unwrap(), share(&batch, 1, 2).unwrap());
        assert_eq!(even.iter().map(|draw| draw.slot).collect::<Vec<_>>(), [0, 2, 4]);
        assert_eq!(odd, [batch[1], batch[3], batch[5]]);
        assert_eq!(share(&batch, 0, 1).unwrap(), batch);
        for (rank, ranks) in [(2, 2), (0, 4), (0, 0)] {
            assert!(share(&batch, rank, ranks).is_err(), "{rank} of {ranks}");
        }
    }

    #[test]
    fn epochs_end_where_the_paper_counts() {
        let order = Order::new(31_920, 0).unwrap();
        assert_eq!([8, 4, 2].map(|batch| order.steps(15, batch).unwrap()), [59_850, 119_700, 239_400]);
        assert_eq!(Order::new(5, 0).unwrap().steps(1, 3).unwrap(), 2);
        assert!(order.steps(1, 0).is_err());
        assert!(order.steps(u64::MAX, 1).is_err());
    }

    #[test]
    fn repeats_equal_those_of_lvis() {
        for case in read()["repeats"].as_array().unwrap() {
            let classes: Vec<Vec<u8>> = case["classes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|classes| whole_numbers(classes).into_iter().map(|class| class as u8).collect())
                .collect();
            let got = repeats(&classes, case["threshold"].as_f64().unwrap()).unwrap();
            for (got, wanted) in got.iter().zip(numbers(&case["repeats"])) {
                assert!((got - wanted).abs() < 1e-12, "{got} for {wanted}");
            }
        }
        assert_eq!(repeats(&[vec![], vec![]], 0.5).unwrap(), [1.0, 1.0]);
        assert!(repeats(&[vec![0]], 1.5).is_err());
        assert!(repeats(&[vec![0]], f64::NAN).is_err());
    }

    #[test]
    fn a_sample_comes_as_often_as_it_is_to() {
        let order = Order::repeating(vec![1.0, 1.25, 3.5], 8).unwrap();
        let mut counts = [0_u32; 3];
        for epoch in 0..2000 {
            let samples = order.epoch(epoch);
            assert_eq!(samples.len() as u64, order.epoch_len(epoch));
            samples.iter().for_each(|sample| counts[*sample as usize] += 1);
        }
        assert_eq!(counts[0], 2000);
        assert!((2400..2600).contains(&counts[1]) && (6900..7100).contains(&counts[2]), "{counts:?}");
        let all: u64 = (0..10).map(|epoch| order.epoch_len(epoch)).sum();
        assert_eq!(order.steps(10, 4).unwrap(), all.div_ceil(4));
        for wrong in [vec![], vec![0.5], vec![f64::NAN], vec![1e7]] {
            assert!(Order::repeating(wrong, 0).is_err());
        }
        assert!(Order::new(0, 0).is_err());
    }
}
