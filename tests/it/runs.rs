//! Runs as their users see them: the program itself on real folders, killed, doubled, stopped, and run again.

use arrow::array::{AsArray, RecordBatch};
use selvedge::cancel::Cancel;
use selvedge::runner::lock;
use selvedge::stage::tables::{Place, Tables};
use selvedge::storage::{Options, Store};
use selvedge::table::schema::{ANNOTATIONS, ATTEMPTS, LEDGER, MASKS, SPLITS};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{LazyLock, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| tokio::runtime::Runtime::new().unwrap());

pub(crate) fn store(path: &Path) -> Store {
    Store::open(path.to_str().unwrap(), &Options::default(), RUNTIME.handle().clone()).unwrap()
}

pub(crate) fn selvedge(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_selvedge"));
    command.current_dir(folder).args(words).args(["--log", "plain"]).stdin(Stdio::null());
    // The library of the project, since the program is run in other folders.
    if std::env::var_os("ORT_DYLIB_PATH").is_none() {
        command.env("ORT_DYLIB_PATH", Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime"));
    }
    command
}

pub(crate) fn end(folder: &Path, words: &[&str]) -> Output {
    selvedge(folder, words).output().unwrap()
}

pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap_or(-1)
}

/// Runs to the end, expects this exit code, and gives the JSON result.
pub(crate) fn json(folder: &Path, expected: i32, words: &[&str]) -> Value {
    let output = selvedge(folder, words).arg("--json").output().unwrap();
    assert_eq!(code(&output), expected, "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// How many cutouts were made, good or doubtful.
pub(crate) fn made(result: &Value) -> u64 {
    ["ok", "review"].iter().filter_map(|outcome| result["counts"][outcome].as_u64()).sum()
}

/// Made-up data, drawn once for all tests.
pub(crate) fn data() -> &'static Path {
    static DATA: OnceLock<TempDir> = OnceLock::new();
    DATA.get_or_init(|| {
        let folder = TempDir::new().unwrap();
        let words = ["sample-data", "--images", "6", "--catalog", "20", "--seed", "7", "--out", "data"];
        assert_eq!(code(&end(folder.path(), &words)), 0);
        folder
    })
    .path()
}

/// A folder with the data, copied with its times so that its etags may differ from other copies', and a pipeline file.
pub(crate) fn workplace() -> TempDir {
    let folder = TempDir::new().unwrap();
    copy(&data().join("data"), &folder.path().join("data"));
    let pipeline = r#"
        name = "night"
        store = "store"
        [[stage]]
        kind = "ingest"
        csv = "data/train.csv"
        [[stage]]
        kind = "merge"
        [[stage]]
        kind = "split"
        [[stage]]
        kind = "cutout"
        input = "data/catalog/"
        out = "cutouts"
        shard_items = 3
    "#;
    fs::write(folder.path().join("night.toml"), pipeline).unwrap();
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// Every file below a folder by its path within, even while others write and remove there.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                found.insert(path.strip_prefix(folder).unwrap().to_owned(), bytes);
            }
        }
    }
    found
}

/// The checksums of a table's parts, in order.
fn parts(store: &Store, place: Place<'_>) -> Vec<String> {
    let version = Tables::new(store.clone()).current_at(place).unwrap();
    version.into_iter().flat_map(|version| version.parts).map(|part| part.blake3).collect()
}

pub(crate) fn rows(store: &Store, place: Place<'_>) -> Vec<RecordBatch> {
    let tables = Tables::new(store.clone());
    let version = tables.current_at(place).unwrap().unwrap();
    tables.scan(place, &version, None).collect::<Result<_, _>>().unwrap()
}

const NIGHT: Place<'static> = Place { table: &LEDGER, folder: "ledger/night/cutout" };

/// The ledger's rows as text, without the run, which differs from one history to another; etags of copies differ too.
fn ledger(store: &Store) -> Vec<String> {
    let mut lines = Vec::new();
    for batch in rows(store, NIGHT) {
        for row in 0..batch.num_rows() {
            let mut line = String::new();
            for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
                if !matches!(field.name().as_str(), "run" | "etag") {
                    line += &format!("{}={:?} ", field.name(), column.slice(row, 1));
                }
            }
            lines.push(line);
        }
    }
    lines
}

