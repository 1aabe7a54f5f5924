//! The split: sizes, rare classes, groups, order and seed.
#![allow(clippy::unwrap_used)]

use arrow::array::{ArrayRef, AsArray, Float32Array, ListArray, PrimitiveArray, RecordBatch, StringArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{ArrowPrimitiveType, DataType, Field, UInt8Type, UInt32Type, UInt64Type};
use bytes::Bytes;
use selvedge::cancel::Cancel;
use selvedge::digest::Fingerprint;
use selvedge::event::Silent;
use selvedge::id;
use selvedge::image::encode;
use selvedge::stage::split::{Group, Settings, Share, fingerprint, run, sizes, stratify};
use selvedge::stage::tables::{Place, Publication, Tables};
use selvedge::stage::{Context, Error};
use selvedge::storage::Store;
use selvedge::table::schema::{IMAGES, MASKS, SPLITS};
use selvedge::table::{Table, part};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tokio::runtime::Runtime;

/// A store of tables in memory that no other test sees.
pub(crate) struct World {
    pub(crate) runtime: Runtime,
    pub(crate) context: Context,
}

impl World {
    pub(crate) fn new() -> Self {
        let runtime = crate::storage::runtime();
        let context = Context {
            tables: Tables::new(Self::open(&runtime)),
            stage: "test".to_owned(),
            run: "-".to_owned(),
            epoch: 0,
            fence: Arc::new(|| Ok(())),
            events: Arc::new(Silent),
            cancel: Cancel::default(),
            threads: 2,
        };
        Self { runtime, context }
    }

    /// Another empty store.
    pub(crate) fn store(&self) -> Store {
        Self::open(&self.runtime)
    }

    fn open(runtime: &Runtime) -> Store {
        let location = format!("memory://{}", id::token());
        Store::open(&location, &crate::storage::options(&[], &[]), runtime.handle().clone()).unwrap()
    }

    /// Publishes a version of a table, each batch as its own part.
    pub(crate) fn publish(&self, table: &'static Table, batches: &[RecordBatch]) {
        let base = self.context.tables.current(table).unwrap();
        let mut publication = Publication::begin(&self.context, Place::from(table));
        for batch in batches {
            publication.put(part::whole(table, std::slice::from_ref(batch)).unwrap()).unwrap();
        }
        let depends_on = Fingerprint::default().with("rows", batches.iter().map(RecordBatch::num_rows).sum::<usize>());
        publication.publish(base.as_ref(), depends_on, BTreeMap::new()).unwrap();
    }

    /// The table `splits` as image → (split, group).
    pub(crate) fn splits(&self) -> BTreeMap<String, (String, String)> {
        let version = self.context.tables.current(&SPLITS).unwrap().unwrap();
        let mut rows = BTreeMap::new();
        for batch in self.context.tables.scan(Place::from(&SPLITS), &version, None) {
            let batch = batch.unwrap();
            let text = |column: usize, row| batch.column(column).as_string::<i32>().value(row).to_owned();
            for row in 0..batch.num_rows() {
                assert!(rows.insert(text(0, row), (text(1, row), text(2, row))).is_none(), "an image came twice");
            }
        }
        rows
    }
}

/// A column of lists.
pub(crate) fn lists<T: ArrowPrimitiveType>(rows: &[Vec<T::Native>]) -> ArrayRef {
    let values = PrimitiveArray::<T>::from_iter_values(rows.iter().flatten().copied());
    let offsets = OffsetBuffer::from_lengths(rows.iter().map(Vec::len));
    let field = Arc::new(Field::new("item", T::DATA_TYPE, false));
    assert_ne!(T::DATA_TYPE, DataType::Null);
    Arc::new(ListArray::new(field, offsets, Arc::new(values), None))
}

/// One image of the masks table.
#[derive(Clone, Debug)]
pub(crate) struct Mask {
    pub(crate) id: String,
    pub(crate) height: u32,
    pub(crate) width: u32,
    pub(crate) classes: Vec<u8>,
    pub(crate) lengths: Vec<u32>,
}

/// Rows of the masks table.
pub(crate) fn masks(rows: &[Mask]) -> RecordBatch {
    let pixels: Vec<BTreeMap<u8, u64>> = rows
        .iter()
        .map(|row| {
            let mut pixels = BTreeMap::new();
            for (class, length) in row.classes.iter().zip(&row.lengths) {
                *pixels.entry(*class).or_default() += u64::from(*length);
            }
            pixels
        })
        .collect();
    let class_ids: Vec<Vec<u8>> = pixels.iter().map(|pixels| pixels.keys().copied().collect()).collect();
    let class_pixels: Vec<Vec<u64>> = pixels.iter().map(|pixels| pixels.values().copied().collect()).collect();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row.id))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.height))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.width))),
        lists::<UInt8Type>(&rows.iter().map(|row| row.classes.clone()).collect::<Vec<_>>()),
        lists::<UInt32Type>(&rows.iter().map(|row| row.lengths.clone()).collect::<Vec<_>>()),
        Arc::new(StringArray::from_iter_values(rows.iter().map(|_| "small-on-top"))),
        lists::<UInt8Type>(&class_ids),
        lists::<UInt64Type>(&class_pixels),
        lists::<UInt64Type>(&class_pixels),
        Arc::new(Float32Array::from_iter_values(rows.iter().map(|_| 0.0))),
        Arc::new(UInt32Array::from_iter_values(rows.iter().map(|row| row.classes.len() as u32))),
    ];
    RecordBatch::try_new(MASKS.schema(), columns).unwrap()
}

