//! What can be had without a network, on the images that one is evaluated on: the foreground that colour thresholding finds,
//! and the class that each colour most often has. Must not know networks.

use super::figures::{Common, Floors};
use super::{Settings, spread};
use crate::event::Event;
use crate::image::{DecodedImage, Filter, resize_rgb, threshold, upsample};
use crate::stage::dataset::{Dataset, Item};
use crate::stage::measure::confusion::{Confusion, IGNORED, percent};
use crate::stage::{Context, Error, check};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bits of each colour channel that are told apart: 32 steps.
const BITS: u32 = 5;
/// All colours that are.
const COLOURS: usize = 1 << (3 * BITS);
/// Longest side of a photo to learn from, in pixels: colours need no detail.
const LONG_SIDE: u32 = 256;
/// Photos to learn from at most, spread evenly over the split; more change the figures by less than they print.
const MOST_PHOTOS: usize = 2000;
/// From here on a pixel of a matte is foreground.
const FOREGROUND: u8 = 128;

/// Measures both.
pub(super) fn floors(
    set: &Dataset,
    train: &Dataset,
    classes: usize,
    instances: Option<&[u64]>,
    settings: &Settings,
    context: &Context,
) -> Result<Floors, Error> {
    let learnt: Vec<&Item> =
        spread(train.items(), MOST_PHOTOS).into_iter().filter_map(|index| train.items().get(index)).collect();
    let all: Vec<&Item> = set.items().iter().collect();
    let total = Some((learnt.len() + all.len()) as u64);
    context.events.emit(Event::StageStarted { stage: context.stage.clone(), total, unit: "photos" });
    let counts =
        over(&learnt, context, || vec![0_u32; COLOURS * classes], |counts, item| learn(train, item, classes, counts))?;
    let guess = Guess::of(&counts, classes);
    let begin = || (Confusion::new(2), Confusion::new(classes));
    let judged = over(&all, context, begin, |(foreground, colours), item| {
        let (foreground, colours) = (foreground.as_mut(), colours.as_mut());
        let (Ok(foreground), Ok(colours)) = (foreground, colours) else {
            return Err(Error::Usage(format!("{classes} classes cannot be counted")));
        };
        judge(set, item, &guess, foreground, colours)
    })?;
    let mut foreground = Confusion::new(2)?;
    let mut colours = Confusion::new(classes)?;
    for (one, other) in judged {
        foreground.merge(&one?)?;
        colours.merge(&other?)?;
    }
    let metrics = colours.metrics();
    let common = Common::of(&metrics, instances, settings.common)?;
    Ok(Floors {
        threshold_foreground_iou: percent(foreground.metrics().foreground_iou),
        colour_miou: percent(metrics.mean_iou),
        colour_miou_common: common.and_then(|(common, _)| common.value),
        colour_foreground_iou: percent(metrics.foreground_iou),
        colour_photos: learnt.len() as u64,
    })
}

/// Does something to every item on all threads of the stage, each with something of its own, which are given back.
fn over<T: Send>(
    items: &[&Item],
    context: &Context,
    begin: impl Fn() -> T + Sync,
    each: impl Fn(&mut T, &Item) -> Result<(), Error> + Sync,
) -> Result<Vec<T>, Error> {
    let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
    let work = || {
        let mut own = begin();
        while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(error) = check(&context.cancel).and_then(|()| each(&mut own, item)) {
                next.store(items.len(), Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
            }
            context.events.emit(Event::Advanced { stage: context.stage.clone(), by: 1 });
        }
        own
    };
    let all = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..context.threads.clamp(1, items.len().max(1))).map(|_| scope.spawn(work)).collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|own| own.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(all), Err)
}

/// The place of a colour among those that are told apart.
fn colour(pixel: [u8; 3]) -> usize {
    pixel.iter().fold(0, |place, channel| place << BITS | usize::from(*channel >> (8 - BITS)))
}

