//! The stage `ingest`: CSV rows judged one by one, the good ones to the table `annotations`, the others to `quarantine`.
//! Must not know merging, training or terminals.
//!
//! The schema is fixed and never inferred; memory is bounded by bytes, not rows. Text is split and parsed here, straight
//! from bytes; polars is asked what only shows between rows.

mod checks;
mod fields;
mod header;
mod images;
mod judge;
mod notes;
mod passes;
mod records;
mod rle;
mod rows;
mod source;
mod tally;

pub use rle::Format;
pub use source::Source;

use super::parts::Parts;
use super::{Context, Error, Report, check, quarantine, stations};
use crate::digest::Fingerprint;
use crate::event::Event;
use crate::storage::ObjectInfo;
use crate::table::labels;
use crate::table::schema::ANNOTATIONS;
use arrow::array::RecordBatch;
use passes::{Batch, End, Files, Seen};
use polars::prelude::DataFrame;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::ops::Range;
use tally::Tally;

/// Raised by hand when the same files and settings would give other rows.
pub const CODE_VERSION: u32 = 1;
/// Text that one thread judges at a time, in bytes.
const CHUNK_BYTES: usize = 512 << 10;

/// What to read, and how strictly.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The files, read as one after the other.
    pub csv: Vec<Source>,
    /// Unknown columns are an error, unknown attributes reject their row.
    pub strict: bool,
    /// Files without a single row are fine.
    pub allow_empty: bool,
    /// A last row that stops in its middle is quarantined like any other bad row.
    pub allow_truncated: bool,
    /// What parts the fields.
    pub delimiter: u8,
    /// What the first pixel is called: 1, or 0.
    pub rle_base: u8,
    /// How masks are written.
    pub rle_format: Format,
    /// A run past the last pixel is cut when it is no more than a column too long.
    pub clip: bool,
    /// Bytes of a field beyond which its row is quarantined.
    pub max_field_bytes: usize,
    /// Pixels of an image beyond which its rows are quarantined; at most 2³² − 1.
    pub max_pixels: u64,
    /// The list of classes and attributes; the public one of 2020 when there is none.
    pub label_descriptions: Option<Source>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            csv: Vec::new(),
            strict: false,
            allow_empty: false,
            allow_truncated: false,
            delimiter: b',',
            rle_base: 1,
            rle_format: Format::Kaggle,
            clip: false,
            max_field_bytes: 64 << 20,
            max_pixels: 400_000_000,
            label_descriptions: None,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        let wrong = |text: &str| Err(Error::Usage(text.to_owned()));
        match self {
            _ if self.csv.is_empty() => wrong("ingest needs a CSV: give --csv FILE"),
            _ if self.csv.len() > usize::from(u16::MAX) => wrong("ingest takes at most 65535 files"),
            _ if self.rle_base > 1 => wrong("--rle-base is 0 or 1"),
            _ if self.max_pixels > u64::from(u32::MAX) => wrong("max_pixels is at most 4294967295"),
            _ if matches!(self.delimiter, b'"' | b'\n' | b'\r' | b'0'..=b'9' | b' ') => {
                wrong("--delimiter is a character that no field holds, such as ; or a tab")
            }
            _ => Ok(()),
        }
    }
}

/// What the result is made from: the files as the store lists them now, the settings, and the code.
pub fn fingerprint(settings: &Settings, _: &Context) -> Result<Fingerprint, Error> {
    settings.check()?;
    let identity = |source: &Source| -> Result<String, Error> {
        let info = source.stat()?;
        Ok(format!("{} {} {}", source.url(), info.etag, info.size))
    };
    let files: Vec<String> = settings.csv.iter().map(identity).collect::<Result<_, _>>()?;
    let labels = settings.label_descriptions.as_ref().map(identity).transpose()?;
    let Settings { csv: _, label_descriptions: _, strict, allow_empty, allow_truncated, .. } = settings;
    let Settings { delimiter, rle_base, rle_format, clip, max_field_bytes, max_pixels, .. } = settings;
    let rules = format!(
        "strict={strict} allow_empty={allow_empty} allow_truncated={allow_truncated} delimiter={delimiter} rle_base={rle_base} \
         rle_format={rle_format:?} clip={clip} max_field_bytes={max_field_bytes} max_pixels={max_pixels}"
    );
    Ok(Fingerprint::default()
        .with("code", CODE_VERSION)
        .with("csv", files.join("\n"))
        .with("labels", labels.unwrap_or_else(|| "built in".to_owned()))
        .with("settings", rules))
}

