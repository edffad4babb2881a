//! etcd's v3 API on port 2379: keys, watches, leases, locks, over gRPC and as JSON, for clients of etcd as they are.
//!
//! `wire` has the messages exactly as they are sent, made of `proto/`; `lens` maps keys to records and back, with a
//! prefix under which keys are instances; `plan` has the intents that only etcd has, transactions above all; `facade`
//! has one file per service, `bolt` the form of etcd's files, and `refusal` every rejection in etcd's words. The folder's
//! README is its manual.
//!
//! What this crate does not know: other protocols, engines, and how health checks are done.

mod bolt;
mod config;
mod facade;
#[cfg(test)]
mod fuzz;
mod import;
mod lens;
mod plan;
mod refusal;
mod wire;

use switchboard_facade::{Plug, from_section, to_section};

pub use config::{Config, Prefix};
pub use import::{Imported, import};
pub use lens::value::Form;
/// The generated messages and clients, for tests that speak gRPC.
pub use wire::{authpb, etcdserverpb, mvccpb, v3electionpb, v3lockpb};

/// Plugs the protocol into the server.
pub const PLUG: Plug = Plug {
    name: "etcd",
    about: "etcd's v3 API over gRPC and as JSON",
    example: config::EXAMPLE,
    effective: |section| from_section::<Config>("etcd", section).map(|config| to_section(&config)),
    open: |section| {
        let config = from_section::<Config>("etcd", section);
        Box::pin(async move { facade::open(config?) })
    },
};
