//! What the tests of the table stages share: a store in memory, a context, and the rows of tables as plain values.
#![allow(clippy::unwrap_used)]

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Float32Type, TimestampMillisecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type};
use bytes::Bytes;
use selvedge::cancel::Cancel;
use selvedge::event::{Event, Sink};
use selvedge::id;
use selvedge::stage::tables::Tables;
use selvedge::stage::{Context, Error};
use selvedge::storage::{Options, Store};
use selvedge::table::Table;
use selvedge::table::schema::{ANNOTATIONS, MASKS, QUARANTINE};
use std::sync::{Arc, LazyLock, Mutex};

static RUNTIME: LazyLock<tokio::runtime::Runtime> =
    LazyLock::new(|| tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap());

/// What a test does when an event comes.
type Hook = Box<dyn FnMut(&Event) + Send>;

/// Keeps all events as text, and lets a test act on them.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) told: Mutex<Vec<String>>,
    pub(crate) hook: Mutex<Option<Hook>>,
}

impl Sink for Heard {
    fn emit(&self, event: Event) {
        if let Some(hook) = self.hook.lock().unwrap().as_mut() {
            hook(&event);
        }
        self.told.lock().unwrap().push(format!("{event:?}"));
    }
}

impl Heard {
    pub(crate) fn has(&self, text: &str) -> bool {
        self.told.lock().unwrap().iter().any(|told| told.contains(text))
    }
}

/// A store of its own and what a stage is given.
pub(crate) struct Bench {
    pub(crate) context: Context,
    pub(crate) heard: Arc<Heard>,
}

impl Bench {
    pub(crate) fn new(stage: &str) -> Self {
        let location = format!("memory://{}", id::token());
        let store = Store::open(&location, &Options::default(), RUNTIME.handle().clone()).unwrap();
        let heard = Arc::new(Heard::default());
        let context = Context {
            tables: Tables::new(store),
            stage: stage.to_owned(),
            run: "-".to_owned(),
            epoch: 0,
            fence: Arc::new(|| Ok(())),
            events: Arc::<Heard>::clone(&heard),
            cancel: Cancel::default(),
            threads: 2,
        };
        Self { context, heard }
    }

    /// The same store for another stage.
    pub(crate) fn stage(&self, stage: &str) -> Self {
        let context = Context { stage: stage.to_owned(), ..self.context.clone() };
        Self { context, heard: Arc::clone(&self.heard) }
    }

    pub(crate) fn store(&self) -> &Store {
        self.context.tables.store()
    }

