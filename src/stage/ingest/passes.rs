//! The ways through the files. In the usual one the rows of an image are neighbours: one pass, whole images in bounded
//! batches. Where an image comes back later, the files are indexed first, then their rows go to buckets on the local disk,
//! each a range of images in order of appearance: the same batches as of a sorted file come out, in the same memory.
//! Must not know what makes a row good.

use super::Settings;
use super::fields;
use super::header::{self, Header, IMAGE};
use super::images::{self, Images};
use super::records::{Record, Records};
use super::source::Source;
use crate::event::{Event, Level, note};
use crate::outcome::Reason;
use crate::stage::{Context, Error, check};
use crate::storage::ObjectInfo;
use crate::table::spill::{self, Buckets};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

/// A batch ends with the image that takes it beyond this many bytes of text.
const BATCH_BYTES: usize = 8 << 20;
/// Rows spilled to one bucket, in bytes of text.
const BUCKET_BYTES: u64 = 8 << 20;
/// Bytes of a spilled record before its text.
const FRAME: usize = 36;

/// Whole images, with their text.
pub(super) struct Batch {
    /// The text in which the records lie.
    pub(super) data: Vec<u8>,
    /// Rows, those of one image side by side.
    pub(super) records: Vec<Record>,
    /// The header of each file so far.
    pub(super) headers: Vec<Header>,
}

/// How a pass over neighbours ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// All rows were given.
    Whole,
    /// An image came back after others.
    Scattered,
}

/// What a pass learns on the way.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The images.
    pub(super) images: Images,
    /// Rows that are not blank.
    pub(super) rows: u64,
    /// Blank lines.
    pub(super) blank: u64,
    /// What was odd in headers, by code; files.
    pub(super) repairs: BTreeMap<&'static str, u64>,
}

/// The files to read, as they were listed.
pub(super) struct Files<'a> {
    pub(super) context: &'a Context,
    pub(super) settings: &'a Settings,
    pub(super) listed: &'a [ObjectInfo],
}