pub(crate) fn keys(batches: &[RecordBatch]) -> Vec<String> {
    batches
        .iter()
        .flat_map(|batch| batch.column(0).as_string::<i32>().iter())
        .map(|key| key.unwrap().to_owned())
        .collect()
}

#[test]
fn a_second_run_finds_nothing_to_do_and_a_third_only_what_changed() {
    let place = workplace();
    let first = json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!((&first["nothing_to_do"], &first["counts"]["failed"]), (&false.into(), &0.into()));
    let second = json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!(second["nothing_to_do"], true);
    assert_eq!(second["counts"]["ok"], 0);
    let catalog = place.path().join("data/catalog");
    fs::copy(catalog.join("product-000001.jpg"), catalog.join("product-000000.jpg")).unwrap();
    fs::copy(catalog.join("product-000001.jpg"), catalog.join("zzz new.jpg")).unwrap();
    fs::remove_file(catalog.join("product-000005.jpg")).unwrap();
    let plan = json(place.path(), 0, &["plan", "night.toml"]);
    let cutout = &plan["stages"][3];
    assert_eq!((&cutout["decisions"]["new"], &cutout["decisions"]["source changed"]), (&1.into(), &1.into()), "{plan}");
    assert_eq!((&cutout["gone"], &cutout["cached"]), (&1.into(), &18.into()));
    let why = end(place.path(), &["plan", "night.toml", "--why", "product-000000.jpg"]);
    assert!(String::from_utf8_lossy(&why.stdout).contains("source changed"), "{why:?}");
    let third = json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!((&third["counts"]["ok"], &third["counts"]["cached"]), (&2.into(), &(18 + 3).into()));
    let keys = keys(&rows(&store(&place.path().join("store")), NIGHT));
    assert_eq!(keys.len(), 20);
    assert!(
        keys.is_sorted()
            && keys.contains(&"zzz new.jpg".to_owned())
            && !keys.contains(&"product-000005.jpg".to_owned())
    );
    let cut = fs::read(place.path().join("cutouts/product-000000.jpg.png")).unwrap();
    assert_eq!(cut, fs::read(place.path().join("cutouts/zzz new.jpg.png")).unwrap());
}

#[test]
fn changed_settings_are_named() {
    let place = workplace();
    json(place.path(), 0, &["run", "night.toml"]);
    let file = place.path().join("night.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        text.replace("kind = \"merge\"", "kind = \"merge\"\npolicy = \"first-wins\"")
            .replace("shard_items = 3", "naming = \"stem\""),
    )
    .unwrap();
    let plan = json(place.path(), 0, &["plan", "night.toml"]);
    assert_eq!(plan["stages"][1]["changed"], serde_json::json!(["policy"]));
    assert_eq!(plan["stages"][3]["changed"], serde_json::json!(["naming"]));
    let why = end(place.path(), &["plan", "night.toml", "--why", "product-000000.jpg"]);
    assert!(String::from_utf8_lossy(&why.stdout).contains("settings changed: naming"), "{why:?}");
}

#[test]
fn while_one_run_holds_the_lock_another_leaves_with_5_and_says_who() {
    let place = workplace();
    let held = lock::acquire(&store(&place.path().join("store")), "night", "the-first", &Cancel::default()).unwrap();
    let second = end(place.path(), &["run", "night.toml"]);
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(code(&second), 5, "{told}");
    assert!(told.contains("the-first") && told.contains(&std::process::id().to_string()), "{told}");
    assert!(!place.path().join("cutouts").exists());
    held.release().unwrap();
    assert_eq!(code(&end(place.path(), &["run", "night.toml"])), 0);
}

#[test]
fn of_ten_takers_of_a_dead_holders_lock_exactly_one_wins() {
    let folder = TempDir::new().unwrap();
    let place = store(folder.path());
    for round in 0..10 {
        let name = format!("p{round}");
        // A process that has ended holds the lock: killed before it could give it back.
        let mut dead = Command::new("true").spawn().unwrap();
        dead.wait().unwrap();
        let read = |path: &str| fs::read_to_string(path).unwrap().trim().to_owned();
        let holder = serde_json::json!({
            "owner": "x", "run": "killed", "host": lock::host(), "boot": read("/proc/sys/kernel/random/boot_id"),
            "space": fs::read_link("/proc/self/ns/pid").unwrap().to_str().unwrap(),
            "pid": dead.id(), "process_start": 1, "since": "2026-01-01T00:00:00Z",
        });
        let key = format!("locks/{name}/0000000001.json");
        place.wait(place.put(&key, holder.to_string().into())).unwrap();
        let won = std::thread::scope(|scope| {
            let takers: Vec<_> = (0..10)
                .map(|taker| {
                    let (place, name) = (&place, &name);
                    scope.spawn(move || lock::acquire(place, name, &format!("taker-{taker}"), &Cancel::default()).ok())
                })
                .collect();
            takers.into_iter().filter_map(|taker| taker.join().unwrap()).collect::<Vec<_>>()
        });
        assert_eq!(won.len(), 1, "round {round}");
        assert_eq!(won[0].epoch(), 2);
    }
}

