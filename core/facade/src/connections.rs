use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::facade::Stop;
use crate::limits::ConnectionLimits;
use crate::listen::{Connection, Listener, Peer};
use crate::metrics::Metrics;

/// What a listener counts.
#[derive(Clone, Debug, Default)]
pub struct ConnectionMeters {
    pub(crate) open: Gauge,
    accepted: Counter,
    refused: Counter,
}

impl ConnectionMeters {
    pub fn register(&self, protocol: &str, metrics: &Metrics) {
        metrics.register(|registry| {
            self.register_in(registry.sub_registry_with_prefix(format!("switchboard_{protocol}")));
        });
    }

    pub(crate) fn register_in(&self, registry: &mut Registry) {
        registry.register("connections_open", "Open connections", self.open.clone());
        registry.register("connections_accepted", "Connections accepted", self.accepted.clone());
        registry.register("connections_refused", "Connections refused at the limit", self.refused.clone());
    }
}

/// How connections are taken in: the part of it that protocols choose.
#[derive(Clone, Debug)]
pub struct Reception {
    pub limits: ConnectionLimits,
    pub meters: ConnectionMeters,
    /// What one connection too many is told before it is closed, in the protocol's own words.
    pub full: &'static [u8],
    /// The names of what is spoken over TLS, for clients that ask (ALPN). Empty: nobody asks.
    pub alpn: &'static [&'static [u8]],
}

/// Hands each connection to `handler`, within limits, until told to stop.
///
/// A handler should watch its own clone of `stop` and end at the next seam. One that has not ended when the time to drain
/// is over is dropped where it stands, and its connection closed.
pub async fn serve_connections<H, F>(listener: Listener, reception: Reception, handler: H, stop: Stop)
where
    H: Fn(Connection, Peer) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let Reception { limits, meters, full, alpn } = reception;
    let room = Arc::new(Semaphore::new(limits.connections));
    let tls = listener.tls(alpn);
    let drain = limits.drain.0;
    let connections = TaskTracker::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let Ok(permit) = room.clone().try_acquire_owned() else {
            meters.refused.inc();
            connections.spawn(turn_away(stream, full));
            continue;
        };
        meters.accepted.inc();
        let (tls, handler, stop, meters) = (tls.clone(), handler.clone(), stop.clone(), meters.clone());
        connections.spawn(async move {
            let _permit = permit;
            let connection = match tls {
                None => Connection::Plain(stream),
                Some(tls) => match tokio::time::timeout(limits.handshake_timeout.0, tls.accept(stream)).await
                {
                    Ok(Ok(stream)) => Connection::Tls(Box::new(stream)),
                    // A client that cannot or does not shake hands is told so by the closed connection.
                    Ok(Err(_)) | Err(_) => return,
                },
            };
            let _open = Open::count(&meters.open);
            let drained = async {
                stop.cancelled().await;
                tokio::time::sleep(drain).await;
            };
            tokio::select! {
                () = handler(connection, Peer(peer)) => {}
                () = drained => {}
            }
        });
    }
    // From here on nobody is let into the backlog of a listener that no one serves.
    drop(listener);
    connections.close();
    let _ = tokio::time::timeout(drain + Duration::from_secs(1), connections.wait()).await;
}

/// Counted as open for as long as it lives, whichever way its handler ends.
struct Open(Gauge);

impl Open {
    fn count(gauge: &Gauge) -> Open {
        gauge.inc();
        Open(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Says why before hanging up. Whoever does not read it in time is hung up on all the same.
async fn turn_away(mut stream: TcpStream, answer: &'static [u8]) {
    let _ = tokio::time::timeout(Duration::from_secs(1), stream.write_all(answer)).await;
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::listen::Listen;
    use crate::span::Span;

    /// A protocol that says `hello`, then gives every line back, and leaves at `stop` or ignores it.
    struct World {
        address: SocketAddr,
        meters: ConnectionMeters,
        stop: Stop,
        serving: JoinHandle<()>,
    }

    fn world(connections: usize, heeds_stop: bool) -> World {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let listener = Listener::bind("echo", &Listen { address, insecure: false, tls: None }).unwrap();
        let address = listener.address();
        let limits = ConnectionLimits { connections, drain: Span::millis(200), ..Default::default() };
        let (meters, stop) = (ConnectionMeters::default(), Stop::new());
        let reception = Reception { limits, meters: meters.clone(), full: b"full\n", alpn: &[] };
        let told = stop.clone();
        let handler = move |connection, _peer| {
            let told = told.clone();
            async move {
                tokio::select! {
                    () = echo(connection) => {}
                    () = told.cancelled(), if heeds_stop => {}
                }
            }
        };
        let serving = tokio::spawn(serve_connections(listener, reception, handler, stop.clone()));
        World { address, meters, stop, serving }
    }

    async fn echo(connection: Connection) {
        let mut stream = BufReader::new(connection);
        let mut line = b"hello\n".to_vec();
        while !line.is_empty() && stream.write_all(&line).await.is_ok() {
            line.clear();
            let _ = stream.read_until(b'\n', &mut line).await;
            assert_ne!(line, b"crash\n", "as asked");
        }
    }

    impl World {
        async fn connect(&self) -> Client {
            Client(BufReader::new(TcpStream::connect(self.address).await.unwrap()))
        }
    }

    struct Client(BufReader<TcpStream>);

    impl Client {
        async fn line(&mut self) -> String {
            let mut line = String::new();
            self.0.read_line(&mut line).await.unwrap();
            line
        }

        async fn say(&mut self, line: &str) {
            self.0.write_all(line.as_bytes()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn one_too_many_is_told_and_a_freed_place_is_taken() {
        let world = world(1, true);
        let mut first = world.connect().await;
        assert_eq!(first.line().await, "hello\n");
        assert_eq!(world.connect().await.line().await, "full\n");
        assert_eq!(world.meters.refused.get(), 1);
        drop(first);
        while world.meters.open.get() > 0 {
            tokio::task::yield_now().await;
        }
        // The place is given back right after the count.
        while world.connect().await.line().await != "hello\n" {}
    }

    #[tokio::test]
    async fn a_handler_that_crashes_gives_its_place_back() {
        let world = world(1, true);
        let mut client = world.connect().await;
        assert_eq!(client.line().await, "hello\n");
        client.say("crash\n").await;
        assert_eq!(client.line().await, "");
        while world.connect().await.line().await != "hello\n" {}
        assert!(world.meters.open.get() <= 1, "the crashed one is still counted");
    }

    #[tokio::test]
    async fn stopping_waits_for_those_who_heed_it_and_cuts_off_those_who_do_not() {
        for heeds_stop in [true, false] {
            let world = world(8, heeds_stop);
            let mut client = world.connect().await;
            assert_eq!(client.line().await, "hello\n");
            world.stop.cancel();
            world.serving.await.unwrap();
            assert_eq!(client.0.read(&mut [0]).await.unwrap(), 0);
            assert_eq!(world.meters.open.get(), 0);
            assert!(TcpStream::connect(world.address).await.is_err(), "it still listens");
        }
    }
}
