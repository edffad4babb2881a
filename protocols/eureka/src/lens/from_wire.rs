use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use switchboard_model::{
    Annex, Id, Instance, InstanceKey, Lifecycle, Metadata, Name, Port, Rejection, Tags, text_limit,
};

use super::ORIGIN;
use super::words::Born;
use crate::refusal::Refusal;
use crate::wire::{DataCenter, InstanceInfo, PortWord, Status};

const RENEWAL_SECS: i64 = 30;
const DURATION_SECS: i64 = 90;

/// All that Java clients know.
const DATA_CENTERS: [&str; 3] = ["Netflix", "Amazon", "MyOwn"];

/// A registration in the model's words. What depends on the instance that is there already is decided by the plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Given {
    /// Without lease, lifecycle and annex.
    pub(crate) instance: Instance,
    pub(crate) born: Born,
    pub(crate) status: Status,
    pub(crate) over: Option<Status>,
    pub(crate) ttl: Duration,
}

pub(crate) fn instance_from_wire(namespace: &Name, app: &str, info: InstanceInfo) -> Result<Given, Refusal> {
    let missing = |what: &str| Refusal::bad(format!("Missing {what}"));
    let said = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
    let id = said(&info.instance_id)
        .or_else(|| info.data_center.as_ref().and_then(|place| place.metadata.get("instance-id").cloned()))
        .or_else(|| said(&info.host_name))
        .ok_or_else(|| missing("instanceId"))?;
    let host = said(&info.host_name).ok_or_else(|| missing("hostname"))?;
    let ip = said(&info.ip_addr).ok_or_else(|| missing("ip address"))?;
    let own_app = said(&info.app).ok_or_else(|| missing("appName"))?;
    if own_app.to_uppercase() != app.to_uppercase() {
        let expected = app.to_uppercase();
        return Err(Refusal::bad(format!("Mismatched appName, expecting {expected} but was {own_app}")));
    }
    let data_center = info.data_center.clone().ok_or_else(|| missing("dataCenterInfo"))?;
    match said(&data_center.name) {
        None => return Err(missing("dataCenterInfo Name")),
        Some(name) if DATA_CENTERS.contains(&name.as_str()) => {}
        Some(_) => return Err(spoils_the_list("dataCenterInfo.name", &format!("one of {DATA_CENTERS:?}"))),
    }
    let lease = info.lease.unwrap_or_default();
    if i64::try_from(info.last_dirty.unwrap_or(0)).is_err() {
        return Err(spoils_the_list("lastDirtyTimestamp", &format!("at most {}", i64::MAX)));
    }
    for (field, secs) in
        [("renewalIntervalInSecs", lease.renewal_secs), ("durationInSecs", lease.duration_secs)]
    {
        if secs > i64::from(i32::MAX) {
            return Err(spoils_the_list(&format!("leaseInfo.{field}"), &format!("at most {}", i32::MAX)));
        }
    }
    let address = if ip.parse::<IpAddr>().is_ok() { &ip } else { &host };
    let metadata = Metadata::new(info.metadata.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())))?;
    let amazon_zone = data_center.metadata.get("availability-zone").map(String::as_str);
    let zone = zone(&metadata).or(amazon_zone).filter(|zone| !zone.is_empty()).map(Arc::from);
    let weight = weight(&metadata).unwrap_or(1);
    let port = info.port.unwrap_or(PortWord { number: 7001, enabled: true });
    let secure_port = info.secure_port.unwrap_or(PortWord { number: 7002, enabled: false });
    let or_default = |secs: i64, default| if secs > 0 { secs } else { default };
    let duration_secs = or_default(lease.duration_secs, DURATION_SECS);
    let born = Born {
        host: (host != *address).then(|| host.clone()),
        ip: (ip != *address).then(|| ip.clone()),
        group: info.app_group.clone(),
        sid: info.sid.clone().filter(|sid| !matches!(sid.as_str(), "na" | "unknown")),
        port,
        secure_port,
        home: info.home_page_url.clone(),
        status_page: info.status_page_url.clone(),
        health_check: info.health_check_url.clone(),
        secure_health_check: info.secure_health_check_url.clone(),
        vip: info.vip.clone(),
        secure_vip: info.secure_vip.clone(),
        country: info.country.filter(|country| *country != 1),
        data_center: without_defaults(data_center),
        is_coordinating: info.is_coordinating.unwrap_or(false),
        asg: info.asg.clone(),
        renewal_secs: or_default(lease.renewal_secs, RENEWAL_SECS),
        duration_secs,
        dirty: info.last_dirty,
        ..Born::default()
    };
    check_words(&born)?;
    let instance = Instance {
        key: Arc::new(InstanceKey {
            namespace: namespace.clone(),
            service: Name::parse("app", service_name(app, &info))?,
            node: None,
            id: Id::parse("instanceId", &id)?,
        }),
        address: address.as_str().into(),
        ports: ports(port, secure_port),
        tags: Tags::default(),
        metadata,
        weight,
        warning_weight: None,
        zone,
        lifecycle: Lifecycle::Up,
        lease: None,
        origin: ORIGIN.into(),
        annex: Annex::default(),
    };
    instance.validate()?;
    Ok(Given {
        instance,
        born,
        status: info.status.unwrap_or(Status::Up),
        over: info.overridden.filter(|status| *status != Status::Unknown),
        ttl: Duration::from_secs(u64::try_from(duration_secs).unwrap_or_default()),
    })
}

