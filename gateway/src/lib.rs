//! Server-side discovery: a proxy that routes requests to the live instances of services.
//!
//! `route` decides from a request's head which service is meant, `services` holds who is there to answer and how each of
//! them is doing, `balance` chooses, `upstream` keeps the connections, and `forward` tries until somebody answers or
//! nobody is left. `headers` has the rules of what a proxy passes on. `follow` is the only place that knows the registry.
//!
//! What this crate does not know: any protocol through which instances are registered, and engines.

mod access;
mod admin;
mod alone;
mod balance;
mod body;
mod config;
mod facade;
mod follow;
mod forward;
mod gateway;
mod grpc;
mod headers;
mod meters;
mod on_demand;
mod refusal;
mod route;
mod services;
mod tunnel;
mod upstream;

use switchboard_facade::{Facade, Plug, from_section, to_section};

pub use alone::Alone;
pub use config::Config;

/// Plugs the gateway into the server.
pub const PLUG: Plug = Plug {
    name: "gateway",
    about: "the gateway: /SERVICE/** goes to the live instances of SERVICE",
    example: config::EXAMPLE,
    effective: |section| {
        let config: Config = from_section("gateway", section)?;
        config.check()?;
        Ok(to_section(&config))
    },
    open: |section| {
        let config = from_section::<Config>("gateway", section);
        Box::pin(async move { Ok(Box::new(facade::open(config?)?) as Box<dyn Facade>) })
    },
};
