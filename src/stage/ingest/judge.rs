//! Rows judged one by one: bytes of a record in, spans and values or a reason out. Pure, and run on many records at once.
//! Must not know other rows: what only shows between rows is found by `checks`.

use super::fields;
use super::header::{ATTRIBUTES, CLASS, HEIGHT, Header, IMAGE, PIXELS, WIDTH};
use super::notes::{Note, Notes};
use super::records::Record;
use super::rle;
use crate::outcome::Reason;
use std::collections::BTreeSet;
use std::ops::Range;

/// Masks below this many pixels are remarked.
const TINY: u64 = 20;

/// What rows are judged by.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    /// How masks are read.
    pub(super) rle: rle::Rules,
    /// Unknown attributes reject the row.
    pub(super) strict: bool,
    /// Bytes that a field may have.
    pub(super) max_field_bytes: usize,
    /// Pixels that an image may have; fits `u32`.
    pub(super) max_pixels: u64,
    /// Known attributes.
    pub(super) attributes: BTreeSet<u16>,
}

/// A row that passed by itself.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// Index of its record in the batch.
    pub(super) record: usize,
    /// Bytes of its image id in the batch's buffer.
    pub(super) id: Range<usize>,
    /// The class as written; `checks` knows which there are.
    pub(super) class: u16,
    /// Pixels.
    pub(super) height: u32,
    /// Pixels.
    pub(super) width: u32,
    /// Pixels of the mask.
    pub(super) area: u64,
    /// Its spans in the chunk.
    pub(super) spans: Range<usize>,
    /// Its attributes in the chunk.
    pub(super) attributes: Range<usize>,
    /// What was repaired.
    pub(super) notes: Notes,
}

/// A row that did not pass.
#[derive(Clone, Debug)]
pub(super) struct Rejected {
    /// Index of its record in the batch.
    pub(super) record: usize,
    /// The code.
    pub(super) reason: Reason,
    /// Byte within the line, where one is to blame.
    pub(super) at: Option<usize>,
    /// The cause in words.
    pub(super) detail: String,
}

/// Rows judged together; their spans lie one after the other.
#[derive(Debug, Default)]
pub(super) struct Chunk {
    /// Rows that passed.
    pub(super) rows: Vec<Row>,
    /// First pixel of each span.
    pub(super) starts: Vec<u32>,
    /// Pixels of each span.
    pub(super) lengths: Vec<u32>,
    /// Attributes of the rows.
    pub(super) attributes: Vec<u16>,
    /// Rows that did not pass.
    pub(super) rejected: Vec<Rejected>,
    /// Evidence about the file as a whole.
    pub(super) signs: Signs,
}

/// Evidence about the file as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Signs {
    /// Rows whose mask was read, well or ill.
    pub(super) masks: u64,
    /// Rows of these with a run that starts at 0 where 1 is the first pixel.
    pub(super) zero_starts: u64,
    /// Neighbouring runs about a height apart: masks written down the columns.
    pub(super) down: u64,
    /// Neighbouring runs about a width apart: masks written along the lines.
    pub(super) along: u64,
    /// Pixels cut off by `clip`.
    pub(super) clipped: u64,
    /// Rows that end the file without a line's end, and are not whole.
    pub(super) truncated: u64,
}

impl std::ops::AddAssign for Signs {
    fn add_assign(&mut self, other: Self) {
        self.masks += other.masks;
        self.zero_starts += other.zero_starts;
        self.down += other.down;
        self.along += other.along;
        self.clipped += other.clipped;
        self.truncated += other.truncated;
    }
}

