//! The exact rules of what is sent, where the derived description cannot say them.
//!
//! What the description allows must be accepted and what it forbids must be refused: a schema tester holds us to that.
//! Parameters are described by name, so that the same word means the same everywhere.

use serde_json::{Value, json};
use switchboard_model::Tags;
use utoipa::openapi::OpenApi;

/// Names and ids: what `switchboard_model::Name` takes.
const PRINTABLE: &str = "^[^\\u0000-\\u001f\\u007f-\\u009f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]*$";

/// Durations are `"5s"` or a number of seconds. More spellings are taken than are promised here.
const LONG: &str = "^[1-9][0-9]{0,4}(s|m|h)$";
const SHORT: &str = "^([1-9][0-9]{2,3}ms|[1-9][0-9]{0,3}s|[1-9][0-9]{0,2}m)$";

/// The description as JSON.
pub(crate) fn exact(derived: &OpenApi) -> String {
    let mut description = serde_json::to_value(derived).unwrap_or_default();
    parameters(&mut description);
    bodies(&mut description);
    serde_json::to_string_pretty(&description).unwrap_or_default()
}

fn parameters(description: &mut Value) {
    let operations = description.pointer_mut("/paths").and_then(Value::as_object_mut);
    for operation in operations.into_iter().flat_map(|paths| paths.values_mut()) {
        for operation in operation.as_object_mut().into_iter().flat_map(|methods| methods.values_mut()) {
            let lease_pages = operation["operationId"] == "list_leases";
            let node_pages = operation["operationId"] == "list_nodes";
            let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
            for parameter in parameters.into_iter().flatten() {
                let name = parameter["name"].as_str().unwrap_or_default();
                let exact = match name {
                    "after" if lease_pages => lease(),
                    "after" if node_pages => text(1, 255),
                    name => match parameter_by_name(name, parameter["in"] == "path") {
                        Some(exact) => exact,
                        None => continue,
                    },
                };
                parameter["schema"] = exact;
            }
        }
    }
}

fn parameter_by_name(name: &str, in_path: bool) -> Option<Value> {
    let number = |least: u64, most: u64| json!({ "type": "integer", "minimum": least, "maximum": most });
    Some(match (name, in_path) {
        // A path segment of dots alone means another path to most clients.
        ("service" | "node" | "id" | "check", true) => {
            json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": PRINTABLE, "not": { "pattern": "^\\.+$" } })
        }
        ("key", true) => {
            json!({ "type": "string", "minLength": 1, "maxLength": 1000, "not": { "pattern": "^\\.+$" } })
        }
        ("lease", _) => lease(),
        ("namespace" | "service" | "node", _) => text(1, 255),
        ("limit", _) => number(1, 10_000),
        ("at_least" | "since" | "if_revision" | "flags", _) => number(0, (1 << 53) - 1),
        ("wait", _) => json!({ "type": "string", "pattern": "^[0-9]{1,3}s$" }),
        ("Last-Event-ID", _) => json!({ "type": "string", "pattern": "^[0-9]{1,15}$" }),
        ("after" | "prefix" | "zone" | "If-None-Match", false) => json!({ "type": "string" }),
        _ => return None,
    })
}

fn bodies(description: &mut Value) {
    let Some(schemas) = description.pointer_mut("/components/schemas").and_then(Value::as_object_mut) else {
        return;
    };
    schemas.insert("CheckBody".into(), check(Place::Registration));
    schemas.insert("CheckDefinition".into(), check(Place::Path));
    schemas.insert("NodeCheckDefinition".into(), check(Place::NodePath));
    schemas.insert("Duration".into(), duration());
    if let Some(register) = schemas.get_mut("RegisterBody") {
        refine(
            register,
            &[
                ("service", text(1, 255)),
                ("host", host()),
                ("port", port()),
                (
                    "ports",
                    json!({ "type": "array", "maxItems": 1, "items": { "$ref": "#/components/schemas/Port" } }),
                ),
                ("id", text(1, 255)),
                ("node", text(1, 255)),
                ("namespace", text(1, 255)),
                ("tags", json!({ "type": "array", "maxItems": Tags::MAX, "items": text(0, 255) })),
                ("metadata", metadata()),
                ("weight", weight()),
                ("warning_weight", weight()),
                ("zone", text(0, 255)),
                ("ttl", duration()),
                ("linger", duration()),
                ("lease", lease()),
                (
                    "checks",
                    json!({ "type": "array", "maxItems": 1, "items": { "$ref": "#/components/schemas/CheckBody" } }),
                ),
            ],
        );
        register["allOf"] = json!([
            { "not": { "required": ["ttl", "lease"] } },
            { "not": { "required": ["check", "checks"] } },
            { "anyOf": [{ "required": ["ttl"] }, { "not": { "required": ["linger"] } }] }
        ]);
    }
    if let Some(port_body) = schemas.get_mut("Port") {
        refine(port_body, &[("name", text(0, 63)), ("port", port())]);
    }
    if let Some(node) = schemas.get_mut("NodeBody") {
        refine(node, &[("host", host()), ("metadata", metadata())]);
    }
    if let Some(status) = schemas.get_mut("StatusBody") {
        refine(status, &[("check", text(1, 255))]);
    }
    if let Some(grant) = schemas.get_mut("LeaseBody") {
        refine(grant, &[("ttl", duration()), ("id", lease()), ("linger", duration())]);
        grant["allOf"] = json!([{ "anyOf": [
            { "not": { "required": ["linger"] } },
            { "not": { "required": ["on_expiry"], "properties": { "on_expiry": { "const": "delete" } } } }
        ] }]);
    }
    for (path, definition) in [
        ("/paths/~1v1~1instances~1{id}~1checks~1{check}", "CheckDefinition"),
        ("/paths/~1v1~1nodes~1{node}~1checks~1{check}", "NodeCheckDefinition"),
    ] {
        let body = format!("{path}/put/requestBody/content/application~1json/schema");
        if let Some(schema) = description.pointer_mut(&body) {
            *schema = json!({ "$ref": format!("#/components/schemas/{definition}") });
        }
    }
}

