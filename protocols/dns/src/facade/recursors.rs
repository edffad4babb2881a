//! Servers that are asked about names of other domains.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

use crate::answer::Transport;
use crate::config::Config;
use crate::wire::relay;

#[derive(Debug)]
pub(super) struct Recursors {
    servers: Vec<SocketAddr>,
    timeout: Duration,
}

impl Recursors {
    pub(super) fn new(config: &Config) -> Recursors {
        Recursors { servers: config.recursors.clone(), timeout: config.recursor_timeout.0 }
    }

    pub(super) fn are_there(&self) -> bool {
        !self.servers.is_empty()
    }

    /// What the first of them says that knows; None: none of them does. Over UDP it is told that no more than `most` bytes can be
    /// taken, whatever the client says it could.
    pub(super) async fn ask(&self, query: &[u8], transport: Transport, most: u16) -> Option<Vec<u8>> {
        let mut query = query.to_vec();
        relay::with_most(most, &mut query);
        let query = &query;
        for server in &self.servers {
            let asked = async {
                match transport {
                    Transport::Udp => over_udp(*server, query).await,
                    Transport::Tcp => over_tcp(*server, query).await,
                }
            };
            match tokio::time::timeout(self.timeout, asked).await {
                Ok(Ok(answer)) if relay::settles(&answer) => return Some(answer),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::debug!(%server, %error, "a recursor cannot be asked"),
                Err(_) => tracing::debug!(%server, "a recursor does not answer"),
            }
        }
        None
    }
}

/// Longer than any datagram: nothing of one is lost unseen, also of one that is longer than what its sender was told to send.
const LONGEST: usize = u16::MAX as usize;

async fn over_udp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    // A socket for each query, so that its port is hard to guess, and so is the id.
    let socket = UdpSocket::bind(any).await?;
    socket.connect(server).await?;
    let id = unguessable();
    let mut asked = query.to_vec();
    relay::with_id(id, &mut asked);
    socket.send(&asked).await?;
    let mut buffer = vec![0; LONGEST];
    loop {
        let length = socket.recv(&mut buffer).await?;
        let said = buffer.get_mut(..length).unwrap_or_default();
        if relay::answers(said, id, &asked) {
            return Ok(given_back(said, query));
        }
    }
}

async fn over_tcp(server: SocketAddr, query: &[u8]) -> io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(server).await?;
    let id = unguessable();
    let mut asked = query.to_vec();
    relay::with_id(id, &mut asked);
    let length = u16::try_from(asked.len()).map_err(io::Error::other)?;
    stream.write_all(&[length.to_be_bytes().as_slice(), &asked].concat()).await?;
    let length = stream.read_u16().await?;
    let mut said = vec![0; usize::from(length)];
    stream.read_exact(&mut said).await?;
    match relay::answers(&said, id, &asked) {
        true => Ok(given_back(&mut said, query)),
        false => Err(io::Error::other("it answers something else")),
    }
}

/// Under the id that the client asked with.
fn given_back(said: &mut [u8], query: &[u8]) -> Vec<u8> {
    let id = query.first_chunk().copied().map(u16::from_be_bytes).unwrap_or_default();
    relay::with_id(id, said);
    said.to_vec()
}

/// Each state is keyed by the system's randomness.
fn unguessable() -> u16 {
    let [low, high, ..] = RandomState::new().hash_one(0).to_le_bytes();
    u16::from_le_bytes([low, high])
}