/// Judges some records of a batch.
pub(super) fn judge(data: &[u8], records: &[Record], which: Range<usize>, headers: &[Header], rules: &Rules) -> Chunk {
    let mut chunk = Chunk::default();
    let bytes: usize = records[which.clone()].iter().map(|record| record.length).sum();
    chunk.starts.reserve(bytes / 10);
    chunk.lengths.reserve(bytes / 10);
    for index in which {
        let record = &records[index];
        let line = &data[record.start..record.start + record.length];
        let header = &headers[record.file as usize];
        let (starts, attributes) = (chunk.starts.len(), chunk.attributes.len());
        if let Err(mut rejected) = chunk.row(index, record, line, header, rules) {
            chunk.starts.truncate(starts);
            chunk.lengths.truncate(starts);
            chunk.attributes.truncate(attributes);
            let halves = [Reason::FieldCount, Reason::UnbalancedQuote, Reason::RleOdd];
            if record.unterminated && halves.contains(&rejected.reason) {
                rejected.detail = format!("the file ends in the middle of this row ({})", rejected.detail);
                rejected.reason = Reason::TruncatedRow;
                chunk.signs.truncated += 1;
            }
            chunk.rejected.push(rejected);
        }
    }
    chunk
}

impl Chunk {
    fn row(
        &mut self,
        index: usize,
        record: &Record,
        line: &[u8],
        header: &Header,
        rules: &Rules,
    ) -> Result<(), Rejected> {
        let reject = |reason, at, detail: String| Rejected { record: index, reason, at, detail };
        let mut notes = Notes::default();
        if let Some(reason) = record.flaw {
            let detail = match reason {
                Reason::FieldTooLong => format!("the row has more than {} bytes", rules.max_field_bytes),
                _ => "a quote in this row, or in the one before, is never closed".to_owned(),
            };
            return Err(reject(reason, None, detail));
        }
        let Some(fields) = fields::split(line, header.delimiter) else {
            let detail = "a quote opens or closes within a field".to_owned();
            return Err(reject(Reason::UnbalancedQuote, None, detail));
        };
        let tail = unquoted_tail(&fields, header);
        if fields.len() != header.width && tail.is_none() {
            let detail = format!("{} fields, expected {}", fields.len(), header.width);
            return Err(reject(Reason::FieldCount, None, detail));
        }
        notes.add_if(tail.is_some(), Note::AttributesUnquoted);
        let within = |field: &[u8]| field.as_ptr() as usize - line.as_ptr() as usize;
        if let Some(long) = fields.iter().find(|field| field.len() > rules.max_field_bytes) {
            let detail = format!("a field of {} bytes, the limit is {}", long.len(), rules.max_field_bytes);
            return Err(reject(Reason::FieldTooLong, Some(within(long)), detail));
        }
        let id_field = fields[header.field(IMAGE)];
        let (id, extension) = fields::image_id(id_field).map_err(|reason| {
            let shown: String = String::from_utf8_lossy(id_field).chars().take(80).collect();
            reject(reason, Some(within(id_field)), format!("the image id {shown:?}"))
        })?;
        notes.add_if(extension, Note::IdExtension);
        let id_start = record.start + within(id.as_bytes());
        let size = size(&fields, header, rules, &mut notes).map_err(|(reason, detail)| reject(reason, None, detail))?;

        let text = fields[header.field(PIXELS)];
        let first = self.starts.len();
        self.signs.masks += u64::from(!text.trim_ascii().is_empty());
        let mask = rle::parse(text, size, rules.rle, &mut self.starts, &mut self.lengths).map_err(|flaw| {
            self.signs.zero_starts += u64::from(flaw.reason == Reason::RleZeroStart);
            reject(flaw.reason, Some(within(text) + flaw.at), flaw.detail)
        })?;
        self.signs.clipped += mask.clipped;
        self.signs.watch(&self.starts[first..], size);
        notes.add_if(mask.unsorted, Note::RleUnsorted);
        notes.add_if(mask.self_overlap, Note::RleSelfOverlap);
        notes.add_if(mask.zero_length, Note::RleZeroLength);
        notes.add_if(mask.whitespace, Note::RleWhitespace);
        notes.add_if(mask.clipped > 0, Note::Clipped);
        notes.add_if(mask.area == 0, Note::EmptyMask);
        notes.add_if(mask.area == u64::from(size.0) * u64::from(size.1), Note::MaskFull);
        notes.add_if((1..TINY).contains(&mask.area), Note::MaskTiny);

        let class_field = fields[header.field(CLASS)];
        let class = fields::class(class_field).ok_or_else(|| {
            let shown: String = String::from_utf8_lossy(class_field).chars().take(80).collect();
            reject(Reason::UnknownClass, Some(within(class_field)), format!("the class {shown:?} is no number"))
        })?;
        notes.add_if(class.float, Note::ClassFloat);
        notes.add_if(class.attributes.is_some(), Note::Dialect2019);
        let column = header.fields[ATTRIBUTES].map_or(&b""[..], |field| fields[field]);
        let listed = fields::attributes(column).chain(tail.into_iter().flatten().copied().flat_map(fields::attributes));
        let first_attribute = self.attributes.len();
        for attribute in class.attributes.into_iter().flatten().chain(listed) {
            match attribute.filter(|attribute| rules.attributes.contains(attribute)) {
                Some(known) if self.attributes[first_attribute..].contains(&known) => {
                    notes.add(Note::DuplicateAttribute)
                }
                Some(known) => self.attributes.push(known),
                None if rules.strict => {
                    let detail = match attribute {
                        Some(number) => format!("the attribute {number} is not in the list"),
                        None => "an attribute that is no number".to_owned(),
                    };
                    return Err(reject(Reason::UnknownAttribute, None, detail));
                }
                None => notes.add(Note::UnknownAttribute),
            }
        }
        self.rows.push(Row {
            record: index,
            id: id_start..id_start + id.len(),
            class: class.class,
            height: size.0,
            width: size.1,
            area: mask.area,
            spans: first..self.starts.len(),
            attributes: first_attribute..self.attributes.len(),
            notes,
        });
        Ok(())
    }
}

