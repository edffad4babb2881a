//! The contract between the registry and whatever keeps its commits.
//!
//! An [`Engine`] takes [`Plan`]s and makes them [`Commit`]s: it assigns revisions, keeps every record and keeps
//! history until told to compact it. It is never asked a question about services; reads are answered from the
//! registry's snapshot. [`codec`] is the versioned on-disk form of a record, shared by all engines that write
//! bytes. [`suite`] is the behaviour that every engine must show.
//!
//! What this crate does not know: the registry, any protocol, and any particular engine.

pub mod codec;
mod engine;
mod error;
mod plan;
#[cfg(feature = "suite")]
pub mod suite;

pub use engine::{Checkpoint, Engine, Facts};
pub use error::{ChangesError, CommitError, StoreError, StoreErrorKind};
pub use plan::{Commit, Edit, Expectation, Plan, Write};
