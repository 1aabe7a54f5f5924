//! The user's photos, spread evenly over what there is, as the network takes them. Must not know what they are measured for.

use crate::cancel::Cancel;
use crate::image::{Limits, SourceImage, decode};
use crate::predict::{ModelInput, Preparer};
use crate::stage::{Error, check};
use crate::storage::{Options, Store, split_location};
use futures::StreamExt;
use tokio::runtime::Handle;

/// Photos that are listed at most.
const MOST_LISTED: usize = 100_000;
/// Fewer photos say nothing.
pub(super) const FEWEST: usize = 8;

/// Photos as the network takes them.
pub(super) struct Photos {
    /// Ranges and means come from these.
    pub calibration: Vec<Photo>,
    /// Only these decide.
    pub holdout: Vec<Photo>,
    /// Photos that could not be read, with the reason.
    pub unreadable: Vec<String>,
}

/// One photo.
pub(super) struct Photo {
    /// Its name below its location.
    pub name: String,
    /// Its numbers.
    pub input: ModelInput,
}

/// How photos are found.
pub(super) struct Search<'a> {
    pub locations: &'a [String],
    pub images: usize,
    pub holdout: usize,
    pub options: &'a Options,
    pub handle: &'a Handle,
}

/// Which of so many photos are taken, spread evenly, and which of these are held out.
pub(super) fn spread(there: usize, images: usize, holdout: usize) -> Vec<(usize, bool)> {
    let wanted = (images + holdout).min(there).max(1);
    let held = if there < images + holdout { holdout.min(wanted / 4).max(1) } else { holdout };
    let taken = (0..wanted).map(|at| {
        let is_held = (at + 1) * held / wanted > at * held / wanted;
        (at * there / wanted, is_held)
    });
    taken.collect()
}

pub(super) fn load(search: &Search<'_>, preparer: &Preparer, cancel: &Cancel) -> Result<Photos, Error> {
    let mut listed: Vec<(Store, String)> = Vec::new();
    for location in search.locations {
        list(location, search, &mut listed)?;
    }
    let mut photos = Photos { calibration: Vec::new(), holdout: Vec::new(), unreadable: Vec::new() };
    for (at, held) in spread(listed.len(), search.images, search.holdout) {
        check(cancel)?;
        let Some((store, key)) = listed.get(at) else { continue };
        let bytes = store.wait(store.get(key))?;
        let decoded = decode(&SourceImage { bytes }, &Limits::default());
        let input =
            decoded.map_err(|e| e.to_string()).and_then(|image| preparer.prepare(&image).map_err(|e| e.to_string()));
        match input {
            Ok(input) if held => photos.holdout.push(Photo { name: key.clone(), input }),
            Ok(input) => photos.calibration.push(Photo { name: key.clone(), input }),
            Err(reason) => photos.unreadable.push(format!("{key}: {reason}")),
        }
    }
    let usable = photos.calibration.len() + photos.holdout.len();
    if usable < FEWEST || photos.holdout.is_empty() {
        let first = photos.unreadable.first().map_or(String::new(), |reason| format!(" ({reason})"));
        return Err(Error::Usage(format!(
            "{usable} photos can be read of {} at {}{first}; give at least {FEWEST}, better 80, of the kind that you cut out",
            listed.len(),
            search.locations.join(", ")
        )));
    }
    Ok(photos)
}

fn list(location: &str, search: &Search<'_>, listed: &mut Vec<(Store, String)>) -> Result<(), Error> {
    let open = |location: &str| Store::open(location, search.options, search.handle.clone());
    let (folder, file) = split_location(location)?;
    if !file.is_empty() && !location.ends_with('/') {
        let store = open(&folder)?;
        if store.wait(store.head(&file))?.is_some() {
            listed.push((store, file));
            return Ok(());
        }
    }
    let store = open(location)?;
    let mut stream = store.list("");
    while let Some(info) = store.wait(stream.next()) {
        let info = info?;
        if listed.len() >= MOST_LISTED {
            break;
        }
        if is_photo(&info.key) {
            listed.push((store.clone(), info.key));
        }
    }
    Ok(())
}

fn is_photo(key: &str) -> bool {
    let ending = key.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let known = ["jpg", "jpeg", "png", "webp", "tif", "tiff", "bmp", "gif"];
    !key.split('/').any(|part| part == ".selvedge") && ending.is_some_and(|ending| known.contains(&ending.as_str()))
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn photos_are_spread_over_all_there_are_and_the_held_out_among_them() {
        let taken = spread(800, 64, 16);
        assert_eq!(taken.len(), 80);
        assert_eq!(taken.iter().filter(|(_, held)| *held).count(), 16);
        assert_eq!((taken[0].0, taken[1].0, taken[79].0), (0, 10, 790));
        let held: Vec<usize> = (0..80).filter(|at| taken[*at].1).collect();
        assert_eq!(&held[..3], [4, 9, 14]);
        // With too few, a quarter is held out.
        let taken = spread(12, 64, 16);
        assert_eq!((taken.len(), taken.iter().filter(|(_, held)| *held).count()), (12, 3));
        assert_eq!(spread(0, 64, 16).len(), 1, "which then is not there");
    }
}
