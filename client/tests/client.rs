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
#[path = "client/dependencies.rs"]
mod dependencies;
#[cfg(feature = "dns")]
#[path = "client/dns.rs"]
mod dns;
#[cfg(feature = "etcd")]
#[path = "client/etcd.rs"]
mod etcd;
#[path = "client/eureka.rs"]
mod eureka;
#[path = "client/examples.rs"]
mod examples;
#[path = "client/front_page.rs"]
mod front_page;
#[path = "client/grpc.rs"]
mod grpc;
#[path = "client/http.rs"]
mod http_requests;
#[cfg(feature = "metrics")]
#[path = "client/metrics.rs"]
mod metrics;
#[path = "client/peers.rs"]
mod peers;
#[path = "client/registrars.rs"]
mod registrars;
#[path = "client/sources.rs"]
mod sources;
#[path = "client/support.rs"]
mod support;
#[cfg(all(feature = "etcd", feature = "dns"))]
#[path = "client/targets.rs"]
mod targets;
