//! Every schema there is, with units: the one place that says what a column holds. Must not know who fills it.

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

/// The key in Parquet footers that names the schema, as `masks/1.0`.
pub const SCHEMA_KEY: &str = "selvedge.schema";

/// One kind of table. A reader takes any minor version of its major one.
#[derive(Debug)]
pub struct Table {
    /// The name, also the folder in the store.
    pub name: &'static str,
    /// Raised when a reader of the old form would misread the new one.
    pub major: u32,
    /// Raised when a column is added.
    pub minor: u32,
    columns: fn() -> Vec<Field>,
}

impl Table {
    /// The columns as Arrow sees them.
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new((self.columns)()))
    }

    /// `name/major.minor`, as footers and manifests say it.
    pub fn tag(&self) -> String {
        format!("{}/{}.{}", self.name, self.major, self.minor)
    }
}

/// Every table there is.
pub static ALL: [&Table; 15] = [
    &ANNOTATIONS,
    &QUARANTINE,
    &MASKS,
    &SPLITS,
    &IMAGES,
    &SHAPES,
    &OVERLAPS,
    &POLICIES,
    &GRIDS,
    &STATS,
    &HISTORY,
    &CONFUSION,
    &LEDGER,
    &ATTEMPTS,
    &ITEMS,
];

/// One CSV row that passed.
pub static ANNOTATIONS: Table = Table { name: "annotations", major: 1, minor: 0, columns: annotations };
/// One item that did not pass.
pub static QUARANTINE: Table = Table { name: "quarantine", major: 1, minor: 0, columns: quarantine };
/// One image with at least one valid row: its masks merged.
pub static MASKS: Table = Table { name: "masks", major: 1, minor: 0, columns: masks };
/// One image, and the part of the data it belongs to.
pub static SPLITS: Table = Table { name: "splits", major: 1, minor: 0, columns: splits };
/// One photo that was decoded, and what came of it.
pub static IMAGES: Table = Table { name: "images", major: 1, minor: 1, columns: images };
/// One row of annotations: where its mask lies. Made from annotations, for statistics, as are the next three.
pub static SHAPES: Table = Table { name: "shapes", major: 1, minor: 0, columns: shapes };
/// One ordered pair of classes that occur in one image, also a class with itself.
pub static OVERLAPS: Table = Table { name: "overlaps", major: 1, minor: 0, columns: overlaps };
/// What one class keeps of its pixels under one policy of the merge.
pub static POLICIES: Table = Table { name: "policies", major: 1, minor: 0, columns: policies };
/// One cell of a grid laid over every image, and how much of it a class covers.
pub static GRIDS: Table = Table { name: "grids", major: 1, minor: 0, columns: grids };
/// One figure that a report keeps, for those who compare with it later.
pub static STATS: Table = Table { name: "stats", major: 1, minor: 0, columns: stats };
/// One step of a training, or the end of an epoch.
pub static HISTORY: Table = Table { name: "history", major: 1, minor: 0, columns: history };
/// One pair of a labelled and a predicted class that occurs, of one evaluated model.
pub static CONFUSION: Table = Table { name: "confusion", major: 1, minor: 0, columns: confusion };
/// Exactly one current row per input key, sorted by key.
pub static LEDGER: Table = Table { name: "ledger", major: 1, minor: 1, columns: ledger };
/// One attempt at one item; appended by each run and never read to plan.
pub static ATTEMPTS: Table = Table { name: "attempts", major: 1, minor: 1, columns: attempts };
/// One item that a run is to do: the frozen plan of a stage.
pub static ITEMS: Table = Table { name: "items", major: 1, minor: 0, columns: items };

fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

fn optional_text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

/// A column of a later minor version: rows of an earlier one have none.
fn since(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, true)
}

fn number(name: &str, kind: DataType) -> Field {
    Field::new(name, kind, false)
}

fn list(name: &str, kind: DataType) -> Field {
    Field::new(name, DataType::List(Arc::new(Field::new("item", kind, false))), false)
}

fn annotations() -> Vec<Field> {
    vec![
        text("image_id"),
        number("class_id", DataType::UInt8),
        list("attribute_ids", DataType::UInt16),
        number("height", DataType::UInt32),  // pixels
        number("width", DataType::UInt32),   // pixels
        list("starts", DataType::UInt32), // first pixel of each span, 0-based, column-major: x = start / height, y = start % height
        list("lengths", DataType::UInt32), // pixels of each span, ≥ 1; spans ascend, are disjoint and do not touch
        number("area_px", DataType::UInt64), // 0, and no spans, where a row stands for an image without masks (note empty_mask)
        number("row", DataType::UInt64), // data row in the file, the first after the header is 1; counted on through several files
        list("notes", DataType::Utf8),   // codes of what was repaired
    ]
}