/// Reads, judges, and publishes.
pub fn run(settings: &Settings, fingerprint: Fingerprint, context: &Context) -> Result<Report, Error> {
    settings.check()?;
    let listed: Vec<ObjectInfo> = settings.csv.iter().map(Source::stat).collect::<Result<_, _>>()?;
    let bytes: u64 = listed.iter().map(|info| info.size).sum();
    let started = Event::StageStarted { stage: context.stage.clone(), total: Some(bytes), unit: "bytes" };
    context.events.emit(started);
    let base = context.tables.current(&ANNOTATIONS)?;
    let work = Work::new(settings, context, &listed)?;
    let (mut pass, mut end) = work.pass(Order::Contiguous)?;
    if end == End::Scattered {
        pass.abandon();
        (pass, end) = work.pass(Order::Scattered)?;
    }
    debug_assert_eq!(end, End::Whole);
    let verdict = settings
        .csv
        .iter()
        .zip(&listed)
        .try_for_each(|(source, listed)| source.unchanged(listed))
        .and_then(|()| check(&context.cancel))
        .and_then(|()| pass.tally.verdict(&pass.seen, settings));
    if let Err(error) = verdict {
        pass.abandon();
        return Err(error);
    }
    let Pass { annotations, quarantine, tally, seen } = pass;
    tally.tell(&context.events);
    // The quarantine goes first. Killed in between, the stage is not done by its fingerprint, so that it runs again and
    // replaces its rows by the same ones, seen first when they were. The other way round it would be done, and what it had
    // quarantined would be lost for good.
    quarantine.publish(&fingerprint)?;
    if tally.signs.truncated > 0 && !settings.allow_truncated {
        annotations.abandon();
        return Err(Error::Blocked(
            "the last row stops in its middle (truncated_row in the quarantine): the file is not whole; fetch it again, or give --allow-truncated"
                .to_owned(),
        ));
    }
    if let Some(before) = &base {
        tally.drift(before, &context.events);
    }
    let publication = annotations.finish(true)?;
    publication.publish(base.as_ref(), fingerprint, tally.facts(&seen, bytes))?;
    let url = format!("{}/{}", context.tables.store().url().trim_end_matches('/'), ANNOTATIONS.name);
    Ok(Report { counts: tally.counts(), summary: tally.summary(&seen), artifacts: vec![url] })
}

/// Which way through the files.
#[derive(Clone, Copy)]
enum Order {
    Contiguous,
    Scattered,
}

/// What a pass has made: stored, but visible to nobody yet.
struct Pass<'a> {
    annotations: Parts<'a>,
    quarantine: quarantine::Writer<'a>,
    tally: Tally,
    seen: Seen,
}

impl Pass<'_> {
    fn abandon(self) {
        self.annotations.abandon();
        self.quarantine.abandon();
    }
}

/// What all passes share.
struct Work<'a> {
    settings: &'a Settings,
    context: &'a Context,
    files: Files<'a>,
    rules: judge::Rules,
    classes: DataFrame,
}

/// A batch when all is judged: rows for the table with their weights, and rows for the quarantine.
struct Judged {
    batches: Vec<(RecordBatch, usize)>,
    rejected: Vec<quarantine::Row>,
}

