use std::fmt;

use switchboard_model::Revision;

/// What went wrong in the store, as far as the answer to it differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// Another process holds the data.
    Locked,
    /// A newer version wrote the data.
    Newer,
    /// The data is not what this program wrote.
    Damaged,
    /// No space left.
    Full,
    /// Reading or writing failed, and it is unknown how much of the last write reached the disk.
    Io,
    /// The engine was closed.
    Closed,
}

/// The store failed. `message` says what happened, to which file, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct StoreError {
    pub kind: StoreErrorKind,
    /// Whether trying again without human help can succeed.
    pub permanent: bool,
    pub message: String,
}

impl StoreError {
    pub fn permanent(kind: StoreErrorKind, message: impl Into<String>) -> StoreError {
        StoreError { kind, permanent: true, message: message.into() }
    }

    pub fn temporary(kind: StoreErrorKind, message: impl Into<String>) -> StoreError {
        StoreError { kind, permanent: false, message: message.into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// Why one plan of a batch was not committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// An expectation does not hold. Nothing of this plan was written; the others are not affected.
    #[error("{key} is at {actual:?}, not at {expected:?}")]
    Conflict { key: String, expected: Option<Revision>, actual: Option<Revision> },
    /// The batch failed. Whether any of it will be found on disk later is unknown until the next load.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// Why history could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangesError {
    /// Commits up to and including `floor` are no longer kept.
    #[error("history up to revision {floor} was compacted")]
    Compacted { floor: Revision },
    #[error("{0}")]
    Store(#[from] StoreError),
}
