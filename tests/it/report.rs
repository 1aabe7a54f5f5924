//! Reports and their checks as a pipeline runs them: faults planted in the data are found, shown, and stop what they must.

use crate::runs::{code, end, json, rows, selvedge, store};
use selvedge::table::schema::{ANNOTATIONS, MASKS, SPLITS};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

const PIPELINE: &str = r#"
    name = "data"
    store = "store"
    [params]
    accept = ""
    [[stage]]
    kind = "ingest"
    csv = "data/train.csv"
    [[stage]]
    kind = "merge"
    classes = "all"
    [[stage]]
    kind = "split"
    [[stage]]
    kind = "stats"
    photos = "data/train"
    report = "public/page.html"
    accept = ["{accept}"]
"#;

/// Made-up data, drawn once for all tests here.
fn drawn() -> &'static Path {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    DATA.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let words = "sample-data --images 40 --catalog 0 --scenes lookbook --long-side 160 --seed 3 --out data";
        assert_eq!(code(&end(folder.path(), &words.split(' ').collect::<Vec<_>>())), 0);
        folder
    })
    .path()
}

/// A folder with the data and the pipeline, run once.
fn place() -> TempDir {
    let folder = TempDir::new().unwrap();
    for (from, to) in [("data/train", "data/train"), ("data", "data")] {
        fs::create_dir_all(folder.path().join(to)).unwrap();
        for entry in fs::read_dir(drawn().join(from)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), folder.path().join(to).join(entry.file_name())).unwrap();
            }
        }
    }
    fs::write(folder.path().join("data.toml"), PIPELINE).unwrap();
    json(folder.path(), 0, &["run", "data.toml"]);
    folder
}

/// The CSV with only those rows that are wanted: by their fields image id and class.
fn keep_rows(place: &Path, mut wanted: impl FnMut(usize, &str, &str) -> bool) {
    let file = place.join("data/train.csv");
    let text = fs::read_to_string(&file).unwrap();
    let mut lines = text.lines();
    let mut kept = vec![lines.next().unwrap().to_owned()];
    for (row, line) in lines.enumerate() {
        let fields: Vec<&str> = line.splitn(6, ',').collect();
        if wanted(row, fields[0], fields[4]) {
            kept.push(line.to_owned());
        }
    }
    fs::write(file, kept.join("\n") + "\n").unwrap();
}

fn versions(place: &Path) -> Vec<usize> {
    [&ANNOTATIONS, &MASKS, &SPLITS]
        .map(|table| fs::read_dir(place.join("store").join(table.name).join("_versions")).unwrap().count())
        .to_vec()
}

fn page(place: &Path, file: &str) -> String {
    fs::read_to_string(place.join(file)).unwrap()
}

/// The checks that failed by the JSON of `stats`.
fn failed(answer: &Value) -> Vec<&str> {
    let checks = answer["checks"].as_array().unwrap().iter();
    checks.filter(|check| check["outcome"] == "failed").map(|check| check["name"].as_str().unwrap()).collect()
}

#[test]
fn a_report_is_made_and_what_passes_is_promoted() {
    let place = place();
    assert_eq!(versions(place.path()), [1, 1, 1]);
    for file in ["store/stats/report.html", "public/page.html"] {
        let page = page(place.path(), file);
        assert!(page.contains("Class balance") && page.contains("<svg") && page.contains("data:image/jpeg;base64,"));
        assert!(page.contains("No photo in two splits") && !page.contains("<script"));
    }
    let csv = page(place.path(), "public/page-tables/03_class_balance.csv");
    assert_eq!(csv.lines().count(), 47, "a line for each class below the names");
    let waiting = fs::read_dir(place.path().join("store/annotations")).unwrap();
    let names: Vec<_> = waiting.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(!names.contains(&"_staging.json".to_owned()), "{names:?}");
    assert!(json(place.path(), 0, &["run", "data.toml"])["nothing_to_do"].as_bool().unwrap());
}

