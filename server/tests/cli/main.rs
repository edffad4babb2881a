//! The binary, as people and programs use it: started as a process, asked over its command line.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests assert by unwrapping")]

mod client;
mod consul;
mod demo;
mod failing;
mod serve;
mod support;
