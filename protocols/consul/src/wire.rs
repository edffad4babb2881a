//! Consul's words exactly as they are sent.

#[macro_use]
mod body;
mod catalog;
mod check;
mod coordinate;
mod kv;
mod out;
mod query;
mod service;
mod session;
mod txn;

pub(crate) use catalog::{CatalogCheck, CatalogDeregister, CatalogRegister};
pub(crate) use check::{AgentCheckBody, CheckBody, CheckUpdate};
pub(crate) use coordinate::{Coordinate, CoordinateEntry, CoordinateUpdate};
pub(crate) use kv::Pair;
pub(crate) use out::*;
pub(crate) use query::{QueryBody, QueryDnsOut, QueryOut, ServiceQuery};
pub(crate) use service::{AgentServiceBody, LocalityBody, ServiceBody};
pub(crate) use session::{ServiceCheck, Session, SessionBody};
pub(crate) use txn::*;

/// What nobody has to be told: it is what there is when nothing is said.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
