//! The five stations of a cutout, joined by small bounded queues: fetch, decode, predict, compose, put. A station takes a
//! job and gives the next one's, or ends the item then and there. Must not know shards or ledgers.

use super::inputs::{Inputs, Source};
use super::judge::{self, Verdict};
use super::meter::{Meter, Station};
use super::products::Ready;
use super::rows::{Figures, ItemResult};
use super::{Places, Settings};
use crate::cancel::{Cancel, Cause};
use crate::clock;
use crate::digest;
use crate::image::product;
use crate::image::{self, DecodedImage, Probabilities, SourceImage};
use crate::outcome::{Outcome, Reason};
use crate::predict::{self, ModelInput, Opened, Predictor, Preparer};
use crate::stage::Error;
use crate::storage;
use bytes::Bytes;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Threads that wait for the store, each way: waiting costs nothing, and an object store answers slowly but to many at once.
const WAITERS: usize = 8;
/// Decoders that may hang before the whole stage gives up.
const MOST_ABANDONED: usize = 8;

/// An item between two stations.
struct Job<T> {
    source: Source,
    result: ItemResult,
    load: T,
}

impl<T> Job<T> {
    fn with<U>(self, load: U) -> Job<U> {
        Job { source: self.source, result: self.result, load }
    }

    fn end(self, outcome: Outcome, reason: Reason, detail: impl Into<String>) -> Stop {
        Stop::Item(Box::new((self.source, self.result.ended(outcome, reason, detail))))
    }
}

/// An item that has come to its end.
pub type Done = (Source, ItemResult);

/// Why a job does not go on to the next station.
enum Stop {
    /// The item has come to its end here.
    Item(Box<Done>),
    /// Nothing more can be done for any item.
    Line(Error),
}

struct Prepared {
    image: DecodedImage,
    input: ModelInput,
}

struct Mapped {
    image: DecodedImage,
    map: Probabilities,
}

/// Everything the stations need.
pub struct Line<'a> {
    /// The stage's settings.
    pub settings: &'a Settings,
    /// Where photos come from.
    pub inputs: &'a Inputs,
    /// Where cutouts go.
    pub places: &'a Places,
    /// What is made of each.
    pub products: &'a [Ready],
    /// Where the time goes.
    pub meter: &'a Meter,
    /// Threads for decoding and for composing.
    pub threads: usize,
    /// The wish to stop.
    pub cancel: &'a Cancel,
}

/// Threads of each station, in their order.
pub fn threads(line: &Line<'_>, sessions: usize) -> [usize; 5] {
    let workers = line.threads.div_ceil(2);
    [WAITERS, workers, sessions, workers, WAITERS]
}

