use async_trait::async_trait;
use switchboard_model::{Kept, Revision};

use crate::{ChangesError, Commit, CommitError, Plan, StoreError};

/// What an engine promises. Façades name what they need of it, and the server refuses a pairing that would lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// What was acknowledged survives the process and a power cut.
    pub durable: bool,
    /// A commit that was acknowledged anywhere is seen by every later commit and barrier.
    pub linearizable: bool,
    /// Other processes commit to the same records.
    pub shared: bool,
    /// Commits can be read again until they are compacted.
    pub history: bool,
}

/// Everything there is, at one revision.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    pub revision: Revision,
    /// The oldest revision whose successors are all still kept as history.
    pub floor: Revision,
    pub records: Vec<Kept>,
}

/// Keeps commits. The only I/O on the line.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    fn facts(&self) -> Facts;

    /// All records at the newest revision. Called at start, and again after a failed commit to learn what of it
    /// was kept; an engine that latched an error tries to come back to life here.
    async fn load(&self) -> Result<Checkpoint, StoreError>;

    /// Commits the plans in order, each at the next revision, and answers each in its place once it is as durable
    /// as [`Facts`] promise. A store error fails the whole batch; a conflict fails only its own plan, which then
    /// takes no revision. Plans without writes are a bug of the caller.
    async fn commit(&self, batch: Vec<Plan>) -> Vec<Result<Revision, CommitError>>;

    /// At most `limit` commits that follow `after`, in order and without a gap; waits until there is one.
    /// Pull, so that a slow reader costs the engine nothing.
    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<Commit>, ChangesError>;

    /// The newest revision that anyone had been told of when the call began.
    async fn barrier(&self) -> Result<Revision, StoreError>;

    /// Forgets history up to and including `through`. Records are not affected.
    async fn compact(&self, through: Revision) -> Result<(), StoreError>;

    /// Writes what is not written yet and lets go of the data. Every later call fails with `Closed`.
    async fn close(&self) -> Result<(), StoreError>;
}
