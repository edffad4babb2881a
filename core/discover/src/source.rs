use std::any::Any;
use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::query::Query;
use crate::set::InstanceSet;

/// Where the instances of a service come from.
///
/// A source never fails: a registry that cannot be reached shows in the [`Freshness`](crate::Freshness) of the sets. It
/// watches from the first call of `watch` for a query until the last of its [`Updates`] is dropped.
///
/// ```
/// use switchboard_discover::{Fixed, Instance, Query, Source};
///
/// fn how_many(source: &dyn Source, service: &str) -> usize {
///     source.watch(&Query::service(service).unwrap()).current().instances.len()
/// }
/// assert_eq!(how_many(&Fixed::new([Instance::new("users", "a", "h", 1).unwrap()]), "users"), 1);
/// ```
pub trait Source: Send + Sync + 'static {
    /// What it is called in messages, such as `consul at 10.0.0.1:8500`.
    fn name(&self) -> &str;

    /// Starts watching, or joins whoever watches the same already. Returns at once.
    fn watch(&self, query: &Query) -> Updates;
}

impl fmt::Debug for dyn Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Source").field(&self.name()).finish()
    }
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn watch(&self, query: &Query) -> Updates {
        (**self).watch(query)
    }
}

/// The newest set, again and again.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use switchboard_discover::{Fixed, Instance, Query, Source};
///
/// let source = Fixed::new([]);
/// let mut users = source.watch(&Query::service("users").unwrap());
/// assert_eq!(users.current().instances.len(), 0);
/// source.set([Instance::new("users", "a", "h", 1).unwrap()]);
/// assert_eq!(users.next().await.instances.len(), 1);
/// # }
/// ```
#[derive(Clone)]
pub struct Updates {
    sets: watch::Receiver<InstanceSet>,
    /// The watch ends when the last of these is dropped.
    _watch: Arc<dyn Any + Send + Sync>,
}

impl Updates {
    /// What somebody sends into a channel. `watch` is kept as long as anyone has these updates.
    pub fn new(sets: watch::Receiver<InstanceSet>, watch: Arc<dyn Any + Send + Sync>) -> Updates {
        Updates { sets, _watch: watch }
    }

    /// The newest set.
    pub fn current(&mut self) -> InstanceSet {
        self.sets.borrow_and_update().clone()
    }

    /// The next set that is not the one seen last. Sets in between are left out. Waits for ever once there can be no
    /// more.
    pub async fn next(&mut self) -> InstanceSet {
        if self.sets.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.current()
    }

    /// The first set of which anything is known, now or later.
    pub async fn ready(&mut self) -> InstanceSet {
        let mut set = self.current();
        while set.freshness.is_never() {
            set = self.next().await;
        }
        set
    }
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Updates").field(&*self.sets.borrow()).finish()
    }
}
