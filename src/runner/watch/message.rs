//! Messages over HTTP: several at a time, each tried a few times, none shown with its address. Must not know what they say.

use crate::pipeline::watch::{Address, shown};
use reqwest::{Client, Method, StatusCode, redirect};
use std::error::Error;
use std::time::Duration;
use tokio::runtime::Handle;

/// How often a message is tried.
pub const TRIES: usize = 3;
/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before each further try.
const PAUSES: [Duration; TRIES - 1] = [Duration::from_millis(500), Duration::from_secs(2)];

/// One message.
pub struct Message {
    /// What it is, for people.
    what: &'static str,
    to: Result<url::Url, String>,
    method: Method,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    /// Figures for a Pushgateway; those of the pipeline's last push are replaced.
    pub fn push(address: &Address, pipeline: &str, text: String) -> Self {
        let path = ["metrics", "job", "selvedge", "pipeline", pipeline];
        let to = address.url().map(|url| below(url, &path));
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        Self { what: "push", to, method: Method::PUT, headers: content(kind), body: text.into_bytes() }
    }

    /// A run's outcome.
    pub fn webhook(address: &Address, body: Vec<u8>) -> Self {
        Self { what: "webhook", to: address.url(), method: Method::POST, headers: content("application/json"), body }
    }

    /// A sign of life; one of failure goes to `/fail` below the address.
    pub fn healthcheck(address: &Address, success: bool, body: Vec<u8>) -> Self {
        let to = address.url().map(|url| if success { url } else { below(url, &["fail"]) });
        Self { what: "healthcheck", to, method: Method::POST, headers: content("application/json"), body }
    }

    /// A trace.
    #[cfg(feature = "otel")]
    pub fn trace(to: url::Url, headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        let headers = content("application/json").into_iter().chain(headers).collect();
        Self { what: "OpenTelemetry", to: Ok(to), method: Method::POST, headers, body }
    }
}

fn content(kind: &str) -> Vec<(String, String)> {
    vec![("content-type".to_owned(), kind.to_owned())]
}

/// The address with more parts of a path, its query kept.
pub fn below(mut url: url::Url, parts: &[&str]) -> url::Url {
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(parts);
    }
    url
}

/// Sends all messages at once, and gives a line for each that did not arrive.
pub fn send(messages: Vec<Message>, tries: usize, handle: &Handle) -> Vec<String> {
    if messages.is_empty() {
        return Vec::new();
    }
    let client = Client::builder()
        .timeout(TIMEOUT)
        .redirect(redirect::Policy::none())
        .user_agent(concat!("selvedge/", env!("CARGO_PKG_VERSION")))
        .build();
    let client = match client {
        Ok(client) => client,
        Err(error) => return vec![format!("nobody can be told over HTTP: {}", cause(&error))],
    };
    let all = messages.iter().map(|message| deliver(&client, message, tries));
    handle.block_on(futures::future::join_all(all)).into_iter().filter_map(Result::err).collect()
}

async fn deliver(client: &Client, message: &Message, tries: usize) -> Result<(), String> {
    let Message { what, to, .. } = message;
    let to = to.as_ref().map_err(|error| format!("{what}: {error}"))?;
    let mut tried = 0;
    loop {
        let refused = match once(client, message, to).await {
            Ok(status) if status.is_success() => return Ok(()),
            Ok(status) => (format!("the answer was {status}"), may_pass(status)),
            Err(error) => (cause(&error.without_url()), true),
        };
        tried += 1;
        let (why, again) = refused;
        if !again || tried >= tries {
            let times = if tried > 1 { format!(" {tried} times") } else { String::new() };
            return Err(format!("{what} {}: not told{times}: {why}", shown(to)));
        }
        tokio::time::sleep(PAUSES[(tried - 1).min(PAUSES.len() - 1)]).await;
    }
}

async fn once(client: &Client, message: &Message, to: &url::Url) -> Result<StatusCode, reqwest::Error> {
    let mut request = client.request(message.method.clone(), to.clone()).body(message.body.clone());
    for (name, value) in &message.headers {
        request = request.header(name, value);
    }
    Ok(request.send().await?.status())
}

/// Whether the same message may be taken later.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// The innermost cause: the outer ones say only that a request failed.
fn cause(error: &dyn Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
