//! The health checker over a real registry, against real servers on this machine.

#![allow(clippy::unwrap_used, reason = "tests assert by unwrapping")]

mod load;
mod support;
mod verdicts;
