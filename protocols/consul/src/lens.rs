//! The pure mapping between Consul's words and the model's.

mod alias;
mod check;
mod duration;
mod instance;
mod kv;
mod mesh;
mod meta;
mod node;
mod probe;
mod query;
mod session;
mod shown;
mod template;

use crate::refusal::Refusal;

pub(crate) use alias::Alias;
pub(crate) use check::{
    Place, alias_of, as_status, check_from_body, check_from_catalog, check_typed_by_definition, cut, tells_of,
};
pub(crate) use duration::GoDuration;
pub(crate) use instance::{
    Given, agent_service, at_node, catalog_row, instance_from_body, leads_to, maintained, maintenance_moved,
    service_to_wire,
};
pub(crate) use kv::{KEYS, PairWords, pair_key, pair_to_wire};
pub(crate) use node::{NodeGiven, NodeWords, has_id, node_from_words, node_id, node_to_wire};
pub(crate) use query::check_query;
pub(crate) use session::{
    DELAYS, Hold, LOCKS, LONGEST_DELAY, SESSIONS, Session, delay_key, hold_key, session_key, session_to_wire,
};
pub(crate) use shown::{HEARTBEAT, OUT_OF_SERVICE, check_to_wire, checks_of, checks_of_node};
pub(crate) use template::Template;

/// Consul's community edition knows one namespace and one partition.
pub(crate) fn default_only(field: &str, value: &str) -> Result<(), Refusal> {
    match value {
        "" | "default" => Ok(()),
        _ => Err(Refusal::bad(format!("Invalid {field}: there is only \"default\""))),
    }
}