fn quarantine() -> Vec<Field> {
    vec![
        text("stage"),
        text("item"),
        text("reason"),
        text("detail"),
        text("where"), // file, line, byte, or URL: where to look
        number("first_seen", DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, Some("UTC".into()))),
    ]
}

fn masks() -> Vec<Field> {
    vec![
        text("image_id"),
        number("height", DataType::UInt32),
        number("width", DataType::UInt32),
        list("classes", DataType::UInt8), // of each span: 0 background, class_id + 1, 255 void; neighbours differ
        list("lengths", DataType::UInt32), // pixels of each span, column-major; they add up to height × width
        text("policy"),
        list("class_ids", DataType::UInt8), // the values that occur in `classes`, ascending
        list("class_pixels", DataType::UInt64), // pixels of each of `class_ids` after the merge
        list("class_annotated", DataType::UInt64), // pixels of each of `class_ids` as annotated, before the merge (0 for background)
        number("conflicted_share", DataType::Float32), // share of the image's pixels claimed by more than one class, 0–1
        number("rows", DataType::UInt32),              // annotation rows merged
    ]
}

fn splits() -> Vec<Field> {
    vec![text("image_id"), text("split"), text("group")]
}

fn images() -> Vec<Field> {
    vec![
        text("key"), // below the folder of the photos
        text("etag"),
        number("size", DataType::UInt64),   // bytes
        number("height", DataType::UInt32), // pixels as stored; 0 where it could not be decoded
        number("width", DataType::UInt32),
        text("format"), // as sniffed; empty where unknown
        optional_text("reason"),
        text("detail"),
        // 1.1, all of them; but for `content` they are of a decoded photo only, and of its pixels as stored.
        since("orientation", DataType::UInt8),      // EXIF, 1–8
        since("profile", DataType::Utf8),           // description of the embedded colour profile
        since("colour", DataType::Utf8),            // how the file holds it: grey, rgb, cmyk …
        since("bits", DataType::UInt8),             // of a channel, 1–32
        since("jpeg_quality", DataType::UInt8),     // 1–100, by the quantisation table
        since("content", DataType::Utf8),           // BLAKE3 of the file, 64 hexadecimal digits
        since("brightness", DataType::Float32),     // mean luma, 0–1
        since("contrast", DataType::Float32),       // standard deviation of luma, 0–0.5
        since("sharpness", DataType::Float32), // variance of the Laplacian of luma in levels (0–255), longer side 512 at most
        since("entropy", DataType::Float32),   // of the histogram of luma, 0–8 bits
        since("saturation", DataType::Float32), // mean of strongest less weakest channel, 0–1
        since("backdrop_share", DataType::Float32), // share of the border's pixels near `backdrop`, 0–1
        since("backdrop", DataType::Utf8),     // commonest colour of the border, #rrggbb sRGB
        since("look", DataType::Utf8), // 112 hexadecimal digits: 64 bits of perceptual hash, then R G B of a 4 × 4 grid
    ]
}

fn shapes() -> Vec<Field> {
    vec![
        number("row", DataType::UInt64),   // of annotations; ascending
        number("spans", DataType::UInt32), // how many spans the mask has
        number("left", DataType::UInt32),  // the box around it, in pixels; right and bottom lie just outside
        number("top", DataType::UInt32),
        number("right", DataType::UInt32),
        number("bottom", DataType::UInt32),
    ]
}

fn overlaps() -> Vec<Field> {
    vec![
        number("class_a", DataType::UInt8),
        number("class_b", DataType::UInt8),
        number("images", DataType::UInt64),      // that show both
        number("overlapping", DataType::UInt64), // of these, in which they share pixels
        number("pixels", DataType::UInt64),      // claimed by both; of a class with itself, by several of its masks
        number("hidden", DataType::UInt64),      // pixels of a on which b lies on top, under the policy of the masks
    ]
}

fn policies() -> Vec<Field> {
    vec![
        text("policy"),
        number("class_id", DataType::UInt8),
        number("annotated", DataType::UInt64), // pixels before the merge, masks of one image added up
        number("visible", DataType::UInt64),   // pixels after it
    ]
}

