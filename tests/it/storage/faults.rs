//! How faults of a server are met: a server on this machine plays them.

use super::{bytes, head, keys, options, runtime};
use futures::StreamExt;
use selvedge::storage::{Created, Error, ObjectInfo, Store};
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use tokio::runtime::Runtime;

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
        // Where rights are missing a listing of the key tells a forbidden object from one that is not there.
        let asked = if code == "AccessDenied" { 5 } else { 4 };
        assert_eq!(server.lines().len(), asked, "no request is sent again: {:?}", server.lines());
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

/// The MD5 of `whole`.
const WHOLE: &str = "356c9ee60e9da05301adc3bd96f6b383";

#[test]
fn corrupt_bytes_are_asked_for_again_and_then_told() {
    let runtime = runtime();
    let server = Server::start(|count, _| object(WHOLE, if count == 2 { "whole" } else { "whale" }));
    let store = server.store(&runtime);
    assert_eq!(store.wait(store.get("k")).unwrap(), "whole");
    assert_eq!(server.lines().len(), 3);
    let error = store.wait(store.get("k")).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, Error::Transient { .. }) && text.contains("corrupt") && text.contains("verify"), "{text}");
}

#[test]
fn a_tag_that_is_no_sum_of_what_is_read_is_not_held_against_it() {
    let runtime = runtime();
    for header in
        ["x-amz-server-side-encryption: aws:kms\r\n", "x-amz-server-side-encryption-customer-algorithm: AES256\r\n"]
    {
        let whole = "ETag: \"356c9ee60e9da05301adc3bd96f6b383\"\r\nLast-Modified: Mon, 23 Nov 2026 02:00:00 GMT\r\n";
        let server = Server::start(move |_, _| answer("200 OK", &format!("{whole}{header}"), "plain"));
        let store = server.store(&runtime);
        assert_eq!(store.wait(store.get("k")).unwrap(), "plain", "{header}");
    }
    let server = Server::start(|_, _| object(WHOLE, "plain"));
    let given = [("endpoint", server.url.as_str()), ("allow_http", "true"), ("verify", "false")];
    let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let store = Store::open("s3://b", &options(&given, &keys), runtime.handle().clone()).unwrap();
    assert_eq!(store.wait(store.get("k")).unwrap(), "plain");
}

#[test]
fn an_upload_that_arrives_corrupt_is_sent_again_and_carries_its_sum() {
    let runtime = runtime();
    let server = Server::start(|count, _| match count {
        0 => failure("400 Bad Request", "XAmzContentSHA256Mismatch"),
        1 => failure("400 Bad Request", "BadDigest"),
        _ => object("t", ""),
    });
    let store = server.store(&runtime);
    store.wait(store.put("k", bytes("x"))).unwrap();
    let seen = server.seen.lock().unwrap();
    let of_x = "x-amz-content-sha256: 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";
    assert!(seen.len() == 3 && seen.iter().all(|request| request.headers.contains(of_x)), "{seen:?}");
}

#[test]
fn who_may_list_a_prefix_only_is_told_that_an_object_is_not_there() {
    let runtime = runtime();
    let server = Server::start(|_, request| match request.line.as_str() {
        "GET /b?list-type=2&prefix=p%2Fthere&max-keys=1" => page(&[("p/there", 1)], None),
        line if line.starts_with("GET /b?") => page(&[("p/gone2", 1)], None),
        line if line.starts_with("HEAD") => answer("403 Forbidden", "", ""),
        _ => failure("403 Forbidden", "AccessDenied"),
    });
    let store = server.store(&runtime);
    assert_eq!(store.wait(store.head("p/gone")).unwrap(), None);
    assert!(matches!(store.wait(store.get("p/gone")).unwrap_err(), Error::NotFound { .. }));
    assert!(matches!(store.wait(store.head("p/there")).unwrap_err(), Error::Denied { .. }));
    assert!(matches!(store.wait(store.get("p/there")).unwrap_err(), Error::Denied { .. }));
}