#[test]
fn a_class_that_vanished_blocks_and_can_be_accepted() {
    let place = place();
    // 18 of 337 rows.
    keep_rows(place.path(), |_, _, class| class != "24");
    let ended = json(place.path(), 4, &["run", "data.toml"]);
    assert_eq!(ended["outcome"], "blocked");
    let told = ended["error"].as_str().unwrap();
    assert!(told.contains("class_not_vanished blocks (1 row)") && told.contains("stats/staging"), "{told}");
    assert_eq!(versions(place.path()), [1, 1, 1], "readers see the tables of before");
    let staged = page(place.path(), "store/stats/staging/report.html");
    let verdict = staged.find("Blocked").or(staged.find("blocked")).unwrap();
    assert!(verdict < staged.find("class_not_vanished").unwrap() && staged.contains("bag, wallet"));
    assert!(!page(place.path(), "public/page.html").contains("locked"), "the page of before stays");

    let again = json(place.path(), 4, &["run", "data.toml"]);
    assert_eq!(again["outcome"], "blocked", "the same data is blocked again");
    let seen = json(place.path(), 4, &["stats", "--data", "store", "--staged", "--only", "class_not_vanished"]);
    assert_eq!(failed(&seen), ["class_not_vanished"]);
    let told = json(place.path(), 0, &["report", "store", "--out", "now.html"]);
    assert_eq!(told["verdict"], "failed", "what is published is fine, and the newest run was blocked all the same");
    let published = json(place.path(), 0, &["stats", "--data", "store"]);
    assert!(!failed(&published).contains(&"class_not_vanished"), "what is published has it still");

    json(place.path(), 0, &["run", "data.toml", "--set", "accept=class_not_vanished"]);
    assert_eq!(versions(place.path()), [2, 2, 2]);
    assert!(!place.path().join("store/stats/staging/report.html").exists());
    let classes = rows(&store(&place.path().join("store")), (&ANNOTATIONS).into());
    assert!(classes.iter().all(|batch| {
        use arrow::array::AsArray;
        batch.column(1).as_primitive::<arrow::datatypes::UInt8Type>().values().iter().all(|class| *class != 24)
    }));
}

#[test]
fn a_quarter_fewer_rows_block() {
    let place = place();
    keep_rows(place.path(), |row, _, _| row % 4 > 0);
    let ended = json(place.path(), 4, &["run", "data.toml"]);
    assert!(ended["error"].as_str().unwrap().contains("rowcount_not_dropped_20pct blocks"), "{ended}");
    let seen = json(place.path(), 0, &["stats", "--data", "store", "--staged", "--only", "33_image_changes"]);
    let changes = &seen["answers"][0]["rows"][0];
    assert_eq!((&changes["change"], &changes["images"]), (&"changed".into(), &40.into()), "against what is published");
    assert!(page(place.path(), "store/stats/staging/report.html").contains("rowcount_not_dropped_20pct"));
}

#[test]
fn a_shifted_share_of_a_class_is_told_and_blocks_nothing() {
    let place = place();
    let mut shoes = 0;
    keep_rows(place.path(), |_, _, class| {
        shoes += usize::from(class == "23");
        class != "23" || shoes % 2 == 0
    });
    json(place.path(), 0, &["run", "data.toml"]);
    assert_eq!(versions(place.path()), [2, 2, 2]);
    let page = page(place.path(), "public/page.html");
    let warned = page.find("Class shares are steady").unwrap();
    assert!(warned < page.find("03_class_balance").unwrap() && page.contains("shoe"), "what fails comes first");
}

