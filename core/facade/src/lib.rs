//! How a protocol is plugged in.
//!
//! A protocol crate offers one [`Plug`]: its name, its documented configuration section, and a way to open it. What
//! opens is a [`Facade`]: it has bound its listeners and says where, and then serves a registry until told to stop.
//! Everything that all protocols need on the way in is here once: listeners that are loopback unless someone insists,
//! TLS, bounded HTTP, durations and sections in configuration, metrics.
//!
//! What this crate does not know: any protocol's words, and how records are kept.

mod facade;
mod http;
mod limits;
mod listen;
mod metrics;
mod section;
mod span;

pub use facade::{About, Context, Facade, Listening, Needs, Opening, Plug, Stop};
pub use http::{HttpMeters, Peer, serve_http};
pub use limits::Limits;
pub use listen::{Connection, Listen, ListenError, Listener, Tls};
pub use metrics::Metrics;
pub use section::{ConfigError, Section, from_section, to_section};
pub use span::Span;
