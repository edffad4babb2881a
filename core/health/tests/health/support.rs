use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::time::Duration;

use switchboard_engine_memory::Memory;
use switchboard_health::{Config, Health};
use switchboard_model::{
    Annex, Check, CheckKey, Health as State, HttpProbe, Id, Instance, InstanceKey, Lifecycle, Metadata, Name,
    Owner, Port, Probe, Status, Tags, Target, Thresholds,
};
use switchboard_registry::plan::{Keep, Register};
use switchboard_registry::{Caller, Gate, OpenGate, Options, Registry};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub(crate) const TEST: Caller = Caller { through: "test", peer: None };

pub(crate) fn start(config: &Config) -> (Registry, Health) {
    start_behind(Arc::new(OpenGate), config)
}

pub(crate) fn start_behind(gate: Arc<dyn Gate>, config: &Config) -> (Registry, Health) {
    let registry = Registry::open(Arc::new(Memory::new()), Options::default(), gate);
    let health = switchboard_health::spawn(registry.clone(), config).unwrap();
    (registry, health)
}

/// An HTTP server that answers with the status it is told to; 0: it does not answer.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) status: Arc<AtomicU16>,
    /// Requests answered with the present status.
    pub(crate) asked: Arc<AtomicUsize>,
    /// Requests that are being answered, now and at most.
    pub(crate) open: Arc<AtomicUsize>,
    pub(crate) most: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn start(status: u16, takes: Duration) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Server {
            address: listener.local_addr().unwrap(),
            status: Arc::new(status.into()),
            asked: Arc::default(),
            open: Arc::default(),
            most: Arc::default(),
        };
        let answering = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answering.clone().answer(stream, takes));
            }
        });
        server
    }

    pub(crate) fn turn(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
        self.asked.store(0, Ordering::SeqCst);
    }

    async fn answer(self, mut stream: tokio::net::TcpStream, takes: Duration) {
        if stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let open = self.open.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(open, Ordering::SeqCst);
            match self.status.load(Ordering::SeqCst) {
                // Until the other side hangs up.
                0 => drop(stream.read(&mut [0; 1]).await),
                status => {
                    tokio::time::sleep(takes).await;
                    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n");
                    // No longer open once the other side can know.
                    self.open.fetch_sub(1, Ordering::SeqCst);
                    let _ = stream.write_all(answer.as_bytes()).await;
                    return;
                }
            }
            self.open.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

pub(crate) fn key(id: &str) -> Arc<InstanceKey> {
    let service = Name::parse("service", "user-service").unwrap();
    let node = Some(Name::parse("node", "node-1").unwrap());
    Arc::new(InstanceKey {
        namespace: Name::default_namespace(),
        service,
        node,
        id: Id::parse("id", id).unwrap(),
    })
}

/// An instance at an address of this machine with one check.
pub(crate) fn register(id: &str, address: SocketAddr, check: Check) -> Register {
    let instance = Instance {
        key: key(id),
        address: address.ip().to_string().into(),
        ports: [Port { name: "".into(), number: address.port() }].into(),
        tags: Tags::default(),
        metadata: Metadata::default(),
        weight: 1,
        warning_weight: None,
        zone: None,
        lifecycle: Lifecycle::Up,
        lease: None,
        origin: "test".into(),
        annex: Annex::default(),
    };
    let owner = Owner::Instance(key(id));
    let check = Check { key: CheckKey { owner, ..check.key }, ..check };
    Register { instance, checks: Some(vec![check]), keep: Keep::Forever }
}

/// A check that begins as passing, so that the first failures can be counted.
pub(crate) fn check(probe: Probe, interval: Duration) -> Check {
    Check {
        key: CheckKey { owner: Owner::Instance(key("i")), id: Id::parse("id", "web").unwrap() },
        name: "".into(),
        notes: "".into(),
        probe,
        interval,
        timeout: interval,
        thresholds: Thresholds { unhealthy: 3, healthy: 1 },
        status: Status::Passing,
        output: "".into(),
        since_ms: 0,
        suspect: false,
        deregister_after: None,
        annex: Annex::default(),
    }
}

pub(crate) fn http(path: &str) -> Probe {
    Probe::Http(Box::new(HttpProbe {
        target: Target::default(),
        method: "GET".into(),
        path: path.into(),
        headers: [].into(),
        body: "".into(),
        expect: [].into(),
        tls: None,
        tls_skip_verify: false,
    }))
}

pub(crate) fn state(registry: &Registry, id: &str) -> State {
    registry.view(&TEST).unwrap().instance(&key(id)).unwrap().health
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let started = tokio::time::Instant::now();
    while !is_so() {
        assert!(started.elapsed() < Duration::from_secs(10), "not within 10 s: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
