use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::http::Client;
use crate::process::Server;
use crate::{Found, Speaker, Wanted, Writer};

/// Keys under the prefix where they are instances, through the JSON gateway.
pub(crate) struct Etcd;

#[track_caller]
fn ask(server: &Server, operation: &str, body: &Value) -> Value {
    let path = format!("/v3/kv/{operation}");
    let answer = Client::new(server.address_of("etcd")).ask("POST", &path, body.to_string().as_bytes());
    answer.unwrap().expect(200).json()
}

/// All keys of the service.
fn range(service: &str) -> Value {
    let prefix = format!("/services/{service}/");
    // The first that does not begin so: `0` follows `/`.
    let end = format!("/services/{service}0");
    json!({"key": STANDARD.encode(prefix), "range_end": STANDARD.encode(end)})
}

fn pairs(server: &Server, service: &str) -> Vec<Value> {
    let answer = ask(server, "range", &range(service));
    answer["kvs"].as_array().cloned().unwrap_or_default()
}

fn value(pair: &Value) -> String {
    String::from_utf8(STANDARD.decode(pair["value"].as_str().unwrap()).unwrap()).unwrap()
}

/// As clients of etcd read it: an address, or JSON with one.
fn place(pair: &Value) -> (String, u16) {
    let value = value(pair);
    if let Ok(object) = serde_json::from_str::<Value>(&value) {
        return (object["host"].as_str().unwrap().to_owned(), object["port"].as_u64().unwrap() as u16);
    }
    let (host, port) = value.rsplit_once(':').unwrap();
    (host.to_owned(), port.parse().unwrap())
}

impl Speaker for Etcd {
    fn protocol(&self) -> &'static str {
        "etcd"
    }

    fn served(&self, server: &Server, service: &str) -> Found {
        pairs(server, service).iter().map(place).collect()
    }

    fn revision(&self, server: &Server, service: &str) -> Option<u64> {
        Some(pairs(server, service)[0]["mod_revision"].as_str().unwrap().parse().unwrap())
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }
}

impl Writer for Etcd {
    fn register(&self, server: &Server, it: &Wanted) {
        let key = format!("/services/{}/{}", it.service, it.id);
        let value = json!({"host": it.host, "port": it.port, "tags": [it.tag]}).to_string();
        ask(server, "put", &json!({"key": STANDARD.encode(key), "value": STANDARD.encode(value)}));
    }

    fn deregister(&self, server: &Server, it: &Wanted) {
        let answer = ask(server, "deleterange", &range(&it.service));
        assert_eq!(answer["deleted"], "1", "{answer}");
    }

    fn write_back(&self, server: &Server, it: &Wanted) {
        let found = pairs(server, &it.service);
        assert_eq!(found.len(), 1, "{found:?}");
        let pair = &found[0];
        ask(server, "put", &json!({"key": pair["key"], "value": pair["value"], "lease": pair["lease"]}));
    }

    /// A key is there or it is not.
    fn set_out(&self, _: &Server, _: &Wanted, _: bool) -> bool {
        false
    }
}
