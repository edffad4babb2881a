//! etcd: a key for each instance under a prefix, kept by a lease.

mod form;
mod proto;
mod rpc;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use switchboard_discover::{Feed, FeedError, Instance, Publisher, Query, Shared, SharedOptions};
use switchboard_model::{Rejection, ServiceKey};

pub use form::EtcdForm;

use crate::registrar::{Registry, RegistryError};
use crate::registration::Registration;
use crate::wire::AddressError;
use proto::{Event, EventType, KeyValue};
use rpc::Rpc;

/// etcd v3, by gRPC.
///
/// An instance is a key `{prefix}/{service}/{id}` whose value has a form. It is a [`Registry`] to register with, and
/// [`Etcd::source`] watches it.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{Etcd, HttpClient, Registrar, Registration};
///
/// let etcd = Etcd::at("http://10.0.0.1:2379, http://10.0.0.2:2379")?.prefix("/prod/services");
/// let http = HttpClient::new(etcd.source());
/// // The key /prod/services/greeter/greeter-10.0.0.5-8080.
/// let me = Registrar::start(etcd, Registration::new("greeter", "10.0.0.5", 8080)?);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Etcd {
    rpc: Rpc,
    name: Arc<str>,
    prefix: Arc<str>,
    form: EtcdForm,
    /// The lease of each registration made here, and before it those that may still be about.
    leases: Arc<Mutex<HashMap<String, Vec<i64>>>>,
}

impl Etcd {
    /// At this address, such as `http://127.0.0.1:2379`; of several, separated by commas, whichever answers. With the
    /// prefix `/services` and values as JSON. Must be called within a tokio runtime.
    pub fn at(addresses: &str) -> Result<Etcd, AddressError> {
        let rpc = Rpc::to(addresses)?;
        let name = Arc::from(format!("etcd at {addresses}"));
        Ok(Etcd { rpc, name, prefix: Arc::from("/services"), form: EtcdForm::Json, leases: Arc::default() })
    }

    /// Under another prefix; no slash at its end.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Etcd {
        self.prefix = Arc::from(prefix.trim_end_matches('/'));
        self
    }

    /// With values of another form where instances are registered.
    #[must_use]
    pub fn form(mut self, form: EtcdForm) -> Etcd {
        self.form = form;
        self
    }

    /// What it knows about services.
    pub fn source(&self) -> Shared<Etcd> {
        Shared::new(self.clone())
    }

    /// The same with options, such as where to keep the last known good.
    pub fn source_with(&self, options: SharedOptions) -> Shared<Etcd> {
        Shared::with(self.clone(), options)
    }

    fn folder(&self, service: &ServiceKey) -> String {
        format!("{}/{}/", self.prefix, service.service)
    }

    fn key(&self, registration: &Registration) -> String {
        format!("{}{}", self.folder(&registration.service), registration.id)
    }

    /// What a key says. One that makes no sense is left out and said; the others are served.
    fn remember(&self, key: &str, lease: i64) {
        /// Of registrations that came to nothing; their leases end by themselves.
        const MOST: usize = 8;
        let mut all = self.leases.lock();
        let leases = all.entry(key.to_owned()).or_default();
        if leases.len() >= MOST {
            leases.remove(0);
        }
        leases.push(lease);
    }

    /// All leases but the one that is kept.
    fn forget(&self, key: &str, kept: Option<i64>) -> Vec<i64> {
        let mut all = self.leases.lock();
        let mut leases = all.remove(key).unwrap_or_default();
        if let Some(kept) = kept {
            leases.retain(|lease| *lease != kept);
            all.insert(key.to_owned(), vec![kept]);
        }
        leases
    }

    fn read(&self, query: &Query, folder: &str, entry: &KeyValue) -> Option<Instance> {
        let read = || -> Result<Instance, Rejection> {
            let key =
                std::str::from_utf8(&entry.key).map_err(|_| Rejection::invalid("key", "is not text"))?;
            let id = key.strip_prefix(folder).unwrap_or(key);
            let value =
                std::str::from_utf8(&entry.value).map_err(|_| Rejection::invalid("value", "is not text"))?;
            let mut instance = form::read(&query.service, id, value)?;
            instance.revision.0 = u64::try_from(entry.mod_revision).unwrap_or_default();
            Ok(instance)
        };
        match read() {
            Ok(instance) => Some(instance),
            Err(rejection) => {
                let key = String::from_utf8_lossy(&entry.key).into_owned();
                tracing::warn!(target: "switchboard::etcd", key, %rejection, "a key is not an instance");
                None
            }
        }
    }

    async fn run(
        &self,
        query: &Query,
        publisher: &Publisher,
    ) -> Result<std::convert::Infallible, rpc::RpcError> {
        let folder = self.folder(&query.service);
        let (entries, revision) = self.rpc.range(&folder).await?;
        let mut known: BTreeMap<Vec<u8>, Instance> = BTreeMap::new();
        for entry in &entries {
            if let Some(instance) = self.read(query, &folder, entry) {
                known.insert(entry.key.clone(), instance);
            }
        }
        publisher.publish(known.values().cloned(), unsigned(revision));
        let mut watch = self.rpc.watch(&folder, revision + 1).await?;
        loop {
            // A cancelled or compacted watch is an error here: everything is read anew after a pause.
            let (events, revision) = watch.next().await?;
            for Event { kind, entry } in events {
                let Some(entry) = entry else { continue };
                match (kind == EventType::Delete as i32, self.read(query, &folder, &entry)) {
                    (false, Some(instance)) => {
                        known.insert(entry.key, instance);
                    }
                    (true, _) | (false, None) => {
                        known.remove(&entry.key);
                    }
                }
            }
            publisher.publish(known.values().cloned(), unsigned(revision));
        }
    }
}

