//! What came of the rows, counted; and the verdicts on the files as a whole, which need all rows. Must not know how rows
//! are read.

use super::Settings;
use super::checks::Fate;
use super::judge::{Chunk, Rejected, Signs};
use super::notes::{Note, Notes};
use super::passes::{Batch, Seen};
use crate::event::{Event, Events, Level, note};
use crate::outcome::{Counts, Outcome, Reason};
use crate::stage::{Error, quarantine};
use crate::table::Manifest;
use std::collections::BTreeMap;

/// Rows told one by one as events; the table has all.
const TOLD: u64 = 20;
/// Pairs of neighbouring runs below which their distance proves nothing.
const ENOUGH: u64 = 64;
/// How far a class's share of all mask pixels may move against the version before without a word.
const DRIFT: f64 = 0.2;

/// Counts over all rows.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kept: u64,
    images: u64,
    duplicates: u64,
    empty: u64,
    notes: BTreeMap<&'static str, u64>,
    rejected: BTreeMap<Reason, u64>,
    area: BTreeMap<u16, u64>,
    pub(super) signs: Signs,
}

impl Tally {
    /// Counts the rows of a chunk.
    pub(super) fn add(&mut self, batch: &Batch, chunk: &Chunk, fates: &[Fate], last: &mut u32) {
        self.signs += chunk.signs;
        let mut count = |notes: Notes| {
            for note in notes.iter() {
                *self.notes.entry(note.code()).or_default() += 1;
            }
        };
        for (row, fate) in chunk.rows.iter().zip(fates) {
            match fate {
                Fate::Kept => {
                    self.kept += 1;
                    let image = batch.records[row.record].image;
                    self.images += u64::from(image != *last);
                    *last = image;
                    *self.area.entry(row.class).or_default() += row.area;
                    if !row.notes.is_empty() {
                        count(row.notes);
                    }
                }
                Fate::Duplicate => self.duplicates += 1,
                Fate::Empty => self.empty += 1,
                Fate::Rejected => {}
            }
        }
    }

    /// A rejected row as the quarantine holds it; the first ones are told.
    pub(super) fn reject(
        &mut self,
        batch: &Batch,
        rejected: Rejected,
        settings: &Settings,
        (events, stage): (&Events, &str),
    ) -> quarantine::Row {
        let told: u64 = self.rejected.values().sum();
        *self.rejected.entry(rejected.reason).or_default() += 1;
        let record = &batch.records[rejected.record];
        let line = &batch.data[record.start..record.start + record.length];
        let header = &batch.headers[record.file as usize];
        let id = super::fields::field(line, header.delimiter, header.field(super::header::IMAGE))
            .and_then(|field| super::fields::image_id(field).ok());
        let item = id.map_or_else(|| format!("row {}", record.row), |(id, _)| id.to_owned());
        let name = settings.csv[record.file as usize].name();
        let byte = record.offset + rejected.at.unwrap_or(0) as u64;
        let place = format!("{name}: row {}, line {}, byte {byte}", record.row, record.line);
        if told < TOLD {
            events.emit(Event::Item {
                stage: stage.to_owned(),
                item: item.clone(),
                outcome: Outcome::Quarantined,
                reason: Some(rejected.reason),
                detail: format!("{} ({place})", rejected.detail),
            });
        }
        quarantine::Row { item, reason: rejected.reason, detail: rejected.detail, place }
    }

    /// Tells what was not told one by one.
    pub(super) fn tell(&self, events: &Events) {
        let rejected: u64 = self.rejected.values().sum();
        if rejected > TOLD {
            let by: Vec<String> =
                self.rejected.iter().map(|(reason, count)| format!("{} {count}", reason.code())).collect();
            let text = format!("{rejected} rows quarantined ({}); the table quarantine has them all", by.join(", "));
            note(events, Level::Warn, text);
        }
        if !self.notes.is_empty() {
            let by: Vec<String> = self.notes.iter().map(|(code, count)| format!("{code} {count}")).collect();
            note(events, Level::Info, format!("rows with notes: {}", by.join(", ")));
        }
    }

