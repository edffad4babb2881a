//! How a protocol is plugged in.
//!
//! A protocol crate offers one [`Plug`]: its name, its documented configuration section, and a way to open it. What
//! opens is a [`Facade`]: it has bound its listeners and says where, and then serves a registry until told to stop.
//! Everything that all protocols need on the way in is here once: listeners that are loopback unless someone insists,
//! TLS, bounded connections and HTTP, durations and sections in configuration, metrics.
//!
//! What this crate does not know: any protocol's words, and how records are kept.

mod background;
mod certificate;
mod connections;
mod datagrams;
mod facade;
mod gather;
mod host_name;
mod http;
mod limits;
mod listen;
mod logs;
mod metrics;
mod named_sets;
mod request_body;
mod section;
mod span;
mod trusted;

pub use background::keep_running;
pub use connections::{ConnectionMeters, Reception, serve_connections};
pub use datagrams::{Answered, DatagramMeters, Datagrams, serve_datagrams};
pub use facade::{About, Context, Facade, Listening, Needs, Opening, Plug, Stop};
pub use host_name::host_name;
pub use http::{HttpMeters, serve_http, serve_http_through};
pub use limits::{ConnectionLimits, Limits};
pub use listen::{ClientName, Connection, Listen, ListenError, Listener, Peer, Tls};
pub use logs::{LogLine, LogLines, LogTap};
pub use metrics::{Format as MetricsFormat, Metrics};
pub use named_sets::{Asker, NamedSet, NamedSetSource, NamedSets};
pub use request_body::RequestBody;
pub use section::{ConfigError, Section, from_section, to_section};
pub use span::Span;
