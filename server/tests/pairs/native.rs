use serde_json::{Value, json};

use crate::process::Server;
use crate::{Found, Speaker, Wanted, Writer};

pub(crate) struct Native;

impl Speaker for Native {
    fn protocol(&self) -> &'static str {
        "native"
    }

    fn served(&self, server: &Server, service: &str) -> Found {
        let answer = server.client().get(&format!("/v1/services/{service}")).json();
        let instances = answer["instances"].as_array().unwrap();
        let place =
            |it: &Value| (it["host"].as_str().unwrap().to_owned(), it["port"].as_u64().unwrap() as u16);
        instances.iter().map(place).collect()
    }

    fn revision(&self, server: &Server, service: &str) -> Option<u64> {
        let answer = server.client().get(&format!("/v1/services/{service}")).json();
        answer["instances"][0]["revision"].as_u64()
    }

    fn writer(&self) -> Option<&dyn Writer> {
        Some(self)
    }
}

impl Writer for Native {
    fn register(&self, server: &Server, it: &Wanted) {
        let body =
            json!({"service": it.service, "id": it.id, "host": it.host, "port": it.port, "tags": [it.tag]});
        server.client().post("/v1/register", &body);
    }

    fn deregister(&self, server: &Server, it: &Wanted) {
        let path = format!("/v1/instances/{}?service={}", it.id, it.service);
        server.client().ask("DELETE", &path, b"").unwrap().expect(200);
    }

    fn write_back(&self, server: &Server, it: &Wanted) {
        let read = server.client().get(&format!("/v1/instances/{}?service={}", it.id, it.service)).json();
        let mut body = json!({});
        for field in [
            "service",
            "id",
            "namespace",
            "node",
            "host",
            "port",
            "ports",
            "tags",
            "metadata",
            "weight",
            "zone",
            "lifecycle",
        ] {
            if !read[field].is_null() {
                body[field] = read[field].clone();
            }
        }
        if read["lease"]["implicit"] == true {
            body["ttl"] = read["lease"]["ttl"].clone();
            body["linger"] = read["lease"]["linger"].clone();
        }
        server.client().post("/v1/register", &body);
    }

    fn set_out(&self, server: &Server, it: &Wanted, out: bool) -> bool {
        let path = format!("/v1/instances/{}/lifecycle?service={}", it.id, it.service);
        let body = json!({"lifecycle": if out { "out_of_service" } else { "up" }}).to_string();
        server.client().ask("PUT", &path, body.as_bytes()).unwrap().expect(200);
        true
    }
}
