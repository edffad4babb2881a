//! Consul's words exactly as they are sent.

#[macro_use]
mod body;
mod catalog;
mod check;
mod out;
mod service;

pub(crate) use catalog::{CatalogCheck, CatalogDeregister, CatalogRegister};
pub(crate) use check::{CheckBody, CheckUpdate};
pub(crate) use out::*;
pub(crate) use service::ServiceBody;
