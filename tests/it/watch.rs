//! Who is told of a run's end, and what: figures in a file, messages over HTTP, a command, and the outcome in the store.

use crate::runs::{code, end, files, json, selvedge, store};
use crate::schedule::{deliver, nightly};
use selvedge::cancel::Cancel;
use selvedge::runner::lock;
use serde_json::{Value, json as value};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;
use tempfile::TempDir;

/// One request as it came in.
#[derive(Debug)]
struct Request {
    line: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Request {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A web server that answers the first requests with these codes and all others with 200, and keeps what it was told.
struct Server {
    address: String,
    thread: JoinHandle<Vec<Request>>,
}

impl Server {
    fn start(answers: &'static [u16]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut answers = answers.iter().copied();
        let thread = std::thread::spawn(move || {
            let mut requests = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(request) = read(&mut stream) else { break };
                requests.push(request);
                let answer = answers.next().unwrap_or(200);
                let head = format!("HTTP/1.1 {answer} .\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                stream.write_all(head.as_bytes()).unwrap();
            }
            requests
        });
        Self { address, thread }
    }

    /// What it was told until now; a connection that says nothing ends it.
    fn stop(self) -> Vec<Request> {
        drop(TcpStream::connect(&self.address).unwrap());
        self.thread.join().unwrap()
    }
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    if line.is_empty() {
        return None;
    }
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let Some((name, value)) = header.trim().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).unwrap();
    Some(Request { line: line.trim().to_owned(), headers, body })
}

/// A pipeline of one photo with this `[watch]`.
fn watched(watch: &str) -> TempDir {
    let place = nightly(&format!("[limits]\nmax_quarantine = \"0\"\n[watch]\n{watch}"), "in/");
    deliver(place.path(), "a", 0);
    place
}

fn run(place: &Path) -> Output {
    // Whatever proxy this machine uses, it is not asked for an address of its own.
    selvedge(place, &["run", "night.toml", "--json"]).env("NO_PROXY", "127.0.0.1").output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The figures of a file in Prometheus' text format by name and labels, each rule of the format asserted on the way.
fn figures(text: &str) -> BTreeMap<String, f64> {
    let mut found = BTreeMap::new();
    let mut families: Vec<&str> = Vec::new();
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    assert!(text.ends_with('\n'));
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, help) = help.split_once(' ').unwrap();
            assert!(is_name(name) && !help.is_empty() && !families.contains(&name), "{line}");
            let kind = lines.next().unwrap().strip_prefix("# TYPE ").unwrap().strip_prefix(name).unwrap().trim();
            assert_eq!(kind, if name.ends_with("_total") { "counter" } else { "gauge" }, "{name}");
            families.push(name);
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap();
        assert_eq!(families.last(), Some(&name), "a family stands together: {line}");
        for label in labels.strip_suffix('}').unwrap().split(',') {
            let (label, value) = label.split_once('=').unwrap();
            assert!(is_name(label) && value.len() >= 2 && value.starts_with('"') && value.ends_with('"'), "{line}");
        }
        assert!(found.insert(series.to_owned(), value.parse().unwrap()).is_none(), "twice: {line}");
    }
    found
}

