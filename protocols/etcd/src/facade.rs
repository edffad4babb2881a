//! The operations, one file per service: decode, ask the registry, encode.

mod alarms;
mod auth;
pub(crate) mod authority;
mod calls;
mod client;
mod cluster;
mod election;
mod front;
mod gateway;
mod health;
mod kv;
mod lease;
mod lock;
mod maintenance;
mod metrics;
mod plain;
mod quota;
mod snapshot;
mod turn;
mod unread;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use async_trait::async_trait;
use switchboard_facade::{
    Context, Facade, HttpMeters, Listener, Listening, Needs, keep_running, serve_http_through,
};
use switchboard_model::{Rejection, Revision};
use switchboard_registry::{Caller, View};
use tonic::Request;

use self::alarms::Alarms;
use self::auth::{Jwt, Passwords, Tokens};
use self::calls::Calls;
pub(crate) use self::client::Client;
use self::metrics::Meters;
use self::quota::Quota;
use self::snapshot::Snapshots;
use self::unread::Unread;
use crate::config::Config;
use crate::lens::keys::Keys;
use crate::lens::projection::Projections;
use crate::lens::revision_to_wire;
use crate::plan::identity::{Identify, Identity};
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb::ResponseHeader;

/// The version that clients are told: they switch features on by it, and it is of the line whose answers ours are.
pub(crate) const VERSION: &str = "3.6.14";
pub(crate) const STORAGE_VERSION: &str = "3.6.0";
/// Tasks between a commit and a watcher's connection: the watcher, and the stream that it shares.
const TURNS: usize = 3;
/// There are no elections here. Clients only want it never to go back.
pub(crate) const TERM: u64 = 2;

/// Binds the listener.
pub(crate) fn open(config: Config) -> anyhow::Result<Box<dyn Facade>> {
    config.check()?;
    let projections = Arc::new(config.projections()?);
    let jwt = auth::jwt(&config.auth_token)?;
    let listener = Listener::bind("etcd", &config.listen())?;
    Ok(Box::new(Etcd { config, listener, projections, jwt }))
}

struct Etcd {
    config: Config,
    listener: Listener,
    projections: Arc<Projections>,
    jwt: Option<Jwt>,
}

#[async_trait]
impl Facade for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn needs(&self) -> Needs {
        Needs { linearizable: true, history: true }
    }

    fn listening(&self) -> Vec<Listening> {
        vec![self.listener.listening("grpc, http")]
    }

    async fn serve(self: Box<Self>, context: Context) -> anyhow::Result<()> {
        let meters = HttpMeters::default();
        meters.register("etcd", &context.metrics);
        let (limits, stop) = (self.config.limits, context.stop.clone());
        let Some(identity) = identify(&context).await else { return Ok(()) };
        let advertise = match self.config.advertise.as_slice() {
            [] => {
                let scheme = if self.config.tls.is_some() { "https" } else { "http" };
                vec![format!("{scheme}://{}", self.listener.address())]
            }
            given => given.to_vec(),
        };
        let state = State {
            jwt: self.jwt,
            tokens: Tokens::new(self.config.auth_token_ttl.0),
            passwords: Passwords::new(self.config.bcrypt_cost),
            unread: Unread::new(self.config.unread_bytes),
            alarms: Alarms::default(),
            calls: Calls::default(),
            snapshots: Snapshots::default(),
            meters: Meters::default(),
            quota: Quota::new(self.config.quota_bytes),
            projections: self.projections,
            config: self.config,
            context,
            identity,
            advertise,
            compacted: AtomicI64::new(0),
            watch_streams: AtomicUsize::new(0),
            watchers: AtomicUsize::new(0),
        };
        let state = Shared(Arc::new(state));
        state.learn_alarms();
        state.meters.register(&state);
        let (alarmed, counting) = (state.clone(), state.clone());
        let follow_alarms = move || alarms::follow(alarmed.clone());
        let _alarms = keep_running("following etcd's alarms", stop.clone(), follow_alarms);
        let count = move || quota::follow(counting.clone());
        let _quota = keep_running("counting what etcd's keys take", stop.clone(), count);
        let traffic = state.meters.traffic.clone();
        let through = move |connection| authority::Readable::new(connection, traffic.clone());
        let front = front::Front::new(state);
        serve_http_through(self.listener, limits, meters, front, stop, through).await;
        Ok(())
    }
}

