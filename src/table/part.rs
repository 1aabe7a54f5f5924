//! Arrow batches in, the bytes of one Parquet part out. Must not know where the bytes go.

use super::Error;
use super::schema::{SCHEMA_KEY, Table};
use arrow::array::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};
use parquet::schema::types::ColumnPath;

/// Parts are cut at about this many bytes, so that one put carries a part and one read of it stays small.
pub const PART_BYTES: usize = 32 << 20;

/// How the numbers of a span column lie in a part.
#[derive(Clone, Copy)]
enum Form {
    /// Differences in as few bits as they need; not compressed further, since that saves 1 % and costs a tenth of the time.
    Delta,
    /// First all lowest bytes, then all second ones …, compressed.
    Split,
    /// As they are, compressed.
    Plain,
}

/// The columns that hold nearly all bytes, each in the form that measured best; a dictionary, the default, would be tried
/// for each of their values and then given up. In annotations spans follow the columns of the image, so that starts and
/// lengths change little from one to the next; in masks gaps and masks take turns.
const SPANS: [(&str, &str, Form); 4] = [
    ("annotations", "starts", Form::Delta),
    ("annotations", "lengths", Form::Delta),
    ("masks", "lengths", Form::Split),
    ("masks", "classes", Form::Plain),
];

/// One finished part.
#[derive(Debug, Clone)]
pub struct Part {
    /// The whole Parquet file.
    pub bytes: Bytes,
    /// Its rows.
    pub rows: u64,
}

/// Writes one part; the same batches and flushes give the same bytes.
pub struct PartWriter {
    inner: ArrowWriter<Vec<u8>>,
    rows: u64,
}

impl PartWriter {
    /// Begins a part of this table.
    pub fn new(table: &Table) -> Result<Self, Error> {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_created_by("selvedge".to_owned())
            .set_max_row_group_row_count(None)
            .set_key_value_metadata(Some(vec![KeyValue::new(SCHEMA_KEY.to_owned(), table.tag())]));
        for (name, column, form) in SPANS.into_iter().filter(|(name, ..)| *name == table.name) {
            debug_assert!(table.schema().field_with_name(column).is_ok(), "{name} has no {column}");
            let path = ColumnPath::from([column, "list", "item"].map(str::to_owned).to_vec());
            properties = properties
                .set_column_dictionary_enabled(path.clone(), false)
                .set_column_statistics_enabled(path.clone(), EnabledStatistics::None);
            properties = match form {
                Form::Delta => properties
                    .set_column_encoding(path.clone(), Encoding::DELTA_BINARY_PACKED)
                    .set_column_compression(path, Compression::UNCOMPRESSED),
                Form::Split => properties.set_column_encoding(path, Encoding::BYTE_STREAM_SPLIT),
                Form::Plain => properties.set_column_encoding(path, Encoding::PLAIN),
            };
        }
        let options = ArrowWriterOptions::new().with_properties(properties.build());
        let inner = ArrowWriter::try_new_with_options(Vec::new(), table.schema(), options)?;
        Ok(Self { inner, rows: 0 })
    }

    /// Appends rows to the open row group.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), Error> {
        self.rows += batch.num_rows() as u64;
        Ok(self.inner.write(batch)?)
    }

    /// Ends the open row group. Where they end is the caller's plan, never a matter of timing.
    pub fn end_row_group(&mut self) -> Result<(), Error> {
        Ok(self.inner.flush()?)
    }

    /// Bytes of the finished row groups.
    pub fn bytes_written(&self) -> usize {
        self.inner.bytes_written()
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Ends the part.
    pub fn finish(self) -> Result<Part, Error> {
        let bytes = self.inner.into_inner()?;
        Ok(Part { bytes: Bytes::from(bytes), rows: self.rows })
    }
}

/// All batches as one part: for small tables.
pub fn whole(table: &Table, batches: &[RecordBatch]) -> Result<Part, Error> {
    let mut writer = PartWriter::new(table)?;
    for batch in batches {
        writer.write(batch)?;
    }
    writer.finish()
}

/// An empty batch of a table, for writers that found nothing.
pub fn empty(table: &Table) -> RecordBatch {
    RecordBatch::new_empty(table.schema())
}
