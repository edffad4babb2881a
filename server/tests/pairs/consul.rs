use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{Answer, Client};
use crate::process::Server;
use crate::{Found, Speaker, Wanted, Writer};

/// Registers with the agent on this machine.
pub(crate) struct Agent;

/// Registers with the catalogue, on a node of its own.
pub(crate) struct Catalog;

fn client(server: &Server) -> Client {
    Client::new(server.address_of("consul"))
}

/// The façade registers its own node when it starts, which is a commit that none of the tests is about.
pub(crate) fn wait_for_own_node(server: &Server) {
    for _ in 0..1000 {
        if client(server).get("/v1/health/state/any").json().as_array().is_some_and(|all| !all.is_empty()) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("its own node was not registered within 20 s");
}

#[track_caller]
fn put(server: &Server, path: &str, body: &Value) -> Answer {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    client(server).ask("PUT", path, body.as_bytes()).unwrap().expect(200)
}

fn elements(server: &Server, service: &str, query: &str) -> Vec<Value> {
    client(server).get(&format!("/v1/health/service/{service}{query}")).json().as_array().unwrap().clone()
}

fn served(server: &Server, service: &str) -> Found {
    let place = |it: Value| {
        let own = it["Service"]["Address"].as_str().filter(|address| !address.is_empty());
        let host = own.or(it["Node"]["Address"].as_str()).unwrap().to_owned();
        (host, it["Service"]["Port"].as_u64().unwrap() as u16)
    };
    elements(server, service, "?passing").into_iter().map(place).collect()
}

/// The only one of its service.
fn element(server: &Server, wanted: &Wanted) -> Value {
    let found = elements(server, &wanted.service, "");
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

fn set_out(server: &Server, wanted: &Wanted, out: bool) {
    let path = format!("/v1/agent/service/maintenance/{}?enable={out}&reason=test", wanted.id);
    put(server, &path, &Value::Null);
}

impl Speaker for Agent {
    fn protocol(&self) -> &'static str {
        "consul"
    }

    fn name(&self) -> &'static str {
        "consul's agent"
    }

    fn served(&self, server: &Server, service: &str) -> Found {
        served(server, service)
    }

    fn revision(&self, server: &Server, service: &str) -> Option<u64> {
        elements(server, service, "")[0]["Service"]["ModifyIndex"].as_u64()
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }
}

impl Writer for Agent {
    fn register(&self, server: &Server, it: &Wanted) {
        let body =
            json!({"ID": it.id, "Name": it.service, "Address": it.host, "Port": it.port, "Tags": [it.tag]});
        put(server, "/v1/agent/service/register", &body);
    }

    fn deregister(&self, server: &Server, it: &Wanted) {
        put(server, &format!("/v1/agent/service/deregister/{}", it.id), &Value::Null);
    }

    /// Through the agent of the node that it is on, as whoever knows where that is would.
    fn write_back(&self, server: &Server, it: &Wanted) {
        let element = element(server, it);
        let service = &element["Service"];
        let mut body = json!({"Name": service["Service"]});
        for field in
            ["ID", "Address", "Port", "Tags", "Meta", "Weights", "EnableTagOverride", "TaggedAddresses"]
        {
            body[field] = service[field].clone();
        }
        // Where no agent is, one that registers is news in itself.
        let checks = element["Checks"].as_array().unwrap();
        if !checks.iter().any(|check| check["CheckID"] == "serfHealth") {
            return;
        }
        let node = element["Node"]["Node"].as_str().unwrap();
        put(server, &format!("/node/{node}/v1/agent/service/register"), &body);
    }

    fn set_out(&self, server: &Server, wanted: &Wanted, out: bool) -> bool {
        set_out(server, wanted, out);
        true
    }
}

impl Speaker for Catalog {
    fn protocol(&self) -> &'static str {
        "consul"
    }

    fn name(&self) -> &'static str {
        "consul's catalogue"
    }

    fn served(&self, server: &Server, service: &str) -> Found {
        served(server, service)
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }
}

impl Writer for Catalog {
    fn register(&self, server: &Server, it: &Wanted) {
        let service = json!({"ID": it.id, "Service": it.service, "Address": it.host, "Port": it.port, "Tags": [it.tag]});
        let body = json!({"Node": "elsewhere", "Address": "10.3.0.1", "Service": service});
        put(server, "/v1/catalog/register", &body);
    }

    fn deregister(&self, server: &Server, it: &Wanted) {
        let node = element(server, it)["Node"]["Node"].clone();
        put(server, "/v1/catalog/deregister", &json!({"Node": node, "ServiceID": it.id}));
    }

    fn write_back(&self, server: &Server, it: &Wanted) {
        let element = element(server, it);
        let (node, service) = (&element["Node"], &element["Service"]);
        let body = json!({
            "Node": node["Node"], "ID": node["ID"], "Address": node["Address"], "NodeMeta": node["Meta"],
            "TaggedAddresses": node["TaggedAddresses"], "Service": service, "Checks": element["Checks"],
        });
        put(server, "/v1/catalog/register", &body);
    }

    fn set_out(&self, server: &Server, wanted: &Wanted, out: bool) -> bool {
        set_out(server, wanted, out);
        true
    }
}
