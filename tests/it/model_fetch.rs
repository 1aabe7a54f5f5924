//! What `model fetch` does, as a library: from memory, a folder and a web server of this process; no network.
#![allow(clippy::unwrap_used)]

use selvedge::cancel::{Cancel, Cause};
use selvedge::event::{Event, Sink};
use selvedge::stage::Error;
use selvedge::stage::model::fetch::{FetchSettings, Fetched, fetch};
use selvedge::stage::model::known::{KNOWN, Known};
use selvedge::storage::{Options, Store};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// Bytes of progress, and whether the end was told.
#[derive(Default)]
struct Heard(Mutex<(u64, bool)>);

impl Sink for Heard {
    fn emit(&self, event: Event) {
        let mut heard = self.0.lock().unwrap();
        match event {
            Event::Advanced { by, .. } => heard.0 += by,
            Event::StageFinished { .. } => heard.1 = true,
            _ => {}
        }
    }
}

struct Fetching {
    runtime: Runtime,
    folder: TempDir,
    heard: Arc<Heard>,
}

impl Fetching {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { runtime, folder: tempfile::tempdir().unwrap(), heard: Arc::default() }
    }

    fn settings(&self, sha256: Option<&str>) -> FetchSettings {
        let mut options = Options::with_environment(BTreeMap::new());
        options.set("allow_http", "true").unwrap();
        options.set("retries", "0").unwrap();
        FetchSettings {
            to: self.folder.path().to_path_buf(),
            sha256: sha256.map(str::to_owned),
            accept: true,
            force: false,
            options,
            handle: self.runtime.handle().clone(),
            events: self.heard.clone(),
            cancel: Cancel::default(),
        }
    }

    fn put(&self, location: &str, key: &str, bytes: &[u8]) {
        let options = Options::with_environment(BTreeMap::new());
        let store = Store::open(location, &options, self.runtime.handle().clone()).unwrap();
        store.wait(store.put(key, bytes.to_vec().into())).unwrap();
    }

    fn left(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_file_is_fetched_once_and_only_if_its_checksum_fits() {
    let test = Fetching::new();
    let bytes = vec![7; 3_000_000];
    let digest = sha256(&bytes);
    test.put("memory://model-fetch/a", "w.pth", &bytes);
    let url = "memory://model-fetch/a/w.pth";
    let wrong = fetch(url, &test.settings(Some(&"0".repeat(64)))).unwrap_err();
    assert!(matches!(&wrong, Error::Failed(text) if text.contains(&digest) && text.contains("nothing was kept")));
    assert_eq!(test.left(), Vec::<String>::new());
    let unsaid = fetch(url, &test.settings(None)).unwrap_err();
    assert!(matches!(&unsaid, Error::Usage(text) if text.contains("--sha256")), "{unsaid}");

    let done = fetch(url, &test.settings(Some(&digest.to_uppercase()))).unwrap();
    let wanted = Fetched {
        from: url.to_owned(),
        path: test.folder.path().join("w.pth"),
        bytes: 3_000_000,
        sha256: digest.clone(),
        cached: false,
    };
    assert_eq!(done, wanted);
    assert_eq!(fs::read(&done.path).unwrap(), bytes);
    assert_eq!(*test.heard.0.lock().unwrap(), (6_000_000, true));
    let again = fetch(url, &test.settings(Some(&digest))).unwrap();
    assert_eq!(again, Fetched { cached: true, ..wanted });

    fs::write(&done.path, "another").unwrap();
    let there = fetch(url, &test.settings(Some(&digest))).unwrap_err();
    assert!(matches!(&there, Error::Usage(text) if text.contains("--force")), "{there}");
    assert_eq!(fs::read(&done.path).unwrap(), b"another");
    fetch(url, &FetchSettings { force: true, ..test.settings(Some(&digest)) }).unwrap();
    assert_eq!(fs::read(&done.path).unwrap(), bytes);
    assert_eq!(test.left(), ["w.pth"]);
}

#[test]
fn the_digits_of_a_name_are_its_checksum_when_nothing_else_is_said() {
    let test = Fetching::new();
    let good = format!("net-{}.pth", &sha256(b"weights")[..8]);
    test.put("memory://model-fetch/b", &good, b"weights");
    test.put("memory://model-fetch/b", "net-20220105.pth", b"weights");
    let target = FetchSettings { to: test.folder.path().join("here.pth"), ..test.settings(None) };
    let done = fetch(&format!("memory://model-fetch/b/{good}"), &target).unwrap();
    assert_eq!(done.path, target.to);
    let other = "memory://model-fetch/b/net-20220105.pth";
    let error = fetch(other, &test.settings(None)).unwrap_err().to_string();
    assert!(error.contains("begins with 20220105") && error.contains("give --sha256"), "{error}");
    fetch(other, &test.settings(Some(&sha256(b"weights")))).unwrap();
}

#[test]
fn a_file_of_more_than_a_request_is_streamed() {
    let test = Fetching::new();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.bin");
    fs::File::create(&path).unwrap().set_len((64 << 20) + 5).unwrap();
    let zeros = vec![0; (64 << 20) + 5];
    let done = fetch(path.to_str().unwrap(), &test.settings(Some(&sha256(&zeros)))).unwrap();
    assert_eq!(done.bytes, zeros.len() as u64);
}

/// Serves one file to anyone who asks for it by its name, without ranges.
fn serve(name: &str, bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let wanted = format!("/models/{name}");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = Vec::new();
            let mut byte = [0];
            while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
                request.push(byte[0]);
            }
            let text = String::from_utf8_lossy(&request).into_owned();
            let mut words = text.split(' ');
            let (method, path) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
            let found = path.split('?').next() == Some(wanted.as_str());
            let (status, body) = if found { ("200 OK", bytes) } else { ("404 Not Found", &b""[..]) };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nLast-Modified: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(head.as_bytes());
            if method == "GET" {
                let _ = stream.write_all(body);
            }
        }
    });
    format!("http://{address}/models/{name}")
}