/// The fields beyond the header's when they are but the rest of an attribute list that lacked its quotes.
fn unquoted_tail<'a, 'b>(fields: &'b [&'a [u8]], header: &Header) -> Option<&'b [&'a [u8]]> {
    let last = header.width.checked_sub(1)?;
    let tail = fields.get(header.width..).filter(|tail| !tail.is_empty())?;
    let all = fields::is_attribute(fields[last]) && tail.iter().all(|field| fields::is_attribute(field));
    (header.fields[ATTRIBUTES] == Some(last) && all).then_some(tail)
}

/// Height and width; their product is within the limit.
fn size(fields: &[&[u8]], header: &Header, rules: &Rules, notes: &mut Notes) -> Result<(u32, u32), (Reason, String)> {
    let (high, wide) = (fields[header.field(HEIGHT)], fields[header.field(WIDTH)]);
    let shown = || format!("{} x {}", String::from_utf8_lossy(high).trim(), String::from_utf8_lossy(wide).trim());
    let (Some((height, float)), Some((width, other_float))) = (fields::side(high), fields::side(wide)) else {
        let detail = format!("Height x Width is {}, expected positive whole numbers", shown());
        return Err((Reason::BadSize, detail));
    };
    notes.add_if(float || other_float, Note::SizeFloat);
    let pixels = height.checked_mul(width).filter(|pixels| *pixels <= rules.max_pixels);
    match (pixels, u32::try_from(height), u32::try_from(width)) {
        (Some(_), Ok(height), Ok(width)) => Ok((height, width)),
        _ => Err((Reason::TooLarge, format!("Height x Width is {}, beyond {} pixels", shown(), rules.max_pixels))),
    }
}

impl Signs {
    /// Looks at how far apart neighbouring runs start, in an image whose sides tell.
    fn watch(&mut self, starts: &[u32], (height, width): (u32, u32)) {
        let slack = height.abs_diff(width) / 4;
        if slack == 0 {
            return;
        }
        for pair in starts.windows(2).take(32) {
            let apart = pair[1] - pair[0];
            self.down += u64::from(apart.abs_diff(height) <= slack);
            self.along += u64::from(apart.abs_diff(width) <= slack);
        }
    }
}
