//! Reading instances. Clients differ in what they quote and what they leave out, so that reading takes a number as
//! text, a boolean as text, null for anything, and whatever it does not know.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{ActionType, DataCenter, InstanceInfo, LeaseInfo, PortWord, Status, tree};

/// Why a body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) String);

type Read<T> = Result<T, Malformed>;

/// `{"instance": {...}}`, or the instance alone.
pub(crate) fn instance_from_json(bytes: &[u8]) -> Read<InstanceInfo> {
    let value = parse(bytes)?;
    let Value::Object(members) = &value else { return Err(malformed("the body is no object")) };
    match members.get("instance").or_else(|| members.get("com.netflix.appinfo.InstanceInfo")) {
        Some(inner) => instance(inner),
        None if members.contains_key("hostName") || members.contains_key("app") => instance(&value),
        None => Err(malformed("there is no `instance` in the body")),
    }
}

pub(crate) fn instance_from_xml(bytes: &[u8]) -> Read<InstanceInfo> {
    let (name, value) = tree::parse(bytes)?;
    match name.as_str() {
        "instance" | "com.netflix.appinfo.InstanceInfo" => instance(&value),
        _ => Err(malformed(format!("<{}> is no <instance>", shortened(&name)))),
    }
}

/// All instances of `{"applications": {...}}`, as a peer gives them.
pub(crate) fn applications_from_json(bytes: &[u8]) -> Read<Vec<InstanceInfo>> {
    let value = parse(bytes)?;
    let applications = value
        .get("applications")
        .and_then(|inner| inner.get("application"))
        .ok_or_else(|| malformed("there are no `applications` in the body"))?;
    let mut all = Vec::new();
    for application in several(applications) {
        for one in application.get("instance").map(several).unwrap_or_default() {
            all.push(instance(one)?);
        }
    }
    Ok(all)
}

/// Old servers write one element without its brackets.
pub(super) fn several(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

pub(super) fn parse(bytes: &[u8]) -> Read<Value> {
    serde_json::from_slice(bytes).map_err(|error| unreadable(&error))
}

pub(super) fn unreadable(error: &serde_json::Error) -> Malformed {
    malformed(format!("the body is not JSON: {error}"))
}

pub(super) fn malformed(why: impl Into<String>) -> Malformed {
    Malformed(why.into())
}

pub(super) fn instance(value: &Value) -> Read<InstanceInfo> {
    let Value::Object(members) = value else { return Err(malformed("`instance` is no object")) };
    let field = Field(members);
    Ok(InstanceInfo {
        instance_id: field.text("instanceId")?,
        host_name: field.text("hostName")?,
        app: field.text("app")?.map(|app| app.to_uppercase()),
        app_group: field.text("appGroupName")?.map(|group| group.to_uppercase()),
        ip_addr: field.text("ipAddr")?,
        sid: field.text("sid")?,
        port: port("port", members.get("port"), true)?,
        secure_port: port("securePort", members.get("securePort"), false)?,
        home_page_url: field.text("homePageUrl")?,
        status_page_url: field.text("statusPageUrl")?,
        health_check_url: field.text("healthCheckUrl")?,
        secure_health_check_url: field.text("secureHealthCheckUrl")?,
        vip: field.text("vipAddress")?,
        secure_vip: field.text("secureVipAddress")?,
        country: field.number("countryId")?,
        data_center: data_center(members.get("dataCenterInfo"))?,
        status: field.text("status")?.map(|word| Status::read(&word)),
        overridden: match field.text("overriddenStatus")? {
            Some(word) => Some(Status::read(&word)),
            None => field.text("overriddenstatus")?.map(|word| Status::read(&word)),
        },
        lease: lease(members.get("leaseInfo"))?,
        is_coordinating: field.boolean("isCoordinatingDiscoveryServer")?,
        metadata: pairs("metadata", members.get("metadata"))?,
        last_updated: field.number("lastUpdatedTimestamp")?,
        last_dirty: field.number("lastDirtyTimestamp")?,
        action: field.text("actionType")?.and_then(|word| ActionType::parse(&word)),
        asg: field.text("asgName")?,
    })
}

/// The members of an object, by name.
pub(super) struct Field<'a>(pub(super) &'a Map<String, Value>);

