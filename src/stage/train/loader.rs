//! Batches, made ahead of the steps that train on them by as many threads as are given, and handed out in the order of the
//! steps. Must not know networks.

use super::cache::Cache;
use super::order::{Draw, Stream, share};
use super::sample::{Draws, SampleSettings, sample};
use crate::cancel::Cancel;
use crate::stage::dataset::Dataset;
use crate::stage::{Error, check};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What of every batch this process trains on: passes one after the other on each rank, which together are one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portion {
    /// This process among those that train together, from 0.
    pub rank: usize,
    /// How many train together.
    pub ranks: usize,
    /// Passes of each rank whose gradients are added up.
    pub passes: usize,
    /// Pictures in a pass.
    pub batch: usize,
}

impl Portion {
    /// Pictures of a step, over all ranks and passes.
    pub fn total(&self) -> usize {
        self.ranks * self.passes * self.batch
    }
}

/// The pictures of one pass.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    /// `[B, 3, H, W]`, normalised.
    pub images: Vec<f32>,
    /// `[B, H, W]`.
    pub labels: Vec<u8>,
    /// The slot of each picture in the whole batch: what its drop-path and dropout are drawn by.
    pub slots: Vec<u64>,
}

/// What samples are made from.
#[derive(Clone, Copy)]
pub struct Samples<'a> {
    /// Photos and masks.
    pub dataset: &'a Dataset,
    /// How.
    pub settings: &'a SampleSettings,
    /// Where photos are kept shrunk.
    pub cache: Option<&'a Cache>,
    /// What crops and flips are drawn from.
    pub seed: u64,
    /// The wish to stop.
    pub cancel: &'a Cancel,
}

/// What makes batches.
pub struct Loader<'a> {
    samples: Samples<'a>,
    portion: Portion,
    /// Passes that may be ready or under way beyond the one that is wanted next.
    ahead: u64,
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    stream: Stream,
    /// Draws of the passes of a step that has begun.
    planned: Vec<Vec<Draw>>,
    /// The pass that is planned next, and the one that is given out next.
    next: u64,
    wanted: u64,
    last: u64,
    ready: BTreeMap<u64, Result<Batch, Error>>,
    closed: bool,
}

impl<'a> Loader<'a> {
    /// Batches of `steps` steps from a place of the stream on, made by so many workers.
    pub fn new(samples: Samples<'a>, stream: Stream, steps: u64, portion: Portion, workers: usize) -> Self {
        let queue = Queue {
            stream,
            planned: Vec::new(),
            next: 0,
            wanted: 0,
            last: steps * portion.passes as u64,
            ready: BTreeMap::new(),
            closed: false,
        };
        let ahead = workers as u64 + 2;
        Self { samples, portion, ahead, queue: Mutex::new(queue), changed: Condvar::new() }
    }

    /// The next pass, in the order of the stream. `None` after the last one.
    pub fn next(&self) -> Option<Result<Batch, Error>> {
        let mut queue = self.lock();
        loop {
            let wanted = queue.wanted;
            if queue.closed || wanted >= queue.last {
                return None;
            }
            if let Some(batch) = queue.ready.remove(&wanted) {
                queue.wanted += 1;
                self.changed.notify_all();
                return Some(batch);
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes batches until there are no more to make: what a worker's thread does.
    pub fn work(&self) {
        while let Some((number, draws)) = self.plan() {
            let batch = draws.and_then(|draws| self.samples.batch(&draws));
            let mut queue = self.lock();
            queue.ready.insert(number, batch);
            self.changed.notify_all();
        }
    }

    /// Sends the workers home.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next pass to make, once there is room for it.
    fn plan(&self) -> Option<(u64, Result<Vec<Draw>, Error>)> {
        let mut queue = self.lock();
        while !queue.closed && queue.next < queue.last && queue.next >= queue.wanted + self.ahead {
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        if queue.closed || queue.next >= queue.last {
            return None;
        }
        let number = queue.next;
        queue.next += 1;
        if queue.planned.is_empty() {
            let Portion { rank, ranks, batch, .. } = self.portion;
            let whole = queue.stream.batch(self.portion.total());
            match share(&whole, rank, ranks) {
                // The pass that is planned first is taken from the end.
                Ok(mine) => queue.planned = mine.chunks(batch).rev().map(<[Draw]>::to_vec).collect(),
                Err(mismatch) => return Some((number, Err(mismatch.into()))),
            }
        }
        let draws = queue.planned.pop().unwrap_or_default();
        Some((number, Ok(draws)))
    }
}

impl Samples<'_> {
    /// The pictures of one pass.
    pub fn batch(&self, draws: &[Draw]) -> Result<Batch, Error> {
        let (values, pixels) = self.settings.lengths();
        let (mut images, mut labels) = (vec![0.0; values * draws.len()], vec![0; pixels * draws.len()]);
        let places = images.chunks_exact_mut(values.max(1)).zip(labels.chunks_exact_mut(pixels.max(1)));
        for (draw, (image, label)) in draws.iter().zip(places) {
            check(self.cancel)?;
            let Some(item) = self.dataset.items().get(draw.sample as usize) else {
                return Err(Error::Failed(format!("sample {} is beyond the images of the split", draw.sample)));
            };
            let random = Draws::new(self.settings, self.seed, draw.place.epoch, draw.place.position);
            let failed = |error: crate::image::Error| Error::Failed(format!("{}: {error}", item.image_id));
            let spans = item.spans()?;
            let kept = match self.cache {
                Some(cache) => cache.photo(self.dataset, item, self.settings)?,
                None => None,
            };
            match kept {
                Some(kept) => sample(self.settings, kept.photo(), spans.view(), &random, image, label),
                None => {
                    let photo = self.dataset.photo(item)?;
                    sample(self.settings, (&photo).into(), spans.view(), &random, image, label)
                }
            }
            .map_err(failed)?;
        }
        Ok(Batch { images, labels, slots: draws.iter().map(|draw| draw.slot).collect() })
    }
}
