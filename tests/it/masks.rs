//! Class maps: spans against a naive raster, the exported layout, and a shown image.
#![allow(clippy::unwrap_used)]

use crate::split::{Mask, World, masks};
use arrow::array::{RecordBatch, StringArray};
use bytes::Bytes;
use futures::TryStreamExt;
use proptest::prelude::*;
use selvedge::image::raster::{ClassSpans, overlay, palette};
use selvedge::image::{Error as ImageError, encode};
use selvedge::stage::Error;
use selvedge::stage::masks::{ExportSettings, ShowSettings, export, show};
use selvedge::storage::Store;
use selvedge::table::schema::{MASKS, SPLITS};
use std::sync::Arc;

/// Each pixel looked up by itself: row-major from column-major spans.
fn naive(height: u32, width: u32, classes: &[u8], lengths: &[u32]) -> Vec<u8> {
    let line: Vec<u8> =
        classes.iter().zip(lengths).flat_map(|(class, length)| std::iter::repeat_n(*class, *length as usize)).collect();
    let mut map = Vec::new();
    for y in 0..height {
        for x in 0..width {
            map.push(line[(x * height + y) as usize]);
        }
    }
    map
}

/// Spans that cover an image of this size, cut by `cuts`.
fn spans(height: u32, width: u32, cuts: &[(u32, u8)]) -> (Vec<u8>, Vec<u32>) {
    let (mut classes, mut lengths, mut left) = (Vec::new(), Vec::new(), height * width);
    for (length, class) in cuts {
        let length = (*length).min(left);
        if length > 0 {
            classes.push(*class);
            lengths.push(length);
            left -= length;
        }
    }
    if left > 0 {
        classes.push(0);
        lengths.push(left);
    }
    (classes, lengths)
}

fn image() -> impl Strategy<Value = (u32, u32, Vec<u8>, Vec<u32>)> {
    let class = prop_oneof![Just(0_u8), 1..47_u8, Just(255_u8)];
    (1..150_u32, 1..200_u32, prop::collection::vec((1..400_u32, class), 0..60)).prop_map(|(height, width, cuts)| {
        let (classes, lengths) = spans(height, width, &cuts);
        (height, width, classes, lengths)
    })
}

proptest! {
    #[test]
    fn a_raster_is_what_looking_each_pixel_up_gives((height, width, classes, lengths) in image()) {
        let spans = ClassSpans { height, width, classes: &classes, lengths: &lengths };
        prop_assert_eq!(spans.rasterise().unwrap(), naive(height, width, &classes, &lengths));
    }

    #[test]
    fn a_sample_is_the_class_under_the_middle_of_each_pixel(
        (height, width, classes, lengths) in image(), to_width in 1..220_u32, to_height in 1..220_u32,
    ) {
        let full = naive(height, width, &classes, &lengths);
        let mut wanted = Vec::new();
        for y in 0..to_height {
            for x in 0..to_width {
                let source = |to: u32, to_size: u32, size: u32| {
                    ((f64::from(to) + 0.5) * f64::from(size) / f64::from(to_size) + 1e-9).floor() as u32
                };
                wanted.push(full[(source(y, to_height, height) * width + source(x, to_width, width)) as usize]);
            }
        }
        let spans = ClassSpans { height, width, classes: &classes, lengths: &lengths };
        prop_assert_eq!(spans.sample(to_width, to_height).unwrap(), wanted);
    }
}

#[test]
fn a_sample_of_the_full_size_is_the_raster() {
    let (classes, lengths) = spans(131, 67, &[(1000, 3), (131, 0), (77, 255), (4000, 12)]);
    let spans = ClassSpans { height: 131, width: 67, classes: &classes, lengths: &lengths };
    assert_eq!(spans.sample(67, 131).unwrap(), spans.rasterise().unwrap());
}

#[test]
fn spans_that_do_not_cover_the_image_are_refused() {
    for (classes, lengths) in [(vec![1_u8], vec![5_u32]), (vec![1], vec![7]), (vec![1, 2], vec![6]), (vec![], vec![])] {
        let spans = ClassSpans { height: 2, width: 3, classes: &classes, lengths: &lengths };
        for refused in [spans.rasterise(), spans.sample(2, 2)] {
            assert!(matches!(refused, Err(ImageError::Shape { what: "mask spans", .. })), "{classes:?} {lengths:?}");
        }
    }
}

