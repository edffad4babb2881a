//! Standing in line, as locks and elections do: keys of one prefix, each under a lease; whose is oldest has the turn.

use bytes::Bytes;
use switchboard_model::Revision;
use tonic::{Code, Status};

use super::watch::feed::{End, Feed};
use super::{Client, Shared, State};
use crate::lens::event::events;
use crate::lens::range::{End as RangeEnd, KeyRange, after_prefix};
use crate::refusal::Refusal;
use crate::wire::etcdserverpb as pb;
use crate::wire::etcdserverpb::compare::{CompareTarget, TargetUnion};
use crate::wire::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::wire::etcdserverpb::request_op::Request as Op;
use crate::wire::etcdserverpb::response_op::Response as Done;
use crate::wire::mvccpb::event::EventType;
use crate::wire::mvccpb::{Event, KeyValue};

/// What a session lives by if its client names no lease, in seconds. Nobody renews it.
const SESSION: i64 = 60;

/// A place in line. Whoever gives up waiting leaves it.
pub(super) struct Place {
    state: Shared,
    client: Client,
    pub(super) key: Bytes,
    pub(super) created: i64,
    pub(super) lease: i64,
    /// What stood there before, if the same session was in line already.
    pub(super) found: Option<KeyValue>,
    kept: bool,
}

impl Place {
    /// From now on it stays when this is dropped.
    pub(super) fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        // Whoever gave up was let in once; whether its token is still good does not matter for leaving.
        let (state, client) = (self.state.clone(), self.client.clone().itself());
        let request = pb::DeleteRangeRequest { key: self.key.clone(), ..pb::DeleteRangeRequest::default() };
        tokio::spawn(async move {
            if let Err(refusal) = State::delete(&state, &client, request).await {
                tracing::debug!(why = %refusal.text, "a place in line could not be left; its lease ends it");
            }
        });
    }
}

pub(super) fn prefix_of(name: &[u8]) -> Bytes {
    [name, b"/"].concat().into()
}

pub(super) fn created_at(key: &Bytes, revision: i64) -> pb::Compare {
    pb::Compare {
        target: CompareTarget::Create.into(),
        key: key.clone(),
        target_union: Some(TargetUnion::CreateRevision(revision)),
        ..pb::Compare::default()
    }
}

/// etcd stands in line by a client of its own, and a refusal loses its code on the way through that.
pub(super) fn without_code(refusal: Refusal) -> Status {
    Status::new(Code::Unknown, refusal.text)
}

pub(super) fn op(request: Op) -> pb::RequestOp {
    pb::RequestOp { request: Some(request) }
}

impl Shared {
    /// Takes a place, or finds the one that this lease has.
    pub(super) async fn join(
        &self,
        client: &Client,
        name: &[u8],
        lease: i64,
        value: Bytes,
    ) -> Result<Place, Refusal> {
        let lease = match lease {
            0 => crate::lens::lease_to_wire(Some(self.grant(client, SESSION, 0).await?.0)),
            given => given,
        };
        let key: Bytes = [name, b"/", format!("{lease:x}").as_bytes()].concat().into();
        let put = pb::PutRequest { key: key.clone(), value, lease, ..pb::PutRequest::default() };
        let get = pb::RangeRequest { key: key.clone(), ..pb::RangeRequest::default() };
        let request = pb::TxnRequest {
            compare: vec![created_at(&key, 0)],
            success: vec![op(Op::RequestPut(put))],
            failure: vec![op(Op::RequestRange(get))],
        };
        let done = self.txn(client, request).await?;
        let found = match done.responses.into_iter().next().and_then(|op| op.response) {
            Some(Done::ResponseRange(found)) => found.kvs.into_iter().next(),
            _ => None,
        };
        let now = done.header.map_or(0, |header| header.revision);
        let created = found.as_ref().map_or(now, |kv| kv.create_revision);
        let kept = found.is_some();
        Ok(Place { state: self.clone(), client: client.clone(), key, created, lease, found, kept })
    }

    /// Waits until everyone who came earlier has left.
    pub(super) async fn wait(&self, place: &Place, name: &[u8]) -> Result<(), Refusal> {
        let prefix = prefix_of(name);
        loop {
            let before = self
                .one_of(&place.client, &prefix, SortOrder::Descend, place.created.saturating_sub(1))
                .await?;
            let (Some(before), revision) = before else { break };
            self.gone(&place.client, before.key, revision).await?;
        }
        let get = pb::RangeRequest { key: place.key.clone(), ..pb::RangeRequest::default() };
        let ours = State::range(self, &place.client, &get).await?;
        match ours.kvs.first() {
            Some(kv) if kv.create_revision == place.created => Ok(()),
            _ => Err(Refusal::new(Code::Unknown, "mutex: session is expired")),
        }
    }

    /// The oldest or the newest key of the line, and the revision as of which it is that.
    pub(super) async fn one_of(
        &self,
        client: &Client,
        prefix: &[u8],
        order: SortOrder,
        max_create_revision: i64,
    ) -> Result<(Option<KeyValue>, Revision), Refusal> {
        let request = pb::RangeRequest {
            key: Bytes::copy_from_slice(prefix),
            range_end: after_prefix(prefix).map_or(Bytes::from_static(&[0]), Bytes::from),
            limit: 1,
            sort_order: order.into(),
            sort_target: SortTarget::Create.into(),
            max_create_revision,
            ..pb::RangeRequest::default()
        };
        let found = State::range(self, client, &request).await?;
        let revision = found.header.map_or(0, |header| header.revision);
        let revision = Revision(u64::try_from(revision).unwrap_or(0));
        Ok((found.kvs.into_iter().next(), revision))
    }

    pub(super) fn follow(
        &self,
        client: &Client,
        range: KeyRange,
        after: Revision,
    ) -> Result<Following, Refusal> {
        let view = self.context.registry.view(client)?;
        self.rights(client, &view)?.to_read_range(&range)?;
        let selector = self.projections.selector(&range);
        let feed = Feed::open(self.context.registry.clone(), **client, selector, after)?;
        Ok(Following { state: self.clone(), range, feed, told: Vec::new().into_iter() })
    }

    async fn gone(&self, client: &Client, key: Bytes, after: Revision) -> Result<(), Refusal> {
        let mut following = self.follow(client, KeyRange { start: key, end: RangeEnd::Only }, after)?;
        loop {
            if following.next().await?.r#type == i32::from(EventType::Delete) {
                return Ok(());
            }
        }
    }
}

/// The events of a range, one by one.
pub(super) struct Following {
    state: Shared,
    range: KeyRange,
    feed: Feed,
    told: std::vec::IntoIter<Event>,
}

impl Following {
    pub(super) async fn next(&mut self) -> Result<Event, Refusal> {
        loop {
            if let Some(event) = self.told.next() {
                return Ok(event);
            }
            let changes = self.feed.next().await.map_err(|end| match end {
                End::Compacted => crate::refusal::COMPACTED,
                End::Failed(refusal) => refusal,
            })?;
            self.told = events(&changes, &self.range, &self.state.projections).into_iter();
        }
    }
}
