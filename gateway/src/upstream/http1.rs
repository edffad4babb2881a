use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::pool::{Failed, Lease, Open, Pool, Stage, in_full, unsent};
use crate::body::RequestBody;
use crate::config::Upstream;

type Sender = http1::SendRequest<RequestBody>;
type Driven = Pin<Box<dyn Future<Output = Result<(), hyper::Error>> + Send>>;

/// A connection, moved on by whoever waits for its answer: a task of its own would be two changes of task for every request,
/// and often of core.
pub(crate) struct Link {
    sender: Sender,
    /// None: it has ended, or has a task of its own.
    driven: Option<Driven>,
    alone: bool,
    open: Option<Open>,
}

/// HTTP/1.1 connections that wait for a request; the one that was used last is used first.
#[derive(Debug, Default)]
pub(super) struct Idle(Mutex<Vec<(Link, Instant)>>);

/// A connection with a task of its own needs a moment after the end of a body.
const READY_WITHIN: Duration = Duration::from_millis(50);

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").field("sender", &self.sender).field("alone", &self.alone).finish()
    }
}

impl Link {
    /// Reads and writes what there is.
    pub(crate) fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(driven) = &mut self.driven
            // Whoever waits for an answer is told why there is none.
            && driven.as_mut().poll(cx).is_ready()
        {
            self.driven = None;
            self.open = None;
        }
    }

    /// From here on it moves by itself: for what goes on in both directions however slowly one of them is read.
    pub(crate) fn set_alone(&mut self) {
        if let Some(driven) = self.driven.take() {
            let open = self.open.take();
            self.alone = true;
            tokio::spawn(async move {
                let _open = open;
                let _ = driven.await;
            });
        }
    }

    fn is_closed(&self) -> bool {
        self.sender.is_closed() || (self.driven.is_none() && !self.alone)
    }

    /// Whether it takes a request now.
    async fn is_ready(&mut self) -> bool {
        if self.alone && !self.sender.is_ready() {
            return matches!(tokio::time::timeout(READY_WITHIN, self.sender.ready()).await, Ok(Ok(())));
        }
        poll_fn(|cx| {
            self.drive(cx);
            Poll::Ready(!self.is_closed() && self.sender.is_ready())
        })
        .await
    }

    async fn try_send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, TrySendError<Request<RequestBody>>> {
        let mut sending = std::pin::pin!(self.sender.try_send_request(request));
        let (driven, open) = (&mut self.driven, &mut self.open);
        poll_fn(|cx| {
            if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
                return Poll::Ready(sent);
            }
            let Some(driving) = driven else { return Poll::Pending };
            if driving.as_mut().poll(cx).is_ready() {
                (*driven, *open) = (None, None);
            }
            sending.as_mut().poll(cx)
        })
        .await
    }
}

impl Idle {
    pub(super) async fn send(
        &self,
        pool: &Arc<Pool>,
        mut request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), Failed> {
        loop {
            let (mut link, stale) = match self.take(pool.dialer.config.idle_timeout.0).await {
                Some(link) => (link, true),
                None => match connect(pool).await {
                    Ok(link) => (link, false),
                    Err(why) => return Err(unsent(request, why)),
                },
            };
            match link.try_send(request).await {
                Ok(response) => {
                    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                        link.set_alone();
                    }
                    return Ok((response, Lease::Http1(pool.clone(), link)));
                }
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
    async fn take(&self, limit: Duration) -> Option<Link> {
        loop {
            let (mut link, since) = self.0.lock().pop()?;
            if since.elapsed() <= limit && link.is_ready().await {
                return Some(link);
            }
        }
    }

    pub(super) fn put(&self, link: Link, config: &Upstream) {
        if link.is_closed() {
            return;
        }
        let mut idle = self.0.lock();
        if idle.len() < config.idle_connections {
            idle.push((link, Instant::now()));
        }
    }

    pub(super) fn flush(&self) {
        self.0.lock().clear();
    }

    /// Lets go of what has ended or has waited for long.
    pub(super) fn sweep(&self, limit: Duration) {
        let mut nobody = Context::from_waker(Waker::noop());
        self.0.lock().retain_mut(|(link, since)| {
            link.drive(&mut nobody);
            !link.is_closed() && since.elapsed() <= limit
        });
    }
}

async fn connect(pool: &Arc<Pool>) -> Result<Link, String> {
    let stream = pool.dialer.connect(&pool.host, pool.way.port).await?;
    let config = &pool.dialer.config;
    let mut builder = http1::Builder::new();
    builder.max_headers(config.headers).max_buf_size(config.header_bytes.max(8192));
    let (sender, connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| in_full(&error))?;
    let driven: Driven = Box::pin(connection.with_upgrades());
    Ok(Link { sender, driven: Some(driven), alone: false, open: Some(Open::count(&pool.open)) })
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
