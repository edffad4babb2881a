use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::backoff::Backoff;
use crate::last_known_good::LastKnownGood;
use crate::publisher::Publisher;
use crate::query::Query;
use crate::set::InstanceSet;
use crate::source::{Source, Updates};

/// How one query is followed: what whoever writes a source writes.
///
/// The crate's first page has a whole one.
///
/// ```
/// use switchboard_discover::{Feed, FeedError, Instance, Publisher, Query};
///
/// /// A feed that knows nobody, for ever.
/// struct Nobody;
///
/// #[async_trait::async_trait]
/// impl Feed for Nobody {
///     fn name(&self) -> &str {
///         "nobody"
///     }
///
///     async fn follow(&self, _: &Query, publisher: &Publisher) -> FeedError {
///         publisher.publish([], 1);
///         std::future::pending().await
///     }
/// }
/// ```
#[async_trait]
pub trait Feed: Send + Sync + 'static {
    /// What it is called in messages.
    fn name(&self) -> &str;

    /// Publishes the whole set now and after each change, until it cannot, and says why. It is called again after a
    /// pause. It is dropped when nobody wants the query any more, at whatever it waits for.
    async fn follow(&self, query: &Query, publisher: &Publisher) -> FeedError;
}

/// Why a feed cannot go on.
///
/// ```
/// assert_eq!(switchboard_discover::FeedError::new("it hung up").to_string(), "it hung up");
/// ```
#[derive(Clone, Debug, Error)]
#[error("{0}")]
pub struct FeedError(Arc<str>);

impl FeedError {
    /// For people.
    pub fn new(why: impl fmt::Display) -> FeedError {
        FeedError(Arc::from(why.to_string()))
    }
}

/// How a feed is run.
///
/// ```
/// use std::time::Duration;
/// use switchboard_discover::{LastKnownGood, SharedOptions};
///
/// let options = SharedOptions {
///     longest_pause: Duration::from_secs(60),
///     last_known_good: Some(LastKnownGood::in_folder("/var/lib/greeter/instances")),
///     ..SharedOptions::default()
/// };
/// ```
#[derive(Clone, Debug)]
pub struct SharedOptions {
    /// The pause after the first failure.
    pub pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
    /// Where sets are kept for the next start.
    pub last_known_good: Option<LastKnownGood>,
}

impl Default for SharedOptions {
    fn default() -> SharedOptions {
        SharedOptions {
            pause: Duration::from_millis(100),
            longest_pause: Duration::from_secs(10),
            last_known_good: None,
        }
    }
}

/// A feed that worked for this long starts again with short pauses. One that breaks sooner, however often, does not: a
/// registry that accepts and closes must not be asked in a tight loop.
const STABLE: Duration = Duration::from_secs(5);

/// A source made of a feed: each query is followed once, however many watch it.
///
/// Clones are the same source.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use switchboard_discover::{Query, Shared, Source};
///
/// # struct Asking;
/// # #[async_trait::async_trait]
/// # impl switchboard_discover::Feed for Asking {
/// #     fn name(&self) -> &str { "asking" }
/// #     async fn follow(&self, _: &Query, publisher: &switchboard_discover::Publisher) -> switchboard_discover::FeedError {
/// #         publisher.publish([], 1);
/// #         std::future::pending().await
/// #     }
/// # }
/// let source = Shared::new(Asking);
/// let query = Query::service("users").unwrap();
/// // Both read what one watch finds.
/// let (mut one, mut other) = (source.watch(&query), source.clone().watch(&query));
/// assert_eq!(one.ready().await, other.ready().await);
/// # }
/// ```
pub struct Shared<F> {
    inner: Arc<Inner<F>>,
}

struct Inner<F> {
    feed: Arc<F>,
    options: SharedOptions,
    watches: Mutex<HashMap<Query, Weak<Watch>>>,
}

struct Watch {
    sets: watch::Receiver<InstanceSet>,
    tasks: Vec<JoinHandle<()>>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl<F: Feed> Shared<F> {
    /// With the default options.
    pub fn new(feed: F) -> Shared<F> {
        Shared::with(feed, SharedOptions::default())
    }

    /// With these options.
    pub fn with(feed: F, options: SharedOptions) -> Shared<F> {
        let watches = Mutex::default();
        Shared { inner: Arc::new(Inner { feed: Arc::new(feed), options, watches }) }
    }

    /// The feed.
    pub fn feed(&self) -> &F {
        &self.inner.feed
    }
}

impl<F: Feed> Source for Shared<F> {
    fn name(&self) -> &str {
        self.inner.feed.name()
    }

    fn watch(&self, query: &Query) -> Updates {
        let mut watches = self.inner.watches.lock();
        if let Some(watch) = watches.get(query).and_then(Weak::upgrade) {
            return Updates::new(watch.sets.clone(), watch);
        }
        watches.retain(|_, watch| watch.strong_count() > 0);
        let (publisher, sets) = Publisher::new(query.clone());
        let mut tasks = Vec::new();
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                if let Some(keeper) = &self.inner.options.last_known_good {
                    tasks.push(runtime.spawn(keeper.clone().keep(query.clone(), sets.clone())));
                }
                let (feed, options) = (self.inner.feed.clone(), self.inner.options.clone());
                tasks.push(runtime.spawn(drive(feed, query.clone(), publisher, options)));
            }
            Err(error) => publisher.lost(error),
        }
        let watch = Arc::new(Watch { sets: sets.clone(), tasks });
        watches.insert(query.clone(), Arc::downgrade(&watch));
        Updates::new(sets, watch)
    }
}

async fn drive<F: Feed>(feed: Arc<F>, query: Query, publisher: Publisher, options: SharedOptions) {
    if let Some(keeper) = &options.last_known_good {
        keeper.restore(&query, &publisher, feed.name()).await;
    }
    let mut backoff = Backoff::new(options.pause, options.longest_pause);
    loop {
        let (begun, before) = (Instant::now(), publisher.published());
        let error = feed.follow(&query, &publisher).await;
        tracing::warn!(target: "switchboard::discover", source = feed.name(), service = %query.service.service, %error, "the watch broke");
        publisher.lost(&error);
        if publisher.published() > before && begun.elapsed() >= STABLE {
            backoff.reset();
        }
        tokio::time::sleep(backoff.next(fastrand::f64())).await;
    }
}

impl<F> Clone for Shared<F> {
    fn clone(&self) -> Shared<F> {
        Shared { inner: self.inner.clone() }
    }
}

impl<F: Feed> fmt::Debug for Shared<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("name", &self.name()).finish_non_exhaustive()
    }
}
