//! The commands as a person meets them: mistakes told, one photo through pipes, stores of other versions.

use crate::runs::{code, data, end, files, json, made, rows, selvedge, store, workplace};
use selvedge::table::schema::{ANNOTATIONS, ATTEMPTS, MASKS, QUARANTINE, SPLITS};
use std::fs;
use std::path::Path;
use tempfile::TempDir;

#[test]
fn a_pipeline_file_with_a_mistake_is_refused_before_any_work() {
    let place = workplace();
    let file = place.path().join("night.toml");
    let text = fs::read_to_string(&file).unwrap();
    for (wrong, told) in [
        (text.replace("shard_items", "shard_itmes"), "did you mean shard_items?"),
        (text.replace("kind = \"merge\"", "kind = \"marge\""), "did you mean merge?"),
        (text.replace("shard_items = 3", "shard_items = \"3\""), "must be a whole number"),
        (text.replace("\"cutouts\"", "\"{dat}/x\""), "did you mean date?"),
        (text.replace("kind = \"split\"", "kind = \"merge\""), "two stages are called merge"),
        (text.replace("\"cutouts\"", "\"data/catalog/out\""), "lies within the input"),
    ] {
        fs::write(&file, wrong).unwrap();
        let refused = end(place.path(), &["run", "night.toml"]);
        let stderr = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(code(&refused), 2, "{told}: {stderr}");
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
}

#[test]
fn one_photo_goes_to_one_file_and_through_pipes() {
    let folder = data();
    let out = TempDir::new().unwrap();
    let to = out.path().join("a.png");
    let photo = "data/catalog/product-000000.jpg";
    assert_eq!(code(&end(folder, &["cutout", photo, "--out", to.to_str().unwrap()])), 0);
    let bytes = fs::read(&to).unwrap();
    assert!(bytes.starts_with(b"\x89PNG"));
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 1, "nothing else is written");
    let piped = selvedge(folder, &["cutout", "-", "--out", "-"])
        .stdin(fs::File::open(folder.join(photo)).unwrap())
        .output()
        .unwrap();
    assert_eq!(code(&piped), 0);
    assert_eq!(piped.stdout, bytes);
}

#[test]
fn outputs_that_would_meet_are_refused_and_both_named() {
    let place = workplace();
    let catalog = place.path().join("data/catalog");
    fs::copy(catalog.join("product-000001.jpg"), catalog.join("product-000001.jpeg")).unwrap();
    let refused = end(place.path(), &["cutout", "data/catalog", "--out", "cutouts"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(code(&refused), 2, "{told}");
    assert!(told.contains("product-000001.jpg") && told.contains("product-000001.jpeg"), "{told}");
    assert!(files(&place.path().join("cutouts")).keys().all(|path| !path.to_string_lossy().ends_with(".png")));
    assert_eq!(code(&end(place.path(), &["cutout", "data/catalog", "--out", "cutouts", "--name", "full"])), 0);
}

#[test]
fn every_command_explains_itself() {
    let folder = TempDir::new().unwrap();
    let commands = [
        "run",
        "plan",
        "work",
        "finish",
        "runs",
        "retry",
        "gc",
        "ingest",
        "merge",
        "split",
        "stats",
        "report",
        "cutout",
        "masks",
        "model",
        "sample-data",
        "doctor",
    ];
    for command in commands {
        let help = end(folder.path(), &[command, "--help"]);
        assert_eq!(code(&help), 0, "{command}");
        assert!(help.stdout.len() > 200, "{command}");
    }
    assert_eq!(code(&end(folder.path(), &["cutuot"])), 2);
}

#[test]
fn a_store_of_another_major_version_is_refused_with_2() {
    let place = workplace();
    json(place.path(), 0, &["run", "night.toml"]);
    let manifest = place.path().join("store/masks/_versions/0000000001.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text.replace("masks/1.0", "masks/2.0")).unwrap();
    let refused = end(place.path(), &["run", "night.toml"]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(code(&refused), 2, "{told}");
    assert!(told.contains("masks/2.0"), "{told}");
}

#[test]
fn a_store_of_the_first_release_is_read() {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/store-1.0");
    let found = store(&kept);
    let count = |table| rows(&found, table).iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>();
    assert_eq!(count((&ANNOTATIONS).into()), 34);
    assert_eq!((count((&MASKS).into()), count((&SPLITS).into())), (3, 3));
    assert_eq!((count((&QUARANTINE).into()), count((&ATTEMPTS).into())), (2, 5));
    assert_eq!(
        count(selvedge::stage::tables::Place {
            table: &selvedge::table::schema::LEDGER,
            folder: "ledger/first/cutout"
        }),
        5
    );
    let folder = TempDir::new().unwrap();
    let url = kept.to_str().unwrap();
    assert!(json(folder.path(), 0, &["runs", "list", url])["runs"][0]["outcome"] == "done");
}

#[test]
fn a_list_names_photos_by_key_or_by_url() {
    let out = TempDir::new().unwrap();
    let to = |name: &str| out.path().join(name).to_str().unwrap().to_owned();
    fs::write(to("keys.csv"), "key,note\nproduct-000001.jpg,x\nproduct-000003.jpg,\n").unwrap();
    let by_key = json(data(), 0, &["cutout", "data/catalog", "--inputs", &to("keys.csv"), "--out", &to("by-key")]);
    assert_eq!(made(&by_key), 2);
    let url = data().join("data/catalog/product-000001.jpg");
    fs::write(to("urls.csv"), format!("url\n{}\n", url.display())).unwrap();
    let by_url = json(data(), 0, &["cutout", "--inputs", &to("urls.csv"), "--out", &to("by-url")]);
    assert_eq!(by_url["counts"]["ok"], 1);
    let name = "product-000001.png";
    assert_eq!(
        fs::read(out.path().join("by-key").join(name)).unwrap(),
        fs::read(out.path().join("by-url").join(name)).unwrap()
    );
    fs::write(to("wrong.csv"), "file\na.jpg\n").unwrap();
    let refused = end(data(), &["cutout", "--inputs", &to("wrong.csv"), "--out", &to("x")]);
    assert_eq!(code(&refused), 2);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("no column url or key, only file"), "{refused:?}");
}