/// Puts exact schemas in the place of derived ones; what was written about the field stays.
fn refine(body: &mut Value, fields: &[(&str, Value)]) {
    for (name, exact) in fields {
        let Some(field) = body.get_mut("properties").and_then(|fields| fields.get_mut(*name)) else {
            continue;
        };
        let about = field.get("description").cloned();
        *field = exact.clone();
        if let Some(about) = about {
            field["description"] = about;
        }
    }
}

fn text(least: u32, most: u32) -> Value {
    json!({ "type": "string", "minLength": least, "maxLength": most, "pattern": PRINTABLE })
}

fn lease() -> Value {
    json!({ "type": "string", "pattern": "^[1-9a-f][0-9a-f]{0,15}$" })
}

fn weight() -> Value {
    json!({ "type": "integer", "minimum": 0, "maximum": 65_535 })
}

fn port() -> Value {
    json!({ "type": "integer", "minimum": 1, "maximum": 65_535 })
}

fn host() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 255, "anyOf": [
        { "pattern": "^[A-Za-z0-9._-]+$" },
        { "format": "ipv6" }
    ] })
}

fn metadata() -> Value {
    json!({
        "type": "object", "maxProperties": 128,
        "propertyNames": { "minLength": 1, "maxLength": 128, "pattern": PRINTABLE },
        "additionalProperties": text(0, 4096)
    })
}

/// The bounds of a lease's TTL.
fn duration() -> Value {
    json!({
        "description": "A number of seconds, or text such as \"30s\", \"5m\" or \"2h\".",
        "anyOf": [
            { "type": "number", "minimum": 1, "maximum": u32::MAX },
            { "type": "string", "pattern": LONG }
        ]
    })
}

/// Where a check is defined. In a path its id is given already; on a node there is nothing to deregister.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    Registration,
    Path,
    NodePath,
}

/// One alternative for each type, with the fields that mean something to it.
fn check(place: Place) -> Value {
    let interval = json!({
        "description": "A number of seconds, or text such as \"5s\" or \"250ms\".",
        "anyOf": [
            { "type": "number", "minimum": 0.1, "maximum": 86_400 },
            { "type": "string", "pattern": SHORT }
        ]
    });
    let threshold = json!({ "type": "integer", "minimum": 1, "maximum": 1000 });
    let tls = json!({
        "description": "`true`, or the name that the server's certificate must have.",
        "anyOf": [{ "const": true }, text(0, 255)]
    });
    let http = json!({
        "path": { "type": "string", "pattern": "^/[A-Za-z0-9/_.~-]{0,200}$" },
        "method": { "type": "string", "enum": ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] },
        "headers": {
            "type": "object", "maxProperties": 16,
            "propertyNames": { "pattern": "^[Xx]-[A-Za-z0-9-]{1,60}$" },
            "additionalProperties": { "type": "string", "maxLength": 1000, "pattern": "^[ -~]*$" }
        },
        "body": { "type": "string", "maxLength": 4096 },
        "expect": {
            "description": "Status codes that pass: ranges, separated by commas, such as `200-299,304`.",
            "type": "string", "pattern": "^[1-5][0-9]{2}(,[1-5][0-9]{2}){0,5}$"
        },
        "tls": tls, "tls_skip_verify": { "type": "boolean" }
    });
    let alternative = |kind: &str, required: Option<&str>, own: Value| {
        let mut fields = json!({
            "type": { "const": kind },
            "name": text(0, 255), "notes": text(0, 4096),
            "initial": { "type": "string", "enum": ["passing", "warning", "critical"] }
        });
        let mut add = |more: &Value| {
            if let (Some(fields), Some(more)) = (fields.as_object_mut(), more.as_object()) {
                fields.extend(more.clone());
            }
        };
        add(&own);
        if place == Place::Registration {
            add(&json!({ "id": text(1, 255) }));
        }
        if place != Place::NodePath {
            add(&json!({ "deregister_after": duration() }));
        }
        if !matches!(kind, "ttl" | "manual") {
            add(&json!({
                "host": host(),
                "port": port(), "interval": interval, "timeout": interval,
                "unhealthy_threshold": threshold, "healthy_threshold": threshold
            }));
        }
        let required: Vec<&str> = std::iter::once("type").chain(required).collect();
        // Whether a certificate is verified means something only where there is one.
        let verified =
            json!([{ "anyOf": [{ "required": ["tls"] }, { "not": { "required": ["tls_skip_verify"] } }] }]);
        json!({
            "title": format!("{kind} check"), "type": "object",
            "required": required, "properties": fields, "additionalProperties": false,
            "allOf": if kind == "http" { verified } else { json!([{}]) }
        })
    };
    json!({
        "description": "Which fields there are depends on `type`. `host` and `port` are those of the instance unless \
            given.",
        "anyOf": [
            alternative("http", None, http),
            alternative("tcp", None, json!({})),
            alternative("udp", None, json!({})),
            alternative("grpc", None, json!({ "grpc_service": text(0, 255), "tls": tls })),
            alternative("ttl", Some("ttl"), json!({ "ttl": duration() })),
            alternative("manual", None, json!({}))
        ]
    })
}
