//! Names of DNS: SRV, or A and AAAA.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, Record};
use hickory_resolver::{Resolver, TokioResolver};
use switchboard_discover::{Feed, FeedError, Instance, Publisher, Query, Shared, SharedOptions};
use switchboard_model::ServiceKey;
use thiserror::Error;

/// Services whose instances are names of DNS. It asks again when the answer's time to live is over: DNS cannot push.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{Dns, HttpClient};
///
/// let by_srv = Dns::srv_at("127.0.0.1:8600".parse()?, "{service}.service.consul.")?;
/// let by_address = Dns::hosts("{service}.example.com", 8080)?;
/// let http = HttpClient::new(by_srv.source());
/// # Ok(()) }
/// ```
pub struct Dns {
    resolver: TokioResolver,
    names: Names,
    name: String,
}

/// How the name of a service becomes one of DNS.
#[derive(Clone, Debug)]
enum Names {
    /// SRV records say where the instances are.
    Srv(String),
    /// Each address is an instance, on this port.
    Hosts(String, u16),
}

/// Why there is no such source.
///
/// ```
/// let error = switchboard::Dns::srv("_http._tcp.example.com").unwrap_err();
/// assert!(error.to_string().ends_with("write {service} there"), "{error}");
/// ```
#[derive(Clone, Debug, Error)]
#[error("{0}")]
pub struct DnsError(Arc<str>);

/// However short or long the time to live: not more often, not more seldom.
const SOONEST: Duration = Duration::from_secs(1);
const LATEST: Duration = Duration::from_secs(60);
/// A server that says nothing for so long is asked again, and then given up.
const ANSWER: Duration = Duration::from_secs(2);
/// The place of the service in a name.
const SERVICE: &str = "{service}";

impl Dns {
    /// SRV records of a name such as `_{service}._tcp.example.com`, asked of the servers that the system asks.
    ///
    /// Only the records of the best priority are used; their weights are the instances' weights.
    pub fn srv(name: &str) -> Result<Dns, DnsError> {
        Dns::new(None, Names::Srv(with_service(name)?))
    }

    /// SRV records, asked of one server.
    pub fn srv_at(server: SocketAddr, name: &str) -> Result<Dns, DnsError> {
        Dns::new(Some(server), Names::Srv(with_service(name)?))
    }

    /// All addresses of a name such as `{service}.example.com`, on one port, asked of the servers that the system asks.
    pub fn hosts(name: &str, port: u16) -> Result<Dns, DnsError> {
        Dns::new(None, Names::Hosts(with_service(name)?, port))
    }

    /// All addresses of a name, asked of one server.
    pub fn hosts_at(server: SocketAddr, name: &str, port: u16) -> Result<Dns, DnsError> {
        Dns::new(Some(server), Names::Hosts(with_service(name)?, port))
    }

    /// A source of it.
    pub fn source(self) -> Shared<Dns> {
        Shared::new(self)
    }

    /// The same with options, such as where to keep the last known good.
    pub fn source_with(self, options: SharedOptions) -> Shared<Dns> {
        Shared::with(self, options)
    }

    fn new(server: Option<SocketAddr>, names: Names) -> Result<Dns, DnsError> {
        let said = |error: NetError| DnsError(Arc::from(error.to_string()));
        let mut builder = match server {
            None => TokioResolver::builder_tokio().map_err(said)?,
            Some(server) => {
                let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
                connections.iter_mut().for_each(|connection| connection.port = server.port());
                let mut at = NameServerConfig::udp_and_tcp(server.ip());
                at.connections = connections;
                let config = ResolverConfig::from_name_servers(vec![at]);
                Resolver::builder_with_config(config, TokioRuntimeProvider::default())
            }
        };
        // It is asked anew when the time to live is over, and then must not answer from a cache.
        builder.options_mut().cache_size = 0;
        builder.options_mut().timeout = ANSWER;
        let resolver = builder.build().map_err(said)?;
        let pattern = match &names {
            Names::Srv(name) | Names::Hosts(name, _) => name,
        };
        let name = match server {
            Some(server) => format!("dns {pattern} at {server}"),
            None => format!("dns {pattern}"),
        };
        Ok(Dns { resolver, names, name })
    }

    /// The instances, and for how long they are good.
    async fn look_up(&self, service: &ServiceKey) -> Result<(Vec<Instance>, Duration), NetError> {
        let folded = service.service.folded();
        let lookup = match &self.names {
            Names::Srv(name) => self.resolver.srv_lookup(name.replace(SERVICE, &folded)).await,
            Names::Hosts(name, _) => {
                self.resolver.lookup_ip(name.replace(SERVICE, &folded)).await.map(Into::into)
            }
        };
        let lookup: hickory_resolver::lookup::Lookup = match lookup {
            Ok(lookup) => lookup,
            // The name, or such records of it, do not exist: that is an answer.
            Err(error) if error.is_no_records_found() => return Ok((Vec::new(), SOONEST * 5)),
            Err(error) => return Err(error),
        };
        let good_for = lookup.valid_until().saturating_duration_since(Instant::now());
        let (mut instances, skipped) = match &self.names {
            Names::Srv(_) => of_srv(service, lookup.answers()),
            Names::Hosts(_, port) => of_addresses(service, lookup.answers(), *port),
        };
        for why in skipped {
            tracing::warn!(target: "switchboard::dns", service = %service.service, why, "a record is not usable");
        }
        let given = lookup.additionals().iter().filter_map(address);
        let given: BTreeMap<String, IpAddr> = given.collect();
        for instance in &mut instances {
            // The server has looked up its own names; others are looked up by whoever connects.
            if let Some(ip) = given.get(&*instance.host) {
                instance.host = ip.to_string().into();
            }
        }
        Ok((instances, good_for))
    }
}

