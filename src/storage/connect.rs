//! Clients of the clouds, made from a location, options and environment. Must not know what is asked of them.

use super::credentials::FileCredentials;
use super::location::Cloud;
use super::wire::Connector;
use super::{Error, Options};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::list::PaginatedListStore;
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// What an object says it is, by the end of its key: a browser shows a picture or a page from the bucket instead of saving it.
const TYPES: [(&str, &str); 10] = [
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("webp", "image/webp"),
    ("tif", "image/tiff"),
    ("svg", "image/svg+xml"),
    ("html", "text/html; charset=utf-8"),
    ("txt", "text/plain; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("json", "application/json"),
    ("parquet", "application/vnd.apache.parquet"),
];

fn client() -> ClientOptions {
    TYPES.iter().fold(ClientOptions::new(), |options, (end, kind)| options.with_content_type_for_suffix(*end, *kind))
}

/// What asks a store.
pub(super) struct Client {
    pub(super) store: Arc<dyn ObjectStore>,
    /// The same for listings page by page; a web folder has none.
    pub(super) lister: Option<Arc<dyn PaginatedListStore>>,
    /// Its credentials, where they come from a file that may be replaced.
    pub(super) credentials: Option<Arc<FileCredentials>>,
    /// Whether entity tags that look like MD5 sums are to be taken for such.
    pub(super) tags_are_sums: bool,
}

/// The client of a bucket.
pub(super) fn bucket(cloud: Cloud, bucket: &str, options: &Options) -> Result<Client, Error> {
    plain_http_is_allowed(options.get("endpoint"), options)?;
    let wrong = |error: object_store::Error| {
        Error::usage(format!(
            "the store of bucket `{bucket}` cannot be set up: {}",
            super::refusal::scrubbed(&error.to_string())
        ))
    };
    fn client<S: ObjectStore + PaginatedListStore>(store: S) -> Client {
        let store = Arc::new(store);
        let lister: Arc<dyn PaginatedListStore> = Arc::<S>::clone(&store);
        Client { store, lister: Some(lister), credentials: None, tags_are_sums: false }
    }
    Ok(match cloud {
        Cloud::S3 => {
            let (builder, credentials) = s3(bucket, options)?;
            let tags_are_sums = options.get("verify") != Some("false");
            Client { credentials, tags_are_sums, ..client(builder.build().map_err(wrong)?) }
        }
        Cloud::Google => client(google(bucket, options).build().map_err(wrong)?),
        Cloud::Azure => client(azure(bucket, options).build().map_err(wrong)?),
    })
}

/// The client of a web folder; the query of `base` goes with every request.
pub(super) fn web(base: &Url, options: &Options) -> Result<Client, Error> {
    plain_http_is_allowed(Some(base.as_str()), options)?;
    let mut client = ClientOptions::new();
    for (name, value) in client_settings(options) {
        client = client.with_config(name, value);
    }
    let builder = HttpBuilder::new().with_url(base.as_str()).with_client_options(client).with_retry(retries(options));
    let store = builder.build().map_err(|error| {
        Error::usage(format!("no web client can be set up: {}", super::refusal::scrubbed(&error.to_string())))
    })?;
    Ok(Client { store: Arc::new(store), lister: None, credentials: None, tags_are_sums: false })
}

fn s3(bucket: &str, options: &Options) -> Result<(AmazonS3Builder, Option<Arc<FileCredentials>>), Error> {
    let mut builder = AmazonS3Builder::new()
        .with_client_options(client())
        .with_retry(retries(options))
        .with_http_connector(Connector);
    let set = |builder: AmazonS3Builder, name: &str, value: &str| match name.parse::<AmazonS3ConfigKey>() {
        Ok(key) => builder.with_config(key, value),
        Err(_) => builder, // A variable for other programs.
    };
    for (name, value) in client_settings(options) {
        builder = builder.with_config(AmazonS3ConfigKey::Client(name), value);
    }
    for (name, value) in options.variables("AWS_") {
        builder = set(builder, &name, value);
    }
    let wants_file = options.get("profile").is_some() || options.get("credentials_file").is_some();
    let elsewhere = [
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    ];
    let mut credentials = None;
    if !options.is_on("anonymous") && (wants_file || elsewhere.iter().all(|name| options.variable(name).is_none())) {
        credentials = options.aws_file()?.map(Arc::new);
    }
    if let Some(credentials) = &credentials {
        builder = builder.with_credentials(Arc::<FileCredentials>::clone(credentials));
    }
    if let Some(endpoint) = options.get("endpoint") {
        // The key that wins over AWS_ENDPOINT_URL_S3: what the user wrote beats the environment.
        builder = builder.with_config(AmazonS3ConfigKey::S3Endpoint, endpoint);
    }
    for (name, key) in [
        ("region", AmazonS3ConfigKey::Region),
        ("virtual_hosted", AmazonS3ConfigKey::VirtualHostedStyleRequest),
        ("anonymous", AmazonS3ConfigKey::SkipSignature),
        ("allow_http", AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp)),
    ] {
        if let Some(value) = options.get(name) {
            builder = builder.with_config(key, value);
        }
    }
    for (name, key) in [
        ("sse", "server_side_encryption"),
        ("sse_kms_key_id", "sse_kms_key_id"),
        ("sse_bucket_key", "sse_bucket_key_enabled"),
    ] {
        if let Some(value) = options.get(name) {
            builder = set(builder, key, value);
        }
    }
    // The signature covers the bytes of an upload, so that a server refuses those that were harmed on the way. Nothing in the
    // environment may switch that off.
    Ok((builder.with_unsigned_payload(false).with_bucket_name(bucket), credentials))
}