    /// How the rows ended. Rows that repeat another one, or say that there is no mask, are no items.
    pub(super) fn counts(&self) -> Counts {
        Counts { ok: self.kept, quarantined: self.rejected.values().sum(), ..Counts::default() }
    }

    /// A line for people.
    pub(super) fn summary(&self, seen: &Seen) -> String {
        format!(
            "{} rows read, {} kept in {} images, {} quarantined, {} repeated, {} without a mask left out, {} blank lines",
            seen.rows,
            self.kept,
            self.images,
            self.counts().quarantined,
            self.duplicates,
            self.empty,
            seen.blank
        )
    }

    /// Figures for the manifest.
    pub(super) fn facts(&self, seen: &Seen, bytes: u64) -> BTreeMap<String, u64> {
        let mut facts = BTreeMap::from([
            ("bytes".to_owned(), bytes),
            ("rows_read".to_owned(), seen.rows),
            ("images".to_owned(), self.images),
            ("quarantined".to_owned(), self.counts().quarantined),
            ("duplicate_row".to_owned(), self.duplicates),
            ("empty_mask_dropped".to_owned(), self.empty),
            ("blank_line".to_owned(), seen.blank),
            ("clipped_px".to_owned(), self.signs.clipped),
        ]);
        facts.extend(
            Note::ALL.iter().filter_map(|note| Some((format!("note.{}", note.code()), *self.notes.get(note.code())?))),
        );
        facts.extend(seen.repairs.iter().map(|(code, files)| (format!("header.{code}"), *files)));
        facts.extend(self.rejected.iter().map(|(reason, count)| (format!("quarantined.{}", reason.code()), *count)));
        facts.extend(self.area.iter().map(|(class, area)| (area_fact(*class), *area)));
        facts
    }

    /// The verdicts that block every output.
    pub(super) fn verdict(&self, seen: &Seen, settings: &Settings) -> Result<(), Error> {
        let files: Vec<String> = settings.csv.iter().map(super::Source::url).collect();
        let files = files.join(", ");
        if seen.rows == 0 && !settings.allow_empty {
            return Err(Error::Blocked(format!(
                "{files}: 0 rows; at least 1 expected (--allow-empty takes it as it is)"
            )));
        }
        if let Some(pairs) = seen.images.collisions() {
            return Err(Error::Blocked(format!(
                "{files}: image ids that differ only by case or Unicode form would overwrite each other on some stores: {pairs}; rename one of each"
            )));
        }
        let Signs { masks, zero_starts, down, along, .. } = self.signs;
        if masks > 0 && zero_starts == masks {
            return Err(Error::Blocked(format!(
                "{files}: every mask has a run that starts at 0, so pixels seem to be counted from 0; give --rle-base 0"
            )));
        }
        if along >= ENOUGH && along > 4 * down {
            return Err(Error::Blocked(format!(
                "{files}: rle_orientation: {along} of the neighbouring runs looked at start a width apart and {down} a height apart, so the masks seem to be written along the lines; they must run down the columns: transpose them first"
            )));
        }
        Ok(())
    }

    /// Tells which classes' share of all mask pixels moved since the version before: what no row shows by itself.
    pub(super) fn drift(&self, before: &Manifest, events: &Events) {
        let share = |area: u64, total: u64| area as f64 / total.max(1) as f64;
        let old_area = |class: u16| before.facts.get(&area_fact(class)).copied().unwrap_or(0);
        let classes: Vec<u16> =
            (0..=255).filter(|class| old_area(*class) > 0 || self.area.contains_key(class)).collect();
        let old_total: u64 = classes.iter().map(|class| old_area(*class)).sum();
        let new_total: u64 = self.area.values().sum();
        for class in classes {
            let (old, new) =
                (share(old_area(class), old_total), share(self.area.get(&class).copied().unwrap_or(0), new_total));
            if old_total > 0 && (new - old).abs() > DRIFT * old.max(new) {
                let text = format!(
                    "class {class}: {:.3} % of all mask pixels, {:.3} % in version {}; if that is not meant, compare the files",
                    new * 100.0,
                    old * 100.0,
                    before.version
                );
                note(events, Level::Warn, text);
            }
        }
    }
}

fn area_fact(class: u16) -> String {
    format!("area_px.{class:02}")
}
