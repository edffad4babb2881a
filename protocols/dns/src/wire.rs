//! Messages exactly as they are sent: queries are read, names and records are encoded, answers are put together.
//! Knows no model.

mod name;
mod query;
mod record;
pub(crate) mod relay;
mod reply;
mod sheaf;

pub(crate) use name::DomainName;
pub(crate) use query::{Query, Unreadable};
pub(crate) use record::{Data, Soa, body};
pub(crate) use reply::{Bounds, Flags, Reply, Sections, cname_target};
pub(crate) use sheaf::{Owner, Sheaf, SheafBuilder};
