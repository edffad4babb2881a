//! Work beside the listeners: it looks at everything there is, and then at what changes.

use std::future::Future;
use std::time::Duration;

use switchboard_registry::{Caller, Delivery, View, Watch, WatchEnd};

use super::Shared;

/// How long to wait when the registry gives nothing or takes no writes.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) fn me() -> Caller {
    Caller::internal("consul")
}

/// Begins with everything whenever a round ends: at once if changes were missed, and else after a while.
pub(super) async fn rounds<F>(state: Shared, round: impl Fn(Shared, View) -> F)
where
    F: Future<Output = Result<(), ()>>,
{
    let registry = &state.context.registry;
    if registry.loaded().await.is_err() {
        // Whoever started the registry says why, and ends the process.
        return std::future::pending().await;
    }
    loop {
        let done = match registry.view(&me()) {
            Ok(view) => round(state.clone(), view).await,
            Err(_) => Err(()),
        };
        if done.is_err() {
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// What has changed. None: some of it was missed, so that everything has to be looked at anew.
pub(super) async fn next(watch: &mut Watch) -> Result<Option<Delivery>, ()> {
    match watch.next().await {
        Ok(delivery) => Ok(Some(delivery)),
        Err(WatchEnd::Lagged { .. } | WatchEnd::Compacted { .. }) => Ok(None),
        // Nothing is written any more, so nothing is to be done, and nobody is to be asked again and again.
        Err(WatchEnd::Stopping) => std::future::pending().await,
        Err(WatchEnd::Unavailable { .. }) => Err(()),
    }
}
