//! What every store promises (the contract, run on folder, memory and S3), what folders add; how faults are met is in `faults`.
#![allow(clippy::unwrap_used)]

mod faults;

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use selvedge::storage::{Created, Error, ObjectInfo, Options, Store, probe};
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::runtime::Runtime;

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

pub(crate) fn options(given: &[(&str, &str)], environment: &[(&str, &str)]) -> Options {
    let environment: BTreeMap<_, _> = environment.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let mut options = Options::with_environment(environment);
    for (name, value) in given {
        options.set(name, value).unwrap();
    }
    options
}

/// Keys in byte order that break stores that encode, decode, trim or sort by folder.
const ODD_KEYS: [&str; 19] = [
    " leading",
    "%41 is not A",
    "%zz",
    "+",
    "a b+c#1.jpg",
    "a#1",
    "a+b",
    "a-b/x",
    "a.txt",
    "a/b c/d?e=f&g.jpg",
    "a/~tilde",
    "a=b;c,d:e@f!$'()*.jpg",
    "back\\slash",
    "trailing ",
    "{[<>]}|^`\"",
    "Ångström.jpg",
    "ü/ñ.jpg",
    "日本/写真.jpg",
    "😀.png",
];

fn keys(store: &Store, folder: &str) -> Vec<String> {
    store.wait(store.list(folder).map_ok(|info| info.key).try_collect()).unwrap()
}

