use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::{Outcome, USER_AGENT};
use crate::aim::Aimed;
use crate::verdict::Answer;

/// Sends one datagram. A reply is life; so is silence until the deadline, because most UDP services do not answer what
/// they do not understand. Only a refusal (ICMP port unreachable) is a failure.
pub(super) async fn probe(
    addresses: &[SocketAddr],
    aimed: &Aimed,
    deadline: Instant,
) -> Result<Outcome, String> {
    let lives = || Outcome::new(Answer::Pass, format!("UDP connect {}: Success", aimed.authority()));
    let mut why = "no address".to_owned();
    for address in addresses {
        match timeout_at(deadline, exchange(*address)).await {
            Ok(Ok(())) | Err(_) => return Ok(lives()),
            Ok(Err(error)) => why = format!("udp {address}: {}", error.kind()),
        }
    }
    Err(why)
}

async fn exchange(address: SocketAddr) -> io::Result<()> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await?;
    // Only a connected socket is told about refusals, and only it ignores strangers.
    socket.connect(address).await?;
    socket.send(USER_AGENT.as_bytes()).await?;
    // The rest of a longer datagram is dropped by the system.
    socket.recv(&mut [0; 16]).await.map(drop)
}
