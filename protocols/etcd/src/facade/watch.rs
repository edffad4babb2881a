//! Watches. One stream carries many watchers; each is a task of its own, so that one that has much to tell holds up no
//! other, and they meet only at the stream's way out.

pub(super) mod feed;
mod watcher;

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::Stream;
use switchboard_model::Revision;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Client, Shared, client};
use crate::lens::range::KeyRange;
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb as pb;
use crate::wire::etcdserverpb::watch_create_request::FilterType;
use crate::wire::etcdserverpb::watch_request::RequestUnion;
use crate::wire::etcdserverpb::watch_server::Watch as WatchService;
use feed::Feed;
use watcher::{Synced, Watcher};

/// Answers waiting to be written to one stream. A client that does not read is waited for here.
const WAITING: usize = 16;

/// An answer that is not about one watcher.
const NOBODY: i64 = -1;

pub(super) type Out = mpsc::Sender<Result<pb::WatchResponse, Status>>;

#[async_trait]
impl WatchService for Shared {
    type WatchStream = Pin<Box<dyn Stream<Item = Result<pb::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<Streaming<pb::WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let client = client(&request);
        Ok(Response::new(Box::pin(open(self.clone(), client, request.into_inner()))))
    }
}

/// Serves what is asked on `asked` until nobody reads the answers any more. That nothing more is asked ends nothing.
pub(super) fn open<S>(
    state: Shared,
    client: Client,
    asked: S,
) -> ReceiverStream<Result<pb::WatchResponse, Status>>
where
    S: Stream<Item = Result<pb::WatchRequest, Status>> + Send + 'static,
{
    let (out, answers) = mpsc::channel(WAITING);
    state.watch_streams.fetch_add(1, Ordering::Relaxed);
    let serving = Serving { state, client, out, watchers: HashMap::new(), next_id: 0 };
    tokio::spawn(serving.run(Box::pin(asked)));
    ReceiverStream::new(answers)
}

