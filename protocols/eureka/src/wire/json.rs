//! Instances as JSON: numbers that are numbers, numbers that are text, and booleans that are text, each where clients
//! expect them.

use std::fmt::Write;

use super::{Form, InstanceInfo, PortWord, Status};

pub(crate) fn text(out: &mut String, text: &str) {
    // Text always has a JSON form.
    out.push_str(&serde_json::to_string(text).unwrap_or_default());
}

/// The members of one object.
struct Members<'a> {
    out: &'a mut String,
    first: bool,
}

impl Members<'_> {
    fn name(&mut self, name: &str) {
        if !std::mem::replace(&mut self.first, false) {
            self.out.push(',');
        }
        // Every name is one of ours.
        let _ = write!(self.out, "\"{name}\":");
    }

    fn said(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.name(name);
            text(self.out, value);
        }
    }

    fn number(&mut self, name: &str, value: impl std::fmt::Display) {
        self.name(name);
        let _ = write!(self.out, "{value}");
    }

    fn quoted(&mut self, name: &str, value: Option<impl std::fmt::Display>) {
        if let Some(value) = value {
            self.name(name);
            let _ = write!(self.out, "\"{value}\"");
        }
    }

    fn port(&mut self, name: &str, port: PortWord) {
        self.name(name);
        let _ = write!(self.out, "{{\"$\":{},\"@enabled\":\"{}\"}}", port.number, port.enabled);
    }
}

pub(crate) fn instance(out: &mut String, info: &InstanceInfo, form: Form) {
    let status = |status: Option<Status>| {
        let status = status.unwrap_or(Status::Unknown);
        if form.narrow { status.narrowed() } else { status }.as_str()
    };
    out.push('{');
    let mut members = Members { out, first: true };
    members.said("instanceId", info.instance_id.as_deref());
    members.said("hostName", info.host_name.as_deref());
    members.said("app", info.app.as_deref());
    members.said("ipAddr", info.ip_addr.as_deref());
    members.said("status", Some(status(info.status)));
    if !form.compact {
        // Half of the clients read the one, the other half the other.
        let overridden = info.overridden.unwrap_or(Status::Unknown).as_str();
        members.said("overriddenStatus", Some(overridden));
        members.said("overriddenstatus", Some(overridden));
        let sid = info.sid.as_deref().filter(|sid| !matches!(*sid, "na" | "unknown"));
        members.said("sid", sid);
    }
    members.port("port", info.port.unwrap_or_default());
    members.port("securePort", info.secure_port.unwrap_or_default());
    if !form.compact {
        members.number("countryId", info.country.unwrap_or(1));
    }
    if let Some(data_center) = &info.data_center {
        members.name("dataCenterInfo");
        members.out.push('{');
        let mut inner = Members { out: members.out, first: true };
        inner.said("@class", Some(data_center.class()));
        inner.said("name", data_center.name.as_deref());
        if data_center.shows_metadata() {
            inner.name("metadata");
            map(inner.out, &data_center.metadata);
        }
        members.out.push('}');
    }
    if let Some(lease) = info.lease.filter(|_| !form.compact) {
        members.name("leaseInfo");
        members.out.push('{');
        let mut inner = Members { out: members.out, first: true };
        inner.number("renewalIntervalInSecs", lease.renewal_secs);
        inner.number("durationInSecs", lease.duration_secs);
        inner.number("registrationTimestamp", lease.registered);
        inner.number("lastRenewalTimestamp", lease.renewed);
        inner.number("evictionTimestamp", lease.evicted);
        inner.number("serviceUpTimestamp", lease.up_since);
        members.out.push('}');
    }
    if !form.compact {
        members.name("metadata");
        match info.metadata.is_empty() {
            true => members.out.push_str("{\"@class\":\"java.util.Collections$EmptyMap\"}"),
            false => map(members.out, &info.metadata),
        }
        members.said("appGroupName", info.app_group.as_deref());
        members.said("homePageUrl", info.home_page_url.as_deref());
        members.said("statusPageUrl", info.status_page_url.as_deref());
        members.said("healthCheckUrl", info.health_check_url.as_deref());
        members.said("secureHealthCheckUrl", info.secure_health_check_url.as_deref());
    }
    members.said("vipAddress", info.vip.as_deref());
    members.said("secureVipAddress", info.secure_vip.as_deref());
    if !form.compact {
        members.quoted("isCoordinatingDiscoveryServer", info.is_coordinating);
    }
    members.quoted("lastUpdatedTimestamp", info.last_updated);
    if !form.compact {
        members.quoted("lastDirtyTimestamp", info.last_dirty);
    }
    members.quoted("actionType", info.action.map(|action| action.as_str()));
    members.said("asgName", info.asg.as_deref());
    out.push('}');
}

fn map(out: &mut String, pairs: &std::collections::BTreeMap<String, String>) {
    out.push('{');
    for (i, (key, value)) in pairs.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        text(out, key);
        out.push(':');
        text(out, value);
    }
    out.push('}');
}