fn bytes(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

fn head(store: &Store, key: &str) -> ObjectInfo {
    store.wait(store.head(key)).unwrap().unwrap()
}

/// Everything a store promises. `store` is empty, and is so again afterwards.
pub(crate) fn contract(store: &Store) {
    odd_keys_round_trip(&store.child("odd"));
    listings_are_folders_in_byte_order(&store.child("order"));
    a_version_is_bound_to_its_tag(&store.child("version"));
    ranges_are_cut_to_the_object(&store.child("range"));
    deleting_is_final_and_repeatable(&store.child("delete"));
    unsafe_keys_are_refused(&store.child("unsafe"));
    a_reader_gives_one_version(&store.child("reader"));
    of_eight_writers_one_wins(&store.child("race"));
    the_store_tells_its_time(store);
    let report = store.wait(probe(store)).unwrap();
    assert!(report.passed() && report.checks.len() == 5, "{report}");
    for key in keys(store, "") {
        store.wait(store.delete(&key)).unwrap();
    }
    assert!(keys(store, "").is_empty());
}

fn odd_keys_round_trip(store: &Store) {
    for key in ODD_KEYS.iter().rev() {
        store.wait(store.put(key, bytes(key))).unwrap();
    }
    let infos: Vec<ObjectInfo> = store.wait(store.list("").try_collect()).unwrap();
    let mut sorted = ODD_KEYS;
    sorted.sort_unstable();
    assert_eq!(infos.iter().map(|info| info.key.as_str()).collect::<Vec<_>>(), sorted);
    for info in &infos {
        assert_eq!(store.wait(store.get_if(info)).unwrap(), info.key.as_bytes());
        let seen = head(store, &info.key);
        assert_eq!((&seen.key, seen.size, &seen.etag), (&info.key, info.size, &info.etag));
    }
}

fn listings_are_folders_in_byte_order(store: &Store) {
    let all = ["a-b/1", "a.b", "a/1", "a/b/2", "a0", "b"];
    for key in all.iter().rev() {
        store.wait(store.put(key, bytes(key))).unwrap();
    }
    assert_eq!(keys(store, ""), all);
    assert_eq!(keys(store, "a"), ["a/1", "a/b/2"]);
    assert_eq!(keys(store, "a/"), ["a/1", "a/b/2"]);
    assert!(keys(store, "nowhere").is_empty());
    assert_eq!(keys(&store.child("a"), ""), ["1", "b/2"]);
    for (count, gap) in ["a-b/0", "a-b/11", "a.c", "a/2", "a/b/3", "a1", "c"].into_iter().enumerate() {
        let rest: Vec<String> = store.wait(store.list_from("", gap).map_ok(|info| info.key).try_collect()).unwrap();
        assert_eq!(rest, all[count..], "from {gap}");
    }
    for (count, key) in all.iter().enumerate() {
        let rest: Vec<String> = store.wait(store.list_from("", key).map_ok(|info| info.key).try_collect()).unwrap();
        assert_eq!(rest, all[count + 1..], "from {key}");
    }
    assert_eq!(store.wait(store.list_folders("")).unwrap(), ["a", "a-b"]);
    assert_eq!(store.wait(store.list_folders("a")).unwrap(), ["b"]);
    assert!(store.wait(store.list_folders("nowhere")).unwrap().is_empty());
}

fn a_version_is_bound_to_its_tag(store: &Store) {
    store.wait(store.put("k", bytes("one"))).unwrap();
    let first = head(store, "k");
    assert!(!first.etag.contains('"') && first.size == 3, "{first:?}");
    store.wait(store.put("k", bytes("two"))).unwrap();
    assert!(matches!(store.wait(store.get_if(&first)), Err(Error::Changed { .. })));
    assert_eq!(store.wait(store.get_if(&head(store, "k"))).unwrap(), "two");
    store.wait(store.delete("k")).unwrap();
    assert!(matches!(store.wait(store.get_if(&first)), Err(Error::NotFound { .. })));
    let text = store.wait(store.get("k")).unwrap_err().to_string();
    assert!(text.contains("version/k"), "the text names the object: {text}");
    assert_eq!(store.wait(store.head("k")).unwrap(), None);
}

fn ranges_are_cut_to_the_object(store: &Store) {
    store.wait(store.put("k", bytes("0123456789"))).unwrap();
    for (range, found) in [(0..4, "0123"), (4..10, "456789"), (8..99, "89"), (3..3, "")] {
        assert_eq!(store.wait(store.get_range("k", range)).unwrap(), found);
    }
    assert!(store.wait(store.get_range("k", 10..12)).is_err());
    store.wait(store.put("empty", Bytes::new())).unwrap();
    assert_eq!(store.wait(store.get("empty")).unwrap(), "");
    assert_eq!(keys(store, ""), ["empty", "k"], "an empty object is no folder marker");
}

fn deleting_is_final_and_repeatable(store: &Store) {
    store.wait(store.put("a/b/c", bytes("x"))).unwrap();
    store.wait(store.put("a/d", bytes("x"))).unwrap();
    for _ in 0..2 {
        store.wait(store.delete("a/b/c")).unwrap();
        assert_eq!(keys(store, ""), ["a/d"]);
        assert!(store.wait(store.list_folders("a")).unwrap().is_empty(), "an emptied folder is gone");
    }
    store.wait(store.delete("never/was")).unwrap();
}

fn unsafe_keys_are_refused(store: &Store) {
    for key in ["", "/etc/x", "../x", "a/../../x", "a//b", "a/", "./a", "a\0b"] {
        let refused = store.wait(store.put(key, bytes("x")));
        assert!(matches!(refused, Err(Error::Usage { .. })), "{key:?}: {refused:?}");
        assert!(store.wait(store.get(key)).is_err(), "{key:?}");
    }
    let outside = store.child("../..");
    assert!(matches!(outside.wait(outside.put("x", bytes("x"))), Err(Error::Usage { .. })));
    assert!(store.wait(store.list("../..").next()).unwrap().is_err());
    assert!(keys(store, "").is_empty());
}

fn a_reader_gives_one_version(store: &Store) {
    let long: Bytes = (0..20_000_001_u32).map(|at| (at % 251) as u8).collect();
    store.wait(store.put("long", long.clone())).unwrap();
    let info = head(store, "long");
    let mut found = Vec::new();
    store.reader(&info).read_to_end(&mut found).unwrap();
    assert!(found == long, "{} of {} bytes", found.len(), long.len());
    store.wait(store.put("long", long.slice(1..))).unwrap();
    let error = store.reader(&info).read_to_end(&mut found).unwrap_err();
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    assert!(matches!(inner, Some(Error::Changed { .. })), "{error}");
    store.wait(store.delete("long")).unwrap();
    let error = store.reader(&info).read_to_end(&mut found).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

fn of_eight_writers_one_wins(store: &Store) {
    for round in 0..10 {
        let key = format!("round/{round}");
        let owners: Vec<String> = (0..8).map(|writer| format!("writer {writer}")).collect();
        let outcomes = store.wait(join_all(owners.iter().map(|owner| {
            let (store, key, owner) = (store.clone(), key.clone(), bytes(owner));
            async move { tokio::spawn(async move { store.create(&key, owner).await }).await.unwrap().unwrap() }
        })));
        let winners: Vec<usize> = (0..8).filter(|writer| outcomes[*writer] == Created::New).collect();
        assert_eq!(winners.len(), 1, "{outcomes:?}");
        let won = &owners[winners[0]];
        assert_eq!(store.wait(store.get(&key)).unwrap(), *won);
        for outcome in outcomes {
            assert!(matches!(&outcome, Created::New) || outcome == Created::Exists(bytes(won)));
        }
        // Whose answer was lost asks again, and is told that it won.
        assert_eq!(store.wait(store.create(&key, bytes(won))).unwrap(), Created::New);
    }
}

fn the_store_tells_its_time(store: &Store) {
    let second = jiff::SignedDuration::from_secs(2);
    let before = jiff::Timestamp::now();
    let time = store.wait(store.server_time("locks")).unwrap();
    assert!(time > before - second && time < jiff::Timestamp::now() + second, "{time} for {before}");
    assert!(keys(store, "").iter().all(|key| !key.contains(".clock-")));
}

#[test]
fn a_folder_keeps_the_contract() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let location = folder.path().join("made/by/the first put");
    let store = Store::open(location.to_str().unwrap(), &options(&[], &[]), runtime.handle().clone()).unwrap();
    assert!(keys(&store, "").is_empty(), "a folder that is not there is empty");
    contract(&store);
    assert_eq!(fs::read_dir(&location).unwrap().count(), 0, "nothing is left behind");
}

#[test]
fn memory_keeps_the_contract_and_is_shared_by_name() {
    let runtime = runtime();
    let open = |url: &str| Store::open(url, &options(&[], &[]), runtime.handle().clone()).unwrap();
    contract(&open("memory://contract/some/prefix"));
    let (one, other) = (open("memory://shared/a"), open("memory://shared"));
    one.wait(one.put("k", bytes("x"))).unwrap();
    assert_eq!(other.wait(other.get("a/k")).unwrap(), "x");
    assert!(keys(&open("memory://another"), "").is_empty());
}

#[test]
fn a_folder_lists_what_others_hide_and_names_what_it_cannot_list() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let root = folder.path();
    for name in ["x#1", ".hidden", "z"] {
        fs::write(root.join(name), name).unwrap();
    }
    fs::create_dir(root.join("deep")).unwrap();
    fs::write(root.join("deep/a"), "a").unwrap();
    fs::write(root.join(std::ffi::OsStr::from_bytes(b"not\xffutf8")), "").unwrap();
    fs::write(root.join(".selvedge-0123456789abcdef.tmp"), "half").unwrap();
    std::os::unix::fs::symlink("..", root.join("deep/loop")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
    std::os::unix::fs::symlink("deep/a", root.join("linked")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(root.join("socket")).unwrap();
    let store = Store::open(root.to_str().unwrap(), &options(&[], &[]), runtime.handle().clone()).unwrap();
    let items: Vec<Result<ObjectInfo, Error>> = store.wait(store.list("").collect());
    let found: Vec<&str> = items.iter().flatten().map(|info| info.key.as_str()).collect();
    assert_eq!(found, [".hidden", "deep/a", "linked", "x#1", "z"]);
    let failed: Vec<String> = items.iter().filter_map(|item| item.as_ref().err()).map(ToString::to_string).collect();
    assert_eq!(failed.len(), 4, "{failed:?}");
    for (text, name) in failed.iter().zip(["dangling", "deep/loop", "not", "socket"]) {
        assert!(text.contains(root.join(name).to_str().unwrap()), "{text} names {name}");
    }
}

#[test]
fn an_unreadable_folder_is_named_and_the_rest_is_listed() {
    use std::os::unix::fs::PermissionsExt;
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let locked = folder.path().join("locked");
    fs::create_dir(&locked).unwrap();
    fs::write(folder.path().join("open"), "x").unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    let obeyed = fs::read_dir(&locked).is_err(); // Not for root, who may read everything.
    let store = Store::open(folder.path().to_str().unwrap(), &options(&[], &[]), runtime.handle().clone()).unwrap();
    let items: Vec<Result<ObjectInfo, Error>> = store.wait(store.list("").collect());
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(items.last().unwrap().as_ref().is_ok_and(|info| info.key == "open"));
    assert_eq!(items.len(), if obeyed { 2 } else { 1 });
    if obeyed {
        let error = items[0].as_ref().unwrap_err();
        assert!(matches!(error, Error::Denied { .. }) && error.to_string().contains("locked"), "{error}");
    }
}

#[test]
fn a_reader_beside_a_writer_sees_whole_objects_only() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let store = Store::open(folder.path().to_str().unwrap(), &options(&[], &[]), runtime.handle().clone()).unwrap();
    let version = |round: usize| Bytes::from(vec![u8::try_from(round).unwrap(); 100_000 + round]);
    store.wait(store.put("k", version(0))).unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::SeqCst) {
                let found = store.wait(store.get("k")).unwrap();
                assert!(found == version(usize::from(found[0])), "{} bytes of {}", found.len(), found[0]);
            }
        });
        for round in 1..50 {
            store.wait(store.put("k", version(round))).unwrap();
        }
        done.store(true, Ordering::SeqCst);
    });
}

