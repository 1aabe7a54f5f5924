//! What a form of the network says to photos, and what that costs. Must not know how the form was made.

use super::agreement::{Agreement, compare};
use super::observe::Place;
use super::photos::Photo;
use crate::image::Probabilities;
use crate::predict::{self, ModelChoice, ModelFiles, Opened, Settings};
use crate::stage::{Error, check};
use std::sync::Mutex;

/// Runs of each form that are timed.
const TIMED: usize = 5;

pub(super) fn usage(error: predict::Error) -> Error {
    match error {
        predict::Error::Runtime(error) => error.into(),
        other => Error::Usage(other.to_string()),
    }
}

/// Opens a form of the network with as many sessions as asked for.
pub(super) fn open(files: &ModelFiles, place: &Place<'_>, sessions: usize) -> Result<Opened, Error> {
    // Quantising is no use of the model yet; the licence is kept, so that whoever uses it is asked.
    let settings =
        Settings { session: place.settings.clone(), sessions, batch: Some(1), accept_nc: true, ..Settings::default() };
    predict::open(&ModelChoice::Network(files.clone()), || Ok(place.runtime.clone()), &settings).map_err(usage)
}

/// The map of each photo, in their order; one session a thread.
pub(super) fn maps(files: &ModelFiles, photos: &[&Photo], place: &Place<'_>) -> Result<Vec<Probabilities>, Error> {
    let threads = place.threads.clamp(1, photos.len().max(1));
    let opened = open(files, place, threads)?;
    let found: Mutex<Vec<(usize, Probabilities)>> = Mutex::new(Vec::new());
    let results: Vec<Result<(), Error>> = std::thread::scope(|scope| {
        let work = |first: usize, mut predictor: Box<dyn predict::Predictor>| {
            let found = &found;
            move || -> Result<(), Error> {
                for (at, photo) in photos.iter().enumerate().skip(first).step_by(threads) {
                    check(place.cancel)?;
                    let maps = predictor.predict(std::slice::from_ref(&photo.input), place.cancel).map_err(usage)?;
                    let mut found = found.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    found.extend(maps.into_iter().map(|map| (at, map)));
                }
                Ok(())
            }
        };
        let spawn = |(first, predictor)| scope.spawn(work(first, predictor));
        let threads: Vec<_> = opened.predictors.into_iter().enumerate().map(spawn).collect();
        let ended = |thread: std::thread::ScopedJoinHandle<'_, Result<(), Error>>| {
            thread.join().unwrap_or_else(|_| Err(Error::Failed("a thread of the comparison ended early".to_owned())))
        };
        threads.into_iter().map(ended).collect()
    });
    results.into_iter().collect::<Result<(), Error>>()?;
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by_key(|(at, _)| *at);
    Ok(found.into_iter().map(|(_, map)| map).collect())
}

pub(super) fn agreement(photos: &[&Photo], wanted: &[Probabilities], found: &[Probabilities]) -> Agreement {
    let pairs = photos.iter().zip(wanted.iter().zip(found));
    Agreement::of(pairs.map(|(photo, (wanted, found))| compare(&photo.name, wanted, found)).collect())
}

/// Milliseconds that this thread has computed; by the clock where the system does not tell.
fn thread_ms(start: std::time::Instant) -> f64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = spent.and_then(|text| text.split_whitespace().next()?.parse::<f64>().ok());
    spent.map_or_else(|| start.elapsed().as_secs_f64() * 1e3, |nanoseconds| nanoseconds / 1e6)
}

/// The least milliseconds of processor that each of two forms takes for a photo, on one thread, taken in turn.
pub(super) fn cost(forms: [&ModelFiles; 2], photo: &Photo, place: &Place<'_>) -> Result<[f64; 2], Error> {
    let start = std::time::Instant::now();
    let mut opened = [open(forms[0], place, 1)?, open(forms[1], place, 1)?];
    let mut least = [f64::INFINITY; 2];
    for round in 0..=TIMED {
        for (opened, least) in opened.iter_mut().zip(&mut least) {
            let Some(predictor) = opened.predictors.first_mut() else { continue };
            let before = thread_ms(start);
            predictor.predict(std::slice::from_ref(&photo.input), place.cancel).map_err(usage)?;
            // The first run sets things up.
            if round > 0 {
                *least = least.min(thread_ms(start) - before);
            }
        }
    }
    Ok(least)
}