impl Field<'_> {
    pub(super) fn text(&self, name: &str) -> Read<Option<String>> {
        self.0.get(name).map_or(Ok(None), |value| text(name, value))
    }

    pub(super) fn number<T: std::str::FromStr>(&self, name: &str) -> Read<Option<T>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match text.trim() {
            "" => Ok(None),
            digits => match digits.parse() {
                Ok(number) => Ok(Some(number)),
                Err(_) => {
                    Err(malformed(format!("{name}: {:?} is not a number it can be", shortened(digits))))
                }
            },
        }
    }

    pub(super) fn boolean(&self, name: &str) -> Read<Option<bool>> {
        let Some(text) = self.text(name)? else { return Ok(None) };
        match text.trim() {
            "" => Ok(None),
            word if word.eq_ignore_ascii_case("true") => Ok(Some(true)),
            word if word.eq_ignore_ascii_case("false") => Ok(Some(false)),
            word => Err(malformed(format!("{name}: {:?} is neither true nor false", shortened(word)))),
        }
    }
}

fn text(name: &str, value: &Value) -> Read<Option<String>> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::Bool(word) => Ok(Some(word.to_string())),
        Value::Array(_) | Value::Object(_) => Err(malformed(format!("{name}: must be text"))),
    }
}

/// The value, unless it is empty: an element without content is a member that was not said.
fn object<'a>(name: &str, value: Option<&'a Value>) -> Read<Option<&'a Map<String, Value>>> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => Ok(None),
        Some(Value::Object(members)) => Ok(Some(members)),
        Some(_) => Err(malformed(format!("{name}: must be an object"))),
    }
}

fn port(name: &str, value: Option<&Value>, enabled: bool) -> Read<Option<PortWord>> {
    let mut alone = Map::new();
    let members = match value {
        Some(plain @ (Value::Number(_) | Value::String(_))) => {
            alone.insert("$".into(), plain.clone());
            Some(&alone)
        }
        other => object(name, other)?,
    };
    let Some(members) = members else { return Ok(None) };
    let field = Field(members);
    let said = field.boolean("@enabled")?;
    let Some(number) = field.number("$").map_err(|why| malformed(format!("{name}: {}", why.0)))? else {
        return Ok(None);
    };
    Ok(Some(PortWord { number, enabled: said.unwrap_or(enabled) }))
}

fn data_center(value: Option<&Value>) -> Read<Option<DataCenter>> {
    let Some(members) = object("dataCenterInfo", value)? else { return Ok(None) };
    let field = Field(members);
    Ok(Some(DataCenter {
        class: match field.text("@class")? {
            Some(class) => Some(class),
            None => field.text("class")?,
        },
        name: field.text("name")?,
        metadata: pairs("dataCenterInfo.metadata", members.get("metadata"))?,
    }))
}

fn lease(value: Option<&Value>) -> Read<Option<LeaseInfo>> {
    let Some(members) = object("leaseInfo", value)? else { return Ok(None) };
    let field = Field(members);
    let renewed = match field.number("lastRenewalTimestamp")? {
        Some(at) => Some(at),
        None => field.number("renewalTimestamp")?,
    };
    Ok(Some(LeaseInfo {
        renewal_secs: field.number("renewalIntervalInSecs")?.unwrap_or(0),
        duration_secs: field.number("durationInSecs")?.unwrap_or(0),
        registered: field.number("registrationTimestamp")?.unwrap_or(0),
        renewed: renewed.unwrap_or(0),
        evicted: field.number("evictionTimestamp")?.unwrap_or(0),
        up_since: field.number("serviceUpTimestamp")?.unwrap_or(0),
    }))
}

/// A map of texts. The class that Java writes into its maps is no pair, and neither is what is null.
fn pairs(name: &str, value: Option<&Value>) -> Read<BTreeMap<String, String>> {
    let Some(members) = object(name, value)? else { return Ok(BTreeMap::new()) };
    let mut pairs = BTreeMap::new();
    for (key, value) in members {
        if matches!(key.as_str(), "@class" | "class") {
            continue;
        }
        if let Some(value) = text(&format!("{name}.{}", shortened(key)), value)? {
            pairs.insert(key.clone(), value);
        }
    }
    Ok(pairs)
}

/// What somebody sent, short enough for a message.
pub(super) fn shortened(text: &str) -> String {
    text.chars().take(60).collect()
}
