use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;

use super::pool::{Failed, Lease, Open, Pool, Stage, in_full, unsent};
use crate::body::RequestBody;

/// HTTP/2 connections, several because all streams of one take turns at one lock.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: Mutex<Vec<Link>>,
    /// One connects at a time; who waits takes what the one before has brought.
    dialing: tokio::sync::Mutex<()>,
}

#[derive(Clone, Debug)]
struct Link {
    sender: http2::SendRequest<RequestBody>,
    streams: Arc<AtomicUsize>,
    /// What the other end allows; what is usual until it has said so.
    room: Arc<AtomicUsize>,
}

/// The suggested minimum.
const USUAL_ROOM: usize = 100;

/// A stream, counted until it is dropped: the library does not say how many there are.
#[derive(Debug)]
pub(crate) struct StreamPlace(Arc<AtomicUsize>);

impl Drop for StreamPlace {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Links {
    pub(super) async fn send(
        &self,
        pool: &Arc<Pool>,
        request: Request<RequestBody>,
    ) -> Result<(Response<Incoming>, Lease), Failed> {
        let (mut link, place) = match self.link(pool).await {
            Ok(link) => link,
            Err(why) => return Err(unsent(request, why)),
        };
        match link.sender.try_send_request(request).await {
            Ok(response) => Ok((response, Lease::Http2 { _place: place })),
            Err(mut error) => Err(match error.take_message() {
                Some(again) => unsent(again, in_full(error.error())),
                None => Failed { why: in_full(error.error()), stage: Stage::Sent { stale: false } },
            }),
        }
    }

    async fn link(&self, pool: &Arc<Pool>) -> Result<(Link, StreamPlace), String> {
        if let Some(link) = self.roomy() {
            return Ok(link);
        }
        let _dialing = self.dialing.lock().await;
        if let Some(link) = self.roomy() {
            return Ok(link);
        }
        let most = pool.dialer.config.http2_connections.max(1);
        if self.links.lock().len() >= most
            && let Some(link) = self.least(|_| true)
        {
            // It waits its turn on the connection.
            return Ok(link);
        }
        let link = connect(pool).await?;
        self.links.lock().push(link);
        self.least(|_| true).ok_or_else(|| "the connection ended at once".to_owned())
    }

    fn roomy(&self) -> Option<(Link, StreamPlace)> {
        self.least(|link| link.streams.load(Ordering::Acquire) < link.room.load(Ordering::Acquire))
    }

    fn least(&self, fits: impl Fn(&Link) -> bool) -> Option<(Link, StreamPlace)> {
        let mut links = self.links.lock();
        links.retain(|link| !link.sender.is_closed());
        let fitting = links.iter().filter(|link| fits(link));
        let link = fitting.min_by_key(|link| link.streams.load(Ordering::Acquire))?.clone();
        link.streams.fetch_add(1, Ordering::AcqRel);
        let place = StreamPlace(link.streams.clone());
        Some((link, place))
    }
}

async fn connect(pool: &Arc<Pool>) -> Result<Link, String> {
    let stream = pool.dialer.connect(&pool.host, pool.way.port).await?;
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(pool.dialer.config.header_bytes).unwrap_or(u32::MAX))
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10));
    let (sender, mut connection) =
        builder.handshake(TokioIo::new(stream)).await.map_err(|error| in_full(&error))?;
    let (open, room) = (Open::count(&pool.open), Arc::new(AtomicUsize::new(USUAL_ROOM)));
    let told = room.clone();
    tokio::spawn(async move {
        let _open = open;
        let followed = std::future::poll_fn(|cx| {
            let ended = Pin::new(&mut connection).poll(cx);
            told.store(connection.current_max_send_streams().clamp(1, 1000), Ordering::Release);
            ended
        });
        let _ = followed.await;
    });
    Ok(Link { sender, streams: Arc::default(), room })
}