fn google(bucket: &str, options: &Options) -> GoogleCloudStorageBuilder {
    let mut builder = GoogleCloudStorageBuilder::new().with_client_options(client()).with_retry(retries(options));
    for (name, value) in client_settings(options) {
        builder = builder.with_config(GoogleConfigKey::Client(name), value);
    }
    for (name, value) in options.variables("GOOGLE_") {
        if let Ok(key) = name.parse::<GoogleConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(endpoint) = options.get("endpoint") {
        builder = builder.with_config(GoogleConfigKey::BaseUrl, endpoint);
    }
    if options.is_on("anonymous") {
        builder = builder.with_config(GoogleConfigKey::SkipSignature, "true");
    }
    builder.with_bucket_name(bucket)
}

fn azure(container: &str, options: &Options) -> MicrosoftAzureBuilder {
    let mut builder = MicrosoftAzureBuilder::new().with_client_options(client()).with_retry(retries(options));
    for (name, value) in client_settings(options) {
        builder = builder.with_config(AzureConfigKey::Client(name), value);
    }
    for (name, value) in options.variables("AZURE_") {
        if let Ok(key) = name.parse::<AzureConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    if let Some(identity) = options.variable("IDENTITY_ENDPOINT") {
        builder = builder.with_config(AzureConfigKey::MsiEndpoint, identity);
    }
    for (name, key) in [
        ("account", AzureConfigKey::AccountName),
        ("endpoint", AzureConfigKey::Endpoint),
        ("anonymous", AzureConfigKey::SkipSignature),
        ("allow_http", AzureConfigKey::Client(ClientConfigKey::AllowHttp)),
    ] {
        if let Some(value) = options.get(name) {
            builder = builder.with_config(key, value);
        }
    }
    builder.with_container_name(container)
}

/// What every HTTP client is told. The environment may override it, except for what the user gave as an option.
fn client_settings(options: &Options) -> Vec<(ClientConfigKey, String)> {
    let mut settings = vec![
        (ClientConfigKey::Timeout, format!("{} seconds", options.number("timeout", 120))),
        (ClientConfigKey::UserAgent, concat!("selvedge/", env!("CARGO_PKG_VERSION")).to_owned()),
    ];
    if let Some(value) = options.get("allow_http") {
        settings.push((ClientConfigKey::AllowHttp, value.to_owned()));
    }
    settings
}

/// Jittered, growing pauses, capped in number and in time.
fn retries(options: &Options) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: usize::try_from(options.number("retries", 8)).unwrap_or(8),
        retry_timeout: Duration::from_secs(180),
    }
}

fn plain_http_is_allowed(url: Option<&str>, options: &Options) -> Result<(), Error> {
    match url {
        Some(url) if url.starts_with("http://") && !options.is_on("allow_http") => Err(Error::usage(format!(
            "`{}` is not encrypted; write https://, or set the store option `allow_http` = true inside a trusted network",
            super::location::redact(url)
        ))),
        _ => Ok(()),
    }
}