fn with_service(name: &str) -> Result<String, DnsError> {
    if name.contains(SERVICE) {
        return Ok(name.to_owned());
    }
    Err(DnsError(Arc::from(format!(
        "{name:?} does not say where the service's name goes; write {SERVICE} there"
    ))))
}

/// Records that make no sense are left out and said; the others are served (go-kit fails the whole set, #892).
fn of_srv(service: &ServiceKey, records: &[Record]) -> (Vec<Instance>, Vec<String>) {
    let srvs: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.data {
            RData::SRV(srv) => Some(srv),
            _ => None,
        })
        .collect();
    let best = srvs.iter().map(|srv| srv.priority).min().unwrap_or_default();
    let (mut instances, mut skipped) = (Vec::new(), Vec::new());
    for srv in srvs.into_iter().filter(|srv| srv.priority == best) {
        let host = plain(&srv.target.to_string());
        if srv.port == 0 || host.is_empty() {
            skipped.push(format!("target {host:?}, port {}", srv.port));
            continue;
        }
        match Instance::of(service, &format!("{host}:{}", srv.port), &host, srv.port) {
            // A weight of 0 means "rarely", not "never".
            Ok(instance) => instances.push(Instance { weight: u32::from(srv.weight).max(1), ..instance }),
            Err(rejection) => skipped.push(rejection.to_string()),
        }
    }
    (instances, skipped)
}

fn of_addresses(service: &ServiceKey, records: &[Record], port: u16) -> (Vec<Instance>, Vec<String>) {
    let ips = records.iter().filter_map(address).map(|(_, ip)| ip.to_string());
    let (mut instances, mut skipped) = (Vec::new(), Vec::new());
    for ip in ips {
        match Instance::of(service, &ip, &ip, port) {
            Ok(instance) => instances.push(instance),
            Err(rejection) => skipped.push(rejection.to_string()),
        }
    }
    (instances, skipped)
}

fn address(record: &Record) -> Option<(String, IpAddr)> {
    let ip = match &record.data {
        RData::A(a) => IpAddr::V4(a.0),
        RData::AAAA(aaaa) => IpAddr::V6(aaaa.0),
        _ => return None,
    };
    Some((plain(&record.name.to_string()), ip))
}

/// Without the dot at the end, in lower case.
fn plain(name: &str) -> String {
    name.trim_end_matches('.').to_ascii_lowercase()
}

#[async_trait]
impl Feed for Dns {
    fn name(&self) -> &str {
        &self.name
    }

    async fn follow(&self, query: &Query, publisher: &Publisher) -> FeedError {
        if !query.tags.is_empty() {
            return FeedError::new(format!("{}: DNS knows no tags", self.name));
        }
        loop {
            match self.look_up(&query.service).await {
                Ok((instances, good_for)) => {
                    publisher.publish(instances, 0);
                    tokio::time::sleep(good_for.clamp(SOONEST, LATEST)).await;
                }
                Err(error) => return FeedError::new(format!("{}: {error}", self.name)),
            }
        }
    }
}

impl std::fmt::Debug for Dns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Dns").field(&self.name).finish()
    }
}

#[cfg(test)]
mod tests {
    use hickory_resolver::proto::rr::Name;
    use hickory_resolver::proto::rr::rdata::SRV;

    use super::*;

    #[test]
    fn k8_a_record_with_port_0_is_left_out_and_the_others_are_served() {
        let srv = |priority, weight, port, target: &str| {
            let data = RData::SRV(SRV::new(priority, weight, port, Name::from_ascii(target).unwrap()));
            Record::from_rdata(Name::from_ascii("_users._tcp.example.com.").unwrap(), 5, data)
        };
        let records = [
            srv(1, 0, 80, "A.example.com."),
            srv(1, 7, 0, "b.example.com."),
            srv(1, 7, 80, "c.example.com."),
            srv(2, 7, 80, "backup.example.com."),
            srv(1, 7, 80, "."),
        ];
        let (instances, skipped) = of_srv(&Query::service("users").unwrap().service, &records);
        let shown: Vec<String> =
            instances.iter().map(|it| format!("{}*{}", it.authority().unwrap(), it.weight)).collect();
        assert_eq!(shown, ["a.example.com:80*1", "c.example.com:80*7"]);
        assert_eq!(skipped.len(), 2, "{skipped:?}");
    }

    #[test]
    fn a_name_must_say_where_the_service_goes() {
        assert!(Dns::srv_at("127.0.0.1:53".parse().unwrap(), "users.example.com").is_err());
    }
}
