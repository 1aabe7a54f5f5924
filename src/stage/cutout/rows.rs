//! What became of each photo, as rows of the tables `attempts` and `ledger`. Must not know how a cutout is made.

use crate::outcome::{Outcome, Reason};
use crate::table::{self, schema};
use arrow::array::{
    ArrayRef, Float32Array, Float32Builder, ListBuilder, RecordBatch, StringBuilder, UInt32Array, UInt32Builder,
    UInt64Builder,
};
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

/// Milliseconds of wall time that an item spent in each station.
#[derive(Clone, Copy, Debug, Default)]
pub struct Phases {
    /// Reading the source.
    pub fetch: f32,
    /// Decoding, resizing and normalising.
    pub decode: f32,
    /// The network.
    pub predict: f32,
    /// Matte, colour and encoding.
    pub encode: f32,
    /// Writing the outputs.
    pub put: f32,
}

/// Figures that say how far a cutout can be trusted; all shares 0–1.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Mean alpha.
    pub coverage: f32,
    /// Share of pixels neither clear nor opaque.
    pub soft_share: f32,
    /// Share of the border's pixels with alpha ≥ 128.
    pub border_contact: f32,
    /// Mean of |2p − 1| over the network's map.
    pub confidence: f32,
    /// Pieces of the subject that are no specks.
    pub components: u32,
    /// Clear areas within the subject that are no specks.
    pub holes: u32,
    /// How steep the edge is: 1 changes from clear to opaque at once.
    pub sharpness: f32,
}

/// One attempt at one photo.
#[derive(Clone, Debug)]
pub struct ItemResult {
    /// The item's key: its name below the input.
    pub key: String,
    /// The source's version.
    pub etag: String,
    /// The source's bytes.
    pub size: u64,
    /// What became of it.
    pub outcome: Outcome,
    /// Why, unless it is fine.
    pub reason: Option<Reason>,
    /// The cause in words.
    pub detail: String,
    /// Keys written, below the output folder.
    pub outputs: Vec<String>,
    /// Bytes written.
    pub output_bytes: u64,
    /// BLAKE3 of what was written; empty when nothing was.
    pub output_digest: String,
    /// The source's format as sniffed; empty when unknown.
    pub format: String,
    /// Upright width in pixels; 0 when unknown.
    pub width: u32,
    /// Upright height in pixels; 0 when unknown.
    pub height: u32,
    /// Codes of what was noted on the way.
    pub notes: Vec<String>,
    /// The figures; absent where no cutout was made.
    pub figures: Option<Figures>,
    /// The worst figure against its bound: above 1 a person looks.
    pub doubt: f32,
    /// Rules that products break.
    pub violations: Vec<String>,
    /// Where the time went.
    pub phases: Phases,
}

impl ItemResult {
    /// An attempt that has not ended yet.
    pub fn begin(key: &str, etag: &str, size: u64) -> Self {
        Self {
            key: key.to_owned(),
            etag: etag.to_owned(),
            size,
            outcome: Outcome::Failed,
            reason: None,
            detail: String::new(),
            outputs: Vec::new(),
            output_bytes: 0,
            output_digest: String::new(),
            format: String::new(),
            width: 0,
            height: 0,
            notes: Vec::new(),
            figures: None,
            doubt: 0.0,
            violations: Vec::new(),
            phases: Phases::default(),
        }
    }

    /// The same attempt, ended this way.
    pub fn ended(mut self, outcome: Outcome, reason: Reason, detail: impl Into<String>) -> Self {
        self.outcome = outcome;
        self.reason = Some(reason);
        self.detail = detail.into();
        self
    }
}

/// What all rows of one shard's attempt share.
pub struct Attempt<'a> {
    /// The run.
    pub run: &'a str,
    /// Digest of model, options and code version.
    pub fingerprint: &'a str,
    /// The shard.
    pub shard: u32,
    /// This host.
    pub host: &'a str,
    /// The attempt's token.
    pub attempt: &'a str,
}

/// The rows of a shard for the table `attempts`, in the order given.
pub fn batch(attempt: &Attempt<'_>, results: &[ItemResult]) -> Result<RecordBatch, table::Error> {
    let schema = schema::ATTEMPTS.schema();
    let mut columns: Vec<ArrayRef> = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        columns.push(column(field, attempt, results)?);
    }
    Ok(RecordBatch::try_new(schema, columns)?)
}

