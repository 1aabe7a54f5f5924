//! Photos to figures: threads decode and resize, the calling thread runs the network, threads bring what it says to the
//! photo's size and count. Must not know where figures are kept, nor who trains the network.
//!
//! ```text
//! photo i ─► decoder i mod n ─► windows of all photos in order, batch by batch ─► counter i mod m ─► counts
//! ```
//!
//! Each decoder and each counter has a queue of its own, taken in turn: so the windows share batches in the order of the
//! photos whatever the threads do, the figures are the same every time, and no more than a few photos a thread are in
//! memory. What a counter holds is one photo's logits: with many scales, hundreds of megabytes.

use super::boundary::Boundary;
use super::confusion::Confusion;
use super::enlarge::{Logits, class_map};
use super::look::{Look, View};
use super::network::Network;
use super::windows::{Canvas, Size, Window, cut, flip};
use crate::cancel::Cancel;
use crate::graph::net::Normalisation;
use crate::runtime::Array;
use crate::stage::dataset::{Dataset, Item};
use crate::stage::{Error, check};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

/// Windows that may wait for a counter.
const WAITING: usize = 2;
/// Counters at most when photos are looked at more than once: each then holds all the looks of a photo.
const COUNTERS_OF_LOOKS: usize = 4;

/// What is to be measured, and how.
#[derive(Clone, Debug)]
pub struct Question {
    /// How each photo is looked at.
    pub look: Look,
    /// How the network's pictures are normalised.
    pub normalisation: Normalisation,
    /// Whether edges are measured too.
    pub boundary: bool,
    /// Threads that may be kept busy beside the network's.
    pub threads: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measured {
    /// The confusion matrix over all photos.
    pub confusion: Confusion,
    /// The edges of all photos, foreground against background, if asked for.
    pub boundary: Option<Boundary>,
}

/// A photo that was counted.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// Its place among the photos.
    pub index: usize,
    /// The class map of its masks, row-major.
    pub label: &'a [u8],
    /// The class map of the network, row-major.
    pub prediction: &'a [u8],
}

