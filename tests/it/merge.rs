//! Merge against a naive raster, for every policy.
#![allow(clippy::unwrap_used)]

use crate::tables::{Annotation, Bench, Mask};
use arrow::array::{RecordBatch, UInt32Array};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use selvedge::digest::Fingerprint;
use selvedge::image::spans::{Conflict, Layer, Merger};
use selvedge::stage::ingest::{self, Source};
use selvedge::stage::merge::{self, Classes, Policy, Settings};
use selvedge::stage::tables::Publication;
use selvedge::stage::{Error, Report};
use selvedge::table::part;
use selvedge::table::schema::{ANNOTATIONS, MASKS};
use std::fmt::Write as _;

const HEADER: &str = "ImageId,EncodedPixels,Height,Width,ClassId,AttributesIds\n";

fn ingested(rows: &str) -> Bench {
    let bench = Bench::new("ingest");
    bench.put("in/train.csv", format!("{HEADER}{rows}"));
    let csv = vec![Source { store: bench.store().clone(), key: "in/train.csv".to_owned() }];
    let settings = ingest::Settings { csv, ..ingest::Settings::default() };
    let fingerprint = ingest::fingerprint(&settings, &bench.context).unwrap();
    ingest::run(&settings, fingerprint, &bench.context).unwrap();
    bench.stage("merge")
}

fn merge(bench: &Bench, settings: &Settings) -> Result<Report, Error> {
    let source = &bench.context.tables;
    let fingerprint = merge::fingerprint(settings, source, &bench.context)?;
    merge::run(settings, source, fingerprint, &bench.context)
}

fn merged(rows: &str, settings: &Settings) -> (Bench, Vec<Mask>) {
    let bench = ingested(rows);
    merge(&bench, settings).unwrap();
    let masks = bench.masks();
    (bench, masks)
}

fn all(policy: Policy) -> Settings {
    let priority = if policy == Policy::ClassPriority { vec![7, 3, 40, 0, 12] } else { Vec::new() };
    Settings { classes: Classes::All, policy, priority }
}

/// Random images: rectangles and stripes of random classes, some of them equal in area or in place.
fn random_rows(seed: u64, images: usize, most: usize) -> String {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut below = |bound: usize| random.next_u32() as usize % bound;
    let mut text = String::new();
    for image in 0..images {
        let (height, width) = (1 + below(24), 1 + below(24));
        let pixels = height * width;
        for _ in 0..1 + below(most) {
            let (mut start, mut mask) = (1 + below(pixels), Vec::new());
            while start <= pixels && mask.len() < 12 {
                let length = 1 + below((pixels - start + 1).min(9));
                mask.push(format!("{start} {length}"));
                start += length + 1 + below(height);
            }
            let class = [0, 3, 7, 12, 26, 27, 40, 45][below(8)];
            writeln!(text, "image{image},{},{height},{width},{class},", mask.join(" ")).unwrap();
        }
    }
    text
}

/// What the policies say, painted pixel by pixel from the bottom up.
fn painted(rows: &[&Annotation], policy: Policy) -> (Vec<u8>, u64) {
    let pixels = (rows[0].height * rows[0].width) as usize;
    let mut order = rows.to_vec();
    let rank = |row: &Annotation| [7, 3, 40, 0, 12].iter().position(|class| *class == row.class).unwrap_or(99);
    match policy {
        Policy::FirstWins => order.sort_by_key(|row| std::cmp::Reverse(row.row)),
        Policy::SmallOnTop => order.sort_by_key(|row| (std::cmp::Reverse(row.area), row.row)),
        Policy::ClassPriority => {
            order.sort_by_key(|row| (std::cmp::Reverse(rank(row)), std::cmp::Reverse(row.area), row.row));
        }
        Policy::AnnotationOrder | Policy::Foreground | Policy::VoidOnConflict => order.sort_by_key(|row| row.row),
    }
    let mut raster = vec![0_u8; pixels];
    let mut claims = vec![std::collections::BTreeSet::new(); pixels];
    for row in order {
        for (start, length) in row.starts.iter().zip(&row.lengths) {
            for pixel in *start as usize..(start + length) as usize {
                raster[pixel] = if policy == Policy::Foreground { 1 } else { row.class + 1 };
                claims[pixel].insert(row.class);
            }
        }
    }
    let contested = claims.iter().filter(|claims| claims.len() > 1).count() as u64;
    if policy == Policy::VoidOnConflict {
        for (pixel, claims) in raster.iter_mut().zip(&claims) {
            *pixel = if claims.len() > 1 { 255 } else { *pixel };
        }
    }
    (raster, contested)
}

