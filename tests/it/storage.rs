//! What every store promises (the contract, run on folder, memory and S3), what folders add, and how faults are met.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use futures::future::join_all;
use futures::{StreamExt, TryStreamExt};
use selvedge::storage::{Created, Error, ObjectInfo, Options, Store, probe};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
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
    fs::set_permissions(&locked, fs::Permissions::from_mode(0)).unwrap();
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

// ---- Faults, from a server that plays them ------------------------------------------------------------------------------

/// A request as the server saw it.
#[derive(Clone, Debug, Default)]
struct Request {
    /// Method and target: `GET /bucket/key`.
    line: String,
    headers: String,
    body: Vec<u8>,
}

/// An HTTP answer as it goes over the wire; an empty one hangs up.
type Answer = Vec<u8>;

fn answer(status: &str, headers: &str, body: &str) -> Answer {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}").into_bytes()
}

fn object(tag: &str, body: &str) -> Answer {
    answer("200 OK", &format!("ETag: \"{tag}\"\r\nLast-Modified: Mon, 23 Nov 2026 02:00:00 GMT\r\n"), body)
}

fn failure(status: &str, code: &str) -> Answer {
    answer(
        status,
        "",
        &format!("<Error><Code>{code}</Code><Message>so it is</Message><Token-0>HIDDEN</Token-0></Error>"),
    )
}

fn page(keys: &[(&str, u64)], next: Option<&str>) -> Answer {
    let mut text = String::from("<ListBucketResult>");
    for (key, size) in keys {
        text += &format!(
            "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>2026-11-23T02:00:00.000Z</LastModified><ETag>\"t\"</ETag></Contents>"
        );
    }
    if let Some(next) = next {
        text += &format!("<NextContinuationToken>{next}</NextContinuationToken>");
    }
    answer("200 OK", "", &(text + "</ListBucketResult>"))
}

/// A server that answers the n-th request as told; it keeps what it was asked. Ends with the process.
struct Server {
    url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    fn start(mut respond: impl FnMut(usize, &Request) -> Answer + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let record = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = Self::request(&mut stream) else { continue };
                let count = record.lock().unwrap().len();
                record.lock().unwrap().push(request.clone());
                let _ = stream.write_all(&respond(count, &request));
            }
        });
        Self { url, seen }
    }

    fn request(stream: &mut TcpStream) -> Option<Request> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
        let mut headers = String::new();
        while reader.read_line(&mut headers).ok()? > 2 {}
        let length =
            headers.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        reader.read_exact(&mut body).ok()?;
        Some(Request { line: line.trim_end_matches(" HTTP/1.1\r\n").to_owned(), headers, body })
    }

    fn store(&self, runtime: &Runtime) -> Store {
        let given = [("endpoint", self.url.as_str()), ("allow_http", "true"), ("retries", "2")];
        let secrets =
            [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "HIDDEN"), ("AWS_SESSION_TOKEN", "HIDDEN")];
        Store::open("s3://b", &options(&given, &secrets), runtime.handle().clone()).unwrap()
    }

    fn lines(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|request| request.line.clone()).collect()
    }
}

#[test]
fn a_busy_store_is_asked_again_but_not_for_ever() {
    let runtime = runtime();
    let server = Server::start(|count, _| match count {
        0 => failure("503 Slow Down", "SlowDown"),
        1 => failure("429 Too Many Requests", "SlowDown"),
        2 => object("t", "found"),
        _ => failure("503 Slow Down", "SlowDown"),
    });
    let store = server.store(&runtime);
    assert_eq!(store.wait(store.get("k")).unwrap(), "found");
    assert_eq!(server.lines().len(), 3);
    let error = store.wait(store.get("k")).unwrap_err();
    assert!(matches!(error, Error::Transient { .. }) && error.to_string().contains("SlowDown"), "{error}");
    assert_eq!(server.lines().len(), 6, "the two retries of the option, and no more");
}