/// A small generator, so that a failure can be run again.
struct Dice(u64);

impl Dice {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Images with classes 1 to 46 as long-tailed as the public data: class c is on one image in about 1.16 to the c, and each
/// class on at least three.
fn long_tail(images: usize, seed: u64) -> Vec<(String, Vec<u8>)> {
    let mut dice = Dice(seed);
    let mut rows: Vec<(String, BTreeSet<u8>)> = (0..images).map(|i| (format!("{i:032x}"), BTreeSet::new())).collect();
    for class in 1..=46_u8 {
        let count = ((images as f64 * 0.6 / 1.16_f64.powi(i32::from(class))) as usize).max(3);
        for _ in 0..count {
            rows[dice.next(images as u64) as usize].1.insert(class);
        }
    }
    rows.into_iter().map(|(id, classes)| (id, classes.into_iter().collect())).collect()
}

fn as_masks(rows: &[(String, Vec<u8>)]) -> Vec<Mask> {
    let mask = |(id, classes): &(String, Vec<u8>)| {
        let mut spans = vec![0_u8];
        spans.extend(classes);
        let lengths = vec![1; spans.len()];
        Mask { id: id.clone(), height: 1, width: spans.len() as u32, classes: spans, lengths }
    };
    rows.iter().map(mask).collect()
}

fn as_groups(rows: &[(String, Vec<u8>)]) -> Vec<Group> {
    let group = |(id, classes): &(String, Vec<u8>)| Group {
        name: id.clone(),
        images: 1,
        labels: classes.iter().map(|class| (*class, 1)).collect(),
    };
    rows.iter().map(group).collect()
}

const RATIOS: [f64; 3] = [0.7, 0.2, 0.1];

/// Groups with each class, by part.
fn held(groups: &[Group], parts: &[usize]) -> BTreeMap<u8, [usize; 3]> {
    let mut held: BTreeMap<u8, [usize; 3]> = BTreeMap::new();
    for (group, part) in groups.iter().zip(parts) {
        for (label, _) in &group.labels {
            held.entry(*label).or_default()[*part] += 1;
        }
    }
    held
}

#[test]
fn every_class_of_three_images_or_more_is_in_every_split() {
    for seed in 0..12 {
        let groups = as_groups(&long_tail(2_000, seed));
        let parts = stratify(&groups, &RATIOS, seed);
        let mut rare = 0;
        for (label, held) in held(&groups, &parts) {
            let all: usize = held.iter().sum();
            rare += usize::from(all < 10);
            if all >= 3 {
                assert!(held.iter().all(|count| *count > 0), "seed {seed}, class {label}: {held:?}");
            }
        }
        assert!(rare >= 5, "the data of seed {seed} has no long tail");
    }
}

#[test]
fn sizes_are_exact_and_frequent_classes_keep_their_shares() {
    let groups = as_groups(&long_tail(2_003, 7));
    let parts = stratify(&groups, &RATIOS, 1);
    let counted: Vec<u64> = (0..3).map(|part| parts.iter().filter(|other| **other == part).count() as u64).collect();
    assert_eq!(counted, sizes(2_003, &RATIOS));
    let mut frequent = 0;
    for (label, held) in held(&groups, &parts) {
        let all: usize = held.iter().sum();
        if all < 100 {
            continue;
        }
        frequent += 1;
        for (count, ratio) in held.iter().zip(RATIOS) {
            let share = *count as f64 / all as f64;
            assert!((share - ratio).abs() < 0.02, "class {label}: {held:?}");
        }
    }
    assert!(frequent > 8);
}

#[test]
fn classes_that_always_come_together_are_in_every_split() {
    // Class 1 is on the only images of class 2, and on one with each of 3 and 4, which are on nothing else.
    let group = |name: &str, labels: &[u8]| Group {
        name: name.to_owned(),
        images: 1,
        labels: labels.iter().map(|label| (*label, 1)).collect(),
    };
    let mut groups = vec![group("a", &[1, 2]), group("b", &[1, 3]), group("c", &[1, 4])];
    groups.extend((0..57).map(|index| group(&format!("plain {index}"), &[9])));
    for seed in 0..50 {
        let parts = stratify(&groups, &RATIOS, seed);
        assert_eq!(held(&groups, &parts)[&1], [1, 1, 1], "seed {seed}");
    }
}

#[test]
fn groups_of_many_images_leave_every_part_within_one_group_of_its_size() {
    let mut dice = Dice(3);
    let groups: Vec<Group> = (0..700)
        .map(|index| {
            let images = 1 + dice.next(4) as u32;
            Group { name: format!("g{index}"), images, labels: vec![(1 + dice.next(20) as u8, images)] }
        })
        .collect();
    let parts = stratify(&groups, &RATIOS, 5);
    let images: u64 = groups.iter().map(|group| u64::from(group.images)).sum();
    for (part, size) in sizes(images, &RATIOS).into_iter().enumerate() {
        let held: u64 = groups
            .iter()
            .zip(&parts)
            .filter(|(_, other)| **other == part)
            .map(|(group, _)| u64::from(group.images))
            .sum();
        assert!(held.abs_diff(size) <= 4, "part {part} holds {held} images of {size}");
    }
}

#[test]
fn the_order_of_rows_and_parts_in_the_masks_table_does_not_matter() {
    let rows = as_masks(&long_tail(400, 11));
    let mut turned = rows.clone();
    turned.reverse();
    turned.rotate_left(123);
    let one = World::new();
    one.publish(&MASKS, &[masks(&rows)]);
    let other = World::new();
    other.publish(&MASKS, &[masks(&turned[..150]), masks(&turned[150..])]);
    for world in [&one, &other] {
        run(&Settings::default(), Fingerprint::default(), &world.context).unwrap();
    }
    assert_eq!(one.splits(), other.splits());
    assert_eq!(one.splits().len(), 400);
}

#[test]
fn the_table_is_sorted_and_says_its_sizes() {
    let world = World::new();
    world.publish(&MASKS, &[masks(&as_masks(&long_tail(100, 2)))]);
    let settings = Settings::default();
    let depends_on = fingerprint(&settings, &world.context).unwrap();
    let report = run(&settings, depends_on.clone(), &world.context).unwrap();
    assert_eq!(report.summary, "100 images in 100 groups: train 70, val 20, test 10");
    let version = world.context.tables.current(&SPLITS).unwrap().unwrap();
    assert_eq!(
        (version.facts["images_train"], version.facts["images_val"], version.facts["images_test"]),
        (70, 20, 10)
    );
    assert_eq!(
        (version.parts[0].first.as_str(), version.parts[0].last.as_str()),
        (&*format!("{:032x}", 0), &*format!("{:032x}", 99))
    );
    assert_eq!(version.depends_on, depends_on);
    let batch = world.context.tables.scan(Place::from(&SPLITS), &version, None).next().unwrap().unwrap();
    assert!(batch.column(0).as_string::<i32>().iter().is_sorted());
}

#[test]
fn another_seed_splits_otherwise_and_the_same_seed_alike() {
    let groups = as_groups(&long_tail(300, 4));
    assert_eq!(stratify(&groups, &RATIOS, 1), stratify(&groups, &RATIOS, 1));
    assert_ne!(stratify(&groups, &RATIOS, 1), stratify(&groups, &RATIOS, 2));
}

#[test]
fn photos_of_equal_bytes_stay_together() {
    let world = World::new();
    let rows = long_tail(120, 9);
    world.publish(&MASKS, &[masks(&as_masks(&rows))]);
    let photos = world.store();
    for (index, (id, _)) in rows.iter().enumerate() {
        // Ten groups of four equal photos, the rest each their own, and the last two images without any.
        let content = if index < 40 { format!("photo {}", index / 4) } else { format!("photo {id}") };
        if index < 118 {
            photos.wait(photos.put(&format!("some/folder/{id}.jpg"), Bytes::from(content))).unwrap();
        }
    }
    let settings = Settings { photos: Some(photos.clone()), ..Settings::default() };
    let before = fingerprint(&settings, &world.context).unwrap();
    run(&settings, before.clone(), &world.context).unwrap();
    let splits = world.splits();
    for index in (0..40).step_by(4) {
        let alike: BTreeSet<_> = (index..index + 4).map(|index| &splits[&rows[index].0]).collect();
        assert_eq!(alike.len(), 1, "images {index} to {} are apart", index + 3);
    }
    let groups: BTreeSet<_> = splits.values().map(|(_, group)| group).collect();
    assert_eq!(groups.len(), 10 + 80);
    assert_eq!(splits[&rows[119].0].1, rows[119].0, "an image without a photo is its own group");
    let version = world.context.tables.current(&SPLITS).unwrap().unwrap();
    assert_eq!((version.facts["groups"], version.facts["photos_missing"]), (90, 2));

    photos.wait(photos.put(&format!("some/folder/{}.jpg", rows[60].0), Bytes::from_static(b"another"))).unwrap();
    assert_eq!(fingerprint(&settings, &world.context).unwrap().changed_since(&before), ["photos"]);
}

/// A picture of its own for each seed: twelve patches of colour on white, `3 · scale × 2 · scale` pixels, at some light.
fn patches(seed: u64, scale: u32, light: f32) -> (u32, u32, Vec<u8>) {
    let mut dice = Dice(seed.wrapping_mul(7_919) + 1);
    let patches: Vec<[u64; 7]> = (0..12)
        .map(|_| {
            [
                dice.next(80),
                dice.next(80),
                10 + dice.next(30),
                10 + dice.next(30),
                dice.next(256),
                dice.next(256),
                dice.next(256),
            ]
        })
        .collect();
    let (width, height) = (3 * scale, 2 * scale);
    let pixel = |x: u32, y: u32| {
        let (x, y) = (u64::from(x) * 100 / u64::from(width), u64::from(y) * 100 / u64::from(height));
        let inside = |patch: &&[u64; 7]| {
            (patch[0]..patch[0] + patch[2]).contains(&x) && (patch[1]..patch[1] + patch[3]).contains(&y)
        };
        let colour = patches.iter().rev().find(inside).map_or([250; 3], |patch| [patch[4], patch[5], patch[6]]);
        colour.map(|value| (value as f32 * light) as u8)
    };
    (width, height, (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).flat_map(|(x, y)| pixel(x, y)).collect())
}

#[test]
fn copies_in_another_size_quality_or_light_stay_together_and_nothing_is_decoded_twice() {
    let mut world = World::new();
    let heard = Arc::new(crate::tables::Heard::default());
    world.context.events = Arc::<crate::tables::Heard>::clone(&heard);
    let rows = long_tail(120, 5);
    world.publish(&MASKS, &[masks(&as_masks(&rows))]);
    let photos = world.store();
    for (index, (id, _)) in rows.iter().enumerate() {
        // Of the first forty pictures a second photo, changed in one of four ways; the other forty are alone.
        let (seed, change) = (index as u64 % 80, if index < 80 { 4 } else { index % 4 });
        let (width, height, rgb) = match change {
            1 => patches(seed, 100, 1.0),
            2 => patches(seed, 200, 0.98),
            _ => patches(seed, 200, 1.0),
        };
        let bytes = match change {
            3 => encode::png_rgb(width, height, &rgb, None).unwrap(),
            change => encode::jpeg_rgb(width, height, &rgb, if change == 0 { 60 } else { 90 }, None).unwrap(),
        };
        photos.wait(photos.put(&format!("{id}.jpg"), bytes.into())).unwrap();
    }
    let settings = Settings { photos: Some(photos), ..Settings::default() };
    run(&settings, Fingerprint::default(), &world.context).unwrap();
    let splits = world.splits();
    for index in 0..40 {
        assert_eq!(splits[&rows[index].0], splits[&rows[index + 80].0], "image {index} and its copy are apart");
    }
    let version = world.context.tables.current(&SPLITS).unwrap().unwrap();
    let facts = ["groups", "photos_exact", "photos_near", "photos_missing"].map(|name| version.facts[name]);
    assert_eq!(facts, [80, 0, 40, 0]);

    let table = world.context.tables.current(&IMAGES).unwrap().unwrap();
    assert_eq!(table.rows, 120);
    for batch in world.context.tables.scan(Place::from(&IMAGES), &table, None) {
        let batch = batch.unwrap();
        for field in batch.schema().fields() {
            let nulls = batch.column_by_name(field.name()).unwrap().null_count();
            // All of them can be used, none has a profile, and a PNG has no quality.
            assert!(nulls == 0 || ["reason", "profile", "jpeg_quality"].contains(&field.name().as_str()), "{field}");
        }
    }

    let advanced = || heard.told.lock().unwrap().iter().filter(|told| told.contains("\"photos\"")).count();
    assert_eq!(advanced(), 1, "{:?}", heard.told.lock().unwrap());
    run(&settings, Fingerprint::default(), &world.context).unwrap();
    assert_eq!(advanced(), 1, "a photo was decoded again");
    assert_eq!(world.splits(), splits);
    assert_eq!(world.context.tables.current(&IMAGES).unwrap().unwrap().version, table.version);
}

#[test]
fn shares_that_are_no_shares_are_refused() {
    let world = World::new();
    world.publish(&MASKS, &[masks(&as_masks(&long_tail(10, 1)))]);
    let share = |name: &str, ratio| Share { name: name.to_owned(), ratio };
    for shares in [
        vec![share("train", 0.7), share("val", 0.2)],
        vec![share("train", 1.0), share("val", 0.0)],
        vec![share("train", 0.5), share("train", 0.5)],
        vec![share("../train", 1.0)],
        vec![],
    ] {
        let settings = Settings { shares: shares.clone(), ..Settings::default() };
        assert!(matches!(fingerprint(&settings, &world.context), Err(Error::Usage(_))), "{shares:?}");
    }
}

#[test]
fn without_masks_the_next_command_is_named() {
    let error = fingerprint(&Settings::default(), &World::new().context).unwrap_err();
    assert!(matches!(&error, Error::Usage(text) if text.contains("selvedge merge")), "{error}");
}
