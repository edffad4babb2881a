use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use switchboard_model::Revision;
use switchboard_registry::Changes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::feed::{End, Feed};
use super::{Counted, Gone, Out};
use crate::facade::{Shared, State};
use crate::lens::event::events;
use crate::lens::range::KeyRange;
use crate::lens::revision_to_wire;
use crate::wire::MAX_MESSAGE;
use crate::wire::etcdserverpb as pb;
use crate::wire::mvccpb::Event;
use crate::wire::mvccpb::event::EventType;

/// Commits that are told in one answer at most, and the size from which no further one is added.
const COMMITS: usize = 1000;
const ENOUGH: usize = 256 * 1024;
/// The same for one that catches up, and whose client takes answers of any size or in pieces.
const ENOUGH_OF_THE_PAST: usize = 12 * 1024 * 1024;

/// One watcher of a stream.
pub(super) struct Watcher {
    pub(super) state: Shared,
    pub(super) id: i64,
    pub(super) range: KeyRange,
    pub(super) feed: Feed,
    pub(super) start: i64,
    /// What was compacted when it began. What keys were before that revision is not told: etcd has forgotten it, and
    /// Kubernetes takes such an event for the sign that it came too late.
    pub(super) compacted: i64,
    pub(super) without_puts: bool,
    pub(super) without_deletes: bool,
    pub(super) prev_kv: bool,
    pub(super) fragment: bool,
    pub(super) progress_notify: bool,
    pub(super) takes_any_size: bool,
    /// Whether it has not yet told what had happened when it began, or when it fell behind.
    pub(super) is_behind: bool,
    #[expect(dead_code, reason = "it counts as long as it is there")]
    pub(super) counted: Counted,
    pub(super) out: Out,
    pub(super) asked: mpsc::Receiver<oneshot::Sender<Synced>>,
}

/// How far a watcher is.
#[derive(Debug)]
pub(super) enum Synced {
    Through(Revision),
    /// It waits for a revision that has not happened.
    NotYet,
}

/// How a watcher goes on.
type Told = Result<(), Stop>;

enum Stop {
    Gone,
    End(End),
}

impl From<Gone> for Stop {
    fn from(_: Gone) -> Stop {
        Stop::Gone
    }
}

impl From<End> for Stop {
    fn from(end: End) -> Stop {
        Stop::End(end)
    }
}

/// A watcher that starts before everything that can still be read.
pub(super) fn compacted(state: &State, watch_id: i64, compact_revision: i64) -> pb::WatchResponse {
    let header = Some(state.bare_header());
    pb::WatchResponse { header, watch_id, canceled: true, compact_revision, ..pb::WatchResponse::default() }
}

impl Watcher {
    pub(super) async fn run(mut self) {
        let end = loop {
            match self.turn().await {
                Ok(()) => {}
                Err(Stop::Gone) => return,
                Err(Stop::End(end)) => break end,
            }
        };
        let last = match end {
            End::Compacted => Ok(compacted(&self.state, self.id, self.state.compact_revision())),
            // The client comes back and goes on where it was.
            End::Failed(refusal) => Err(refusal.into()),
        };
        let _ = self.out.send(last).await;
    }

    async fn turn(&mut self) -> Told {
        let quiet = self.next_notice();
        tokio::select! {
            changes = self.feed.next() => {
                let changes = changes?;
                self.tell(changes).await
            }
            Some(reply) = self.asked.recv() => {
                self.catch_up().await?;
                let _ = reply.send(self.synced());
                Ok(())
            }
            () = tokio::time::sleep_until(quiet), if self.progress_notify => {
                self.catch_up().await?;
                match self.synced() {
                    Synced::Through(revision) => self.say(revision, Vec::new(), false).await,
                    Synced::NotYet => Ok(()),
                }
            }
        }
    }

