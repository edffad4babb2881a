//! DNS over the memory engine, spoken to over real sockets and read by somebody else's decoder.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests assert by unwrapping")]

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