#[test]
fn credentials_replaced_in_their_file_are_used_at_once_and_waited_for_when_the_old_ones_expired() {
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let path = folder.path().join("credentials");
    let keys = |id: &str| format!("[default]\naws_access_key_id = {id}\naws_secret_access_key = s\n");
    fs::write(&path, keys("OLD")).unwrap();
    let (file, new) = (path.clone(), keys("NEW"));
    let server = Server::start(move |count, request| match request.headers.contains("Credential=NEW/") {
        true => object("t", "x"),
        false if count == 0 => object("t", "x"),
        false => {
            // Whoever replaces them does so a moment after they expired.
            fs::write(&file, &new).unwrap();
            failure("400 Bad Request", "ExpiredToken")
        }
    });
    let given =
        [("endpoint", server.url.as_str()), ("allow_http", "true"), ("credentials_file", path.to_str().unwrap())];
    let store = Store::open("s3://b", &options(&given, &[]), runtime.handle().clone()).unwrap();
    for _ in 0..3 {
        assert_eq!(store.wait(store.get("k")).unwrap(), "x");
    }
    assert_eq!(server.lines().len(), 4);
    assert!(store.wait(store.create("new", bytes("x"))).is_ok());
}

#[test]
fn what_is_written_asks_for_the_encryption_that_was_set() {
    let runtime = runtime();
    let server = Server::start(|_, _| object("t", ""));
    let given = [
        ("endpoint", server.url.as_str()),
        ("allow_http", "true"),
        ("sse", "aws:kms"),
        ("sse_kms_key_id", "shop-key"),
        ("sse_bucket_key", "true"),
    ];
    let keys = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let store = Store::open("s3://b", &options(&given, &keys), runtime.handle().clone()).unwrap();
    store.wait(store.put("k", bytes("x"))).unwrap();
    let headers = server.seen.lock().unwrap()[0].headers.to_ascii_lowercase();
    for wanted in [
        "x-amz-server-side-encryption: aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id: shop-key",
        "x-amz-server-side-encryption-bucket-key-enabled: true",
    ] {
        assert!(headers.contains(wanted), "{headers}");
    }
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
fn keys_that_cannot_be_told_from_others_are_named_and_the_listing_goes_on() {
    let runtime = runtime();
    let server = Server::start(|_, request| match request.line.contains("continuation-token=more") {
        true => page(&[("b/", 7), ("c", 1)], None),
        false => page(&[("a", 1), ("a//b", 1), ("a/&#x1;", 1), ("a/c", 1)], Some("more")),
    });
    let store = server.store(&runtime);
    let items: Vec<Result<ObjectInfo, Error>> = store.wait(store.list("").collect());
    let (good, bad): (Vec<_>, Vec<_>) = items.into_iter().partition(Result::is_ok);
    let good: Vec<String> = good.into_iter().map(|info| info.unwrap().key).collect();
    assert_eq!(good, ["a", "a/c", "c"]);
    for (error, key) in bad.into_iter().map(Result::unwrap_err).zip(["a//b", "a/\\u{1}", "b/"]) {
        assert!(matches!(error, Error::Unsupported { .. }) && error.to_string().contains(key), "{error}");
    }
    assert_eq!(server.lines().len(), 2);
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
    let server = Server::start(|count, request| {
        if !request.line.contains("continuation-token=more") {
            return page(&[("a", 1)], Some("more"));
        }
        let mut rest = page(&[("b", 1), ("c", 1)], None);
        if count == 1 {
            rest.truncate(rest.len() - 30);
        }
        rest
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
fn a_reader_that_failed_never_looks_like_the_end() {
    let runtime = runtime();
    let size = 20_u64 << 20;
    let server = Server::start(move |_, request| {
        match request.headers.to_ascii_lowercase().contains("range: bytes=0-") {
            true => {
                let end = (8 << 20) - 1;
                let headers = format!(
                    "ETag: \"t\"\r\nContent-Range: bytes 0-{end}/{size}\r\nLast-Modified: Mon, 23 Nov 2026 02:00:00 GMT\r\n"
                );
                answer("206 Partial Content", &headers, &"x".repeat(8 << 20))
            }
            false => failure("404 Not Found", "NoSuchKey"),
        }
    });
    let store = server.store(&runtime);
    let modified = jiff::Timestamp::UNIX_EPOCH;
    let mut reader = store.reader(&ObjectInfo { key: "k".to_owned(), size, etag: "t".to_owned(), modified });
    let mut found = Vec::new();
    for _ in 0..3 {
        assert_eq!(reader.read_to_end(&mut found).unwrap_err().kind(), std::io::ErrorKind::NotFound);
        assert_eq!(found.len(), 8 << 20);
    }
}
