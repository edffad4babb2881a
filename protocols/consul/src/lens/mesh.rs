//! What a service says of its part in a mesh. There is none here, and nothing is done about it: it is kept, and said back to
//! those who read it.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::refusal::Refusal;
use crate::wire::{self, ServiceBody};

const PROXY: &str = "connect-proxy";
const KINDS: &[&str] = &[PROXY, "mesh-gateway", "terminating-gateway", "ingress-gateway", "api-gateway"];

/// Kept as it was given, with keys in the form in which they are read.
#[derive(Clone, Debug, Default, Serialize, Deserialize, PartialEq)]
#[serde(default)]
pub(super) struct Mesh {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    proxy: Map<String, Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    native: bool,
}

impl Mesh {
    pub(super) fn of(body: &ServiceBody) -> Result<Mesh, Refusal> {
        let proxy = keys_as_read(body.proxy.as_ref().filter(|proxy| says_something(proxy)))?;
        let connect = keys_as_read(body.connect.as_ref().filter(|connect| says_something(connect)))?;
        if !body.peer_name.is_empty() {
            return Err(refused("PeerName"));
        }
        if !body.kind.is_empty() && !KINDS.contains(&body.kind.as_str()) {
            return Err(Refusal::bad(format!("Invalid Kind: {:?} is none that there is", body.kind)));
        }
        if let Some((key, _)) = connect.iter().find(|(key, value)| *key != "Native" && says_something(value))
        {
            return Err(refused(&format!("Connect.{key}")));
        }
        if body.kind == PROXY {
            complete(body, &proxy)?;
        }
        let native = connect.get("Native").and_then(Value::as_bool).unwrap_or_default();
        Ok(Mesh { kind: body.kind.clone(), proxy, native })
    }

    /// Whether a service of this name is reached through whoever says this.
    pub(super) fn leads_to(&self, own: &str, service: &str) -> bool {
        let destination = match self.kind.as_str() {
            PROXY => self.proxy.get("DestinationServiceName").and_then(Value::as_str),
            _ => self.native.then_some(own),
        };
        destination.is_some_and(|destination| destination.eq_ignore_ascii_case(service))
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Mesh::default()
    }

    /// As the catalogue shows it, of every service.
    pub(super) fn proxy(&self) -> wire::Proxy {
        let given = self.proxy.clone();
        wire::Proxy(match given.is_empty() {
            true => None,
            false => {
                let mut whole = given;
                for (key, value) in
                    [("Mode", Value::from("")), ("MeshGateway", nothing()), ("Expose", nothing())]
                {
                    whole.entry(key).or_insert(value);
                }
                Some(whole)
            }
        })
    }

    pub(super) fn connect(&self) -> wire::Connect {
        wire::Connect { native: self.native }
    }

    /// As the agent shows it, of those that said something.
    pub(super) fn own_proxy(&self) -> Option<wire::Proxy> {
        (!self.proxy.is_empty()).then(|| self.proxy())
    }

    pub(super) fn own_connect(&self) -> Option<wire::Connect> {
        self.native.then(|| self.connect())
    }
}

/// A proxy is one for something, and somewhere.
fn complete(body: &ServiceBody, proxy: &Map<String, Value>) -> Result<(), Refusal> {
    let is_somewhere = body.port != 0 || !body.ports.is_empty() || !body.socket_path.is_empty();
    let destination = proxy.get("DestinationServiceName").and_then(Value::as_str).unwrap_or_default();
    let missing = [
        (!is_somewhere).then_some("Port or SocketPath must be set for a connect-proxy"),
        destination
            .is_empty()
            .then_some("Proxy.DestinationServiceName must be non-empty for Connect proxy services"),
    ];
    let missing: Vec<&str> = missing.into_iter().flatten().collect();
    let errors = if missing.len() == 1 { "1 error" } else { "2 errors" };
    match missing.is_empty() {
        true => Ok(()),
        false => {
            let list = missing.join("\n\t* ");
            Err(Refusal::bad(format!("Validation failed: {errors} occurred:\n\t* {list}\n\n")))
        }
    }
}

fn nothing() -> Value {
    Value::Object(Map::new())
}

fn refused(what: &str) -> Refusal {
    Refusal::bad(format!("Invalid {what}: the service mesh is not part of this registry; leave it out"))
}

/// Clients write out fields that nobody has set.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Bool(true) => true,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => fields.values().any(says_something),
    }
}

/// Both spellings of a key are written, and one of them is read.
fn keys_as_read(value: Option<&Value>) -> Result<Map<String, Value>, Refusal> {
    let Some(value) = value else { return Ok(Map::new()) };
    let Value::Object(fields) = value else {
        return Err(Refusal::bad("Request decode failed: an object was expected for Proxy and Connect"));
    };
    let mut read = Map::new();
    for (key, value) in fields {
        let key = as_read(key);
        let value = match value {
            Value::Array(items) if key == "Upstreams" => {
                let items = items.iter().map(|item| keys_as_read(Some(item)).map(Value::Object));
                Value::Array(items.collect::<Result<_, _>>()?)
            }
            value => value.clone(),
        };
        read.insert(key, value);
    }
    Ok(read)
}

/// `destination_service_id` as `DestinationServiceID`.
fn as_read(key: &str) -> String {
    if key.starts_with(|first: char| first.is_ascii_uppercase()) {
        return key.to_owned();
    }
    let words = key.split('_').map(|word| match word {
        "id" => "ID".to_owned(),
        word => {
            let mut letters = word.chars();
            letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
        }
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::wire::AgentServiceBody;

    #[test]
    fn a_proxy_is_said_back_in_the_form_that_is_read() {
        let AgentServiceBody(body) = serde_json::from_value(json!({
            "Name": "web-proxy", "Kind": "connect-proxy", "Port": 80,
            "Proxy": {
                "destination_service_name": "web", "destination_service_id": "web-1",
                "Upstreams": [{"destination_name": "db", "Config": {"some_key": 1}}],
            },
        }))
        .unwrap();
        let proxy = serde_json::to_value(Mesh::of(&body).unwrap().proxy()).unwrap();
        let expected = json!({
            "DestinationServiceName": "web", "DestinationServiceID": "web-1",
            "Upstreams": [{"DestinationName": "db", "Config": {"some_key": 1}}],
            "Mode": "", "MeshGateway": {}, "Expose": {},
        });
        assert_eq!(proxy, expected);
    }

    #[test]
    fn what_would_have_to_be_done_is_refused() {
        let refused = |connect: Value| {
            let body = json!({"Name": "web", "Connect": connect});
            let AgentServiceBody(body) = serde_json::from_value(body).unwrap();
            Mesh::of(&body).is_err()
        };
        assert!(refused(json!({"SidecarService": {"Port": 80}})));
        assert!(!refused(json!({"Native": true, "SidecarService": null})));
    }
}
