//! Register a service, find others, and call them by name.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use switchboard::{HttpClient, Native, Registrar, Registration};
//!
//! let registry = Native::at("http://127.0.0.1:7700")?;
//! let me = Registrar::start(registry.clone(), Registration::new("greeter", "10.0.0.5", 8080)?);
//! let http = HttpClient::new(registry.source());
//! let user = http.get("http://user-service/users/1").await?.text().await?; // balanced, retried elsewhere, ejects what fails
//! me.leave(std::time::Duration::from_secs(5)).await;           // drains, then deregisters; so does dropping it
//! # Ok(()) }
//! ```
//!
//! * **Sources** say which instances a service has: [`Native`], [`Consul`], [`Eureka`], `Dns`, `Etcd`, [`Fixed`] and [`File`]. Every
//!   [`Source`] gives whole sets with their [`Freshness`], by push where the system can; with all registries gone the
//!   known set stays in use, over a restart too ([`LastKnownGood`]).
//! * A **[`Registrar`]** registers, keeps alive, and registers again by itself after a lost lease, a registry that lost
//!   its data, or a lost network.
//! * **Clients** pick an instance for each call by one [`Policy`]: [`HttpClient`] by service name, [`GrpcChannel`] under
//!   any client that tonic generates, [`tower::Balanced`] for any `tower` service, and [`Pool::call`] under all of them.
//! * **[Targets](Resolvers)** name registry and service in one text, as gRPC does: `consul:///greeter`.
//!
//! What this crate does not know: how a registry keeps anything.
#![deny(missing_docs)]

mod body;
mod call;
mod clock;
mod consul;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "etcd")]
mod etcd;
mod eureka;
mod grpc;
mod http_client;
#[cfg(feature = "metrics")]
pub mod metrics;
mod native;
mod pool;
mod registrar;
mod registration;
mod resolve;
mod times;
pub mod tower;
mod wire;

pub use body::CallBody;
pub use call::{Attempt, CallError, FailedAttempt, Why};
pub use consul::Consul;
#[cfg(feature = "dns")]
pub use dns::{Dns, DnsError};
#[cfg(feature = "etcd")]
pub use etcd::{Etcd, EtcdForm};
pub use eureka::Eureka;
pub use grpc::{Connection, GrpcChannel, GrpcOptions};
pub use http_client::{HashKey, HttpAnswer, HttpBody, HttpClient, HttpError, HttpOptions, HttpRequest};
pub use native::Native;
pub use pool::{Picked, Pool, PoolError, PoolOptions, PoolStatus};
pub use registrar::{
    Registered, Registrar, RegistrarOptions, RegistrarStatus, Registry, RegistryError, shutdown_signal,
};
pub use registration::{ActiveCheck, Registration};
pub use resolve::{Resolver, Resolvers, Target, TargetError};
pub use switchboard_balance::{
    Algorithm, CircuitPolicy, EjectionPolicy, Fitness, LatencyPolicy, Ledger, NoPick, Outcome, Phase, Policy,
    PolicyError, Report, Rest, RetryPolicy, SlowStartPolicy, SubsetPolicy, TripRules, ZoneMode, ZonePolicy,
    hash_of,
};
pub use switchboard_discover::{
    Backoff, Difference, Feed, FeedError, File, Fixed, Freshness, Health, Id, Instance, InstanceKey,
    InstanceSet, LastKnownGood, Metadata, Name, Port, Publisher, Query, Rejection, Revision, ServiceKey,
    Shared, SharedOptions, Source, Tags, Updates, diff,
};
pub use times::Took;
pub use wire::AddressError;
