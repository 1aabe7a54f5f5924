//! What can go wrong in a store: the kind is matched, the text is for people. Must not know what is stored, and must never
//! hold a credential.

use crate::outcome::Reason;
use std::io;

/// A failure of the storage room. `place` is the URL or path of the object or folder, `cause` what the store said about it.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// No such object, folder or bucket.
    #[error("{place} is not there ({cause}); check the name, or whether something removed it meanwhile")]
    NotFound {
        /// What was asked for.
        place: String,
        /// What the store said.
        cause: String,
    },
    /// The object is not the one that was listed.
    #[error("{place} changed since it was listed ({cause}); the next run plans it anew")]
    Changed {
        /// What was asked for.
        place: String,
        /// How it differs.
        cause: String,
    },
    /// The credentials are missing, expired, or may not do this. Another try cannot help.
    #[error(
        "{place}: access refused ({cause}); check the credentials and what they may do, `selvedge doctor` tries them"
    )]
    Denied {
        /// What was asked for.
        place: String,
        /// What the store said.
        cause: String,
    },
    /// The store kept failing until the retries were used up.
    #[error("{place}: the store kept failing ({cause}); try again later")]
    Transient {
        /// What was asked for.
        place: String,
        /// The last failure.
        cause: String,
    },
    /// The disk is full or the quota used up. Nothing partial is left under the key.
    #[error("{place}: no room left ({cause}); free some space or raise the quota, then start again")]
    Full {
        /// What was to be written.
        place: String,
        /// What the system said.
        cause: String,
    },
    /// A listing that is not in ascending byte order of its keys, which planning relies on.
    #[error(
        "{place}: the listing is out of key order ({cause}); use a store that lists in byte order (directory buckets and \
         hierarchical namespaces do not)"
    )]
    Unordered {
        /// The folder that was listed.
        place: String,
        /// The two keys.
        cause: String,
    },
    /// The store, or Selvedge, cannot do this at all.
    #[error("{place}: {cause}")]
    Unsupported {
        /// What was asked for.
        place: String,
        /// What cannot be done, and what to do instead.
        cause: String,
    },
    /// A location, key or option that is wrong as written.
    #[error("{cause}")]
    Usage {
        /// What is wrong, and how it is written right.
        cause: String,
    },
    /// Anything else.
    #[error("{place}: {cause}")]
    Other {
        /// What was asked for.
        place: String,
        /// What the store or the system said.
        cause: String,
    },
}

impl Error {
    /// The code for the tables when this concerns one item only; `None` when the store as a whole is to blame and the work
    /// should stop.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::NotFound { .. } => Some(Reason::Vanished),
            Self::Changed { .. } => Some(Reason::ChangedSincePlan),
            Self::Transient { .. } => Some(Reason::TransientExhausted),
            _ => None,
        }
    }

    pub(super) fn usage(cause: impl Into<String>) -> Self {
        Self::Usage { cause: cause.into() }
    }

    /// The failure of a system call on a local file.
    pub(super) fn from_io(place: impl Into<String>, error: &io::Error) -> Self {
        let (place, cause) = (place.into(), error.to_string());
        match error.kind() {
            io::ErrorKind::NotFound => Self::NotFound { place, cause },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::Denied { place, cause },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::Full { place, cause },
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => Self::Unsupported {
                place,
                cause: format!("{cause}: a folder cannot hold a file and a folder of one name; choose another name"),
            },
            _ => Self::Other { place, cause },
        }
    }
}

impl From<Error> for io::Error {
    /// Keeps the storage error inside, so that a reader's caller can get it back with `io::Error::get_ref`.
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::NotFound { .. } => io::ErrorKind::NotFound,
            Error::Denied { .. } => io::ErrorKind::PermissionDenied,
            Error::Full { .. } => io::ErrorKind::StorageFull,
            Error::Unsupported { .. } => io::ErrorKind::Unsupported,
            Error::Usage { .. } => io::ErrorKind::InvalidInput,
            Error::Changed { .. } | Error::Transient { .. } | Error::Unordered { .. } | Error::Other { .. } => {
                io::ErrorKind::Other
            }
        };
        Self::new(kind, error)
    }
}

#[cfg(test)]
mod tests {
    use super::Error;
    use std::io::{self, ErrorKind};

    #[test]
    fn a_full_disk_and_a_used_up_quota_are_told_from_other_failures() {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded] {
            assert!(matches!(Error::from_io("a", &io::Error::from(kind)), Error::Full { .. }), "{kind}");
        }
        assert!(matches!(Error::from_io("a", &io::Error::from(ErrorKind::TimedOut)), Error::Other { .. }));
    }
}
