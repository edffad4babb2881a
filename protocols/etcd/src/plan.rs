//! The intents that only etcd has. Pure.

pub(crate) mod administer;
pub(crate) mod apply;
pub(crate) mod bring;
pub(crate) mod check;
pub(crate) mod compare;
pub(crate) mod cost;
pub(crate) mod find;
pub(crate) mod identity;
pub(crate) mod permit;
pub(crate) mod revoke;
pub(crate) mod sound;
mod spans;
mod writes;
