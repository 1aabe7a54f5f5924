//! Listings as streams in key order, from every backend. Must not hold more than a page of keys.

use super::folder::Folder;
use super::memory::Memory;
use super::remote::{Remote, info};
use super::walk::Walk;
use super::{Error, ObjectInfo};
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::list::PaginatedListOptions;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::runtime::Handle;

/// Keys fetched at a time from a folder or memory.
const BATCH: usize = 512;

/// A listing under way; keys are those of the backend.
pub(super) type Listing = BoxStream<'static, Result<ObjectInfo, Error>>;

/// The files below a folder.
pub(super) fn of_folder(folder: Arc<Folder>, start: String, after: Option<String>, handle: Handle) -> Listing {
    enum State {
        Start,
        Under(Walk),
    }
    stream::try_unfold(State::Start, move |state| {
        let (folder, start, after, handle) = (Arc::clone(&folder), start.clone(), after.clone(), handle.clone());
        async move {
            let place = folder.root.display().to_string();
            let next = handle.spawn_blocking(move || {
                let mut walk = match state {
                    State::Start => Walk::new(&folder, &start, after)?,
                    State::Under(walk) => walk,
                };
                let batch = walk.batch(BATCH);
                Ok::<_, Error>((!batch.is_empty()).then(|| (stream::iter(batch), State::Under(walk))))
            });
            next.await.unwrap_or_else(|error| Err(Error::Other { place, cause: error.to_string() }))
        }
    })
    .try_flatten()
    .boxed()
}

/// The objects of a memory store below a folder.
pub(super) fn of_memory(memory: Arc<Memory>, start: &str, after: Option<String>) -> Listing {
    let start = if start.is_empty() { String::new() } else { format!("{start}/") };
    stream::unfold(after, move |after| {
        let batch = memory.batch(&start, after.as_deref(), BATCH);
        let next = batch.last().map(|last| Some(last.key.clone()));
        std::future::ready(next.map(|next| (stream::iter(batch).map(Ok), next)))
    })
    .flatten()
    .boxed()
}

/// The objects of a bucket below a folder.
pub(super) fn of_remote(remote: Arc<Remote>, start: String, after: Option<String>) -> Listing {
    let state = Remains { remote, start, after, page: VecDeque::new(), token: None, ended: false };
    stream::unfold(Some(state), |state| async move {
        let mut state = state?;
        match state.next().await {
            Ok(None) => None,
            Ok(Some(found)) => Some((found, Some(state))),
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// What remains of a listing of a bucket.
struct Remains {
    remote: Arc<Remote>,
    start: String,
    /// The last key that came; at first the one to begin behind.
    after: Option<String>,
    /// What of the present page has not been handed on.
    page: VecDeque<Result<ObjectMeta, Error>>,
    /// Where the next page begins.
    token: Option<String>,
    /// Whether the present page is the last.
    ended: bool,
}

impl Remains {
    /// The next object, or a key that cannot be read and costs nothing but itself; an error that ends the listing is outside.
    async fn next(&mut self) -> Result<Option<Result<ObjectInfo, Error>>, Error> {
        loop {
            let Some(found) = self.page.pop_front() else {
                if self.ended {
                    return Ok(None);
                }
                self.turn().await?;
                continue;
            };
            let found = match found {
                Ok(meta) => info(meta.location.as_ref(), &meta),
                Err(strange) => return Ok(Some(Err(strange))),
            };
            if self.is_marker(&found).await? {
                continue;
            }
            self.after = Some(found.key.clone());
            return Ok(Some(Ok(found)));
        }
    }

    /// Fetches the next page.
    async fn turn(&mut self) -> Result<(), Error> {
        self.remote.is_bucket(&self.start)?;
        let prefix = if self.start.is_empty() { String::new() } else { format!("{}/", self.start) };
        let options = PaginatedListOptions {
            // Only the first page is asked for by key, the others by the token of the one before.
            offset: self.after.clone().filter(|_| self.token.is_none()),
            page_token: self.token.clone(),
            ..PaginatedListOptions::default()
        };
        let page = self.remote.persist(|| self.remote.page(&prefix, options.clone())).await?;
        self.ended = page.next.is_none();
        self.token = page.next;
        let strange = page.strange.into_iter().map(|key| {
            let cause = format!("{key:?} is a key that cannot be told from another; rename or move that object");
            Err(Error::Unsupported { place: self.remote.place(&self.start), cause })
        });
        self.page = strange.chain(page.objects.into_iter().map(Ok)).collect();
        Ok(())
    }

    /// Whether this entry is the marker of a folder, an empty object `photos/` that some tools make. The client has cut the
    /// slash off, so it looks like an empty object `photos`; its place in the order, or else a look at `photos`, tells.
    async fn is_marker(&mut self, found: &ObjectInfo) -> Result<bool, Error> {
        if found.key == self.start {
            return Ok(true);
        }
        if found.size > 0 {
            return Ok(false);
        }
        match self.after.as_deref() {
            Some(after) if found.key.as_str() <= after => Ok(format!("{}/", found.key).as_str() > after),
            _ => Ok(self.remote.head(&found.key).await?.is_none()),
        }
    }
}

/// Makes keys relative to `root`, and ends with an error where they do not ascend.
pub(super) fn ordered(listing: Listing, root: &str, place: String) -> Listing {
    let root = if root.is_empty() { String::new() } else { format!("{root}/") };
    let mut last: Option<String> = None;
    let mut broken = false;
    listing
        .map(move |found| {
            let mut found = found?;
            let Some(key) = found.key.strip_prefix(&root) else {
                let cause = format!("{:?} was listed below {root:?}", found.key);
                return Err(Error::Other { place: place.clone(), cause });
            };
            found.key = key.to_owned();
            if let Some(last) = last.as_ref().filter(|last| **last >= found.key) {
                let cause = format!("{:?} came after {last:?}", found.key);
                return Err(Error::Unordered { place: place.clone(), cause });
            }
            last = Some(found.key.clone());
            Ok(found)
        })
        .take_while(move |found| {
            let goes_on = !broken;
            broken = matches!(found, Err(Error::Unordered { .. }));
            std::future::ready(goes_on)
        })
        .boxed()
}
