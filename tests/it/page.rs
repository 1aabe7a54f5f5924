//! The report page as a reader of the library makes it: one of each kind of chart over 46 classes, checks of each kind, pictures.
//! The page stays in the folder of test outputs, where `tests/browser.sh` can be pointed at it.

use selvedge::page::picture::Picture;
use selvedge::page::plot::{Column, Plot, Table};
use selvedge::page::report::{Check, CheckOutcome, Figure, Page, Panel, Part, Section, Severity, Verdict};
use serde_json::{Value, json};
use std::path::Path;

/// Names of the 46 classes.
fn classes() -> Vec<String> {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/table/data/classes.tsv"));
    let name = |line: &str| line.split('\t').nth(1).map(str::to_owned);
    text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_digit())).filter_map(name).collect()
}

/// Numbers that look drawn by lot and are the same each time.
fn lot(seed: u64) -> f64 {
    let mut bits = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x1234_5678_9abc_def1);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
}

fn table(columns: &[(&str, &str)], rows: Vec<Vec<Value>>) -> Table {
    let column = |(name, meaning): &(&str, &str)| Column { name: (*name).to_owned(), meaning: (*meaning).to_owned() };
    Table { columns: columns.iter().map(column).collect(), rows }
}

fn figure(name: &str, title: &str, question: &str, chart: &str, table: Table) -> Figure {
    Figure {
        name: name.to_owned(),
        title: title.to_owned(),
        question: question.to_owned(),
        grain: "one row per class, the most frequent first".to_owned(),
        plot: Plot::parse(chart).unwrap_or_else(|what| panic!("{what}")),
        table,
        notes: Vec::new(),
        command: format!("selvedge stats --data s3://catalog/dataset --only {name}"),
        sql: format!(
            "-- title: {title}\nSELECT name, COUNT(*) AS masks\nFROM annotations\nWHERE area_px < 256 AND name <> '<b>'\nGROUP BY name\nORDER BY masks DESC"
        ),
        csv: Some(format!("csv/{name}.csv")),
    }
}

fn balance() -> Table {
    let rows = classes().into_iter().enumerate().map(|(index, name)| {
        let masks = (46_220.0 / (1.0 + index as f64).powf(1.45) * (0.8 + 0.4 * lot(index as u64))).floor();
        let train = (masks * 0.7).round();
        let val = (masks * 0.2).round();
        let share = (masks / 160_000.0 * 1e5).round() / 1e5;
        let visible = (masks * 20_312.0 * lot(90 + index as u64)).floor();
        vec![
            json!(name),
            json!(masks as u64),
            json!(share),
            json!(visible as u64),
            json!(train as u64),
            json!(val as u64),
            json!((masks - train - val) as u64),
        ]
    });
    let columns = [
        ("name", "the class"),
        ("masks", "annotation rows of the class"),
        ("share", "share of all annotation rows, 0–1"),
        ("visible_px", "pixels after the merge"),
        ("train", "images of the split train with at least one such row"),
        ("val", "the same for val"),
        ("test", "the same for test"),
    ];
    table(&columns, rows.collect())
}

fn lift(names: &[String]) -> Table {
    let mut rows = Vec::new();
    for (at, name) in names.iter().enumerate() {
        for (other_at, other) in names.iter().enumerate() {
            let drawn = lot((at.min(other_at) * 100 + at.max(other_at)) as u64);
            let value = if at == other_at || drawn < 0.06 { Value::Null } else { json!((6.0 * (drawn - 0.55)).exp()) };
            rows.push(vec![json!(name), json!(other), value]);
        }
    }
    table(
        &[
            ("name", "the class"),
            ("other", "the class beside it"),
            ("lift", "how much more often both are in an image than by chance"),
        ],
        rows,
    )
}

