//! The contract on a real S3 server: moto, whose program the environment variable SELVEDGE_MOTO names.
#![allow(clippy::unwrap_used)]

use super::storage::{contract, options, runtime};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use selvedge::storage::{Error, Store};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::runtime::Runtime;

/// A running server, ended when the last test that uses it ends.
struct Moto {
    process: Child,
    address: String,
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The server that the tests share, while there is one.
static SHARED: Mutex<Weak<Moto>> = Mutex::new(Weak::new());

impl Moto {
    /// The shared server, or nothing (said aloud) where none is installed.
    fn running() -> Option<Arc<Self>> {
        let Some(program) = std::env::var_os("SELVEDGE_MOTO").filter(|program| !program.is_empty()) else {
            let _ = writeln!(std::io::stderr(), "skipped: SELVEDGE_MOTO names no moto_server; `make test` sets it");
            return None;
        };
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(moto) = shared.upgrade() {
            return Some(moto);
        }
        let mut process = Command::new(program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("SELVEDGE_MOTO names a program");
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "moto ended before it was ready");
            if let Some((_, address)) = line.split_once("Running on http://") {
                break address.trim().to_owned();
            }
        };
        // It writes a line for every request, and would wait for a reader of a full pipe.
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        let moto = Arc::new(Self { process, address });
        *shared = Arc::downgrade(&moto);
        Some(moto)
    }

    /// A new bucket.
    fn bucket(&self, name: &str) {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let credential =
            "AWS4-HMAC-SHA256 Credential=id/20261123/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x";
        write!(
            stream,
            "PUT /{name} HTTP/1.1\r\nHost: {}\r\nAuthorization: {credential}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            self.address
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    fn open(&self, location: &str, runtime: &Runtime, more: &[(&str, &str)]) -> Store {
        let endpoint = format!("http://{}", self.address);
        let mut given = vec![("endpoint", endpoint.as_str()), ("allow_http", "true")];
        given.extend_from_slice(more);
        let secrets = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        Store::open(location, &options(&given, &secrets), runtime.handle().clone()).unwrap()
    }
}

#[test]
fn s3_keeps_the_contract() {
    let Some(moto) = Moto::running() else { return };
    let runtime = runtime();
    moto.bucket("contract");
    contract(&moto.open("s3://contract/some/prefix", &runtime, &[]));
}

#[test]
fn s3_lists_many_pages_in_order() {
    let Some(moto) = Moto::running() else { return };
    let runtime = runtime();
    moto.bucket("pages");
    let store = moto.open("s3://pages", &runtime, &[]);
    let count = 2_500; // Three pages.
    let keys: Vec<String> = (0..count).map(|number| format!("photos/{number:06}.jpg")).collect();
    let puts = futures::stream::iter(&keys).map(|key| store.put(key, Bytes::from_static(b"x")));
    store.wait(puts.buffer_unordered(16).try_collect::<Vec<()>>()).unwrap();
    let listed: Vec<String> = store.wait(store.list("photos").map_ok(|info| info.key).try_collect()).unwrap();
    assert_eq!(listed, keys);
    let rest: Vec<String> =
        store.wait(store.list_from("", &keys[1_200]).map_ok(|info| info.key).try_collect()).unwrap();
    assert_eq!(rest, keys[1_201..]);
}

#[test]
fn s3_takes_a_large_object_in_parts_and_gives_it_back_whole() {
    let Some(moto) = Moto::running() else { return };
    let runtime = runtime();
    moto.bucket("large");
    let store = moto.open("s3://large", &runtime, &[]);
    let large: Bytes = (0..70_000_001_u32).map(|at| (at % 253) as u8).collect();
    store.wait(store.put("checkpoint", large.clone())).unwrap();
    let info = store.wait(store.head("checkpoint")).unwrap().unwrap();
    assert!(info.size == large.len() as u64 && info.etag.ends_with("-5"), "five parts: {info:?}");
    assert!(store.wait(store.get_if(&info)).unwrap() == large);
}

#[test]
fn s3_without_the_right_to_read_is_denied() {
    let Some(moto) = Moto::running() else { return };
    let runtime = runtime();
    moto.bucket("private");
    let store = moto.open("s3://private", &runtime, &[]);
    store.wait(store.put("k", Bytes::from_static(b"x"))).unwrap();
    let stranger = moto.open("s3://private", &runtime, &[("anonymous", "true")]);
    let error = stranger.wait(stranger.get("k")).unwrap_err();
    assert!(matches!(error, Error::Denied { .. }) && error.to_string().contains("s3://private/k"), "{error}");
}

#[test]
fn s3_tells_a_missing_bucket_from_a_missing_object() {
    let Some(moto) = Moto::running() else { return };
    let runtime = runtime();
    let store = moto.open("s3://never-made", &runtime, &[]);
    for error in [store.wait(store.get("k")).unwrap_err(), store.wait(store.list("").next()).unwrap().unwrap_err()] {
        assert!(matches!(error, Error::NotFound { .. }) && error.to_string().contains("bucket"), "{error}");
    }
}

#[test]
fn a_model_is_trained_into_a_bucket_stopped_on_the_way_and_used_from_there() {
    let Some(moto) = Moto::running() else { return };
    moto.bucket("models");
    let folder = crate::train::dataset();
    let endpoint = format!("endpoint=http://{}", moto.address);
    let on_s3 = |words: &[&str]| {
        let mut command = crate::runs::selvedge(folder.path(), words);
        command.args([
            "--store-option",
            &endpoint,
            "--store-option",
            "allow_http=true",
            "--store-option",
            "region=us-east-1",
        ]);
        command.env("AWS_ACCESS_KEY_ID", "id").env("AWS_SECRET_ACCESS_KEY", "secret");
        command
    };
    let words = crate::train::words("tiny", &["--out", "s3://models/run", "--steps", "12", "--checkpoint-steps", "2"]);
    let child = on_s3(&words).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let stopped = crate::train::end_after(child, 1, "-TERM");
    assert!(matches!(stopped.code(), Some(143 | 0)), "{stopped}");
    let ended = on_s3(&words).output().unwrap();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(ended.status.success() && (told.contains("going on after step") || stopped.success()), "{told}");
    crate::train::trained(folder.path(), "tiny", &["--steps", "12"]);
    let here = std::fs::read(folder.path().join("store/models/tiny/weights.safetensors")).unwrap();
    let runtime = runtime();
    let store = moto.open("s3://models/run", &runtime, &[]);
    let there = store.wait(store.get("models/tiny/weights.safetensors")).unwrap();
    assert!(here == there, "the same training in a folder and in a bucket");

    let photo = crate::runs::data().join("data/catalog/product-000000.jpg");
    let cut = ["cutout", photo.to_str().unwrap(), "--model", "s3://models/run/models/tiny", "--out", "one.png"];
    let cut = on_s3(&cut).output().unwrap();
    assert!(cut.status.success(), "{}", String::from_utf8_lossy(&cut.stderr));
    assert!(folder.path().join("one.png").is_file());
}
