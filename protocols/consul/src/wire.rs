//! Consul's words exactly as they are sent.

#[macro_use]
mod body;
mod catalog;
mod check;
mod coordinate;
mod out;
mod query;
mod service;

pub(crate) use catalog::{CatalogCheck, CatalogDeregister, CatalogRegister};
pub(crate) use check::{CheckBody, CheckUpdate};
pub(crate) use coordinate::{Coordinate, CoordinateEntry, CoordinateUpdate};
pub(crate) use out::*;
pub(crate) use query::{QueryBody, QueryDnsOut, QueryOut, ServiceQuery};
pub(crate) use service::ServiceBody;
