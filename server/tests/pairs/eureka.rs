use serde_json::{Value, json};

use crate::http::{Answer, Client};
use crate::process::Server;
use crate::{Found, Speaker, Wanted, Writer};

pub(crate) struct Eureka;

#[track_caller]
fn ask(server: &Server, method: &str, path: &str, body: &str) -> Answer {
    let path = format!("/eureka/apps/{path}");
    Client::new(server.address_of("eureka")).ask(method, &path, body.as_bytes()).unwrap()
}

fn instances(server: &Server, service: &str) -> Vec<Value> {
    let answer = ask(server, "GET", service, "");
    match answer.status {
        404 => Vec::new(),
        _ => answer.expect(200).json()["application"]["instance"].as_array().unwrap().clone(),
    }
}

/// The only one of its service.
fn instance(server: &Server, wanted: &Wanted) -> Value {
    let found = instances(server, &wanted.service);
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

/// As its path has it: an instance that lives on a node is called by both.
fn path(server: &Server, wanted: &Wanted) -> String {
    let id = instance(server, wanted)["instanceId"].as_str().unwrap().replace(':', "%3A");
    format!("{}/{id}", wanted.service.to_uppercase())
}

impl Speaker for Eureka {
    fn protocol(&self) -> &'static str {
        "eureka"
    }

    fn served(&self, server: &Server, service: &str) -> Found {
        let served = instances(server, service).into_iter().filter(|it| it["status"] == "UP");
        let place =
            |it: Value| (it["ipAddr"].as_str().unwrap().to_owned(), it["port"]["$"].as_u64().unwrap() as u16);
        served.map(place).collect()
    }

    /// That of everything: nothing else happens here meanwhile.
    fn revision(&self, server: &Server, _: &str) -> Option<u64> {
        let delta = ask(server, "GET", "delta", "").expect(200).json();
        delta["applications"]["versions__delta"].as_str()?.parse().ok()
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }
}

impl Writer for Eureka {
    fn register(&self, server: &Server, it: &Wanted) {
        let body = json!({ "instance": {
            "instanceId": it.id, "app": it.service, "vipAddress": it.service, "hostName": it.host, "ipAddr": it.host,
            "port": { "$": it.port, "@enabled": "true" }, "status": "UP", "metadata": { "tag": it.tag },
            "dataCenterInfo": { "name": "MyOwn" },
        }});
        ask(server, "POST", &it.service, &body.to_string()).expect(204);
    }

    fn deregister(&self, server: &Server, it: &Wanted) {
        ask(server, "DELETE", &path(server, it), "").expect(200);
    }

    fn write_back(&self, server: &Server, it: &Wanted) {
        let body = json!({ "instance": instance(server, it) });
        ask(server, "POST", &it.service, &body.to_string()).expect(204);
    }

    fn set_out(&self, server: &Server, it: &Wanted, out: bool) -> bool {
        let (method, value) = if out { ("PUT", "OUT_OF_SERVICE") } else { ("DELETE", "UP") };
        let path = format!("{}/status?value={value}", path(server, it));
        ask(server, method, &path, "").expect(200);
        true
    }
}
