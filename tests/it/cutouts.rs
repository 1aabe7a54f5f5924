//! What a shop is given: several products of one cutout, doubtful ones kept back, and what becomes of outputs whose photo is
//! gone.

use crate::runs::{code, end, files, json, made};
use selvedge::image::{DecodedImage, Limits, SourceImage, decode};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use tempfile::TempDir;

/// Small photos, drawn once for all tests.
fn drawn() -> &'static Path {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    DATA.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let words =
            ["sample-data", "--images", "1", "--catalog", "4", "--long-side", "240", "--seed", "3", "--out", "data"];
        assert_eq!(code(&end(folder.path(), &words)), 0);
        folder
    })
    .path()
}

/// A folder with `photos/`: so many copies of the drawn ones under names of their own.
fn workplace(count: usize) -> TempDir {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("photos")).unwrap();
    let mut from: Vec<_> =
        fs::read_dir(drawn().join("data/catalog")).unwrap().map(|entry| entry.unwrap().path()).collect();
    from.retain(|path| path.extension().is_some_and(|extension| extension == "jpg"));
    from.sort();
    for at in 0..count {
        fs::copy(&from[at % from.len()], folder.path().join(format!("photos/{at:02}.jpg"))).unwrap();
    }
    folder
}

/// Nothing is doubtful.
const CONTENT: &str = "min_coverage=0,max_coverage=1,max_border_contact=1,max_soft_share=1,min_confidence=0,min_sharpness=0,\
                       max_components=100000,max_holes=100000";

fn cutout(folder: &Path, expected: i32, more: &[&str]) -> Value {
    let mut words = vec!["cutout", "photos/", "--out", "shop"];
    words.extend(more);
    json(folder, expected, &words)
}

fn picture(path: &Path) -> DecodedImage {
    decode(&SourceImage { bytes: fs::read(path).unwrap().into() }, &Limits::default()).unwrap()
}

fn shop(folder: &Path) -> BTreeSet<String> {
    let all = files(&folder.join("shop")).into_keys().map(|path| path.to_str().unwrap().to_owned());
    all.filter(|path| !path.starts_with(".selvedge/")).collect()
}

#[test]
fn several_products_come_of_one_cutout() {
    let place = workplace(1);
    let folder = place.path();
    let outputs =
        ["name=clear", "name=white,form=jpeg,quality=92", "name=mask,content=mask", "name=web,form=webp,crop=true"];
    let words: Vec<&str> =
        outputs.iter().flat_map(|output| ["--output", *output]).chain(["--review", CONTENT]).collect();
    let result = cutout(folder, 0, &words);
    assert_eq!(result["counts"]["ok"], 1, "{result}");
    let made = ["clear/00.png", "mask/00.png", "web/00.webp", "white/00.jpg"];
    assert_eq!(shop(folder), made.iter().map(|name| (*name).to_owned()).collect());
    let [clear, mask, web, white] = made.map(|name| picture(&folder.join("shop").join(name)));
    let alpha = clear.alpha.clone().unwrap();
    assert_eq!(mask.rgb.iter().step_by(3).copied().collect::<Vec<_>>(), alpha, "the mask is the cutout's alpha");
    assert!(
        web.width <= clear.width && web.height <= clear.height && web.width * web.height < clear.width * clear.height
    );
    let source = picture(&folder.join("photos/00.jpg"));
    assert_eq!((white.width, white.height), (source.width, source.height));
    let background = alpha.iter().zip(white.rgb.chunks_exact(3)).filter(|(alpha, _)| **alpha == 0);
    let far = background.filter(|(_, colour)| *colour == [255; 3]).count();
    assert!(far * 10 > alpha.iter().filter(|alpha| **alpha == 0).count() * 9, "white is exact but beside the subject");
    let again = cutout(folder, 0, &words);
    assert_eq!(again["nothing_to_do"], true, "{again}");
}

#[test]
fn one_photo_becomes_what_the_file_s_name_says() {
    let place = workplace(1);
    let folder = place.path();
    for (name, form) in
        [("a.jpg", &b"\xff\xd8\xff"[..]), ("a.webp", b"RIFF"), ("a.tiff", b"II*\0"), ("a.png", b"\x89PNG")]
    {
        let result = json(folder, 0, &["cutout", "photos/00.jpg", "--out", name, "--edges", "shrink=0.5,feather=0.5"]);
        assert_eq!(result["outcome"], "done", "{result}");
        assert!(fs::read(folder.join(name)).unwrap().starts_with(form), "{name}");
    }
    let wrong = json(folder, 2, &["cutout", "photos/00.jpg", "--out", "a.png", "--output", "preset=amazon-main"]);
    assert!(wrong["error"].as_str().unwrap().contains(".jpg"), "{wrong}");
}

#[test]
fn outputs_that_would_meet_or_cannot_be_are_refused_before_any_work() {
    let place = workplace(1);
    for (words, wanted) in [
        (["--output", "form=png", "--output", "form=jpeg"], "need a name"),
        (["--output", "name=a", "--output", "name=a,form=jpeg"], "two outputs"),
        (["--output", "name=../a", "--output", "name=b"], "letters"),
        (["--output", "form=jpeg,background=clear,name=a", "--edges", "none"], "transparency"),
        (["--output", "quality=90", "--edges", "none"], "quality"),
        (["--edges", "soft", "--review", ""], "default"),
        (["--edges", "none", "--review", "min_covrage=0.1"], "min_coverage"),
    ] {
        let result = cutout(place.path(), 2, &words);
        assert!(result["error"].as_str().unwrap().contains(wanted), "{words:?}: {result}");
    }
    assert!(!place.path().join("shop").exists());
}

