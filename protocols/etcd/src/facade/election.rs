use std::pin::Pin;

use async_trait::async_trait;
use futures_util::stream::{self, Stream};
use tonic::{Code, Request, Response, Status};

use super::turn::{created_at, op, prefix_of, without_code};
use super::{Client, Shared, State, client};
use crate::lens::range::KeyRange;
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb::range_request::SortOrder;
use crate::wire::etcdserverpb::request_op::Request as Op;
use crate::wire::etcdserverpb::{DeleteRangeRequest, PutRequest, ResponseHeader, TxnRequest};
use crate::wire::mvccpb::KeyValue;
use crate::wire::mvccpb::event::EventType;
use crate::wire::v3electionpb as pb;
use crate::wire::v3electionpb::election_server::Election;

type Leaders = Pin<Box<dyn Stream<Item = Result<pb::LeaderResponse, Status>> + Send>>;

impl Shared {
    async fn leader_of(&self, client: &Client, name: &[u8]) -> Result<Option<KeyValue>, Refusal> {
        Ok(self.one_of(client, &prefix_of(name), SortOrder::Ascend, 0).await?.0)
    }

    /// Does something with the leader's key, as long as it is still that leader's.
    async fn as_leader(
        &self,
        client: &Client,
        leader: Option<&pb::LeaderKey>,
        wish: impl FnOnce(&pb::LeaderKey) -> Op,
    ) -> Result<(bool, Option<ResponseHeader>), Refusal> {
        let leader = leader.ok_or(refusal::LEADER_FIELD)?;
        let request = TxnRequest {
            compare: vec![created_at(&leader.key, leader.rev)],
            success: vec![op(wish(leader))],
            failure: Vec::new(),
        };
        let done = self.txn(client, request).await?;
        Ok((done.succeeded, done.header))
    }
}

#[async_trait]
impl Election for Shared {
    async fn campaign(
        &self,
        request: Request<pb::CampaignRequest>,
    ) -> Result<Response<pb::CampaignResponse>, Status> {
        let client = client(&request);
        let pb::CampaignRequest { name, lease, value } = request.into_inner();
        let mut place = self.join(&client, &name, lease, value.clone()).await.map_err(without_code)?;
        let (key, rev, lease) = (place.key.clone(), place.created, place.lease);
        let leader = pb::LeaderKey { name: name.clone(), key, rev, lease };
        // The same session again, with something else to say.
        if place.found.as_ref().is_some_and(|found| found.value != value) {
            let proclaimed = self.as_leader(&client, Some(&leader), |leader| proclamation(leader, value));
            proclaimed.await.map_err(without_code)?;
        }
        self.wait(&place, &name).await.map_err(without_code)?;
        place.keep();
        let header = Some(self.current_header());
        Ok(Response::new(pb::CampaignResponse { header, leader: Some(leader) }))
    }

    async fn proclaim(
        &self,
        request: Request<pb::ProclaimRequest>,
    ) -> Result<Response<pb::ProclaimResponse>, Status> {
        let client = client(&request);
        let pb::ProclaimRequest { leader, value } = request.into_inner();
        let proclaimed = self.as_leader(&client, leader.as_ref(), |leader| proclamation(leader, value));
        let (still, header) = proclaimed.await.map_err(without_code)?;
        if !still {
            return Err(Refusal::new(Code::Unknown, "election: not leader").into());
        }
        Ok(Response::new(pb::ProclaimResponse { header }))
    }

    async fn leader(
        &self,
        request: Request<pb::LeaderRequest>,
    ) -> Result<Response<pb::LeaderResponse>, Status> {
        let kv = self.leader_of(&client(&request), &request.get_ref().name).await.map_err(without_code)?;
        let kv = Some(kv.ok_or(refusal::ELECTION_NO_LEADER)?);
        Ok(Response::new(pb::LeaderResponse { header: Some(self.current_header()), kv }))
    }

    type ObserveStream = Leaders;

    /// Each leader, and each thing it proclaims, as they come.
    async fn observe(&self, request: Request<pb::LeaderRequest>) -> Result<Response<Leaders>, Status> {
        let client = client(&request);
        let observer =
            Observer { state: self.clone(), client, name: request.into_inner().name.to_vec(), told: None };
        let stop = self.context.stop.clone();
        let leaders = stream::unfold(Some(observer), |observer| async {
            let mut observer = observer?;
            match observer.next().await {
                Ok(leader) => Some((Ok(leader), Some(observer))),
                Err(refusal) => Some((Err(without_code(refusal)), None)),
            }
        });
        let stopped = async move { stop.cancelled().await };
        Ok(Response::new(Box::pin(futures_util::StreamExt::take_until(leaders, stopped))))
    }

    async fn resign(
        &self,
        request: Request<pb::ResignRequest>,
    ) -> Result<Response<pb::ResignResponse>, Status> {
        let client = client(&request);
        let leader = request.into_inner().leader;
        let resignation = |leader: &pb::LeaderKey| {
            Op::RequestDeleteRange(DeleteRangeRequest { key: leader.key.clone(), ..Default::default() })
        };
        let resigned = self.as_leader(&client, leader.as_ref(), resignation).await;
        let (_, header) = resigned.map_err(without_code)?;
        Ok(Response::new(pb::ResignResponse { header }))
    }
}

fn proclamation(leader: &pb::LeaderKey, value: bytes::Bytes) -> Op {
    Op::RequestPut(PutRequest { key: leader.key.clone(), value, lease: leader.lease, ..Default::default() })
}

struct Observer {
    state: Shared,
    client: Client,
    name: Vec<u8>,
    /// What was told last.
    told: Option<KeyValue>,
}

impl Observer {
    async fn next(&mut self) -> Result<pb::LeaderResponse, Refusal> {
        loop {
            let prefix = prefix_of(&self.name);
            let (leader, revision) = self.state.one_of(&self.client, &prefix, SortOrder::Ascend, 0).await?;
            if let Some(leader) = leader
                && self.told.as_ref() != Some(&leader)
            {
                self.told = Some(leader.clone());
                let header = Some(State::header(&self.state, revision));
                return Ok(pb::LeaderResponse { header, kv: Some(leader) });
            }
            // Whatever happens to the line may change who leads it, or what the leader says.
            let mut line = self.state.follow(&self.client, KeyRange::prefix(&prefix), revision)?;
            let event = line.next().await?;
            if let (Some(told), Some(kv)) = (&self.told, &event.kv)
                && event.r#type == i32::from(EventType::Put)
                && kv.key == told.key
                && kv.create_revision == told.create_revision
            {
                let header = kv.mod_revision.unsigned_abs();
                let header = Some(State::header(&self.state, switchboard_model::Revision(header)));
                self.told = Some(kv.clone());
                return Ok(pb::LeaderResponse { header, kv: event.kv.clone() });
            }
        }
    }
}
