use std::net::SocketAddr;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::Outcome;
use crate::aim::Aimed;
use crate::verdict::Answer;

/// Connects and hangs up.
pub(super) async fn probe(
    addresses: &[SocketAddr],
    aimed: &Aimed,
    deadline: Instant,
) -> Result<Outcome, String> {
    connect(addresses, deadline).await?;
    Ok(Outcome::new(Answer::Pass, format!("TCP connect {}: Success", aimed.authority())))
}

/// Tries one address after the other; each gets its share of the time that is left, so that one which swallows
/// packets does not speak for the rest.
pub(super) async fn connect(addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, String> {
    let mut why = "no address".to_owned();
    for (tried, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let share = now + deadline.saturating_duration_since(now) / left;
        match timeout_at(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A probe is one small request: it must not wait for more to come.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(error)) => why = format!("dial tcp {address}: connect: {}", error.kind()),
            Err(_) => why = format!("dial tcp {address}: i/o timeout"),
        }
    }
    Err(why)
}