    /// A while from now, not the same for everyone. Anything that is told in between moves it.
    fn next_notice(&self) -> Instant {
        let interval = self.state.config.progress_interval.0.max(Duration::from_millis(100));
        Instant::now() + interval + interval.mul_f64(fastrand::f64() / 10.0)
    }

    fn synced(&self) -> Synced {
        let head = self.state.context.registry.head();
        let waits = u64::try_from(self.start).is_ok_and(|start| start > head.0.saturating_add(1));
        if waits { Synced::NotYet } else { Synced::Through(self.feed.cursor().min(head)) }
    }

    /// Tells everything that has happened.
    async fn catch_up(&mut self) -> Told {
        while let Some(changes) = self.feed.try_next().await? {
            self.tell(changes).await?;
        }
        Ok(())
    }

    /// Tells a commit, and those that have happened since as far as they fit into the same answer.
    async fn tell(&mut self, first: Arc<Changes>) -> Told {
        let mut told = self.events(&first);
        let mut revision = first.revision;
        let mut size: usize = told.iter().map(Message::encoded_len).sum();
        let takes_much = self.is_behind && (self.takes_any_size || self.fragment);
        let enough = if takes_much { ENOUGH_OF_THE_PAST } else { ENOUGH };
        let mut is_all = false;
        for _ in 1..COMMITS {
            if size > enough {
                break;
            }
            let Some(changes) = self.feed.try_next().await? else {
                is_all = true;
                break;
            };
            revision = changes.revision;
            let more = self.events(&changes);
            size += more.iter().map(Message::encoded_len).sum::<usize>();
            told.extend(more);
        }
        // The header of one that catches up says how new the store is, not how far this answer goes.
        let said = match (is_all, self.is_behind) {
            (true, false) => revision,
            (true, true) => self.feed.cursor(),
            (false, _) => self.state.context.registry.head(),
        };
        self.is_behind = !is_all;
        match size {
            _ if told.is_empty() => Ok(()),
            ..=MAX_MESSAGE => self.say(said, told, false).await,
            _ if self.fragment => self.tell_in_pieces(said, told).await,
            _ => self.say_much(said, told).await,
        }
    }

    async fn tell_in_pieces(&mut self, revision: Revision, events: Vec<Event>) -> Told {
        let (mut piece, mut size) = (Vec::new(), 0);
        for event in events {
            let more = event.encoded_len();
            if size + more > MAX_MESSAGE && !piece.is_empty() {
                self.say(revision, std::mem::take(&mut piece), true).await?;
                size = 0;
            }
            size += more;
            piece.push(event);
        }
        self.say(revision, piece, false).await
    }

    fn events(&self, changes: &Changes) -> Vec<Event> {
        let mut events = events(changes, &self.range, &self.state.projections);
        let (put, delete) = (i32::from(EventType::Put), i32::from(EventType::Delete));
        events.retain(|event| {
            !(self.without_puts && event.r#type == put || self.without_deletes && event.r#type == delete)
        });
        if !self.prev_kv || revision_to_wire(changes.revision) <= self.compacted {
            events.iter_mut().for_each(|event| event.prev_kv = None);
        }
        events
    }

    async fn say(&self, revision: Revision, events: Vec<Event>, fragment: bool) -> Told {
        let answer = pb::WatchResponse { fragment, ..self.answer(revision, events) };
        self.out.send(Ok(answer)).await.map_err(|_| Stop::Gone)
    }

    /// Waits until all before it were taken: of a client that does not read only one of these is kept.
    async fn say_much(&self, revision: Revision, events: Vec<Event>) -> Told {
        let mut places = self.out.reserve_many(self.out.max_capacity()).await.map_err(|_| Stop::Gone)?;
        if let Some(place) = places.next() {
            place.send(Ok(self.answer(revision, events)));
        }
        Ok(())
    }

    fn answer(&self, revision: Revision, events: Vec<Event>) -> pb::WatchResponse {
        let header = Some(self.state.header(revision));
        pb::WatchResponse { header, watch_id: self.id, events, ..pb::WatchResponse::default() }
    }
}
