//! The calls to etcd that are made here.

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
    pub(super) fn to(address: &str) -> Result<Rpc, AddressError> {
        let wrong = |why| AddressError { address: address.to_owned(), why };
        if !address.starts_with("http://") {
            return Err(wrong("must begin with http://; etcd is not spoken to by https yet"));
        }
        let endpoint = Endpoint::from_shared(address.to_owned()).map_err(|_| wrong("is not a URL"))?;
        let endpoint = endpoint
            .connect_timeout(Duration::from_secs(2))
            .http2_keep_alive_interval(Duration::from_secs(15))
            .keep_alive_timeout(Duration::from_secs(10))
            .keep_alive_while_idle(true);
        let channel = endpoint.connect_lazy();
        Ok(Rpc { endpoint, channel })
    }

    pub(super) fn afresh(&self) -> Rpc {
        Rpc { endpoint: self.endpoint.clone(), channel: self.endpoint.connect_lazy() }
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
        let mut grpc = self.ready().await?;
        let requests = tokio_stream::once(LeaseRequest { id });
        let path = PathAndQuery::from_static("/etcdserverpb.Lease/LeaseKeepAlive");
        let codec = ProstCodec::<LeaseRequest, LeaseKeepAliveResponse>::default();
        let work = async {
            let mut answers = grpc.streaming(Request::new(requests), path, codec).await?.into_inner();
            let answer = answers.message().await?;
            Ok::<_, RpcError>(answer.is_some_and(|answer| answer.ttl > 0))
        };
        within(work).await
    }

    /// What changes under a prefix from a revision on.
    pub(super) async fn watch(&self, prefix: &str, start_revision: i64) -> Result<Watching, RpcError> {
        let mut grpc = self.ready().await?;
        let (requests, sent) = mpsc::channel(1);
        let create = WatchCreateRequest { key: prefix.into(), range_end: after(prefix), start_revision };
        let first = WatchRequest { create: Some(create) };
        requests.send(first).await.map_err(|error| RpcError::Other(error.to_string()))?;
        let path = PathAndQuery::from_static("/etcdserverpb.Watch/Watch");
        let codec = ProstCodec::<WatchRequest, WatchResponse>::default();
        let work = async {
            Ok::<_, RpcError>(grpc.streaming(Request::new(ReceiverStream::new(sent)), path, codec).await?)
        };
        let answers = within(work).await?.into_inner();
        Ok(Watching { answers, _requests: requests })
    }

    async fn ask<Q, A>(&self, path: &'static str, request: Q) -> Result<A, RpcError>
    where
        Q: Message + 'static,
        A: Message + Default + 'static,
    {
        let mut grpc = self.ready().await?;
        let codec = ProstCodec::<Q, A>::default();
        let work = async {
            let answer = grpc.unary(Request::new(request), PathAndQuery::from_static(path), codec).await?;
            Ok::<_, RpcError>(answer.into_inner())
        };
        within(work).await
    }

    async fn ready(&self) -> Result<Grpc<Channel>, RpcError> {
        let mut grpc = Grpc::new(self.channel.clone());
        let ready = async { grpc.ready().await.map_err(|error| RpcError::Other(crate::wire::said(&error))) };
        within(ready).await?;
        Ok(grpc)
    }
}

async fn within<T>(work: impl Future<Output = Result<T, RpcError>>) -> Result<T, RpcError> {
    let result = tokio::time::timeout(ANSWER, work).await;
    result.unwrap_or_else(|_| Err(RpcError::Other(format!("no answer within {ANSWER:?}"))))
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
