//! Instances as XML. Never an element that is empty where a number is expected: some clients read them all.

use std::collections::BTreeMap;
use std::fmt::Write;

use quick_xml::escape::escape;

use super::name_coder::escape_name;
use super::{Form, InstanceInfo, PortWord, Status};

pub(crate) fn element(out: &mut String, name: &str, text: &str) {
    // Every name is one of ours, or was made one that is allowed.
    let _ = write!(out, "<{name}>{}</{name}>", escape(text));
}

fn said(out: &mut String, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        element(out, name, text);
    }
}

fn plain(out: &mut String, name: &str, value: impl std::fmt::Display) {
    let _ = write!(out, "<{name}>{value}</{name}>");
}

fn port(out: &mut String, name: &str, port: PortWord) {
    let _ = write!(out, "<{name} enabled=\"{}\">{}</{name}>", port.enabled, port.number);
}

pub(crate) fn instance(out: &mut String, info: &InstanceInfo, form: Form) {
    let status = info.status.unwrap_or(Status::Unknown);
    let status = if form.narrow { status.narrowed() } else { status };
    out.push_str("<instance>");
    said(out, "instanceId", info.instance_id.as_deref());
    said(out, "hostName", info.host_name.as_deref());
    said(out, "app", info.app.as_deref());
    said(out, "ipAddr", info.ip_addr.as_deref());
    plain(out, "status", status.as_str());
    if !form.compact {
        plain(out, "overriddenstatus", info.overridden.unwrap_or(Status::Unknown).as_str());
        said(out, "sid", info.sid.as_deref().filter(|sid| !matches!(*sid, "na" | "unknown")));
    }
    port(out, "port", info.port.unwrap_or_default());
    port(out, "securePort", info.secure_port.unwrap_or_default());
    if !form.compact {
        plain(out, "countryId", info.country.unwrap_or(1));
    }
    if let Some(data_center) = &info.data_center {
        let _ = write!(out, "<dataCenterInfo class=\"{}\">", escape(data_center.class()));
        said(out, "name", data_center.name.as_deref());
        if data_center.shows_metadata() {
            out.push_str("<metadata>");
            map(out, &data_center.metadata);
            out.push_str("</metadata>");
        }
        out.push_str("</dataCenterInfo>");
    }
    if let Some(lease) = info.lease.filter(|_| !form.compact) {
        out.push_str("<leaseInfo>");
        plain(out, "renewalIntervalInSecs", lease.renewal_secs);
        plain(out, "durationInSecs", lease.duration_secs);
        plain(out, "registrationTimestamp", lease.registered);
        plain(out, "lastRenewalTimestamp", lease.renewed);
        plain(out, "evictionTimestamp", lease.evicted);
        plain(out, "serviceUpTimestamp", lease.up_since);
        out.push_str("</leaseInfo>");
    }
    if !form.compact {
        if info.metadata.is_empty() {
            out.push_str("<metadata class=\"java.util.Collections$EmptyMap\"/>");
        } else {
            out.push_str("<metadata>");
            map(out, &info.metadata);
            out.push_str("</metadata>");
        }
        said(out, "appGroupName", info.app_group.as_deref());
        said(out, "homePageUrl", info.home_page_url.as_deref());
        said(out, "statusPageUrl", info.status_page_url.as_deref());
        said(out, "healthCheckUrl", info.health_check_url.as_deref());
        said(out, "secureHealthCheckUrl", info.secure_health_check_url.as_deref());
    }
    said(out, "vipAddress", info.vip.as_deref());
    said(out, "secureVipAddress", info.secure_vip.as_deref());
    if !form.compact {
        // Prometheus reads a boolean and refuses the whole list where there is none.
        plain(out, "isCoordinatingDiscoveryServer", info.is_coordinating.unwrap_or(false));
    }
    if let Some(at) = info.last_updated {
        plain(out, "lastUpdatedTimestamp", at);
    }
    if let Some(at) = info.last_dirty.filter(|_| !form.compact) {
        plain(out, "lastDirtyTimestamp", at);
    }
    if let Some(action) = info.action {
        plain(out, "actionType", action.as_str());
    }
    said(out, "asgName", info.asg.as_deref());
    out.push_str("</instance>");
}

fn map(out: &mut String, pairs: &BTreeMap<String, String>) {
    for (key, value) in pairs {
        element(out, &escape_name(key), value);
    }
}

/// Any tree of texts and numbers as elements.
pub(crate) fn tree(out: &mut String, name: &str, value: &serde_json::Value) {
    match value {
        serde_json::Value::Object(members) => {
            let name = escape_name(name);
            let _ = write!(out, "<{name}>");
            members.iter().for_each(|(key, value)| tree(out, key, value));
            let _ = write!(out, "</{name}>");
        }
        serde_json::Value::String(text) => element(out, &escape_name(name), text),
        other => element(out, &escape_name(name), &other.to_string()),
    }
}
