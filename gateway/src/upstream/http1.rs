use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::pool::{Failed, Lease, Open, Pool, Stage, in_full, unsent};
use crate::body::RequestBody;
use crate::config::Upstream;

pub(crate) type Sender = http1::SendRequest<RequestBody>;

/// HTTP/1.1 connections that wait for a request; the one that was used last is used first.
#[derive(Debug, Default)]
pub(super) struct Idle(Mutex<Vec<(Sender, Instant)>>);

/// The connection's own task needs a moment after the end of a body.
const READY_WITHIN: Duration = Duration::from_millis(50);

impl Idle {
    pub(super) async fn send(
        &self,
        pool: &Arc<Pool>,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), Failed> {
        loop {
            let (mut sender, stale) = match self.take(pool.dialer.config.idle_timeout.0).await {
                Some(sender) => (sender, true),
                None => match connect(pool).await {
                    Ok(sender) => (sender, false),
                    Err(why) => return Err(unsent(request, why)),
                },
            };
            match sender.try_send_request(request).await {
                Ok(response) => return Ok((response, Lease::Http1(pool.clone(), sender))),
                Err(mut error) => match error.take_message() {
                    Some(again) if stale => request = again,
                    Some(again) => return Err(unsent(again, in_full(error.error()))),
                    None => {
                        let stale =
                            stale && (error.error().is_incomplete_message() || is_closed(error.error()));
                        return Err(Failed { why: in_full(error.error()), stage: Stage::Sent { stale } });
                    }
                },
            }
        }
    }

    /// A connection that is there already and has not ended, as far as anyone knows.
    async fn take(&self, limit: Duration) -> Option<Sender> {
        loop {
            let (mut sender, since) = self.0.lock().pop()?;
            if sender.is_closed() || since.elapsed() > limit {
                continue;
            }
            if sender.is_ready() {
                return Some(sender);
            }
            if let Ok(Ok(())) = tokio::time::timeout(READY_WITHIN, sender.ready()).await {
                return Some(sender);
            }
        }
    }

    pub(super) fn put(&self, sender: Sender, config: &Upstream) {
        if sender.is_closed() {
            return;
        }
        let mut idle = self.0.lock();
        if idle.len() < config.idle_connections {
            idle.push((sender, Instant::now()));
        }
    }

    pub(super) fn flush(&self) {
        self.0.lock().clear();
    }

    pub(super) fn sweep(&self, limit: Duration) {
        self.0.lock().retain(|(sender, since)| !sender.is_closed() && since.elapsed() <= limit);
    }
}

async fn connect(pool: &Arc<Pool>) -> Result<Sender, String> {
    let stream = pool.dialer.connect(&pool.host, pool.way.port).await?;
    let config = &pool.dialer.config;
    let mut builder = http1::Builder::new();
    builder.max_headers(config.headers).max_buf_size(config.header_bytes.max(8192));
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| in_full(&error))?;
    let open = Open::count(&pool.open);
    tokio::spawn(async move {
        let _open = open;
        // Whoever waits for an answer is told why there is none.
        let _ = connection.with_upgrades().await;
    });
    Ok(sender)
}

/// The other end hung up, or was gone.
fn is_closed(error: &hyper::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected};
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<std::io::Error>() {
            return matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected);
        }
        source = error.source();
    }
    error.is_closed() || error.is_canceled()
}
