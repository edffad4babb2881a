use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hickory_proto::op::{Edns, Message, Query};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use switchboard_engine_memory::Memory;
use switchboard_facade::{About, Context, Metrics, NamedSets, Section, Stop};
use switchboard_model::{
    Annex, Check, CheckKey, Id, Instance, InstanceKey, Lifecycle, Metadata, Name as Named, Node, NodeKey,
    Owner, Port, Probe, Status, Tags, Thresholds,
};
use switchboard_registry::plan::{Keep, PutNode, Register};
use switchboard_registry::{Caller, OpenGate, Options, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};

/// Above what any step takes; nothing waits for it when all is well.
const LONG: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) registry: Registry,
    pub(crate) sets: NamedSets,
    pub(crate) metrics: Metrics,
    pub(crate) stop: Stop,
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

pub(crate) async fn world() -> World {
    world_with("").await
}

/// With more settings of the section `[dns]`, as TOML.
pub(crate) async fn world_with(settings: &str) -> World {
    let registry = Registry::open(Arc::new(Memory::new()), Options::default(), Arc::new(OpenGate));
    registry.loaded().await.unwrap();
    serve(registry, settings).await
}

pub(crate) async fn serve(registry: Registry, settings: &str) -> World {
    let section = format!("listen = '127.0.0.1:0'\nnode_name = 'own'\n{settings}");
    let section: Section = toml::from_str(&section).unwrap();
    let facade = (switchboard_protocol_dns::PLUG.open)(&section).await.unwrap();
    let listening = facade.listening();
    let address = listening[0].address;
    assert_eq!(listening[1].address, address, "UDP and TCP are on one port");
    let (metrics, sets, stop) = (Metrics::default(), NamedSets::default(), Stop::new());
    let about = About { version: "test", engine: "memory", started: Instant::now() };
    let context = Context {
        registry: registry.clone(),
        metrics: metrics.clone(),
        named_sets: sets.clone(),
        stop: stop.clone(),
        about,
    };
    tokio::spawn(facade.serve(context));
    World { address, registry, sets, metrics, stop }
}

/// A shorthand for an instance to be registered.
#[derive(Clone, Debug)]
pub(crate) struct Some {
    pub(crate) namespace: &'static str,
    pub(crate) service: &'static str,
    pub(crate) node: Option<&'static str>,
    pub(crate) id: String,
    pub(crate) address: String,
    pub(crate) ports: Vec<(&'static str, u16)>,
    pub(crate) tags: Vec<&'static str>,
    pub(crate) weight: u32,
    pub(crate) warning_weight: Option<u32>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) status: Option<Status>,
}

pub(crate) fn some(service: &'static str, address: &str) -> Some {
    Some {
        namespace: "default",
        service,
        node: None,
        id: format!("{service}-{address}"),
        address: address.to_owned(),
        ports: vec![("", 80)],
        tags: Vec::new(),
        weight: 1,
        warning_weight: None,
        lifecycle: Lifecycle::Up,
        status: None,
    }
}

impl World {
    pub(crate) async fn register(&self, some: Some) -> Arc<InstanceKey> {
        let name = |text| Named::parse("name", text).unwrap();
        let key = Arc::new(InstanceKey {
            namespace: name(some.namespace),
            service: name(some.service),
            node: some.node.map(name),
            id: Id::parse("id", &some.id).unwrap(),
        });
        let ports = some.ports.iter().map(|(name, number)| Port { name: (*name).into(), number: *number });
        let instance = Instance {
            key: key.clone(),
            address: some.address.into(),
            ports: ports.collect(),
            tags: Tags::new(some.tags.into_iter().map(Into::into)).unwrap(),
            metadata: Metadata::default(),
            weight: some.weight,
            warning_weight: some.warning_weight,
            zone: None,
            lifecycle: some.lifecycle,
            lease: None,
            origin: "test".into(),
            annex: Annex::default(),
        };
        let check = |status| Check {
            key: CheckKey { owner: Owner::Instance(key.clone()), id: Id::parse("id", "c").unwrap() },
            name: "c".into(),
            notes: "".into(),
            probe: Probe::Manual,
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            thresholds: Thresholds::default(),
            status,
            output: "".into(),
            since_ms: 0,
            suspect: false,
            deregister_after: None,
            annex: Annex::default(),
        };
        let checks = some.status.map(|status| vec![check(status)]);
        self.registry
            .submit(&Caller::internal("test"), Register { instance, checks, keep: Keep::Forever })
            .await
            .unwrap();
        key
    }

    pub(crate) async fn node(&self, name: &str, address: &str, metadata: &[(&str, &str)]) {
        self.node_in("default", name, address, metadata).await;
    }

