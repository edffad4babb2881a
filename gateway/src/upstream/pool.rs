use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Context;

use http::{Request, Response};
use hyper::body::Incoming;

use super::dial::Dialer;
use super::{http1, http2};
use crate::body::RequestBody;
use crate::config::Protocol;
use crate::services::Way;

/// The connections to one port of an instance.
#[derive(Debug)]
pub(crate) struct Pool {
    pub(super) host: Box<str>,
    pub(super) way: Way,
    pub(super) dialer: Arc<Dialer>,
    pub(super) open: Arc<AtomicUsize>,
    http1: http1::Idle,
    http2: http2::Links,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) why: String,
    pub(crate) stage: Stage,
}

/// How far a request came.
#[derive(Debug)]
pub(crate) enum Stage {
    /// Nothing of it was sent; here it is again.
    Unsent(Box<Request<RequestBody>>),
    /// It may have been read. `stale`: on a connection that had been waiting, and that may have ended before.
    Sent { stale: bool },
}

/// A connection that is being used. What is dropped instead of given back is closed.
#[derive(Debug)]
pub(crate) enum Lease {
    Http1(Arc<Pool>, http1::Link),
    Http2 { _place: http2::StreamPlace },
}

impl Lease {
    /// Reads and writes what there is, where nobody else does.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Lease::Http1(_, link) = self {
            link.drive(cx);
        }
    }

    /// From here on the connection moves by itself.
    pub(crate) fn set_alone(&mut self) {
        if let Lease::Http1(_, link) = self {
            link.set_alone();
        }
    }

    /// The exchange is over, in both directions.
    pub(crate) fn give_back(self) {
        match self {
            Lease::Http1(pool, link) => {
                let Pool { dialer, http1, .. } = &*pool;
                http1.put(link, &dialer.config);
            }
            // Its place is free as soon as it is dropped.
            Lease::Http2 { .. } => {}
        }
    }
}

impl Pool {
    pub(crate) fn new(host: &str, way: Way, dialer: Arc<Dialer>) -> Pool {
        Pool {
            host: host.into(),
            way,
            dialer,
            open: Arc::default(),
            http1: http1::Idle::default(),
            http2: http2::Links::default(),
        }
    }

    pub(crate) fn way(&self) -> Way {
        self.way
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Sends a request and waits for the head of its answer.
    pub(crate) async fn send(
        self: &Arc<Pool>,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), Failed> {
        match self.way.protocol {
            Protocol::Http1 => self.http1.send(self, request).await,
            Protocol::H2c => self.http2.send(self, request).await,
        }
    }

    /// Connections that were waiting have probably ended, too.
    pub(crate) fn flush(&self) {
        self.http1.flush();
    }

    pub(crate) fn sweep(&self) {
        self.http1.sweep(self.dialer.config.idle_timeout.0);
    }
}

/// Counts a connection as open for as long as it lives.
#[derive(Debug)]
pub(super) struct Open(Arc<AtomicUsize>);

impl Open {
    pub(super) fn count(open: &Arc<AtomicUsize>) -> Open {
        open.fetch_add(1, Ordering::Relaxed);
        Open(open.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

pub(super) fn unsent(request: Request<RequestBody>, why: impl Into<String>) -> Failed {
    Failed { why: why.into(), stage: Stage::Unsent(Box::new(request)) }
}

/// An error with all that is behind it: the outermost alone says little.
pub(super) fn in_full(error: &dyn std::error::Error) -> String {
    let mut said = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        said = format!("{said}: {error}");
        next = error.source();
    }
    said
}