/// Measures a network on some photos of a dataset. `on_each` is called on this thread, once a photo, in the order in which
/// they happen to be done. The first error ends it; so does the wish to stop.
pub fn measure(
    dataset: &Dataset,
    items: &[Item],
    network: &mut Network<'_>,
    question: &Question,
    cancel: &Cancel,
    on_each: &mut dyn FnMut(Seen<'_>) -> Result<(), Error>,
) -> Result<Measured, Error> {
    let classes = network.classes();
    refuse_other_classes(items, classes)?;
    let (decoders, counters) = division(question);
    let crop = network.crop();
    std::thread::scope(|scope| {
        let mut prepared = Vec::new();
        for first in 0..decoders.min(items.len()) {
            let (give, take) = sync_channel(1);
            prepared.push(take);
            scope.spawn(move || {
                for item in items.iter().skip(first).step_by(decoders) {
                    let ready = check(cancel).and_then(|()| prepare(dataset, item, question, crop));
                    let failed = ready.is_err();
                    if give.send(ready).is_err() || failed {
                        break;
                    }
                }
            });
        }
        let (tell, told) = channel();
        let mut queues = Vec::new();
        let mut counting = Vec::new();
        for _ in 0..counters.min(items.len()) {
            let (give, take) = sync_channel(WAITING);
            let counter = Counter::new(items, classes, crop, question.boundary)?;
            let tell = tell.clone();
            queues.push(give);
            counting.push(scope.spawn(move || counter.count(take, &tell)));
        }
        drop(tell);
        let desk = Desk { network, cancel, queues, told, on_each };
        let run = desk.run(items.len(), &prepared);
        drop(prepared);
        let mut measured =
            Measured { confusion: Confusion::new(classes)?, boundary: question.boundary.then(Boundary::default) };
        for counter in counting {
            let (confusion, boundary) = counter.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            measured.confusion.merge(&confusion)?;
            if let (Some(all), Some(boundary)) = (&mut measured.boundary, &boundary) {
                all.merge(boundary);
            }
        }
        run.map(|()| measured)
    })
}

/// Before any work: labels that the network has no class for.
fn refuse_other_classes(items: &[Item], classes: usize) -> Result<(), Error> {
    let highest = |item: &Item| item.class_ids.iter().copied().filter(|class| *class != u8::MAX).max();
    for item in items {
        if let Some(class) = highest(item).filter(|class| usize::from(*class) >= classes) {
            return Err(Error::Usage(format!(
                "the masks of {} hold class {class}, and the model has 0 to {}; evaluate it on masks of the classes it was trained on",
                item.image_id,
                classes.saturating_sub(1)
            )));
        }
    }
    Ok(())
}

/// Threads that decode, and threads that count.
fn division(question: &Question) -> (usize, usize) {
    let half = question.threads.div_ceil(2).max(1);
    let counters = if question.look.count() > 1 { half.min(COUNTERS_OF_LOOKS) } else { half };
    (half, counters)
}

/// A photo ready to be shown to the network: each look, and its numbers `[3, H, W]`.
type Prepared = Vec<(View, Vec<f32>)>;

fn prepare(dataset: &Dataset, item: &Item, question: &Question, crop: Size) -> Result<Prepared, Error> {
    let photo = dataset.photo(item)?;
    let views = question.look.views((photo.height as usize, photo.width as usize), crop)?;
    let mut prepared = Vec::with_capacity(views.len());
    for view in views {
        let picture = view
            .picture(&photo, &question.normalisation)
            .map_err(|error| Error::Failed(format!("{}: {error}", item.image_id)))?;
        prepared.push((view, picture));
    }
    Ok(prepared)
}

/// One window of a batch: whose it is, and what it ends.
#[derive(Clone, Copy, Debug)]
struct Place {
    index: usize,
    /// The size of the look's picture.
    size: Size,
    flipped: bool,
    window: Window,
    ends_look: bool,
    ends_photo: bool,
}

/// What the network said of one window.
struct Piece {
    place: Place,
    /// Of the whole batch; the bytes are shared.
    logits: Array,
    /// Its place in the batch.
    slot: usize,
}

/// A photo that a counter is done with.
struct Counted {
    index: usize,
    label: Vec<u8>,
    prediction: Vec<u8>,
}

/// The calling thread's part.
struct Desk<'a, 'n> {
    network: &'a mut Network<'n>,
    cancel: &'a Cancel,
    queues: Vec<SyncSender<Piece>>,
    told: Receiver<Result<Counted, Error>>,
    on_each: &'a mut dyn FnMut(Seen<'_>) -> Result<(), Error>,
}

impl Desk<'_, '_> {
    fn run(mut self, photos: usize, prepared: &[Receiver<Result<Prepared, Error>>]) -> Result<(), Error> {
        let worked = self.work(photos, prepared);
        // Without queues the counters end; what they told until then is more telling than that one was gone.
        self.queues.clear();
        let mut told = Ok(());
        while let Ok(counted) = self.told.recv() {
            told = told.and_then(|()| self.tell(counted));
        }
        told.and(worked)
    }

    fn work(&mut self, photos: usize, prepared: &[Receiver<Result<Prepared, Error>>]) -> Result<(), Error> {
        let crop = self.network.crop();
        let one = 3 * crop.0 * crop.1;
        let mut images = vec![0.0_f32; self.network.batch() * one];
        let mut places: Vec<Place> = Vec::with_capacity(self.network.batch());
        for index in 0..photos {
            check(self.cancel)?;
            let queue = prepared.get(index % prepared.len().max(1));
            let ready = queue.and_then(|queue| queue.recv().ok()).unwrap_or_else(|| Err(gone()))?;
            let looks = ready.len();
            for (look, (view, picture)) in ready.into_iter().enumerate() {
                let windows = view.windows.len();
                for (number, window) in view.windows.iter().enumerate() {
                    if let Some(into) = images.chunks_exact_mut(one).nth(places.len()) {
                        cut(&picture, view.size, *window, into, crop)?;
                    }
                    let ends_look = number + 1 == windows;
                    places.push(Place {
                        index,
                        size: view.size,
                        flipped: view.flipped,
                        window: *window,
                        ends_look,
                        ends_photo: ends_look && look + 1 == looks,
                    });
                    if places.len() == self.network.batch() {
                        self.show(&images, &mut places)?;
                    }
                }
            }
        }
        if !places.is_empty() {
            // What an earlier batch left behind would change nothing, but zeros are the same every time.
            images.get_mut(places.len() * one..).unwrap_or_default().fill(0.0);
            self.show(&images, &mut places)?;
        }
        Ok(())
    }

