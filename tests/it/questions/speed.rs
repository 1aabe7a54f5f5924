//! How much processor time the questions take at the size of the real data. Must not know what they ask.

use super::answer::{ask, rows};
use super::header::files;
use super::tables::{Rows, frames};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use std::io::Write as _;

const IMAGES: u64 = 45_623;
const ROWS: u64 = 333_401;

/// Numbers that look random, the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn cpu_seconds() -> f64 {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

/// The id of an image: 32 hexadecimal digits, as in the real file.
fn id(image: u64) -> String {
    format!("{:032x}", u128::from(image).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835))
}

/// Masks of a class in one image: its rows and their pixels.
type Shown = std::collections::BTreeMap<u8, u64>;

fn real_size() -> Rows {
    let (mut dice, mut tables) = (Dice(7), Rows::new());
    let (mut annotations, mut masks, mut splits, mut images) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut row = 0;
    for image in 0..IMAGES {
        let (id, height, width) = (id(image), 400 + dice.below(3000), 300 + dice.below(2000));
        let rows = (ROWS * (image + 1) / IMAGES) - (ROWS * image / IMAGES);
        let mut shown = Shown::new();
        for _ in 0..rows {
            row += 1;
            let class = (dice.below(46) * dice.below(46) / 46) as u8;
            let (left, top) = (dice.below(width - 1), dice.below(height - 1));
            let (right, bottom) = (left + 1 + dice.below(width - left), top + 1 + dice.below(height - top));
            let area = (right - left) * (bottom - top) / 40 + 1;
            let tags: Vec<u64> = (0..dice.below(5)).map(|_| dice.below(235)).collect();
            let notes = if dice.below(50) == 0 { vec!["clipped"] } else { Vec::new() };
            *shown.entry(class).or_default() += area;
            let spans = 1 + dice.below(2000);
            annotations
                .push(json!([id, class, tags, height, width, area, row, notes, spans, left, top, right, bottom]));
        }
        let claimed: u64 = shown.values().sum();
        let background = (height * width).saturating_sub(claimed);
        let values: Vec<u64> = std::iter::once(0).chain(shown.keys().map(|class| u64::from(*class) + 1)).collect();
        let pixels: Vec<u64> = std::iter::once(background).chain(shown.values().copied()).collect();
        let annotated: Vec<u64> = std::iter::once(0).chain(shown.values().copied()).collect();
        masks.push(json!([id, height, width, "small-on-top", values, pixels, annotated, 0.01, rows]));
        splits.push(json!([
            id,
            (["train", "val", "test"][[0, 0, 0, 0, 0, 0, 0, 1, 1, 2][dice.below(10) as usize]]),
            id
        ]));
        images.push(photo(&id, height, width, image, &mut dice));
    }
    tables.insert("annotations".to_owned(), annotations);
    tables.insert("masks".to_owned(), masks);
    tables.insert("splits".to_owned(), splits);
    tables.insert("images".to_owned(), images);
    tables.insert("overlaps".to_owned(), pairs(&mut dice));
    tables.insert("grids".to_owned(), cells(&mut dice));
    tables.insert("stats".to_owned(), super::faults::fixture()["stats"].clone());
    tables.insert("ledger".to_owned(), many(&super::faults::fixture()["ledger"]));
    tables.insert("attempts".to_owned(), many(&super::faults::fixture()["attempts"]));
    tables
}

fn photo(id: &str, height: u64, width: u64, image: u64, dice: &mut Dice) -> Value {
    let key = format!("train/{id}.jpg");
    let share = |dice: &mut Dice| dice.below(1000) as f64 / 1000.0;
    let colour = format!("#{:06x}", dice.below(1 << 24));
    json!([
        key,
        id,
        format!("e-{image}"),
        20_000 + dice.below(900_000),
        height,
        width,
        "jpeg",
        null,
        null,
        1,
        null,
        "rgb",
        8,
        50 + dice.below(50),
        format!("{:064x}", if image % 50 == 1 { image - 1 } else { image }),
        share(dice),
        share(dice),
        dice.below(4000) as f64,
        share(dice) * 8.0,
        share(dice),
        share(dice),
        colour,
        key,
        null
    ])
}

fn pairs(dice: &mut Dice) -> Vec<Value> {
    let pair = |at: u64, dice: &mut Dice| {
        let images = 1 + dice.below(9000);
        json!([at / 46, at % 46, images, dice.below(images), dice.below(1 << 30), dice.below(1 << 29)])
    };
    (0..46 * 46).map(|at| pair(at, dice)).collect()
}

fn cells(dice: &mut Dice) -> Vec<Value> {
    (0..46 * 1024).map(|at| json!([at / 1024, at / 32 % 32, at % 32, dice.below(1000) as f64 / 1000.0])).collect()
}

/// The rows again and again under other keys, as many as there are images.
fn many(rows: &[Value]) -> Vec<Value> {
    let key = if rows[0][2] == "r3" { 3 } else { 2 };
    let one = |image: u64| {
        let mut row = rows[image as usize % rows.len()].clone();
        row[key] = json!(format!("train/{}.jpg", id(image)));
        row
    };
    (0..IMAGES).map(one).collect()
}

/// `cargo test --release --test it questions::speed -- --ignored --nocapture` prints the seconds of each file.
#[test]
#[ignore = "measures, and takes a gigabyte: run by hand when a question has changed"]
fn the_questions_at_real_size() {
    let tables = frames(&real_size());
    let mut taken = Vec::new();
    for file in files() {
        let before = cpu_seconds();
        let answer = ask(&file, &tables);
        taken.push((cpu_seconds() - before, file.name.clone(), answer.height()));
        if file.name == "03_class_balance" {
            assert_eq!(rows(&answer).iter().map(|row| row[3].as_u64().unwrap()).sum::<u64>(), ROWS);
        }
    }
    taken.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut out = std::io::stderr().lock();
    writeln!(out, "{:.2} CPU s in all", taken.iter().map(|(seconds, ..)| seconds).sum::<f64>()).unwrap();
    for (seconds, name, rows) in taken {
        writeln!(out, "{seconds:8.3} {name} ({rows} rows)").unwrap();
    }
}
