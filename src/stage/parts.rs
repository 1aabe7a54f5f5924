//! A stream of batches to the parts of one version: where row groups and parts end is decided by the rows alone, never by
//! timing. Must not know what the rows mean.

use super::tables::{Place, Publication};
use super::{Context, Error};
use crate::table::part::PART_BYTES;
use crate::table::{PartEntry, PartWriter};
use arrow::array::RecordBatch;

/// A row group ends once its rows weigh this many bytes in memory: what a reader must hold at once.
const GROUP_BYTES: usize = 16 << 20;

/// Writes the parts of one version as batches come.
pub(super) struct Parts<'a> {
    context: &'a Context,
    place: Place<'a>,
    publication: Publication<'a>,
    stage: String,
    writer: Option<PartWriter>,
    weight: usize,
}

impl<'a> Parts<'a> {
    /// Begins a version. `stage` marks the parts, in tables that several stages share; empty elsewhere.
    pub(super) fn begin(context: &'a Context, place: impl Into<Place<'a>>, stage: &str) -> Self {
        let place = place.into();
        let publication = Publication::begin(context, place);
        Self { context, place, publication, stage: stage.to_owned(), writer: None, weight: 0 }
    }

    /// Appends rows that weigh `weight` bytes.
    pub(super) fn write(&mut self, batch: &RecordBatch, weight: usize) -> Result<(), Error> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(PartWriter::new(self.place.table)?),
        };
        writer.write(batch)?;
        self.weight += weight;
        if self.weight >= GROUP_BYTES {
            self.weight = 0;
            writer.end_row_group()?;
            if writer.bytes_written() >= PART_BYTES {
                self.store()?;
            }
        }
        Ok(())
    }

    fn store(&mut self) -> Result<(), Error> {
        if let Some(writer) = self.writer.take() {
            self.weight = 0;
            self.publication.put(writer.finish()?)?.stage.clone_from(&self.stage);
        }
        Ok(())
    }

    /// Ends the last part; `empty` says whether a part is wanted even when there is no row.
    pub(super) fn finish(mut self, empty: bool) -> Result<Publication<'a>, Error> {
        if empty && self.writer.is_none() && self.publication.parts().is_empty() {
            self.writer = Some(PartWriter::new(self.place.table)?);
        }
        self.store()?;
        Ok(self.publication)
    }

    /// Gives up: what was stored is deleted as far as that is possible (`gc` finds the rest).
    pub(super) fn abandon(self) {
        let store = self.context.tables.store();
        for PartEntry { file, .. } in self.publication.parts() {
            let _ = store.wait(store.delete(&format!("{}/{file}", self.place.folder)));
        }
    }
}