#[test]
fn everybody_is_told_of_a_run_that_is_done() {
    let server = Server::start(&[]);
    let host = &server.address;
    let place = watched(&format!(
        "prometheus_file = \"night.prom\"\npush = \"http://{host}/gate/\"\nwebhook = \"http://{host}/hook?key=1\"\n\
         healthcheck = \"http://{host}/check\"\ncommand = [\"sh\", \"-c\", \"cat > told.json; env > told.env\"]"
    ));
    let output = run(place.path());
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let name = answer["run"].as_str().unwrap();
    let kept = fs::read(place.path().join("store/runs").join(name).join("outcome.json")).unwrap();
    let kept: Value = serde_json::from_slice(&kept).unwrap();
    let mut requests = server.stop();
    requests.sort_by(|a, b| a.line.cmp(&b.line));
    let lines: Vec<&str> = requests.iter().map(|request| request.line.as_str()).collect();
    let gate = "PUT /gate/metrics/job/selvedge/pipeline/night HTTP/1.1";
    assert_eq!(lines, ["POST /check HTTP/1.1", "POST /hook?key=1 HTTP/1.1", gate]);
    assert_eq!((requests[0].json(), requests[1].json()), (kept.clone(), kept.clone()));
    let file = place.path().join("night.prom");
    let text = fs::read_to_string(&file).unwrap();
    assert_eq!(String::from_utf8(requests.pop().unwrap().body).unwrap(), text);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644, "the node exporter is another user");
    let told: Value = serde_json::from_slice(&fs::read(place.path().join("told.json")).unwrap()).unwrap();
    assert_eq!(told, kept);
    let environment = fs::read_to_string(place.path().join("told.env")).unwrap();
    for line in [format!("SELVEDGE_RUN={name}"), "SELVEDGE_EXIT=0".into(), "SELVEDGE_OUTCOME=done".into()] {
        assert!(environment.lines().any(|other| other == line), "{line}");
    }
    assert_eq!((&kept["schema"], &kept["result"], &kept["exit"]), (&value!("run/1.2"), &value!("done"), &value!(0)));
    let figures = figures(&text);
    assert_eq!(figures["selvedge_last_run_items{pipeline=\"night\",stage=\"cutout\",outcome=\"ok\"}"], 1.0);
    assert_eq!(figures["selvedge_last_run_exit_code{pipeline=\"night\"}"], 0.0);
    let photo = fs::metadata(place.path().join("in/a/product-000000.jpg")).unwrap().len();
    assert_eq!(figures["selvedge_last_run_source_bytes{pipeline=\"night\",stage=\"cutout\"}"], photo as f64);
    let ended: jiff::Timestamp = kept["ended"].as_str().unwrap().parse().unwrap();
    for name in ["selvedge_last_run_timestamp_seconds", "selvedge_last_success_timestamp_seconds"] {
        assert_eq!(figures[&format!("{name}{{pipeline=\"night\"}}")], ended.as_millisecond() as f64 / 1000.0);
    }
}

#[test]
fn a_run_that_fails_is_told_as_one_and_figures_go_on_from_run_to_run() {
    let place = watched("prometheus_file = \"night.prom\"");
    let file = place.path().join("night.prom");
    let now = || figures(&fs::read_to_string(&file).unwrap());
    assert_eq!(code(&run(place.path())), 0);
    let first = now();
    fs::write(place.path().join("in/a/broken.jpg"), b"no photo").unwrap();
    let server = Server::start(&[]);
    let toml = place.path().join("night.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let more = format!("[watch]\nhealthcheck = \"http://{}/check\"", server.address);
    fs::write(&toml, text.replace("[watch]", &more)).unwrap();
    assert_eq!(code(&run(place.path())), 1);
    let requests = server.stop();
    assert_eq!(requests[0].line, "POST /check/fail HTTP/1.1");
    assert_eq!(requests[0].json()["over_limit"], value!(["cutout"]));
    let second = now();
    let of = |figures: &BTreeMap<String, f64>, name: &str| figures[&format!("{name}{{pipeline=\"night\"}}")];
    let (last, success) = ("selvedge_last_run_timestamp_seconds", "selvedge_last_success_timestamp_seconds");
    assert_eq!(of(&second, success), of(&first, success));
    assert!(of(&second, last) > of(&first, last));
    assert_eq!(of(&second, "selvedge_last_run_exit_code"), 1.0);
    assert_eq!((of(&first, "selvedge_quarantined_items"), of(&second, "selvedge_quarantined_items")), (0.0, 1.0));
    for (result, runs) in [("done", 1.0), ("failed", 1.0)] {
        assert_eq!(second[&format!("selvedge_runs_total{{pipeline=\"night\",result=\"{result}\"}}")], runs);
    }
    for (outcome, items) in [("ok", 1.0), ("quarantined", 1.0), ("failed", 0.0)] {
        let series = format!("selvedge_items_total{{pipeline=\"night\",stage=\"cutout\",outcome=\"{outcome}\"}}");
        assert_eq!(second[&series], items, "{outcome}");
    }
    assert_eq!(second["selvedge_last_run_items{pipeline=\"night\",stage=\"cutout\",outcome=\"cached\"}"], 1.0);
}

#[test]
fn a_run_that_meets_another_is_told_and_leaves_the_figures_of_the_last() {
    let server = Server::start(&[]);
    let host = &server.address;
    let place = watched(&format!(
        "prometheus_file = \"night.prom\"\npush = \"http://{host}/gate\"\nwebhook = \"http://{host}/hook\"\n\
         webhook_on = [\"busy\", \"failed\"]\nhealthcheck = \"http://{host}/check\""
    ));
    assert_eq!(code(&run(place.path())), 0);
    let file = place.path().join("night.prom");
    let before = figures(&fs::read_to_string(&file).unwrap());
    let held = lock::acquire(&store(&place.path().join("store")), "night", "the-first", &Cancel::default()).unwrap();
    assert_eq!(code(&run(place.path())), 5);
    held.release().unwrap();
    let requests = server.stop();
    let lines: Vec<&str> = requests.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("/hook")).count(), 1, "{lines:?}");
    assert!(lines.len() == 3 && lines[2].starts_with("POST /hook"), "only the hook hears of the second: {lines:?}");
    let told = requests[2].json();
    assert_eq!((&told["result"], &told["exit"], &told["run"]), (&value!("busy"), &value!(5), &Value::Null));
    assert!(told["error"].as_str().unwrap().contains("the-first"), "{told}");
    let mut after = figures(&fs::read_to_string(&file).unwrap());
    assert_eq!(after.remove("selvedge_runs_total{pipeline=\"night\",result=\"busy\"}"), Some(1.0));
    assert_eq!(after, before);
}