#[test]
fn a_photo_that_leaked_into_another_split_blocks() {
    let place = place();
    let splits = rows(&store(&place.path().join("store")), (&SPLITS).into());
    let of = |split: &str| -> String {
        use arrow::array::AsArray;
        let batch = &splits[0];
        let (ids, splits) = (batch.column(0).as_string::<i32>(), batch.column(1).as_string::<i32>());
        (0..batch.num_rows()).find(|row| splits.value(*row) == split).map(|row| ids.value(row).to_owned()).unwrap()
    };
    let photo = |id: &str| place.path().join(format!("data/train/{id}.jpg"));
    fs::copy(photo(&of("train")), photo(&of("test"))).unwrap();
    // The split looks at no photos here, so it cannot keep the two together.
    let ended = json(place.path(), 4, &["run", "data.toml"]);
    let told = ended["error"].as_str().unwrap();
    assert!(told.contains("no_leak_by_hash blocks"), "{told}");
    let staged = page(place.path(), "store/stats/staging/report.html");
    assert!(staged.contains(&of("train")) && staged.contains(&of("test")));

    // One that does mends it.
    let text = PIPELINE.replace("kind = \"split\"", "kind = \"split\"\nphotos = \"data/train\"");
    fs::write(place.path().join("data.toml"), text).unwrap();
    json(place.path(), 0, &["run", "data.toml"]);
}

#[test]
fn a_file_put_into_the_folder_appears_on_the_page() {
    let place = place();
    let sql = place.path().join("questions");
    fs::create_dir_all(sql.join("checks")).unwrap();
    fs::write(
        sql.join("my_own.sql"),
        "-- title: Wide images\n-- question: How many are wider than high?\n-- chart: bars label=wide value=images\n\
         SELECT width > height AS wide, COUNT(*) AS images FROM masks GROUP BY width > height ORDER BY wide",
    )
    .unwrap();
    fs::write(sql.join("checks/never.sql"), "-- severity: warn\n-- advice: look at them\nSELECT image_id FROM masks")
        .unwrap();
    let words = ["report", "store", "--sql", "questions", "--out", "own.html"];
    let told = json(place.path(), 0, &words);
    assert_eq!((told["verdict"].as_str(), failed(&told)), (Some("passed with warnings"), vec!["never"]));
    let page = page(place.path(), "own.html");
    assert!(page.contains("Wide images") && page.contains("look at them") && page.contains("own-tables/my_own.csv"));
    assert!(place.path().join("own-tables/my_own.csv").exists());
    let unknown = selvedge(place.path(), &["report", "store", "--form", "datset"]).output().unwrap();
    assert_eq!(code(&unknown), 2);
    assert_eq!(code(&end(place.path(), &["report", "store", "--run", "20200101T000000.000Z-00000000"])), 2);
}

#[test]
fn a_report_of_cutouts_shows_them() {
    let place = place();
    json(place.path(), 0, &["cutout", "data/train", "--out", "cut", "--limit", "5"]);
    let told = json(place.path(), 0, &["report", "cut/.selvedge", "--out", "cut.html", "--form", "cutouts"]);
    let page = page(place.path(), "cut.html");
    assert!(page.contains("Most doubtful") && page.contains("data:image/png;base64,"), "{}", told["summary"]);
    assert!(!page.contains("id=\"dataset\""));
}

#[test]
fn a_table_that_no_question_names_is_promoted_too() {
    let place = place();
    let sql = place.path().join("questions");
    fs::create_dir_all(&sql).unwrap();
    fs::write(sql.join("n.sql"), "SELECT COUNT(*) AS n FROM masks").unwrap();
    let own = PIPELINE.replace("kind = \"stats\"", "kind = \"stats\"\nsql = \"questions\"");
    fs::write(place.path().join("data.toml"), &own).unwrap();
    json(place.path(), 0, &["run", "data.toml"]);
    fs::write(place.path().join("data.toml"), own.replace("kind = \"split\"", "kind = \"split\"\nseed = 9")).unwrap();
    let ended = json(place.path(), 0, &["run", "data.toml"]);
    assert_eq!(ended["stages"]["stats"], "cached; promoted splits");
    assert_eq!(versions(place.path()), [1, 1, 2]);
    assert!(json(place.path(), 0, &["run", "data.toml"])["nothing_to_do"].as_bool().unwrap());
}
