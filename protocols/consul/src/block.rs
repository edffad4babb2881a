//! Blocking queries: an answer that waits until what was asked about has changed.

use switchboard_model::{Revision, Selector};
use switchboard_registry::{View, WatchEnd, What};

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

impl State {
    /// The snapshot to answer from, and its index. Waits, if the client asks for it, until something that `wakes` happens.
    pub(crate) async fn settle(
        &self,
        ask: &Ask,
        selector: impl FnOnce() -> Selector,
        wakes: impl Fn(&What) -> bool,
        index: impl Fn(&View) -> Index,
    ) -> Result<(View, u64), Refusal> {
        ask.check_datacenter(&self.here.datacenter)?;
        let registry = &self.context.registry;
        let view = registry.view(&ask.caller)?;
        let now = index(&view);
        let Some(blocking) = ask.blocking()? else { return Ok((view, now.value())) };
        let after = match now {
            Index::Exact(at) if at.0 > blocking.index => return Ok((view, at.0)),
            // Nothing happened to it up to here.
            Index::Exact(_) => view.revision(),
            Index::Shared(at) if at.0 <= blocking.index => view.revision(),
            Index::Shared(_) => Revision(blocking.index),
        };
        // A client from another life of this registry: it has to wait, and then learns that its index is of no use.
        let is_ahead = blocking.index > view.revision().0;
        drop(view);
        let waited = tokio::time::timeout(blocking.wait, async {
            if is_ahead {
                std::future::pending::<()>().await;
            }
            let mut watch = registry.watch(&ask.caller, &selector(), after)?;
            loop {
                match watch.next().await {
                    Ok(delivery) if delivery.items().any(|change| wakes(&change.what)) => {
                        return Ok(delivery.revision());
                    }
                    Ok(_) => {}
                    Err(WatchEnd::Stopping) => return Err(Refusal::is_leaderless()),
                    // More happened than anyone can tell: the client had better look.
                    Err(
                        WatchEnd::Lagged { .. } | WatchEnd::Compacted { .. } | WatchEnd::Unavailable { .. },
                    ) => {
                        return Ok(Revision::ZERO);
                    }
                }
            }
        });
        let woken = tokio::select! {
            woken = waited => match woken {
                Ok(woken) => woken?,
                Err(_) => Revision::ZERO,
            },
            // Nobody is kept waiting for a server that is on its way out.
            () = self.context.stop.cancelled() => return Err(Refusal::is_leaderless()),
        };
        let view = registry.view(&ask.caller)?;
        let value = index(&view).value().max(woken.0);
        Ok((view, value))
    }
}
