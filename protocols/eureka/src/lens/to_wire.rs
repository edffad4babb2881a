use switchboard_model::{Health, Instance, Lifecycle};
use switchboard_registry::InstanceView;

use super::identity::id_to_wire;
use super::words::{Born, Gist, STATUS_CHECK, Words};
use crate::wire::{DataCenter, InstanceInfo, LeaseInfo, PortWord, Status};

/// Changes of an instance that no Eureka client registered have no clock of their own; counted from here, the revision
/// grows as a clock would, is the same on every node and after every restart, and is older than any client's.
const BEFORE_ANY_CLIENT: u64 = 1_000_000_000_000;

pub(crate) fn app_to_wire(service: &str) -> String {
    service.to_uppercase()
}

pub(crate) fn instance_to_wire(view: &InstanceView) -> InstanceInfo {
    let words = Words::of(&view.instance);
    let mut info = match &words.born {
        Some(born) => registered(view, born),
        None => foreign(view),
    };
    info.instance_id = Some(id_to_wire(view.key()));
    info.app = Some(app_to_wire(view.key().service.as_str()));
    info.status = Some(status_of(view, words.unknown));
    info.overridden = Some(words.over.unwrap_or(Status::Unknown));
    info
}

/// One that a Eureka client registered, in its own words.
fn registered(view: &InstanceView, born: &Born) -> InstanceInfo {
    let instance = &view.instance;
    let address = || instance.address.to_string();
    InstanceInfo {
        host_name: Some(born.host.clone().unwrap_or_else(address)),
        ip_addr: Some(born.ip.clone().unwrap_or_else(address)),
        app_group: born.group.clone(),
        sid: born.sid.clone(),
        port: Some(born.port),
        secure_port: Some(born.secure_port),
        home_page_url: born.home.clone(),
        status_page_url: born.status_page.clone(),
        health_check_url: born.health_check.clone(),
        secure_health_check_url: born.secure_health_check.clone(),
        vip: born.vip.clone(),
        secure_vip: born.secure_vip.clone(),
        country: born.country,
        data_center: Some(born.data_center.clone().unwrap_or_else(DataCenter::my_own)),
        lease: Some(LeaseInfo {
            renewal_secs: born.renewal_secs,
            duration_secs: born.duration_secs,
            registered: born.registered,
            renewed: born.updated,
            evicted: 0,
            up_since: born.up_since,
        }),
        is_coordinating: Some(born.is_coordinating),
        metadata: metadata(instance),
        last_updated: Some(born.updated),
        last_dirty: born.dirty,
        asg: born.asg.clone(),
        ..InstanceInfo::default()
    }
}

/// One that came through another protocol, as a Spring application would have put it.
fn foreign(view: &InstanceView) -> InstanceInfo {
    let instance = &view.instance;
    let service = instance.key.service.to_string();
    let main = instance.ports.first();
    // Clients prefer the secure port wherever it is enabled: only if the instance speaks TLS on its main port.
    let is_secure = main.is_some_and(|port| &*port.name == "https");
    let number = main.map_or(0, |port| i32::from(port.number));
    let (port, secure_port) = match main {
        None => ((0, false), (443, false)),
        Some(_) if is_secure => ((number, false), (number, true)),
        Some(_) => ((number, true), (443, false)),
    };
    let word = |(number, enabled)| Some(PortWord { number, enabled });
    let mut metadata = metadata(instance);
    if let Some(zone) = &instance.zone {
        metadata.entry("zone".into()).or_insert_with(|| zone.to_string());
    }
    if instance.weight != 1 {
        metadata.entry("weight".into()).or_insert_with(|| instance.weight.to_string());
    }
    let at = BEFORE_ANY_CLIENT.saturating_add(view.revision.0);
    InstanceInfo {
        host_name: Some(instance.address.to_string()),
        ip_addr: Some(instance.address.to_string()),
        port: word(port),
        secure_port: word(secure_port),
        home_page_url: main.map(|port| {
            let scheme = if is_secure { "https" } else { "http" };
            let host = match instance.address.contains(':') {
                true => format!("[{}]", instance.address),
                false => instance.address.to_string(),
            };
            format!("{scheme}://{host}:{}/", port.number)
        }),
        vip: Some(service.clone()),
        secure_vip: Some(service),
        data_center: Some(DataCenter::my_own()),
        lease: Some(LeaseInfo {
            // What peers go by, whom this server renews it at.
            renewal_secs: 30,
            duration_secs: 90,
            registered: BEFORE_ANY_CLIENT.saturating_add(instance.created.0),
            renewed: at,
            evicted: 0,
            up_since: at,
        }),
        is_coordinating: Some(false),
        metadata,
        last_updated: Some(at),
        last_dirty: Some(at),
        ..InstanceInfo::default()
    }
}

fn metadata(instance: &Instance) -> std::collections::BTreeMap<String, String> {
    instance.metadata.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

pub(crate) fn status_to_wire(view: &InstanceView) -> Status {
    match view.health {
        // The only one for which there are two words.
        Health::Critical => status_of(view, Gist::of(&view.instance).unknown),
        _ => status_of(view, false),
    }
}

fn status_of(view: &InstanceView, unknown: bool) -> Status {
    match view.health {
        Health::Passing | Health::Warning | Health::Suspect => Status::Up,
        Health::Starting => Status::Starting,
        Health::Draining | Health::OutOfService => Status::OutOfService,
        Health::Critical if unknown && says_it_is_down(view) => Status::Unknown,
        Health::Critical | Health::Lapsed => Status::Down,
    }
}

/// The status that the provider, or whoever overrode it, wants: whatever checks and leases found out.
pub(crate) fn said_status(view: &InstanceView, unknown: bool) -> Status {
    match view.instance.lifecycle {
        _ if says_it_is_down(view) => {
            if unknown {
                Status::Unknown
            } else {
                Status::Down
            }
        }
        Lifecycle::Starting => Status::Starting,
        Lifecycle::Draining | Lifecycle::OutOfService => Status::OutOfService,
        Lifecycle::Up => Status::Up,
    }
}

fn says_it_is_down(view: &InstanceView) -> bool {
    view.checks.iter().any(|check| check.key.id.as_str() == STATUS_CHECK)
}

pub(crate) fn overridden_to_wire(view: &InstanceView) -> Option<Status> {
    Gist::of(&view.instance).over
}
