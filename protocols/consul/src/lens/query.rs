use super::GoDuration;
use super::meta::check_meta;
use crate::wire::QueryBody;

/// Why a query cannot be kept, by itself and whatever else is kept. In Consul's words.
pub(crate) fn check_query(query: &QueryBody) -> Result<(), String> {
    let (service, failover) = (&query.service, &query.service.failover);
    if query.name.is_empty() && !query.is_template() && query.session.is_empty() {
        return Err("Must be bound to a session".into());
    }
    // Names are looked up by their beginnings, also by whoever asks over DNS.
    if query.name.len() > 255 {
        return Err("Bad Name: at most 255 bytes allowed".into());
    }
    if !query.is_template() && !query.template.regexp.is_empty() {
        return Err("Template.Regexp needs a Template.Type".into());
    }
    if service.service.is_empty() {
        return Err("Must provide a Service name to query".into());
    }
    if failover.nearest_n < 0 {
        return Err(format!("Bad NearestN '{}', must be >= 0", failover.nearest_n));
    }
    let targets = failover.targets.as_deref().unwrap_or_default();
    let has_datacenters = failover.datacenters.as_ref().is_some_and(|named| !named.is_empty());
    if (failover.nearest_n != 0 || has_datacenters) && !targets.is_empty() {
        return Err("Targets cannot be populated with NearestN or Datacenters".into());
    }
    let default_only = |text: &str| matches!(text, "" | "default");
    let places = [&service.namespace, &service.partition].into_iter();
    let places = places.chain(targets.iter().flat_map(|target| [&target.namespace, &target.partition]));
    if let Some(other) = places.into_iter().find(|place| !default_only(place)) {
        return Err(format!("there is no namespace or partition {other:?}"));
    }
    if !service.peer.is_empty() || targets.iter().any(|target| !target.peer.is_empty()) {
        return Err("Peer: this registry has no cluster peering".into());
    }
    if !service.sameness_group.is_empty() {
        return Err("SamenessGroup: this registry has no sameness groups".into());
    }
    for (what, meta) in [("Node", &service.node_meta), ("Service", &service.service_meta)] {
        let checked = meta.as_ref().map_or(Ok(()), |meta| check_meta(meta, None));
        checked.map_err(|why| format!("{what} metadata: {why}"))?;
    }
    check_ttl(&query.dns.ttl)
}

fn check_ttl(ttl: &str) -> Result<(), String> {
    let negative = ttl.strip_prefix('-').and_then(GoDuration::parse);
    match ttl {
        "" => Ok(()),
        _ if negative.is_some_and(|ttl| !ttl.0.is_zero()) => {
            let nanos = negative.map_or(0, |ttl| ttl.0.as_nanos());
            Err(format!("DNS TTL '-{nanos}', must be >=0"))
        }
        _ if negative.is_none() && GoDuration::parse(ttl).is_none() => {
            Err(format!("Bad DNS TTL '{ttl}': time: invalid duration {ttl:?}"))
        }
        _ => Ok(()),
    }
}