fn column(field: &Field, attempt: &Attempt<'_>, results: &[ItemResult]) -> Result<ArrayRef, table::Error> {
    let same = |value: &str| texts(results, |_| value.to_owned());
    Ok(match field.name().as_str() {
        "key" => texts(results, |row| row.key.clone()),
        "etag" => texts(results, |row| row.etag.clone()),
        "size" => counts(results, |row| row.size),
        "fingerprint" => same(attempt.fingerprint),
        "outcome" => texts(results, |row| row.outcome.word().to_owned()),
        "reason" => {
            let mut builder = StringBuilder::new();
            results.iter().for_each(|row| builder.append_option(row.reason.map(Reason::code)));
            Arc::new(builder.finish())
        }
        "detail" => texts(results, |row| row.detail.clone()),
        "outputs" => lists(results, |row| &row.outputs),
        "output_bytes" => counts(results, |row| row.output_bytes),
        "output_digest" => texts(results, |row| row.output_digest.clone()),
        "format" => texts(results, |row| row.format.clone()),
        "width" => numbers(results, |row| row.width),
        "height" => numbers(results, |row| row.height),
        "notes" => lists(results, |row| &row.notes),
        "coverage" => floats(results, |row| row.figures.map_or(0.0, |figures| figures.coverage)),
        "soft_share" => floats(results, |row| row.figures.map_or(0.0, |figures| figures.soft_share)),
        "border_contact" => floats(results, |row| row.figures.map_or(0.0, |figures| figures.border_contact)),
        "confidence" => floats(results, |row| row.figures.map_or(0.0, |figures| figures.confidence)),
        "components" => Arc::new(UInt32Array::from_iter(results.iter().map(|row| Some(row.figures?.components)))),
        "holes" => Arc::new(UInt32Array::from_iter(results.iter().map(|row| Some(row.figures?.holes)))),
        "sharpness" => Arc::new(Float32Array::from_iter(results.iter().map(|row| Some(row.figures?.sharpness)))),
        "doubt" => Arc::new(Float32Array::from_iter(results.iter().map(|row| row.figures.map(|_| row.doubt)))),
        "violations" => lists(results, |row| &row.violations),
        "run" => same(attempt.run),
        "shard" => numbers(results, |_| attempt.shard),
        "host" => same(attempt.host),
        "attempt" => same(attempt.attempt),
        "fetch_ms" => floats(results, |row| row.phases.fetch),
        "decode_ms" => floats(results, |row| row.phases.decode),
        "predict_ms" => floats(results, |row| row.phases.predict),
        "encode_ms" => floats(results, |row| row.phases.encode),
        "put_ms" => floats(results, |row| row.phases.put),
        other => {
            let detail = "declared, but this stage does not fill it".to_owned();
            return Err(table::Error::Column { table: "attempts".to_owned(), column: other.to_owned(), detail });
        }
    })
}

fn texts(results: &[ItemResult], value: impl Fn(&ItemResult) -> String) -> ArrayRef {
    let mut builder = StringBuilder::new();
    results.iter().for_each(|row| builder.append_value(value(row)));
    Arc::new(builder.finish())
}

fn counts(results: &[ItemResult], value: impl Fn(&ItemResult) -> u64) -> ArrayRef {
    let mut builder = UInt64Builder::with_capacity(results.len());
    results.iter().for_each(|row| builder.append_value(value(row)));
    Arc::new(builder.finish())
}

fn numbers(results: &[ItemResult], value: impl Fn(&ItemResult) -> u32) -> ArrayRef {
    let mut builder = UInt32Builder::with_capacity(results.len());
    results.iter().for_each(|row| builder.append_value(value(row)));
    Arc::new(builder.finish())
}

fn floats(results: &[ItemResult], value: impl Fn(&ItemResult) -> f32) -> ArrayRef {
    let mut builder = Float32Builder::with_capacity(results.len());
    results.iter().for_each(|row| builder.append_value(value(row)));
    Arc::new(builder.finish())
}

fn lists(results: &[ItemResult], value: impl Fn(&ItemResult) -> &Vec<String>) -> ArrayRef {
    let mut builder = ListBuilder::new(StringBuilder::new()).with_field(Field::new("item", DataType::Utf8, false));
    for row in results {
        value(row).iter().for_each(|text| builder.values().append_value(text));
        builder.append(true);
    }
    Arc::new(builder.finish())
}
