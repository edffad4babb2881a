//! Between the native API's words and the model's. Pure.

mod check;
mod instance;
mod register;
mod rest;

pub(crate) use check::{check_from_wire, check_to_wire, status_from_wire, within};
pub(crate) use instance::{change_to_wire, detail_to_wire, instance_to_wire, lifecycle_from_wire};
pub(crate) use register::{register_from_wire, registered_to_wire};
pub(crate) use rest::{
    KEYSPACE, entry_to_wire, lease_from_wire, lease_id_from_wire, lease_to_wire, node_from_wire,
    node_to_wire, service_to_wire, time_to_wire,
};
