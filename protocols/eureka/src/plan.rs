//! The intents that only Eureka has: registering by the rules of `lastDirtyTimestamp` and status overrides, laying a
//! status over an instance and taking it away, and adding metadata.

mod enrol;
mod metadata;
mod over;
mod status;

pub(crate) use enrol::{Enrol, Enrolled};
pub(crate) use metadata::AddMetadata;
pub(crate) use over::{Override, Restore};
