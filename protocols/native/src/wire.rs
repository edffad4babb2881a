//! The native API's words exactly as they are sent. Knows no model.

mod check;
mod entry;
mod error;
mod instance;
mod lease;
mod node;
mod number;
mod register;
mod service;
mod status;
mod watch;

pub(crate) use check::{Check, CheckBody, Kind, ReportBody, Status, StatusBody, Tls};
pub(crate) use entry::{Entries, Entry};
pub(crate) use error::{Code, Failure, Refusals};
pub(crate) use instance::{
    Instance, InstanceDetail, Instances, LifecycleBody, LifecycleWord, PortBody, Renewed, Transition,
};
pub(crate) use lease::{Granted, Lease, LeaseBody, Leases, OnExpiry};
pub(crate) use node::{Node, NodeBody, NodeDetail, Nodes};
pub(crate) use number::Seconds;
pub(crate) use register::{Done, RegisterBody, Registered};
pub(crate) use service::{Namespace, Namespaces, Service, ServiceInstances, Services, StatusWord};
pub(crate) use status::{Brake, RegistryStatus};
pub(crate) use watch::{Change, Changes};
