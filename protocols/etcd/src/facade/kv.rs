use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use futures_util::stream::{self, Stream};
use prost::Message;
use switchboard_model::Revision;
use tonic::{Request, Response, Status};

use super::unread::weighed;
use super::{Client, Shared, State, client};
use crate::lens::range::KeyRange;
use crate::plan::apply::{self, Apply, Pasts, stamp};
use crate::plan::check;
use crate::plan::cost;
use crate::plan::find::find;
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb as pb;
use crate::wire::etcdserverpb::kv_server::Kv;
use crate::wire::etcdserverpb::request_op::Request as Op;
use crate::wire::etcdserverpb::response_op::Response as Done;

/// Bytes of one piece of a range that is told in pieces.
const PIECE: usize = 1024 * 1024;
/// And keys of the first of them.
const KEYS_AT_FIRST: usize = 10;

impl State {
    pub(crate) async fn range(
        &self,
        client: &Client,
        request: &pb::RangeRequest,
    ) -> Result<pb::RangeResponse, Refusal> {
        check::range(request)?;
        let newest = self.context.registry.view(client)?;
        self.rights(client, &newest)?.to_read(&request.key, &request.range_end)?;
        self.of_now(client, &newest)?;
        let view = self.view_at(client, &newest, request.revision).await?;
        let range = KeyRange::from_wire(&request.key, &request.range_end);
        let found = find(request, self.keys(&view).range(&range));
        self.meters.operations.ranged();
        // Whatever was read, the header says how new the store is.
        Ok(pb::RangeResponse { header: Some(self.header(newest.revision())), ..found })
    }

    /// Makes a checked request come true in one commit.
    pub(crate) async fn apply(&self, client: &Client, request: Op) -> Result<Done, Refusal> {
        let pasts = match &request {
            Op::RequestTxn(txn) => self.pasts(client, txn).await?,
            Op::RequestRange(_) | Op::RequestPut(_) | Op::RequestDeleteRange(_) => Pasts::default(),
        };
        if let Op::RequestTxn(txn) = &request
            && !apply::writes(txn)
        {
            let view = self.context.registry.view(client)?;
            self.rights(client, &view)?.to_ask(self.keys(&view), &request)?;
            self.of_now(client, &view)?;
            let now = self.context.registry.now();
            let mut done = Done::ResponseTxn(apply::read(&view, now, &self.projections, &pasts, txn)?);
            stamp(&mut done, self.bare_header(), view.revision());
            self.meters.operations.done(&done);
            return Ok(done);
        }
        self.admit(cost::of(&request)).await?;
        let who = self.who_now(client)?;
        let intent = Apply { who, request, projections: self.projections.clone(), pasts };
        let committed = self.context.registry.submit(client, intent).await?;
        self.watchers_first().await;
        let mut done = committed.reply?;
        self.meters.operations.done(&done);
        stamp(&mut done, self.bare_header(), committed.revision);
        Ok(done)
    }

    /// The earlier revisions that a transaction reads: looked up before it is planned, because planning waits for nothing.
    async fn pasts(&self, client: &Client, txn: &pb::TxnRequest) -> Result<Pasts, Refusal> {
        let mut wanted = Vec::new();
        apply::revisions(txn, &mut wanted);
        let mut found = HashMap::new();
        if !wanted.is_empty() {
            let newest = self.context.registry.view(client)?;
            for revision in wanted {
                found.insert(revision, self.view_at(client, &newest, revision).await);
            }
        }
        Ok(Pasts(found))
    }

    pub(crate) async fn put(
        &self,
        client: &Client,
        request: pb::PutRequest,
    ) -> Result<pb::PutResponse, Refusal> {
        check::put(&request)?;
        match self.apply(client, Op::RequestPut(request)).await? {
            Done::ResponsePut(response) => Ok(response),
            other => Err(mixed_up(&other)),
        }
    }

    pub(crate) async fn delete(
        &self,
        client: &Client,
        request: pb::DeleteRangeRequest,
    ) -> Result<pb::DeleteRangeResponse, Refusal> {
        check::delete(&request)?;
        match self.apply(client, Op::RequestDeleteRange(request)).await? {
            Done::ResponseDeleteRange(response) => Ok(response),
            other => Err(mixed_up(&other)),
        }
    }

