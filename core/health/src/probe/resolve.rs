use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

/// Finds the addresses of a name.
pub(crate) type Resolver = Arc<dyn Fn(Box<str>) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// A lookup occupies a thread until the system gives up on it, which can be long after the probe has: more than this
/// many at once would starve everyone else who needs threads.
const LOOKUPS: usize = 32;

/// The operating system's resolver.
pub(crate) fn system_resolver() -> Resolver {
    let lookups = Arc::new(Semaphore::new(LOOKUPS));
    Arc::new(move |name| {
        let lookups = lookups.clone();
        Box::pin(async move {
            let turn = lookups.acquire_owned().await.map_err(io::Error::other)?;
            let lookup = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                let found = (&*name, 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            });
            lookup.await.map_err(io::Error::other)?
        })
    })
}
