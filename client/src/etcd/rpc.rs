//! The calls to etcd that are made here.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::uri::PathAndQuery;
use prost::Message;
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codec::Streaming;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use tonic_prost::ProstCodec;

use super::proto::{
    DeleteRangeRequest, Done, Event, KeyValue, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveResponse,
    LeaseRequest, PutRequest, RangeRequest, RangeResponse, WatchCreateRequest, WatchRequest, WatchResponse,
};
use crate::registrar::RegistryError;
use crate::wire::AddressError;

const ANSWER: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub(super) struct Rpc {
    /// Members of one cluster.
    members: Arc<[Member]>,
    /// The one that is asked: whichever answered last.
    current: Arc<AtomicUsize>,
}

struct Member {
    endpoint: Endpoint,
    channel: Channel,
}

#[derive(Debug, Error)]
pub(super) enum RpcError {
    #[error("{}: {}", .0.code(), .0.message())]
    Status(#[from] Status),
    #[error("{0}")]
    Other(String),
}

impl RpcError {
    /// Another member of the cluster might do better.
    fn is_about_the_member(&self) -> bool {
        use tonic::Code::{Cancelled, Internal, Unavailable, Unknown};
        match self {
            RpcError::Status(status) => matches!(status.code(), Unavailable | Unknown | Internal | Cancelled),
            RpcError::Other(_) => true,
        }
    }

    /// With the member that it is about.
    fn at(self, member: &http::Uri) -> RpcError {
        match self {
            RpcError::Other(why) => RpcError::Other(format!("{member}: {why}")),
            RpcError::Status(status) => RpcError::Status(status),
        }
    }
}

impl From<RpcError> for RegistryError {
    fn from(error: RpcError) -> RegistryError {
        match &error {
            RpcError::Status(status) if status.code() == tonic::Code::NotFound => {
                RegistryError::unknown(error)
            }
            RpcError::Status(status)
                if matches!(status.code(), tonic::Code::InvalidArgument | tonic::Code::PermissionDenied) =>
            {
                RegistryError::refused(error)
            }
            RpcError::Status(_) | RpcError::Other(_) => RegistryError::unavailable(error),
        }
    }
}

impl Rpc {
    /// `addresses`: URLs, separated by commas.
    pub(super) fn to(addresses: &str) -> Result<Rpc, AddressError> {
        let members: Result<Vec<Member>, AddressError> =
            addresses.split(',').map(|address| Ok(Member::of(endpoint(address.trim())?))).collect();
        Ok(Rpc { members: members?.into(), current: Arc::default() })
    }

    pub(super) fn afresh(&self) -> Rpc {
        let members = self.members.iter().map(|member| Member::of(member.endpoint.clone()));
        Rpc { members: members.collect(), current: Arc::default() }
    }

    /// Everything under a prefix, and the revision that it is of.
    pub(super) async fn range(&self, prefix: &str) -> Result<(Vec<KeyValue>, i64), RpcError> {
        let request = RangeRequest { key: prefix.into(), range_end: after(prefix) };
        let answer: RangeResponse = self.ask("/etcdserverpb.KV/Range", request).await?;
        let revision = answer.header.map(|header| header.revision);
        Ok((answer.kvs, revision.ok_or_else(|| RpcError::Other("an answer without a revision".into()))?))
    }

    /// The lease that a key is kept by; None: there is no such key.
    pub(super) async fn lease_of(&self, key: &str) -> Result<Option<i64>, RpcError> {
        let request = RangeRequest { key: key.into(), range_end: Vec::new() };
        let answer: RangeResponse = self.ask("/etcdserverpb.KV/Range", request).await?;
        Ok(answer.kvs.first().map(|entry| entry.lease))
    }

    pub(super) async fn put(&self, key: &str, value: &str, lease: i64) -> Result<(), RpcError> {
        let request = PutRequest { key: key.into(), value: value.into(), lease };
        self.ask("/etcdserverpb.KV/Put", request).await.map(|Done {}| ())
    }

    pub(super) async fn delete(&self, key: &str) -> Result<(), RpcError> {
        let request = DeleteRangeRequest { key: key.into() };
        self.ask("/etcdserverpb.KV/DeleteRange", request).await.map(|Done {}| ())
    }

    pub(super) async fn grant(&self, seconds: i64) -> Result<i64, RpcError> {
        let request = LeaseGrantRequest { ttl: seconds };
        let answer: LeaseGrantResponse = self.ask("/etcdserverpb.Lease/LeaseGrant", request).await?;
        if answer.error.is_empty() { Ok(answer.id) } else { Err(RpcError::Other(answer.error)) }
    }

