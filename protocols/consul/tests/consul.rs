//! Consul's API over the memory engine, spoken to over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail it"
)]

// Built for fuzzing, every test binary needs what counts coverage.
use bolero as _;

#[path = "consul/agents.rs"]
mod agents;
#[path = "consul/aliases.rs"]
mod aliases;
#[path = "consul/answers.rs"]
mod answers;
#[path = "consul/blocking.rs"]
mod blocking;
#[path = "consul/bodies.rs"]
mod bodies;
#[path = "consul/bounds.rs"]
mod bounds;
#[path = "consul/catalog.rs"]
mod catalog;
#[path = "consul/coordinates.rs"]
mod coordinates;
#[path = "consul/events.rs"]
mod events;
#[path = "consul/files.rs"]
mod files;
#[path = "consul/headers.rs"]
mod headers;
#[path = "consul/kv.rs"]
mod kv;
#[path = "consul/laws.rs"]
mod laws;
#[path = "consul/own.rs"]
mod own;
#[path = "consul/process.rs"]
mod process;
#[path = "consul/queries.rs"]
mod queries;
#[path = "consul/sessions.rs"]
mod sessions;
#[path = "consul/snapshots.rs"]
mod snapshots;
#[path = "consul/support.rs"]
mod support;
#[path = "consul/txn.rs"]
mod txn;
#[path = "consul/words.rs"]
mod words;
