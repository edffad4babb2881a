//! Where the instances of a service come from.
//!
//! A [`Source`] answers a [`Query`] with [`Updates`]: always the newest whole [`InstanceSet`], with its revision and how
//! fresh it is. Whoever reads slowly misses sets in between and never delays anyone.
//!
//! To write a source, write a [`Feed`]: one async function that follows one query and publishes whole sets until it
//! cannot. [`Shared`] makes a source of it: one watch however many ask the same, back-off with jitter, the known set
//! served as stale while the registry is away, and the last known good kept in a file for the next start. The feature
//! `suite` has tests that every source must pass.
//!
//! ```
//! use switchboard_discover::{Feed, FeedError, Instance, Publisher, Query, Shared, Source};
//!
//! /// A source that asks somebody every second.
//! struct Asking;
//!
//! #[async_trait::async_trait]
//! impl Feed for Asking {
//!     fn name(&self) -> &str {
//!         "asking"
//!     }
//!
//!     async fn follow(&self, query: &Query, publisher: &Publisher) -> FeedError {
//!         for revision in 1.. {
//!             let answer = Instance::new(query.service.service.as_str(), "a", "10.0.0.1", 80);
//!             match answer {
//!                 Ok(instance) => publisher.publish([instance], revision),
//!                 Err(error) => return FeedError::new(error),
//!             }
//!             tokio::time::sleep(std::time::Duration::from_secs(1)).await;
//!         }
//!         FeedError::new("out of revisions")
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let source = Shared::new(Asking);
//! let mut updates = source.watch(&Query::service("users").unwrap());
//! let users = updates.ready().await;
//! assert_eq!(users.instances[0].authority().unwrap(), "10.0.0.1:80");
//! assert!(users.freshness.is_fresh());
//! # }
//! ```
//!
//! What this crate does not know: how to reach any registry, and which instance takes a call.
#![deny(missing_docs)]

mod backoff;
mod diff;
mod feed;
mod file;
mod fixed;
mod instance;
mod last_known_good;
mod publisher;
mod query;
mod set;
mod source;
#[cfg(feature = "suite")]
pub mod suite;
mod written;

pub use backoff::Backoff;
pub use diff::{Difference, diff};
pub use feed::{Feed, FeedError, Shared, SharedOptions};
pub use file::File;
pub use fixed::Fixed;
pub use instance::Instance;
pub use last_known_good::LastKnownGood;
pub use publisher::Publisher;
pub use query::Query;
pub use set::{Freshness, InstanceSet};
pub use source::{Source, Updates};
/// The words that instances are made of.
pub use switchboard_model::{
    Health, Id, InstanceKey, Metadata, Name, Port, Rejection, Revision, ServiceKey, Tags,
};
