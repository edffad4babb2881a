//! Eureka's API over the memory engine, spoken to over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail it"
)]

// Built for fuzzing, every test binary needs what counts coverage.
use bolero as _;

#[path = "eureka/brake.rs"]
mod brake;
#[path = "eureka/dialects.rs"]
mod dialects;
#[path = "eureka/elsewhere.rs"]
mod elsewhere;
#[path = "eureka/laws.rs"]
mod laws;
#[path = "eureka/malformed.rs"]
mod malformed;
#[path = "eureka/overrides.rs"]
mod overrides;
#[path = "eureka/peers.rs"]
mod peers;
#[path = "eureka/registering.rs"]
mod registering;
#[path = "eureka/support.rs"]
mod support;
