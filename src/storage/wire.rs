//! What a store's answers hold beyond what the client tells: how an object is encrypted, and keys that the client cannot
//! hold. Must not know what is asked for, or why.

use super::location::check_key;
use bytes::Bytes;
use memchr::memmem;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::{ClientOptions, HeaderMap};
use std::sync::{Arc, Mutex, PoisonError};

/// Makes connections whose answers are looked at.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Wire { client: ReqwestConnector::default().connect(options)? }))
    }
}

#[derive(Debug)]
struct Wire {
    client: HttpClient,
}

#[async_trait::async_trait]
impl HttpService for Wire {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let headers = request.extensions().get::<Headers>().cloned();
        let passed = request.extensions().get::<PassedOver>().cloned();
        let answer = self.client.execute(request).await?;
        if let Some(headers) = headers {
            headers.0.set(answer.headers().clone());
        }
        match passed {
            Some(passed) if answer.status().is_success() => {
                let (parts, body) = answer.into_parts();
                let (page, keys) = without_strange_keys(body.bytes().await?);
                passed.0.set(keys);
                Ok(HttpResponse::from_parts(parts, page.into()))
            }
            _ => Ok(answer),
        }
    }
}

/// A value that an answer leaves behind. The last answer's counts: a request may be sent several times.
#[derive(Debug, Default)]
struct Slot<T>(Arc<Mutex<T>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Default> Slot<T> {
    fn set(&self, value: T) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = value;
    }

    fn take(&self) -> T {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Put into the extensions of a request: holds the headers of its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Headers(Slot<HeaderMap>);

impl Headers {
    /// The headers of the last answer; none when the connection does not look.
    pub(super) fn take(&self) -> HeaderMap {
        self.0.take()
    }
}

/// Put into the extensions of a request for a page of a listing: holds the keys that no store of ours could hold. They are
/// taken out of the page, where one of them would spoil all.
#[derive(Clone, Debug, Default)]
pub(super) struct PassedOver(Slot<Vec<String>>);

impl PassedOver {
    /// The keys of the last answer.
    pub(super) fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

/// A page of a listing without the entries whose keys are none of ours, and those keys. The empty markers of folders that
/// some tools make, `photos/`, are left out without a word.
fn without_strange_keys(page: Bytes) -> (Bytes, Vec<String>) {
    const START: &[u8] = b"<Contents>";
    const END: &[u8] = b"</Contents>";
    let mut strange = Vec::new();
    let mut kept: Option<Vec<u8>> = None;
    let (mut copied, mut at) = (0, 0);
    while let Some(start) = memmem::find(&page[at..], START).map(|found| at + found) {
        let Some(end) = memmem::find(&page[start..], END).map(|found| start + found + END.len()) else { break };
        let entry = &page[start..end];
        let key = between(entry, b"<Key>", b"</Key>").map(unescaped);
        if let Some(key) = key.filter(|key| !is_ours(key)) {
            let kept = kept.get_or_insert_with(Vec::new);
            kept.extend_from_slice(&page[copied..start]);
            copied = end;
            let is_marker = key.ends_with('/') && between(entry, b"<Size>", b"</Size>") == Some(b"0");
            if !is_marker {
                strange.push(key);
            }
        }
        at = end;
    }
    match kept {
        None => (page, strange),
        Some(mut kept) => {
            kept.extend_from_slice(&page[copied..]);
            (kept.into(), strange)
        }
    }
}

fn is_ours(key: &str) -> bool {
    check_key(key).is_ok() && !key.chars().any(|character| character.is_ascii_control())
}

fn between<'a>(text: &'a [u8], start: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    let from = memmem::find(text, start)? + start.len();
    let length = memmem::find(&text[from..], end)?;
    Some(&text[from..from + length])
}

/// The text that XML writes so. What is no reference stays as it is: the key is for people then.
fn unescaped(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_ref();
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let reference = after.split_once(';').and_then(|(name, after)| Some((character(name)?, after)));
        match reference {
            Some((character, after)) => {
                out.push(character);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

fn character(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let value = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(value)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{unescaped, without_strange_keys};
    use bytes::Bytes;

    fn page(entries: &[(&str, u32)]) -> String {
        let entry = |(key, size): &(&str, u32)| format!("<Contents><Key>{key}</Key><Size>{size}</Size></Contents>");
        format!("<List>{}<Token>t</Token></List>", entries.iter().map(entry).collect::<String>())
    }

    #[test]
    fn what_cannot_be_held_is_taken_out_of_a_page_and_named() {
        let whole = page(&[("a", 1), ("a//b", 1), ("a/", 0), ("b&#x1;", 1), ("c&amp;/", 3), ("d&amp;", 0)]);
        let (left, strange) = without_strange_keys(Bytes::from(whole));
        assert_eq!(left, page(&[("a", 1), ("d&amp;", 0)]));
        assert_eq!(strange, ["a//b", "b\u{1}", "c&/"]);
    }

    #[test]
    fn a_page_of_good_keys_is_handed_on_as_it_is() {
        for text in [page(&[("a", 1), ("b/c", 2)]), page(&[]), "<Contents><Key>a//b".to_owned(), String::new()] {
            let whole = Bytes::from(text.clone());
            let (left, strange) = without_strange_keys(whole.clone());
            assert!(left == whole && left.as_ptr() == whole.as_ptr() && strange.is_empty(), "{text}");
        }
    }

    #[test]
    fn references_are_read_and_other_ampersands_stay() {
        assert_eq!(unescaped(b"a&lt;b&#xe4;&#65;&amp;amp; & &nbsp;x"), "a<b\u{e4}A&amp; & &nbsp;x");
    }
}
