//! A text to records: where each row lies, which line and byte it stands at, and what is wrong with it as a line. Holds one
//! buffer, which the caller takes or forgets; bounded by bytes, never by rows. Must not know what the fields mean beyond
//! the id, by which it finds its way back after a broken line.

use super::fields;
use super::header::{Header, IMAGE};
use crate::outcome::Reason;
use std::io::{self, Read};

/// Bytes read at a time.
const CHUNK: u64 = 1 << 20;
/// Bytes kept of a line beyond the limit: enough for the id before it.
const KEPT: usize = 4096;

/// One row of a file, as a place in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    /// Which file, counted from 0.
    pub(super) file: u16,
    /// Row counted from 1, on through all files.
    pub(super) row: u64,
    /// Line in its file; the header is line 1.
    pub(super) line: u64,
    /// Byte in its (unpacked) file.
    pub(super) offset: u64,
    /// Byte in the buffer.
    pub(super) start: usize,
    /// Bytes, without the line's end.
    pub(super) length: usize,
    /// The image by order of appearance; [`super::images::NONE`] without a valid id.
    pub(super) image: u32,
    /// What is wrong with the line as such.
    pub(super) flaw: Option<Reason>,
    /// The file ends within or after this line, without a line's end.
    pub(super) unterminated: bool,
}

/// The records of one file.
pub(super) struct Records<'a> {
    input: &'a mut dyn Read,
    header: Header,
    file: u16,
    longest: usize,
    data: Vec<u8>,
    /// Where the next line begins in `data`, and up to where its end was looked for.
    next: usize,
    scanned: usize,
    /// Byte of the file that `data` begins with.
    offset: u64,
    line: u64,
    row: u64,
    ended: bool,
    blank: u64,
    broken: Broken,
}

/// Where a quote that is never closed leaves us.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Broken {
    No,
    /// The line before opened it: the next one is what other readers swallow.
    Swallowed,
    /// Until a line begins with an id again.
    Searching,
}

/// One line as found.
struct Line {
    start: usize,
    length: usize,
    offset: u64,
    terminated: bool,
    too_long: bool,
}

impl<'a> Records<'a> {
    /// Begins after nothing: the first line is the header, for `bind` to judge. `longest`: bytes of a line that may be kept.
    /// `row`: rows of the files before.
    pub(super) fn open<E>(
        input: &'a mut dyn Read,
        (file, row): (u16, u64),
        longest: usize,
        failed: impl Fn(&io::Error) -> E,
        bind: impl FnOnce(&[u8]) -> Result<Header, E>,
    ) -> Result<Self, E> {
        let header = Header { fields: [None; 6], width: 0, delimiter: b',', notes: Vec::new() };
        let mut records = Records {
            input,
            header,
            file,
            longest: longest.max(KEPT),
            data: Vec::new(),
            next: 0,
            scanned: 0,
            offset: 0,
            line: 0,
            row,
            ended: false,
            blank: 0,
            broken: Broken::No,
        };
        let line = records.line().map_err(|error| failed(&error))?;
        let (start, length) = line.map_or((0, 0), |line| (line.start, line.length));
        records.header = bind(&records.data[start..start + length])?;
        Ok(records)
    }

    /// Where the columns are.
    pub(super) fn header(&self) -> &Header {
        &self.header
    }