fn places() -> Table {
    let mut rows = Vec::new();
    for (index, name) in classes().into_iter().enumerate() {
        let (up, wide) = (4.0 + 24.0 * lot(index as u64), 3.0 + 9.0 * lot(200 + index as u64));
        for y in 0..32 {
            for x in 0..32 {
                let away = ((f64::from(x) - 15.5) / wide).powi(2) + ((f64::from(y) - up) / 5.0).powi(2);
                rows.push(vec![json!(name), json!(y), json!(x), json!(((-away).exp() * 1e4).round() / 1e4)]);
            }
        }
    }
    table(
        &[
            ("name", "the class"),
            ("y", "row of 32"),
            ("x", "column of 32"),
            ("share", "share of its images that have it there"),
        ],
        rows,
    )
}

fn dataset() -> Part {
    let bins: Vec<Vec<Value>> = (0..40_u32)
        .map(|bin| {
            vec![
                json!(format!("{:.3}", f64::from(bin) / 40.0)),
                json!((9000.0 * (-((f64::from(bin) - 22.0) / 9.0).powi(2)).exp()) as u64),
            ]
        })
        .collect();
    let formats = [("JPEG", 45_623, 41_001), ("PNG", 1_233, 800), ("WebP with a long name", 212, 180), ("GIF", 7, 0)];
    let formats = formats.into_iter().map(|(name, one, other)| vec![json!(name), json!(one), json!(other)]).collect();
    let sizes = (0..400).map(|index| {
        let width = (200.0 + 3000.0 * lot(index) * lot(index + 1000)).round();
        vec![
            json!(width as u64),
            json!((width * (0.9 + 0.8 * lot(index + 5000))).round() as u64),
            json!((1.0 + 90.0 * lot(index + 9000).powi(6)).round()),
        ]
    });
    let few: Vec<String> = classes().into_iter().take(10).collect();
    let drift = classes()
        .into_iter()
        .take(12)
        .enumerate()
        .map(|(index, name)| vec![json!(name), json!(((lot(index as u64 + 77) - 0.5) * 0.02 * 1e5).round() / 1e5)]);
    let bars = figure(
        "class_balance",
        "Class balance",
        "How often does each class occur, and how much of it is left after the merge?",
        "bars label=name value=masks scale=log most=46",
        balance(),
    );
    let pixels = figure(
        "pixel_balance",
        "Pixels of the classes",
        "Which classes fill the images?",
        "bars label=name value=visible_px",
        balance(),
    );
    let mut splits = figure(
        "split_balance",
        "Splits",
        "Does every split hold every class?",
        "stacked label=name value=train value=val value=test",
        balance(),
    );
    splits.notes.push("Two classes are in no more than ten images; their shares say little.".to_owned());
    Part {
        id: "dataset".to_owned(),
        title: "Dataset".to_owned(),
        lead: "333 401 annotation rows of 45 623 images, as ingested on Sunday night.".to_owned(),
        numbers: [
            ("images", "45 623"),
            ("masks", "333 401"),
            ("classes", "46"),
            ("background", "61.2 %"),
            ("quarantined", "127"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec(),
        sections: vec![
            Section { title: "Balance".to_owned(), figures: vec![bars, pixels, splits], panels: Vec::new() },
            Section {
                title: "Sizes".to_owned(),
                figures: vec![
                    figure(
                        "background",
                        "Background",
                        "How much of an image is background?",
                        "columns x=share value=images",
                        table(
                            &[
                                ("share", "share of an image that is background, from"),
                                ("images", "images in the range"),
                            ],
                            bins,
                        ),
                    ),
                    figure(
                        "formats",
                        "Formats",
                        "What are the photos?",
                        "columns x=format value=images value=upright scale=log",
                        table(
                            &[
                                ("format", "of the file"),
                                ("images", "images of it"),
                                ("upright", "images higher than wide"),
                            ],
                            formats,
                        ),
                    ),
                    figure(
                        "sizes",
                        "Image sizes",
                        "How large are the images?",
                        "points x=width y=height size=images",
                        table(
                            &[("width", "pixels"), ("height", "pixels"), ("images", "images of that size")],
                            sizes.collect(),
                        ),
                    ),
                ],
                panels: Vec::new(),
            },
            Section {
                title: "Together".to_owned(),
                figures: vec![
                    figure(
                        "cooccurrence",
                        "Classes together",
                        "Which classes are in one image more often than by chance?",
                        "heat row=name column=other value=lift scale=log middle=1",
                        lift(&classes()),
                    ),
                    figure(
                        "cooccurrence_main",
                        "Main items together",
                        "The same for the ten most frequent.",
                        "heat row=name column=other value=lift",
                        lift(&few),
                    ),
                    figure(
                        "places",
                        "Where classes lie",
                        "Where in the image is each class? A garment at the wrong height has the wrong label.",
                        "maps by=name row=y column=x value=share",
                        places(),
                    ),
                ],
                panels: Vec::new(),
            },
            Section {
                title: "Drift".to_owned(),
                figures: vec![figure(
                    "drift",
                    "Shares against yesterday",
                    "Which classes became more or less frequent?",
                    "bars label=name value=change",
                    table(
                        &[("name", "the class"), ("change", "share of all rows today less yesterday's")],
                        drift.collect(),
                    ),
                )],
                panels: Vec::new(),
            },
        ],
    }
}

fn training() -> Part {
    let steps = (0..600_u32).flat_map(|step| {
        [("segmenter-t16", 1.0), ("setr-pup", 1.3)].map(|(model, factor)| {
            let loss = factor * (2.8 * (-f64::from(step) / 160.0).exp() + 0.35)
                + 0.12 * lot(u64::from(step) + if factor > 1.0 { 7000 } else { 0 });
            vec![json!(step * 100), json!(loss), json!(model)]
        })
    });
    let days = (1..=14_u32).map(|day| {
        vec![
            json!(format!("2026-11-{day:02}")),
            json!(9000 + (lot(u64::from(day)) * 900.0) as u64),
            if day == 6 { Value::Null } else { json!(8400 + day * 40) },
        ]
    });
    let grey: Vec<u8> = [
        b"GIF89a".as_slice(),
        &[
            2, 0, 2, 0, 0x80, 0, 0, 90, 140, 190, 255, 255, 255, 0x2c, 0, 0, 0, 0, 2, 0, 2, 0, 0, 2, 3, 0x44, 2, 5, 0,
            0x3b,
        ],
    ]
    .concat();
    Part {
        id: "training".to_owned(),
        title: "Training".to_owned(),
        lead: "Two networks, by the paper's recipe.".to_owned(),
        numbers: vec![("mean IoU".to_owned(), "0.4123".to_owned())],
        sections: vec![
            Section {
                title: "Curves".to_owned(),
                figures: vec![
                    figure(
                        "loss",
                        "Loss",
                        "Does it still fall?",
                        "lines x=step value=loss by=model",
                        table(
                            &[
                                ("step", "of the training"),
                                ("loss", "cross-entropy, nats a pixel"),
                                ("model", "its name"),
                            ],
                            steps.collect(),
                        ),
                    ),
                    figure(
                        "nights",
                        "Nights",
                        "How many cutouts were made each night?",
                        "lines x=date value=items value=ok",
                        table(
                            &[
                                ("date", "night of the run"),
                                ("items", "photos of the night"),
                                ("ok", "cutouts without a doubt"),
                            ],
                            days.collect(),
                        ),
                    ),
                ],
                panels: vec![Panel {
                    title: "Samples".to_owned(),
                    pictures: vec![
                        ("000123.jpg".to_owned(), Picture::of_file("image/gif", &grey, (2, 2))),
                        (
                            "a very long key/of-a-photo/which-goes-on-and-on-and-on/000124.jpg".to_owned(),
                            Picture::of_file("image/gif", &grey, (2, 2)),
                        ),
                        (
                            "000125.jpg".to_owned(),
                            Picture::Absent("the photo is not in the bucket any more".to_owned()),
                        ),
                    ],
                    legend: vec![
                        ("#0b62a4".to_owned(), "shirt, blouse".to_owned()),
                        ("#c2410c".to_owned(), "shoe".to_owned()),
                    ],
                    detail: "Photo with its masks.".to_owned(),
                }],
            },
            Section {
                title: String::new(),
                figures: vec![
                    figure(
                        "nothing",
                        "Photos that were lost",
                        "Which photos are gone since yesterday?",
                        "bars label=key value=size",
                        table(&[("key", "of the photo"), ("size", "bytes")], Vec::new()),
                    ),
                    figure(
                        "runs",
                        "Runs",
                        "What was run?",
                        "none",
                        table(
                            &[("run", ""), ("outcome", "")],
                            vec![
                                vec![json!("20261122T0215Z-a1"), json!("passed")],
                                vec![json!("20261123T0215Z-b2"), json!("blocked")],
                            ],
                        ),
                    ),
                ],
                panels: Vec::new(),
            },
        ],
    }
}

fn check(name: &str, severity: Severity, outcome: CheckOutcome, rows: u64) -> Check {
    let shown = (0..rows.min(30))
        .map(|row| vec![json!(format!("{row:08}.jpg")), json!("train test"), json!(row * 7919)])
        .collect();
    Check {
        name: name.to_owned(),
        title: name.replace('_', " "),
        question: "Is a photo, or one of equal bytes, in more than one split?".to_owned(),
        severity,
        outcome,
        advice: "Run the split again, so that groups of duplicates stay together.".to_owned(),
        table: table(
            &[("image_id", "photo"), ("splits", "splits that hold it"), ("area_px", "its masks, pixels")],
            shown,
        ),
        rows,
        command: format!("selvedge stats --data s3://catalog/dataset --check {name}"),
        csv: Some(format!("csv/checks/{name}.csv")),
    }
}

fn page() -> Page {
    let texts = |all: &[(&str, &str)]| {
        all.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect::<Vec<_>>()
    };
    Page {
        title: "Fashion catalogue".to_owned(),
        made: "2026-11-23 02:15 UTC".to_owned(),
        source: "s3://catalog/dataset".to_owned(),
        verdict: Verdict::Blocked,
        summary: "45 623 images, 333 401 masks, 127 quarantined; 3 % fewer rows than yesterday.".to_owned(),
        facts: texts(&[
            ("run", "20261123T0215Z-b2"),
            ("input", "train.csv, 8d4f…21 (2.1 GB)"),
            ("code", "selvedge 0.1.0"),
            ("policy", "small-on-top"),
            ("baseline", "2026-11-01"),
        ]),
        checks: vec![
            check("masks_fit_image", Severity::Block, CheckOutcome::Passed, 0),
            check("class_share_drift", Severity::Warn, CheckOutcome::Failed, 2),
            check(
                "no_near_duplicates",
                Severity::Warn,
                CheckOutcome::NotAsked("table images is not in the store".to_owned()),
                0,
            ),
            check("no_leak_by_hash", Severity::Block, CheckOutcome::Failed, 1234),
            check("class_ids_known", Severity::Block, CheckOutcome::Passed, 0),
        ],
        parts: vec![dataset(), training()],
        reproduce: texts(&[
            ("This page", "selvedge report pipelines/dataset-stats.toml --out report.html"),
            ("The tables", "selvedge run pipelines/dataset-stats.toml --set date=2026-11-23"),
        ]),
    }
}

#[test]
fn a_page_of_every_kind_of_chart_is_one_small_file_that_needs_nothing() {
    let html = page().html();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("page");
    std::fs::create_dir_all(&folder).expect("a folder for the page");
    std::fs::write(folder.join("report.html"), &html).expect("the page is written");
    assert_eq!(html.matches("role=\"img\"").count(), 13, "a chart each, and one that says that there are no rows");
    assert!(!html.contains("No chart:"), "all of them could be drawn");
    for word in ["http:", "https:", "<script", "<link", "@import", "url(", "NaN", "inf\""] {
        assert!(!html.contains(word), "{word}");
    }
    assert!(html.len() < 1_500_000, "{} bytes", html.len());
}