#[test]
fn a_holder_on_another_host_is_given_ninety_seconds() {
    let folder = TempDir::new().unwrap();
    let place = store(folder.path());
    let holder = serde_json::json!({
        "owner": "x", "run": "far", "host": "elsewhere", "boot": "b", "pid": 1, "process_start": 1, "since": "2026-01-01T00:00:00Z",
    });
    place.wait(place.put("locks/p/0000000001.json", holder.to_string().into())).unwrap();
    let refused = lock::acquire(&place, "p", "near", &Cancel::default()).err().unwrap().to_string();
    assert!(refused.contains("elsewhere") && refused.contains("far"), "{refused}");
    let long_ago = std::time::SystemTime::now() - Duration::from_secs(91);
    let file = fs::File::options().write(true).open(folder.path().join("locks/p/0000000001.json")).unwrap();
    file.set_modified(long_ago).unwrap();
    assert_eq!(lock::acquire(&place, "p", "near", &Cancel::default()).unwrap().epoch(), 2);
}

/// Kills a run at a random moment of its life, again and again, and runs it to its end: what it leaves must equal what an
/// undisturbed run leaves. SELVEDGE_KILL_ROUNDS asks for more rounds than the few of every test run.
#[test]
fn a_run_killed_at_any_moment_continues() {
    let undisturbed = workplace();
    let start = Instant::now();
    json(undisturbed.path(), 0, &["run", "night.toml"]);
    let whole = start.elapsed();
    let wanted = store(&undisturbed.path().join("store"));
    let rounds = std::env::var("SELVEDGE_KILL_ROUNDS").map_or(4, |rounds| rounds.parse().unwrap());
    let (mut killed, mut random) = (0, 0x9e37_79b9_7f4a_7c15_u64);
    for round in 0..rounds {
        let place = workplace();
        // One to three kills before the run that is let through.
        for _ in 0..=round % 3 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let moment = whole.mul_f64((random >> 33) as f64 / (1_u64 << 31) as f64 * 1.1);
            killed += usize::from(kill_after(
                selvedge(place.path(), &["run", "night.toml"]).stderr(Stdio::null()).spawn().unwrap(),
                moment,
            ));
        }
        json(place.path(), 0, &["run", "night.toml"]);
        let found = store(&place.path().join("store"));
        for table in [&ANNOTATIONS, &MASKS, &SPLITS] {
            assert_eq!(parts(&found, table.into()), parts(&wanted, table.into()), "round {round}: {}", table.name);
        }
        assert_eq!(ledger(&found), ledger(&wanted), "round {round}");
        let mut cutouts = files(&place.path().join("cutouts"));
        // A writer that was killed may leave its unfinished temporary file, which no listing shows.
        cutouts.retain(|path, _| !path.to_string_lossy().ends_with(".tmp"));
        assert!(cutouts == files(&undisturbed.path().join("cutouts")), "round {round}: cutouts differ");
        let attempts = keys(&rows(&found, (&ATTEMPTS).into()));
        let once: BTreeSet<&String> = attempts.iter().collect();
        assert_eq!((attempts.len(), once.len()), (20, 20), "round {round}: an item that was committed was done again");
    }
    assert!(killed > 0, "no run lived long enough to be killed");
}

/// Kills the process after so long; says whether it was still alive.
fn kill_after(mut child: Child, moment: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < moment {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        std::thread::yield_now();
    }
    let alive = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    alive
}