#[test]
fn the_end_of_an_array_job_is_told_and_a_new_file_learns_the_last_success_from_the_store() {
    let place = watched("");
    let first = json(place.path(), 0, &["run", "night.toml"]);
    fs::write(place.path().join("in/a/broken.jpg"), b"no photo").unwrap();
    let server = Server::start(&[]);
    let toml = place.path().join("night.toml");
    let text = fs::read_to_string(&toml).unwrap();
    let more = format!("[watch]\npush = \"http://{0}/gate\"\nwebhook = \"http://{0}/hook\"", server.address);
    fs::write(&toml, text.replace("[watch]", &more)).unwrap();
    let array =
        |words: &[&str]| selvedge(place.path(), words).env("NO_PROXY", "127.0.0.1").arg("--json").output().unwrap();
    let frozen: Value = serde_json::from_slice(&array(&["plan", "night.toml", "--freeze"]).stdout).unwrap();
    let url = frozen["url"].as_str().unwrap();
    assert_eq!(code(&array(&["work", "--run", url, "--shard", "0/1"])), 0);
    let finished = array(&["finish", "--run", url]);
    assert_eq!(code(&finished), 1, "more is quarantined than allowed: {}", stderr(&finished));
    let mut requests = server.stop();
    requests.sort_by(|a, b| a.line.cmp(&b.line));
    let [hook, push] = &requests[..] else { panic!("only the end is told: {requests:?}") };
    assert_eq!((&hook.json()["run"], &hook.json()["result"]), (&frozen["run"], &value!("failed")));
    let figures = figures(std::str::from_utf8(&push.body).unwrap());
    let ended: jiff::Timestamp = first["ended"].as_str().unwrap().parse().unwrap();
    let success = figures["selvedge_last_success_timestamp_seconds{pipeline=\"night\"}"];
    assert_eq!(success, ended.as_millisecond() as f64 / 1000.0);
    assert!(!figures.keys().any(|series| series.contains("_total")), "without a file nothing is counted on");
}

#[test]
fn a_webhook_is_tried_again_where_that_can_help_and_its_secret_is_never_told() {
    for (answers, tries, arrives) in [(&[503, 500][..], 3, true), (&[503, 429, 500], 3, false), (&[404], 1, false)] {
        let server = Server::start(answers);
        let place = watched("webhook = \"http://user:hidden@${SELVEDGE_TEST_HOST}/hidden?hidden=hidden\"");
        let output = selvedge(place.path(), &["run", "night.toml", "--json"])
            .env("NO_PROXY", "127.0.0.1")
            .env("SELVEDGE_TEST_HOST", format!("{}/hidden", server.address))
            .output()
            .unwrap();
        let requests = server.stop();
        assert_eq!((requests.len(), code(&output)), (tries, 0), "{}", stderr(&output));
        assert!(requests.iter().all(|request| request.body == requests[0].body), "{requests:?}");
        assert!(requests[0].headers["authorization"].starts_with("Basic "), "{requests:?}");
        assert_eq!(stderr(&output).contains("warning: webhook http://127.0.0.1"), !arrives, "{}", stderr(&output));
        for (path, bytes) in files(place.path()) {
            let named = path.ends_with("night.toml") || path.ends_with("run.json");
            let hidden = String::from_utf8_lossy(&bytes).contains("hidden?hidden");
            assert!(named || !hidden, "{}", path.display());
        }
        assert!(!stderr(&output).contains("hidden") && !String::from_utf8_lossy(&output.stdout).contains("hidden"));
    }
}

