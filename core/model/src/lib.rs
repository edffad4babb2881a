//! The nouns of a service registry and the pure rules between them.
//!
//! Everything a protocol can say about services is said in these words: an [`Instance`] of a service
//! lives on a [`Node`], is watched by [`Check`]s, is kept by a [`Lease`], and an [`Entry`] is a raw key in
//! a keyspace. Each of them is a [`Record`]; a record that a commit has kept is [`Kept`], with its revisions.
//!
//! What this crate does not know: serialization, clocks, randomness, sockets, files, and the name of any
//! protocol. Model types never derive `Serialize`; wire and disk formats belong to whoever speaks them.

mod check;
mod entry;
mod health;
mod instance;
mod lease;
mod name;
mod node;
mod record;
mod rejection;
mod revision;
mod selector;
mod words;

pub use check::{Check, CheckKey, HttpProbe, Owner, Probe, Target, Thresholds};
pub use entry::{Entry, EntryKey};
pub use health::{Health, Status, worst};
pub use instance::{Instance, InstanceKey, Lifecycle, Port};
pub use lease::{Lease, LeaseId, OnExpiry, Standing};
pub use name::{DEFAULT_NAMESPACE, Id, NODELESS, Name, NodeKey, ServiceKey};
pub use node::Node;
pub use record::{Kept, Record, RecordKey, Stored};
pub use rejection::{Noun, Rejection, Unavailable};
pub use revision::Revision;
pub use selector::Selector;
pub use words::{Annex, Metadata, Tags, text_limit};