/// Works through `sources` and gives each one's end to `done`, in whatever order they end. Stops taking new ones when asked
/// to stop; what is under way is finished. An error of `done` or of a station as a whole ends the line.
pub fn run(
    line: &Line<'_>,
    opened: Opened,
    sources: impl Iterator<Item = Result<Source, Error>> + Send,
    mut done: impl FnMut(Done) -> Result<(), Error>,
) -> Result<(), Error> {
    let Opened { preparer, predictors, batch, .. } = opened;
    let (wanted, to_fetch) = queue(2);
    let (fetched, to_decode) = queue(2);
    let (decoded, to_predict) = queue(batch.max(2));
    let (mapped, to_compose) = queue(2);
    let (composed, to_put) = queue(2);
    let (ended, ends) = mpsc::sync_channel::<Done>(64);
    let failure: Mutex<Option<Error>> = Mutex::new(None);
    let fail = &|error: Error| {
        line.cancel.cancel(Cause::Failure);
        lock(&failure).get_or_insert(error);
    };
    let abandoned = &AtomicUsize::new(0);
    let [_, workers, ..] = threads(line, predictors.len());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for source in sources {
                if line.cancel.is_cancelled() {
                    return;
                }
                match source.map(|source| wanted.send(source)) {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return,
                    Err(error) => return fail(error),
                }
            }
        });
        for _ in 0..WAITERS {
            let (jobs, next, end) = (Arc::clone(&to_fetch), fetched.clone(), ended.clone());
            scope.spawn(move || station(line, Station::Fetch, &jobs, &next, &end, fail, |source| fetch(line, source)));
            let (jobs, next, end) = (Arc::clone(&to_put), ended.clone(), ended.clone());
            scope.spawn(move || station(line, Station::Put, &jobs, &next, &end, fail, |job| put(line, job)));
        }
        for _ in 0..workers {
            let (jobs, next, end) = (Arc::clone(&to_decode), decoded.clone(), ended.clone());
            let preparer = preparer.clone();
            let work = move |job| decode(line, &preparer, abandoned, job);
            scope.spawn(move || station(line, Station::Decode, &jobs, &next, &end, fail, work));
            let (jobs, next, end) = (Arc::clone(&to_compose), composed.clone(), ended.clone());
            scope.spawn(move || station(line, Station::Compose, &jobs, &next, &end, fail, |job| compose(line, job)));
        }
        for predictor in predictors {
            let (jobs, next, end) = (Arc::clone(&to_predict), mapped.clone(), ended.clone());
            scope.spawn(move || infer(line, predictor, batch, &jobs, &next, &end, fail));
        }
        // The queues close one after the other as the stations before them end; these handles must not keep them open.
        drop((to_fetch, fetched, to_decode, decoded, to_predict, mapped, to_compose, composed, to_put, ended));
        for end in ends {
            if let Err(error) = done(end) {
                fail(error);
                break;
            }
        }
    });
    lock(&failure).take().map_or(Ok(()), Err)
}

type Queue<T> = Arc<Mutex<Receiver<T>>>;