fn check_image(mask: &Mask, rows: &[&Annotation], policy: Policy) {
    let (raster, contested) = painted(rows, policy);
    assert_eq!(mask.raster(), raster, "{} under {policy}", mask.image);
    assert_eq!(mask.policy, policy.name());
    let pixels = u64::from(mask.height) * u64::from(mask.width);
    assert_eq!(mask.lengths.iter().map(|length| u64::from(*length)).sum::<u64>(), pixels);
    assert!(mask.classes.windows(2).all(|pair| pair[0] != pair[1]), "neighbours differ");
    assert_eq!(mask.class_pixels.iter().sum::<u64>(), pixels, "visible and background make the image");
    assert!(mask.class_ids.is_sorted());
    for ((class, visible), annotated) in mask.class_ids.iter().zip(&mask.class_pixels).zip(&mask.class_annotated) {
        assert_eq!(*visible, raster.iter().filter(|value| *value == class).count() as u64);
        assert!(matches!(class, 0 | 255) || visible <= annotated, "no class grows");
    }
    assert!((f64::from(mask.conflicted) - contested as f64 / pixels as f64).abs() < 1e-6);
    assert_eq!(mask.rows as usize, rows.len());
}

#[test]
fn every_policy_paints_what_a_raster_does() {
    let bench = ingested(&random_rows(1, 500, 9));
    let annotations = bench.annotations();
    for (_, policy) in Policy::ALL {
        merge(&bench, &all(policy)).unwrap();
        let masks = bench.masks();
        assert_eq!(masks.len(), 500);
        for mask in &masks {
            let rows: Vec<&Annotation> = annotations.iter().filter(|row| row.image == mask.image).collect();
            check_image(mask, &rows, policy);
        }
    }
}

#[test]
fn b58_three_hundred_masks_are_merged_like_three() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let mut rows = String::new();
    for row in 0..300_u32 {
        let (start, length) = (1 + random.next_u32() % 2400, 1 + random.next_u32() % 100);
        writeln!(rows, "a,{start} {length},50,50,{},", row % 46).unwrap();
    }
    let bench = ingested(&rows);
    let annotations = bench.annotations();
    assert!(annotations.len() > 290, "hardly a mask repeats another");
    for (_, policy) in Policy::ALL {
        merge(&bench, &all(policy)).unwrap();
        check_image(&bench.masks()[0], &annotations.iter().collect::<Vec<_>>(), policy);
    }
}

#[test]
fn b57_an_image_of_parts_alone_is_background_under_the_main_classes() {
    let settings = Settings::default();
    assert_eq!((settings.classes.clone(), settings.policy), (Classes::Main, Policy::SmallOnTop));
    let (bench, masks) = merged("a,1 3,10,8,33,\nb,1 3,10,8,6,\n", &settings);
    assert_eq!((masks[0].classes.clone(), masks[0].lengths.clone(), masks[0].rows), (vec![0], vec![80], 0));
    assert_eq!(masks[1].classes, [7, 0]);
    assert_eq!(bench.facts(&MASKS, "no_main_item"), 1);
}

#[test]
fn b40_an_image_without_masks_is_background() {
    let (_, masks) = merged("a,,10,8,6,\nb,1 3,10,8,6,\n", &all(Policy::SmallOnTop));
    assert_eq!((masks[0].image.as_str(), masks[0].lengths.clone()), ("a", vec![80]));
}

