//! The gateway over the memory engine, with instances that answer over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail it"
)]

#[path = "gateway/alone.rs"]
mod alone;
#[path = "gateway/failover.rs"]
mod failover;
#[path = "gateway/h2.rs"]
mod h2;
#[path = "gateway/hostile.rs"]
mod hostile;
#[path = "gateway/outside.rs"]
mod outside;
#[path = "gateway/proxying.rs"]
mod proxying;
#[path = "gateway/routing.rs"]
mod routing;
#[path = "gateway/support.rs"]
mod support;
#[path = "gateway/tunnels.rs"]
mod tunnels;