#[test]
fn refused_credentials_stop_the_work_at_once_and_are_not_shown() {
    let runtime = runtime();
    for (status, code) in [
        ("403 Forbidden", "AccessDenied"),
        ("400 Bad Request", "ExpiredToken"),
        ("403 Forbidden", "SignatureDoesNotMatch"),
        ("401 Unauthorized", "Unknown"),
    ] {
        let server = Server::start(move |_, _| failure(status, code));
        let store = server.store(&runtime);
        for error in [
            store.wait(store.get("k")).unwrap_err(),
            store.wait(store.put("k", bytes("x"))).unwrap_err(),
            store.wait(store.create("k", bytes("x"))).unwrap_err(),
            store.wait(store.list("").next()).unwrap().unwrap_err(),
        ] {
            let text = format!("{error} {error:?}");
            assert!(matches!(error, Error::Denied { .. }) && error.reason().is_none(), "{text}");
            assert!(text.contains("s3://b") && text.contains(code) && !text.contains("HIDDEN"), "{text}");
        }
        assert_eq!(server.lines().len(), 4, "one request each");
        assert!(!format!("{store:?}").contains("HIDDEN"));
    }
}

#[test]
fn a_body_that_breaks_off_is_completed() {
    let runtime = runtime();
    let server = Server::start(|count, request| {
        if count == 0 {
            let mut whole = object("t", "0123456789");
            whole.truncate(whole.len() - 4);
            return whole;
        }
        assert!(request.headers.to_ascii_lowercase().contains("range: bytes=6-9"), "{request:?}");
        answer(
            "206 Partial Content",
            "ETag: \"t\"\r\nContent-Range: bytes 6-9/10\r\nLast-Modified: Mon, 23 Nov 2026 02:00:00 GMT\r\n",
            "6789",
        )
    });
    let store = server.store(&runtime);
    assert_eq!(store.wait(store.get("k")).unwrap(), "0123456789");
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn an_object_that_changed_since_it_was_listed_is_not_read() {
    let runtime = runtime();
    let server = Server::start(|_, _| object("new", "other"));
    let store = server.store(&runtime);
    let info = ObjectInfo { etag: "old".to_owned(), ..head(&store, "k") };
    let error = store.wait(store.get_if(&info)).unwrap_err();
    assert!(matches!(error, Error::Changed { .. }) && error.to_string().contains("s3://b/k"), "{error}");
    assert_eq!(server.lines().len(), 2);
}

#[test]
fn a_create_whose_answer_was_lost_is_settled_by_reading_back() {
    let runtime = runtime();
    for (found, won) in [("mine", true), ("theirs", false)] {
        // The put arrives, the answer does not; what is asked then is told that the object is there.
        let server = Server::start(move |count, request| match (count, request.line.starts_with("PUT")) {
            (0, true) => Answer::new(),
            (_, true) => failure("412 Precondition Failed", "PreconditionFailed"),
            (_, false) => object("t", found),
        });
        let store = server.store(&runtime);
        let outcome = store.wait(store.create("k", bytes("mine"))).unwrap();
        assert_eq!(outcome, if won { Created::New } else { Created::Exists(bytes("theirs")) });
        let seen = server.seen.lock().unwrap();
        assert!(
            seen[0].body == b"mine" && seen[0].headers.to_ascii_lowercase().contains("if-none-match: *"),
            "{seen:?}"
        );
    }
}

#[test]
fn a_create_that_never_arrives_ends_as_an_error() {
    let runtime = runtime();
    let server = Server::start(|_, request| match request.line.starts_with("PUT") {
        true => failure("500 Internal Server Error", "InternalError"),
        false => failure("404 Not Found", "NoSuchKey"),
    });
    let store = server.store(&runtime);
    let error = store.wait(store.create("k", bytes("mine"))).unwrap_err();
    assert!(matches!(error, Error::Transient { .. }) && error.to_string().contains("InternalError"), "{error}");
}

#[test]
fn a_listing_out_of_order_is_refused() {
    let runtime = runtime();
    let server = Server::start(|_, _| page(&[("a", 1), ("c", 1), ("b", 1), ("d", 1)], None));
    let store = server.store(&runtime);
    let items: Vec<Result<ObjectInfo, Error>> = store.wait(store.list("").collect());
    assert_eq!(items.len(), 3, "it ends there: {items:?}");
    let error = items[2].as_ref().unwrap_err();
    assert!(
        matches!(error, Error::Unordered { .. }) && error.to_string().contains("\"b\" came after \"c\""),
        "{error}"
    );
}

#[test]
fn a_key_that_cannot_be_told_from_another_is_named() {
    let runtime = runtime();
    let server = Server::start(|_, _| page(&[("a//b", 1)], None));
    let store = server.store(&runtime);
    let error = store.wait(store.list("").next()).unwrap().unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains("a//b"), "{error}");
}