/// Counts the classes of the colours of one photo: `counts[colour * classes + class]`.
fn learn(train: &Dataset, item: &Item, classes: usize, counts: &mut [u32]) -> Result<(), Error> {
    let photo = train.photo(item)?;
    let long = photo.width.max(photo.height).max(1);
    let side = |side: u32| (u64::from(side) * u64::from(LONG_SIDE.min(long)) / u64::from(long)).max(1) as u32;
    let (width, height) = (side(photo.width), side(photo.height));
    let failed = |error: crate::image::Error| Error::Failed(format!("{}: {error}", item.image_id));
    let small = resize_rgb(&photo, width, height, Filter::Bilinear).map_err(failed)?;
    let labels = item.spans()?.view().sample(width, height).map_err(failed)?;
    for (pixel, label) in small.as_chunks::<3>().0.iter().zip(labels) {
        let class = usize::from(label);
        if class < classes
            && let Some(count) = counts.get_mut(colour(*pixel) * classes + class)
        {
            *count = count.saturating_add(1);
        }
    }
    Ok(())
}

/// The class that each colour most often has; that of the most pixels for colours that were never seen.
struct Guess(Vec<u8>);

impl Guess {
    fn of(counts: &[Vec<u32>], classes: usize) -> Self {
        let mut sums = vec![0_u64; COLOURS * classes];
        for counts in counts {
            for (sum, count) in sums.iter_mut().zip(counts) {
                *sum += u64::from(*count);
            }
        }
        let mut overall = vec![0_u64; classes];
        for of_colour in sums.chunks_exact(classes.max(1)) {
            for (all, count) in overall.iter_mut().zip(of_colour) {
                *all += count;
            }
        }
        let usual = most(&overall).unwrap_or(0);
        Self(sums.chunks_exact(classes.max(1)).map(|of_colour| most(of_colour).unwrap_or(usual)).collect())
    }

    fn class(&self, pixel: [u8; 3]) -> u8 {
        self.0.get(colour(pixel)).copied().unwrap_or(0)
    }
}

/// The class of the greatest count, the lower of equal ones; none where nothing was counted.
fn most(counts: &[u64]) -> Option<u8> {
    let greatest = counts.iter().copied().max().filter(|count| *count > 0)?;
    counts.iter().position(|count| *count == greatest).and_then(|class| u8::try_from(class).ok())
}

/// Counts one photo of the split for both.
fn judge(
    set: &Dataset,
    item: &Item,
    guess: &Guess,
    foreground: &mut Confusion,
    colours: &mut Confusion,
) -> Result<(), Error> {
    let failed = |error: crate::image::Error| Error::Failed(format!("{}: {error}", item.image_id));
    let photo = set.photo(item)?;
    let labels = item.spans()?.view().rasterise().map_err(failed)?;
    let guessed: Vec<u8> = photo.rgb.as_chunks::<3>().0.iter().map(|pixel| guess.class(*pixel)).collect();
    colours.add(&labels, &guessed)?;
    let cut = cut_out(&photo).map_err(failed)?;
    let known = |label: &u8| if *label == IGNORED { IGNORED } else { u8::from(*label > 0) };
    foreground.add(&labels.iter().map(known).collect::<Vec<u8>>(), &cut)?;
    Ok(())
}

/// 1 where colour thresholding sees foreground.
fn cut_out(photo: &DecodedImage) -> Result<Vec<u8>, crate::image::Error> {
    let matte = upsample(&threshold(photo)?, photo.width, photo.height)?;
    Ok(matte.alpha.iter().map(|alpha| u8::from(*alpha >= FOREGROUND)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_colour_gets_its_most_frequent_class() {
        let mut counts = vec![0_u32; COLOURS * 3];
        let (red, white) = ([200, 9, 9], [255, 255, 255]);
        counts[colour(red) * 3 + 1] = 4;
        counts[colour(red) * 3 + 2] = 4;
        counts[colour(white) * 3] = 5;
        let mut more = vec![0_u32; COLOURS * 3];
        more[colour(white) * 3 + 2] = 6;
        let guess = Guess::of(&[counts, more], 3);
        assert_eq!((guess.class(red), guess.class(white)), (1, 2));
        assert_eq!(guess.class([207, 15, 15]), 1, "the same step of colour");
        assert_eq!(guess.class([0, 255, 0]), 2, "a colour that was never seen");
        assert_eq!(Guess::of(&[], 3).class(red), 0);
    }
}