fn grids() -> Vec<Field> {
    vec![
        number("class_id", DataType::UInt8),
        number("y", DataType::UInt8),       // row of the cell from the top, 0–31
        number("x", DataType::UInt8),       // column of the cell from the left, 0–31
        number("share", DataType::Float64), // of the cell that masks of the class cover, mean over the images that show it
    ]
}

fn stats() -> Vec<Field> {
    vec![
        text("snapshot"), // when the figures were taken, RFC 3339, UTC
        text("data"),     // digest of the tables they were taken from
        text("figure"),   // such as class_share
        text("item"),     // such as the class; empty where the figure has one value
        number("value", DataType::Float64),
    ]
}

fn history() -> Vec<Field> {
    let share = |name: &str| Field::new(name, DataType::Float32, true);
    vec![
        number("step", DataType::UInt64),   // steps of the optimiser that are done, from 1
        number("epoch", DataType::Float64), // epochs that are done, with their fraction
        text("part"),                       // `train` for a step, `val` for a validation
        share("loss"),                      // mean over the pixels of the step's batch; of all heads together
        share("learning_rate"),
        share("pixel_accuracy"),                   // 0–1: of the batch, or of the validation
        share("mean_iou"),                         // 0–1: of the batch, or of the validation
        share("foreground_iou"),                   // 0–1, validation only
        number("seconds", DataType::Float32),      // wall time of the step or validation
        number("wait_seconds", DataType::Float32), // of which waited for data
    ]
}

fn confusion() -> Vec<Field> {
    vec![
        text("model"),                         // the evaluation's name, not the network's
        text("split"),                         // whose images were looked at
        number("label", DataType::UInt8),      // value in the class map: 0 background, class id + 1
        number("prediction", DataType::UInt8), // likewise
        number("pixels", DataType::UInt64),    // of all images together, at the photos' own sizes; at least 1
    ]
}

/// What the ledger and the attempts both say of an item.
fn item_result() -> Vec<Field> {
    vec![
        text("key"),
        text("etag"),
        number("size", DataType::UInt64), // bytes of the source
        text("fingerprint"),              // of model, options and code version
        text("outcome"),
        optional_text("reason"),
        text("detail"),
        list("outputs", DataType::Utf8), // keys below the stage's output folder
        number("output_bytes", DataType::UInt64),
        text("output_digest"), // BLAKE3 of the outputs one after the other; empty where there are none
        text("format"),        // of the source, as sniffed; empty when unknown
        number("width", DataType::UInt32), // upright pixels; 0 when unknown
        number("height", DataType::UInt32), // upright pixels; 0 when unknown
        list("notes", DataType::Utf8),
        number("coverage", DataType::Float32),       // mean alpha, 0–1
        number("soft_share", DataType::Float32),     // share of pixels with 0 < alpha < 255
        number("border_contact", DataType::Float32), // share of border pixels with alpha ≥ 128
        number("confidence", DataType::Float32),     // mean of |2p − 1| over the map of the network, 0–1
        since("components", DataType::UInt32),       // 1.1: pieces of the subject that are no specks
        since("holes", DataType::UInt32),            // 1.1: clear areas within it that are no specks
        since("sharpness", DataType::Float32),       // 1.1: of the edge, 0–1: 1 changes from clear to opaque at once
        since("doubt", DataType::Float32),           // 1.1: the worst figure against its bound; above 1 a person looks
        since("violations", DataType::List(Arc::new(Field::new("item", DataType::Utf8, false)))), // 1.1: rules of products
        text("run"),
    ]
}

fn ledger() -> Vec<Field> {
    item_result()
}

fn attempts() -> Vec<Field> {
    let milliseconds = |name: &str| number(name, DataType::Float32);
    let mut columns = item_result();
    columns.extend([
        number("shard", DataType::UInt32),
        text("host"),
        text("attempt"),
        milliseconds("fetch_ms"),
        milliseconds("decode_ms"),
        milliseconds("predict_ms"),
        milliseconds("encode_ms"),
        milliseconds("put_ms"),
    ]);
    columns
}

fn items() -> Vec<Field> {
    vec![
        text("key"),
        text("etag"),
        number("size", DataType::UInt64),
        number("root", DataType::UInt32), // which of the stage's inputs, in the order given
        text("why"),                      // new, or what changed
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn no_table_says_a_column_twice() {
        for table in super::ALL {
            let schema = table.schema();
            let mut names: Vec<_> = schema.fields().iter().map(|field| field.name().clone()).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), schema.fields().len(), "{}", table.name);
        }
    }
}
