//! Photos shrunk to what a sample can ever be cut from, kept as plain pixels so that later epochs decode nothing. Must not know
//! samples.
//!
//! One object a photo: eight bytes of width and height, little-endian, and `height × width × 3` bytes of sRGB. Its name says
//! which photo, in which version, at which size; a photo that changed is kept anew under another name. An object that is not
//! what it should be is made again.

use super::sample::{Kept, SampleSettings, keep, kept_size};
use crate::digest;
use crate::stage::Error;
use crate::stage::dataset::{Dataset, Item};
use crate::storage::{self, Store};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};

/// Photos kept in a store, usually a folder of a local disk.
pub struct Cache {
    store: Store,
    /// Bytes that may be added by this process.
    room: AtomicU64,
}

impl Cache {
    /// Keeps photos in `store` until `most` bytes were added to it; from then on photos that are not there are decoded.
    pub fn new(store: Store, most: u64) -> Self {
        Self { store, room: AtomicU64::new(most) }
    }

    /// The photo as it is kept, made now unless it is there. `None` for one that is best taken from its file.
    pub fn photo(&self, dataset: &Dataset, item: &Item, settings: &SampleSettings) -> Result<Option<Kept>, Error> {
        let Some((height, width)) = kept_size(settings, (item.height, item.width)) else { return Ok(None) };
        let version = [item.photo.key.as_str(), item.photo.etag.as_str(), &format!("{width}x{height}")].join("\0");
        let name = digest::of(version.as_bytes());
        let key = format!("{}/{name}.rgb", name.get(..2).unwrap_or_default());
        match self.store.wait(self.store.get(&key)) {
            Ok(bytes) => {
                if let Some(kept) = read(&bytes, height, width) {
                    return Ok(Some(kept));
                }
            }
            Err(storage::Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let photo = dataset.photo(item)?;
        let failed = |error: crate::image::Error| Error::Failed(format!("{}: {error}", item.image_id));
        let Some(kept) = keep(settings, &photo).map_err(failed)? else { return Ok(None) };
        let bytes = write(&kept);
        let taken = |room: u64| room.checked_sub(bytes.len() as u64);
        if self.room.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken).is_ok() {
            self.store.wait(self.store.put(&key, bytes))?;
        }
        Ok(Some(kept))
    }
}

fn write(kept: &Kept) -> Bytes {
    let mut bytes = Vec::with_capacity(8 + kept.rgb.len());
    bytes.extend(kept.width.to_le_bytes());
    bytes.extend(kept.height.to_le_bytes());
    bytes.extend_from_slice(&kept.rgb);
    Bytes::from(bytes)
}

fn read(bytes: &[u8], height: u32, width: u32) -> Option<Kept> {
    let (head, rgb) = bytes.split_at_checked(8)?;
    let (head, _) = head.as_chunks::<4>();
    let fits = head == [width.to_le_bytes(), height.to_le_bytes()]
        && rgb.len() as u64 == u64::from(width) * u64::from(height) * 3;
    fits.then(|| Kept { width, height, rgb: rgb.to_vec() })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_and_what_was_cut_off_does_not() {
        let kept = Kept { width: 3, height: 2, rgb: (0..18).collect() };
        let bytes = write(&kept);
        assert_eq!(read(&bytes, 2, 3).unwrap(), kept);
        assert_eq!(read(&bytes, 3, 2), None);
        assert_eq!(read(&bytes[..25], 2, 3), None);
        assert_eq!(read(&[], 2, 3), None);
    }
}
