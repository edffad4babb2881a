use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::Stream;
use switchboard_model::{Lease, LeaseId, OnExpiry, Rejection};
use switchboard_registry::Renewed;
use switchboard_registry::plan::Grant;
use tonic::{Request, Response, Status, Streaming};

use super::{Client, Shared, State, client};
use crate::lens::{lease_from_wire, lease_to_wire};
use crate::plan::cost;
use crate::plan::revoke::RevokeFor;
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb as pb;
use crate::wire::etcdserverpb::lease_server::Lease as LeaseService;

/// In seconds; shorter ones are made longer, as etcd does.
const SHORTEST: i64 = 2;
const LONGEST: i64 = 9_000_000_000;

impl State {
    pub(crate) async fn grant(&self, client: &Client, ttl: i64, id: i64) -> Result<(LeaseId, i64), Refusal> {
        self.known(client)?;
        if ttl > LONGEST {
            return Err(refusal::TTL_TOO_LARGE);
        }
        self.admit(cost::LEASE).await?;
        let longest = i64::try_from(Lease::MAX_TTL.as_secs()).unwrap_or(i64::MAX);
        let ttl = ttl.clamp(SHORTEST, longest);
        let on_expiry = match self.config.revive_within.0 {
            Duration::ZERO => OnExpiry::Delete,
            linger => OnExpiry::Lapse { linger },
        };
        let grant =
            Grant { id: lease_from_wire(id), ttl: Duration::from_secs(ttl.unsigned_abs()), on_expiry };
        let granted = self.context.registry.submit(client, grant).await?;
        Ok((granted.reply, ttl))
    }

    /// The TTL that the lease has again; 0: there is no such lease any more.
    async fn renew(&self, client: &Client, id: i64) -> Result<i64, Refusal> {
        let registry = &self.context.registry;
        let view = registry.view(client)?;
        let who = self.who(client, &view)?;
        who.is_known(&view)?;
        let Some(id) = lease_from_wire(id) else { return Ok(0) };
        who.rights(&view).to_use_lease(self.keys(&view), id)?;
        let ttl = match registry.renew(id) {
            Ok(Renewed::Kept { ttl }) => ttl,
            Ok(Renewed::Late { .. }) => {
                // What is deleted on expiry does not come back; what lapsed does.
                let lapses = view.lease(id).is_some_and(|it| it.lease.on_expiry != OnExpiry::Delete);
                if !lapses {
                    return Ok(0);
                }
                registry.keep_alive(client, id).await?
            }
            Err(Rejection::NotFound { .. }) => return Ok(0),
            Err(rejection) => return Err(rejection.into()),
        };
        Ok(seconds(ttl))
    }

    pub(crate) async fn keep_alive(
        &self,
        client: &Client,
        request: &pb::LeaseKeepAliveRequest,
    ) -> Result<pb::LeaseKeepAliveResponse, Refusal> {
        let header = Some(self.current_header());
        let ttl = self.renew(client, request.id).await?;
        Ok(pb::LeaseKeepAliveResponse { header, id: request.id, ttl })
    }
}

/// Of what was granted. Others grant parts of seconds, too.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
}

/// Of what is left, as etcd counts it: a second that has begun is over, and so is some of the first tick.
fn whole_seconds(left: Duration) -> i64 {
    i64::try_from(left.saturating_sub(Duration::from_nanos(1)).as_secs()).unwrap_or(i64::MAX)
}

type Beats = Pin<Box<dyn Stream<Item = Result<pb::LeaseKeepAliveResponse, Status>> + Send>>;

#[async_trait]
impl LeaseService for Shared {
    type LeaseKeepAliveStream = Beats;

    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        let client = client(&request);
        let pb::LeaseGrantRequest { ttl, id } = request.into_inner();
        let (id, ttl) = self.grant(&client, ttl, id).await?;
        let header = Some(self.current_header());
        let id = lease_to_wire(Some(id));
        Ok(Response::new(pb::LeaseGrantResponse { header, id, ttl, error: String::new() }))
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        let client = client(&request);
        let view = self.context.registry.view(&client).map_err(Refusal::from)?;
        let who = self.who(&client, &view)?;
        who.is_known(&view)?;
        let id = lease_from_wire(request.get_ref().id).ok_or(refusal::LEASE_NOT_FOUND)?;
        self.admit(0).await?;
        let revoke = RevokeFor { who, lease: id, projections: self.projections.clone() };
        let revoked = self.context.registry.submit(&client, revoke).await.map_err(Refusal::from)?;
        revoked.reply?;
        let revision = revoked.revision;
        Ok(Response::new(pb::LeaseRevokeResponse { header: Some(self.header(revision)) }))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Beats>, Status> {
        let (state, client, stop) = (self.clone(), client(&request), self.context.stop.clone());
        let stopped = async move { stop.cancelled().await };
        let beats = request.into_inner().take_until(stopped).then(move |asked| {
            let state = state.clone();
            let client = client.clone();
            async move { Ok(State::keep_alive(&state, &client, &asked?).await?) }
        });
        Ok(Response::new(Box::pin(beats)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let pb::LeaseTimeToLiveRequest { id, keys } = *request.get_ref();
        let client = client(&request);
        let view = self.context.registry.view(&client).map_err(Refusal::from)?;
        let who = self.who(&client, &view)?;
        who.is_known(&view)?;
        let header = Some(self.header(view.revision()));
        let unknown =
            pb::LeaseTimeToLiveResponse { header, id, ttl: -1, ..pb::LeaseTimeToLiveResponse::default() };
        let Some(lease) = lease_from_wire(id) else { return Ok(Response::new(unknown)) };
        let Some(kept) = self.keys(&view).lease(lease) else { return Ok(Response::new(unknown)) };
        if keys {
            who.rights(&view).to_read_lease(self.keys(&view), lease)?;
        }
        let left = self.context.registry.remaining(lease).unwrap_or_default();
        let found = pb::LeaseTimeToLiveResponse {
            ttl: whole_seconds(left),
            granted_ttl: seconds(kept.lease.ttl),
            keys: if keys { self.keys(&view).of_lease(lease) } else { Vec::new() },
            ..unknown
        };
        Ok(Response::new(found))
    }

    /// Those that somebody granted; an instance's own lease is nobody else's.
    async fn lease_leases(
        &self,
        request: Request<pb::LeaseLeasesRequest>,
    ) -> Result<Response<pb::LeaseLeasesResponse>, Status> {
        let registry = &self.context.registry;
        let client = client(&request);
        let view = registry.view(&client).map_err(Refusal::from)?;
        let who = self.who(&client, &view)?;
        who.is_known(&view)?;
        let rights = who.rights(&view);
        let alive = |id| self.keys(&view).lease(id).is_some();
        let granted =
            view.leases(std::ops::Bound::Unbounded).filter(|it| !it.lease.implicit && alive(it.lease.id));
        let mut leases: Vec<(Option<Duration>, LeaseId)> =
            granted.map(|it| (registry.remaining(it.lease.id), it.lease.id)).collect();
        for (_, lease) in &leases {
            rights.to_read_lease(self.keys(&view), *lease)?;
        }
        leases.sort();
        let leases = leases.into_iter().map(|(_, id)| pb::LeaseStatus { id: lease_to_wire(Some(id)) });
        let header = Some(self.header(view.revision()));
        Ok(Response::new(pb::LeaseLeasesResponse { header, leases: leases.collect() }))
    }
}
