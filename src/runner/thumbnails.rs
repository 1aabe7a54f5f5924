//! Small pictures of photos and of what was made of them, by as many threads as the stage may keep busy. A photo or cutout
//! that is gone, changed or unreadable becomes a sentence, never an error. Must not know where they are shown.

use super::Error;
use super::entry::Entry;
use crate::clock::Timestamp;
use crate::image::{self, SourceImage, thumbnail};
use crate::page::picture::Picture;
use crate::stage::cutout::{Places, Settings};
use crate::stage::{self, Context};
use crate::storage::{self, ObjectInfo, Store, split_location};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Pixels of the longer side.
const LONGEST: u32 = 240;
/// Inputs that a photo is looked for in, at most.
const MOST_INPUTS: usize = 64;

/// Where pictures are read from.
pub struct Thumbnails<'a> {
    /// The stage's settings.
    pub cutout: &'a Settings,
    /// Where cutouts lie.
    pub places: &'a Places,
    /// The stage.
    pub context: &'a Context,
}

impl Thumbnails<'_> {
    /// Before and after of each entry, in their order. Fails only when asked to stop.
    pub fn make(&self, entries: &[&Entry]) -> Result<Vec<(Picture, Picture)>, Error> {
        let sources = Sources { thumbnails: self, stores: Mutex::new(BTreeMap::new()) };
        let (next, made) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
        let work = || {
            while let Some((at, entry)) =
                Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, entries.get(at)?)))
            {
                if self.context.cancel.is_cancelled() {
                    return;
                }
                let pictures = (sources.before(entry), self.after(entry));
                made.lock().unwrap_or_else(PoisonError::into_inner).insert(at, pictures);
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..self.context.threads.min(entries.len()) {
                // Named as all threads that decode: a panic there is the picture's matter and is not told again. Where no
                // thread can be had, this one does the work.
                if std::thread::Builder::new().name("decode".to_owned()).spawn_scoped(scope, work).is_err() {
                    work();
                }
            }
        });
        stage::check(&self.context.cancel).map_err(Error::of_stage(&self.context.stage))?;
        Ok(made.into_inner().unwrap_or_else(PoisonError::into_inner).into_values().collect())
    }

    /// The first output that is a picture.
    fn after(&self, entry: &Entry) -> Picture {
        let place = self.places.of(entry.outcome);
        let mut why = "no output of it is a picture".to_owned();
        for key in &entry.outputs {
            match place.wait(place.get(key)) {
                Ok(bytes) => match self.small(bytes) {
                    Ok(picture) => return picture,
                    Err(error) => why = format!("{key} cannot be shown: {error}"),
                },
                Err(storage::Error::NotFound { .. }) => why = format!("{key} is not there any more"),
                Err(error) => why = error.to_string(),
            }
        }
        Picture::Absent(why)
    }

    fn small(&self, bytes: Bytes) -> Result<Picture, image::Error> {
        let decoded = image::decode(&SourceImage { bytes }, &self.cutout.limits)?;
        let small = thumbnail(&decoded, LONGEST)?;
        Ok(Picture::of_file(small.media, &small.bytes, (small.width, small.height)))
    }
}

/// The folders that photos are read from; each is opened once.
struct Sources<'a> {
    thumbnails: &'a Thumbnails<'a>,
    stores: Mutex<BTreeMap<String, Option<Store>>>,
}

impl Sources<'_> {
    fn before(&self, entry: &Entry) -> Picture {
        let info = ObjectInfo {
            key: entry.key.clone(),
            size: entry.size,
            etag: entry.etag.clone(),
            modified: Timestamp::UNIX_EPOCH,
        };
        let mut why = "where the photo lies is not known here".to_owned();
        for folder in self.folders(&entry.key) {
            let Some(store) = self.open(&folder) else { continue };
            match store.wait(store.get_if(&info)) {
                Ok(bytes) => {
                    let shown = self.thumbnails.small(bytes);
                    return shown
                        .unwrap_or_else(|error| Picture::Absent(format!("the photo cannot be shown: {error}")));
                }
                Err(storage::Error::Changed { .. }) => why = "the photo is another one by now".to_owned(),
                Err(storage::Error::NotFound { .. }) => why = "the photo is not there any more".to_owned(),
                Err(error) => why = error.to_string(),
            }
        }
        Picture::Absent(why)
    }

    /// Where a photo of this key can lie: beside the input that is this very file, or below an input.
    fn folders(&self, key: &str) -> Vec<String> {
        let inputs = &self.thumbnails.cutout.inputs;
        let named = inputs.iter().filter(|input| input.ends_with(key)).filter_map(|input| {
            let (folder, file) = split_location(input).ok()?;
            (file == key).then_some(folder)
        });
        let mut folders: Vec<String> = named.take(MOST_INPUTS).collect();
        if inputs.len() <= MOST_INPUTS {
            folders.extend(inputs.iter().cloned());
        }
        folders
    }

    fn open(&self, folder: &str) -> Option<Store> {
        let mut stores = self.stores.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || {
            let handle = self.thumbnails.context.tables.store().handle().clone();
            Store::open(folder, &self.thumbnails.cutout.options, handle).ok()
        };
        stores.entry(folder.to_owned()).or_insert_with(open).clone()
    }
}
