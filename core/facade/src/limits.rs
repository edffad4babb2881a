use serde::{Deserialize, Serialize};

use crate::span::Span;

/// What any listener takes at most, whatever it speaks.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectionLimits {
    /// Open connections; one more is told so and closed.
    pub connections: usize,
    pub handshake_timeout: Span,
    /// Time that connections have to end when the process stops.
    pub drain: Span,
}

impl Default for ConnectionLimits {
    fn default() -> ConnectionLimits {
        Limits::default().of_connections()
    }
}

/// What a listener of HTTP takes at most. All of it applies before anyone is authenticated and before anything is parsed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Open connections; one more is answered with 503 and closed.
    pub connections: usize,
    /// Bytes of a request's head.
    pub header_bytes: usize,
    pub headers: usize,
    /// Bytes of a request's body.
    pub body_bytes: usize,
    /// Time to send a request's head, and time that a connection may be idle between requests.
    pub header_timeout: Span,
    /// Time to send a request's body.
    pub body_timeout: Span,
    /// Time in which a client has to take some of what it is told.
    pub send_timeout: Span,
    pub handshake_timeout: Span,
    /// Concurrent requests on one HTTP/2 connection.
    pub http2_streams: u32,
    /// Time that requests have to end when the process stops.
    pub drain: Span,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            connections: 16_000,
            header_bytes: 16 * 1024,
            headers: 64,
            body_bytes: 1536 * 1024,
            header_timeout: Span::seconds(60),
            body_timeout: Span::seconds(30),
            send_timeout: Span::seconds(60),
            handshake_timeout: Span::seconds(5),
            http2_streams: 256,
            drain: Span::seconds(5),
        }
    }
}

impl Limits {
    /// The part that has nothing to do with HTTP.
    pub fn of_connections(&self) -> ConnectionLimits {
        let Limits { connections, handshake_timeout, drain, .. } = *self;
        ConnectionLimits { connections, handshake_timeout, drain }
    }
}
