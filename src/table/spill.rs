//! Buckets on the local disk: bytes that belong together but lie far apart are brought together without holding them all in
//! memory. The caller says which bucket (by a hash, or by ranges of a number) and how one piece is told from the next.
//! Must not know what the bytes are.

use super::Error;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};

/// Buckets at most: each is an open file.
pub const MOST: usize = 512;
/// Bytes gathered for a bucket before they go to the disk.
const GATHERED: usize = 64 << 10;

/// Buckets being filled. The files have no name, so that nothing is left behind however the process ends.
pub struct Buckets {
    files: Vec<BufWriter<File>>,
}

impl Buckets {
    /// So many empty buckets, in the folder for temporary files (`TMPDIR`).
    pub fn create(count: usize) -> Result<Self, Error> {
        let mut files = Vec::with_capacity(count);
        for _ in 0..count {
            files.push(BufWriter::with_capacity(GATHERED, tempfile::tempfile().map_err(failed)?));
        }
        Ok(Self { files })
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Appends to a bucket.
    pub fn push(&mut self, bucket: usize, bytes: &[u8]) -> Result<(), Error> {
        self.files[bucket].write_all(bytes).map_err(failed)
    }

    /// Gives the buckets back in order, one in memory at a time; a bucket's room on the disk is free once it is read.
    pub fn drain(self) -> impl Iterator<Item = Result<Vec<u8>, Error>> {
        self.files.into_iter().map(|file| {
            let mut file = file.into_inner().map_err(|error| failed(error.into_error()))?;
            file.rewind().map_err(failed)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).map_err(failed)?;
            Ok(bytes)
        })
    }
}

/// Which bucket each of a sequence of things goes to, by weight: ranges in order, each about `target` bytes, and never more
/// than [`MOST`] of them.
pub fn ranges(weights: &[u64], target: u64) -> (Vec<u16>, usize) {
    let total: u64 = weights.iter().sum();
    let target = target.max(total / (MOST as u64 - 1)).max(1);
    let mut before = 0;
    let buckets: Vec<u16> = weights
        .iter()
        .map(|weight| {
            let bucket = (before / target).min(MOST as u64 - 1) as u16;
            before += weight;
            bucket
        })
        .collect();
    let count = buckets.last().map_or(1, |last| usize::from(*last) + 1);
    (buckets, count)
}

fn failed(error: std::io::Error) -> Error {
    Error::Spill(error.to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_into_a_bucket_comes_out_in_order() {
        let mut buckets = Buckets::create(2).unwrap();
        for (bucket, bytes) in [(1, b"ab"), (0, b"cd"), (1, b"ef")] {
            buckets.push(bucket, bytes).unwrap();
        }
        let all: Vec<_> = buckets.drain().map(Result::unwrap).collect();
        assert_eq!(all, [b"cd".to_vec(), b"abef".to_vec()]);
    }

    #[test]
    fn ranges_are_in_order_and_never_too_many() {
        assert_eq!(ranges(&[5, 5, 5, 5], 10), (vec![0, 0, 1, 1], 2));
        assert_eq!(ranges(&[], 10), (vec![], 1));
        let (buckets, count) = ranges(&vec![7; 10_000], 1);
        assert!(count <= MOST && buckets.is_sorted());
    }
}