#[test]
fn nobody_at_home_is_a_warning_and_changes_no_exit_code() {
    // A port that was free a moment ago, and that nobody listens on.
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = watched(&format!(
        "push = \"http://{gone}/hidden\"\nhealthcheck = \"file:missing\"\nwebhook = \"file:secret\"\n\
         prometheus_file = \"nowhere/night.prom\"\ncommand = [\"./no-such-program\"]"
    ));
    fs::write(place.path().join("secret"), "hidden, but no URL\n").unwrap();
    let output = run(place.path());
    let stderr = stderr(&output);
    assert_eq!(code(&output), 0, "{stderr}");
    for told in [
        &format!("warning: push http://{gone}/…: not told 3 times"),
        "warning: healthcheck: missing: ",
        "warning: webhook: secret: is no URL",
        "warning: prometheus_file nowhere/night.prom: ",
        "warning: command ./no-such-program: ",
    ] {
        assert!(stderr.contains(told), "{told}: {stderr}");
    }
    assert!(!stderr.contains("hidden"), "{stderr}");
}

#[test]
fn a_command_has_its_time_and_what_it_says_is_told() {
    let place = watched("command = [\"sh\", \"-c\", \"echo it is late >&2; exec sleep 600\"]\ncommand_seconds = 1");
    let output = run(place.path());
    assert!(code(&output) == 0 && stderr(&output).contains("ended after 1 s"), "{}", stderr(&output));
    assert!(stderr(&output).contains("it said: it is late"), "{}", stderr(&output));
    let place = watched("command = [\"sh\", \"-c\", \"echo wrong number >&2; exit 4\"]\ncommand_on = [\"failed\"]");
    assert!(!stderr(&run(place.path())).contains("wrong number"));
    fs::write(place.path().join("in/a/broken.jpg"), b"no photo").unwrap();
    let output = run(place.path());
    assert!(code(&output) == 1 && stderr(&output).contains("it said: wrong number"), "{}", stderr(&output));
}

#[test]
fn two_pipelines_do_not_share_a_file_of_figures() {
    let place = watched("prometheus_file = \"night.prom\"");
    assert_eq!(code(&run(place.path())), 0);
    let toml = place.path().join("night.toml");
    let other = fs::read_to_string(&toml).unwrap().replace("name = \"night\"", "name = \"other\"");
    fs::write(&toml, other).unwrap();
    let before = fs::read(place.path().join("night.prom")).unwrap();
    let output = run(place.path());
    assert!(code(&output) == 0 && stderr(&output).contains("holds the figures of the pipeline night"));
    assert_eq!(fs::read(place.path().join("night.prom")).unwrap(), before);
    fs::write(place.path().join("night.prom"), &before[..before.len() / 2]).unwrap();
    fs::write(&toml, fs::read_to_string(&toml).unwrap().replace("name = \"other\"", "name = \"night\"")).unwrap();
    assert_eq!(code(&run(place.path())), 0);
    let anew = figures(&fs::read_to_string(place.path().join("night.prom")).unwrap());
    assert_eq!(anew["selvedge_runs_total{pipeline=\"night\",result=\"done\"}"], 1.0, "a damaged file begins anew");
}

#[test]
fn a_mistake_in_what_is_watched_is_refused_before_any_work_and_without_the_secret() {
    for (watch, told) in [
        ("webhook = \"hidden\"", "is no URL"),
        ("webhook = \"ftp://hidden/\"", "or write file:PATH"),
        ("webhook_on = [\"done\", \"fialed\"]", "did you mean failed?"),
        ("prometheus_file = \"night.txt\"", ".prom"),
        ("command = []", "needs a program"),
        ("command_seconds = 0", "from 1 to 3600"),
        ("webhok = \"http://h/\"", "did you mean webhook?"),
    ] {
        let place = watched(watch);
        let output = run(place.path());
        assert!(code(&output) == 2 && stderr(&output).contains(told), "{watch}: {}", stderr(&output));
        assert!(!stderr(&output).contains("hidden") && !place.path().join("store").exists(), "{}", stderr(&output));
    }
}

#[test]
fn a_run_that_was_told_to_stop_says_so_to_those_who_watch() {
    let server = Server::start(&[503]);
    let schedule = "[schedule]\non_overlap = \"wait\"";
    let place = nightly(&format!("{schedule}\n[watch]\nwebhook = \"http://{}/hook\"", server.address), "in/");
    deliver(place.path(), "a", 0);
    let held = lock::acquire(&store(&place.path().join("store")), "night", "the-first", &Cancel::default()).unwrap();
    let mut child = selvedge(place.path(), &["run", "night.toml"])
        .env("NO_PROXY", "127.0.0.1")
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line.starts_with("waiting")));
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    let rest: Vec<String> = lines.collect();
    assert_eq!(child.wait().unwrap().code(), Some(143), "{rest:?}");
    held.release().unwrap();
    let requests = server.stop();
    assert_eq!(requests.len(), 1, "who is being stopped tries once");
    assert_eq!((&requests[0].json()["result"], &requests[0].json()["exit"]), (&value!("stopped"), &value!(143)));
}

