//! How to reach a store: a short list of options, and the environment that holds the credentials. Must not show either's
//! secrets.

use super::Error;
use super::credentials::FileCredentials;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The options there are, with the meaning that help texts print.
pub const KNOWN: [(&str, &str); 14] = [
    ("endpoint", "URL of the service, for stores that are not the cloud's own (S3, Google, Azure)"),
    ("region", "region of an S3 bucket; us-east-1 unless given here or in AWS_REGION"),
    ("account", "storage account of an az:// location, unless in AZURE_STORAGE_ACCOUNT_NAME"),
    ("anonymous", "true: send no credentials, for public buckets"),
    ("allow_http", "true: allow plain http://, for endpoints inside a trusted network"),
    ("virtual_hosted", "true: the bucket is part of the S3 endpoint's host name"),
    ("profile", "section of the AWS credentials file, unless in AWS_PROFILE; `default` otherwise"),
    ("credentials_file", "file with AWS keys, unless in AWS_SHARED_CREDENTIALS_FILE; ~/.aws/credentials otherwise"),
    ("sse", "how S3 is to encrypt what is written: AES256, aws:kms or aws:kms:dsse; as the bucket says unless given"),
    ("sse_kms_key_id", "key for `sse` = aws:kms or aws:kms:dsse; the account's own unless given"),
    ("sse_bucket_key", "true: `sse` with a key of the bucket, which asks the key service less often"),
    ("verify", "false: do not compare what S3 sends with the MD5 that its entity tag is; true unless given"),
    ("retries", "how often a failed request is sent again, 0 to 20; 8 unless given"),
    ("timeout", "seconds that one request may take, 1 to 3600; 120 unless given"),
];

/// Options given by the user or a pipeline file, and the environment variables that complete them.
#[derive(Clone)]
pub struct Options {
    given: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
}

impl Default for Options {
    /// No options, and the environment of this process.
    fn default() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self::with_environment(std::env::vars_os().filter_map(text).collect())
    }
}

impl fmt::Debug for Options {
    /// Shows the options but no variable of the environment, where the secrets are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(&self.given).finish()
    }
}

impl Options {
    /// No options, and this environment in place of the process's.
    pub fn with_environment(environment: BTreeMap<String, String>) -> Self {
        Self { given: BTreeMap::new(), environment }
    }

    /// Sets one option; a name that is not in [`KNOWN`] or a value out of range is refused.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        if is_secret(name) {
            return Err(Error::usage(format!(
                "store option `{name}`: credentials are no options; put them into the environment (AWS_ACCESS_KEY_ID and \
                 AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, AZURE_STORAGE_ACCOUNT_KEY) or a credentials_file"
            )));
        }
        if !KNOWN.iter().any(|(known, _)| *known == name) {
            let near = KNOWN.iter().map(|(known, _)| *known).min_by_key(|known| strsim::levenshtein(known, name));
            let all = KNOWN.map(|(known, _)| known).join(", ");
            return Err(Error::usage(format!(
                "unknown store option `{name}`, did you mean `{}`? Known: {all}",
                near.unwrap_or("endpoint")
            )));
        }
        let wrong = |what: &str| Err(Error::usage(format!("store option `{name}` is to be {what}")));
        let within = |least: u64, most: u64| value.parse::<u64>().is_ok_and(|number| (least..=most).contains(&number));
        match name {
            "anonymous" | "allow_http" | "virtual_hosted" | "sse_bucket_key" | "verify"
                if !matches!(value, "true" | "false") =>
            {
                return wrong("`true` or `false`");
            }
            "sse" if !matches!(value, "AES256" | "aws:kms" | "aws:kms:dsse") => {
                return wrong("AES256, aws:kms or aws:kms:dsse");
            }
            "retries" if !within(0, 20) => return wrong("a whole number from 0 to 20"),
            "timeout" if !within(1, 3600) => return wrong("whole seconds from 1 to 3600"),
            "endpoint" => match url::Url::parse(value) {
                Ok(url) if !url.username().is_empty() || url.password().is_some() || url.query().is_some() => {
                    return wrong(
                        "a URL without user name, password or query; credentials belong into the environment",
                    );
                }
                Ok(url) if matches!(url.scheme(), "http" | "https") => {}
                _ => return wrong("a URL that begins with https:// (or http://, along with `allow_http`)"),
            },
            _ => {}
        }
        self.given.insert(name.to_owned(), value.to_owned());
        Ok(())
    }

    /// The value of an option, if it was given.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.given.get(name).map(String::as_str)
    }

    /// Whether a yes-or-no option is `true`.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// A whole number, already checked by [`Options::set`].
    pub(super) fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.get(name).and_then(|value| value.parse().ok()).unwrap_or(otherwise)
    }

    /// A variable of the environment; an empty one counts as absent.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The variables whose names begin so, names in lower case.
    pub(super) fn variables(&self, start: &str) -> impl Iterator<Item = (String, &str)> {
        let mine = self.environment.iter().filter(move |(name, value)| name.starts_with(start) && !value.is_empty());
        mine.map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }

    /// The keys in the shared AWS credentials file. None when there is no such file, or no keys in it, and nobody named one.
    pub(super) fn aws_file(&self) -> Result<Option<FileCredentials>, Error> {
        let profile = self.get("profile").or_else(|| self.variable("AWS_PROFILE"));
        let named = self.get("credentials_file").or_else(|| self.variable("AWS_SHARED_CREDENTIALS_FILE"));
        let path = match (named, self.variable("HOME")) {
            (Some(path), _) => PathBuf::from(path),
            (None, Some(home)) => PathBuf::from(home).join(".aws/credentials"),
            (None, None) => return Ok(None),
        };
        FileCredentials::open(path, profile.unwrap_or("default"), named.is_some() || profile.is_some())
    }
}

/// Whether an option of this name would hold a secret.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["secret", "token", "password", "access_key", "account_key", "sas", "service_account"]
        .iter()
        .any(|w| name.contains(w))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::Options;
    use std::collections::BTreeMap;

    #[test]
    fn an_unknown_option_is_refused_with_the_nearest() {
        let text = Options::with_environment(BTreeMap::new()).set("endpiont", "x").unwrap_err().to_string();
        assert!(text.contains("`endpiont`") && text.contains("`endpoint`"), "{text}");
    }

    #[test]
    fn a_credential_is_no_option_and_is_never_shown() {
        let mut options = Options::with_environment([("AWS_SECRET_ACCESS_KEY".to_owned(), "hidden".to_owned())].into());
        let text = options.set("secret_access_key", "hidden").unwrap_err().to_string();
        assert!(text.contains("AWS_SECRET_ACCESS_KEY") && !text.contains("hidden"), "{text}");
        let text = options.set("endpoint", "https://id:hidden@h").unwrap_err().to_string();
        assert!(!text.contains("hidden"), "{text}");
        assert!(!format!("{options:?}").contains("hidden"));
    }

    #[test]
    fn values_out_of_range_are_refused() {
        let mut options = Options::with_environment(BTreeMap::new());
        for (name, value) in [("retries", "21"), ("timeout", "0"), ("anonymous", "yes"), ("endpoint", "localhost:9000")]
        {
            assert!(options.set(name, value).unwrap_err().to_string().contains(name));
        }
    }
}
