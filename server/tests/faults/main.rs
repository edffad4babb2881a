//! The whole binary under faults: killed, stopped, frozen, with a jumping clock, on a full disk, on a damaged file.
//!
//! By default every test does as many rounds as fit into a short run. `SWITCHBOARD_FAULT_ROUNDS=300` makes them long,
//! and `SWITCHBOARD_FAULT_SEED` repeats the choices of an earlier run, though not its timing.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests assert by unwrapping")]
#![allow(clippy::print_stderr, reason = "a test says its seed")]

mod blocking;
mod clock;
mod disk;
mod follow;
mod heart;
mod http;
mod kill;
mod load;
mod model;
mod observe;
mod pause;
mod process;
mod rounds;
mod stop;
mod truth;