/// A Java client that cannot read one instance reads none of the list.
fn spoils_the_list(field: &str, rule: &str) -> Refusal {
    Refusal::bad(format!(
        "{field}: must be {rule}; Java clients could not read the list of instances any more"
    ))
}

/// Where clients that balance by zone look for it.
pub(crate) fn zone(metadata: &Metadata) -> Option<&str> {
    metadata.get("zone").filter(|zone| !zone.is_empty())
}

/// Where clients that balance by weight look for it.
pub(crate) fn weight(metadata: &Metadata) -> Option<u32> {
    metadata.get("weight")?.trim().parse().ok().filter(|weight| *weight <= Instance::MAX_WEIGHT)
}

/// Applications are shouted; the VIP address usually has the name as people write it.
fn service_name<'a>(app: &'a str, info: &'a InstanceInfo) -> &'a str {
    match info.vip.as_deref() {
        Some(vip) if vip.eq_ignore_ascii_case(app) => vip,
        _ => app,
    }
}

fn without_defaults(data_center: DataCenter) -> Option<DataCenter> {
    let DataCenter { class, name, metadata } = data_center;
    let bare = DataCenter { class: None, name, metadata };
    let class = class.filter(|class| class != bare.class());
    let data_center = DataCenter { class, ..bare };
    (data_center != DataCenter::my_own()).then_some(data_center)
}

fn ports(port: PortWord, secure: PortWord) -> Box<[Port]> {
    let usable = |word: PortWord, name: &str| {
        let number = u16::try_from(word.number).ok().filter(|number| word.enabled && *number > 0)?;
        Some(Port { name: name.into(), number })
    };
    usable(port, "").into_iter().chain(usable(secure, "https")).collect()
}

/// What is kept only to be said back has to be as printable as everything else.
fn check_words(born: &Born) -> Result<(), Rejection> {
    let words = [
        ("hostName", &born.host),
        ("ipAddr", &born.ip),
        ("appGroupName", &born.group),
        ("sid", &born.sid),
        ("homePageUrl", &born.home),
        ("statusPageUrl", &born.status_page),
        ("healthCheckUrl", &born.health_check),
        ("secureHealthCheckUrl", &born.secure_health_check),
        ("vipAddress", &born.vip),
        ("secureVipAddress", &born.secure_vip),
        ("asgName", &born.asg),
    ];
    for (field, word) in words {
        text_limit(field, word.as_deref().unwrap_or_default(), 4096)?;
    }
    let Some(place) = &born.data_center else { return Ok(()) };
    for word in place.class.iter().chain(&place.name) {
        text_limit("dataCenterInfo", word, 255)?;
    }
    for (key, value) in &place.metadata {
        text_limit("dataCenterInfo.metadata", key, 255)?;
        text_limit("dataCenterInfo.metadata", value, 4096)?;
    }
    Ok(())
}
