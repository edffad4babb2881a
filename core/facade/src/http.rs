use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tower_service::Service;

use crate::facade::Stop;
use crate::limits::Limits;
use crate::listen::{Connection, Listener};
use crate::metrics::Metrics;

/// The other end of the connection, as an extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// What a listener counts.
#[derive(Clone, Debug, Default)]
pub struct HttpMeters {
    open: Gauge,
    accepted: Counter,
    refused: Counter,
    requests: Counter,
}

impl HttpMeters {
    pub fn register(&self, protocol: &str, metrics: &Metrics) {
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix(format!("switchboard_{protocol}"));
            registry.register("connections_open", "Open connections", self.open.clone());
            registry.register("connections_accepted", "Connections accepted", self.accepted.clone());
            registry.register(
                "connections_refused",
                "Connections refused at the limit",
                self.refused.clone(),
            );
            registry.register("requests", "Requests received", self.requests.clone());
        });
    }
}

/// Serves HTTP/1.1 and HTTP/2 until told to stop, within limits, and then lets requests end for a while.
pub async fn serve_http<S, B>(listener: Listener, limits: Limits, meters: HttpMeters, service: S, stop: Stop)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + Sync + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let room = Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    let builder = builder(&limits);
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let Ok(permit) = room.clone().try_acquire_owned() else {
            meters.refused.inc();
            connections.spawn(turn_away(stream));
            continue;
        };
        meters.accepted.inc();
        let tls = listener.tls();
        let (builder, service, stop, meters) =
            (builder.clone(), service.clone(), stop.clone(), meters.clone());
        let handshake = limits.handshake_timeout.0;
        let drain = limits.drain.0;
        connections.spawn(async move {
            let _permit = permit;
            let connection = match tls {
                None => Connection::Plain(stream),
                Some(tls) => match tokio::time::timeout(handshake, tls.accept(stream)).await {
                    Ok(Ok(stream)) => Connection::Tls(Box::new(stream)),
                    // A client that cannot or does not shake hands is told so by the closed connection.
                    Ok(Err(_)) | Err(_) => return,
                },
            };
            meters.open.inc();
            let requests = meters.requests.clone();
            let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
                requests.inc();
                request.extensions_mut().insert(Peer(peer));
                service.clone().call(request)
            });
            let serving = builder.serve_connection_with_upgrades(TokioIo::new(connection), service);
            tokio::pin!(serving);
            let ended = tokio::select! {
                ended = serving.as_mut() => ended,
                () = stop.cancelled() => {
                    serving.as_mut().graceful_shutdown();
                    tokio::time::timeout(drain, serving).await.unwrap_or(Ok(()))
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, %peer, "a connection ended badly");
            }
            meters.open.dec();
        });
    }
    connections.close();
    let _ = tokio::time::timeout(limits.drain.0 + Duration::from_secs(1), connections.wait()).await;
}

fn builder(limits: &Limits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // `pipeline_flush` would halve the cost of pipelined requests, which hardly any client sends; with it the library
    // drops its answer to a head that is malformed or too large, and a client would never learn why.
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout.0)
        .max_headers(limits.headers)
        // Below 8 KiB the library refuses to work.
        .max_buf_size(limits.header_bytes.max(8192));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.http2_streams)
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(64)
        .keep_alive_interval(Duration::from_secs(30))
        .keep_alive_timeout(Duration::from_secs(20));
    builder
}

/// Says why before hanging up. Whoever does not read it in time is hung up on all the same.
async fn turn_away(mut stream: TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 96\r\n\r\n\
        {\"status\":\"error\",\"code\":\"unavailable\",\"message\":\"too many connections are open; retry later\"}\r\n";
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(answer)).await;
}
