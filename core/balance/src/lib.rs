//! Which instance takes the next call.
//!
//! A [`Balancer`] holds the instances of one service, as [`Endpoint`]s with whatever the caller needs to reach them. Each
//! call takes a [`Pick`] from it and tells the pick how the call ended; what calls tell is all the balancer knows about an
//! instance, besides what the registry says. One [`Policy`] says how all of it is done, for the client library and the
//! gateway alike.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//! use switchboard_balance::{Balancer, Endpoint, Ledger, Moment, Outcome, Policy, Request};
//!
//! let users = Balancer::new(Policy::default(), Arc::new(Ledger::new())).unwrap();
//! let here = Moment::START;
//! users.update(vec![
//!     (Endpoint::new("user-service", "a").unwrap(), "10.0.0.1:80"),
//!     (Endpoint::new("user-service", "b").unwrap(), "10.0.0.2:80"),
//! ], here);
//!
//! let mut random = 7_u64;
//! let mut dice = || { random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1); random };
//! let pick = users.pick(&Request::default(), here, &mut dice).unwrap();
//! assert!(pick.target().ends_with(":80"));
//! pick.finish(Outcome::Success, here + Duration::from_millis(20));
//! ```
//!
//! The way of a pick: `balancer` asks its `plan`, which says who may be picked at all (health, ejection, weights, zones)
//! and is made anew only when one of these changes; `pick` chooses among them; `state` is what is known about one
//! instance, kept by its key in a [`Ledger`] and shared by every balancer of the process.
//!
//! What this crate does not know: clocks, randomness, sockets, tasks and protocols. Time is a [`Moment`], chance is
//! [`Dice`], both are the caller's.
#![deny(missing_docs)]

mod balancer;
mod breaker;
mod budget;
mod core;
mod dice;
mod endpoint;
mod hash;
mod latency;
mod ledger;
mod member;
mod moment;
mod outcome;
mod pick;
mod plan;
mod policy;
mod request;
mod ribbon;
mod slow_start;
mod state;
mod subset;
mod window;

pub use balancer::Balancer;
pub use breaker::{Breaker, Phase, Verdict};
pub use budget::{RetryBudget, RetryPermit};
pub use dice::Dice;
pub use endpoint::{Endpoint, Fitness};
pub use hash::{hash_of, mix};
pub use latency::PeakEwma;
pub use ledger::Ledger;
pub use member::{Pick, Report};
pub use moment::Moment;
pub use outcome::{Outcome, retry_after_seconds};
pub use policy::{
    Algorithm, CircuitPolicy, EjectionPolicy, LatencyPolicy, Policy, PolicyError, Rest, RetryPolicy,
    SlowStartPolicy, SubsetPolicy, TripRules, ZoneMode, ZonePolicy,
};
pub use request::{NoPick, Request};
pub use ribbon::{ZoneRules, ZoneSnapshot, available_zones};
pub use slow_start::ramp;
pub use subset::subset;
pub use window::Window;
