//! Connections to instances: made, kept, chosen, and let go.

mod dial;
mod http1;
mod http2;
mod pool;

pub(crate) use dial::Dialer;
pub(crate) use pool::{Failed, Lease, Pool, Stage};
