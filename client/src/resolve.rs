//! Registries and services written as one text, as gRPC does: `consul://127.0.0.1:8500/greeter`.

mod built_in;
mod target;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http_body::Body;
use parking_lot::Mutex;
use switchboard_discover::{LastKnownGood, Query, SharedOptions, Source};

pub use target::{Target, TargetError};

use crate::grpc::{GrpcChannel, GrpcOptions};

/// Makes a source of the part of a target that says which registry: what whoever adds a scheme writes.
///
/// ```
/// use std::sync::Arc;
/// use switchboard::{Fixed, Instance, Resolver, Resolvers, SharedOptions, Source, Target, TargetError};
///
/// /// `here:///users` is always the same instance.
/// struct Here;
///
/// impl Resolver for Here {
///     fn scheme(&self) -> &str {
///         "here"
///     }
///
///     fn source(&self, target: &Target, _: &SharedOptions) -> Result<Arc<dyn Source>, TargetError> {
///         let instance = Instance::new(target.service(), "one", "127.0.0.1", 8080);
///         Ok(Arc::new(Fixed::new([instance.map_err(|error| target.wrong(error))?])))
///     }
/// }
///
/// let resolvers = Resolvers::new().with(Here);
/// let (source, query) = resolvers.resolve("here:///users").unwrap();
/// assert_eq!(source.watch(&query).current().instances.len(), 1);
/// ```
pub trait Resolver: Send + Sync + 'static {
    /// What targets begin with, before `://`.
    fn scheme(&self) -> &str;

    /// The parameters that it knows beside `tag`, `namespace` and `unhealthy`. A target with any other is refused.
    fn parameters(&self) -> &[&str] {
        &[]
    }

    /// Which instances of it are wanted.
    fn query(&self, target: &Target) -> Result<Query, TargetError> {
        target.query(target.service())
    }

    /// The registry. It is asked once for all targets that differ in no more than the service.
    fn source(&self, target: &Target, options: &SharedOptions) -> Result<Arc<dyn Source>, TargetError>;
}

/// The schemes that targets may have.
///
/// | target | is |
/// |---|---|
/// | `switchboard://127.0.0.1:7700/greeter` | our own API; several addresses are separated by commas |
/// | `consul://127.0.0.1:8500/greeter` | Consul |
/// | `etcd://127.0.0.1:2379/greeter` | the keys `/services/greeter/…` in etcd, or under another `prefix`; `values` is `json`, `address` or `grpc-endpoint` |
/// | `etcd:///my/services/greeter` | the keys `my/services/greeter/…`, as etcd's own gRPC naming has them |
/// | `eureka://127.0.0.1:8761/GREETER` | Eureka |
/// | `dns:///greeter.example.com:50051` | each address is an instance; `dns://10.0.0.53/…` asks that server |
/// | `dns:///_grpc._tcp.greeter.example.com` | SRV records |
///
/// Without an address it is the usual port on this machine: `consul:///greeter`. `?tag=v2` wants instances with a tag (and
/// may be said several times), `?namespace=…` is the namespace. What is not understood is refused.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{GrpcChannel, HttpClient, LastKnownGood, Resolvers};
///
/// # let folder = std::env::temp_dir();
/// let resolvers = Resolvers::new().keep(LastKnownGood::in_folder(folder));
/// // These share one connection to Consul, and what they watch of it.
/// let greeter: GrpcChannel<tonic::body::Body> = resolvers.channel("consul:///greeter?tag=v2")?;
/// let orders: GrpcChannel<tonic::body::Body> = resolvers.channel("consul:///orders")?;
/// let http = HttpClient::new(resolvers.source("consul://")?);
///
/// let error = resolvers.source("zookeeper://").unwrap_err().to_string();
/// assert!(error.contains("consul, "), "the error says what is known: {error}");
/// # Ok(()) }
/// ```
pub struct Resolvers {
    resolvers: Vec<Arc<dyn Resolver>>,
    options: SharedOptions,
    /// By everything of the target that is not about the service.
    sources: Mutex<HashMap<String, Arc<dyn Source>>>,
}

/// Registries that one of these knows at once.
const MAX_SOURCES: usize = 256;

impl Resolvers {
    /// With all the schemes of the table.
    pub fn new() -> Resolvers {
        Resolvers { resolvers: built_in::all(), options: SharedOptions::default(), sources: Mutex::default() }
    }

    /// And one more; of two for the same scheme the last counts.
    #[must_use]
    pub fn with(mut self, resolver: impl Resolver) -> Resolvers {
        self.resolvers.insert(0, Arc::new(resolver));
        self
    }

    /// What is found is kept in files, and the next process starts from them if no registry can be reached.
    #[must_use]
    pub fn keep(mut self, last_known_good: LastKnownGood) -> Resolvers {
        self.options.last_known_good = Some(last_known_good);
        self
    }

    /// The source and the query of a target: what a channel of any other library needs to know.
    pub fn resolve(&self, target: &str) -> Result<(Arc<dyn Source>, Query), TargetError> {
        let target: Target = target.parse()?;
        let resolver = self.resolver_of(&target)?;
        let query = resolver.query(&target)?;
        Ok((self.source_of(resolver, &target)?, query))
    }

    /// The source of a target without a service, such as `consul://127.0.0.1:8500`.
    pub fn source(&self, registry: &str) -> Result<Arc<dyn Source>, TargetError> {
        let target: Target = registry.parse()?;
        if !target.service().is_empty() {
            let why = "names a service; a source is of all of them: Resolvers::resolve is what is meant";
            return Err(target.wrong(why));
        }
        self.source_of(self.resolver_of(&target)?, &target)
    }

    /// A channel to the service of the target.
    pub fn channel<B>(&self, target: &str) -> Result<GrpcChannel<B>, TargetError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.channel_with(target, GrpcOptions::default())
    }

    /// With other options.
    pub fn channel_with<B>(&self, target: &str, options: GrpcOptions) -> Result<GrpcChannel<B>, TargetError>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let (source, query) = self.resolve(target)?;
        GrpcChannel::with(&*source, &query, options).map_err(|error| TargetError::new(target, error))
    }

    fn resolver_of(&self, target: &Target) -> Result<&dyn Resolver, TargetError> {
        let found = self.resolvers.iter().find(|it| it.scheme().eq_ignore_ascii_case(target.scheme()));
        let Some(resolver) = found else {
            let known: Vec<&str> = self.resolvers.iter().map(|it| it.scheme()).collect();
            return Err(target.wrong(format!(
                "the scheme {:?} is none of {}; Resolvers::with adds one",
                target.scheme(),
                known.join(", ")
            )));
        };
        target.only_has(resolver.parameters())?;
        Ok(&**resolver)
    }

    fn source_of(&self, resolver: &dyn Resolver, target: &Target) -> Result<Arc<dyn Source>, TargetError> {
        let mut sources = self.sources.lock();
        let key = target.registry_key();
        if let Some(source) = sources.get(&key) {
            return Ok(source.clone());
        }
        if sources.len() >= MAX_SOURCES {
            return Err(target.wrong(format!("there are {MAX_SOURCES} registries already, and no more")));
        }
        let source = resolver.source(target, &self.options)?;
        sources.insert(key, source.clone());
        Ok(source)
    }
}

impl Default for Resolvers {
    fn default() -> Resolvers {
        Resolvers::new()
    }
}

impl fmt::Debug for Resolvers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let schemes: Vec<&str> = self.resolvers.iter().map(|it| it.scheme()).collect();
        f.debug_struct("Resolvers").field("schemes", &schemes).finish_non_exhaustive()
    }
}
