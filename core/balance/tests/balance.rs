//! The balancer from outside: what each policy promises, what calls teach it, and how it fares in a simulated service.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail it"
)]

#[path = "balance/algorithms.rs"]
mod algorithms;
#[path = "balance/ejection.rs"]
mod ejection;
#[path = "balance/properties.rs"]
mod properties;
#[path = "balance/simulation.rs"]
mod simulation;
#[path = "balance/support.rs"]
mod support;
#[path = "balance/threads.rs"]
mod threads;