#[test]
fn an_overlay_tints_inside_draws_borders_solid_and_leaves_background_alone() {
    let colours = palette(3);
    #[rustfmt::skip]
    let map = [
        0, 0, 0, 0, 0,
        0, 2, 2, 2, 0,
        0, 2, 2, 2, 0,
        0, 2, 2, 2, 0,
    ];
    let mut rgb = vec![100; map.len() * 3];
    overlay(&mut rgb, &map, 5, &colours).unwrap();
    let pixel = |x: usize, y: usize| [0, 1, 2].map(|channel| rgb[(y * 5 + x) * 3 + channel]);
    assert_eq!(pixel(0, 0), [100, 100, 100]);
    assert_eq!(pixel(1, 1), colours[2], "a border");
    assert_eq!(pixel(3, 2), colours[2], "a border to the right");
    let inner = colours[2].map(|tint| ((u16::from(tint) * 140 + 100 * 116) / 256) as u8);
    assert_eq!(pixel(2, 2), inner);
    assert_eq!(pixel(2, 3), inner, "the edge of the image is no border");
}

fn keys(store: &Store) -> Vec<String> {
    store.wait(store.list("").map_ok(|info| info.key).try_collect()).unwrap()
}

fn text(store: &Store, key: &str) -> String {
    String::from_utf8(store.wait(store.get(key)).unwrap().to_vec()).unwrap()
}

/// The values of a PNG, which must be 8-bit grey.
fn values(store: &Store, key: &str) -> (u32, u32, Vec<u8>) {
    let bytes = store.wait(store.get(key)).unwrap();
    read(&bytes, png::ColorType::Grayscale)
}

fn read(bytes: &[u8], colour: png::ColorType) -> (u32, u32, Vec<u8>) {
    let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
    let mut values = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut values).unwrap();
    assert_eq!((info.color_type, info.bit_depth), (colour, png::BitDepth::Eight));
    (info.width, info.height, values)
}

fn mask(id: &str, height: u32, width: u32, cuts: &[(u32, u8)]) -> Mask {
    let (classes, lengths) = spans(height, width, cuts);
    Mask { id: id.to_owned(), height, width, classes, lengths }
}

fn splits(rows: &[(&str, &str)]) -> RecordBatch {
    let ids = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)));
    let names = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)));
    RecordBatch::try_new(SPLITS.schema(), vec![ids.clone(), names, ids]).unwrap()
}

#[test]
fn class_maps_of_odd_sizes_read_back_as_the_naive_raster() {
    let world = World::new();
    let rows = [
        mask("odd", 37, 131, &[(100, 0), (50, 27), (700, 3), (41, 255), (9, 1)]),
        mask("one", 1, 1, &[(1, 5)]),
        mask("strip", 64, 64, &[(64, 1), (64, 2)]),
        mask("wide", 3, 65, &[(190, 4)]),
        mask("high", 301, 2, &[(300, 255), (2, 6)]),
    ];
    world.publish(&MASKS, &[masks(&rows[..2]), masks(&rows[2..])]);
    let out = world.store();
    let settings = ExportSettings { out: out.clone(), splits: Vec::new() };
    let report = export(&settings, &world.context).unwrap();
    assert_eq!(report.counts.ok, 5);
    for row in &rows {
        let wanted = naive(row.height, row.width, &row.classes, &row.lengths);
        let key = format!("ann_dir/all/{}.png", row.id);
        assert_eq!(values(&out, &key), (row.width, row.height, wanted), "{key}");
    }
    assert_eq!(text(&out, "splits/all.txt"), "high\nodd\none\nstrip\nwide\n");
    let dataset: serde_json::Value = serde_json::from_str(&text(&out, "dataset.json")).unwrap();
    assert_eq!(dataset["classes"].as_array().unwrap().len(), 28, "no part of a garment occurs");
    assert_eq!(dataset["palette"].as_array().unwrap().len(), 28);
    assert_eq!((&dataset["ignore_index"], &dataset["reduce_zero_label"]), (&255.into(), &false.into()));
    assert!(text(&out, "classes.txt").starts_with("background\nshirt, blouse\n"));
}

