//! The tables that a question may name, with their columns, and frames of them from rows written as JSON.
//! Must not know any question.

use arrow::array::{
    Array, ArrayRef, Float32Array, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, UInt8Array,
    UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{Field, Schema};
use polars::prelude::DataFrame;
use selvedge::table::frame;
use selvedge::table::labels::{ATTRIBUTES, CLASSES};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Rows of each table, each an array in the order of the table's columns.
pub type Rows = BTreeMap<String, Vec<Value>>;

/// Each table: its name and `column type` pairs. Every column may hold nulls, lists may not.
pub const TABLES: [(&str, &str); 18] = [
    (
        "annotations",
        "image_id text, class_id u8, attribute_ids u16s, height u32, width u32, area_px u64, row u64, notes texts, \
         spans u32, left u32, top u32, right u32, bottom u32",
    ),
    (
        "masks",
        "image_id text, height u32, width u32, policy text, class_ids u8s, class_pixels u64s, class_annotated u64s, \
         conflicted_share f32, rows u32",
    ),
    ("quarantine", "stage text, item text, reason text, detail text, where text, first_seen text"),
    ("splits", "image_id text, split text, group text"),
    ("labels", "class_id u8, value u8, name text, supercategory text, kind text, public_masks u32"),
    ("attributes", "attribute_id u16, name text, supercategory text"),
    (
        "images",
        "key text, image_id text, etag text, size u64, height u32, width u32, format text, reason text, detail text, \
         orientation u8, profile text, colour text, bits u8, jpeg_quality u8, content text, brightness f32, \
         contrast f32, sharpness f32, entropy f32, saturation f32, backdrop_share f32, backdrop text, group text, \
         alike text",
    ),
    ("duplicates", "key text, image_id text, of text, of_image_id text, kind text, bits u32, colour f32"),
    ("changes", "image_id text, change text, rows_now u32, rows_before u32"),
    ("overlaps", "class_a u8, class_b u8, images u64, overlapping u64, pixels u64, hidden u64"),
    ("policies", "policy text, class_id u8, annotated u64, visible u64"),
    ("grids", "class_id u8, y u8, x u8, share f64"),
    (
        "ledger",
        "pipeline text, stage text, key text, size u64, outcome text, reason text, detail text, output_bytes u64, \
         format text, width u32, height u32, notes texts, coverage f32, soft_share f32, border_contact f32, \
         confidence f32, components u32, holes u32, sharpness f32, doubt f32, violations texts, run text",
    ),
    (
        "attempts",
        "pipeline text, stage text, run text, key text, outcome text, reason text, size u64, output_bytes u64, \
         width u32, height u32, shard text, host text, fetch_ms f32, decode_ms f32, predict_ms f32, encode_ms f32, \
         put_ms f32",
    ),
    (
        "history",
        "model text, step u64, epoch f64, part text, loss f32, learning_rate f32, pixel_accuracy f32, mean_iou f32, \
         foreground_iou f32, seconds f32, wait_seconds f32",
    ),
    ("confusion", "model text, split text, label u8, prediction u8, pixels u64"),
    (
        "runs",
        "run text, pipeline text, date text, result text, exit i64, started text, ended text, seconds f64, stage text, \
         stage_seconds f64, ok u64, cached u64, review u64, quarantined u64, failed u64, bytes u64, \
         images_per_second f64, cpu_seconds f64, network_cpu_share f64",
    ),
    ("stats", "snapshot text, role text, figure text, item text, value f64"),
];

/// The `(name, type)` pairs of a table.
pub fn columns(table: &str) -> Vec<(&'static str, &'static str)> {
    let (_, columns) = TABLES.iter().find(|(name, _)| *name == table).unwrap();
    columns.split(", ").map(|pair| pair.trim().split_once(' ').unwrap()).collect()
}

/// A frame of each table; `labels` and `attributes` are the program's own lists, tables without rows are empty.
pub fn frames(rows: &Rows) -> Vec<(&'static str, DataFrame)> {
    assert!(rows.keys().all(|table| TABLES.iter().any(|(name, _)| name == table)), "{:?}", rows.keys());
    let one = |(table, _): &(&'static str, &str)| {
        let own = match *table {
            "labels" => labels(),
            "attributes" => attributes(),
            table => rows.get(table).cloned().unwrap_or_default(),
        };
        (*table, frame::of_batch(&batch(table, &own)).unwrap())
    };
    TABLES.iter().map(one).collect()
}

fn labels() -> Vec<Value> {
    let row = |class: &selvedge::table::labels::Class| {
        let kind = if class.main { "main" } else { "part" };
        json!([class.id, class.id + 1, class.name, class.supercategory, kind, class.instances])
    };
    CLASSES.iter().map(row).collect()
}

fn attributes() -> Vec<Value> {
    ATTRIBUTES.iter().map(|attribute| json!([attribute.id, attribute.name, attribute.supercategory])).collect()
}

fn batch(table: &str, rows: &[Value]) -> RecordBatch {
    let columns = columns(table);
    for row in rows {
        assert_eq!(row.as_array().map(Vec::len), Some(columns.len()), "{table}: {row}");
    }
    let mut fields = Vec::new();
    let mut arrays = Vec::new();
    for (index, (name, kind)) in columns.iter().enumerate() {
        let values: Vec<&Value> = rows.iter().map(|row| &row[index]).collect();
        let array = array(kind, &values);
        fields.push(Field::new(*name, array.data_type().clone(), true));
        arrays.push(array);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap()
}

fn array(kind: &str, values: &[&Value]) -> ArrayRef {
    if let Some(item) = kind.strip_suffix('s') {
        let lists: Vec<&Vec<Value>> = values.iter().map(|value| value.as_array().unwrap()).collect();
        let items = array(item, &lists.iter().flat_map(|list| list.iter()).collect::<Vec<_>>());
        let field = Arc::new(Field::new("item", items.data_type().clone(), true));
        return Arc::new(ListArray::new(
            field,
            OffsetBuffer::from_lengths(lists.iter().map(|list| list.len())),
            items,
            None,
        ));
    }
    let whole = |value: &Value| (!value.is_null()).then(|| value.as_u64().unwrap());
    let real = |value: &Value| (!value.is_null()).then(|| value.as_f64().unwrap());
    match kind {
        "text" => Arc::new(values.iter().map(|value| value.as_str()).collect::<StringArray>()),
        "u8" => {
            Arc::new(values.iter().map(|value| whole(value).map(|it| it.try_into().unwrap())).collect::<UInt8Array>())
        }
        "u16" => {
            Arc::new(values.iter().map(|value| whole(value).map(|it| it.try_into().unwrap())).collect::<UInt16Array>())
        }
        "u32" => {
            Arc::new(values.iter().map(|value| whole(value).map(|it| it.try_into().unwrap())).collect::<UInt32Array>())
        }
        "u64" => Arc::new(values.iter().map(|value| whole(value)).collect::<UInt64Array>()),
        "i64" => Arc::new(values.iter().map(|value| value.as_i64()).collect::<Int64Array>()),
        "f32" => Arc::new(values.iter().map(|value| real(value).map(|it| it as f32)).collect::<Float32Array>()),
        "f64" => Arc::new(values.iter().map(|value| real(value)).collect::<Float64Array>()),
        other => panic!("no type {other}"),
    }
}
