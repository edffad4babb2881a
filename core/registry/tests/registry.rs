//! The registry over the memory engine, with time in hand.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail it"
)]

#[path = "registry/brake.rs"]
mod brake;
#[path = "registry/faults.rs"]
mod faults;
#[path = "registry/leases.rs"]
mod leases;
#[path = "registry/line.rs"]
mod line;
#[path = "registry/model.rs"]
mod model;
#[path = "registry/past.rs"]
mod past;
#[path = "registry/support.rs"]
mod support;
#[path = "registry/watches.rs"]
mod watches;
