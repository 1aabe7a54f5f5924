//! What is known of photos: found once, remembered by entity tag, kept through anything that cuts the work off.

use crate::tables::Bench;
use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray, UInt32Array, UInt64Array};
use arrow::datatypes::{Schema, UInt8Type};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use selvedge::cancel::Cause;
use selvedge::digest::{self, Fingerprint};
use selvedge::event::Event;
use selvedge::image::encode;
use selvedge::outcome::Reason;
use selvedge::stage::photos::{Facts, list, survey, survey_all};
use selvedge::stage::tables::{Place, Publication};
use selvedge::stage::{Context, Error};
use selvedge::storage::Store;
use selvedge::table::Part;
use selvedge::table::schema::IMAGES;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Photos after which facts are written down.
const CHUNK: usize = 4096;

/// A picture of its own for each number.
fn rgb(number: u32) -> Vec<u8> {
    (0..24 * 16 * 3_u32).map(|at| (at.wrapping_mul(number.wrapping_mul(7) + 3) >> 3) as u8).collect()
}

fn put(photos: &Store, key: &str, bytes: impl Into<Bytes>) {
    photos.wait(photos.put(key, bytes.into())).unwrap();
}

fn put_png(photos: &Store, key: &str, number: u32) {
    put(photos, key, encode::png_rgb(24, 16, &rgb(number), None).unwrap());
}

/// Photos beside the tables of a bench.
fn photos(bench: &Bench) -> Store {
    bench.store().child("photos")
}

fn all(photos: &Store, context: &Context) -> Result<HashMap<String, Facts>, Error> {
    survey_all(photos, "", context)
}

/// The keys of the table's rows, in their order.
fn keys(bench: &Bench) -> Vec<String> {
    let batches = bench.batches(&IMAGES);
    batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten().map(str::to_owned)).collect()
}

fn parts(bench: &Bench) -> usize {
    bench.context.tables.current(&IMAGES).unwrap().map_or(0, |version| version.parts.len())
}

/// How many photos the last survey looked at.
fn looked_at(bench: &Bench) -> usize {
    let told = std::mem::take(&mut *bench.heard.told.lock().unwrap());
    told.iter().filter(|told| told.starts_with("Advanced")).count()
}

#[test]
fn the_facts_of_a_photo_are_complete_and_come_back_from_the_table() {
    let (bench, rgb) = (Bench::new("look"), rgb(5));
    let photos = photos(&bench);
    let jpeg = encode::jpeg_rgb(24, 16, &rgb, 82, None).unwrap();
    put(&photos, "a/one.jpg", jpeg.clone());
    put(&photos, "b.png", encode::png_rgb(24, 16, &rgb, None).unwrap());
    put(&photos, "cut.jpg", jpeg[..jpeg.len() / 2].to_vec());
    put(&photos, "text.jpg", "no photo");
    let found = all(&photos, &bench.context).unwrap();
    assert_eq!(looked_at(&bench), 4);

    let one = &found["a/one.jpg"];
    assert_eq!((one.width, one.height, &*one.format, one.reason), (24, 16, "jpeg", None));
    assert_eq!(one.content, digest::of(&jpeg));
    let picture = one.picture.as_ref().unwrap();
    assert_eq!((picture.orientation, &*picture.colour, picture.bits), (1, "rgb", 8));
    assert_eq!((picture.jpeg_quality, picture.profile.as_deref()), (Some(82), None));
    assert_eq!(found["b.png"].picture.as_ref().unwrap().jpeg_quality, None);
    for (key, reason) in [("cut.jpg", Reason::Truncated), ("text.jpg", Reason::NotAnImage)] {
        let facts = &found[key];
        assert_eq!((facts.reason, facts.picture.as_ref(), facts.content.len()), (Some(reason), None, 64), "{key}");
    }

    assert_eq!(all(&photos, &bench.context).unwrap(), found);
    assert_eq!(looked_at(&bench), 0, "all of it is known");
    assert_eq!(keys(&bench), ["a/one.jpg", "b.png", "cut.jpg", "text.jpg"]);
}

#[test]
fn only_photos_below_the_prefix_are_listed_and_no_state() {
    let bench = Bench::new("look");
    let photos = photos(&bench);
    for key in ["new/a.png", "new/.selvedge/b.png", "old/c.png"] {
        put_png(&photos, key, 1);
    }
    let listed = |prefix| -> Vec<String> {
        list(&photos, prefix, &bench.context).unwrap().into_iter().map(|photo| photo.key).collect()
    };
    assert_eq!(listed(""), ["new/a.png", "old/c.png"]);
    assert_eq!(listed("new/"), ["new/a.png"]);
    assert_eq!(survey_all(&photos, "old/", &bench.context).unwrap().into_keys().collect::<Vec<_>>(), ["old/c.png"]);
}

#[test]
fn a_photo_that_changed_is_looked_at_again_and_has_one_row() {
    let bench = Bench::new("look");
    let photos = photos(&bench);
    (0..3).for_each(|number| put_png(&photos, &format!("{number}.png"), number));
    let before = all(&photos, &bench.context).unwrap();
    looked_at(&bench);
    put_png(&photos, "1.png", 9);
    let after = all(&photos, &bench.context).unwrap();
    assert_eq!(looked_at(&bench), 1);
    assert_ne!(after["1.png"].content, before["1.png"].content);
    assert_eq!(after["2.png"], before["2.png"]);
    assert_eq!(keys(&bench), ["0.png", "1.png", "2.png"]);
    assert_eq!(all(&photos, &bench.context).unwrap(), after);
}

