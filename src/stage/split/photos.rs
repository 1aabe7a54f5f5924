//! Which images show the same photo. Must not know what photos show, nor how they are found alike.

use crate::outcome::Reason;
use crate::stage::photos::alike::{Kind, alike};
use crate::stage::photos::{Facts, survey};
use crate::stage::{Context, Error, dataset};
use crate::storage::Store;
use std::collections::{BTreeMap, HashMap};

/// The images that have a photo, in groups.
pub(super) struct Groups {
    /// Of each image the content digest of its group's first photo.
    pub(super) of: BTreeMap<String, String>,
    /// Photos that are another one byte for byte.
    pub(super) exact: u64,
    /// Photos that show the picture of another one.
    pub(super) near: u64,
}

/// Groups the images by their photos. A photo that cannot be decoded is one with its bytes only. Photos that are not known yet
/// are decoded.
pub(super) fn groups<T>(store: &Store, images: &BTreeMap<String, T>, context: &Context) -> Result<Groups, Error> {
    let photos = dataset::find(store, images)?;
    let facts = survey(store, photos.values(), context)?;
    for (key, facts) in &facts {
        readable(store, key, facts)?;
    }
    let rows = alike(facts.iter().map(|(key, facts)| (key.as_str(), facts.content.as_str(), facts.look())));
    let kinds = |kind: Kind| rows.iter().filter(|row| row.kind == kind).count() as u64;
    let (exact, near) = (kinds(Kind::Exact), kinds(Kind::Near));
    let first: HashMap<&str, &str> = rows.iter().map(|row| (row.key.as_str(), row.of.as_str())).collect();
    let content = |key: &str| {
        let of = facts.get(first.get(key).copied().unwrap_or(key))?;
        Some(of.content.clone()).filter(|content| !content.is_empty())
    };
    let of = photos.into_iter().filter_map(|(id, photo)| Some((id, content(&photo.key)?))).collect();
    Ok(Groups { of, exact, near })
}

/// Refuses a photo that may be there and could not be read just now: the next split would be another.
fn readable(store: &Store, key: &str, facts: &Facts) -> Result<(), Error> {
    let gone = matches!(facts.reason, Some(Reason::Vanished | Reason::ChangedSincePlan));
    if facts.content.is_empty() && !gone {
        let url = store.child(key);
        return Err(Error::Failed(format!("{} could not be read ({}): split again", url.url(), facts.detail)));
    }
    Ok(())
}