    /// Shows a batch to the network and passes on what it says.
    fn show(&mut self, images: &[f32], places: &mut Vec<Place>) -> Result<(), Error> {
        let logits = self.network.logits(images, self.cancel)?;
        for (slot, place) in places.drain(..).enumerate() {
            let queue = self.queues.get(place.index % self.queues.len().max(1));
            let piece = Piece { place, logits: logits.clone(), slot };
            queue.and_then(|queue| queue.send(piece).ok()).ok_or_else(gone)?;
            while let Ok(counted) = self.told.try_recv() {
                self.tell(counted)?;
            }
        }
        Ok(())
    }

    fn tell(&mut self, counted: Result<Counted, Error>) -> Result<(), Error> {
        let Counted { index, label, prediction } = counted?;
        (self.on_each)(Seen { index, label: &label, prediction: &prediction })
    }
}

fn gone() -> Error {
    Error::Failed("a thread that prepares or counts photos ended before its time; run it again".to_owned())
}

/// One counter: the logits of the photo that it is at, and the counts of all that it has seen.
struct Counter<'a> {
    items: &'a [Item],
    classes: usize,
    crop: Size,
    canvas: Option<Canvas>,
    looks: Vec<Logits>,
    confusion: Confusion,
    boundary: Option<Boundary>,
}

impl<'a> Counter<'a> {
    fn new(items: &'a [Item], classes: usize, crop: Size, boundary: bool) -> Result<Self, Error> {
        Ok(Self {
            items,
            classes,
            crop,
            canvas: None,
            looks: Vec::new(),
            confusion: Confusion::new(classes)?,
            boundary: boundary.then(Boundary::default),
        })
    }

    /// Takes pieces until there are no more, or one fails.
    fn count(
        mut self,
        pieces: Receiver<Piece>,
        tell: &Sender<Result<Counted, Error>>,
    ) -> (Confusion, Option<Boundary>) {
        for piece in pieces {
            match self.take(&piece) {
                Ok(None) => {}
                // Nobody listens any more once the measurement has ended with an error.
                Ok(Some(counted)) => drop(tell.send(Ok(counted))),
                Err(error) => {
                    drop(tell.send(Err(error)));
                    break;
                }
            }
        }
        (self.confusion, self.boundary)
    }

    fn take(&mut self, piece: &Piece) -> Result<Option<Counted>, Error> {
        let place = piece.place;
        let mut canvas = match self.canvas.take() {
            Some(canvas) => canvas,
            None => Canvas::new(self.classes, place.size, self.crop)?,
        };
        canvas.add(place.window, &window_of(piece, self.classes * self.crop.0 * self.crop.1))?;
        if !place.ends_look {
            self.canvas = Some(canvas);
            return Ok(None);
        }
        let mut numbers = canvas.finish()?;
        if place.flipped {
            flip(&mut numbers, place.size.1);
        }
        self.looks.push(Logits { numbers, size: place.size });
        if !place.ends_photo {
            return Ok(None);
        }
        let looks = std::mem::take(&mut self.looks);
        let item = self.items.get(place.index).ok_or_else(gone)?;
        let size = (item.height as usize, item.width as usize);
        let label = item
            .spans()?
            .view()
            .rasterise()
            .map_err(|error| Error::Failed(format!("the masks of {}: {error}", item.image_id)))?;
        let prediction = class_map(&looks, self.classes, size)?;
        self.confusion.add(&label, &prediction)?;
        if let Some(boundary) = &mut self.boundary {
            boundary.add(&label, &prediction, size, |class| class > 0)?;
        }
        Ok(Some(Counted { index: place.index, label, prediction }))
    }
}

/// The numbers of one window out of its batch.
fn window_of(piece: &Piece, length: usize) -> Vec<f32> {
    let bytes = piece.logits.data().get(piece.slot * length * 4..).unwrap_or_default();
    bytes.as_chunks::<4>().0.iter().take(length).map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