impl Files<'_> {
    /// One pass over neighbours. `give` says `false` when nobody wants more.
    pub(super) fn contiguous(&self, seen: &mut Seen, give: &mut dyn FnMut(Batch) -> bool) -> Result<End, Error> {
        let mut headers = Vec::new();
        let mut end = End::Whole;
        self.each(seen, true, |source, records, seen, step| {
            headers.push(records.header().clone());
            let mut batch = Vec::new();
            let mut current = images::NONE;
            while let Some(mut record) = records.next().map_err(|error| source.failed(&error))? {
                if let Some((number, new)) = number(records, &record, &mut seen.images) {
                    record.image = number;
                    if number != current {
                        if !new {
                            end = End::Scattered;
                            return Ok(ControlFlow::Break(()));
                        }
                        if record.start >= BATCH_BYTES {
                            let data = records.take(record.start);
                            record.start = 0;
                            let whole = Batch { data, records: std::mem::take(&mut batch), headers: headers.clone() };
                            step()?;
                            if !give(whole) {
                                return Ok(ControlFlow::Break(()));
                            }
                        }
                        current = number;
                    }
                }
                batch.push(record);
            }
            let data = records.take(records.consumed());
            step()?;
            let more = batch.is_empty() || give(Batch { data, records: batch, headers: headers.clone() });
            Ok(if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(end)
    }

    /// Two passes and buckets between them, for rows in any order.
    pub(super) fn scattered(&self, seen: &mut Seen, give: &mut dyn FnMut(Batch) -> bool) -> Result<(), Error> {
        self.each(seen, false, |source, records, seen, step| {
            while let Some(record) = records.next().map_err(|error| source.failed(&error))? {
                if let Some((number, _)) = number(records, &record, &mut seen.images) {
                    seen.images.add(number, (record.length + FRAME) as u64);
                }
                if records.consumed() >= BATCH_BYTES {
                    records.forget();
                    step()?;
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let (bucket_of, count) = spill::ranges(seen.images.bytes(), BUCKET_BYTES);
        let mut buckets = Buckets::create(count)?;
        let mut headers = Vec::new();
        self.each(seen, true, |source, records, seen, step| {
            headers.push(records.header().clone());
            while let Some(mut record) = records.next().map_err(|error| source.failed(&error))? {
                if let Some((number, _)) = number(records, &record, &mut seen.images) {
                    record.image = number;
                }
                // Rows without an image go to any one: nothing but the row itself decides on them.
                let bucket = bucket_of.get(record.image as usize).map_or(0, |bucket| usize::from(*bucket));
                buckets.push(bucket, &frame(&record))?;
                buckets.push(bucket, &records.data()[record.start..record.start + record.length])?;
                if records.consumed() >= BATCH_BYTES {
                    records.forget();
                    step()?;
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        for bucket in buckets.drain() {
            check(&self.context.cancel)?;
            let data = bucket?;
            let mut records = unframe(&data);
            records.sort_by_key(|record| (record.image, record.row));
            if !records.is_empty() && !give(Batch { data, records, headers: headers.clone() }) {
                break;
            }
        }
        Ok(())
    }

    /// Opens the files one after the other. `work` calls its last argument at each step: it tells the progress, and stops
    /// when that is wished.
    fn each(
        &self,
        seen: &mut Seen,
        first: bool,
        mut work: impl FnMut(
            &Source,
            &mut Records<'_>,
            &mut Seen,
            &mut dyn FnMut() -> Result<(), Error>,
        ) -> Result<ControlFlow<()>, Error>,
    ) -> Result<(), Error> {
        let settings = self.settings;
        (seen.rows, seen.blank) = (0, 0);
        let read = AtomicU64::new(0);
        let mut told = 0;
        let mut step = || {
            let now = read.load(Ordering::Relaxed);
            if first {
                let stage = self.context.stage.clone();
                self.context.events.emit(Event::Advanced { stage, by: now - told });
            }
            told = now;
            check(&self.context.cancel)
        };
        for (file, (source, info)) in settings.csv.iter().zip(self.listed).enumerate() {
            let flow = source.with_text(info, &read, |text| {
                let name = source.url();
                let longest = settings.max_field_bytes.saturating_add(64 << 10);
                let mut records = Records::open(
                    text,
                    (file as u16, seen.rows),
                    longest,
                    |error| source.failed(error),
                    |line| header::bind(line, settings.delimiter, settings.strict, &name),
                )?;
                if first {
                    for (code, text) in &records.header().notes {
                        note(&self.context.events, Level::Info, text.clone());
                        *seen.repairs.entry(code).or_default() += 1;
                    }
                }
                let flow = work(source, &mut records, seen, &mut step)?;
                let (rows, blank) = records.counts();
                (seen.rows, seen.blank) = (rows, seen.blank + blank);
                Ok(flow)
            })?;
            step()?;
            if flow.is_break() {
                break;
            }
        }
        Ok(())
    }
}

/// The image of a record, when its line and its id are sound.
fn number(records: &Records<'_>, record: &Record, images: &mut Images) -> Option<(u32, bool)> {
    if record.flaw.is_some() {
        return None;
    }
    let header = records.header();
    let line = &records.data()[record.start..record.start + record.length];
    let (id, _) = fields::image_id(fields::field(line, header.delimiter, header.field(IMAGE))?).ok()?;
    Some(images.number(id))
}

/// A record as it goes to a bucket, before its text.
fn frame(record: &Record) -> [u8; FRAME] {
    let flaw = record.flaw.and_then(|flaw| Reason::ALL.iter().position(|reason| *reason == flaw));
    let mut frame = [0; FRAME];
    frame[..8].copy_from_slice(&record.row.to_le_bytes());
    frame[8..16].copy_from_slice(&record.line.to_le_bytes());
    frame[16..24].copy_from_slice(&record.offset.to_le_bytes());
    frame[24..28].copy_from_slice(&record.image.to_le_bytes());
    frame[28..32].copy_from_slice(&(record.length as u32).to_le_bytes());
    frame[32..34].copy_from_slice(&record.file.to_le_bytes());
    frame[34] = flaw.map_or(u8::MAX, |flaw| flaw as u8);
    frame[35] = u8::from(record.unterminated);
    frame
}

/// The records of a bucket, which this process wrote.
fn unframe(data: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut at = 0;
    while let Some(frame) = data.get(at..at + FRAME) {
        let long = |from: usize| u64::from_le_bytes(std::array::from_fn(|byte| frame[from + byte]));
        let short = |from: usize| u32::from_le_bytes(std::array::from_fn(|byte| frame[from + byte]));
        let record = Record {
            row: long(0),
            line: long(8),
            offset: long(16),
            image: short(24),
            length: short(28) as usize,
            file: u16::from_le_bytes([frame[32], frame[33]]),
            flaw: Reason::ALL.get(usize::from(frame[34])).copied(),
            unterminated: frame[35] == 1,
            start: at + FRAME,
        };
        at = record.start + record.length;
        records.push(record);
    }
    records
}