#[test]
fn folder_markers_are_left_out_and_empty_objects_are_not() {
    let runtime = runtime();
    let server = Server::start(|_, request| match request.line.as_str() {
        "HEAD /b/p/empty" => object("t", ""),
        line if line.starts_with("HEAD") => answer("404 Not Found", "", ""),
        _ => page(&[("p/", 0), ("p/empty", 0), ("p/q-x", 1), ("p/q/", 0), ("p/q/a", 1), ("p/r/", 0)], None),
    });
    let store = server.store(&runtime);
    assert_eq!(keys(&store, "p"), ["p/empty", "p/q-x", "p/q/a"]);
}

#[test]
fn a_listing_that_breaks_off_is_taken_up_where_it_stopped() {
    let runtime = runtime();
    let server = Server::start(|_, request| match request.line.as_str() {
        line if line.contains("continuation-token=more") => {
            let mut broken = page(&[("b", 1), ("c", 1)], None);
            broken.truncate(broken.len() - 30);
            broken
        }
        line if line.contains("start-after=a") => page(&[("b", 1), ("c", 1)], None),
        _ => page(&[("a", 1)], Some("more")),
    });
    let store = server.store(&runtime);
    assert_eq!(keys(&store, ""), ["a", "b", "c"]);
    assert_eq!(server.lines().len(), 3);
}

#[test]
fn a_web_address_is_read_and_not_written() {
    let runtime = runtime();
    let server = Server::start(|_, _| object("t", "photo"));
    let (folder, key) =
        selvedge::storage::split_location(&format!("{}/p/a%20b%2B.jpg?v=1&sig=HIDDEN", server.url)).unwrap();
    let open = |given: &[(&str, &str)]| Store::open(&folder, &options(given, &[]), runtime.handle().clone());
    let refused = open(&[]).unwrap_err().to_string();
    assert!(refused.contains("allow_http") && !refused.contains("HIDDEN"), "{refused}");
    let store = open(&[("allow_http", "true")]).unwrap();
    assert_eq!((key.as_str(), store.url()), ("a b+.jpg", format!("{}/p", server.url).as_str()));
    assert_eq!(store.wait(store.get(&key)).unwrap(), "photo");
    assert_eq!(server.lines(), ["GET /p/a%20b+.jpg?v=1&sig=HIDDEN"]);
    for error in
        [store.wait(store.put(&key, bytes("x"))).unwrap_err(), store.wait(store.list("").next()).unwrap().unwrap_err()]
    {
        assert!(matches!(error, Error::Unsupported { .. }) && !error.to_string().contains("HIDDEN"), "{error}");
    }
}

#[test]
fn missing_credentials_are_told_as_such() {
    let runtime = runtime();
    let metadata = Server::start(|_, _| failure("404 Not Found", "None"));
    let environment = [("AWS_METADATA_ENDPOINT", metadata.url.as_str())];
    let store = Store::open("s3://b", &options(&[("retries", "0")], &environment), runtime.handle().clone()).unwrap();
    let error = store.wait(store.get("k")).unwrap_err();
    assert!(matches!(error, Error::Denied { .. }) && error.to_string().contains("no credentials"), "{error}");
}

#[test]
fn credentials_are_read_from_the_aws_file() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let path = folder.path().join("credentials");
    fs::write(&path, "[default]\naws_access_key_id = A\naws_secret_access_key = B\n[shop]\naws_access_key_id=SHOPID\naws_secret_access_key=C\n")
        .unwrap();
    let server = Server::start(|_, _| object("t", "x"));
    let mut given = vec![("endpoint", server.url.as_str()), ("allow_http", "true"), ("profile", "shop")];
    given.push(("credentials_file", path.to_str().unwrap()));
    let store =
        Store::open("s3://b", &options(&given, &[("AWS_ACCESS_KEY_ID", "other")]), runtime.handle().clone()).unwrap();
    store.wait(store.get("k")).unwrap();
    assert!(server.seen.lock().unwrap()[0].headers.contains("Credential=SHOPID/"));
    given[2] = ("profile", "nobody");
    let error = Store::open("s3://b", &options(&given, &[]), runtime.handle().clone()).unwrap_err();
    assert!(error.to_string().contains("[nobody]"), "{error}");
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