    pub(crate) fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.store().wait(self.store().put(key, bytes.into())).unwrap();
    }

    pub(crate) fn batches(&self, table: &'static Table) -> Vec<RecordBatch> {
        let Some(manifest) = self.context.tables.current(table).unwrap() else { return Vec::new() };
        self.context.tables.scan(table.into(), &manifest, None).map(Result::unwrap).collect()
    }

    pub(crate) fn facts(&self, table: &'static Table, name: &str) -> u64 {
        let manifest = self.context.tables.current(table).unwrap().unwrap();
        manifest.facts.get(name).copied().unwrap_or(0)
    }

    pub(crate) fn annotations(&self) -> Vec<Annotation> {
        let mut rows = Vec::new();
        for batch in self.batches(&ANNOTATIONS) {
            let list = |column: usize, row: usize| batch.column(column).as_list::<i32>().value(row);
            for row in 0..batch.num_rows() {
                rows.push(Annotation {
                    image: batch.column(0).as_string::<i32>().value(row).to_owned(),
                    class: batch.column(1).as_primitive::<UInt8Type>().value(row),
                    attributes: list(2, row).as_primitive::<UInt16Type>().values().to_vec(),
                    height: batch.column(3).as_primitive::<UInt32Type>().value(row),
                    width: batch.column(4).as_primitive::<UInt32Type>().value(row),
                    starts: list(5, row).as_primitive::<UInt32Type>().values().to_vec(),
                    lengths: list(6, row).as_primitive::<UInt32Type>().values().to_vec(),
                    area: batch.column(7).as_primitive::<UInt64Type>().value(row),
                    row: batch.column(8).as_primitive::<UInt64Type>().value(row),
                    notes: list(9, row).as_string::<i32>().iter().map(|note| note.unwrap().to_owned()).collect(),
                });
            }
        }
        rows
    }

    pub(crate) fn masks(&self) -> Vec<Mask> {
        let mut rows = Vec::new();
        for batch in self.batches(&MASKS) {
            let list = |column: usize, row: usize| batch.column(column).as_list::<i32>().value(row);
            for row in 0..batch.num_rows() {
                rows.push(Mask {
                    image: batch.column(0).as_string::<i32>().value(row).to_owned(),
                    height: batch.column(1).as_primitive::<UInt32Type>().value(row),
                    width: batch.column(2).as_primitive::<UInt32Type>().value(row),
                    classes: list(3, row).as_primitive::<UInt8Type>().values().to_vec(),
                    lengths: list(4, row).as_primitive::<UInt32Type>().values().to_vec(),
                    policy: batch.column(5).as_string::<i32>().value(row).to_owned(),
                    class_ids: list(6, row).as_primitive::<UInt8Type>().values().to_vec(),
                    class_pixels: list(7, row).as_primitive::<UInt64Type>().values().to_vec(),
                    class_annotated: list(8, row).as_primitive::<UInt64Type>().values().to_vec(),
                    conflicted: batch.column(9).as_primitive::<Float32Type>().value(row),
                    rows: batch.column(10).as_primitive::<UInt32Type>().value(row),
                });
            }
        }
        rows
    }

    pub(crate) fn quarantine(&self) -> Vec<Quarantined> {
        let mut rows = Vec::new();
        for batch in self.batches(&QUARANTINE) {
            let text = |column: usize, row: usize| batch.column(column).as_string::<i32>().value(row).to_owned();
            for row in 0..batch.num_rows() {
                rows.push(Quarantined {
                    stage: text(0, row),
                    item: text(1, row),
                    reason: text(2, row),
                    detail: text(3, row),
                    place: text(4, row),
                    first_seen: batch.column(5).as_primitive::<TimestampMillisecondType>().value(row),
                });
            }
        }
        rows
    }
}

/// A row of `annotations`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Annotation {
    pub(crate) image: String,
    pub(crate) class: u8,
    pub(crate) attributes: Vec<u16>,
    pub(crate) height: u32,
    pub(crate) width: u32,
    pub(crate) starts: Vec<u32>,
    pub(crate) lengths: Vec<u32>,
    pub(crate) area: u64,
    pub(crate) row: u64,
    pub(crate) notes: Vec<String>,
}

/// A row of `masks`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mask {
    pub(crate) image: String,
    pub(crate) height: u32,
    pub(crate) width: u32,
    pub(crate) classes: Vec<u8>,
    pub(crate) lengths: Vec<u32>,
    pub(crate) policy: String,
    pub(crate) class_ids: Vec<u8>,
    pub(crate) class_pixels: Vec<u64>,
    pub(crate) class_annotated: Vec<u64>,
    pub(crate) conflicted: f32,
    pub(crate) rows: u32,
}

impl Mask {
    /// The value of each pixel, column-major.
    pub(crate) fn raster(&self) -> Vec<u8> {
        let spans = self.classes.iter().zip(&self.lengths);
        spans.flat_map(|(class, length)| std::iter::repeat_n(*class, *length as usize)).collect()
    }
}

/// A row of `quarantine`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quarantined {
    pub(crate) stage: String,
    pub(crate) item: String,
    pub(crate) reason: String,
    pub(crate) detail: String,
    pub(crate) place: String,
    pub(crate) first_seen: i64,
}

/// The text of an error that must be one of a kind.
pub(crate) fn blocked<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Blocked(text)) => text,
        other => panic!("expected a blocked output, found {other:?}"),
    }
}

/// The text of an error that must be one of a kind.
pub(crate) fn failed<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(Error::Failed(text)) => text,
        other => panic!("expected a failure, found {other:?}"),
    }
}
