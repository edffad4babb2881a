//! The pure mapping between Eureka's words and the model's.

mod from_wire;
mod identity;
mod to_wire;
mod words;

pub(crate) use from_wire::{Given, instance_from_wire, weight, zone};
pub(crate) use identity::{all_in, find, find_by_id, id_to_wire, namespace_from_wire, services};
pub(crate) use to_wire::{app_to_wire, instance_to_wire, overridden_to_wire, said_status, status_to_wire};
pub(crate) use words::{Gist, STATUS_CHECK, Words};

/// The protocol's name: the origin of what is registered through it, and the key of its words.
pub(crate) const ORIGIN: &str = "eureka";
