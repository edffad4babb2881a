//! DNS over UDP and TCP, on port 8600: the names of Consul, and names of our own.
//!
//! `wire` has messages exactly as they are sent, `names` has one file for each way of naming things, `lens` says what an
//! instance and a node look like from here, `answer` makes records of them in one place for all names, `facade` asks the
//! registry, and `refusal` says every rejection in this protocol's words. The folder's README is its manual.
//!
//! What this crate does not know: other protocols, engines, and how health checks are done.

mod answer;
mod config;
mod facade;
#[cfg(test)]
mod fuzz;
mod lens;
mod names;
mod refusal;
mod wire;

use switchboard_facade::{Plug, from_section, to_section};

pub use config::Config;

/// Plugs the protocol into the server.
pub const PLUG: Plug = Plug {
    name: "dns",
    about: "DNS: the names of Consul, and names of our own",
    example: config::EXAMPLE,
    effective: |section| from_section::<Config>("dns", section).map(|config| to_section(&config)),
    open: |section| {
        let config = from_section::<Config>("dns", section);
        Box::pin(async move { facade::open(config?) })
    },
};
