//! The schemes of the registries that this crate knows.

#[cfg(feature = "dns")]
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

#[cfg(feature = "dns")]
use switchboard_discover::Query;
use switchboard_discover::{SharedOptions, Source};

use super::{Resolver, Target, TargetError};
use crate::consul::Consul;
use crate::eureka::Eureka;
use crate::native::Native;

pub(super) fn all() -> Vec<Arc<dyn Resolver>> {
    vec![
        Arc::new(BuiltIn { scheme: "switchboard", parameters: &[], source: switchboard }),
        Arc::new(BuiltIn { scheme: "consul", parameters: &[], source: consul }),
        #[cfg(feature = "etcd")]
        Arc::new(BuiltIn { scheme: "etcd", parameters: &["prefix", "values"], source: etcd }),
        Arc::new(BuiltIn { scheme: "eureka", parameters: &[], source: eureka }),
        #[cfg(feature = "dns")]
        Arc::new(Dns),
    ]
}

type Make = fn(&Target, SharedOptions) -> Result<Arc<dyn Source>, TargetError>;

/// A scheme whose targets are a registry and the name of a service.
struct BuiltIn {
    scheme: &'static str,
    parameters: &'static [&'static str],
    source: Make,
}

impl Resolver for BuiltIn {
    fn scheme(&self) -> &str {
        self.scheme
    }

    fn parameters(&self) -> &[&str] {
        self.parameters
    }

    fn source(&self, target: &Target, options: &SharedOptions) -> Result<Arc<dyn Source>, TargetError> {
        (self.source)(target, options.clone())
    }
}

fn switchboard(target: &Target, options: SharedOptions) -> Result<Arc<dyn Source>, TargetError> {
    let registry = Native::at(at_the_root(target)?.registry_or("127.0.0.1:7700"));
    Ok(Arc::new(registry.map_err(|error| target.wrong(error))?.source_with(options)))
}

fn consul(target: &Target, options: SharedOptions) -> Result<Arc<dyn Source>, TargetError> {
    let registry = Consul::at(at_the_root(target)?.registry_or("127.0.0.1:8500"));
    Ok(Arc::new(registry.map_err(|error| target.wrong(error))?.source_with(options)))
}

fn eureka(target: &Target, options: SharedOptions) -> Result<Arc<dyn Source>, TargetError> {
    let registry = Eureka::at(at_the_root(target)?.registry_or("127.0.0.1:8761"));
    Ok(Arc::new(registry.map_err(|error| target.wrong(error))?.source_with(options)))
}

/// A registry that has no folders.
fn at_the_root(target: &Target) -> Result<&Target, TargetError> {
    match target.folder() {
        "" => Ok(target),
        folder => Err(target.wrong(format!(
            "{folder:?} leads nowhere: a service of {} is named by one part of the path",
            target.scheme()
        ))),
    }
}

#[cfg(feature = "etcd")]
fn etcd(target: &Target, options: SharedOptions) -> Result<Arc<dyn Source>, TargetError> {
    use crate::etcd::{Etcd, EtcdForm};

    let registry = Etcd::at(target.registry_or("127.0.0.1:2379")).map_err(|error| target.wrong(error))?;
    let registry = match (target.folder(), target.parameter("prefix")) {
        ("", None) => registry,
        ("", Some(prefix)) => registry.prefix(prefix),
        (folder, None) => registry.prefix(folder),
        (_, Some(_)) => return Err(target.wrong("says in the path and in prefix where its keys are")),
    };
    // What is named by a path alone is named as etcd's own gRPC naming does, and has its values.
    let usual = if target.folder().is_empty() { EtcdForm::Json } else { EtcdForm::GrpcEndpoint };
    let form = match target.parameter("values") {
        None => usual,
        Some("json") => EtcdForm::Json,
        Some("address") => EtcdForm::Address,
        Some("grpc-endpoint") => EtcdForm::GrpcEndpoint,
        Some(other) => {
            return Err(
                target.wrong(format!("values is one of json, address and grpc-endpoint, not {other:?}"))
            );
        }
    };
    Ok(Arc::new(registry.form(form).source_with(options)))
}

/// A name, with a port where addresses are meant and without where SRV records are.
#[cfg(feature = "dns")]
struct Dns;

#[cfg(feature = "dns")]
impl Resolver for Dns {
    fn scheme(&self) -> &str {
        "dns"
    }

    fn query(&self, target: &Target) -> Result<Query, TargetError> {
        let name = target.service();
        target.query(name.rsplit_once(':').map_or(name, |(name, _)| name))
    }

    fn source(&self, target: &Target, options: &SharedOptions) -> Result<Arc<dyn Source>, TargetError> {
        use crate::dns::Dns;

        const NAME: &str = "{service}";
        let server = dns_server(at_the_root(target)?)?;
        let dns = match (target.service().rsplit_once(':'), server) {
            (Some((_, port)), server) => {
                let port =
                    port.parse().map_err(|_| target.wrong("what stands behind the name is no port"))?;
                match server {
                    Some(server) => Dns::hosts_at(server, NAME, port),
                    None => Dns::hosts(NAME, port),
                }
            }
            (None, Some(server)) => Dns::srv_at(server, NAME),
            (None, None) => Dns::srv(NAME),
        };
        Ok(Arc::new(dns.map_err(|error| target.wrong(error))?.source_with(options.clone())))
    }
}

#[cfg(feature = "dns")]
fn dns_server(target: &Target) -> Result<Option<SocketAddr>, TargetError> {
    let written = target.registry();
    if written.is_empty() {
        return Ok(None);
    }
    let bare = written.trim_start_matches('[').trim_end_matches(']');
    let of_address = || Some(SocketAddr::new(bare.parse::<IpAddr>().ok()?, 53));
    let server: Option<SocketAddr> = written.parse().ok().or_else(of_address);
    server.map(Some).ok_or_else(|| target.wrong("the DNS server is not an IP address"))
}
