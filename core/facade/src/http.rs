use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use prometheus_client::metrics::counter::Counter;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_io_timeout::TimeoutStream;
use tower_service::Service;

use crate::connections::{ConnectionMeters, Reception, serve_connections};
use crate::facade::Stop;
use crate::gather::Gather;
use crate::limits::Limits;
use crate::listen::{Connection, Listener, Peer};
use crate::metrics::Metrics;
use crate::request_body::RequestBody;

/// What a listener of HTTP counts.
#[derive(Clone, Debug, Default)]
pub struct HttpMeters {
    connections: ConnectionMeters,
    requests: Counter,
}

impl HttpMeters {
    pub fn register(&self, protocol: &str, metrics: &Metrics) {
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix(format!("switchboard_{protocol}"));
            self.connections.register_in(registry);
            registry.register("requests", "Requests received", self.requests.clone());
        });
    }
}

/// Serves HTTP/1.1 and HTTP/2 until told to stop, within limits, and then lets requests end for a while.
pub async fn serve_http<S, B>(listener: Listener, limits: Limits, meters: HttpMeters, service: S, stop: Stop)
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    serve_http_through(listener, limits, meters, service, stop, |connection| connection).await;
}

/// The same, with each connection behind something of the caller's that reads it first.
pub async fn serve_http_through<S, B, F, C>(
    listener: Listener,
    limits: Limits,
    meters: HttpMeters,
    service: S,
    stop: Stop,
    through: F,
) where
    S: Service<Request<RequestBody>, Response = Response<B>, Error = Infallible>
        + Clone
        + Send
        + Sync
        + 'static,
    S::Future: Send + 'static,
    B: Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    F: Fn(Connection) -> C + Clone + Send + 'static,
    C: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let reception = Reception {
        limits: limits.of_connections(),
        meters: meters.connections,
        full: FULL,
        alpn: &[b"h2", b"http/1.1"],
    };
    let (builder, requests, told) = (builder(&limits), meters.requests, stop.clone());
    let rest_within = limits.body_timeout.0;
    let handler = move |connection: Connection, peer| {
        let name = connection.client_name();
        let connection = through(connection);
        let (builder, service, requests, told) =
            (builder.clone(), service.clone(), requests.clone(), told.clone());
        async move {
            // Whoever asks and never reads would keep what it is told in memory for as long as it likes.
            let mut connection = TimeoutStream::new(connection);
            connection.set_write_timeout(Some(limits.send_timeout.0));
            let connection = Gather::new(Box::pin(connection));
            let answers = connection.clone();
            let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
                requests.inc();
                if request.version() == Version::HTTP_2 {
                    answers.gather();
                }
                request.extensions_mut().insert(peer);
                if let Some(name) = &name {
                    request.extensions_mut().insert(name.clone());
                }
                service.clone().call(RequestBody::of(request, rest_within))
            });
            let serving = builder.serve_connection_with_upgrades(TokioIo::new(connection.clone()), service);
            tokio::pin!(serving);
            let ended = tokio::select! {
                ended = connection.drive(serving.as_mut()) => ended,
                () = told.cancelled() => {
                    serving.as_mut().graceful_shutdown();
                    connection.drive(serving.as_mut()).await
                }
            };
            if let Err(error) = ended {
                let Peer(peer) = peer;
                tracing::debug!(%error, %peer, "a connection ended badly");
            }
        }
    };
    serve_connections(listener, reception, handler, stop).await;
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

/// The answer to one connection too many.
const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n\
    content-type: application/json\r\ncontent-length: 96\r\n\r\n\
    {\"status\":\"error\",\"code\":\"unavailable\",\"message\":\"too many connections are open; retry later\"}\r\n";

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::listen::Listen;
    use crate::span::Span;

    /// It kept its answer in memory, and its place among the connections, for as long as it liked.
    #[tokio::test]
    async fn a_client_that_does_not_read_is_hung_up_on() {
        let listen = Listen { address: "127.0.0.1:0".parse().unwrap(), insecure: false, tls: None };
        let listener = Listener::bind("test", &listen).unwrap();
        let (address, stop, meters) = (listener.address(), Stop::new(), HttpMeters::default());
        let limits = Limits { send_timeout: Span(Duration::from_millis(100)), ..Limits::default() };
        // More than any buffer between here and there holds.
        let large = Bytes::from(vec![b'x'; 64 << 20]);
        let service = tower_service_fn(move || Response::new(Full::new(large.clone())));
        let serving = tokio::spawn(serve_http(listener, limits, meters.clone(), service, stop.clone()));
        const ASKED: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
        let mut deaf = TcpStream::connect(address).await.unwrap();
        deaf.write_all(ASKED).await.unwrap();
        while meters.requests.get() == 0 || meters.connections.open.get() > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // One that is slow, and reads, has all of it.
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(ASKED).await.unwrap();
        let (mut buffer, mut read) = (vec![0; 4 << 20], 0);
        while read < 64 << 20 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            read += slow.read(&mut buffer).await.unwrap();
        }
        stop.cancel();
        drop((deaf, slow));
        serving.await.unwrap();
    }

    /// Patroni asks for a version with a body that nobody reads; its next request found the connection closed, and it waited
    /// five seconds for its registry.
    #[tokio::test]
    async fn what_nobody_reads_of_a_request_does_not_end_its_connection() {
        let listen = Listen { address: "127.0.0.1:0".parse().unwrap(), insecure: false, tls: None };
        let listener = Listener::bind("test", &listen).unwrap();
        let (address, stop) = (listener.address(), Stop::new());
        let service = tower_service_fn(|| Response::new(Full::new(Bytes::from_static(b"answered"))));
        let meters = HttpMeters::default();
        let serving = tokio::spawn(serve_http(listener, Limits::default(), meters, service, stop.clone()));

        let mut client = TcpStream::connect(address).await.unwrap();
        for (head, body) in
            [("content-length: 2", "{}"), ("transfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n")]
        {
            client
                .write_all(format!("GET / HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n").as_bytes())
                .await
                .unwrap();
            answered(&mut client).await;
            // The answer was there before the body came.
            client.write_all(body.as_bytes()).await.unwrap();
        }
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        answered(&mut client).await;

        // Nobody waits for a body that is out of all proportion.
        client.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
        answered(&mut client).await;
        assert_eq!(client.read(&mut [0; 1]).await.unwrap(), 0, "it is hung up on");
        stop.cancel();
        serving.await.unwrap();
    }

    async fn answered(client: &mut TcpStream) {
        let mut said = Vec::new();
        while !said.ends_with(b"answered") {
            let mut more = [0; 512];
            let length = client.read(&mut more).await.unwrap();
            assert!(length > 0, "hung up after {}", String::from_utf8_lossy(&said));
            said.extend_from_slice(&more[..length]);
        }
    }

    #[derive(Clone)]
    struct Answering<F>(F);

    fn tower_service_fn<F: Fn() -> Response<Full<Bytes>>>(answer: F) -> Answering<F> {
        Answering(answer)
    }

    impl<F: Fn() -> Response<Full<Bytes>>> Service<Request<RequestBody>> for Answering<F> {
        type Response = Response<Full<Bytes>>;
        type Error = Infallible;
        type Future = std::future::Ready<Result<Response<Full<Bytes>>, Infallible>>;

        fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
            std::task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
            std::future::ready(Ok((self.0)()))
        }
    }
}
