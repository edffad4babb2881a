mod batch;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use tokio::net::UdpSocket;
use tokio::task::JoinSet;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::facade::{Listening, Stop};
use crate::listen::{Listen, ListenError, Peer, not_bound};
use crate::metrics::Metrics;
use batch::Batch;

/// UDP sockets on one address, between which the kernel divides the clients.
#[derive(Debug)]
pub struct Datagrams {
    sockets: Vec<UdpSocket>,
    address: SocketAddr,
    insecure: bool,
}

/// Room for the queries of a burst, as far as the kernel grants it.
const RECEIVE_BUFFER: usize = 4 << 20;

impl Datagrams {
    /// Binds `sockets` of them. There is no TLS over datagrams: beyond this machine they need `insecure`.
    pub fn bind(protocol: &str, listen: &Listen, sockets: usize) -> Result<Datagrams, ListenError> {
        let mut address = listen.address;
        let insecure = !address.ip().is_loopback();
        if insecure && !listen.insecure {
            return Err(ListenError::ExposedDatagrams { protocol: protocol.to_owned(), address });
        }
        let mut bound = Vec::new();
        for _ in 0..sockets.max(1) {
            let socket = socket(address).map_err(|source| not_bound(protocol, address, source))?;
            // Port 0 becomes a port of which the others take their share.
            address = socket.local_addr().unwrap_or(address);
            bound.push(socket);
        }
        Ok(Datagrams { sockets: bound, address, insecure })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn listening(&self, what: &str) -> Listening {
        let insecure = self.insecure.then(|| "reachable from other machines, unprotected".to_owned());
        Listening { what: what.to_owned(), address: self.address, tls: false, insecure }
    }
}

fn socket(address: SocketAddr) -> io::Result<UdpSocket> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    socket.bind(&address.into())?;
    UdpSocket::from_std(socket.into())
}

/// What a listener counts.
#[derive(Clone, Debug, Default)]
pub struct DatagramMeters {
    received: Counter,
    answered: Counter,
}

impl DatagramMeters {
    pub fn register(&self, protocol: &str, metrics: &Metrics) {
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix(format!("switchboard_{protocol}"));
            registry.register("datagrams_received", "Datagrams received", self.received.clone());
            registry.register("datagrams_answered", "Datagrams answered at once", self.answered.clone());
        });
    }
}

/// What becomes of a datagram.
pub enum Answered {
    /// The answer is in the buffer.
    Now,
    /// Nothing is said.
    Never,
    /// The answer comes by itself. How many may be under way is for the handler to bound.
    Later(Pin<Box<dyn Future<Output = Vec<u8>> + Send>>),
}

impl std::fmt::Debug for Answered {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Answered::Now => "Now",
            Answered::Never => "Never",
            Answered::Later(_) => "Later",
        })
    }
}

/// Hands each datagram to `handler` with an empty buffer for the answer, until told to stop. The handler does not wait.
pub async fn serve_datagrams<H>(datagrams: Datagrams, meters: DatagramMeters, handler: H, stop: Stop)
where
    H: Fn(&[u8], Peer, &mut Vec<u8>) -> Answered + Clone + Send + 'static,
{
    let mut serving = JoinSet::new();
    for socket in datagrams.sockets {
        serving.spawn(keep_serving(Arc::new(socket), meters.clone(), handler.clone(), stop.clone()));
    }
    while serving.join_next().await.is_some() {}
}

/// A datagram that crashes the handler is lost with those that were received along with it, and that is all: the socket goes on.
async fn keep_serving<H>(socket: Arc<UdpSocket>, meters: DatagramMeters, handler: H, stop: Stop)
where
    H: Fn(&[u8], Peer, &mut Vec<u8>) -> Answered + Clone + Send + 'static,
{
    loop {
        let serving = serve_socket(socket.clone(), meters.clone(), handler.clone(), stop.clone());
        match AbortOnDropHandle::new(tokio::spawn(serving)).await {
            Ok(()) => return,
            Err(error) if error.is_panic() => {
                tracing::error!(%error, "the handler of a datagram crashed; the next one is waited for");
            }
            // The process ends.
            Err(_) => return,
        }
    }
}