#[test]
fn of_equal_areas_the_later_row_lies_on_top() {
    let (_, masks) = merged("a,1 4,10,8,6,\na,3 4,10,8,7,\n", &all(Policy::SmallOnTop));
    assert_eq!((masks[0].classes.clone(), masks[0].lengths.clone()), (vec![7, 8, 0], vec![2, 4, 74]));
}

#[test]
fn only_the_classes_asked_for_are_merged() {
    let settings = Settings { classes: Classes::List([7, 33].into()), ..Settings::default() };
    let (_, masks) = merged("a,1 4,10,8,6,\na,3 4,10,8,7,\na,20 4,10,8,33,\n", &settings);
    assert_eq!(masks[0].class_ids, [0, 8, 34]);
    assert_eq!(masks[0].rows, 2);
}

/// The same rows in another order, published to a store of its own.
fn permuted(bench: &Bench, seed: u64) -> Bench {
    let batches = bench.batches(&ANNOTATIONS);
    let whole = arrow::compute::concat_batches(&ANNOTATIONS.schema(), &batches).unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<u32> = (0..whole.num_rows() as u32).collect();
    order.sort_by_cached_key(|_| random.next_u64());
    let order = UInt32Array::from(order);
    let columns = whole.columns().iter().map(|column| arrow::compute::take(column, &order, None).unwrap()).collect();
    let shuffled = RecordBatch::try_new(ANNOTATIONS.schema(), columns).unwrap();
    let other = Bench::new("merge");
    let mut publication = Publication::begin(&other.context, (&ANNOTATIONS).into());
    publication.put(part::whole(&ANNOTATIONS, &[shuffled]).unwrap()).unwrap();
    publication.publish(None, Fingerprint::default().with("seed", seed), Default::default()).unwrap();
    other
}

#[test]
fn the_order_of_rows_in_the_table_changes_nothing() {
    let bench = ingested(&random_rows(5, 200, 6));
    let other = permuted(&bench, 6);
    let images = |bench: &Bench| bench.annotations().into_iter().map(|row| row.image).collect::<Vec<_>>();
    let sorted = |mut masks: Vec<Mask>| {
        masks.sort_by(|one, other| one.image.cmp(&other.image));
        masks
    };
    let mut scattered = images(&other);
    scattered.dedup();
    assert!(scattered.len() > 300, "images come back");
    for (_, policy) in Policy::ALL {
        merge(&bench, &all(policy)).unwrap();
        merge(&other, &all(policy)).unwrap();
        assert_eq!(sorted(bench.masks()), sorted(other.masks()), "{policy}");
    }
}

#[test]
fn the_order_of_rows_in_the_source_matters_to_the_order_policies_alone() {
    // No two masks are equally large, so that row numbers decide nothing but the order.
    let rows = ["a,1 10,10,8,6,", "a,6 12,10,8,7,", "a,3 30,10,8,3,"];
    let forth = rows.join("\n") + "\n";
    let back = [rows[2], rows[1], rows[0]].join("\n") + "\n";
    for (_, policy) in Policy::ALL {
        let (one, other) = (merged(&forth, &all(policy)).1, merged(&back, &all(policy)).1);
        let by_order = matches!(policy, Policy::AnnotationOrder | Policy::FirstWins);
        assert_eq!(one[0].raster() != other[0].raster(), by_order, "{policy}");
    }
}

#[test]
fn the_same_annotations_give_the_same_bytes() {
    let bench = ingested(&random_rows(8, 100, 5));
    let checksums = || {
        merge(&bench, &all(Policy::SmallOnTop)).unwrap();
        let manifest = bench.context.tables.current(&MASKS).unwrap().unwrap();
        manifest.parts.into_iter().map(|part| part.blake3).collect::<Vec<_>>()
    };
    assert_eq!(checksums(), checksums());
}

