//! etcd's API over the memory engine, spoken to over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail it"
)]

#[path = "etcd/alarms.rs"]
mod alarms;
#[path = "etcd/alarms_by_hand.rs"]
mod alarms_by_hand;
#[path = "etcd/auth.rs"]
mod auth;
#[path = "etcd/bounds.rs"]
mod bounds;
#[path = "etcd/gateway.rs"]
mod gateway;
#[path = "etcd/health.rs"]
mod health;
#[path = "etcd/history.rs"]
mod history;
#[path = "etcd/jwt.rs"]
mod jwt;
#[path = "etcd/leases.rs"]
mod leases;
#[path = "etcd/metrics.rs"]
mod metrics;
#[path = "etcd/projection.rs"]
mod projection;
#[path = "etcd/snapshots.rs"]
mod snapshots;
#[path = "etcd/support.rs"]
mod support;
#[path = "etcd/tls.rs"]
mod tls;
#[path = "etcd/turns.rs"]
mod turns;
#[path = "etcd/users.rs"]
mod users;
#[path = "etcd/watches.rs"]
mod watches;
