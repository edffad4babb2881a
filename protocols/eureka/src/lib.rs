//! Netflix Eureka's REST API for unmodified clients, and its replication with unmodified peers, on port 8761.
//!
//! Inside it is like every protocol folder: `wire` has the words exactly as they are sent, in JSON and in XML, `lens` maps
//! them to the model and back, `plan` has the intents that only this protocol has, `facade` has one file per resource,
//! and `refusal` says every rejection as Eureka would. `recent` remembers what a delta has to tell, `pages` keeps whole
//! answers encoded, and `peers` talks to other Eureka servers. The folder's README is its manual.
//!
//! What this crate does not know: other protocols, engines, and how health checks are done.

mod answer;
mod ask;
mod config;
mod facade;
#[cfg(test)]
mod fuzz;
mod lens;
mod pages;
mod peers;
mod plan;
mod recent;
mod refusal;
mod routes;
mod wire;

use switchboard_facade::{Plug, from_section, to_section};

pub use config::Config;

/// Plugs the protocol into the server.
pub const PLUG: Plug = Plug {
    name: "eureka",
    about: "Netflix Eureka's REST API, with peer replication",
    example: config::EXAMPLE,
    effective: |section| from_section::<Config>("eureka", section).map(|config| to_section(&config)),
    open: |section| {
        let config = from_section::<Config>("eureka", section);
        Box::pin(async move { facade::open(config?) })
    },
};