#[test]
fn a_file_and_a_folder_of_one_name_are_a_clear_error() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let store = Store::open(folder.path().to_str().unwrap(), &options(&[], &[]), runtime.handle().clone()).unwrap();
    store.wait(store.put("a/b", bytes("x"))).unwrap();
    for (key, other) in [("a", "a/b"), ("a/b/c", "a/b")] {
        for outcome in
            [store.wait(store.put(key, bytes("y"))).map(|()| Created::New), store.wait(store.create(key, bytes("y")))]
        {
            let error = outcome.unwrap_err();
            assert!(!error.to_string().is_empty() && !matches!(error, Error::Transient { .. }), "{error}");
        }
        assert_eq!(store.wait(store.get(other)).unwrap(), "x");
        assert_eq!(store.wait(store.head(key)).unwrap(), None);
    }
    assert_eq!(keys(&store, ""), ["a/b"]);
    let file =
        Store::open(folder.path().join("a/b").to_str().unwrap(), &options(&[], &[]), runtime.handle().clone()).unwrap();
    assert!(matches!(file.wait(file.list("").next()), Some(Err(Error::Unsupported { .. }))));
}

#[test]
fn what_a_killed_writer_left_is_removed_once_it_is_old() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let store = Store::open(folder.path().to_str().unwrap(), &options(&[], &[]), runtime.handle().clone()).unwrap();
    store.wait(store.put("a/b", bytes("x"))).unwrap();
    fs::write(folder.path().join("a/.selvedge-0123456789abcdef.tmp"), "half").unwrap();
    let hour = jiff::SignedDuration::from_hours(1);
    assert_eq!(store.wait(store.remove_partials(jiff::Timestamp::now() - hour)).unwrap(), 0);
    assert_eq!(store.wait(store.remove_partials(jiff::Timestamp::now() + hour)).unwrap(), 1);
    assert_eq!(fs::read_dir(folder.path().join("a")).unwrap().count(), 1);
    assert_eq!(store.wait(store.get("a/b")).unwrap(), "x");
}

