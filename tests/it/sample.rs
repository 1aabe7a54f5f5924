//! `sample-data`: the drawn data set has the exact form of the real one, and its masks and mattes are true.

#![allow(clippy::unwrap_used)]

use selvedge::cancel::{Cancel, Cause};
use selvedge::event::{Events, Silent};
use selvedge::stage::sample::{self, Error, Kind, Scenes, Settings, Summary};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};

type Files = BTreeMap<String, Vec<u8>>;

fn settings(images: u64, catalog: u64, seed: u64) -> Settings {
    Settings { images, catalog, seed, long_side: Some(240), scenes: Scenes::Mixed }
}

fn drawn(settings: &Settings, threads: usize) -> (Files, Summary) {
    let files = Mutex::new(Files::new());
    let write = |name: &str, bytes: &[u8]| {
        assert!(files.lock().unwrap().insert(name.to_string(), bytes.to_vec()).is_none(), "{name} is written twice");
        Ok(())
    };
    let events: Events = Arc::new(Silent);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let summary = pool.install(|| sample::run(settings, write, &events, &Cancel::default())).unwrap();
    (files.into_inner().unwrap(), summary)
}

struct Row {
    id: String,
    /// 0-based, column-major.
    pixels: Vec<usize>,
    height: usize,
    width: usize,
    class: usize,
    attributes: Vec<u16>,
}