#[test]
fn the_fingerprint_follows_the_annotations_and_the_settings() {
    let bench = ingested("a,1 3,10,8,6,\n");
    let of = |settings: &Settings| merge::fingerprint(settings, &bench.context.tables, &bench.context).unwrap();
    let first = of(&Settings::default());
    assert_eq!(of(&Settings::default()), first);
    assert_eq!(of(&all(Policy::SmallOnTop)).changed_since(&first), ["classes"]);
    assert_eq!(of(&Settings { policy: Policy::FirstWins, ..Settings::default() }).changed_since(&first), ["policy"]);
}

#[test]
fn settings_without_a_meaning_are_refused() {
    let bench = ingested("a,1 3,10,8,6,\n");
    for settings in [
        Settings { policy: Policy::ClassPriority, ..Settings::default() },
        Settings { priority: vec![1], ..Settings::default() },
        Settings { policy: Policy::ClassPriority, priority: vec![1, 1], ..Settings::default() },
        Settings { classes: Classes::List([].into()), ..Settings::default() },
    ] {
        assert!(matches!(merge(&bench, &settings), Err(Error::Usage(_))), "{settings:?}");
    }
    let empty = Bench::new("merge");
    assert!(matches!(merge(&empty, &Settings::default()), Err(Error::Usage(text)) if text.contains("ingest")));
}

#[test]
fn a_class_that_vanishes_below_others_is_told() {
    let (bench, _) = merged("a,1 4,10,8,6,\na,1 3,10,8,7,\n", &all(Policy::AnnotationOrder));
    assert!(bench.heard.has("class 6 loses 75 % of its pixels"));
}

/// One layer: its value, and gaps and lengths of its spans.
type Plan = (u8, Vec<(u32, u32)>);

fn plans(most: usize) -> impl Strategy<Value = Vec<Plan>> {
    let spans = prop::collection::vec((0_u32..9, 1_u32..9), 0..12);
    prop::collection::vec((1_u8..6, spans), 0..most)
}

fn agrees(plans: &[Plan], conflict: Conflict) {
    let pixels = 260;
    let mut layers = Vec::new();
    for (value, spans) in plans {
        let (mut starts, mut lengths, mut edge) = (Vec::new(), Vec::new(), 0);
        for (gap, length) in spans {
            starts.push(edge + gap);
            lengths.push(*length);
            edge += gap + length;
        }
        layers.push((*value, starts, lengths));
    }
    let (mut raster, mut claims) = (vec![0_u8; pixels], vec![0_u64; pixels]);
    for (value, starts, lengths) in layers.iter().rev() {
        for pixel in starts.iter().zip(lengths).flat_map(|(start, length)| *start..start + length) {
            raster[pixel as usize] = *value;
            claims[pixel as usize] |= 1 << value;
        }
    }
    let contested: Vec<bool> = claims.iter().map(|claims| claims.count_ones() > 1).collect();
    if conflict == Conflict::Void {
        raster.iter_mut().zip(&contested).filter(|(_, contested)| **contested).for_each(|(pixel, _)| *pixel = 255);
    }
    let (mut values, mut lengths) = (vec![9], vec![9]);
    let top_first = layers.iter().map(|(value, starts, lengths)| Layer { starts, lengths, value: *value });
    let coverage = Merger::default().merge(top_first, pixels as u32, conflict, &mut values, &mut lengths).unwrap();
    let found: Vec<u8> = values[1..]
        .iter()
        .zip(&lengths[1..])
        .flat_map(|(value, length)| std::iter::repeat_n(*value, *length as usize))
        .collect();
    assert_eq!(found, raster);
    assert!(values[1..].windows(2).all(|pair| pair[0] != pair[1]));
    assert_eq!(coverage.contested, contested.iter().filter(|contested| **contested).count() as u64);
    assert_eq!(coverage.pixels.iter().sum::<u64>(), pixels as u64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_spans_is_painting_from_the_bottom_up(plans in plans(12)) {
        agrees(&plans, Conflict::Top);
        agrees(&plans, Conflict::Void);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn merging_three_hundred_layers_is_painting_from_the_bottom_up(plans in plans(301)) {
        agrees(&plans, Conflict::Top);
        agrees(&plans, Conflict::Void);
    }
}