#[test]
fn every_scheme_opens_and_shows_no_secret() {
    let runtime = runtime();
    let environment =
        [("AZURE_STORAGE_ACCOUNT_NAME", "shop"), ("AZURE_STORAGE_ACCOUNT_KEY", "SElEREVO"), ("HOME", "/nowhere")];
    for url in ["s3://b/p", "gs://b/p", "az://c/p", "https://h/p", "memory://m/p", "file:///nowhere/p", "dir/p", "."] {
        let store = Store::open(url, &options(&[], &environment), runtime.handle().clone()).unwrap();
        assert_eq!(store.url(), url);
        assert!(store.child("x").url().ends_with("/x"));
        assert!(!format!("{store:?}").contains("SElEREVO"));
    }
    assert_eq!(
        Store::open("s3://b/p/", &options(&[], &environment), runtime.handle().clone()).unwrap().url(),
        "s3://b/p"
    );
    for url in
        ["", "s4://b", "s3://", "s3://id:key@b/p", "s3://b//p", "s3://b/../p", "file://host/p", "https://id:key@h/p"]
    {
        let error = Store::open(url, &options(&[], &environment), runtime.handle().clone()).unwrap_err();
        assert!(matches!(error, Error::Usage { .. }) && !error.to_string().contains("key@"), "{url}: {error}");
    }
}
