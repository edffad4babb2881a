//! Commits after a revision, however far back it is: from memory as long as that reaches, otherwise from history.

use std::collections::VecDeque;
use std::sync::Arc;

use switchboard_model::{Rejection, Revision, Selector, Unavailable};
use switchboard_registry::{Caller, Changes, Registry, Replay, Watch, WatchEnd};

use crate::refusal::Refusal;

pub(crate) struct Feed {
    registry: Registry,
    caller: Caller,
    selector: Selector,
    source: Source,
    cursor: Revision,
}

enum Source {
    Live(Watch),
    Past { replay: Box<Replay>, page: VecDeque<Arc<Changes>> },
}

/// Why there is no more.
#[derive(Debug)]
pub(crate) enum End {
    Compacted,
    Failed(Refusal),
}

impl From<Rejection> for End {
    fn from(rejection: Rejection) -> End {
        match rejection {
            Rejection::Compacted { .. } => End::Compacted,
            other => End::Failed(other.into()),
        }
    }
}

impl From<WatchEnd> for End {
    fn from(end: WatchEnd) -> End {
        match end {
            WatchEnd::Compacted { .. } => End::Compacted,
            WatchEnd::Stopping | WatchEnd::Lagged { .. } => {
                End::Failed(Rejection::from(Unavailable::Stopping).into())
            }
            WatchEnd::Unavailable { why } => End::Failed(Rejection::from(Unavailable::Store { why }).into()),
        }
    }
}

impl Feed {
    pub(crate) fn open(
        registry: Registry,
        caller: Caller,
        selector: Selector,
        after: Revision,
    ) -> Result<Feed, Rejection> {
        let source = Source::Live(registry.watch(&caller, &selector, after)?);
        Ok(Feed { registry, caller, selector, source, cursor: after })
    }

    /// Everything up to here was given.
    pub(crate) fn cursor(&self) -> Revision {
        self.cursor
    }

    /// The next commit; waits for it. Nothing is lost when the wait is given up.
    pub(crate) async fn next(&mut self) -> Result<Arc<Changes>, End> {
        loop {
            if let Source::Live(watch) = &mut self.source {
                match watch.next().await {
                    Ok(delivery) => {
                        self.cursor = delivery.revision();
                        return Ok(delivery.changes);
                    }
                    Err(WatchEnd::Lagged { .. }) => self.look_back().await?,
                    Err(end) => return Err(end.into()),
                }
            }
            if let Some(changes) = self.past().await? {
                return Ok(changes);
            }
        }
    }

    /// The next commit if it has happened. None: everything up to `cursor` was given.
    pub(crate) async fn try_next(&mut self) -> Result<Option<Arc<Changes>>, End> {
        loop {
            if let Source::Live(watch) = &mut self.source {
                match watch.try_next().await {
                    Ok(Some(delivery)) => {
                        self.cursor = delivery.revision();
                        return Ok(Some(delivery.changes));
                    }
                    Ok(None) => {
                        self.cursor = self.cursor.max(watch.cursor());
                        return Ok(None);
                    }
                    Err(WatchEnd::Lagged { .. }) => self.look_back().await?,
                    Err(end) => return Err(end.into()),
                }
            }
            if let Some(changes) = self.past().await? {
                return Ok(Some(changes));
            }
        }
    }

    async fn look_back(&mut self) -> Result<(), End> {
        let replay = self.registry.replay(&self.caller, self.cursor).await?;
        self.source = Source::Past { replay: Box::new(replay), page: VecDeque::new() };
        Ok(())
    }

    /// None: history has been told, and what comes now is live.
    async fn past(&mut self) -> Result<Option<Arc<Changes>>, End> {
        loop {
            let Source::Past { replay, page } = &mut self.source else { return Ok(None) };
            if let Some(changes) = page.pop_front() {
                self.cursor = changes.revision;
                return Ok(Some(changes));
            }
            let told = replay.next().await?;
            if told.is_empty() {
                let cursor = replay.cursor();
                self.source = Source::Live(self.registry.watch(&self.caller, &self.selector, cursor)?);
                self.cursor = cursor;
                return Ok(None);
            }
            page.extend(told.into_iter().filter(|changes| changes.touch(&self.selector)).map(Arc::new));
        }
    }
}