#[test]
fn a_run_that_is_told_to_stop_leaves_with_143_and_continues() {
    let place = workplace();
    let catalog = place.path().join("data/catalog");
    for round in 0..8 {
        for photo in 0..20 {
            let name = format!("product-{photo:06}.jpg");
            fs::copy(data().join("data/catalog").join(&name), catalog.join(format!("copy {round} of {name}"))).unwrap();
        }
    }
    let mut child = selvedge(place.path(), &["run", "night.toml"]).stderr(Stdio::piped()).spawn().unwrap();
    // The first committed shard shows that the work is under way; a run that ends before that fails the test below.
    let runs = place.path().join("store/runs");
    while child.try_wait().unwrap().is_none()
        && !files(&runs).keys().any(|path| path.to_string_lossy().contains("/shards/"))
    {
        std::thread::yield_now();
    }
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let attempts = keys(&rows(&store(&place.path().join("store")), (&ATTEMPTS).into())).len();
    assert!(attempts > 0 && attempts < 180, "{attempts} of 180 were committed when it stopped");
    let second = json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!(made(&second), 180 - attempts as u64);
    let attempts = keys(&rows(&store(&place.path().join("store")), (&ATTEMPTS).into()));
    assert_eq!((attempts.len(), attempts.iter().collect::<BTreeSet<_>>().len()), (180, 180));
    let listed = end(place.path(), &["runs", "list", "store"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.contains("stopped") && listed.contains("done"), "{listed}");
}

#[test]
fn an_array_job_does_what_a_run_does() {
    let whole = workplace();
    json(whole.path(), 0, &["run", "night.toml"]);
    let place = workplace();
    let frozen = json(place.path(), 0, &["plan", "night.toml", "--freeze"]);
    let run = frozen["url"].as_str().unwrap().to_owned();
    let early = end(place.path(), &["finish", "--run", &run]);
    assert_eq!(code(&early), 75, "{early:?}");
    let busy = end(place.path(), &["run", "night.toml"]);
    assert_eq!(code(&busy), 5, "{busy:?}");
    let waiting = end(place.path(), &["work", "--run", &run, "--shard", "1/3"]);
    assert_eq!(code(&waiting), 75, "share 0 makes the tables first: {waiting:?}");
    for share in ["0/3", "2/3", "1/3", "1/3"] {
        json(place.path(), 0, &["work", "--run", &run, "--shard", share]);
    }
    json(place.path(), 0, &["finish", "--run", &run]);
    let (found, wanted) = (store(&place.path().join("store")), store(&whole.path().join("store")));
    assert_eq!(ledger(&found), ledger(&wanted));
    assert_eq!(parts(&found, (&MASKS).into()), parts(&wanted, (&MASKS).into()));
    assert!(files(&place.path().join("cutouts")) == files(&whole.path().join("cutouts")));
    let again = end(place.path(), &["work", "--run", &run, "--shard", "0/3"]);
    assert_eq!(code(&again), 2, "the run has ended: {again:?}");
    assert_eq!(json(place.path(), 0, &["run", "night.toml"])["nothing_to_do"], true);
}

#[test]
fn bad_photos_are_quarantined_and_counted_and_can_be_tried_again() {
    let place = workplace();
    let catalog = place.path().join("data/catalog");
    fs::write(catalog.join("empty.jpg"), b"").unwrap();
    fs::write(catalog.join("page.jpg"), b"<html>AccessDenied</html>").unwrap();
    let first = json(place.path(), 3, &["run", "night.toml"]);
    assert_eq!(first["counts"]["quarantined"], 2);
    let second = json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!(second["counts"]["quarantined"], 0);
    assert!(second["stages"]["cutout"].as_str().unwrap().contains("2 still quarantined"), "{second}");
    let tried = json(place.path(), 3, &["retry", "night.toml", "--reason", "zero_bytes"]);
    assert_eq!(tried["counts"]["quarantined"], 1);
    assert_eq!(code(&end(place.path(), &["retry", "night.toml", "--reason", "zero_byte"])), 2);
    fs::copy(catalog.join("product-000001.jpg"), catalog.join("empty.jpg")).unwrap();
    assert_eq!(json(place.path(), 0, &["run", "night.toml"])["counts"]["ok"], 1);
    let file = place.path().join("night.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, format!("{}\n[limits]\nmax_quarantine = \"0\"\n", text)).unwrap();
    fs::write(catalog.join("worse.jpg"), b"").unwrap();
    assert_eq!(code(&end(place.path(), &["run", "night.toml"])), 1, "over the limit");
    assert_eq!(code(&end(place.path(), &["run", "night.toml"])), 1, "still over the limit the night after");
}

