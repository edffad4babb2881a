//! Blocking queries: an answer that waits until what was asked about has changed.

use std::time::Duration;

use switchboard_model::{Revision, Selector};
use switchboard_registry::{Delivery, View, Watch, WatchEnd, What};

use crate::ask::Ask;
use crate::facade::State;
use crate::refusal::Refusal;

/// The index of what is asked about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Index {
    /// It moves when this changes and at no other time.
    Exact(Revision),
    /// It moves when this changes, and when its neighbours do: whether it was this is in the history.
    Shared(Revision),
}

impl Index {
    pub(crate) fn value(self) -> u64 {
        match self {
            Index::Exact(revision) | Index::Shared(revision) => revision.0,
        }
    }
}

/// What ended a wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Woken {
    /// This commit.
    By(Revision),
    /// More happened than anyone can tell: the client had better look.
    ByMuch,
    /// Its time is over.
    TooLate,
}

impl State {
    /// The snapshot to answer from, and its index. Waits, if the client asks for it, until something that `wakes` happens.
    pub(crate) async fn settle(
        &self,
        ask: &Ask,
        selector: impl FnOnce() -> Selector,
        wakes: impl Fn(&What) -> bool,
        index: impl Fn(&View) -> Index,
    ) -> Result<(View, u64), Refusal> {
        let registry = &self.context.registry;
        let view = registry.view(&ask.caller)?;
        let now = index(&view);
        let blocking = ask.blocking()?;
        let (given, head) = (Revision(blocking.index), view.revision());
        if given == Revision::ZERO {
            return Ok((view, now.value()));
        }
        let after = match now {
            Index::Exact(at) if at > given => return Ok((view, at.0)),
            // Nothing happened to it up to here.
            Index::Exact(at) | Index::Shared(at) if at == given => head,
            // Either it was one of its neighbours, or the client has its index from when there were some. An index from
            // another life of this registry has to be overtaken first.
            Index::Exact(_) | Index::Shared(_) => given.min(head),
        };
        drop(view);
        let mut watch = registry.watch(&ask.caller, &selector(), after)?;
        let is_news = |delivery: &Delivery| {
            delivery.revision() > given && delivery.items().any(|change| wakes(&change.what))
        };
        let woken = self.wait(&mut watch, blocking.wait, is_news).await?;
        let view = registry.view(&ask.caller)?;
        let value = index(&view).value();
        Ok(match woken {
            Woken::By(revision) => (view, value.max(revision.0)),
            Woken::ByMuch | Woken::TooLate => (view, value),
        })
    }

    /// Waits for a delivery that is news, at most so long.
    pub(crate) async fn wait(
        &self,
        watch: &mut Watch,
        most: Duration,
        is_news: impl Fn(&Delivery) -> bool,
    ) -> Result<Woken, Refusal> {
        let waited = tokio::time::timeout(most, async {
            loop {
                match watch.next().await {
                    Ok(delivery) if is_news(&delivery) => return Ok(Woken::By(delivery.revision())),
                    Ok(_) => {}
                    Err(WatchEnd::Stopping) => return Err(Refusal::is_leaderless()),
                    Err(
                        WatchEnd::Lagged { .. } | WatchEnd::Compacted { .. } | WatchEnd::Unavailable { .. },
                    ) => return Ok(Woken::ByMuch),
                }
            }
        });
        tokio::select! {
            woken = waited => woken.unwrap_or(Ok(Woken::TooLate)),
            // Nobody is kept waiting for a server that is on its way out.
            () = self.context.stop.cancelled() => Err(Refusal::is_leaderless()),
        }
    }
}
