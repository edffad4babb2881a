use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use switchboard_model::Port;
use tokio::net::TcpStream;

use crate::config;

/// Makes connections, and knows where none may go.
#[derive(Debug)]
pub(crate) struct Dialer {
    pub(crate) config: config::Upstream,
    connect: Option<Duration>,
    deny: Box<[IpNet]>,
    /// Where we listen ourselves.
    own: Box<[SocketAddr]>,
}

impl Dialer {
    pub(crate) fn new(config: &config::Config, own: Vec<SocketAddr>) -> Dialer {
        Dialer {
            config: config.upstream,
            connect: crate::route::limit(config.timeouts.connect),
            deny: config.deny.clone().into(),
            own: own.into(),
        }
    }

    /// Why no request may go there.
    pub(crate) fn vet(&self, ip: IpAddr, port: u16) -> Result<SocketAddr, String> {
        let ip = ip.to_canonical();
        if let Some(what) = switchboard_health::forbidden(ip) {
            return Err(format!("no request goes to {ip}: it is {what}"));
        }
        if self.deny.iter().any(|net| net.contains(&ip)) {
            return Err(format!("no request goes to {ip}: it is in `gateway.deny`"));
        }
        let is_own = |own: &SocketAddr| {
            own.port() == port
                && (own.ip().to_canonical() == ip || (own.ip().is_unspecified() && is_local(ip)))
        };
        if self.own.iter().any(is_own) {
            return Err(format!("no request goes to {ip}:{port}: it is the gateway itself"));
        }
        Ok(SocketAddr::new(ip, port))
    }

    /// The same for an instance, as far as its address says without asking anyone.
    pub(crate) fn vet_all(&self, host: &str, ports: &[Port]) -> Result<(), String> {
        match host.parse::<IpAddr>() {
            Ok(ip) => ports.iter().try_for_each(|port| self.vet(ip, port.number).map(drop)),
            Err(_) => Ok(()),
        }
    }

    /// A connection within the time for it, or why there is none. Nothing was sent.
    pub(crate) async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        let connecting = self.connect_to(host, port);
        match self.connect {
            None => connecting.await,
            Some(limit) => match tokio::time::timeout(limit, connecting).await {
                Ok(connected) => connected,
                Err(_) => Err(format!("no connection within {} s", limit.as_secs_f64())),
            },
        }
    }

    async fn connect_to(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return open(self.vet(ip, port)?).await;
        }
        let found = tokio::net::lookup_host((host, port)).await;
        let found = found.map_err(|error| format!("{host:?} has no address: {error}"))?;
        let mut why = format!("{host:?} has no address");
        for address in found {
            let opened = match self.vet(address.ip(), port) {
                Ok(address) => open(address).await,
                Err(why) => Err(why),
            };
            match opened {
                Ok(stream) => return Ok(stream),
                Err(error) => why = error,
            }
        }
        Err(why)
    }
}

async fn open(address: SocketAddr) -> Result<TcpStream, String> {
    let stream = TcpStream::connect(address).await.map_err(|error| format!("{address}: {error}"))?;
    // Small requests must not wait for more to come.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

/// Whether an address is one of this machine's.
fn is_local(ip: IpAddr) -> bool {
    ip.is_loopback() || std::net::UdpSocket::bind((ip, 0)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_goes_where_it_must_not() {
        let config = config::Config { deny: vec!["10.66.0.0/16".parse().unwrap()], ..Default::default() };
        let own = ["127.0.0.1:8080", "0.0.0.0:9090"].map(|own| own.parse().unwrap());
        let dialer = Dialer::new(&config, own.into());
        let because = |ip: &str, port: u16| dialer.vet(ip.parse().unwrap(), port).err().unwrap_or_default();
        assert!(because("169.254.169.254", 80).contains("link-local"));
        assert!(because("::ffff:169.254.169.254", 80).contains("link-local"));
        assert!(because("10.66.1.1", 80).contains("gateway.deny"));
        assert!(because("127.0.0.1", 8080).contains("itself"));
        assert!(because("::ffff:127.0.0.1", 8080).contains("itself"));
        assert!(because("127.0.0.1", 9090).contains("itself"));
        assert!(because("0.0.0.0", 8080).contains("unspecified"));
        assert_eq!(because("127.0.0.1", 8081), "");
        assert_eq!(because("10.0.0.1", 9090), "");
    }
}