    pub(crate) async fn txn(
        &self,
        client: &Client,
        request: pb::TxnRequest,
    ) -> Result<pb::TxnResponse, Refusal> {
        check::txn(&request, self.config.max_txn_ops)?;
        match self.apply(client, Op::RequestTxn(request)).await? {
            Done::ResponseTxn(response) => Ok(response),
            other => Err(mixed_up(&other)),
        }
    }
}

/// An operation is answered in its own kind.
fn mixed_up(other: &Done) -> Refusal {
    tracing::error!(?other, "an operation was answered as another one");
    refusal::UNHEALTHY
}

type Pieces<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[async_trait]
impl Kv for Shared {
    type RangeStreamStream = Pieces<pb::RangeStreamResponse>;

    async fn range(&self, request: Request<pb::RangeRequest>) -> Result<Response<pb::RangeResponse>, Status> {
        Ok(weighed(State::range(self, &client(&request), request.get_ref()).await?))
    }

    async fn range_stream(
        &self,
        request: Request<pb::RangeRequest>,
    ) -> Result<Response<Self::RangeStreamStream>, Status> {
        let whole = State::range(self, &client(&request), request.get_ref()).await?;
        Ok(weighed(whole).map(|whole| -> Self::RangeStreamStream {
            Box::pin(stream::iter(pieces(whole).into_iter().map(Ok)))
        }))
    }

    async fn put(&self, request: Request<pb::PutRequest>) -> Result<Response<pb::PutResponse>, Status> {
        Ok(Response::new(State::put(self, &client(&request), request.into_inner()).await?))
    }

    async fn delete_range(
        &self,
        request: Request<pb::DeleteRangeRequest>,
    ) -> Result<Response<pb::DeleteRangeResponse>, Status> {
        Ok(weighed(State::delete(self, &client(&request), request.into_inner()).await?))
    }

    async fn txn(&self, request: Request<pb::TxnRequest>) -> Result<Response<pb::TxnResponse>, Status> {
        Ok(weighed(State::txn(self, &client(&request), request.into_inner()).await?))
    }

    async fn compact(
        &self,
        request: Request<pb::CompactionRequest>,
    ) -> Result<Response<pb::CompactionResponse>, Status> {
        let client = client(&request);
        self.root(&client)?;
        self.admit(0).await?;
        let revision = request.get_ref().revision;
        let compacted = match self.compact_revision() {
            0 => -1,
            compacted => compacted,
        };
        if revision <= compacted {
            return Err(refusal::COMPACTED.into());
        }
        let head = self.context.registry.head();
        let wanted = Revision(u64::try_from(revision).unwrap_or(0));
        if wanted > head {
            return Err(refusal::FUTURE.into());
        }
        // The compacted revision itself can still be read and watched.
        let through = Revision(wanted.0.saturating_sub(1));
        self.context.registry.compact(&client, through).await.map_err(Refusal::from)?;
        self.compacted.fetch_max(revision, Ordering::AcqRel);
        Ok(Response::new(pb::CompactionResponse { header: Some(self.current_header()) }))
    }
}

/// Put together they are the answer: keys first, the rest with the last of them. The first piece is short, so that whoever
/// lists begins soon, and each is twice as long as the one before as long as that is not much.
fn pieces(whole: pb::RangeResponse) -> Vec<pb::RangeStreamResponse> {
    let pb::RangeResponse { header, kvs, more, count } = whole;
    let mut pieces = Vec::new();
    let (mut piece, mut size, mut keys) = (Vec::new(), 0, KEYS_AT_FIRST);
    let mut left = kvs.len();
    for kv in kvs {
        size += kv.encoded_len();
        piece.push(kv);
        left -= 1;
        if left > 0 && (piece.len() >= keys || size > PIECE) {
            let kvs = std::mem::take(&mut piece);
            pieces.push(pb::RangeResponse { kvs, ..pb::RangeResponse::default() });
            keys = keys.saturating_mul(2);
            size = 0;
        }
    }
    pieces.push(pb::RangeResponse { header, kvs: piece, more, count });
    let wrap = |piece| pb::RangeStreamResponse { range_response: Some(piece) };
    pieces.into_iter().map(wrap).collect()
}