    pub(crate) async fn node_in(
        &self,
        namespace: &str,
        name: &str,
        address: &str,
        metadata: &[(&str, &str)],
    ) {
        let pairs = metadata.iter().map(|(key, value)| ((*key).into(), (*value).into()));
        let node = Node {
            key: NodeKey {
                namespace: Named::parse("namespace", namespace).unwrap(),
                node: Named::parse("node", name).unwrap(),
            },
            address: address.into(),
            metadata: Metadata::new(pairs).unwrap(),
            annex: Annex::default(),
        };
        self.registry.submit(&Caller::internal("test"), PutNode { node }).await.unwrap();
    }

    /// Over UDP, with EDNS of 1232 bytes.
    pub(crate) async fn ask(&self, question: &str) -> Message {
        self.udp(&query(question, Some(1232)).to_vec().unwrap()).await
    }

    pub(crate) async fn ask_tcp(&self, question: &str) -> Message {
        self.tcp(&query(question, None).to_vec().unwrap()).await
    }

    pub(crate) async fn udp(&self, message: &[u8]) -> Message {
        Message::from_vec(&self.udp_raw(message).await).unwrap()
    }

    pub(crate) async fn udp_raw(&self, message: &[u8]) -> Vec<u8> {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.address).await.unwrap();
        socket.send(message).await.unwrap();
        let mut buffer = vec![0; 65_535];
        let length = tokio::time::timeout(LONG, socket.recv(&mut buffer)).await.unwrap().unwrap();
        buffer.truncate(length);
        buffer
    }

    pub(crate) async fn tcp(&self, message: &[u8]) -> Message {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        Message::from_vec(&exchange(&mut stream, message).await).unwrap()
    }

    /// What is said to a question such as `web.service.consul A`.
    pub(crate) async fn check(&self, question: &str, expected: &str) {
        let over_udp = self.ask(question).await;
        assert_eq!(told(&over_udp), tidied(expected), "{question} over UDP");
        let over_tcp = self.ask_tcp(question).await;
        assert_eq!(told(&over_tcp), tidied(expected), "{question} over TCP");
    }
}

pub(crate) async fn exchange(stream: &mut TcpStream, message: &[u8]) -> Vec<u8> {
    let mut frame = u16::try_from(message.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(message);
    stream.write_all(&frame).await.unwrap();
    let read = async {
        let length = stream.read_u16().await.unwrap();
        let mut answer = vec![0; usize::from(length)];
        stream.read_exact(&mut answer).await.unwrap();
        answer
    };
    tokio::time::timeout(LONG, read).await.unwrap()
}

/// From text such as `web.service.consul A`.
pub(crate) fn query(question: &str, edns: Option<u16>) -> Message {
    let (name, rtype) = question.split_once(' ').unwrap();
    let name = Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).unwrap();
    // The decoder has no name for it.
    let rtype = if rtype == "IXFR" { RecordType::from(251) } else { rtype.parse().unwrap() };
    let mut message = Message::query();
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name, rtype));
    if let Some(size) = edns {
        let mut edns = Edns::new();
        edns.set_max_payload(size).set_version(0);
        message.set_edns(edns);
    }
    message
}

/// An answer in lines: the code and the flags, then the records behind `=` (answer), `~` (authority) and `+` (additional),
/// each section sorted, since answers are shuffled.
pub(crate) fn told(message: &Message) -> String {
    let metadata = &message.metadata;
    let mut head = format!("{:?}", metadata.response_code);
    let flags = [
        (metadata.authoritative, " aa"),
        (metadata.truncation, " tc"),
        (metadata.recursion_available, " ra"),
    ];
    head.extend(flags.into_iter().filter(|(set, _)| *set).map(|(_, word)| word));
    let section = |mark: &str, records: &[Record]| {
        let mut lines: Vec<String> =
            records.iter().map(|record| format!("{mark} {}", line(record))).collect();
        lines.sort();
        lines
    };
    let mut lines = vec![head];
    lines.extend(section("=", &message.answers));
    lines.extend(section("~", &message.authorities));
    lines.extend(section("+", &message.additionals));
    lines.join("\n")
}

fn line(record: &Record) -> String {
    let data = match &record.data {
        // Its serial is the time.
        RData::SOA(soa) => {
            format!(
                "{} {} {} {} {} {}",
                soa.mname, soa.rname, soa.refresh, soa.retry, soa.expire, soa.minimum
            )
        }
        RData::TXT(text) => {
            let strings = text.txt_data.iter().map(|string| String::from_utf8_lossy(string).into_owned());
            strings.collect::<Vec<_>>().join("|")
        }
        other => other.to_string(),
    };
    format!("{} {} {} {data}", record.name, record.ttl, record.record_type())
}

fn tidied(expected: &str) -> String {
    expected.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The data of the answers, sorted.
pub(crate) fn answers(message: &Message) -> Vec<String> {
    let mut found: Vec<String> = message.answers.iter().map(|record| record.data.to_string()).collect();
    found.sort();
    found
}
