//! `txn`: operations that happen together or not at all.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};
use switchboard_model::{Metadata, Node};

use super::catalog_write::node_id_of;
use super::kv::too_large;
use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::{Ask, decode};
use crate::lens::{NodeWords, check_to_wire, default_only, node_to_wire, pair_to_wire, service_to_wire};
use crate::plan::{Op, PairWish, Seen, Transact, Verb, Wish};
use crate::refusal::Refusal;
use crate::wire::{self, KvOpBody, NodeBody, OpBody, OpError, ReadMeta, TxnAnswer};

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
        // A verb that nobody knows is found out only when it is asked for.
        let was_asked = errors.iter().any(|error| error.what.starts_with("unknown"));
        return Ok(refused(errors, only_reads.then(|| meta(was_asked))));
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

fn refused(errors: Vec<OpError>, read: Option<ReadMeta>) -> Answer {
    let only_reads = read.is_some();
    let answer = TxnAnswer { results: None, errors: Some(errors), read };
    Answer::json(&answer).with_status(StatusCode::CONFLICT).of_read(only_reads)
}

/// The index says nothing: a transaction does not block.
fn meta(was_asked: bool) -> ReadMeta {
    ReadMeta {
        index: u64::from(was_asked),
        last_contact: 0,
        known_leader: was_asked,
        consistency_level: "",
        not_modified: false,
        backend: 0,
        results_filtered_by_acls: false,
    }
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

fn wish(what: &str, verb: &str, index: u64) -> Result<Wish, String> {
    Ok(match verb {
        "get" => Wish::Get,
        "set" => Wish::Set,
        "cas" => Wish::Cas(index),
        "delete" => Wish::Delete,
        "delete-cas" => Wish::DeleteCas(index),
        _ => return Err(format!("unknown {what} verb {verb:?}")),
    })
}

impl State {
    /// The operation that is meant, or why it cannot be done; a refusal of the whole if its form is wrong.
    fn op(&self, body: OpBody) -> Result<Result<Op, String>, Refusal> {
        match body {
            OpBody { kv: Some(op), .. } => pair_op(op),
            OpBody { node: Some(op), .. } => self.node_op(&op.verb, &op.node),
            OpBody { service: Some(op), .. } => {
                default_only("Namespace", &op.namespace)?;
                default_only("Partition", &op.partition)?;
                if op.verb != "get" && op.service.service.is_empty() {
                    let why = "Must provide service name (Service.Service) when service ID is provided";
                    return Ok(Err(why.to_owned()));
                }
                let wish = wish("Service", &op.verb, op.service.modify_index);
                let node = State::node_key(&op.node)?;
                Ok(wish.map(|wish| Op::Service(wish, node, Box::new(op.service))))
            }
            OpBody { check: Some(op), .. } => {
                let wish = wish("Check", &op.verb, op.check.modify_index);
                let node = State::node_key(&op.check.node)?;
                Ok(wish.map(|wish| Op::Check(wish, node, Box::new(op.check))))
            }
            OpBody { session: Some(op), .. } => Ok(match op.verb.as_str() {
                "delete" => Ok(Op::EndSession(self.end_of(op.session.id))),
                verb => Err(format!("unknown Session verb {verb:?}")),
            }),
            OpBody { kv: None, node: None, service: None, check: None, session: None } => Ok(Ok(Op::Nothing)),
        }
    }

    fn node_op(&self, verb: &str, body: &NodeBody) -> Result<Result<Op, String>, Refusal> {
        default_only("Partition", &body.partition)?;
        if !body.peer_name.is_empty() {
            return Err(Refusal::bad("Invalid Node: PeerName is not supported"));
        }
        let key = State::node_key(&body.node)?;
        let wish = match wish("Node", verb, body.modify_index) {
            Ok(wish) => wish,
            Err(why) => return Ok(Err(why)),
        };
        let words = NodeWords {
            id: node_id_of(&self.here, &body.id, &body.node)?,
            tagged: body.tagged_addresses.clone(),
            ..NodeWords::default()
        };
        let words = words.at(body.locality.as_ref());
        let metadata = Metadata::new(body.meta.iter().map(|(k, v)| (k.as_str().into(), v.as_str().into())))?;
        let node = Node { key, address: body.address.as_str().into(), metadata, annex: words.annex()? };
        Ok(Ok(Op::Node(wish, Box::new(node))))
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
        verb => return Ok(Err(format!("unknown KV verb {verb:?}"))),
    };
    Ok(Ok(Op::Pair(Bytes::from(op.key), wish)))
}