    /// One that is gone is no error.
    pub(super) async fn revoke(&self, id: i64) -> Result<(), RpcError> {
        match self.ask("/etcdserverpb.Lease/LeaseRevoke", LeaseRequest { id }).await {
            Ok(Done {}) => Ok(()),
            Err(RpcError::Status(status)) if status.code() == tonic::Code::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// False: there is no such lease.
    pub(super) async fn keep_alive(&self, id: i64) -> Result<bool, RpcError> {
        let requests = tokio_stream::once(LeaseRequest { id });
        let path = PathAndQuery::from_static("/etcdserverpb.Lease/LeaseKeepAlive");
        let codec = ProstCodec::<LeaseRequest, LeaseKeepAliveResponse>::default();
        self.at_a_member(async |grpc| {
            let mut answers = grpc.streaming(Request::new(requests), path, codec).await?.into_inner();
            let answer = answers.message().await?;
            Ok(answer.is_some_and(|answer| answer.ttl > 0))
        })
        .await
    }

    /// What changes under a prefix from a revision on.
    pub(super) async fn watch(&self, prefix: &str, start_revision: i64) -> Result<Watching, RpcError> {
        let (requests, sent) = mpsc::channel(1);
        let create = WatchCreateRequest { key: prefix.into(), range_end: after(prefix), start_revision };
        let first = WatchRequest { create: Some(create) };
        requests.send(first).await.map_err(|error| RpcError::Other(error.to_string()))?;
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let sent = Request::new(ReceiverStream::new(sent));
        let work = async |grpc: &mut Grpc<Channel>| Ok(grpc.streaming(sent, path, codec).await?);
        Ok(Watching { answers: self.at_a_member(work).await?.into_inner(), _requests: requests })
    }

    async fn ask<Q, A>(&self, path: &'static str, request: Q) -> Result<A, RpcError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let (path, codec) = (PathAndQuery::from_static(path), ProstCodec::<Q, A>::default());
        self.at_a_member(async |grpc| Ok(grpc.unary(Request::new(request), path, codec).await?.into_inner()))
            .await
    }

    /// Asks a member, and the next time another one if this one cannot be reached.
    async fn at_a_member<T>(
        &self,
        work: impl AsyncFnOnce(&mut Grpc<Channel>) -> Result<T, RpcError>,
    ) -> Result<T, RpcError> {
        let at = self.current.load(Ordering::Relaxed);
        let Some(member) = self.members.get(at % self.members.len()) else {
            return Err(RpcError::Other("no address".into()));
        };
        let mut grpc = Grpc::new(member.channel.clone());
        let all = async {
            grpc.ready().await.map_err(|error| RpcError::Other(crate::wire::said(&error)))?;
            work(&mut grpc).await
        };
        let result = tokio::time::timeout(ANSWER, all).await;
        let result = result.unwrap_or_else(|_| Err(RpcError::Other(format!("no answer within {ANSWER:?}"))));
        if result.as_ref().is_err_and(RpcError::is_about_the_member) {
            self.turn(at);
        }
        result.map_err(|error| error.at(member.endpoint.uri()))
    }

    /// The next time another member is asked, unless that is so already.
    fn turn(&self, from: usize) {
        let next = from.wrapping_add(1);
        // Whoever was faster has turned.
        let _ = self.current.compare_exchange(from, next, Ordering::Relaxed, Ordering::Relaxed);
    }
}

impl Member {
    fn of(endpoint: Endpoint) -> Member {
        Member { channel: endpoint.connect_lazy(), endpoint }
    }
}

fn endpoint(address: &str) -> Result<Endpoint, AddressError> {
    let wrong = |why| AddressError { address: address.to_owned(), why };
    let full = match address.split_once("://") {
        Some(("http", _)) => address.to_owned(),
        Some(_) => return Err(wrong("must begin with http://; etcd is not spoken to by https yet")),
        None if address.is_empty() => return Err(wrong("is empty")),
        None => format!("http://{address}"),
    };
    let endpoint = Endpoint::from_shared(full).map_err(|_| wrong("is not a URL"))?;
    Ok(endpoint
        .connect_timeout(Duration::from_secs(2))
        .http2_keep_alive_interval(Duration::from_secs(15))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true))
}

pub(super) struct Watching {
    answers: Streaming<WatchResponse>,
    /// The stream of requests must stay open for the watch to go on.
    _requests: mpsc::Sender<WatchRequest>,
}

impl Watching {
    /// The events of the next change, and its revision.
    pub(super) async fn next(&mut self) -> Result<(Vec<Event>, i64), RpcError> {
        loop {
            let answer = self.answers.message().await?;
            let answer = answer.ok_or_else(|| RpcError::Other("the watch ended".into()))?;
            if answer.canceled {
                let WatchResponse { compact_revision, cancel_reason, .. } = answer;
                return Err(RpcError::Other(format!(
                    "the watch was cancelled: {cancel_reason} (compacted up to {compact_revision})"
                )));
            }
            if !answer.events.is_empty() {
                let revision = answer.header.map_or(0, |header| header.revision);
                return Ok((answer.events, revision));
            }
        }
    }
}

/// The first key after all that begin with the prefix.
fn after(prefix: &str) -> Vec<u8> {
    let mut end: Vec<u8> = prefix.into();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}