#[test]
fn a_web_server_is_read_and_its_signature_is_not_shown() {
    let test = Fetching::new();
    let url = serve("w.safetensors", b"weights of the web");
    let digest = sha256(b"weights of the web");
    let done = fetch(&format!("{url}?sig=SECRET"), &test.settings(Some(&digest))).unwrap();
    assert_eq!(done.from, url);
    assert_eq!(fs::read(&done.path).unwrap(), b"weights of the web");
    let absent = url.replace("w.safe", "x.safe") + "?sig=SECRET";
    let error = fetch(&absent, &test.settings(Some(&digest))).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no such file") && !text.contains("SECRET"), "{text}");
}

#[test]
fn a_licence_must_be_accepted_before_anything_is_fetched() {
    let test = Fetching::new();
    let refusing = FetchSettings { accept: false, ..test.settings(None) };
    for word in [KNOWN[0].name.to_owned(), KNOWN[0].url(), KNOWN[0].file.to_owned()] {
        let error = fetch(&word, &refusing).unwrap_err();
        let Error::Usage(text) = &error else { panic!("{error:?}") };
        for wanted in ["Apache License 2.0", "https://ade20k.csail.mit.edu/terms/", "--accept-licence", KNOWN[0].file] {
            assert!(text.contains(wanted), "{wanted} in {text}");
        }
    }
    // A mirror of a known file is under its licence and held to its checksum.
    let file = Known::find("setr-pup-ade20k").unwrap().file;
    let url = serve(file, b"not the weights");
    let error = fetch(&url, &refusing).unwrap_err().to_string();
    assert!(error.contains("ADE20K"), "{error}");
    let error = fetch(&url, &test.settings(Some(&sha256(b"not the weights")))).unwrap_err().to_string();
    assert!(error.contains("begins with 7e0ce826"), "{error}");
    assert_eq!(test.left(), Vec::<String>::new());
    let other = FetchSettings { accept: false, ..test.settings(Some(&sha256(b"x"))) };
    let error = fetch("memory://model-fetch/c/x.pth", &other).unwrap_err().to_string();
    assert!(error.contains("its licence is not known here") && error.contains("--accept-licence"), "{error}");
    let error = fetch("segmenter-vit-b", &refusing).unwrap_err().to_string();
    assert!(error.contains("did you mean `segmenter-vit-"), "{error}");
}

#[test]
fn a_wish_to_stop_leaves_nothing() {
    let test = Fetching::new();
    test.put("memory://model-fetch/d", "w.pth", b"weights");
    let settings = test.settings(Some(&sha256(b"weights")));
    settings.cancel.cancel(Cause::Signal);
    let error = fetch("memory://model-fetch/d/w.pth", &settings).unwrap_err();
    assert!(matches!(error, Error::Cancelled(Cause::Signal)), "{error:?}");
    assert_eq!(test.left(), Vec::<String>::new());
}
