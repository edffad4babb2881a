//! Records to commit, one of every kind and every shape that the codec treats differently.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use switchboard_model::{
    Annex, Check, CheckKey, Entry, EntryKey, HttpProbe, Id, Instance, InstanceKey, Lease, LeaseId, Lifecycle,
    Metadata, Name, Node, NodeKey, OnExpiry, Owner, Port, Probe, Record, Standing, Status, Tags, Target,
    Thresholds,
};

pub fn entry(key: &str, value: impl Into<Bytes>) -> Record {
    Record::Entry(Entry {
        key: EntryKey { keyspace: Arc::from("test"), key: Bytes::copy_from_slice(key.as_bytes()) },
        value: value.into(),
        lease: None,
        flags: 0,
        annex: Annex::default(),
    })
}

pub fn instance(service: &str, id: &str) -> Record {
    Record::Instance(Instance {
        key: instance_key(service, Some("node-1"), id),
        address: "10.1.2.3".into(),
        ports: [("", 8080), ("metrics", 9090)]
            .map(|(name, number)| Port { name: name.into(), number })
            .into(),
        tags: Tags::new(["blue".into(), "api".into()]).unwrap(),
        metadata: Metadata::new([("version".into(), "1.2.3".into()), ("team".into(), "core".into())])
            .unwrap(),
        weight: 10,
        warning_weight: Some(0),
        zone: Some("eu-1a".into()),
        lifecycle: Lifecycle::Up,
        lease: Some(LeaseId(7)),
        origin: "native".into(),
        annex: Annex::default(),
    })
}

pub fn lease(id: u64) -> Record {
    Record::Lease(Lease {
        id: LeaseId(id),
        ttl: Duration::from_secs(30),
        on_expiry: OnExpiry::Lapse { linger: Duration::from_secs(60) },
        implicit: true,
        standing: Standing::Live,
    })
}

pub fn node(name: &str) -> Record {
    Record::Node(Node {
        key: node_key(name),
        address: "10.1.2.3".into(),
        metadata: Metadata::new([("rack".into(), "r1".into())]).unwrap(),
        annex: Annex::new([("alpha".into(), Bytes::from_static(b"{}"))]).unwrap(),
    })
}

pub fn check(owner: Owner, id: &str, probe: Probe) -> Record {
    Record::Check(Check {
        key: CheckKey { owner, id: Id::parse("id", id).unwrap() },
        name: "alive".into(),
        notes: "asks the door".into(),
        probe,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        thresholds: Thresholds { unhealthy: 3, healthy: 2 },
        status: Status::Warning,
        output: "slow\n".into(),
        since_ms: 1_700_000_000_000,
        suspect: false,
        deregister_after: Some(Duration::from_secs(3600)),
        annex: Annex::default(),
    })
}

/// Records that between them use every variant of every kind.
pub(super) fn every_kind() -> Vec<Record> {
    let mut records = vec![instance("users", "a"), bare_instance(), node("node-1"), node("node-2")];
    for (i, probe) in every_probe().into_iter().enumerate() {
        let owner = match i % 2 {
            0 => Owner::Instance(instance_key("users", Some("node-1"), "a")),
            _ => Owner::Node(node_key("node-1")),
        };
        records.push(check(owner, &format!("check-{i}"), probe));
    }
    let standings =
        [Standing::Live, Standing::Suspect { since_ms: 5 }, Standing::Lapsed { since_ms: u64::MAX }];
    for (id, standing) in (1..).zip(standings) {
        records.push(Record::Lease(Lease {
            id: LeaseId(id),
            ttl: Lease::MAX_TTL,
            on_expiry: OnExpiry::Delete,
            implicit: false,
            standing,
        }));
    }
    records.push(lease(u64::MAX));
    records.push(entry("plain", "value"));
    records.push(Record::Entry(Entry {
        key: EntryKey { keyspace: Arc::from("beta"), key: Bytes::from_static(b"\0\xff binary \0") },
        value: Bytes::new(),
        lease: Some(LeaseId(1)),
        flags: u64::MAX,
        annex: Annex::new([("alpha".into(), Bytes::from_static(b"held"))]).unwrap(),
    }));
    records
}

fn bare_instance() -> Record {
    Record::Instance(Instance {
        key: instance_key("users", None, "a"),
        address: "::1".into(),
        ports: [].into(),
        tags: Tags::default(),
        metadata: Metadata::default(),
        weight: 0,
        warning_weight: None,
        zone: None,
        lifecycle: Lifecycle::OutOfService,
        lease: None,
        origin: "gamma".into(),
        annex: Annex::new([("gamma".into(), Bytes::from_static(&[0, 255]))]).unwrap(),
    })
}

fn every_probe() -> Vec<Probe> {
    let target = Target { host: Some("localhost".into()), port: Some(65_535) };
    vec![
        Probe::Manual,
        Probe::Ttl { ttl: Duration::from_millis(1500) },
        Probe::Tcp { target: target.clone() },
        Probe::Udp { target: Target::default() },
        Probe::Grpc { target: target.clone(), service: "users.v1".into(), tls: Some("".into()) },
        Probe::Http(Box::new(HttpProbe {
            target,
            method: "GET".into(),
            path: "/health?x=1".into(),
            headers: [("Host".into(), "users".into())].into(),
            body: "".into(),
            expect: [(200, 204), (429, 429)].into(),
            tls: None,
            tls_skip_verify: true,
        })),
    ]
}

fn instance_key(service: &str, node: Option<&str>, id: &str) -> Arc<InstanceKey> {
    Arc::new(InstanceKey {
        namespace: Name::default_namespace(),
        service: Name::parse("service", service).unwrap(),
        node: node.map(|node| Name::parse("node", node).unwrap()),
        id: Id::parse("id", id).unwrap(),
    })
}

fn node_key(name: &str) -> NodeKey {
    NodeKey { namespace: Name::default_namespace(), node: Name::parse("node", name).unwrap() }
}