/// Who we are, as soon as that is kept. It also makes the first commit of an empty registry, so that, as clients
/// expect it, the first key that anyone puts is at revision 2.
async fn identify(context: &Context) -> Option<Identity> {
    let fresh = || fastrand::u64(1..).max(1);
    let wish = Identify(Identity { cluster_id: fresh(), member_id: fresh() });
    loop {
        let identified = async {
            context.registry.loaded().await.map_err(|why| Rejection::invalid("registry", why))?;
            context.registry.submit(&Caller::internal("etcd"), wish).await
        };
        let why = tokio::select! {
            identified = identified => match identified {
                Ok(committed) => return Some(committed.reply),
                Err(rejection) => rejection,
            },
            () = context.stop.cancelled() => return None,
        };
        tracing::warn!(%why, "the cluster's identity cannot be kept yet; trying again");
        tokio::select! {
            () = tokio::time::sleep(std::time::Duration::from_millis(500)) => {}
            () = context.stop.cancelled() => return None,
        }
    }
}

/// What every operation needs.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) config: Config,
    pub(crate) context: Context,
    pub(crate) projections: Arc<Projections>,
    pub(crate) identity: Identity,
    pub(crate) advertise: Vec<String>,
    /// None: tokens are remembered ones.
    jwt: Option<Jwt>,
    tokens: Tokens,
    passwords: Passwords,
    unread: Arc<Unread>,
    alarms: Alarms,
    calls: Calls,
    snapshots: Snapshots,
    meters: Meters,
    quota: Quota,
    /// The newest revision that a client asked to compact.
    compacted: AtomicI64,
    /// Streams of watches that are open.
    pub(crate) watch_streams: AtomicUsize,
    /// And the watchers that are on them.
    pub(crate) watchers: AtomicUsize,
}

#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<State>);

impl std::ops::Deref for Shared {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl State {
    pub(crate) fn header(&self, revision: Revision) -> ResponseHeader {
        ResponseHeader { revision: revision_to_wire(revision), ..self.bare_header() }
    }

    /// Of answers that are not about keys.
    pub(crate) fn bare_header(&self) -> ResponseHeader {
        let Identity { cluster_id, member_id } = self.identity;
        ResponseHeader { cluster_id, member_id, revision: 0, raft_term: TERM }
    }

    pub(crate) fn current_header(&self) -> ResponseHeader {
        self.header(self.context.registry.head())
    }

    pub(crate) fn keys<'a>(&'a self, view: &'a View) -> Keys<'a> {
        Keys { at: view, projections: &self.projections }
    }

    /// The oldest revision that can be read; 0: all of them.
    pub(crate) fn compact_revision(&self) -> i64 {
        let floor = self.context.registry.floor();
        let ours = if floor > Revision::ZERO { revision_to_wire(floor.next()) } else { 0 };
        ours.max(self.compacted.load(Ordering::Acquire))
    }

    /// Lets watchers tell a commit before its writer is told. Nobody may count on it, and etcd does not promise it, but
    /// there it is nearly always so: go-kit closes its watch as soon as its delete is answered, and then waits to be told.
    pub(crate) async fn watchers_first(&self) {
        if self.watch_streams.load(Ordering::Relaxed) > 0 {
            for _ in 0..TURNS {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The snapshot that a read at `revision` is answered from; zero and less mean the newest, which is given.
    pub(crate) async fn view_at(
        &self,
        caller: &Caller,
        newest: &View,
        revision: i64,
    ) -> Result<View, Refusal> {
        let head = revision_to_wire(newest.revision());
        match u64::try_from(revision).unwrap_or(0) {
            0 => Ok(newest.clone()),
            _ if revision > head => Err(refusal::FUTURE),
            _ if revision < self.compact_revision() => Err(refusal::COMPACTED),
            _ if revision == head => Ok(newest.clone()),
            revision => Ok(self.context.registry.view_at(caller, Revision(revision)).await?),
        }
    }
}

pub(crate) fn client<T>(request: &Request<T>) -> Client {
    Client::of(request)
}
