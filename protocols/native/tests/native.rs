//! The native API over the memory engine, spoken to over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail it"
)]

// Built for fuzzing, every test binary needs what counts coverage.
use bolero as _;

#[path = "native/bounds.rs"]
mod bounds;
#[path = "native/errors.rs"]
mod errors;
#[path = "native/resources.rs"]
mod resources;
#[path = "native/support.rs"]
mod support;
#[path = "native/watches.rs"]
mod watches;