fn unsigned(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}

#[async_trait]
impl Feed for Etcd {
    fn name(&self) -> &str {
        &self.name
    }

    async fn follow(&self, query: &Query, publisher: &Publisher) -> FeedError {
        match self.run(query, publisher).await {
            Ok(never) => match never {},
            Err(error) => FeedError::new(format!("{}: {error}", self.name)),
        }
    }
}

#[async_trait]
impl Registry for Etcd {
    fn name(&self) -> String {
        self.name.to_string()
    }

    async fn register(&self, registration: &Registration) -> Result<(), RegistryError> {
        if registration.check.is_some() {
            return Err(RegistryError::refused("check: etcd makes no checks; register with a TTL"));
        }
        let key = self.key(registration);
        let value = self.form.write(registration).map_err(RegistryError::refused)?;
        // Whole seconds are all that etcd knows; a part of one would otherwise be lost.
        let seconds = i64::try_from(registration.ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let lease = self.rpc.grant(seconds).await?;
        // Written down before anything else is waited for: whoever gives up waiting here leaves by it.
        self.remember(&key, lease);
        self.rpc.put(&key, &value, lease).await?;
        for before in self.forget(&key, Some(lease)) {
            // It may be gone already.
            let _ = self.rpc.revoke(before).await;
        }
        Ok(())
    }

    async fn renew(&self, registration: &Registration) -> Result<(), RegistryError> {
        let key = self.key(registration);
        let Some(lease) = self.leases.lock().get(&key).and_then(|leases| leases.last().copied()) else {
            return Err(RegistryError::unknown("no lease was granted"));
        };
        if !self.rpc.keep_alive(lease).await? {
            return Err(RegistryError::unknown(format!("the lease {lease:x} is lost")));
        }
        match self.rpc.lease_of(&key).await? {
            Some(kept_by) if kept_by == lease => Ok(()),
            Some(_) => Err(RegistryError::unknown("the key is kept by another lease")),
            None => Err(RegistryError::unknown("the key is gone")),
        }
    }

    async fn drain(&self, registration: &Registration) -> Result<(), RegistryError> {
        // A key says that the instance is to be used, and nothing else.
        self.rpc.delete(&self.key(registration)).await?;
        Ok(())
    }

    async fn deregister(&self, registration: &Registration) -> Result<(), RegistryError> {
        let key = self.key(registration);
        self.rpc.delete(&key).await?;
        let mut done = Ok(());
        for lease in self.forget(&key, None) {
            done = done.and(self.rpc.revoke(lease).await);
        }
        Ok(done?)
    }

    fn afresh(&self) -> Arc<dyn Registry> {
        Arc::new(Etcd { rpc: self.rpc.afresh(), ..self.clone() })
    }
}

impl std::fmt::Debug for Etcd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Etcd").field(&self.name).finish()
    }
}