fn queue<T>(length: usize) -> (SyncSender<T>, Queue<T>) {
    let (sender, receiver) = mpsc::sync_channel(length);
    (sender, Arc::new(Mutex::new(receiver)))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // A thread that panicked while it held the lock left a plain value behind, which is whole at any moment.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One thread of a station: takes jobs until the queue closes, or nobody wants the results.
fn station<T, U>(
    line: &Line<'_>,
    station: Station,
    jobs: &Queue<T>,
    next: &SyncSender<U>,
    ended: &SyncSender<Done>,
    fail: &(impl Fn(Error) + Sync),
    work: impl Fn(T) -> Result<U, Stop>,
) {
    loop {
        let Ok(job) = lock(jobs).recv() else { return };
        let wanted = match line.meter.time(station, || work(job)) {
            Ok(done) => next.send(done).is_ok(),
            Err(Stop::Item(end)) => ended.send(*end).is_ok(),
            Err(Stop::Line(error)) => return fail(error),
        };
        if !wanted {
            return;
        }
    }
}

fn milliseconds(since: Instant) -> f32 {
    since.elapsed().as_secs_f32() * 1000.0
}

fn fetch(line: &Line<'_>, source: Source) -> Result<Job<Bytes>, Stop> {
    let start = Instant::now();
    let store = line.inputs.store(&source).map_err(Stop::Line)?;
    let mut job = Job { result: ItemResult::begin(&source.name, &source.etag, source.size), source, load: () };
    if job.source.size == 0 {
        return Err(job.end(Outcome::Quarantined, Reason::ZeroBytes, "the file has 0 bytes"));
    }
    if job.source.size > line.settings.limits.max_bytes {
        let detail = format!("{} bytes, and the limit is {}", job.source.size, line.settings.limits.max_bytes);
        return Err(job.end(Outcome::Quarantined, Reason::TooLarge, detail));
    }
    let mut got = store.wait(store.get_if(&job.source.info()));
    if matches!(got, Err(storage::Error::Changed { .. })) {
        // Replaced since the plan: take the new version, and let its row say which one that was.
        if let Ok(Some(now)) = store.wait(store.head(&job.source.name)) {
            (job.source.etag, job.source.size) = (now.etag.clone(), now.size);
            (job.result.etag, job.result.size) = (now.etag.clone(), now.size);
            got = store.wait(store.get_if(&now));
        }
    }
    let (outcome, reason, error) = match got {
        Ok(bytes) => {
            job.result.phases.fetch = milliseconds(start);
            return Ok(job.with(bytes));
        }
        Err(error @ storage::Error::NotFound { .. }) => (Outcome::Quarantined, Reason::Vanished, error),
        Err(error @ storage::Error::Changed { .. }) => (Outcome::Failed, Reason::ChangedSincePlan, error),
        Err(error @ storage::Error::Transient { .. }) => (Outcome::Quarantined, Reason::TransientExhausted, error),
        Err(error) if store.is_folder() => (Outcome::Failed, Reason::Unreadable, error),
        Err(error) => return Err(Stop::Line(error.into())),
    };
    Err(job.end(outcome, reason, error.to_string()))
}

fn decode(
    line: &Line<'_>,
    preparer: &Preparer,
    abandoned: &AtomicUsize,
    mut job: Job<Bytes>,
) -> Result<Job<Prepared>, Stop> {
    let start = Instant::now();
    let source = SourceImage { bytes: std::mem::take(&mut job.load) };
    if let Ok(facts) = image::probe(&source.bytes) {
        facts.format.word().clone_into(&mut job.result.format);
    }
    // A decoder that hangs cannot be stopped, only left behind: so it has a thread of its own.
    let (answer, answered) = mpsc::sync_channel(1);
    let limits = line.settings.limits;
    let worker = std::thread::Builder::new().name("decode".to_owned());
    // Nobody waits for the answer any more when the photo was given up.
    let spawned = worker.spawn(move || {
        let decoded = image::decode(&source, &limits);
        drop(answer.send((decoded, clock::of_thread())));
    });
    if let Err(error) = spawned {
        return Err(Stop::Line(Error::Failed(format!("no thread for decoding can be had ({error}); lower --threads"))));
    }
    let limit = Duration::from_secs(line.settings.decode_seconds);
    let image = match answered.recv_timeout(limit) {
        Ok((decoded, cpu)) => {
            line.meter.add_cpu(Station::Decode, cpu);
            match decoded {
                Ok(image) => image,
                Err(error) => return Err(job.end(Outcome::Quarantined, error.reason(), error.to_string())),
            }
        }
        Err(RecvTimeoutError::Timeout) => {
            if abandoned.fetch_add(1, Ordering::SeqCst) >= MOST_ABANDONED {
                let text =
                    format!("more than {MOST_ABANDONED} photos took longer than {} s to decode", limit.as_secs());
                return Err(Stop::Line(Error::Failed(format!("{text}; look at them, or raise decode_seconds"))));
            }
            let detail = format!("not decoded within {} s", limit.as_secs());
            return Err(job.end(Outcome::Quarantined, Reason::DecoderTimeout, detail));
        }
        Err(RecvTimeoutError::Disconnected) => {
            return Err(job.end(Outcome::Quarantined, Reason::DecoderPanic, "the decoder ended without an answer"));
        }
    };
    (job.result.width, job.result.height) = (image.width, image.height);
    job.result.notes = image.notes.iter().map(|note| note.code().to_owned()).collect();
    let input = match preparer.prepare(&image) {
        Ok(input) => input,
        Err(error) => return Err(job.end(Outcome::Quarantined, blame(&error)?, error.to_string())),
    };
    job.result.phases.decode = milliseconds(start);
    Ok(job.with(Prepared { image, input }))
}

/// The thread of one session: takes what is there, up to a batch, and never waits to fill one.
fn infer(
    line: &Line<'_>,
    mut predictor: Box<dyn Predictor>,
    batch: usize,
    jobs: &Queue<Job<Prepared>>,
    next: &SyncSender<Job<Mapped>>,
    ended: &SyncSender<Done>,
    fail: &(impl Fn(Error) + Sync),
) {
    loop {
        let mut taken = Vec::with_capacity(batch);
        {
            let queue = lock(jobs);
            let Ok(first) = queue.recv() else { return };
            taken.push(first);
            while taken.len() < batch
                && let Ok(job) = queue.try_recv()
            {
                taken.push(job);
            }
        }
        let start = Instant::now();
        let mut inputs = Vec::with_capacity(taken.len());
        let mut waiting = Vec::with_capacity(taken.len());
        for job in taken {
            let Job { source, result, load: Prepared { image, input } } = job;
            inputs.push(input);
            waiting.push(Job { source, result, load: image });
        }
        let answer = line.meter.time(Station::Predict, || predictor.predict(&inputs, line.cancel));
        let each = milliseconds(start) / inputs.len() as f32;
        match answer {
            Ok(maps) => {
                for (job, map) in waiting.into_iter().zip(maps) {
                    let Job { source, mut result, load: image } = job;
                    result.phases.predict = each;
                    if next.send(Job { source, result, load: Mapped { image, map } }).is_err() {
                        return;
                    }
                }
            }
            Err(error) if error.is_cancelled() => return,
            Err(error) => {
                let reason = match blame(&error) {
                    Ok(reason) => reason,
                    Err(Stop::Line(error)) => return fail(error),
                    Err(Stop::Item(_)) => continue,
                };
                for job in waiting {
                    let Job { source, result, .. } = job;
                    let end = (source, result.ended(Outcome::Quarantined, reason, error.to_string()));
                    if ended.send(end).is_err() {
                        return;
                    }
                }
            }
        }
    }
}

/// The reason that a picture is to be blamed for; a fault of the model would fail every picture, and ends the line.
fn blame(error: &predict::Error) -> Result<Reason, Stop> {
    error.reason().ok_or_else(|| Stop::Line(Error::Usage(error.to_string())))
}

/// A file and its key.
type File = (String, Bytes);

fn compose(line: &Line<'_>, job: Job<Mapped>) -> Result<Job<Vec<File>>, Stop> {
    let start = Instant::now();
    let Job { source, mut result, load: Mapped { image, map } } = job;
    match cut(line, &source.name, &image, &map) {
        Ok(Cut { figures, verdict, files, violations }) => {
            result.figures = Some(figures);
            result.violations = violations;
            (result.outcome, result.reason) = (verdict.outcome, verdict.reason);
            (result.detail, result.doubt) = (verdict.detail, verdict.doubt);
            result.output_bytes = files.iter().map(|(_, bytes)| bytes.len() as u64).sum();
            result.output_digest = digest::of_all(files.iter().map(|(_, bytes)| bytes.as_ref()));
            result.phases.encode = milliseconds(start);
            Ok(Job { source, result, load: files })
        }
        Err(error) => {
            let job = Job { source, result, load: () };
            Err(job.end(Outcome::Quarantined, error.reason(), error.to_string()))
        }
    }
}

struct Cut {
    figures: Figures,
    verdict: Verdict,
    files: Vec<File>,
    violations: Vec<String>,
}

fn cut(line: &Line<'_>, name: &str, image: &DecodedImage, map: &Probabilities) -> Result<Cut, image::Error> {
    let Settings { edges, bounds, .. } = line.settings;
    let matte = image::matte(image, map, edges)?;
    let cutout = image::compose(image, &matte, edges.colour)?;
    let figures = judge::figures(&cutout, &matte, map);
    let (mut files, mut violations) = (Vec::with_capacity(line.products.len()), Vec::new());
    for ready in line.products {
        let made = product::make(&cutout, image.facts.dpi, &ready.product)?;
        let named = |violation: String| match ready.name.as_str() {
            "" => violation,
            product => format!("{product}: {violation}"),
        };
        violations.extend(made.violations.into_iter().map(named));
        files.push((ready.key(name), Bytes::from(made.bytes)));
    }
    let verdict = judge::verdict(&figures, bounds, &violations);
    Ok(Cut { figures, verdict, files, violations })
}

fn put(line: &Line<'_>, job: Job<Vec<File>>) -> Result<Done, Stop> {
    let start = Instant::now();
    let Job { source, mut result, load } = job;
    let place = line.places.of(result.outcome);
    for (key, bytes) in load {
        match place.wait(place.put(&key, bytes)) {
            Ok(()) => result.outputs.push(key),
            Err(error @ storage::Error::Transient { .. }) => {
                let job = Job { source, result, load: () };
                return Err(job.end(Outcome::Failed, Reason::WriteError, error.to_string()));
            }
            Err(error) => return Err(Stop::Line(error.into())),
        }
    }
    result.phases.put = milliseconds(start);
    Ok((source, result))
}