async fn serve_socket<H>(socket: Arc<UdpSocket>, meters: DatagramMeters, handler: H, stop: Stop)
where
    H: Fn(&[u8], Peer, &mut Vec<u8>) -> Answered,
{
    let later = TaskTracker::new();
    let mut batch = Batch::new();
    loop {
        let received = tokio::select! {
            received = batch.receive(&socket) => received,
            () = stop.cancelled() => break,
        };
        if let Err(error) = received {
            tracing::warn!(%error, "cannot receive datagrams; trying again");
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        let (mut answered, mut total) = (0, 0);
        batch.answer(|datagram, peer, answer| {
            total += 1;
            match handler(datagram, Peer(peer), answer) {
                Answered::Now => {
                    answered += 1;
                    true
                }
                Answered::Never => false,
                Answered::Later(future) => {
                    let (socket, stop) = (socket.clone(), stop.clone());
                    later.spawn(async move {
                        tokio::select! {
                            // A client that cannot be reached has nothing to be told.
                            answer = future => drop(socket.send_to(&answer, peer).await),
                            () = stop.cancelled() => {}
                        }
                    });
                    false
                }
            }
        });
        meters.received.inc_by(total);
        meters.answered.inc_by(answered);
        batch.send(&socket).await;
    }
    later.close();
    later.wait().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(address: &str, insecure: bool) -> Listen {
        Listen { address: address.parse().unwrap(), insecure, tls: None }
    }

    /// Says everything back, `later` in a while, and nothing to `hush`.
    fn echo(datagram: &[u8], _: Peer, answer: &mut Vec<u8>) -> Answered {
        match datagram {
            b"hush" => Answered::Never,
            b"later" => Answered::Later(Box::pin(async {
                tokio::task::yield_now().await;
                b"now".to_vec()
            })),
            said => {
                answer.extend_from_slice(said);
                Answered::Now
            }
        }
    }

    /// The socket went silent, and with it its share of the clients.
    #[tokio::test]
    async fn a_datagram_that_crashes_the_handler_is_the_only_one_that_is_lost() {
        let datagrams = Datagrams::bind("echo", &listen("127.0.0.1:0", false), 1).unwrap();
        let (address, stop) = (datagrams.address(), Stop::new());
        let fragile = |datagram: &[u8], peer: Peer, answer: &mut Vec<u8>| match datagram {
            b"crash" => panic!("on purpose"),
            datagram => echo(datagram, peer, answer),
        };
        let serving =
            tokio::spawn(serve_datagrams(datagrams, DatagramMeters::default(), fragile, stop.clone()));
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(address).await.unwrap();
        let mut buffer = [0; 16];
        for _ in 0..3 {
            socket.send(b"crash").await.unwrap();
            // One that is received along with it may be lost, too.
            let length = loop {
                socket.send(b"well").await.unwrap();
                let said = tokio::time::timeout(Duration::from_millis(200), socket.recv(&mut buffer)).await;
                if let Ok(length) = said {
                    break length.unwrap();
                }
            };
            assert_eq!(buffer.get(..length), Some(&b"well"[..]));
        }
        stop.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn each_datagram_is_answered_to_whom_it_came_from() {
        let datagrams = Datagrams::bind("echo", &listen("127.0.0.1:0", false), 3).unwrap();
        let address = datagrams.address();
        let (meters, stop) = (DatagramMeters::default(), Stop::new());
        let serving = tokio::spawn(serve_datagrams(datagrams, meters.clone(), echo, stop.clone()));
        let mut clients = Vec::new();
        for i in 0..20 {
            let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            client.connect(address).await.unwrap();
            client.send(b"hush").await.unwrap();
            for said in [format!("{i} a"), format!("{i} b"), "later".to_owned(), String::new()] {
                client.send(said.as_bytes()).await.unwrap();
            }
            clients.push(client);
        }
        for (i, client) in clients.iter().enumerate() {
            let mut heard = Vec::new();
            for _ in 0..4 {
                let mut buffer = [0; 100];
                let length = client.recv(&mut buffer).await.unwrap();
                heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
            heard.sort();
            assert_eq!(heard, [String::new(), format!("{i} a"), format!("{i} b"), "now".to_owned()]);
        }
        assert_eq!((meters.received.get(), meters.answered.get()), (100, 60));
        stop.cancel();
        serving.await.unwrap();
    }

    #[tokio::test]
    async fn beyond_this_machine_only_on_request() {
        let refused = Datagrams::bind("echo", &listen("0.0.0.0:0", false), 1).unwrap_err();
        assert!(matches!(refused, ListenError::ExposedDatagrams { .. }), "{refused}");
        let open = Datagrams::bind("echo", &listen("0.0.0.0:0", true), 1).unwrap();
        assert!(open.listening("udp").insecure.is_some());
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_said() {
        let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let refused = Datagrams::bind("echo", &listen(&address, false), 2).unwrap_err();
        assert!(matches!(refused, ListenError::InUse { .. }), "{refused}");
    }
}
