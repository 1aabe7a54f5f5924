//! What a cloud's client reports, made into this room's errors. Must show no credential: of an answer's body only the code
//! and the message are taken, since some stores repeat the session token in it.

use super::Error;
use object_store::client::{HttpError, HttpErrorKind};
use std::error::Error as _;

/// A failed request.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) error: Error,
    /// Whether another try could help and was not made by the client itself: a body that broke off, a connection lost.
    pub(super) again: bool,
    /// Whether other credentials could help.
    pub(super) stale: bool,
    /// Whether it may only mean that there is no such object: who may not list all of a bucket is refused what is not there.
    pub(super) vague: bool,
}

impl Refusal {
    /// A failure of the transfer: another try could help.
    pub(super) fn transient(place: String, cause: String) -> Self {
        Self { again: true, ..Error::Transient { place, cause }.into() }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self { error, again: false, stale: false, vague: false }
    }
}

/// Codes that mean: the credentials are at fault, whatever the status of the answer.
const DENIED: [&str; 14] = [
    "AccessDenied",
    "AllAccessDisabled",
    "AuthenticationFailed",
    "AuthorizationFailure",
    "AuthorizationPermissionMismatch",
    "AccountProblem",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
    "UnauthorizedAccess",
];
/// Codes of these that other credentials could help against: they expired, or were replaced.
const STALE: [&str; 6] = [
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "TokenRefreshRequired",
];
/// Codes that mean: what arrived is not what was sent.
const HARMED: [&str; 5] =
    ["BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"];
/// Codes that mean: no room.
const FULL: [&str; 5] =
    ["QuotaExceeded", "XMinioStorageFull", "EntityTooLarge", "InsufficientCapacity", "ServiceQuotaExceeded"];

/// Reads the failure of a request on `place`.
pub(super) fn refusal(place: &str, error: &object_store::Error) -> Refusal {
    use object_store::Error as E;
    let place = place.to_owned();
    let text = chain(error);
    let status = status_of(&text);
    let code = between(&text, "<Code>", "</Code>").unwrap_or("");
    let transport = transport_of(error);
    let cause = cause_of(&text, status, code, transport);
    let retried = text.contains("max_retries:");
    let mut again = false;
    let error = match error {
        _ if DENIED.contains(&code) => Error::Denied { place, cause },
        _ if HARMED.contains(&code) => {
            again = true;
            let cause = format!("the upload was corrupt or incomplete when it arrived, {cause}");
            Error::Transient { place, cause }
        }
        _ if FULL.contains(&code) || status == Some(507) => Error::Full { place, cause },
        E::NotFound { .. } => Error::NotFound { place, cause },
        E::Precondition { .. } => Error::Changed { place, cause },
        E::PermissionDenied { .. } | E::Unauthenticated { .. } => Error::Denied { place, cause },
        E::InvalidPath { .. } => Error::Unsupported {
            place,
            cause: format!("{cause}: a key that cannot be told from another; rename or move that object"),
        },
        E::NotImplemented { .. } | E::NotSupported { .. } => Error::Unsupported { place, cause },
        _ if is_about_credentials(&text) => Error::Denied {
            place,
            cause: "no credentials were found; set them in the environment, or `anonymous` = true for a public bucket"
                .to_owned(),
        },
        _ => match (status, transport) {
            (Some(404), _) => Error::NotFound { place, cause },
            (Some(401 | 403), _) => Error::Denied { place, cause },
            (Some(409 | 412), _) => Error::Changed { place, cause },
            (Some(501), _) => Error::Unsupported { place, cause },
            (Some(408 | 429 | 500..), _) => Error::Transient { place, cause },
            (Some(_), _) => Error::Other { place, cause },
            (None, Some(_)) => {
                again = !retried;
                Error::Transient { place, cause }
            }
            (None, None) => Error::Other { place, cause },
        },
    };
    let vague = code == "AccessDenied" || (code.is_empty() && matches!(status, Some(400 | 401 | 403)));
    Refusal { error, again, stale: STALE.contains(&code), vague }
}

/// The texts of an error and all it came from, each only where it adds something.
fn chain(error: &object_store::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let next = error.to_string();
        if !text.contains(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        source = error.source();
    }
    text
}

/// How the connection failed, if that is what failed.
fn transport_of(error: &object_store::Error) -> Option<HttpErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}

/// The HTTP status that the client wrote into its text.
fn status_of(text: &str) -> Option<u16> {
    text.split_once("non-2xx status code: ")?.1.get(..3)?.parse().ok()
}

/// The cause in words: status, code and message of an answer, or what happened to the connection.
fn cause_of(text: &str, status: Option<u16>, code: &str, transport: Option<HttpErrorKind>) -> String {
    let retries = between(text, "after ", " retries").map_or(String::new(), |count| format!(" after {count} retries"));
    if let Some(status) = status {
        let message =
            between(text, "<Message>", "</Message>").or_else(|| between(text, "\"message\": \"", "\"")).unwrap_or("");
        let said = match (code.is_empty(), message.is_empty()) {
            (true, true) => String::new(),
            (false, true) => format!(", {code}"),
            (true, false) => format!(", {}", scrubbed(message)),
            (false, false) => format!(", {code}: {}", scrubbed(message)),
        };
        return format!("HTTP {status}{said}{retries}");
    }
    let what = match transport {
        Some(HttpErrorKind::Connect) => "no connection",
        Some(HttpErrorKind::Timeout) => "no answer in time",
        Some(HttpErrorKind::Interrupted | HttpErrorKind::Request) => "the connection broke off",
        Some(_) => "the answer broke off or made no sense",
        None => return scrubbed(text),
    };
    let detail = text.rsplit(": ").next().unwrap_or("");
    format!("{what}{retries}: {}", scrubbed(detail))
}

/// Whether the request that failed was one for credentials.
fn is_about_credentials(text: &str) -> bool {
    [
        "169.254.169.254",
        "169.254.170.2",
        "latest/api/token",
        "metadata.google.internal",
        "/metadata/identity",
        "=AssumeRoleWithWebIdentity",
    ]
    .iter()
    .any(|sign| text.contains(sign))
}

/// A text cut to 300 characters, without the queries of URLs, where signatures are.
pub(super) fn scrubbed(text: &str) -> String {
    let mut out = String::new();
    for word in text.split_whitespace() {
        let word = if word.contains("://") { word.split('?').next().unwrap_or("") } else { word };
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    match out.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &out[..end]),
        None => out,
    }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    Some(text.split_once(start)?.1.split_once(end)?.0)
}

#[cfg(test)]
mod tests {
    use super::{cause_of, scrubbed, status_of};

    #[test]
    fn of_an_answer_only_code_and_message_are_shown() {
        let text = "Error performing GET http://h/b in 2ms - Server returned non-2xx status code: 400 Bad Request: <Error>\
                    <Code>ExpiredToken</Code><Message>The provided token has expired.</Message><Token-0>SECRET</Token-0></Error>";
        let status = status_of(text);
        assert_eq!(status, Some(400));
        assert_eq!(
            cause_of(text, status, "ExpiredToken", None),
            "HTTP 400, ExpiredToken: The provided token has expired."
        );
    }

    #[test]
    fn the_query_of_a_url_is_not_shown() {
        assert_eq!(scrubbed("GET https://h/p?sig=SECRET failed"), "GET https://h/p failed");
    }
}
