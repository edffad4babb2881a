//! The front door: every façade, the health checker and every importer holds a [`Registry`] and nothing else.
//!
//! A write is an [`Intent`]: its pure `plan` says, from a [`Snapshot`], what would have to be written. The writer
//! plans intents one after the other against the newest accepted state, hands a group of plans to the engine, and
//! only when the engine has kept them folds, publishes and acknowledges. A read is a pure function of one
//! published [`Snapshot`]. A [`Watch`] is the stream of [`Changes`] after a revision. Renewals of leases move
//! deadlines in memory and never reach the engine.
//!
//! What this crate does not know: any protocol, any particular engine, sockets, and how a health check is done.

mod archive;
mod brake;
mod caller;
mod changes;
mod clock;
mod deadlines;
mod diary;
mod fold;
mod gate;
mod memo;
mod meters;
mod options;
mod outputs;
mod past;
pub mod plan;
mod reaper;
mod registry;
mod ring;
mod snapshot;
mod texts;
mod topics;
mod touched;
mod views;
mod watch;
mod writer;

pub use archive::{ArchiveReader, ArchiveWriter, NoArchive};
pub use brake::{Brake, Losses};
pub use caller::Caller;
pub use changes::{Change, Changes, What};
pub use clock::{Now, ServiceTime};
pub use diary::Transition;
pub use gate::{Gate, OpenGate};
pub use memo::{Memo, MemoKey};
pub use meters::Meters;
pub use options::{Bounds, Options};
pub use outputs::Output;
pub use past::Replay;
pub use plan::{Intent, Planned};
pub use registry::{Committed, Registry, Renewed, Reported, View};
pub use snapshot::{Held, NamespaceTally, ServiceRef, Snapshot, Tally};
pub use touched::Touched;
pub use views::{Holds, InstanceView, LeaseView, NodeFacts, NodeView, ServiceView};
pub use watch::{Delivery, Watch, WatchEnd};
