//! DNS over the memory engine, spoken to over real sockets and read by somebody else's decoder.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests assert by unwrapping")]

// Built for fuzzing, every test binary needs what counts coverage.
use bolero as _;

mod dns {
    mod bounds;
    mod elsewhere;
    mod health;
    mod malformed;
    mod messages;
    mod names;
    mod sets;
    mod support;
    mod zone;
}
