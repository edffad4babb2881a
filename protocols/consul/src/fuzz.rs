//! Any bytes whatsoever, to everything that reads them. `CONTRIBUTING.md` says how to let these run for a night; what was
//! found is kept in `__fuzz__` and tried again in every run of the tests.

use std::io::Write;
use std::net::IpAddr;

use bolero::check;
use switchboard_model::{Name, Owner};

use crate::ask::{decode, decode_path, parse_query};
use crate::bundle::Unpacker;
use crate::facade::txn::pair_op;
use crate::filter::{Filter, shapes};
use crate::lens::{
    Given, GoDuration, Place, Template, check_from_body, check_from_catalog, check_query, instance_from_body,
};
use crate::wire::{
    AgentCheckBody, AgentServiceBody, CatalogCheck, CatalogDeregister, CatalogRegister, CheckUpdate,
    CoordinateUpdate, OpBody, QueryBody, SessionBody,
};

#[test]
fn service() {
    let address = IpAddr::from([10, 0, 0, 1]).to_string();
    let node = Name::parse("node", "n1").unwrap();
    check!().for_each(|bytes: &[u8]| {
        let Ok(AgentServiceBody(body)) = decode(bytes) else { return };
        for by_agent in [true, false] {
            let given = Given { node: Some(node.clone()), node_address: &address, by_agent };
            let Ok(instance) = instance_from_body(&given, &body) else { continue };
            for check in &body.checks {
                let owner = Owner::Instance(instance.key.clone());
                let _ = check_from_body(
                    &Place { owner, id: "c", name: "c", alone: false, is_elsewhere: true },
                    &check.0,
                );
            }
        }
    });
}

#[test]
fn check_of_an_agent() {
    let node = switchboard_model::NodeKey {
        namespace: Name::default_namespace(),
        node: Name::parse("node", "n1").unwrap(),
    };
    check!().for_each(|bytes: &[u8]| {
        if let Ok(AgentCheckBody(body)) = decode(bytes) {
            let owner = Owner::Node(node.clone());
            let _ = check_from_body(
                &Place { owner, id: "c", name: "c", alone: true, is_elsewhere: false },
                &body,
            );
        }
        let _ = decode::<CheckUpdate>(bytes);
    });
}

#[test]
fn catalogue() {
    let node = switchboard_model::NodeKey {
        namespace: Name::default_namespace(),
        node: Name::parse("node", "n1").unwrap(),
    };
    check!().for_each(|bytes: &[u8]| {
        if let Ok(body) = decode::<CatalogCheck>(bytes) {
            let _ = check_from_catalog(Owner::Node(node.clone()), &body);
        }
        let _ = decode::<CatalogRegister>(bytes);
        let _ = decode::<CatalogDeregister>(bytes);
    });
}

#[test]
fn transaction() {
    check!().for_each(|bytes: &[u8]| {
        for op in decode::<Vec<OpBody>>(bytes).into_iter().flatten().filter_map(|body| body.kv) {
            let _ = pair_op(op);
        }
    });
}

#[test]
fn prepared_query() {
    check!().for_each(|bytes: &[u8]| {
        let Ok(query) = decode::<QueryBody>(bytes) else { return };
        if check_query(&query).is_err() {
            return;
        }
        // What is kept is read again as it was.
        let kept = serde_json::to_vec(&query.out()).unwrap();
        let again = decode::<QueryBody>(&kept).unwrap();
        assert_eq!(serde_json::to_vec(&again.out()).unwrap(), kept);
        if let Ok(template) = Template::compile(&query) {
            let _ = template.render("web-1.some.name");
        }
    });
}

#[test]
fn session_and_coordinate() {
    check!().for_each(|bytes: &[u8]| {
        let _ = decode::<SessionBody>(bytes);
        let _ = decode::<CoordinateUpdate>(bytes);
    });
}

#[test]
fn filter() {
    let element = serde_json::json!({
        "Node": "n1", "Address": "10.0.0.1", "ServiceName": "web", "ServiceTags": ["a", "b"],
        "ServiceMeta": {"version": "1"}, "ServicePort": 80, "NodeMeta": {},
    });
    check!().for_each(|bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if let Ok(filter) = Filter::parse(text, &shapes::SERVICE_NODE) {
            let _ = filter.matches(&element);
        }
    });
}

/// What comes out of a gzip that anyone may send, and whatever else is sent in its place.
#[test]
fn snapshot() {
    let header = |name: &str, size: u64| {
        let mut header = tar::Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(size);
        header.set_cksum();
        *header.as_bytes()
    };
    check!().for_each(|bytes: &[u8]| {
        let tars = [bytes.to_vec(), [&header("state.bin", bytes.len() as u64), bytes].concat()];
        for tar in tars {
            let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gz.write_all(&tar).unwrap();
            for whole in [gz.finish().unwrap(), tar] {
                let mut unpacker = Unpacker::new(100, 100_000);
                let mut pieces = whole.chunks(7);
                if pieces.all(|piece| unpacker.push(piece).is_ok()) {
                    let _ = unpacker.finish();
                }
            }
        }
    });
}

#[test]
fn words_of_a_request() {
    check!().for_each(|bytes: &[u8]| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let _ = GoDuration::parse(text);
        let _ = decode_path(text);
        let _ = parse_query(text);
    });
}
