use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use switchboard_model::{DEFAULT_NAMESPACE, Metadata, Name, Port, Rejection, ServiceKey, Tags};

/// What is registered: one instance of a service.
///
/// ```
/// use std::time::Duration;
/// use switchboard::Registration;
///
/// let me = Registration::new("greeter", "10.0.0.5", 8080)?
///     .tags(&["v2"])?
///     .metadata("version", "2.1")?
///     .zone("eu-1")
///     .weight(5)
///     .ttl(Duration::from_secs(15));
/// assert!(Registration::new("greeter", "10.0.0.5", 0).is_err(), "nobody can be reached at port 0");
/// # Ok::<(), switchboard::Rejection>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Registration {
    pub(crate) service: ServiceKey,
    pub(crate) id: Arc<str>,
    pub(crate) host: Arc<str>,
    pub(crate) ports: Vec<Port>,
    pub(crate) tags: Tags,
    pub(crate) metadata: Metadata,
    pub(crate) weight: u32,
    pub(crate) zone: Option<Arc<str>>,
    pub(crate) ttl: Duration,
    pub(crate) heartbeat: Duration,
    pub(crate) check: Option<ActiveCheck>,
}

/// A check that the registry makes, instead of heartbeats that the instance sends.
///
/// ```
/// use std::time::Duration;
/// use switchboard::{ActiveCheck, Registration};
///
/// let interval = Duration::from_secs(5);
/// let me = Registration::new("greeter", "10.0.0.5", 8080)?
///     .check(ActiveCheck::Http { path: "/health".to_owned(), interval });
/// # Ok::<(), switchboard::Rejection>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActiveCheck {
    /// `GET` of this path on the main port must succeed.
    Http {
        /// The path, such as `/health`.
        path: String,
        /// How often.
        interval: Duration,
    },
    /// The main port must accept connections.
    Tcp {
        /// How often.
        interval: Duration,
    },
}

impl ActiveCheck {
    pub(crate) fn interval(&self) -> Duration {
        match self {
            ActiveCheck::Http { interval, .. } | ActiveCheck::Tcp { interval } => *interval,
        }
    }
}

impl Registration {
    /// An instance at this place, kept by a heartbeat every 10 seconds with a TTL of 30.
    ///
    /// Its id is `service-host-port`, so that the same process registers as the same instance after a restart.
    pub fn new(service: &str, host: &str, port: u16) -> Result<Registration, Rejection> {
        if port == 0 {
            return Err(Rejection::invalid("port", "must be between 1 and 65535"));
        }
        if host.is_empty() {
            return Err(Rejection::invalid("host", "must not be empty"));
        }
        let service = ServiceKey {
            namespace: Name::parse("namespace", DEFAULT_NAMESPACE)?,
            service: Name::parse("service", service)?,
        };
        Ok(Registration {
            id: Arc::from(format!("{}-{host}-{port}", service.service)),
            service,
            host: Arc::from(host),
            ports: vec![Port { name: Arc::from(""), number: port }],
            tags: Tags::default(),
            metadata: Metadata::default(),
            weight: 1,
            zone: None,
            ttl: Duration::from_secs(30),
            heartbeat: Duration::from_secs(10),
            check: None,
        })
    }

    /// In another namespace.
    pub fn namespace(mut self, namespace: &str) -> Result<Registration, Rejection> {
        self.service.namespace = Name::parse("namespace", namespace)?;
        Ok(self)
    }

    /// With another id.
    pub fn id(mut self, id: &str) -> Result<Registration, Rejection> {
        self.id = Arc::from(switchboard_model::Id::parse("id", id)?.as_str());
        Ok(self)
    }

    /// With one more port, under a name.
    #[must_use]
    pub fn port(mut self, name: &str, port: u16) -> Registration {
        self.ports.push(Port { name: Arc::from(name), number: port });
        self
    }

    /// With these labels.
    pub fn tags(mut self, tags: &[&str]) -> Result<Registration, Rejection> {
        self.tags = Tags::new(tags.iter().map(|tag| Arc::from(*tag)))?;
        Ok(self)
    }

    /// With one more pair of metadata; a key that is there already gets the new value.
    pub fn metadata(mut self, key: &str, value: &str) -> Result<Registration, Rejection> {
        let mut pairs: BTreeMap<Arc<str>, Arc<str>> =
            self.metadata.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        pairs.insert(Arc::from(key), Arc::from(value));
        self.metadata = Metadata::new(pairs)?;
        Ok(self)
    }

    /// With this share of the traffic relative to the others.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Registration {
        self.weight = weight;
        self
    }

    /// In this failure domain.
    #[must_use]
    pub fn zone(mut self, zone: &str) -> Registration {
        self.zone = Some(Arc::from(zone));
        self
    }

    /// Out of the set after this long without a heartbeat, which is sent three times as often.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Registration {
        self.ttl = ttl.max(Duration::from_millis(300));
        self.heartbeat = self.ttl / 3;
        self
    }

    /// With a heartbeat this often. A heartbeat that is not well within the TTL is sent three times within it.
    #[must_use]
    pub fn heartbeat(mut self, every: Duration) -> Registration {
        self.heartbeat = if every * 2 <= self.ttl { every } else { self.ttl / 3 };
        self
    }

    /// Without a TTL: the registry finds out by itself whether the instance is well.
    #[must_use]
    pub fn check(mut self, check: ActiveCheck) -> Registration {
        self.check = Some(check);
        self
    }

    /// The service it is an instance of.
    pub fn service(&self) -> &ServiceKey {
        &self.service
    }

    pub(crate) fn main_port(&self) -> u16 {
        self.ports.first().map_or(0, |port| port.number)
    }
}
