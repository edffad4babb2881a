//! The listeners and what they ask: decode, ask the registry, encode.

mod meters;
mod recursors;
mod resolve;
mod reverse;
mod tcp;
mod udp;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use async_trait::async_trait;
use switchboard_facade::{
    Context, DatagramMeters, Datagrams, Facade, Listen, ListenError, Listener, Listening, Needs, host_name,
    serve_datagrams,
};

use crate::answer::Own;
use crate::config::Config;
use crate::names::{Consul, Native, Scheme, Zone};
use crate::wire::DomainName;
use meters::Meters;
use resolve::State;

/// Binds the listeners.
pub(crate) fn open(config: Config) -> anyhow::Result<Box<dyn Facade>> {
    config.check()?;
    let zones = zones(&config)?;
    let (datagrams, listener) = bind(&config)?;
    Ok(Box::new(Dns { config, zones, datagrams, listener }))
}

struct Dns {
    config: Config,
    zones: Vec<Zone>,
    datagrams: Datagrams,
    listener: Listener,
}

#[async_trait]
impl Facade for Dns {
    fn name(&self) -> &'static str {
        "dns"
    }

    fn needs(&self) -> Needs {
        // Every answer is of one moment, and nothing is promised about the next.
        Needs::default()
    }

    fn listening(&self) -> Vec<Listening> {
        vec![self.datagrams.listening("dns/udp"), self.listener.listening("dns/tcp")]
    }

    async fn serve(self: Box<Self>, context: Context) -> anyhow::Result<()> {
        let Dns { config, zones, datagrams, listener } = *self;
        let own = own(&config, datagrams.address());
        let (meters, datagram_meters) = (Meters::default(), DatagramMeters::default());
        meters.register(&context.metrics);
        datagram_meters.register("dns", &context.metrics);
        let stop = context.stop.clone();
        let state = Arc::new(State::new(config, zones, own, context, meters));
        let over_udp = serve_datagrams(datagrams, datagram_meters, udp::handler(state.clone()), stop.clone());
        tokio::join!(over_udp, tcp::serve(listener, state, stop));
        Ok(())
    }
}

/// The domains that are answered for, each with its way of naming things.
fn zones(config: &Config) -> anyhow::Result<Vec<Zone>> {
    let consul = || Box::new(Consul { datacenter: config.datacenter.clone() });
    let wanted: [(&str, Option<&str>, Box<dyn Scheme>); 3] = [
        ("domain", Some(&config.domain), consul()),
        ("alt_domain", config.alt_domain.as_deref(), consul()),
        ("native_domain", Some(&config.native_domain), Box::new(Native)),
    ];
    let mut zones: Vec<Zone> = Vec::new();
    for ((key, domain, scheme), index) in wanted.into_iter().zip(0..) {
        let Some(text) = domain else { continue };
        let domain = DomainName::parse(text).filter(|domain| !domain.labels().is_empty());
        let domain = domain.with_context(|| format!("dns.{key}: {text:?} is not the name of a domain"))?;
        let taken = zones.iter().any(|zone| zone.domain.is(&domain));
        ensure!(!taken, "dns.{key}: {text:?} is another of the domains already");
        zones.push(Zone { domain, scheme, index });
    }
    let datacenter = DomainName::parse(&config.datacenter);
    let one_label = datacenter.is_some_and(|name| name.labels().len() == 1);
    ensure!(one_label, "dns.datacenter: {:?} is not one label of a name", config.datacenter);
    // Of two domains that a name is in, the smaller one knows better.
    zones.sort_by_key(|zone| std::cmp::Reverse(zone.domain.labels().len()));
    Ok(zones)
}

/// Both on the same port, whichever it is.
fn bind(config: &Config) -> Result<(Datagrams, Listener), ListenError> {
    const TRIES: usize = 16;
    let sockets = match config.sockets {
        0 => std::thread::available_parallelism().map_or(1, usize::from).min(16),
        some => some,
    };
    let listen = config.listen();
    let mut tries = 0;
    loop {
        tries += 1;
        let datagrams = Datagrams::bind("dns", &listen, sockets)?;
        let on_the_same = Listen { address: datagrams.address(), ..listen.clone() };
        match Listener::bind("dns", &on_the_same) {
            Ok(listener) => return Ok((datagrams, listener)),
            // Any port will do, and this one is taken over TCP.
            Err(ListenError::InUse { .. }) if listen.address.port() == 0 && tries < TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

fn own(config: &Config, listening: SocketAddr) -> Own {
    let known = Some(listening.ip()).filter(|address| !address.is_unspecified());
    Own { node_name: config.node_name.clone().unwrap_or_else(host_name), address: config.address.or(known) }
}

/// A client that does not read or write in time.
fn late() -> io::Error {
    io::ErrorKind::TimedOut.into()
}