#[test]
fn each_split_has_its_folder_and_only_those_asked_for_are_written() {
    let world = World::new();
    let rows = [mask("a", 4, 4, &[(3, 1)]), mask("b", 4, 4, &[(3, 46)]), mask("late", 4, 4, &[])];
    world.publish(&MASKS, &[masks(&rows)]);
    world.publish(&SPLITS, &[splits(&[("a", "train"), ("b", "val")])]);
    let all = world.store();
    export(&ExportSettings { out: all.clone(), splits: Vec::new() }, &world.context).unwrap();
    let wanted = [
        "ann_dir/train/a.png",
        "ann_dir/val/b.png",
        "classes.txt",
        "dataset.json",
        "splits/train.txt",
        "splits/val.txt",
    ];
    assert_eq!(keys(&all), wanted);
    assert_eq!(text(&all, "classes.txt").lines().count(), 47, "a part of a garment occurs");

    let one = world.store();
    export(&ExportSettings { out: one.clone(), splits: vec!["val".to_owned()] }, &world.context).unwrap();
    assert_eq!(keys(&one), ["ann_dir/val/b.png", "classes.txt", "dataset.json", "splits/val.txt"]);
    let unknown = export(&ExportSettings { out: one, splits: vec!["vall".to_owned()] }, &world.context);
    assert!(matches!(unknown, Err(Error::Usage(text)) if text.contains("vall")));
}

#[test]
fn a_damaged_row_stops_the_export_and_names_the_image() {
    let world = World::new();
    let mut row = mask("broken", 4, 4, &[(3, 1)]);
    row.lengths[0] += 1;
    world.publish(&MASKS, &[masks(&[row])]);
    let failed = export(&ExportSettings { out: world.store(), splits: Vec::new() }, &world.context);
    assert!(matches!(failed, Err(Error::Failed(text)) if text.contains("broken")));
}

#[test]
fn a_shown_image_has_its_photo_its_mask_and_a_legend() {
    let world = World::new();
    world.publish(&MASKS, &[masks(&[mask("other", 2, 2, &[]), mask("a", 40, 20, &[(200, 0), (400, 1)])])]);
    let photos = world.store();
    let photo = encode::png_rgb(20, 40, &[200; 20 * 40 * 3], None).unwrap();
    photos.wait(photos.put("a.png", Bytes::from(photo))).unwrap();
    let mut settings = ShowSettings { image_id: "a".to_owned(), photos: Some(photos), long_side: 1600 };
    let shown = show(&settings, &world.context).unwrap();
    let (width, height, rgb) = read(&shown.png, png::ColorType::Rgb);
    assert_eq!((width, height, shown.width, shown.height), (20, 40, 20, 40));
    assert_eq!(rgb[..3], [200, 200, 200], "background is the photo");
    let legend: Vec<_> =
        shown.legend.iter().map(|entry| (entry.class, entry.name, entry.pixels, entry.share)).collect();
    assert_eq!(legend, [(0, "background", 400, 0.5), (1, "shirt, blouse", 400, 0.5)]);
    // Columns 5 to 14 are the class: its border solid in the colour of the legend, its inside mixed with the photo.
    let at = |x: usize, y: usize| [0, 1, 2].map(|channel| rgb[(y * 20 + x) * 3 + channel]);
    assert_eq!((at(4, 20), at(5, 20), at(15, 20)), ([200; 3], shown.legend[1].colour, [200; 3]));
    assert!(at(9, 20) != [200; 3] && at(9, 20) != shown.legend[1].colour);

    settings.long_side = 10;
    settings.photos = None;
    let small = show(&settings, &world.context).unwrap();
    let (width, height, rgb) = read(&small.png, png::ColorType::Rgb);
    assert_eq!((width, height, rgb[0]), (5, 10, 40));
    assert_eq!(small.legend, shown.legend, "counted in the whole image");

    settings.image_id = "absent".to_owned();
    assert!(matches!(show(&settings, &world.context), Err(Error::Usage(text)) if text.contains("absent")));
}
