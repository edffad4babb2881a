//! The client against real servers: ours in this process, and the real Consul and etcd where their binaries are.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "the helpers of a test may fail it"
)]

#[path = "client/calls.rs"]
mod calls;
#[path = "client/defects.rs"]
mod defects;
#[cfg(feature = "dns")]
#[path = "client/dns.rs"]
mod dns;
#[path = "client/grpc.rs"]
mod grpc;
#[path = "client/peers.rs"]
mod peers;
#[path = "client/registrars.rs"]
mod registrars;
#[path = "client/sources.rs"]
mod sources;
#[path = "client/support.rs"]
mod support;