#[test]
fn a_doubtful_cutout_goes_to_review_and_not_to_the_shop() {
    let place = workplace(2);
    let folder = place.path();
    let result = cutout(folder, 0, &["--review", "to=look,max_coverage=0.001"]);
    assert_eq!((&result["counts"]["review"], &result["counts"]["ok"]), (&Value::from(2), &Value::from(0)), "{result}");
    assert!(shop(folder).is_empty(), "{:?}", shop(folder));
    assert!(folder.join("look/00.png").exists() && folder.join("look/01.png").exists());
    // Wider bounds: they go to the shop, and nothing is left to look at.
    let result = cutout(folder, 0, &["--review", &format!("to=look,{CONTENT}")]);
    assert_eq!(result["counts"]["ok"], 2, "{result}");
    assert_eq!(shop(folder).len(), 2);
    assert!(!folder.join("look/00.png").exists() && !folder.join("look/01.png").exists());
}

#[test]
fn a_product_that_breaks_its_rules_is_looked_at_first() {
    let place = workplace(1);
    let output = "form=jpeg,crop=true,canvas=3000-4000,fill=0.9,rules=long-side 5000-";
    let result = cutout(place.path(), 0, &["--output", output, "--review", &format!("to=look,{CONTENT}")]);
    assert_eq!(result["counts"]["review"], 1, "{result}");
    assert!(place.path().join("look/00.jpg").exists());
}

fn pipeline(folder: &Path, more: &str) {
    let text = format!(
        "name = \"night\"\nstore = \"store\"\n[[stage]]\nkind = \"cutout\"\ninput = \"photos/\"\nout = \"shop\"\n{more}\n\
         [stage.review]\n{}\n",
        CONTENT.replace(',', "\n").replace('=', " = ")
    );
    fs::write(folder.join("night.toml"), text).unwrap();
}

#[test]
fn outputs_of_photos_that_are_gone_stay_or_go_as_the_settings_say() {
    let place = workplace(3);
    let folder = place.path();
    pipeline(folder, "");
    json(folder, 0, &["run", "night.toml"]);
    fs::remove_file(folder.join("photos/00.jpg")).unwrap();
    let kept = json(folder, 0, &["run", "night.toml"]);
    assert!(kept["stages"]["cutout"].as_str().unwrap().contains("1 gone, 1 outputs left"), "{kept}");
    assert!(folder.join("shop/00.jpg.png").exists());
    pipeline(folder, "stale = \"remove\"");
    fs::remove_file(folder.join("photos/01.jpg")).unwrap();
    let gone = json(folder, 0, &["run", "night.toml"]);
    assert!(gone["stages"]["cutout"].as_str().unwrap().contains("1 gone, 1 outputs removed"), "{gone}");
    assert!(!folder.join("shop/01.jpg.png").exists() && folder.join("shop/02.jpg.png").exists());
    assert_eq!(json(folder, 0, &["run", "night.toml"])["nothing_to_do"], true);
}

#[test]
fn an_input_that_is_gone_by_half_does_not_empty_the_shop() {
    let place = workplace(30);
    let folder = place.path();
    pipeline(folder, "stale = \"remove\"");
    json(folder, 0, &["run", "night.toml"]);
    for at in 0..25 {
        fs::remove_file(folder.join(format!("photos/{at:02}.jpg"))).unwrap();
    }
    let refused = json(folder, 4, &["run", "night.toml"]);
    assert!(refused["error"].as_str().unwrap().contains("25 of 30 photos are gone"), "{refused}");
    assert_eq!(shop(folder).len(), 30);
    pipeline(folder, "stale = \"remove\"\nmax_gone = \"90%\"");
    json(folder, 0, &["run", "night.toml"]);
    assert_eq!(shop(folder).len(), 5);
}

#[test]
fn the_nightly_pipeline_fills_a_shop() {
    let place = workplace(3);
    let folder = place.path();
    fs::write(folder.join("photos/torn.jpg"), &fs::read(folder.join("photos/00.jpg")).unwrap()[..400]).unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines/catalog-nightly.toml");
    let sets = ["--set", "bucket=.", "--set", "model=threshold", "--set", "metrics=selvedge.prom"];
    let words: Vec<&str> = ["run", file.to_str().unwrap()].into_iter().chain(sets).collect();
    // One of four is broken, which is more than the limit of 1 %.
    let first = json(folder, 1, &words);
    assert_eq!((made(&first), &first["counts"]["quarantined"]), (3, &Value::from(1)), "{first}");
    let shop: BTreeSet<_> = files(&folder.join("cutouts")).into_keys().collect();
    let looked_at: BTreeSet<_> = files(&folder.join("review")).into_keys().collect();
    for name in ["transparent/00.jpg.png", "main/00.jpg.jpg"].map(Path::new) {
        assert!(shop.contains(name) != looked_at.contains(name), "{name:?} is in the shop or to be looked at");
    }
    assert!(looked_at.contains(Path::new("sheet.html")));
    let told = fs::read_to_string(folder.join("selvedge.prom")).unwrap();
    assert!(told.contains("pipeline=\"catalog-nightly\""), "{told}");
    fs::remove_file(folder.join("photos/torn.jpg")).unwrap();
    let second = json(folder, 0, &words);
    assert_eq!(second["counts"]["cached"], 3, "{second}");
}
