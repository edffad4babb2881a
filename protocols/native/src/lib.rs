//! The native HTTP API: registration and discovery as plain HTTP and JSON, on port 7700.
//!
//! It is the first protocol folder and the pattern for all others: `wire` has the words exactly as they are sent,
//! `lens` maps them to the model and back, `facade` has one file per resource (decode, ask the registry, encode),
//! and `refusal` says every rejection in this protocol's words. The folder's README is its manual.
//!
//! What this crate does not know: other protocols, engines, and how health checks are done.

mod answer;
mod ask;
mod config;
mod describe;
mod facade;
mod front;
#[cfg(test)]
mod fuzz;
mod lens;
mod refusal;
mod wire;

use switchboard_facade::{Plug, from_section, to_section};

pub use config::Config;

/// Plugs the protocol into the server.
pub const PLUG: Plug = Plug {
    name: "native",
    about: "the native HTTP API, with metrics and health of the registry itself",
    example: config::EXAMPLE,
    effective: |section| from_section::<Config>("native", section).map(|config| to_section(&config)),
    open: |section| {
        let config = from_section::<Config>("native", section);
        Box::pin(async move { facade::open(config?) })
    },
};

/// The API's description in OpenAPI 3.1, as JSON.
pub fn openapi() -> String {
    facade::description()
}
