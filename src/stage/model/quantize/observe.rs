//! The network in floats over the photos with its inner tensors shown, some at a time so that memory is bounded; groups of
//! tensors run side by side, each over the photos in their order, so that the figures do not depend on the number of cores.
//! Must not know what the figures are for.

use super::photos::Photo;
use crate::cancel::Cancel;
use crate::graph::quantise::{Coding, Quantisable, Statistics, channel_axis};
use crate::runtime::{Runtime, Session, SessionSettings};
use crate::stage::{Error, check};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Bytes of tensors that are shown at once, over all threads.
const SHOWN: usize = 768 << 20;
/// What a tensor of unknown size is taken for.
const UNKNOWN: usize = 64 << 20;

/// Where the network runs.
pub(super) struct Place<'a> {
    pub runtime: &'a Runtime,
    pub settings: SessionSettings,
    pub threads: usize,
    pub cancel: &'a Cancel,
}

/// Tensors in groups of about so many bytes.
fn groups(sizes: &[(String, usize)], limit: usize) -> Vec<Vec<String>> {
    let mut groups: Vec<Vec<String>> = Vec::new();
    let mut filled = usize::MAX;
    for (tensor, size) in sizes {
        if filled.saturating_add(*size) > limit {
            groups.push(Vec::new());
            filled = 0;
        }
        filled += size;
        if let Some(group) = groups.last_mut() {
            group.push(tensor.clone());
        }
    }
    groups
}

/// What is done with a tensor of a photo: its name, what was gathered so far, its lengths, its numbers.
type Take<'a, S> = dyn Fn(&str, &mut S, &[usize], &[f32]) + Sync + 'a;

/// Shows tensors of the network for every photo, in the order of the photos.
fn show<S: Default + Send>(
    model: &Quantisable,
    tensors: &[String],
    photos: &[Photo],
    place: &Place<'_>,
    take: &Take<'_, S>,
) -> Result<BTreeMap<String, S>, Error> {
    // The picture itself cannot be an output of the network; it needs no run either.
    let given = model.model_inputs();
    let (inputs, inner): (Vec<String>, Vec<String>) =
        tensors.iter().cloned().partition(|tensor| given.contains(tensor));
    let mut found: BTreeMap<String, S> = BTreeMap::new();
    for name in inputs {
        let seen = found.entry(name.clone()).or_default();
        photos.iter().for_each(|photo| take(&name, seen, &photo.input.shape, &photo.input.data));
    }
    if inner.is_empty() {
        return Ok(found);
    }
    let sizes = {
        let session = Session::open(place.runtime, "probe", &model.probe(&inner), &place.settings)?;
        let size = |info: &crate::runtime::ValueInfo| {
            let size = info.fixed().map_or(UNKNOWN, |dims| dims.iter().product::<usize>() * 4);
            (info.name.clone(), size)
        };
        session.outputs().iter().map(size).collect::<Vec<_>>()
    };
    let threads = place.threads.max(1);
    let groups = groups(&sizes, SHOWN / threads);
    let next = AtomicUsize::new(0);
    let results: Mutex<Vec<Result<BTreeMap<String, S>, Error>>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads.min(groups.len()) {
            scope.spawn(|| {
                while let Some(group) = groups.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let result = show_group(model, group, photos, place, take);
                    results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(result);
                }
            });
        }
    });
    for result in results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        found.extend(result?);
    }
    Ok(found)
}

fn show_group<S: Default>(
    model: &Quantisable,
    group: &[String],
    photos: &[Photo],
    place: &Place<'_>,
    take: &Take<'_, S>,
) -> Result<BTreeMap<String, S>, Error> {
    let mut session = Session::open(place.runtime, "probe", &model.probe(group), &place.settings)?;
    let input = session.inputs().first().map(|info| info.name.clone()).unwrap_or_default();
    let names: Vec<&str> = group.iter().map(String::as_str).collect();
    let mut found: BTreeMap<String, S> = BTreeMap::new();
    for photo in photos {
        check(place.cancel)?;
        for tensor in session.run_f32(&input, &photo.input.shape, &photo.input.data, &names, place.cancel)? {
            let seen = found.entry(tensor.name.clone()).or_default();
            take(&tensor.name, seen, &tensor.shape, &tensor.data);
        }
    }
    Ok(found)
}

/// Histograms and moments of tensors.
pub(super) fn statistics(
    model: &Quantisable,
    tensors: &[String],
    photos: &[Photo],
    place: &Place<'_>,
) -> Result<BTreeMap<String, Statistics>, Error> {
    show(model, tensors, photos, place, &|_, seen: &mut Statistics, dims, data| seen.add(dims, data))
}

/// Sums by channel.
#[derive(Default)]
struct Sums {
    sums: Vec<f64>,
    counts: Vec<u64>,
}

/// The mean of each channel after a round trip through bytes.
pub(super) fn rounded_means(
    model: &Quantisable,
    codings: &BTreeMap<String, Coding>,
    photos: &[Photo],
    place: &Place<'_>,
) -> Result<BTreeMap<String, Vec<f64>>, Error> {
    let tensors: Vec<String> = codings.keys().cloned().collect();
    let take = |name: &str, seen: &mut Sums, dims: &[usize], data: &[f32]| {
        let Some(coding) = codings.get(name) else { return };
        let axis = channel_axis(dims);
        let channels = dims.get(axis).copied().unwrap_or(1).max(1);
        let inner = dims.iter().skip(axis + 1).product::<usize>().max(1);
        seen.sums.resize(channels.max(seen.sums.len()), 0.0);
        seen.counts.resize(channels.max(seen.counts.len()), 0);
        for (run, numbers) in data.chunks(inner).enumerate() {
            seen.sums[run % channels] +=
                numbers.iter().map(|number| f64::from(coding.round_trip(*number))).sum::<f64>();
            seen.counts[run % channels] += numbers.len() as u64;
        }
    };
    let sums = show(model, &tensors, photos, place, &take)?;
    let means =
        |sums: Sums| sums.sums.iter().zip(&sums.counts).map(|(sum, count)| sum / (*count).max(1) as f64).collect();
    Ok(sums.into_iter().map(|(name, sums)| (name, means(sums))).collect())
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn groups_are_filled_up_to_the_limit_and_one_tensor_is_always_taken() {
        let sizes = [("a", 4), ("b", 5), ("c", 2), ("d", 30), ("e", 1)].map(|(name, size)| (name.to_owned(), size));
        assert_eq!(groups(&sizes, 10), [vec!["a", "b"], vec!["c"], vec!["d"], vec!["e"]]);
    }
}
