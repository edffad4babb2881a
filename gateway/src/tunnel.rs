//! Connections that have become WebSockets: bytes in both directions, until one side has enough.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use prometheus_client::metrics::gauge::Gauge;
use switchboard_balance::Outcome;
use switchboard_facade::Stop;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use crate::balance::Pick;
use crate::body::ResponseBody;
use crate::config::Config;
use crate::gateway::{Gateway, UnderWay};
use crate::headers;
use crate::refusal::Refusal;
use crate::upstream::Lease;

#[derive(Debug)]
pub(crate) struct Tunnels {
    tracker: TaskTracker,
    room: Arc<Semaphore>,
    open: Gauge,
    idle: Option<Duration>,
    drain: Duration,
    stop: Stop,
}

impl Tunnels {
    pub(crate) fn new(config: &Config, open: Gauge, stop: Stop) -> Tunnels {
        Tunnels {
            tracker: TaskTracker::new(),
            room: Arc::new(Semaphore::new(config.limits.tunnels.min(Semaphore::MAX_PERMITS))),
            open,
            idle: crate::route::limit(config.timeouts.tunnel),
            drain: config.limits.drain.0,
            stop,
        }
    }

    /// Waits until all have ended. They end by themselves some time after the stop.
    pub(crate) async fn ended(&self) {
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// An instance has agreed: from here on bytes are passed on, and not one before.
pub(crate) fn open(
    gateway: &Arc<Gateway>,
    client: OnUpgrade,
    mut response: Response<Incoming>,
    (lease, pick, place): (Lease, Pick, UnderWay),
) -> Result<Response<ResponseBody>, Refusal> {
    let tunnels = &gateway.tunnels;
    let is_websocket = response
        .headers()
        .get(header::UPGRADE)
        .is_some_and(|to| to.as_bytes().eq_ignore_ascii_case(b"websocket"));
    if !is_websocket {
        pick.finish(Outcome::FAILURE);
        let why = "it switched to a protocol that nobody asked for".to_owned();
        return Err(Refusal::Broken { service: "the service".to_owned(), why });
    }
    let Ok(permit) = tunnels.room.clone().try_acquire_owned() else { return Err(Refusal::Overloaded) };
    let instance = hyper::upgrade::on(&mut response);
    let (idle, drain, stop, open) = (tunnels.idle, tunnels.drain, tunnels.stop.clone(), tunnels.open.clone());
    pick.finish(Outcome::Success);
    tunnels.tracker.spawn(async move {
        let _held = (permit, lease, place);
        open.inc();
        let drained = async {
            stop.cancelled().await;
            tokio::time::sleep(drain).await;
        };
        tokio::select! {
            () = carry(client, instance, idle) => {}
            () = drained => {}
        }
        open.dec();
    });
    let (mut parts, _) = response.into_parts();
    headers::strip_response(&mut parts.headers);
    let mut answer = Response::new(ResponseBody::empty());
    *answer.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *answer.headers_mut() = parts.headers;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    answer.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    Ok(answer)
}

async fn carry(client: OnUpgrade, instance: OnUpgrade, idle: Option<Duration>) {
    let (client, instance) = match tokio::try_join!(client, instance) {
        Ok(both) => both,
        Err(error) => return tracing::debug!(%error, "a tunnel did not open"),
    };
    let last = Arc::new(Mutex::new(Instant::now()));
    let mut client = Watched { stream: TokioIo::new(client), last: last.clone() };
    let mut instance = Watched { stream: TokioIo::new(instance), last: last.clone() };
    let carrying = tokio::io::copy_bidirectional(&mut client, &mut instance);
    tokio::select! {
        ended = carrying => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a tunnel broke");
            }
        }
        () = silence(&last, idle) => tracing::debug!("a tunnel was silent for too long"),
    }
}

async fn silence(last: &Mutex<Instant>, idle: Option<Duration>) {
    let Some(idle) = idle else { return std::future::pending().await };
    loop {
        let until = *last.lock() + idle;
        if until <= Instant::now() {
            return;
        }
        tokio::time::sleep_until(until).await;
    }
}

/// Remembers when something last came through.
struct Watched<S> {
    stream: S,
    last: Arc<Mutex<Instant>>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        if read.is_ready() {
            *self.last.lock() = Instant::now();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
