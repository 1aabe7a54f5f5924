//! How many threads a session of the network has where a pipeline leaves it open: measured once for each model, and kept in
//! the store, since the number is part of what every cutout is made with. Must not know how it is measured.

use super::{Error, state};
use crate::clock::{self, Timestamp};
use crate::event::{Level, note};
use crate::predict::Division;
use crate::stage::{Context, cutout};
use crate::{digest, id};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// `calibrations/<stage's model>.json`. Whoever creates it first has decided, for all hosts.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Calibration {
    schema: String,
    owner: String,
    division: Division,
    cores: usize,
    host: String,
    made: Timestamp,
}

/// Whether what is not known yet may be measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Measure {
    /// It may; the answer is kept.
    Allowed,
    /// Nothing is to be written: one thread is supposed.
    No,
}

/// The settings with a number of threads.
pub(super) fn settled<'a>(
    settings: &'a cutout::Settings,
    context: &Context,
    measure: Measure,
) -> Result<Cow<'a, cutout::Settings>, Error> {
    if !settings.calibrate {
        return Ok(Cow::Borrowed(settings));
    }
    let of_stage = Error::of_stage(&context.stage);
    let store = context.tables.store();
    let model = cutout::model_identity(settings, store.handle()).map_err(&of_stage)?;
    let key = format!("calibrations/{}.json", digest::of(model.as_bytes()));
    let threads = match state::read::<Calibration>(store, &key)? {
        Some(known) => known.division.threads,
        None if measure == Measure::No => 1,
        None => {
            let division = cutout::calibrate(settings, context).map_err(&of_stage)?;
            let text = format!(
                "{}: sessions of {} threads do {:.2} images/s here, the best of {} ways; kept as {key}",
                context.stage,
                division.threads,
                division.images_per_second,
                division.tried.len()
            );
            note(&context.events, Level::Info, text);
            let made = Calibration {
                schema: state::schema(),
                owner: id::token(),
                division,
                cores: context.threads,
                host: super::lock::host(),
                made: clock::now(),
            };
            let ours = made.division.threads;
            match state::create(store, &key, &made)? {
                true => ours,
                false => state::read::<Calibration>(store, &key)?.map_or(ours, |first| first.division.threads),
            }
        }
    };
    let mut settled = settings.clone();
    settled.predict.session.intra_threads = threads.max(1);
    Ok(Cow::Owned(settled))
}
