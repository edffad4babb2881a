use std::sync::Arc;

use switchboard_model::{Name, Rejection, ServiceKey};

use crate::instance::Instance;

/// Which instances are wanted.
///
/// ```
/// use switchboard_discover::{Instance, Query};
///
/// let query = Query::in_namespace("shop", "users")?.tag("v2");
/// assert!(!query.admits(&Instance::new("users", "a", "h", 1)?), "another namespace, and no such tag");
/// # Ok::<(), switchboard_discover::Rejection>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Query {
    /// Of which service.
    pub service: ServiceKey,
    /// Only instances that have all of these tags.
    pub tags: Vec<Arc<str>>,
    /// Those that should not be used as well, to look at. Calls never go to them unless too few others are left.
    pub with_unhealthy: bool,
}

impl Query {
    /// The instances of a service of the default namespace that should be used.
    pub fn service(service: &str) -> Result<Query, Rejection> {
        Query::in_namespace(switchboard_model::DEFAULT_NAMESPACE, service)
    }

    /// The instances of a service that should be used.
    pub fn in_namespace(namespace: &str, service: &str) -> Result<Query, Rejection> {
        let (namespace, service) = (Name::parse("namespace", namespace)?, Name::parse("service", service)?);
        Ok(Query { service: ServiceKey { namespace, service }, tags: Vec::new(), with_unhealthy: false })
    }

    /// Only those that have this tag, too.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> Query {
        self.tags.push(Arc::from(tag));
        self
    }

    /// Those that should not be used as well.
    #[must_use]
    pub fn with_unhealthy(mut self) -> Query {
        self.with_unhealthy = true;
        self
    }

    /// Whether the instance is one of those that are wanted.
    pub fn admits(&self, instance: &Instance) -> bool {
        let key = &instance.key;
        key.service == self.service.service
            && key.namespace == self.service.namespace
            && (self.with_unhealthy || instance.health.is_served())
            && self.tags.iter().all(|tag| instance.tags.contains(tag))
    }
}
