//! Consul's HTTP API for unmodified clients, on port 8500.
//!
//! Inside it is like every protocol folder: `wire` has the words exactly as they are sent, `lens` maps them to the
//! model and back, `plan` has the intents that only this protocol has, `facade` has one file per family of routes,
//! and `refusal` says every rejection as Consul would. The folder's README is its manual.
//!
//! What this crate does not know: other protocols, engines, DNS, and how health checks are done.

mod answer;
mod ask;
mod block;
mod bundle;
mod config;
mod events;
mod facade;
mod files;
mod filter;
#[cfg(test)]
mod fuzz;
mod identity;
mod lens;
mod near;
mod own_server;
mod plan;
mod queries;
mod refusal;
mod routes;
mod scope;
mod socket;
mod wakes;
mod wire;

use switchboard_facade::{Plug, from_section, to_section};

pub use config::Config;

/// Plugs the protocol into the server.
pub const PLUG: Plug = Plug {
    name: "consul",
    about: "Consul's HTTP API: agent, catalog, health, KV, sessions",
    example: config::EXAMPLE,
    effective: |section| from_section::<Config>("consul", section).map(|config| to_section(&config)),
    open: |section| {
        let config = from_section::<Config>("consul", section);
        Box::pin(async move { facade::open(config?) })
    },
};