fn rows(files: &Files) -> Vec<Row> {
    let mut reader = csv::Reader::from_reader(&files["train.csv"][..]);
    assert_eq!(
        reader.headers().unwrap().iter().collect::<Vec<_>>(),
        ["ImageId", "EncodedPixels", "Height", "Width", "ClassId", "AttributesIds"]
    );
    let row = |record: csv::StringRecord| {
        let numbers: Vec<usize> = record[1].split(' ').map(|n| n.parse().unwrap()).collect();
        assert!(numbers.len().is_multiple_of(2) && !numbers.is_empty());
        let pixels = numbers.chunks(2).flat_map(|run| run[0] - 1..run[0] - 1 + run[1]).collect::<Vec<_>>();
        assert!(pixels.windows(2).all(|two| two[0] < two[1]), "runs rise and do not meet");
        Row {
            id: record[0].to_string(),
            pixels,
            height: record[2].parse().unwrap(),
            width: record[3].parse().unwrap(),
            class: record[4].parse().unwrap(),
            attributes: record[5].split(',').filter(|text| !text.is_empty()).map(|id| id.parse().unwrap()).collect(),
        }
    };
    reader.records().map(|record| row(record.unwrap())).collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_on_one_thread_and_on_two() {
    let (one, first) = drawn(&settings(6, 4, 3), 1);
    let (two, second) = drawn(&settings(6, 4, 3), 2);
    assert!(one == two && first == second);
    let (other, _) = drawn(&settings(6, 4, 4), 2);
    assert_ne!(one["train.csv"], other["train.csv"]);
}

#[test]
fn a_picture_does_not_depend_on_how_many_others_there_are() {
    let (few, _) = drawn(&settings(2, 1, 3), 1);
    let (many, _) = drawn(&settings(5, 3, 3), 1);
    let pictures = few.iter().filter(|(name, _)| name.ends_with("jpg") || name.ends_with("png"));
    for (name, bytes) in pictures {
        assert!(many[name] == *bytes, "{name}");
    }
}

#[test]
fn rows_have_the_form_of_the_real_file_and_fit_their_photos() {
    let (files, summary) = drawn(&settings(12, 0, 5), 2);
    let rows = rows(&files);
    assert_eq!(rows.len() as u64, summary.rows);
    assert_eq!(summary.instances.iter().sum::<u64>(), summary.rows);
    let text = String::from_utf8(files["train.csv"].clone()).unwrap();
    assert!(text.lines().any(|line| line.ends_with('"')) && text.lines().any(|line| line.ends_with(',')));
    let ids: HashSet<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    assert_eq!(ids.len(), 12, "every photo has a row");
    for row in &rows {
        assert!(row.id.len() == 32 && row.id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')));
        let photo = image::load_from_memory(&files[&format!("train/{}.jpg", row.id)]).unwrap();
        assert_eq!((photo.width() as usize, photo.height() as usize), (row.width, row.height));
        assert!(*row.pixels.last().unwrap() < row.width * row.height);
        assert!(row.class < 46);
        assert!(row.attributes.windows(2).all(|two| two[0] < two[1]));
    }
}

#[test]
fn label_descriptions_name_every_class_and_attribute_that_rows_use() {
    let (files, _) = drawn(&settings(12, 0, 6), 2);
    let labels: serde_json::Value = serde_json::from_slice(&files["label_descriptions.json"]).unwrap();
    let ids = |list: &str| -> HashSet<u64> {
        labels[list].as_array().unwrap().iter().map(|e| e["id"].as_u64().unwrap()).collect()
    };
    let (categories, attributes) = (ids("categories"), ids("attributes"));
    assert_eq!((categories.len(), attributes.len()), (46, 294));
    assert_eq!(labels["categories"][0]["name"], "shirt, blouse");
    assert_eq!(labels["categories"][23]["level"], 2);
    assert_eq!(labels["attributes"][293]["id"], 340);
    assert_eq!(labels["attributes"][293]["level"], 1);
    assert!(labels["info"]["year"].is_u64());
    for row in rows(&files) {
        assert!(row.attributes.iter().all(|id| attributes.contains(&u64::from(*id))), "{:?}", row.attributes);
    }
}

#[test]
fn parts_lie_on_a_garment_of_their_photo() {
    let (files, _) = drawn(&settings(12, 0, 7), 2);
    let rows = rows(&files);
    let mut garments: HashMap<&str, HashSet<usize>> = HashMap::new();
    for row in rows.iter().filter(|row| row.class < 27) {
        garments.entry(&row.id).or_default().extend(&row.pixels);
    }
    let parts: Vec<&Row> = rows.iter().filter(|row| row.class >= 27).collect();
    assert!(parts.len() > 40);
    for part in parts {
        let inside = part.pixels.iter().filter(|pixel| garments[part.id.as_str()].contains(pixel)).count();
        assert_eq!(inside, part.pixels.len(), "class {}", part.class);
    }
}

#[test]
fn a_matte_has_the_size_of_its_photo_and_soft_edges() {
    let (files, _) = drawn(&settings(0, 4, 8), 2);
    let mattes: Vec<&String> = files.keys().filter(|name| name.starts_with("catalog-mattes/")).collect();
    assert_eq!(mattes.len(), 4);
    for name in mattes {
        let matte = image::load_from_memory(&files[name]).unwrap();
        let photo = name.replace("catalog-mattes", "catalog").replace("png", "jpg");
        let photo = image::load_from_memory(&files[&photo]).unwrap();
        assert_eq!(matte.color(), image::ColorType::L8);
        assert_eq!((matte.width(), matte.height()), (photo.width(), photo.height()));
        let values = matte.into_bytes();
        let count = |range: std::ops::RangeInclusive<u8>| values.iter().filter(|v| range.contains(v)).count();
        assert!(count(0..=0) > 0 && count(255..=255) > 0 && count(1..=254) > 100, "{name}");
    }
    assert!(rows(&files).is_empty(), "photos of the catalogue have no rows");
}

#[test]
fn masks_cover_what_the_matte_says_is_garment() {
    for number in 0..12 {
        let picture = sample::draw(9, number, Kind::Mixed, Some(320));
        let mut covered = vec![false; picture.width * picture.height];
        for instance in picture.instances.iter().filter(|instance| instance.class < 27) {
            let area: f64 = instance.cover.alpha.iter().map(|alpha| f64::from(*alpha) / 255.0).sum();
            let mut pixels = 0;
            for (start, length) in instance.cover.spans(picture.height) {
                pixels += length;
                (start..start + length)
                    .for_each(|at| covered[at % picture.height * picture.width + at / picture.height] = true);
            }
            assert!(
                (area - pixels as f64).abs() < 0.06 * area + 30.0,
                "class {}: {area} against {pixels}",
                instance.class
            );
        }
        let rendered: f64 = picture.matte.iter().map(|alpha| f64::from(*alpha) / 255.0).sum();
        let masked = covered.iter().filter(|hit| **hit).count() as f64;
        assert!((rendered - masked).abs() < 0.03 * rendered + 60.0, "picture {number}: {rendered} against {masked}");
        let wrong = covered
            .iter()
            .zip(&picture.matte)
            .filter(|(hit, alpha)| **hit && **alpha < 64 || !**hit && **alpha > 250)
            .count();
        assert!((wrong as f64) < 0.01 * rendered + 40.0, "picture {number}: {wrong} pixels apart");
    }
}

#[test]
fn every_main_class_appears_in_500_photos_and_shoes_lead() {
    let mut counts = [0_usize; 46];
    for number in 0..500 {
        for instance in sample::draw(1, number, Kind::Mixed, Some(160)).instances {
            counts[usize::from(instance.class)] += 1;
        }
    }
    assert!(counts[..27].iter().all(|count| *count > 0), "{counts:?}");
    assert!(counts[..27].iter().all(|count| *count <= counts[23]), "{counts:?}");
}

#[test]
fn a_lookbook_shows_one_whole_figure_and_many_classes_before_light_paper() {
    let mut photos_with = [0_usize; 27];
    for number in 0..60 {
        let picture = sample::draw(1, number, Kind::Lookbook, Some(320));
        assert_eq!((picture.width, picture.height), (160, 320));
        let mut here = [0_usize; 27];
        for garment in picture.instances.iter().filter(|instance| instance.class < 27) {
            here[usize::from(garment.class)] += 1;
            let (top, bottom) = (garment.cover.y, garment.cover.y + garment.cover.height);
            assert!(top > 0 && bottom < picture.height, "photo {number}: class {} is cut off", garment.class);
        }
        // Shoes come one a foot; of all else one person wears one.
        let worn: Vec<usize> = (0..27).filter(|class| here[*class] > 0).collect();
        assert!(worn.iter().all(|class| here[*class] <= if *class == 23 { 2 } else { 1 }), "photo {number}: {here:?}");
        worn.iter().for_each(|class| photos_with[*class] += 1);
        // Nothing of the paper at the top of the photo is dark.
        let paper = &picture.rgb[..picture.width * 3];
        assert!(paper.iter().all(|value| *value > 90), "photo {number}");
    }
    let often = photos_with.iter().filter(|photos| **photos >= 6).count();
    assert!(often >= 8, "{photos_with:?}");
    assert!(photos_with.iter().filter(|photos| **photos > 0).count() <= 10, "{photos_with:?}");
}

#[test]
fn a_lookbook_has_rows_and_catalogue_photos_and_the_same_bytes_for_the_same_seed() {
    let lookbook = Settings { scenes: Scenes::Lookbook, ..settings(4, 2, 3) };
    let (one, first) = drawn(&lookbook, 1);
    let (two, second) = drawn(&lookbook, 2);
    assert!(one == two && first == second);
    assert!(first.rows > 8 && one.keys().filter(|name| name.starts_with("catalog-mattes/")).count() == 2);
    let (mixed, _) = drawn(&settings(4, 2, 3), 2);
    assert_ne!(one["train.csv"], mixed["train.csv"]);
}

#[test]
fn a_full_disk_and_a_wish_to_stop_end_the_work_with_their_cause() {
    let events: Events = Arc::new(Silent);
    let full = |_: &str, _: &[u8]| Err(std::io::Error::from(std::io::ErrorKind::StorageFull));
    let failed = sample::run(&settings(1, 0, 1), full, &events, &Cancel::default());
    assert!(matches!(failed, Err(Error::Write { name, .. }) if name.starts_with("train/")));
    let cancel = Cancel::default();
    cancel.cancel(Cause::Signal);
    let stopped = sample::run(&settings(1, 0, 1), |_, _| Ok(()), &events, &cancel);
    assert!(matches!(stopped, Err(Error::Stopped(Cause::Signal))));
    let tiny =
        sample::run(&Settings { long_side: Some(8), ..settings(1, 0, 1) }, |_, _| Ok(()), &events, &Cancel::default());
    assert!(matches!(tiny, Err(Error::LongSide(8))));
}