#[test]
fn outcomes_of_the_first_release_are_read() {
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/store-1.0");
    let listed = json(Path::new("/"), 0, &["runs", "list", fixture]);
    assert_eq!(listed["runs"][0]["outcome"], "done", "{listed}");
    let run = format!("{fixture}/runs/{}", listed["runs"][0]["run"].as_str().unwrap());
    let shown = json(Path::new("/"), 0, &["runs", "show", "--run", &run]);
    assert_eq!((&shown["end"]["schema"], &shown["end"]["exit"]), (&value!("run/1.0"), &Value::Null));
}

#[test]
fn the_page_about_outcomes_names_every_field_and_no_other() {
    let place = watched("");
    let output = end(place.path(), &["run", "night.toml"]);
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let kept = files(&place.path().join("store/runs"));
    let (_, bytes) = kept.iter().find(|(path, _)| path.ends_with("outcome.json")).unwrap();
    let outcome: Value = serde_json::from_slice(bytes).unwrap();
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/outcome.md")).unwrap();
    let named = |heading: &str| -> Vec<String> {
        let section = page.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        rows.map(|(name, _)| name.to_owned()).collect()
    };
    let keys = |object: &Value| object.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (heading, object) in [("The outcome", &outcome), ("A stage", &outcome["stage_results"][0])] {
        let (mut named, mut keys) = (named(heading), keys(object));
        named.sort();
        keys.sort();
        assert_eq!(named, keys, "{heading}");
    }
}

#[test]
fn the_page_about_watching_names_every_figure_and_every_setting() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/watching.md")).unwrap();
    for (name, ..) in selvedge::runner::watch::figures::FAMILIES {
        assert!(page.contains(&format!("| `{name}")), "{name}");
    }
    // A key that is not known is told with all that are.
    let refused = stderr(&run(watched("xxxxxxxxxxxxxxxxxxxxxxx = 1").path()));
    let known = refused.split_once("known are ").unwrap().1.trim().split(", ");
    for key in known {
        assert!(page.contains(&format!("| `{key}`")), "{key}");
    }
}

#[cfg(feature = "otel")]
#[test]
fn a_run_is_a_trace_of_its_stages() {
    let server = Server::start(&[]);
    let place = watched("");
    let output = selvedge(place.path(), &["run", "night.toml", "--json"])
        .env("NO_PROXY", "127.0.0.1")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{}/otel", server.address))
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=one%20two")
        .env("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop,host.name=h")
        .output()
        .unwrap();
    assert_eq!(code(&output), 0, "{}", stderr(&output));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    let [request] = &server.stop()[..] else { panic!("one request is one trace") };
    assert_eq!(request.line, "POST /otel/v1/traces HTTP/1.1");
    assert_eq!((&*request.headers["content-type"], &*request.headers["api-key"]), ("application/json", "one two"));
    let told = request.json();
    let resource = &told["resourceSpans"][0];
    let attribute = |attributes: &Value, name: &str| -> Value {
        let all = attributes.as_array().unwrap();
        all.iter().find(|one| one["key"] == name).map_or(Value::Null, |one| one["value"].clone())
    };
    assert_eq!(attribute(&resource["resource"]["attributes"], "service.name"), value!({"stringValue": "shop"}));
    let spans = resource["scopeSpans"][0]["spans"].as_array().unwrap();
    let [run, stage] = &spans[..] else { panic!("a run of one stage: {spans:?}") };
    assert_eq!((&run["name"], &stage["name"]), (&value!("run night"), &value!("stage cutout")));
    assert_eq!((&stage["parentSpanId"], &stage["traceId"]), (&run["spanId"], &run["traceId"]));
    assert_eq!((run["traceId"].as_str().unwrap().len(), run["spanId"].as_str().unwrap().len()), (32, 16));
    assert_eq!(attribute(&run["attributes"], "selvedge.run"), value!({"stringValue": answer["run"]}));
    assert_eq!(attribute(&stage["attributes"], "selvedge.items.ok"), value!({"intValue": "1"}));
    let time = |span: &Value, key: &str| span[key].as_str().unwrap().parse::<i128>().unwrap();
    assert!(time(run, "startTimeUnixNano") <= time(stage, "startTimeUnixNano"));
    assert!(time(stage, "startTimeUnixNano") <= time(stage, "endTimeUnixNano"));
}
