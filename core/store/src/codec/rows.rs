//! The protobuf messages on disk, and their mapping to model records.
//!
//! Field numbers are for ever. A field that goes away leaves its number unused.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use prost::{Message, Oneof};
use switchboard_model as model;
use switchboard_model::{
    Annex, Check, CheckKey, Entry, EntryKey, HttpProbe, Id, Instance, InstanceKey, Lease, LeaseId, Lifecycle,
    Metadata, Name, Node, NodeKey, OnExpiry, Owner, Port, Probe, Record, Rejection, Revision, Standing,
    Status, Tags, Target, Thresholds,
};

use super::{Damaged, Decoder, EncodedCommit, EncodedEdit};

#[derive(Clone, PartialEq, Message)]
pub(super) struct Row {
    #[prost(oneof = "RecordRow", tags = "1, 2, 3, 4, 5")]
    record: Option<RecordRow>,
}

#[derive(Clone, PartialEq, Oneof)]
#[allow(clippy::large_enum_variant, reason = "one at a time, on its way through")]
enum RecordRow {
    #[prost(message, tag = "1")]
    Instance(InstanceRow),
    #[prost(message, tag = "2")]
    Node(NodeRow),
    #[prost(message, tag = "3")]
    Check(CheckRow),
    #[prost(message, tag = "4")]
    Lease(LeaseRow),
    #[prost(message, tag = "5")]
    Entry(EntryRow),
}

#[derive(Clone, PartialEq, Message)]
struct PairRow {
    #[prost(string, tag = "1")]
    key: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct AnnexRow {
    #[prost(string, tag = "1")]
    protocol: String,
    #[prost(bytes = "bytes", tag = "2")]
    words: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct InstanceKeyRow {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    service: String,
    #[prost(string, tag = "3")]
    node: String,
    #[prost(string, tag = "4")]
    id: String,
}

#[derive(Clone, PartialEq, Message)]
struct PortRow {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(uint32, tag = "2")]
    number: u32,
}

#[derive(Clone, PartialEq, Message)]
struct InstanceRow {
    #[prost(message, required, tag = "1")]
    key: InstanceKeyRow,
    #[prost(string, tag = "2")]
    address: String,
    #[prost(message, repeated, tag = "3")]
    ports: Vec<PortRow>,
    #[prost(string, repeated, tag = "4")]
    tags: Vec<String>,
    #[prost(message, repeated, tag = "5")]
    metadata: Vec<PairRow>,
    #[prost(uint32, tag = "6")]
    weight: u32,
    #[prost(string, optional, tag = "7")]
    zone: Option<String>,
    #[prost(uint32, tag = "8")]
    lifecycle: u32,
    #[prost(uint64, tag = "9")]
    lease: u64,
    #[prost(string, tag = "10")]
    origin: String,
    #[prost(message, repeated, tag = "11")]
    annex: Vec<AnnexRow>,
    #[prost(uint32, optional, tag = "12")]
    warning_weight: Option<u32>,
}

#[derive(Clone, PartialEq, Message)]
struct NodeRow {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    node: String,
    #[prost(string, tag = "3")]
    address: String,
    #[prost(message, repeated, tag = "4")]
    metadata: Vec<PairRow>,
    #[prost(message, repeated, tag = "5")]
    annex: Vec<AnnexRow>,
}

#[derive(Clone, PartialEq, Message)]
struct CheckRow {
    #[prost(message, optional, tag = "1")]
    instance: Option<InstanceKeyRow>,
    /// Owner is a node when there is no instance.
    #[prost(string, tag = "2")]
    node_namespace: String,
    #[prost(string, tag = "3")]
    node: String,
    #[prost(string, tag = "4")]
    id: String,
    #[prost(string, tag = "5")]
    name: String,
    #[prost(string, tag = "6")]
    notes: String,
    #[prost(message, required, tag = "7")]
    probe: ProbeRow,
    #[prost(uint64, tag = "8")]
    interval_ms: u64,
    #[prost(uint64, tag = "9")]
    timeout_ms: u64,
    #[prost(uint32, tag = "10")]
    unhealthy_threshold: u32,
    #[prost(uint32, tag = "11")]
    healthy_threshold: u32,
    #[prost(uint32, tag = "12")]
    status: u32,
    #[prost(string, tag = "13")]
    output: String,
    #[prost(uint64, tag = "14")]
    since_ms: u64,
    #[prost(bool, tag = "15")]
    suspect: bool,
    #[prost(uint64, optional, tag = "16")]
    deregister_after_ms: Option<u64>,
    #[prost(message, repeated, tag = "17")]
    annex: Vec<AnnexRow>,
}

/// `kind` says which of the other fields mean something.
#[derive(Clone, PartialEq, Message)]
struct ProbeRow {
    /// 0 manual, 1 ttl, 2 http, 3 tcp, 4 udp, 5 grpc.
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint64, tag = "2")]
    ttl_ms: u64,
    #[prost(string, optional, tag = "3")]
    host: Option<String>,
    #[prost(uint32, optional, tag = "4")]
    port: Option<u32>,
    #[prost(string, tag = "5")]
    method: String,
    #[prost(string, tag = "6")]
    path: String,
    #[prost(message, repeated, tag = "7")]
    headers: Vec<PairRow>,
    #[prost(string, tag = "8")]
    body: String,
    /// Pairs of first and last accepted status code.
    #[prost(uint32, repeated, tag = "9")]
    expect: Vec<u32>,
    #[prost(string, optional, tag = "10")]
    tls: Option<String>,
    #[prost(bool, tag = "11")]
    tls_skip_verify: bool,
    #[prost(string, tag = "12")]
    grpc_service: String,
}

