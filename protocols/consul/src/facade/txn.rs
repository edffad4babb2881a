//! `txn`: operations that happen together or not at all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::kv::too_large;
use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::{Ask, decode};
use crate::lens::{NodeGiven, check_to_wire, default_only, node_to_wire, pair_to_wire, service_to_wire};
use crate::plan::{Change, Op, PairWish, Place, Seen, Transact, Verb, Whose, Wish};
use crate::refusal::Refusal;
use crate::wire::{self, KvOpBody, NodeBody, OpBody, OpError, QueryMeta, TxnAnswer};

const MOST: usize = 128;
const LARGEST: usize = 512 * 1024;

pub(crate) async fn txn(state: Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let bytes = ask
        .bytes(&state.config.limits, LARGEST)
        .await
        .map_err(|why| too_large(why, &ask, "txn_max_req_len"))?;
    let bodies: Vec<OpBody> = decode(&bytes).map_err(|refusal| unparsable(&refusal.text))?;
    if bodies.len() > MOST {
        return Err(Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Transaction contains too many operations ({} > {MOST})", bodies.len()),
        ));
    }
    let only_reads = bodies.iter().all(only_reads);
    let (mut ops, mut errors) = (Vec::with_capacity(bodies.len()), Vec::new());
    for (op_index, body) in bodies.into_iter().enumerate() {
        match state.op(body)? {
            Ok(op) => ops.push(op),
            Err(what) => errors.push(OpError { op_index, what }),
        }
    }
    if !errors.is_empty() {
        return Ok(refused(errors, only_reads.then(|| meta(false))));
    }
    let wish = Transact { ops };
    let registry = &state.context.registry;
    let done = if only_reads {
        wish.read(&*registry.view(&ask.caller)?, registry.now())
    } else {
        registry.submit(&ask.caller, wish).await?.reply
    };
    let read = only_reads.then(|| meta(true));
    match done {
        Ok(seen) => {
            let results = Some(seen.iter().map(|seen| state.result(seen)).collect());
            Ok(Answer::json(&TxnAnswer { results, errors: None, read }).of_read(only_reads))
        }
        Err(errors) => Ok(refused(errors, read)),
    }
}

fn refused(errors: Vec<OpError>, read: Option<QueryMeta>) -> Answer {
    let only_reads = read.is_some();
    let answer = TxnAnswer { results: None, errors: Some(errors), read };
    Answer::json(&answer).with_status(StatusCode::CONFLICT).of_read(only_reads)
}

/// The index says nothing: a transaction does not block.
fn meta(was_asked: bool) -> QueryMeta {
    QueryMeta { known_leader: was_asked, ..QueryMeta::at(u64::from(was_asked), "") }
}

fn unparsable(why: &str) -> Refusal {
    let why = why.strip_prefix("Request decode failed: ").unwrap_or(why);
    Refusal::bad(format!("Failed to parse body: {why}"))
}

/// A verb that nobody knows is not known to write.
fn only_reads(body: &OpBody) -> bool {
    const WRITE: &[&str] = &["set", "delete", "delete-cas", "delete-tree", "cas", "lock", "unlock"];
    let reads = |verb: &str| verb == "get";
    body.kv.as_ref().is_none_or(|op| !WRITE.contains(&op.verb.as_str()))
        && body.node.as_ref().is_none_or(|op| reads(&op.verb))
        && body.service.as_ref().is_none_or(|op| reads(&op.verb))
        && body.check.as_ref().is_none_or(|op| reads(&op.verb))
        && body.session.is_none()
}

/// None: nobody knows the verb, which is found out only when it is asked for.
fn wish(verb: &str, index: u64) -> Option<Wish> {
    Some(match verb {
        "get" => Wish::Get,
        "set" => Wish::Change(Change::Set),
        "cas" => Wish::Change(Change::Cas(index)),
        "delete" => Wish::Change(Change::Delete),
        "delete-cas" => Wish::Change(Change::DeleteCas(index)),
        _ => return None,
    })
}

fn unknown(what: &str, verb: &str) -> Op {
    Op::Failing(format!("unknown {what} verb {verb:?}"))
}

fn place(name: String) -> Place {
    let key = State::node_key(&name).ok();
    Place { name, key }
}

impl State {
    /// The operation that is meant, or why it is not even tried; a refusal of the whole if its form is wrong.
    fn op(&self, body: OpBody) -> Result<Result<Op, String>, Refusal> {
        match body {
            OpBody { kv: Some(op), .. } => pair_op(op),
            OpBody { node: Some(op), .. } => self.node_op(&op.verb, &op.node),
            OpBody { service: Some(op), .. } => {
                default_only("Namespace", &op.namespace)?;
                default_only("Partition", &op.partition)?;
                let (node, body) = (place(op.node), op.service.0);
                if op.verb != "get" && body.name.is_empty() {
                    let why = "Must provide service name (Service.Service) when service ID is provided";
                    return Ok(Err(why.to_owned()));
                }
                let wish = wish(&op.verb, body.modify_index);
                let known = wish.map(|wish| Op::Service(wish, node, Box::new(body)));
                Ok(Ok(known.unwrap_or_else(|| unknown("Service", &op.verb))))
            }
            OpBody { check: Some(op), .. } => {
                let body = op.check.0;
                let (wish, node) = (wish(&op.verb, body.modify_index), place(body.node.clone()));
                let known = wish.map(|wish| Op::Check(wish, node, Box::new(body)));
                Ok(Ok(known.unwrap_or_else(|| unknown("Check", &op.verb))))
            }
            OpBody { session: Some(op), .. } => Ok(Ok(match op.verb.as_str() {
                "delete" => Op::EndSession(self.end_of(op.session.id)),
                verb => unknown("Session", verb),
            })),
            OpBody { kv: None, node: None, service: None, check: None, session: None } => Ok(Ok(Op::Nothing)),
        }
    }

