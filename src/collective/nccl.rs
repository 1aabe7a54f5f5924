//! Ranks joined by NCCL, one GPU each: floats are added up between the GPUs, everything small goes over the star. Must
//! not know the C interfaces.
//!
//! NCCL alone waits for ever for a process that was killed on the same host. So this rank looks at the star while it
//! waits for the GPU, and a rank that meets an error closes its connections at once: the others notice.

mod library;

use super::agree::Call;
use super::place::Place;
use super::star::{Patience, Star};
use super::{Collective, Error};
use library::{Gpu, ID_BYTES, Libraries, STAGED};
use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

/// A sum of a few megabytes is there sooner than a sleeping thread would be.
const BUSY: Duration = Duration::from_millis(2);
const NAP: Duration = Duration::from_micros(100);
const LOOK: Duration = Duration::from_millis(200);

struct Nccl {
    rank: usize,
    ranks: usize,
    patience: Duration,
    /// Nothing after the first error: the connections are closed then, before the GPU's work is ended.
    joined: Option<(Star, Gpu)>,
}

/// Meets the other ranks where the launcher's variables say, and joins their GPUs.
pub(super) fn join(device: Option<usize>) -> Result<Box<dyn Collective>, Error> {
    let variable = |name: &str| std::env::var(name).ok();
    let place = Place::of(variable)?;
    let libraries = Libraries::load(variable("SELVEDGE_NCCL").filter(|named| !named.is_empty()).as_deref())?;
    let device = device.unwrap_or(place.local);
    let devices = libraries.devices()?;
    if device >= devices {
        let detail =
            format!("device {device} was asked for, and there are {devices}; give each rank of a host its own");
        return Err(Error::Call { call: "cudaSetDevice", detail });
    }
    let patience = Patience::default();
    let star = Star::meet(&place, patience)?;
    let mut id = if place.rank == 0 { libraries.unique_id()?.to_vec() } else { Vec::new() };
    star.broadcast(&mut id)?;
    let id = <[u8; ID_BYTES]>::try_from(id)
        .map_err(|id| Error::Call { call: "ncclCommInitRank", detail: format!("an id of {} bytes came", id.len()) })?;
    let gpu = Gpu::join(libraries, device, place.rank, place.ranks, id)?;
    Ok(Box::new(Nccl { rank: star.rank(), ranks: star.ranks(), patience: patience.call, joined: Some((star, gpu)) }))
}

impl Nccl {
    /// Does `act` with what joins the ranks, and parts them when it fails.
    fn with<T>(&mut self, act: impl FnOnce(&Star, &mut Gpu) -> Result<T, Error>) -> Result<T, Error> {
        let (star, gpu) = self.joined.as_mut().ok_or(Error::Parted)?;
        let result = act(star, gpu);
        if result.is_err() {
            self.joined = None;
        }
        result
    }
}

fn wait(star: &Star, gpu: &Gpu, patience: Duration) -> Result<(), Error> {
    let begun = Instant::now();
    let mut looked = begun;
    while !gpu.summed()? {
        let now = Instant::now();
        if now - begun < BUSY {
            yield_now();
            continue;
        }
        if now - looked > LOOK {
            star.check(Call::Sum)?;
            looked = now;
        }
        if now - begun > patience {
            return Err(Error::Silence { call: Call::Sum.name(), waited: patience });
        }
        sleep(NAP);
    }
    Ok(())
}

impl Collective for Nccl {
    fn rank(&self) -> usize {
        self.rank
    }

    fn ranks(&self) -> usize {
        self.ranks
    }

    fn sum(&mut self, values: &mut [f32]) -> Result<(), Error> {
        let patience = self.patience;
        self.with(|star, gpu| {
            star.say(Call::Sum, values.len() as u64)?;
            for chunk in values.chunks_mut(STAGED) {
                gpu.begin_sum(chunk)?;
                wait(star, gpu, patience)?;
                gpu.fetch(chunk)?;
            }
            Ok(())
        })
    }

    fn sum_counts(&mut self, values: &mut [u64]) -> Result<(), Error> {
        self.with(|star, _| {
            star.say(Call::SumCounts, values.len() as u64)?;
            star.sum_counts(values)
        })
    }

    fn broadcast(&mut self, bytes: &mut Vec<u8>) -> Result<(), Error> {
        self.with(|star, _| star.broadcast(bytes))
    }

    fn greatest(&mut self, value: u64) -> Result<u64, Error> {
        self.with(|star, _| Ok(star.say(Call::Greatest, value)?.into_iter().max().unwrap_or(value)))
    }

    fn leave(mut self: Box<Self>) -> Result<(), Error> {
        self.with(|star, _| star.say(Call::Leave, 0))?;
        match self.joined.take() {
            Some((star, gpu)) => gpu.leave().map(|()| drop(star)),
            None => Err(Error::Parted),
        }
    }
}
