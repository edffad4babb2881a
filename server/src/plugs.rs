//! Everything that is plugged in, by hand and in order: the order of the panel, of the example file and of `--help`.
//!
//! Adding a protocol is one line here and one in `Cargo.toml`.

use switchboard_facade::Plug;

use crate::engines::{EnginePlug, MEMORY, REDB};

pub(crate) const ENGINES: &[EnginePlug] = &[REDB, MEMORY];

pub(crate) const PROTOCOLS: &[Plug] = &[
    // One line each.
    switchboard_protocol_native::PLUG,
    switchboard_protocol_consul::PLUG,
    switchboard_protocol_dns::PLUG,
    switchboard_protocol_etcd::PLUG,
    switchboard_protocol_eureka::PLUG,
    switchboard_gateway::PLUG,
];
