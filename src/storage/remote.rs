//! Objects in a cloud's bucket or behind a web server, over `object_store`. Must not know which cloud it is.

use super::checksum::Md5Sum;
use super::connect::Client;
use super::refusal::{Refusal, refusal};
use super::wire::{Headers, PassedOver};
use super::{Created, Error, ObjectInfo};
use crate::clock::Timestamp;
use bytes::{Bytes, BytesMut};
use futures::{StreamExt, TryStreamExt};
use object_store::list::PaginatedListOptions;
use object_store::path::Path;
use object_store::{Extensions, GetOptions, GetRange, ObjectMeta, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use std::future::Future;
use std::ops::Range;
use std::time::Duration;

/// Beyond this many bytes an object is written in parts and read in ranges, so that one lost connection costs one part.
const WHOLE: u64 = 64 << 20;
/// Bytes of a part or range; larger only where the store's limit of 10,000 parts asks for it.
const PART: usize = 16 << 20;
/// Parts under way at a time: with [`PART`], the memory that one upload takes beyond the object itself.
const PARTS_AT_ONCE: usize = 4;
/// How often a whole operation is begun again where the client does not repeat requests itself.
const TRIES: u32 = 4;

/// One bucket, or one web folder.
pub(super) struct Remote {
    pub(super) client: Client,
    /// What every key is below, for texts: `s3://bucket`.
    pub(super) url: String,
    /// Whether it can be read only, as a web server.
    pub(super) read_only: bool,
}

impl Remote {
    pub(super) fn place(&self, key: &str) -> String {
        if key.is_empty() { self.url.clone() } else { format!("{}/{key}", self.url) }
    }

    /// The key as the client wants it: raw, never percent-encoded.
    pub(super) fn path(&self, key: &str) -> Result<Path, Error> {
        Path::parse(key).map_err(|_| {
            Error::usage(format!(
                "{}: the key {key:?} holds control characters, which stores refuse; rename it",
                self.url
            ))
        })
    }

    /// Refuses what a web server cannot do.
    pub(super) fn is_bucket(&self, key: &str) -> Result<(), Error> {
        if self.read_only {
            let cause = "a web address can only be read, not listed or written; use a folder or a bucket".to_owned();
            return Err(Error::Unsupported { place: self.place(key), cause });
        }
        Ok(())
    }

    pub(super) async fn head(&self, key: &str) -> Result<Option<ObjectInfo>, Error> {
        let path = self.path(key)?;
        self.persist(|| async {
            match self.client.store.head(&path).await {
                Ok(meta) => Ok(Some(info(key, &meta))),
                Err(error) => match refusal(&self.place(key), &error) {
                    Refusal { error: Error::NotFound { .. }, .. } => Ok(None),
                    refused => self.settle(key, refused).await.map(|()| None),
                },
            }
        })
        .await
    }

    /// Settles what a refusal means that could stand for an object that is not there: fine when a listing of its very key,
    /// for which rights on a prefix are enough, does not hold it.
    async fn settle(&self, key: &str, refused: Refusal) -> Result<(), Refusal> {
        if !refused.vague || self.client.lister.is_none() {
            return Err(refused);
        }
        let page =
            self.page(key, PaginatedListOptions { max_keys: Some(1), ..PaginatedListOptions::default() }).await?;
        match page.objects.iter().any(|found| found.location.as_ref() == key) {
            true => Err(refused),
            false => Ok(()),
        }
    }

    /// One page of the keys that begin so.
    pub(super) async fn page(&self, start: &str, mut options: PaginatedListOptions) -> Result<Page, Refusal> {
        let refused = |error: object_store::Error| refusal(&self.place(start), &error);
        let Some(lister) = &self.client.lister else {
            return Err(Error::Unsupported {
                place: self.place(start),
                cause: "a web address can only be read, not listed or written; use a folder or a bucket".to_owned(),
            }
            .into());
        };
        let passed = PassedOver::default();
        options.extensions.insert(passed.clone());
        let start = (!start.is_empty()).then_some(start);
        let found = lister.list_paginated(start, options).await.map_err(refused)?;
        Ok(Page { objects: found.result.objects, strange: passed.take(), next: found.page_token })
    }

    /// The bytes of an object, or of a range of it whose end is cut to the object's; with `etag`, only of that version.
    pub(super) async fn read(&self, key: &str, range: Option<Range<u64>>, etag: Option<&str>) -> Result<Bytes, Error> {
        let path = self.path(key)?;
        if range.as_ref().is_some_and(Range::is_empty) {
            return Ok(Bytes::new());
        }
        match self.persist(|| self.read_once(key, &path, range.clone(), etag)).await? {
            Answer::Bytes(bytes) => Ok(bytes),
            Answer::TooLong { size, etag, sum } => {
                self.persist(|| self.read_ranges(key, &path, size, &etag, sum)).await
            }
        }
    }

    /// A large object, range by range.
    async fn read_ranges(
        &self,
        key: &str,
        path: &Path,
        size: u64,
        etag: &str,
        sum: Option<Md5Sum>,
    ) -> Result<Bytes, Refusal> {
        let mut all = BytesMut::with_capacity(usize::try_from(size).unwrap_or(0));
        let starts = (0..size).step_by(PART);
        let mut parts = futures::stream::iter(starts)
            .map(|start| async move {
                let range = start..size.min(start + PART as u64);
                self.persist(|| self.read_once(key, path, Some(range.clone()), Some(etag))).await
            })
            .buffered(PARTS_AT_ONCE);
        while let Some(part) = parts.try_next().await? {
            if let Answer::Bytes(bytes) = part {
                all.extend_from_slice(&bytes);
            }
        }
        self.verified(key, all.freeze(), sum)
    }

    /// The bytes, unless the store itself says that they are others.
    fn verified(&self, key: &str, bytes: Bytes, sum: Option<Md5Sum>) -> Result<Bytes, Refusal> {
        match sum.and_then(|sum| sum.objection(&bytes)) {
            Some(objection) => Err(Refusal::transient(self.place(key), objection)),
            None => Ok(bytes),
        }
    }

    /// One request. The version is read off the answer itself and not asked for by `If-Match`: some servers want the tag
    /// quoted there, others bare, and some ignore it.
    async fn read_once(
        &self,
        key: &str,
        path: &Path,
        range: Option<Range<u64>>,
        etag: Option<&str>,
    ) -> Result<Answer, Refusal> {
        let refused = |error: object_store::Error| refusal(&self.place(key), &error);
        let whole = range.is_none();
        let headers = Headers::default();
        let mut extensions = Extensions::new();
        extensions.insert(headers.clone());
        let options = GetOptions { range: range.map(GetRange::Bounded), extensions, ..GetOptions::default() };
        let answer = match self.client.store.get_opts(path, options).await.map_err(refused) {
            Ok(answer) => answer,
            Err(refused) => {
                self.settle(key, refused).await?;
                let cause = "the store refuses to say so, and does not list it".to_owned();
                return Err(Error::NotFound { place: self.place(key), cause }.into());
            }
        };
        let found = info(key, &answer.meta);
        if etag.is_some_and(|etag| etag != found.etag) {
            let cause = format!("it is now of {} bytes, written {}", found.size, found.modified);
            return Err(Error::Changed { place: self.place(key), cause }.into());
        }
        let sum = if whole && self.client.tags_are_sums { Md5Sum::of_tag(&found.etag, &headers.take()) } else { None };
        if whole && found.size > WHOLE {
            return Ok(Answer::TooLong { size: found.size, etag: found.etag, sum });
        }
        let length = answer.range.end.saturating_sub(answer.range.start);
        let mut body = answer.into_stream();
        let mut bytes = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
        while let Some(chunk) = body.try_next().await.map_err(refused)? {
            bytes.extend_from_slice(&chunk);
        }
        if bytes.len() as u64 != length {
            let cause = format!("{} of {length} bytes came", bytes.len());
            return Err(Refusal::transient(self.place(key), cause));
        }
        self.verified(key, bytes.freeze(), sum).map(Answer::Bytes)
    }

    pub(super) async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Error> {
        self.is_bucket(key)?;
        let path = self.path(key)?;
        if bytes.len() as u64 > WHOLE {
            return self.persist(|| self.put_in_parts(key, &path, bytes.clone())).await;
        }
        self.persist(|| async {
            let put = self.client.store.put_opts(&path, PutPayload::from_bytes(bytes.clone()), PutOptions::default());
            put.await.map(|_| ()).map_err(|error| refusal(&self.place(key), &error))
        })
        .await
    }

    /// A large object in parts; it becomes visible as a whole by the last request, or not at all.
    async fn put_in_parts(&self, key: &str, path: &Path, bytes: Bytes) -> Result<(), Refusal> {
        let refused = |error: object_store::Error| refusal(&self.place(key), &error);
        let part = PART.max(bytes.len().div_ceil(9_000));
        let mut upload = self.client.store.put_multipart(path).await.map_err(refused)?;
        let starts = (0..bytes.len()).step_by(part);
        let parts: Vec<_> = starts
            .map(|start| upload.put_part(PutPayload::from_bytes(bytes.slice(start..bytes.len().min(start + part)))))
            .collect();
        let sent = futures::stream::iter(parts).buffer_unordered(PARTS_AT_ONCE).try_collect::<Vec<()>>().await;
        let done = match sent {
            Ok(_) => upload.complete().await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = done {
            // What was sent would be stored, and paid for, without being visible. The first failure is the one to tell.
            let _ = upload.abort().await;
            return Err(refused(error));
        }
        Ok(())
    }

    /// Writes an object unless there is one. Whatever the answer to the conditional put was, or if there was none, reading
    /// the object back decides whose it is: a client that repeats a put whose answer was lost is told that it came second.
    pub(super) async fn create(&self, key: &str, bytes: Bytes) -> Result<Created, Error> {
        self.is_bucket(key)?;
        let path = self.path(key)?;
        let mut last = None;
        for attempt in 0..TRIES {
            pause(attempt).await;
            let generation = self.generation();
            let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            let put = self.client.store.put_opts(&path, PutPayload::from_bytes(bytes.clone()), options).await;
            let error = match put {
                Ok(_) => return Ok(Created::New),
                Err(error @ object_store::Error::AlreadyExists { .. }) => {
                    let Refusal { error, .. } = refusal(&self.place(key), &error);
                    error
                }
                Err(error) => match refusal(&self.place(key), &error) {
                    refused if self.may_be_renewed(&refused, generation) => {
                        last = Some(refused.error);
                        continue;
                    }
                    Refusal {
                        error: error @ (Error::Transient { .. } | Error::Other { .. } | Error::Changed { .. }),
                        ..
                    } => error,
                    clear => return Err(clear.error),
                },
            };
            match self.read(key, None, None).await {
                Ok(found) if found == bytes => return Ok(Created::New),
                Ok(found) => return Ok(Created::Exists(found)),
                Err(Error::NotFound { .. }) => last = Some(error),
                Err(unreadable) => return Err(unreadable),
            }
        }
        Err(last.unwrap_or_else(|| Error::Transient { place: self.place(key), cause: "nothing was tried".to_owned() }))
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), Error> {
        self.is_bucket(key)?;
        let path = self.path(key)?;
        self.persist(|| async {
            match self.client.store.delete(&path).await {
                Ok(()) => Ok(()),
                Err(error) => match refusal(&self.place(key), &error) {
                    Refusal { error: Error::NotFound { .. }, .. } => Ok(()),
                    refused => Err(refused),
                },
            }
        })
        .await
    }

    /// The names of the folders directly below one, in byte order.
    pub(super) async fn folders(&self, folder: &str) -> Result<Vec<String>, Error> {
        self.is_bucket(folder)?;
        let path = self.path(folder)?;
        self.persist(|| async {
            let found = self.client.store.list_with_delimiter(Some(&path)).await;
            let found = found.map_err(|error| refusal(&self.place(folder), &error))?;
            let last = |path: &Path| path.as_ref().rsplit('/').next().unwrap_or("").to_owned();
            let mut names: Vec<_> = found.common_prefixes.iter().map(last).collect();
            names.sort_unstable();
            Ok(names)
        })
        .await
    }

    /// Begins an operation again while that could help and the client did not do so itself.
    pub(super) async fn persist<T, F: Future<Output = Result<T, Refusal>>>(
        &self,
        mut once: impl FnMut() -> F,
    ) -> Result<T, Error> {
        let mut attempt = 0;
        loop {
            let generation = self.generation();
            match once().await {
                Ok(done) => return Ok(done),
                Err(refused) if attempt + 1 < TRIES && (refused.again || self.may_be_renewed(&refused, generation)) => {
                    attempt += 1;
                }
                Err(refused) => return Err(refused.error),
            }
            pause(attempt).await;
        }
    }

    /// Which credentials are in use, where they can be replaced.
    fn generation(&self) -> u64 {
        self.client.credentials.as_ref().map_or(0, |credentials| credentials.now().1)
    }

    /// Whether a request that was refused may be allowed with the credentials that have come since, or are about to.
    fn may_be_renewed(&self, refused: &Refusal, generation: u64) -> bool {
        self.client.credentials.is_some()
            && matches!(refused.error, Error::Denied { .. })
            && (refused.stale || self.generation() != generation)
    }
}

/// What a read brought.
enum Answer {
    Bytes(Bytes),
    /// Nothing was read: the object is to be fetched in ranges.
    TooLong {
        size: u64,
        etag: String,
        /// What all of its bytes are to come to, if the store says so.
        sum: Option<Md5Sum>,
    },
}

/// One page of a listing.
pub(super) struct Page {
    /// In the order of the store.
    pub(super) objects: Vec<ObjectMeta>,
    /// Keys that no store of ours could hold.
    pub(super) strange: Vec<String>,
    /// Where the next page begins; none after the last.
    pub(super) next: Option<String>,
}

/// Waits before another try: none before the first, then about 0.2, 0.4, 0.8 … up to 5 seconds, each by chance a half less or more.
async fn pause(attempt: u32) {
    if attempt == 0 {
        return;
    }
    let mut chance = [128_u8];
    let _ = getrandom::fill(&mut chance); // Without chance there is no jitter, which is no harm.
    let [chance] = chance;
    let base = Duration::from_millis(100) * 2_u32.pow(attempt.min(6));
    tokio::time::sleep(base.min(Duration::from_secs(5)).mul_f64(0.5 + f64::from(chance) / 255.0)).await;
}

/// What a store says of an object. Where it gives no tag, time and size stand in for one.
pub(super) fn info(key: &str, meta: &ObjectMeta) -> ObjectInfo {
    let seconds = meta.last_modified.timestamp();
    let etag = match &meta.e_tag {
        Some(tag) => tag.strip_prefix('"').and_then(|tag| tag.strip_suffix('"')).unwrap_or(tag).to_owned(),
        None => format!("{seconds:x}-{:x}", meta.size),
    };
    let nanoseconds = i32::try_from(meta.last_modified.timestamp_subsec_nanos()).unwrap_or(0);
    let modified = Timestamp::new(seconds, nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    ObjectInfo { key: key.to_owned(), size: meta.size, etag, modified }
}
