use std::pin::Pin;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::Stream;
use switchboard_model::{Lease, LeaseId, OnExpiry, Rejection};
use switchboard_registry::plan::{Grant, Revoke};
use switchboard_registry::{Caller, Held, Renewed};
use tonic::{Request, Response, Status, Streaming};

use super::{Shared, State, caller};
use crate::lens::{lease_from_wire, lease_to_wire};
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb as pb;
use crate::wire::etcdserverpb::lease_server::Lease as LeaseService;

/// In seconds; shorter ones are made longer, as etcd does.
const SHORTEST: i64 = 2;
const LONGEST: i64 = 9_000_000_000;

impl State {
    pub(crate) async fn grant(&self, caller: &Caller, ttl: i64, id: i64) -> Result<(LeaseId, i64), Refusal> {
        if ttl > LONGEST {
            return Err(refusal::TTL_TOO_LARGE);
        }
        let longest = i64::try_from(Lease::MAX_TTL.as_secs()).unwrap_or(i64::MAX);
        let ttl = ttl.clamp(SHORTEST, longest);
        let grant = Grant {
            id: lease_from_wire(id),
            ttl: Duration::from_secs(ttl.unsigned_abs()),
            on_expiry: OnExpiry::Delete,
        };
        let granted = self.context.registry.submit(caller, grant).await?;
        Ok((granted.reply, ttl))
    }

    /// The TTL that the lease has again; 0: there is no such lease any more.
    async fn renew(&self, caller: &Caller, id: i64) -> Result<i64, Refusal> {
        let Some(id) = lease_from_wire(id) else { return Ok(0) };
        let registry = &self.context.registry;
        let ttl = match registry.renew(id) {
            Ok(Renewed::Kept { ttl }) => ttl,
            Ok(Renewed::Late { .. }) => {
                let view = registry.view(caller)?;
                // What is deleted on expiry does not come back; what lapsed does.
                let lapses = view.lease(id).is_some_and(|it| it.lease.on_expiry != OnExpiry::Delete);
                if !lapses {
                    return Ok(0);
                }
                registry.keep_alive(caller, id).await?
            }
            Err(Rejection::NotFound { .. }) => return Ok(0),
            Err(rejection) => return Err(rejection.into()),
        };
        Ok(seconds(ttl))
    }

    pub(crate) async fn keep_alive(
        &self,
        caller: &Caller,
        request: &pb::LeaseKeepAliveRequest,
    ) -> Result<pb::LeaseKeepAliveResponse, Refusal> {
        let header = Some(self.current_header());
        let ttl = self.renew(caller, request.id).await?;
        Ok(pb::LeaseKeepAliveResponse { header, id: request.id, ttl })
    }

    /// The keys that live by a lease, in order.
    fn keys_of(&self, view: &switchboard_registry::View, id: LeaseId) -> Vec<Bytes> {
        let held = view.lease(id).into_iter().flat_map(|lease| lease.holds.iter());
        let key = |held: &Held| match held {
            Held::Entry(key) => (*key.keyspace == *crate::lens::keyspace()).then(|| key.key.clone()),
            Held::Instance(key) => self.projections.0.iter().find_map(|by| by.write(key)),
        };
        let mut keys: Vec<Bytes> = held.filter_map(key).collect();
        keys.sort();
        keys
    }
}

/// Rounded up: a lease that is alive has time left.
fn seconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis().div_ceil(1000)).unwrap_or(i64::MAX)
}

type Beats = Pin<Box<dyn Stream<Item = Result<pb::LeaseKeepAliveResponse, Status>> + Send>>;

#[async_trait]
impl LeaseService for Shared {
    type LeaseKeepAliveStream = Beats;

    async fn lease_grant(
        &self,
        request: Request<pb::LeaseGrantRequest>,
    ) -> Result<Response<pb::LeaseGrantResponse>, Status> {
        let caller = caller(&request);
        let pb::LeaseGrantRequest { ttl, id } = request.into_inner();
        let (id, ttl) = self.grant(&caller, ttl, id).await?;
        let header = Some(self.current_header());
        let id = lease_to_wire(Some(id));
        Ok(Response::new(pb::LeaseGrantResponse { header, id, ttl, error: String::new() }))
    }

    async fn lease_revoke(
        &self,
        request: Request<pb::LeaseRevokeRequest>,
    ) -> Result<Response<pb::LeaseRevokeResponse>, Status> {
        let id = lease_from_wire(request.get_ref().id).ok_or(refusal::LEASE_NOT_FOUND)?;
        let revoked = self.context.registry.submit(&caller(&request), Revoke { id }).await;
        let revision = revoked.map_err(Refusal::from)?.revision;
        Ok(Response::new(pb::LeaseRevokeResponse { header: Some(self.header(revision)) }))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<pb::LeaseKeepAliveRequest>>,
    ) -> Result<Response<Beats>, Status> {
        let (state, caller, stop) = (self.clone(), caller(&request), self.context.stop.clone());
        let stopped = async move { stop.cancelled().await };
        let beats = request.into_inner().take_until(stopped).then(move |asked| {
            let state = state.clone();
            async move { Ok(State::keep_alive(&state, &caller, &asked?).await?) }
        });
        Ok(Response::new(Box::pin(beats)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<pb::LeaseTimeToLiveRequest>,
    ) -> Result<Response<pb::LeaseTimeToLiveResponse>, Status> {
        let pb::LeaseTimeToLiveRequest { id, keys } = *request.get_ref();
        let view = self.context.registry.view(&caller(&request)).map_err(Refusal::from)?;
        let header = Some(self.header(view.revision()));
        let unknown =
            pb::LeaseTimeToLiveResponse { header, id, ttl: -1, ..pb::LeaseTimeToLiveResponse::default() };
        let Some(lease) = lease_from_wire(id) else { return Ok(Response::new(unknown)) };
        let Some(kept) = view.lease(lease) else { return Ok(Response::new(unknown)) };
        let left = self.context.registry.remaining(lease).unwrap_or_default();
        let found = pb::LeaseTimeToLiveResponse {
            ttl: seconds(left),
            granted_ttl: seconds(kept.lease.ttl),
            keys: if keys { self.keys_of(&view, lease) } else { Vec::new() },
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
        let view = registry.view(&caller(&request)).map_err(Refusal::from)?;
        let granted = view.leases(std::ops::Bound::Unbounded).filter(|it| !it.lease.implicit);
        let mut leases: Vec<(Option<Duration>, LeaseId)> =
            granted.map(|it| (registry.remaining(it.lease.id), it.lease.id)).collect();
        leases.sort();
        let leases = leases.into_iter().map(|(_, id)| pb::LeaseStatus { id: lease_to_wire(Some(id)) });
        let header = Some(self.header(view.revision()));
        Ok(Response::new(pb::LeaseLeasesResponse { header, leases: leases.collect() }))
    }
}