impl<'a> Work<'a> {
    fn new(settings: &'a Settings, context: &'a Context, listed: &'a [ObjectInfo]) -> Result<Self, Error> {
        let (classes, attributes) = match &settings.label_descriptions {
            Some(source) => described(source)?,
            None => (
                labels::CLASSES.iter().map(|class| u16::from(class.id)).collect(),
                labels::ATTRIBUTES.iter().map(|attribute| attribute.id).collect(),
            ),
        };
        let rle = rle::Rules { format: settings.rle_format, base: u32::from(settings.rle_base), clip: settings.clip };
        let Settings { strict, max_field_bytes, max_pixels, .. } = *settings;
        let rules = judge::Rules { rle, strict, max_field_bytes, max_pixels, attributes };
        let classes = checks::class_frame(classes)?;
        Ok(Self { settings, context, files: Files { context, settings, listed }, rules, classes })
    }

    fn pass(&self, order: Order) -> Result<(Pass<'a>, End), Error> {
        let mut annotations = Parts::begin(self.context, &ANNOTATIONS, "");
        let mut quarantine = quarantine::Writer::begin(self.context)?;
        let mut tally = Tally::default();
        let mut seen = Seen::default();
        let mut end = End::Whole;
        let mut last = images::NONE;
        let done = stations::run(
            |give| {
                match order {
                    Order::Contiguous => end = self.files.contiguous(&mut seen, give)?,
                    Order::Scattered => self.files.scattered(&mut seen, give)?,
                }
                Ok(())
            },
            |batch| self.judge(&batch, &mut tally, &mut last),
            |judged| {
                for (batch, weight) in &judged.batches {
                    annotations.write(batch, *weight)?;
                }
                judged.rejected.into_iter().try_for_each(|row| quarantine.add(row))
            },
        );
        let pass = Pass { annotations, quarantine, tally, seen };
        match done {
            Ok(()) => Ok((pass, end)),
            Err(error) => {
                pass.abandon();
                Err(error)
            }
        }
    }

    fn judge(&self, batch: &Batch, tally: &mut Tally, last: &mut u32) -> Result<Judged, Error> {
        let Batch { data, records, headers } = batch;
        let mut chunks: Vec<judge::Chunk> = cut(records)
            .into_par_iter()
            .map(|which| judge::judge(data, records, which, headers, &self.rules))
            .collect();
        let fates = checks::judge(records, &mut chunks, &self.classes)?;
        let mut rest = fates.as_slice();
        let mut judged = Judged { batches: Vec::with_capacity(chunks.len()), rejected: Vec::new() };
        for mut chunk in chunks {
            let fates;
            (fates, rest) = rest.split_at(chunk.rows.len());
            let mut rejected = std::mem::take(&mut chunk.rejected);
            rejected.sort_by_key(|rejected| rejected.record);
            for rejected in rejected {
                let told = (&self.context.events, self.context.stage.as_str());
                judged.rejected.push(tally.reject(batch, rejected, self.settings, told));
            }
            tally.add(batch, &chunk, fates, last);
            judged.batches.extend(rows::batch(data, records, chunk, fates)?);
        }
        Ok(judged)
    }
}

/// Records in stretches of about the same bytes; the same for every number of threads.
fn cut(records: &[records::Record]) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (index, record) in records.iter().enumerate() {
        bytes += record.length;
        if bytes >= CHUNK_BYTES || index + 1 == records.len() {
            ranges.push(first..index + 1);
            (first, bytes) = (index + 1, 0);
        }
    }
    ranges
}

/// The ids in a `label_descriptions.json`.
fn described(source: &Source) -> Result<(BTreeSet<u16>, BTreeSet<u16>), Error> {
    #[derive(serde::Deserialize)]
    struct Entry {
        id: u16,
    }
    #[derive(serde::Deserialize)]
    struct Labels {
        categories: Vec<Entry>,
        attributes: Vec<Entry>,
    }
    let labels: Labels = serde_json::from_slice(&source.bytes()?)
        .map_err(|error| Error::Usage(format!("{} is no list of labels ({error})", source.url())))?;
    // Spans hold class + 1 in a byte, and 255 is void.
    if let Some(class) = labels.categories.iter().find(|class| class.id > 253) {
        return Err(Error::Usage(format!("{}: the class {} is beyond 253", source.url(), class.id)));
    }
    let ids = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.id).collect();
    Ok((ids(labels.categories), ids(labels.attributes)))
}