#[test]
fn a_limit_takes_up_so_many_and_leaves_the_rest() {
    let place = workplace();
    let first = json(place.path(), 0, &["run", "night.toml", "--limit", "5"]);
    assert!(first["stages"]["cutout"].as_str().unwrap().contains("15 left for a later run"), "{first}");
    json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!(keys(&rows(&store(&place.path().join("store")), NIGHT)).len(), 20);
}

#[test]
fn gc_removes_old_versions_and_what_ended_runs_left_and_nothing_else() {
    let place = workplace();
    let file = place.path().join("night.toml");
    let text = fs::read_to_string(&file).unwrap();
    for policy in ["first-wins", "annotation-order", "small-on-top"] {
        fs::write(&file, text.replace("kind = \"merge\"", &format!("kind = \"merge\"\npolicy = \"{policy}\"")))
            .unwrap();
        json(place.path(), 0, &["run", "night.toml"]);
    }
    let at = place.path().join("store");
    let before = files(&at);
    let dry = json(place.path(), 0, &["gc", "store", "--keep", "1", "--dry-run"]);
    assert_eq!(files(&at).keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>());
    let done = json(place.path(), 0, &["gc", "store", "--keep", "1"]);
    assert_eq!(dry["objects"], done["objects"]);
    let after = files(&at);
    assert_eq!((before.len() - after.len()) as u64, done["objects"].as_u64().unwrap());
    let versions =
        |files: &BTreeMap<PathBuf, Vec<u8>>| files.keys().filter(|path| path.starts_with("masks/_versions")).count();
    assert_eq!((versions(&before), versions(&after)), (3, 1));
    assert_eq!(json(place.path(), 0, &["run", "night.toml"])["nothing_to_do"], true);
    assert_eq!(rows(&store(&at), (&MASKS).into()).iter().map(RecordBatch::num_rows).sum::<usize>(), 6);
}

#[test]
fn a_name_that_is_no_text_is_told_and_hides_no_neighbour() {
    use std::os::unix::ffi::OsStrExt;
    let place = workplace();
    let odd = std::ffi::OsStr::from_bytes(b"product-000003z\xff.jpg");
    let catalog = place.path().join("data/catalog");
    fs::copy(catalog.join("product-000001.jpg"), catalog.join(odd)).unwrap();
    std::os::unix::fs::symlink("nowhere", catalog.join("a dangling link.jpg")).unwrap();
    let first = json(place.path(), 1, &["run", "night.toml"]);
    assert_eq!(first["counts"]["failed"], 2, "{first}");
    assert!(first["stages"]["cutout"].as_str().unwrap().contains("20 new"), "{first}");
    fs::remove_file(catalog.join("product-000005.jpg")).unwrap();
    json(place.path(), 1, &["run", "night.toml"]);
    let known = keys(&rows(&store(&place.path().join("store")), NIGHT)).len();
    assert_eq!(known, 20, "nothing counts as gone while something could not be listed");
    fs::remove_file(catalog.join(odd)).unwrap();
    fs::remove_file(catalog.join("a dangling link.jpg")).unwrap();
    json(place.path(), 0, &["run", "night.toml"]);
    assert_eq!(keys(&rows(&store(&place.path().join("store")), NIGHT)).len(), 19);
    assert_eq!(json(place.path(), 0, &["run", "night.toml"])["nothing_to_do"], true);
}

#[test]
fn a_refused_cutout_leaves_nothing_behind_and_state_is_no_photo() {
    let place = workplace();
    let before = files(&place.path().join("data"));
    let refused = end(place.path(), &["cutout", "data/catalog", "--out", "data/catalog/out"]);
    assert_eq!(code(&refused), 2, "{refused:?}");
    assert!(files(&place.path().join("data")) == before);
    fs::create_dir_all(place.path().join("data/catalog/.selvedge/locks")).unwrap();
    fs::write(place.path().join("data/catalog/.selvedge/locks/1.json"), b"{}").unwrap();
    assert_eq!(made(&json(place.path(), 0, &["cutout", "data/catalog", "--out", "out"])), 20);
    fs::create_dir(place.path().join("none")).unwrap();
    let empty = end(place.path(), &["cutout", "none/", "--out", "out2"]);
    assert_eq!(code(&empty), 2, "{empty:?}");
}