#[derive(Clone, PartialEq, Message)]
struct LeaseRow {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    ttl_ms: u64,
    /// Lingers this long when it lapses; absent: deletes.
    #[prost(uint64, optional, tag = "3")]
    linger_ms: Option<u64>,
    /// 0 live, 1 suspect, 2 lapsed.
    #[prost(uint32, tag = "4")]
    standing: u32,
    #[prost(uint64, tag = "5")]
    since_ms: u64,
    #[prost(bool, tag = "6")]
    implicit: bool,
}

#[derive(Clone, PartialEq, Message)]
struct EntryRow {
    #[prost(string, tag = "1")]
    keyspace: String,
    #[prost(bytes = "bytes", tag = "2")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    value: Bytes,
    #[prost(uint64, tag = "4")]
    lease: u64,
    #[prost(uint64, tag = "5")]
    flags: u64,
    #[prost(message, repeated, tag = "6")]
    annex: Vec<AnnexRow>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct History {
    #[prost(message, repeated, tag = "1")]
    commits: Vec<CommitRow>,
}

#[derive(Clone, PartialEq, Message)]
struct CommitRow {
    #[prost(uint64, tag = "1")]
    revision: u64,
    #[prost(uint64, tag = "2")]
    at_ms: u64,
    #[prost(message, repeated, tag = "3")]
    edits: Vec<EditRow>,
}

#[derive(Clone, PartialEq, Message)]
struct EditRow {
    #[prost(bytes = "bytes", optional, tag = "1")]
    before: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    after: Option<Bytes>,
}

impl History {
    pub(super) fn into_commits(self) -> Vec<EncodedCommit> {
        self.commits
            .into_iter()
            .map(|row| EncodedCommit {
                revision: Revision(row.revision),
                at_ms: row.at_ms,
                edits: row
                    .edits
                    .into_iter()
                    .map(|edit| EncodedEdit { before: edit.before, after: edit.after })
                    .collect(),
            })
            .collect()
    }
}

/// Adds one element of `History::commits`: a message that is a sequence grows by appending.
pub(super) fn append_commit(out: &mut Vec<u8>, commit: &EncodedCommit) {
    let row = CommitRow {
        revision: commit.revision.0,
        at_ms: commit.at_ms,
        edits: commit
            .edits
            .iter()
            .map(|edit| EditRow { before: edit.before.clone(), after: edit.after.clone() })
            .collect(),
    };
    prost::encoding::message::encode(1, &row, out);
}

pub(super) fn to_row(record: &Record) -> Row {
    let record = match record {
        Record::Instance(instance) => RecordRow::Instance(instance_to_row(instance)),
        Record::Node(node) => RecordRow::Node(NodeRow {
            namespace: node.key.namespace.to_string(),
            node: node.key.node.to_string(),
            address: node.address.to_string(),
            metadata: metadata_to_row(&node.metadata),
            annex: annex_to_row(&node.annex),
        }),
        Record::Check(check) => RecordRow::Check(check_to_row(check)),
        Record::Lease(lease) => RecordRow::Lease(lease_to_row(lease)),
        Record::Entry(entry) => RecordRow::Entry(EntryRow {
            keyspace: entry.key.keyspace.to_string(),
            key: entry.key.key.clone(),
            value: entry.value.clone(),
            lease: entry.lease.map_or(0, |lease| lease.0),
            flags: entry.flags,
            annex: annex_to_row(&entry.annex),
        }),
    };
    Row { record: Some(record) }
}

pub(super) fn from_row(row: Row, decoder: &mut Decoder) -> Result<Record, Damaged> {
    let record = row.record.ok_or_else(|| Damaged("a value holds no record".into()))?;
    record_from_row(record, decoder).map_err(|rejection| Damaged(rejection.to_string()))
}

fn record_from_row(row: RecordRow, decoder: &mut Decoder) -> Result<Record, Rejection> {
    Ok(match row {
        RecordRow::Instance(row) => Record::Instance(instance_from_row(row, decoder)?),
        RecordRow::Node(row) => Record::Node(Node {
            key: NodeKey {
                namespace: name("namespace", &row.namespace, decoder)?,
                node: name("node", &row.node, decoder)?,
            },
            address: row.address.into(),
            metadata: metadata_from_row(row.metadata, decoder)?,
            annex: annex_from_row(row.annex, decoder)?,
        }),
        RecordRow::Check(row) => Record::Check(check_from_row(row, decoder)?),
        RecordRow::Lease(row) => Record::Lease(lease_from_row(&row)?),
        RecordRow::Entry(row) => Record::Entry(Entry {
            key: EntryKey { keyspace: decoder.share(&row.keyspace), key: row.key },
            value: row.value,
            lease: lease_id(row.lease),
            flags: row.flags,
            annex: annex_from_row(row.annex, decoder)?,
        }),
    })
}

fn instance_to_row(instance: &Instance) -> InstanceRow {
    InstanceRow {
        key: key_to_row(&instance.key),
        address: instance.address.to_string(),
        ports: instance
            .ports
            .iter()
            .map(|port| PortRow { name: port.name.to_string(), number: u32::from(port.number) })
            .collect(),
        tags: instance.tags.iter().map(ToString::to_string).collect(),
        metadata: metadata_to_row(&instance.metadata),
        weight: instance.weight,
        warning_weight: instance.warning_weight,
        zone: instance.zone.as_ref().map(ToString::to_string),
        lifecycle: match instance.lifecycle {
            Lifecycle::Up => 0,
            Lifecycle::Starting => 1,
            Lifecycle::Draining => 2,
            Lifecycle::OutOfService => 3,
        },
        lease: instance.lease.map_or(0, |lease| lease.0),
        origin: instance.origin.to_string(),
        annex: annex_to_row(&instance.annex),
    }
}

fn instance_from_row(row: InstanceRow, decoder: &mut Decoder) -> Result<Instance, Rejection> {
    let ports = row.ports.iter().map(|port| {
        let number = u16::try_from(port.number).map_err(|_| Rejection::invalid("port", "is beyond 65535"))?;
        Ok(Port { name: decoder.share(&port.name), number })
    });
    let ports: Box<[Port]> = ports.collect::<Result<_, Rejection>>()?;
    Ok(Instance {
        ports,
        key: Arc::new(key_from_row(&row.key, decoder)?),
        address: row.address.into(),
        tags: Tags::new(row.tags.iter().map(|tag| decoder.share(tag)).collect::<Vec<_>>())?,
        metadata: metadata_from_row(row.metadata, decoder)?,
        weight: row.weight,
        warning_weight: row.warning_weight,
        zone: row.zone.map(|zone| decoder.share(&zone)),
        lifecycle: match row.lifecycle {
            0 => Lifecycle::Up,
            1 => Lifecycle::Starting,
            2 => Lifecycle::Draining,
            3 => Lifecycle::OutOfService,
            other => return Err(unknown("lifecycle", other)),
        },
        lease: lease_id(row.lease),
        origin: decoder.share(&row.origin),
        annex: annex_from_row(row.annex, decoder)?,
    })
}

fn check_to_row(check: &Check) -> CheckRow {
    let (instance, node) = match &check.key.owner {
        Owner::Instance(key) => (Some(key_to_row(key)), None),
        Owner::Node(key) => (None, Some(key)),
    };
    CheckRow {
        instance,
        node_namespace: node.map(|key| key.namespace.to_string()).unwrap_or_default(),
        node: node.map(|key| key.node.to_string()).unwrap_or_default(),
        id: check.key.id.to_string(),
        name: check.name.to_string(),
        notes: check.notes.to_string(),
        probe: probe_to_row(&check.probe),
        interval_ms: millis(check.interval),
        timeout_ms: millis(check.timeout),
        unhealthy_threshold: check.thresholds.unhealthy,
        healthy_threshold: check.thresholds.healthy,
        status: match check.status {
            Status::Passing => 0,
            Status::Warning => 1,
            Status::Critical => 2,
        },
        output: check.output.to_string(),
        since_ms: check.since_ms,
        suspect: check.suspect,
        deregister_after_ms: check.deregister_after.map(millis),
        annex: annex_to_row(&check.annex),
    }
}

fn check_from_row(row: CheckRow, decoder: &mut Decoder) -> Result<Check, Rejection> {
    let owner = match &row.instance {
        Some(key) => Owner::Instance(Arc::new(key_from_row(key, decoder)?)),
        None => Owner::Node(NodeKey {
            namespace: name("namespace", &row.node_namespace, decoder)?,
            node: name("node", &row.node, decoder)?,
        }),
    };
    Ok(Check {
        key: CheckKey { owner, id: Id::parse("check.id", &row.id)? },
        name: row.name.into(),
        notes: row.notes.into(),
        probe: probe_from_row(row.probe)?,
        interval: Duration::from_millis(row.interval_ms),
        timeout: Duration::from_millis(row.timeout_ms),
        thresholds: Thresholds { unhealthy: row.unhealthy_threshold, healthy: row.healthy_threshold },
        status: match row.status {
            0 => Status::Passing,
            1 => Status::Warning,
            2 => Status::Critical,
            other => return Err(unknown("status", other)),
        },
        output: row.output.into(),
        since_ms: row.since_ms,
        suspect: row.suspect,
        deregister_after: row.deregister_after_ms.map(Duration::from_millis),
        annex: annex_from_row(row.annex, decoder)?,
    })
}

fn probe_to_row(probe: &Probe) -> ProbeRow {
    let with_target = |kind: u32, target: &Target| ProbeRow {
        kind,
        host: target.host.as_ref().map(ToString::to_string),
        port: target.port.map(u32::from),
        ..ProbeRow::default()
    };
    match probe {
        Probe::Manual => ProbeRow::default(),
        Probe::Ttl { ttl } => ProbeRow { kind: 1, ttl_ms: millis(*ttl), ..ProbeRow::default() },
        Probe::Http(http) => ProbeRow {
            method: http.method.to_string(),
            path: http.path.to_string(),
            headers: http
                .headers
                .iter()
                .map(|(key, value)| PairRow { key: key.to_string(), value: value.to_string() })
                .collect(),
            body: http.body.to_string(),
            expect: http
                .expect
                .iter()
                .flat_map(|&(first, last)| [u32::from(first), u32::from(last)])
                .collect(),
            tls: http.tls.as_ref().map(ToString::to_string),
            tls_skip_verify: http.tls_skip_verify,
            ..with_target(2, &http.target)
        },
        Probe::Tcp { target } => with_target(3, target),
        Probe::Udp { target } => with_target(4, target),
        Probe::Grpc { target, service, tls } => ProbeRow {
            grpc_service: service.to_string(),
            tls: tls.as_ref().map(ToString::to_string),
            ..with_target(5, target)
        },
    }
}

fn probe_from_row(row: ProbeRow) -> Result<Probe, Rejection> {
    let small = |what: &str, number: u32| {
        u16::try_from(number).map_err(|_| Rejection::invalid(what, format!("{number} is beyond 65535")))
    };
    let target = Target {
        host: row.host.map(Into::into),
        port: row.port.map(|port| small("probe.port", port)).transpose()?,
    };
    Ok(match row.kind {
        0 => Probe::Manual,
        1 => Probe::Ttl { ttl: Duration::from_millis(row.ttl_ms) },
        2 => {
            let mut expect = Vec::new();
            for pair in row.expect.chunks(2) {
                if let &[first, last] = pair {
                    expect.push((small("probe.expect", first)?, small("probe.expect", last)?));
                }
            }
            Probe::Http(Box::new(HttpProbe {
                target,
                method: row.method.into(),
                path: row.path.into(),
                headers: row.headers.into_iter().map(|pair| (pair.key.into(), pair.value.into())).collect(),
                body: row.body.into(),
                expect: expect.into(),
                tls: row.tls.map(Into::into),
                tls_skip_verify: row.tls_skip_verify,
            }))
        }
        3 => Probe::Tcp { target },
        4 => Probe::Udp { target },
        5 => Probe::Grpc { target, service: row.grpc_service.into(), tls: row.tls.map(Into::into) },
        other => return Err(unknown("probe", other)),
    })
}

fn lease_to_row(lease: &Lease) -> LeaseRow {
    let (standing, since_ms) = match lease.standing {
        Standing::Live => (0, 0),
        Standing::Suspect { since_ms } => (1, since_ms),
        Standing::Lapsed { since_ms } => (2, since_ms),
    };
    LeaseRow {
        id: lease.id.0,
        ttl_ms: millis(lease.ttl),
        linger_ms: match lease.on_expiry {
            OnExpiry::Lapse { linger } => Some(millis(linger)),
            OnExpiry::Delete => None,
        },
        standing,
        since_ms,
        implicit: lease.implicit,
    }
}

fn lease_from_row(row: &LeaseRow) -> Result<Lease, Rejection> {
    Ok(Lease {
        id: LeaseId(row.id),
        ttl: Duration::from_millis(row.ttl_ms),
        on_expiry: match row.linger_ms {
            Some(linger) => OnExpiry::Lapse { linger: Duration::from_millis(linger) },
            None => OnExpiry::Delete,
        },
        implicit: row.implicit,
        standing: match row.standing {
            0 => Standing::Live,
            1 => Standing::Suspect { since_ms: row.since_ms },
            2 => Standing::Lapsed { since_ms: row.since_ms },
            other => return Err(unknown("standing", other)),
        },
    })
}

fn key_to_row(key: &InstanceKey) -> InstanceKeyRow {
    InstanceKeyRow {
        namespace: key.namespace.to_string(),
        service: key.service.to_string(),
        node: key.node.as_ref().map(ToString::to_string).unwrap_or_default(),
        id: key.id.to_string(),
    }
}

fn key_from_row(row: &InstanceKeyRow, decoder: &mut Decoder) -> Result<InstanceKey, Rejection> {
    Ok(InstanceKey {
        namespace: name("namespace", &row.namespace, decoder)?,
        service: name("service", &row.service, decoder)?,
        node: (!row.node.is_empty()).then(|| name("node", &row.node, decoder)).transpose()?,
        id: Id::parse("id", &row.id)?,
    })
}

fn metadata_to_row(metadata: &Metadata) -> Vec<PairRow> {
    metadata.iter().map(|(key, value)| PairRow { key: key.to_string(), value: value.to_string() }).collect()
}

fn metadata_from_row(rows: Vec<PairRow>, decoder: &mut Decoder) -> Result<Metadata, Rejection> {
    Metadata::new(
        rows.iter().map(|pair| (decoder.share(&pair.key), decoder.share(&pair.value))).collect::<Vec<_>>(),
    )
}

fn annex_to_row(annex: &Annex) -> Vec<AnnexRow> {
    annex.iter().map(|(name, words)| AnnexRow { protocol: name.to_string(), words: words.clone() }).collect()
}

fn annex_from_row(rows: Vec<AnnexRow>, decoder: &mut Decoder) -> Result<Annex, Rejection> {
    Annex::new(rows.into_iter().map(|row| (decoder.share(&row.protocol), row.words)).collect::<Vec<_>>())
}

fn name(field: &str, text: &str, decoder: &mut Decoder) -> Result<Name, Rejection> {
    Name::shared(field, decoder.share(text))
}

fn lease_id(id: u64) -> Option<LeaseId> {
    (id != 0).then_some(LeaseId(id))
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn unknown(what: &str, value: u32) -> Rejection {
    model::Rejection::invalid(what, format!("holds the unknown value {value}"))
}