struct Serving {
    state: Shared,
    client: Client,
    out: Out,
    watchers: HashMap<i64, Handle>,
    next_id: i64,
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.state.watch_streams.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Handle {
    asks: mpsc::Sender<oneshot::Sender<Synced>>,
    task: AbortHandle,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

type Asked = Pin<Box<dyn Stream<Item = Result<pb::WatchRequest, Status>> + Send>>;

impl Serving {
    async fn run(mut self, mut asked: Asked) {
        let mut open = true;
        loop {
            let request = tokio::select! {
                request = asked.next(), if open => request,
                () = self.out.closed() => return,
                () = self.state.context.stop.cancelled() => {
                    let _ = self.out.try_send(Err(refusal::STOPPED.into()));
                    return;
                }
            };
            let Some(request) = request else {
                open = false;
                continue;
            };
            let done = match request.map(|request| request.request_union) {
                Ok(Some(RequestUnion::CreateRequest(request))) => self.create(request).await,
                Ok(Some(RequestUnion::CancelRequest(request))) => self.cancel(request.watch_id).await,
                Ok(Some(RequestUnion::ProgressRequest(_))) => self.progress().await,
                Ok(None) => Ok(()),
                Err(status) => {
                    let _ = self.out.send(Err(status)).await;
                    return;
                }
            };
            // Nobody reads the answers any more.
            if done.is_err() {
                return;
            }
        }
    }

    async fn create(&mut self, request: pb::WatchCreateRequest) -> Result<(), Gone> {
        self.watchers.retain(|_, watcher| !watcher.asks.is_closed());
        let registry = &self.state.context.registry;
        let head = registry.head();
        let created = pb::WatchResponse { created: true, ..self.answer(head) };
        let no = |reason: &str| pb::WatchResponse {
            watch_id: NOBODY,
            canceled: true,
            cancel_reason: reason.to_owned(),
            ..created.clone()
        };
        let key = if request.key.is_empty() { Bytes::from_static(&[0]) } else { request.key.clone() };
        let range = KeyRange::from_wire(&key, &request.range_end);
        if request.start_revision < 0 {
            return self.say(no(&refusal::COMPACTED.text)).await;
        }
        if let Err(refusal) = self.permit(&range) {
            return self.say(no(&refusal.in_go())).await;
        }
        if range.is_empty() {
            return self.say(no("mvcc: watcher range is empty")).await;
        }
        let Some(id) = self.id(request.watch_id) else {
            return self.say(no("mvcc: duplicate watch ID provided on the WatchStream")).await;
        };
        let after = match u64::try_from(request.start_revision) {
            Ok(start @ 1..) => Revision(start - 1),
            Ok(0) | Err(_) => head,
        };
        let selector = self.state.projections.selector(&range);
        let feed = match Feed::open(self.state.context.registry.clone(), *self.client, selector, after) {
            Ok(feed) => feed,
            Err(rejection) => return self.say(no(&Refusal::from(rejection).text)).await,
        };
        self.say(pb::WatchResponse { watch_id: id, ..created }).await?;
        let compact_revision = self.state.compact_revision();
        if request.start_revision > 0 && request.start_revision < compact_revision {
            return self.say(watcher::compacted(&self.state, id, compact_revision)).await;
        }
        let filtered = |filter: FilterType| request.filters.contains(&i32::from(filter));
        let (asks, asked) = mpsc::channel(1);
        let watcher = Watcher {
            state: self.state.clone(),
            id,
            range,
            feed,
            start: request.start_revision,
            compacted: compact_revision,
            without_puts: filtered(FilterType::Noput),
            without_deletes: filtered(FilterType::Nodelete),
            prev_kv: request.prev_kv,
            fragment: request.fragment,
            progress_notify: request.progress_notify,
            takes_any_size: self.client.is_etcds_own,
            is_behind: after < head,
            counted: Counted::new(&self.state),
            out: self.out.clone(),
            asked,
        };
        let task = tokio::spawn(watcher.run()).abort_handle();
        self.watchers.insert(id, Handle { asks, task });
        Ok(())
    }

    fn permit(&self, range: &KeyRange) -> Result<(), Refusal> {
        let view = self.state.context.registry.view(&self.client)?;
        self.state.rights(&self.client, &view)?.to_read_range(range)
    }

    /// From 0 upward, unless the client chose. None: the client chose one that is taken.
    fn id(&mut self, chosen: i64) -> Option<i64> {
        if chosen != 0 {
            return (!self.watchers.contains_key(&chosen)).then_some(chosen);
        }
        while self.watchers.contains_key(&self.next_id) {
            self.next_id += 1;
        }
        let id = self.next_id;
        self.next_id += 1;
        Some(id)
    }

    async fn cancel(&mut self, id: i64) -> Result<(), Gone> {
        if self.watchers.remove(&id).is_none() {
            return Ok(());
        }
        let head = self.state.context.registry.head();
        self.say(pb::WatchResponse { watch_id: id, canceled: true, ..self.answer(head) }).await
    }

    /// Answered once every watcher has told everything up to now; not at all while one of them waits for the future.
    async fn progress(&mut self) -> Result<(), Gone> {
        let mut told = self.state.context.registry.head();
        for watcher in self.watchers.values() {
            let (reply, synced) = oneshot::channel();
            if watcher.asks.send(reply).await.is_err() {
                continue;
            }
            match synced.await {
                Ok(Synced::Through(revision)) => told = told.min(revision),
                Ok(Synced::NotYet) => return Ok(()),
                // It ended meanwhile.
                Err(_) => {}
            }
        }
        self.say(pb::WatchResponse { watch_id: NOBODY, ..self.answer(told) }).await
    }

    fn answer(&self, revision: Revision) -> pb::WatchResponse {
        pb::WatchResponse { header: Some(self.state.header(revision)), ..pb::WatchResponse::default() }
    }

    async fn say(&self, answer: pb::WatchResponse) -> Result<(), Gone> {
        self.out.send(Ok(answer)).await.map_err(|_| Gone)
    }
}

/// A watcher that is there.
pub(super) struct Counted(Shared);

impl Counted {
    fn new(state: &Shared) -> Counted {
        state.watchers.fetch_add(1, Ordering::Relaxed);
        Counted(state.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.watchers.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Nobody reads the answers.
#[derive(Debug)]
pub(super) struct Gone;
