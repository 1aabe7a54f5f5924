//! What a training is made from, as far as it does not change: images, their order, the classes that occur, how samples are
//! made. Must not know steps.

use super::model::Model;
use super::order::{Order, repeats};
use super::sample::SampleSettings;
use super::weights::Occurrence;
use super::{Settings, Sources};
use crate::collective::Collective;
use crate::stage::dataset::{Dataset, tell_quarantined};
use crate::stage::{Context, Error};

/// The images to train on, and those to validate on.
pub fn open(
    settings: &Settings,
    sources: &Sources,
    ranks: &mut dyn Collective,
    context: &Context,
) -> Result<Vec<Dataset>, Error> {
    let mut splits = vec!["train"];
    splits.extend(settings.validation.is_some().then_some("val"));
    let leads = ranks.rank() == 0;
    let open = || Dataset::open(&sources.photos, &splits, leads, &sources.data(context), context);
    // The first rank decodes the photos; the others then find what it wrote down.
    let first = leads.then(open).transpose()?;
    ranks.greatest(0)?;
    let mut sets = match first {
        Some(sets) => sets,
        None => open()?,
    };
    tell_quarantined(&sets, context);
    let limits = [settings.images, settings.validation.as_ref().and_then(|validation| validation.images)];
    for (set, limit) in sets.iter_mut().zip(limits) {
        set.truncate(limit.unwrap_or(usize::MAX));
    }
    Ok(sets)
}

/// Before any work: masks of classes that the network does not have.
pub fn refuse_other_classes(sets: &[Option<&Dataset>], classes: usize) -> Result<(), Error> {
    let items = sets.iter().copied().flatten().flat_map(Dataset::items);
    let highest = items.flat_map(|item| &item.class_ids).copied().filter(|class| *class != u8::MAX).max().unwrap_or(0);
    match usize::from(highest) < classes {
        true => Ok(()),
        false => Err(Error::Usage(format!(
            "the masks hold the class {highest}, and the network has {classes} classes, background counted: give it {} classes, or merge fewer",
            usize::from(highest) + 1
        ))),
    }
}

/// How often each class occurs in the images that are trained on.
pub fn occurrence(train: &Dataset) -> Occurrence {
    let highest =
        train.items().iter().flat_map(|item| &item.class_ids).copied().filter(|class| *class != u8::MAX).max();
    let classes = usize::from(highest.unwrap_or(0)) + 1;
    let mut occurrence = Occurrence { counts: vec![0; classes], shown_in: vec![0; classes] };
    for item in train.items() {
        let known = || item.class_ids.iter().zip(&item.class_pixels).filter(|(class, _)| **class != u8::MAX);
        let all: u64 = known().map(|(_, pixels)| pixels).sum();
        for (class, pixels) in known() {
            let class = usize::from(*class);
            if let (Some(count), Some(shown)) = (occurrence.counts.get_mut(class), occurrence.shown_in.get_mut(class)) {
                *count += pixels;
                *shown += all;
            }
        }
    }
    occurrence
}

/// Which image comes when.
pub fn order(settings: &Settings, train: &Dataset) -> Result<Order, Error> {
    if settings.oversample == 0.0 {
        return Ok(Order::new(train.items().len(), settings.seed)?);
    }
    let classes: Vec<Vec<u8>> = train.items().iter().map(|item| item.class_ids.clone()).collect();
    Ok(Order::repeating(repeats(&classes, settings.oversample)?, settings.seed)?)
}

/// How samples are made for a network.
pub fn sample_settings(settings: &Settings, model: &Model) -> SampleSettings {
    let [height, width] = model.artifact.size.map(|side| side as u32);
    let normalisation = model.normalisation;
    SampleSettings {
        crop: (height, width),
        mean: normalisation.mean,
        deviation: normalisation.deviation,
        ..settings.augmentation.clone()
    }
}
