use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use super::number::{Seconds, schema, some, some_whole};

/// A check as it is registered. Which fields mean something depends on `type`; one that does not is refused.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CheckBody {
    #[serde(default, deserialize_with = "some")]
    pub(crate) id: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) name: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) notes: Option<String>,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    #[serde(default, deserialize_with = "some")]
    pub(crate) host: Option<String>,
    #[serde(default, deserialize_with = "some_whole")]
    pub(crate) port: Option<u16>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) path: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) method: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) headers: Option<BTreeMap<String, String>>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) body: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) expect: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) tls: Option<bool>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) tls_name: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) tls_skip_verify: Option<bool>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) grpc_service: Option<String>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) ttl: Option<Seconds>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) interval: Option<Seconds>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) timeout: Option<Seconds>,
    #[serde(default, deserialize_with = "some_whole")]
    pub(crate) unhealthy_threshold: Option<u32>,
    #[serde(default, deserialize_with = "some_whole")]
    pub(crate) healthy_threshold: Option<u32>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) initial: Option<Status>,
    #[serde(default, deserialize_with = "some")]
    pub(crate) deregister_after: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CheckType)]
pub(crate) enum Kind {
    Http,
    Tcp,
    Udp,
    Grpc,
    Ttl,
    #[default]
    Manual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = CheckStatus)]
pub(crate) enum Status {
    Passing,
    Warning,
    Critical,
}

/// The schema says per type what the flat body allows, so that a generated client can only send what is accepted.
impl PartialSchema for CheckBody {
    fn schema() -> RefOr<Schema> {
        let text = |max: u32| json!({ "type": "string", "maxLength": max, "pattern": "^[ -~]*$" });
        let name = json!({ "type": "string", "minLength": 1, "maxLength": 60, "pattern": "^[!-~]+$" });
        let duration = serde_json::to_value(Seconds::schema()).unwrap_or_default();
        let interval = json!({
            "description": "How long from one probe to the next: seconds, or text such as \"5s\".",
            "oneOf": [
                { "type": "number", "minimum": 0.1, "maximum": 86_400 },
                { "type": "string", "pattern": "^[1-9][0-9]{0,2}s$" }
            ]
        });
        let threshold = json!({ "type": "integer", "minimum": 1, "maximum": 1000 });
        let variant = |kind: &str, required: &[&str], own: Value| {
            let mut properties = json!({
                "type": { "type": "string", "enum": [kind] },
                "id": name, "name": text(120), "notes": text(250),
                "initial": { "type": "string", "enum": ["passing", "warning", "critical"] },
                "deregister_after": duration
            });
            let probe = json!({
                "host": { "type": "string", "pattern": "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?(\\.[a-z]{2,8})?$" },
                "port": { "type": "integer", "minimum": 1, "maximum": 65_535 },
                "interval": interval, "timeout": interval,
                "unhealthy_threshold": threshold, "healthy_threshold": threshold
            });
            let active = !matches!(kind, "ttl" | "manual");
            for extra in [Some(&own), active.then_some(&probe)].into_iter().flatten() {
                if let (Some(all), Some(extra)) = (properties.as_object_mut(), extra.as_object()) {
                    all.extend(extra.clone());
                }
            }
            let required: Vec<&str> = ["type"].iter().chain(required).copied().collect();
            json!({
                "title": format!("{kind} check"), "type": "object",
                "required": required, "properties": properties, "additionalProperties": false
            })
        };
        let header = json!({
            "type": "object", "maxProperties": 16,
            "propertyNames": { "pattern": "^X-[A-Za-z0-9-]{1,30}$" },
            "additionalProperties": { "type": "string", "maxLength": 200, "pattern": "^[ -~]*$" }
        });
        schema(json!({
            "description": "Which fields there are depends on `type`. Of an active probe, `host` and `port` default to \
                those of the instance.",
            "oneOf": [
                variant("http", &[], json!({
                    "path": { "type": "string", "pattern": "^/[A-Za-z0-9/_.~-]{0,200}$", "default": "/" },
                    "method": { "type": "string", "enum": ["GET", "HEAD", "POST", "PUT", "OPTIONS"], "default": "GET" },
                    "headers": header, "body": text(1000),
                    "expect": { "type": "string", "pattern": "^[1-5][0-9]{2}$", "description":
                        "Status codes that pass: ranges, separated by commas, such as `200-299,304`" },
                    "tls": { "type": "boolean" }, "tls_name": name, "tls_skip_verify": { "type": "boolean" }
                })),
                variant("tcp", &[], json!({})),
                variant("udp", &[], json!({})),
                variant("grpc", &[], json!({
                    "grpc_service": text(200), "tls": { "type": "boolean" }, "tls_name": name
                })),
                variant("ttl", &["ttl"], json!({ "ttl": duration })),
                variant("manual", &[], json!({}))
            ]
        }))
    }
}

impl ToSchema for CheckBody {
    fn name() -> std::borrow::Cow<'static, str> {
        "CheckBody".into()
    }
}

/// A verdict on a check.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StatusBody {
    pub(crate) status: Status,
    /// For people.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false, max_length = 4096)]
    pub(crate) output: Option<String>,
    /// The check it is about; without it, one called `status` that is made for the purpose.
    #[serde(default, deserialize_with = "some")]
    #[schema(nullable = false, min_length = 1, max_length = 60, pattern = "^[!-~]+$")]
    pub(crate) check: Option<String>,
}

/// A check with its newest answer.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Check {
    pub(crate) id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) notes: String,
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    /// What the probe asks: an address, a URL, a gRPC service.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ttl: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) interval: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) timeout: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) unhealthy_threshold: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) healthy_threshold: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deregister_after: Option<Seconds>,
    pub(crate) status: Status,
    /// Critical by its own evidence, but kept in service because too many failed at once.
    pub(crate) suspect: bool,
    pub(crate) output: String,
    /// When the status changed last; RFC 3339.
    pub(crate) since: String,
    /// When the check was heard of last; RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) checked: Option<String>,
    pub(crate) revision: u64,
}