    /// The next record that is not blank; its image is not set yet.
    pub(super) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(line) = self.line()? else { return Ok(None) };
            let text = &self.data[line.start..line.start + line.length];
            if text.trim_ascii().is_empty() {
                self.blank += 1;
                continue;
            }
            self.row += 1;
            let flaw = if line.too_long { Some(Reason::FieldTooLong) } else { self.quotes(line.start, line.length) };
            return Ok(Some(Record {
                file: self.file,
                row: self.row,
                line: self.line,
                offset: line.offset,
                start: line.start,
                length: line.length,
                image: super::images::NONE,
                flaw,
                unterminated: !line.terminated,
            }));
        }
    }

    /// A line with a quote too many opens a field that nobody closes: it is bad, so is the line that the field runs on into,
    /// and so is all that follows until a line begins with a valid id.
    fn quotes(&mut self, start: usize, length: usize) -> Option<Reason> {
        let text = &self.data[start..start + length];
        let odd = memchr::memchr_iter(b'"', text).count() % 2 == 1;
        let flaw = Some(Reason::UnbalancedQuote);
        match self.broken {
            Broken::Swallowed => {
                self.broken = Broken::Searching;
                flaw
            }
            Broken::Searching if odd || !self.begins_a_row(text) => flaw,
            Broken::Searching | Broken::No => {
                self.broken = if odd { Broken::Swallowed } else { Broken::No };
                flaw.filter(|_| odd)
            }
        }
    }

    fn begins_a_row(&self, text: &[u8]) -> bool {
        let id = fields::field(text, self.header.delimiter, self.header.field(IMAGE));
        let whole = fields::split(text, self.header.delimiter).is_some_and(|fields| fields.len() >= self.header.width);
        whole && id.is_some_and(|id| fields::image_id(id).is_ok())
    }

    /// Bytes of the buffer up to the next line.
    pub(super) fn consumed(&self) -> usize {
        self.next
    }

    /// The buffer, in which the records since the last `take` lie.
    pub(super) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Takes the buffer up to a byte, which becomes the first of a new one.
    pub(super) fn take(&mut self, upto: usize) -> Vec<u8> {
        let mut rest = Vec::with_capacity(self.data.capacity().min((self.data.len() - upto) + 2 * CHUNK as usize));
        rest.extend_from_slice(&self.data[upto..]);
        self.next -= upto;
        self.scanned -= upto;
        self.offset += upto as u64;
        let mut taken = std::mem::replace(&mut self.data, rest);
        taken.truncate(upto);
        taken
    }

    /// Forgets all records so far.
    pub(super) fn forget(&mut self) {
        let upto = self.next;
        self.data.drain(..upto);
        self.next = 0;
        self.scanned -= upto;
        self.offset += upto as u64;
    }

    /// Rows up to here, those of the files before included, and blank lines.
    pub(super) fn counts(&self) -> (u64, u64) {
        (self.row, self.blank)
    }

    /// The next line, read as needed.
    fn line(&mut self) -> io::Result<Option<Line>> {
        let start = self.next;
        let offset = self.offset + start as u64;
        let mut too_long = false;
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.data[self.scanned..]) {
                let end = self.scanned + at;
                too_long |= end - start > self.longest;
                self.next = end + 1;
                self.scanned = self.next;
                return Ok(Some(self.found(start, end, offset, true, too_long)));
            }
            self.scanned = self.data.len();
            let kept = start + KEPT;
            if too_long && self.data.len() > kept || self.scanned - start > self.longest {
                // Only the beginning is kept; the rest goes by. The offset goes on counting what went by.
                too_long = true;
                self.offset += (self.data.len() - kept) as u64;
                self.data.truncate(kept);
                self.scanned = kept;
            }
            if self.ended || self.read()? == 0 {
                self.ended = true;
                if start == self.data.len() {
                    return Ok(None);
                }
                self.next = self.data.len();
                self.scanned = self.next;
                return Ok(Some(self.found(start, self.next, offset, false, too_long)));
            }
        }
    }

    fn found(&mut self, start: usize, end: usize, offset: u64, terminated: bool, too_long: bool) -> Line {
        self.line += 1;
        let end = if end > start && self.data[end - 1] == b'\r' { end - 1 } else { end };
        let length = if too_long { (end - start).min(KEPT) } else { end - start };
        Line { start, length, offset, terminated, too_long }
    }

    fn read(&mut self) -> io::Result<usize> {
        self.input.take(CHUNK).read_to_end(&mut self.data)
    }
}
