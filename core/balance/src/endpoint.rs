use std::sync::Arc;

use switchboard_model::{Health, Id, InstanceKey, Name, Rejection};

use crate::hash::hash_of;

/// An instance, as far as balancing is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Who it is. What is known about it is kept by this.
    pub key: Arc<InstanceKey>,
    /// Where it is. When this changes it is another process, and what was known about the former is forgotten.
    pub address: Arc<str>,
    /// Share of the traffic relative to the others; 0 takes no new calls.
    pub weight: u32,
    /// The failure domain it is in.
    pub zone: Option<Arc<str>>,
    /// What the registry thinks of it.
    pub fitness: Fitness,
}

impl Endpoint {
    /// An instance of the default namespace with weight 1.
    pub fn new(service: &str, id: &str) -> Result<Endpoint, Rejection> {
        let key = InstanceKey {
            namespace: Name::default_namespace(),
            service: Name::parse("service", service)?,
            node: None,
            id: Id::parse("id", id)?,
        };
        Ok(Endpoint::of(Arc::new(key)))
    }

    /// An instance with weight 1.
    pub fn of(key: Arc<InstanceKey>) -> Endpoint {
        Endpoint { key, address: Arc::from(""), weight: 1, zone: None, fitness: Fitness::Fit }
    }

    /// The same in every process: namespace, service, node and id.
    pub(crate) fn hash(&self) -> u64 {
        hash_of(self.key.to_string().as_bytes())
    }
}

/// What the registry thinks of an instance.
///
/// ```
/// use switchboard_balance::{Endpoint, Fitness};
///
/// let broken = Endpoint { fitness: Fitness::Failing, ..Endpoint::new("users", "a").unwrap() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fitness {
    /// To be used.
    #[default]
    Fit,
    /// Said to be broken: used only when so many are that the word is in doubt (the panic threshold).
    Failing,
    /// Not to be used whatever happens: it is starting, draining or was taken out by its owner.
    Away,
}

impl From<Health> for Fitness {
    fn from(health: Health) -> Fitness {
        match health {
            Health::Passing | Health::Warning | Health::Suspect => Fitness::Fit,
            Health::Critical | Health::Lapsed => Fitness::Failing,
            Health::Starting | Health::Draining | Health::OutOfService => Fitness::Away,
        }
    }
}