    fn node_op(&self, verb: &str, body: &NodeBody) -> Result<Result<Op, String>, Refusal> {
        default_only("Partition", &body.partition)?;
        if !body.peer_name.is_empty() {
            return Err(Refusal::bad("Invalid Node: PeerName is not supported"));
        }
        let id = self.given_id(&body.id);
        let change = match wish(verb, body.modify_index) {
            Some(Wish::Get) => {
                let whose = |id| Op::FindNode(Whose { node: place(body.node.clone()), id });
                let failed =
                    |why| Op::Failing(format!("node lookup by ID failed: index error: invalid UUID: {why}"));
                return Ok(Ok(id.map_or_else(failed, whose)));
            }
            Some(Wish::Change(change)) => Some(change),
            None => None,
        };
        if body.node.is_empty() {
            return Ok(Err("Must provide node".to_owned()));
        }
        let id = match id {
            Ok(id) => id,
            Err(why) => return Ok(Err(format!("Bad node ID: {why}"))),
        };
        let Some(change) = change else { return Ok(Ok(unknown("Node", verb))) };
        let given = NodeGiven {
            name: &body.node,
            address: &body.address,
            tagged: &body.tagged_addresses,
            meta: &body.meta,
            locality: body.locality.as_ref(),
            datacenter: &body.datacenter,
        };
        let made = self.write_node(given, id, &body.node);
        Ok(made.map(|write| Op::Node(change, Box::new(write))).map_err(|refusal| refusal.text))
    }

    fn result(&self, seen: &Seen) -> Value {
        match seen {
            Seen::Pair(entry, with_value) => json!({ "KV": pair_to_wire(entry, *with_value) }),
            Seen::NoPair(key) => json!({ "KV": wire::Pair {
                lock_index: 0,
                key: String::from_utf8_lossy(key),
                flags: 0,
                value: None,
                session: String::new(),
                create_index: 0,
                modify_index: 0,
            }}),
            Seen::Node(facts) => {
                let mut node = json!(node_to_wire(&self.here, Some(facts), None));
                empty_is_null(&mut node, &["TaggedAddresses", "Meta"]);
                json!({ "Node": node })
            }
            Seen::Service(view) => json!({ "Service": service_to_wire(view) }),
            Seen::Check(node, instance, check) => {
                let instance = instance.as_ref().map(|view| &view.instance.value);
                let mut check = json!(check_to_wire(node, instance, check, None));
                empty_is_null(&mut check, &["ServiceTags"]);
                json!({ "Check": check })
            }
        }
    }
}

/// In a transaction's results, and nowhere else, Consul says null of what nobody gave.
fn empty_is_null(value: &mut Value, names: &[&str]) {
    for name in names {
        let Some(field) = value.get_mut(*name) else { continue };
        let is_empty = field.as_object().is_some_and(serde_json::Map::is_empty)
            || field.as_array().is_some_and(Vec::is_empty);
        if is_empty {
            *field = Value::Null;
        }
    }
}

pub(crate) fn pair_op(op: KvOpBody) -> Result<Result<Op, String>, Refusal> {
    default_only("Namespace", &op.namespace)?;
    default_only("Partition", &op.partition)?;
    let value = STANDARD.decode(&op.value).map_err(|why| match why {
        base64::DecodeError::InvalidByte(at, _) => {
            unparsable(&format!("illegal base64 data at input byte {at}"))
        }
        why => unparsable(&why.to_string()),
    })?;
    if op.key.is_empty() {
        return Ok(Err("Must provide key".to_owned()));
    }
    let put = |verb| PairWish::Put { value: value.into(), flags: op.flags, verb };
    let wish = match op.verb.as_str() {
        "set" => put(Verb::Set),
        "cas" => put(Verb::Cas(op.index)),
        "lock" => put(Verb::Acquire(op.session)),
        "unlock" => put(Verb::Release(op.session)),
        "delete" => PairWish::Delete,
        "delete-cas" => PairWish::DeleteCas(op.index),
        "delete-tree" => PairWish::DeleteTree,
        "get" => PairWish::Get,
        "get-or-empty" => PairWish::GetOrEmpty,
        "get-tree" => PairWish::GetTree,
        "check-index" => PairWish::CheckIndex(op.index),
        "check-session" => PairWish::CheckSession(op.session),
        "check-not-exists" => PairWish::CheckNotExists,
        verb => return Ok(Ok(unknown("KV", verb))),
    };
    Ok(Ok(Op::Pair(Bytes::from(op.key), wish)))
}