#[test]
fn new_photos_are_appended_and_many_parts_become_few() {
    let bench = Bench::new("look");
    let photos = photos(&bench);
    let mut most = 0;
    for number in (0..40).rev() {
        put_png(&photos, &format!("{number:02}.png"), number);
        all(&photos, &bench.context).unwrap();
        assert_eq!(looked_at(&bench), 1);
        most = most.max(parts(&bench));
    }
    assert_eq!(most, 32);
    assert!(parts(&bench) < 10, "{} parts", parts(&bench));
    let rows = keys(&bench);
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), 40);
    assert_eq!(rows.len(), 40, "a photo has two rows");
    assert!(rows[..33].is_sorted(), "what was rewritten is sorted by key");
    all(&photos, &bench.context).unwrap();
    assert_eq!(looked_at(&bench), 0);
}

/// More photos than a chunk by `more`.
fn many(bench: &Bench, more: usize) -> Store {
    let photos = photos(bench);
    for number in 0..CHUNK + more {
        let bytes = encode::png_rgb(1, 1, &[number as u8, (number >> 8) as u8, 7], None).unwrap();
        put(&photos, &format!("{number:06}.png"), bytes);
    }
    photos
}

#[test]
fn work_that_is_killed_between_chunks_goes_on_behind_the_last_one() {
    let bench = Bench::new("look");
    let photos = many(&bench, 40);
    // The right to publish is lost after the first chunk, as after a kill nothing more is written.
    let asked = Arc::new(AtomicUsize::new(0));
    let fence = {
        let asked = Arc::clone(&asked);
        Arc::new(move || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => Ok(()),
            _ => Err(Error::LostLock("another run holds the lock".to_owned())),
        })
    };
    let killed = Context { fence, ..bench.context.clone() };
    assert!(matches!(all(&photos, &killed), Err(Error::LostLock(_))));
    assert_eq!(keys(&bench).len(), CHUNK);
    looked_at(&bench);
    assert_eq!(all(&photos, &bench.context).unwrap().len(), CHUNK + 40);
    assert_eq!(looked_at(&bench), 40);
}

#[test]
fn a_wish_to_stop_keeps_what_was_found_until_then() {
    let bench = Bench::new("look");
    let photos = many(&bench, 60);
    let (cancel, mut done) = (bench.context.cancel.clone(), 0);
    *bench.heard.hook.lock().unwrap() = Some(Box::new(move |event| {
        done += usize::from(matches!(event, Event::Advanced { .. }));
        if done == CHUNK + 10 {
            cancel.cancel(Cause::Signal);
        }
    }));
    assert!(matches!(all(&photos, &bench.context), Err(Error::Cancelled(_))));
    let kept = keys(&bench).len();
    assert!((CHUNK + 10..CHUNK + 60).contains(&kept), "{kept} rows");
    *bench.heard.hook.lock().unwrap() = None;
    looked_at(&bench);
    let context = Context { cancel: Default::default(), ..bench.context.clone() };
    assert_eq!(all(&photos, &context).unwrap().len(), CHUNK + 60);
    assert_eq!(looked_at(&bench), CHUNK + 60 - kept);
    assert_eq!(keys(&bench).len(), CHUNK + 60);
}

/// A part as a store of version 1.0 has it.
fn part_of_1_0(rows: &[(&str, &str, u64)]) -> Part {
    let fields: Vec<_> = IMAGES.schema().fields().iter().take(8).cloned().collect();
    let text = |value: &'static str| -> ArrayRef { Arc::new(StringArray::from(vec![value; rows.len()])) };
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0))),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1))),
        Arc::new(UInt64Array::from_iter_values(rows.iter().map(|row| row.2))),
        Arc::new(UInt32Array::from(vec![16; rows.len()])),
        Arc::new(UInt32Array::from(vec![24; rows.len()])),
        text("png"),
        Arc::new(StringArray::new_null(rows.len())),
        text(""),
    ];
    let schema = Arc::new(Schema::new(fields));
    let tag = KeyValue::new("selvedge.schema".to_owned(), "images/1.0".to_owned());
    let properties = WriterProperties::builder().set_key_value_metadata(Some(vec![tag])).build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties)).unwrap();
    writer.write(&RecordBatch::try_new(schema, columns).unwrap()).unwrap();
    Part { bytes: writer.into_inner().unwrap().into(), rows: rows.len() as u64 }
}

#[test]
fn rows_of_version_1_0_are_read_and_their_photos_looked_at_once_more() {
    let bench = Bench::new("look");
    let photos = photos(&bench);
    (0..2).for_each(|number| put_png(&photos, &format!("{number}.png"), number));
    let listed = list(&photos, "", &bench.context).unwrap();
    let rows: Vec<_> = listed.iter().map(|photo| (&*photo.key, &*photo.etag, photo.size)).collect();
    let mut publication = Publication::begin(&bench.context, Place::from(&IMAGES));
    publication.put(part_of_1_0(&[rows[0], rows[1], ("gone.png", "1", 2)])).unwrap();
    publication.publish(None, Fingerprint::default(), BTreeMap::new()).unwrap();

    let batches = bench.batches(&IMAGES);
    assert_eq!(batches[0].num_rows(), 3);
    assert!(batches[0].columns().iter().skip(8).all(|column| column.null_count() == 3), "what 1.0 lacks is null");

    let found = survey(&photos, &listed, &bench.context).unwrap();
    assert_eq!(looked_at(&bench), 2);
    assert!(found.values().all(|facts| facts.picture.is_some()));
    assert_eq!(keys(&bench), ["0.png", "1.png", "gone.png"], "the rows of other photos stay");
    let bits = bench.batches(&IMAGES)[0].column(11).as_primitive::<UInt8Type>().iter().collect::<Vec<_>>();
    assert_eq!(bits, [Some(8), Some(8), None]);
    survey(&photos, &listed, &bench.context).unwrap();
    assert_eq!(looked_at(&bench), 0);
}
