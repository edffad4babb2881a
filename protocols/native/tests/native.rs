//! The native API over the memory engine, spoken to over real sockets.

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
