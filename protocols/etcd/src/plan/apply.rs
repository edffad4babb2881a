//! Puts, deletions and transactions as one intent: all of it is one commit, or none.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use switchboard_model::{LeaseId, Record, RecordKey, Rejection, Revision};
use switchboard_registry::plan::{Deregister, Keep, Plan, Register, Write};
use switchboard_registry::{InstanceView, Intent, Now, Planned, Snapshot, View};

use super::compare::holds;
use super::find::find;
use super::permit::Who;
use super::writes::Writes;
use crate::lens::keys::{Item, Keys};
use crate::lens::projection::{Projection, Projections};
use crate::lens::range::{End, KeyRange};
use crate::lens::{entry, entry_key, lease_from_wire, lease_to_wire, revision_to_wire};
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb::request_op::Request;
use crate::wire::etcdserverpb::response_op::Response;
use crate::wire::etcdserverpb::{
    DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse, RequestOp,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};
use crate::wire::mvccpb::KeyValue;

/// A checked request, with everything that its plan looks at besides the newest state.
#[derive(Clone, Debug)]
pub(crate) struct Apply {
    pub(crate) who: Who,
    pub(crate) request: Request,
    pub(crate) projections: Arc<Projections>,
    pub(crate) pasts: Pasts,
}

/// The earlier revisions that the ranges of a transaction ask for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pasts(pub(crate) HashMap<i64, Result<View, Refusal>>);

impl Intent for Apply {
    type Reply = Result<Response, Refusal>;

    fn plan(&self, at: &Snapshot, now: Now) -> Result<Planned<Self::Reply>, Rejection> {
        let mut run = Run::new(at, now, &self.projections, &self.pasts);
        let permitted = self.who.rights(at).to_ask(run.keys, &self.request);
        match permitted.and_then(|()| run.request(&self.request)) {
            Ok(response) => Ok(Planned { plan: run.writes.into_plan(), reply: Ok(response) }),
            // Whatever was about to be written is not.
            Err(refusal) => Ok(Planned { plan: Plan::default(), reply: Err(refusal) }),
        }
    }
}

/// A transaction that writes nothing is a read.
pub(crate) fn read(
    at: &Snapshot,
    now: Now,
    projections: &Projections,
    pasts: &Pasts,
    request: &TxnRequest,
) -> Result<TxnResponse, Refusal> {
    Run::new(at, now, projections, pasts).txn(request)
}

pub(crate) fn writes(request: &TxnRequest) -> bool {
    request.success.iter().chain(&request.failure).any(|op| match &op.request {
        Some(Request::RequestPut(_) | Request::RequestDeleteRange(_)) => true,
        Some(Request::RequestTxn(nested)) => writes(nested),
        Some(Request::RequestRange(_)) | None => false,
    })
}

/// The earlier revisions that are asked for anywhere in the transaction.
pub(crate) fn revisions(request: &TxnRequest, found: &mut Vec<i64>) {
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(range)) if range.revision > 0 => found.push(range.revision),
            Some(Request::RequestTxn(nested)) => revisions(nested, found),
            _ => {}
        }
    }
}

struct Run<'a> {
    keys: Keys<'a>,
    now: Now,
    pasts: &'a Pasts,
    writes: Writes,
    /// What this transaction has written so far; None: deleted.
    written: BTreeMap<Bytes, Option<KeyValue>>,
}

impl<'a> Run<'a> {
    fn new(at: &'a Snapshot, now: Now, projections: &'a Projections, pasts: &'a Pasts) -> Run<'a> {
        let keys = Keys { at, projections };
        Run { keys, now, pasts, writes: Writes::default(), written: BTreeMap::new() }
    }

    fn request(&mut self, request: &Request) -> Result<Response, Refusal> {
        Ok(match request {
            Request::RequestRange(request) => Response::ResponseRange(self.range(request)?),
            Request::RequestPut(request) => Response::ResponsePut(self.put(request)?),
            Request::RequestDeleteRange(request) => Response::ResponseDeleteRange(self.delete(request)),
            Request::RequestTxn(request) => Response::ResponseTxn(self.txn(request)?),
        })
    }

    fn txn(&mut self, request: &TxnRequest) -> Result<TxnResponse, Refusal> {
        let succeeded = holds(self.keys, &request.compare);
        let ops = if succeeded { &request.success } else { &request.failure };
        let one = |op: &RequestOp| {
            let request = op.request.as_ref().ok_or(refusal::KEY_NOT_FOUND)?;
            Ok(ResponseOp { response: Some(self.request(request)?) })
        };
        let responses = ops.iter().map(one).collect::<Result<_, Refusal>>()?;
        Ok(TxnResponse { header: Some(ResponseHeader::default()), succeeded, responses })
    }

    /// Inner answers say the revision and nothing else about who gave them.
    fn header(&self) -> Option<ResponseHeader> {
        let at = self.keys.at.revision();
        let revision = if self.writes.is_empty() { at } else { at.next() };
        Some(ResponseHeader { revision: revision_to_wire(revision), ..ResponseHeader::default() })
    }

    fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Refusal> {
        let range = KeyRange::from_wire(&request.key, &request.range_end);
        let head = revision_to_wire(self.keys.at.revision());
        let found = if request.revision > 0 && request.revision < head {
            let past = match self.pasts.0.get(&request.revision) {
                Some(Ok(past)) => past,
                Some(Err(refusal)) => return Err(refusal.clone()),
                None => return Err(refusal::FUTURE),
            };
            find(request, Keys { at: past, ..self.keys }.range(&range))
        } else if request.revision > head {
            return Err(refusal::FUTURE);
        } else if request.revision == head {
            // As it was before this transaction.
            find(request, self.keys.range(&range))
        } else {
            find(request, self.current(&range))
        };
        Ok(RangeResponse { header: self.header(), ..found })
    }

    /// The keys in the range as this transaction sees them.
    fn current(&self, range: &KeyRange) -> Box<dyn Iterator<Item = Item<'a>> + 'a> {
        let kept = self.keys.range(range);
        if self.written.is_empty() || range.is_empty() {
            return kept;
        }
        let mut all: BTreeMap<Bytes, Item<'a>> = kept.map(|item| (item.key().clone(), item)).collect();
        for (key, kv) in self.written.range::<[u8], _>(range.bounds()) {
            match kv {
                Some(kv) => all.insert(key.clone(), Item::Written(kv.clone())),
                None => all.remove(key),
            };
        }
        Box::new(all.into_values())
    }

    fn put(&mut self, request: &PutRequest) -> Result<PutResponse, Refusal> {
        // Slices of what the connection read, all of which would stay in memory for as long as the key does.
        let [key, value] = [&request.key, &request.value].map(|bytes| Bytes::copy_from_slice(bytes));
        let request = &PutRequest { key, value, ..*request };
        let only = KeyRange { start: request.key.clone(), end: End::Only };
        let before = self.current(&only).next().map(|item| item.to_wire());
        let known = |lease: i64| match lease_from_wire(lease) {
            Some(id) if self.keys.lease(id).is_none() => Err(refusal::LEASE_NOT_FOUND),
            lease => Ok(lease),
        };
        let named = known(request.lease)?;
        let missing = || before.clone().ok_or(refusal::KEY_NOT_FOUND);
        let value = if request.ignore_value { missing()?.value } else { request.value.clone() };
        let lease = if request.ignore_lease { known(missing()?.lease)? } else { named };
        let as_instance = match self.keys.projections.of_key(&request.key) {
            Some(by) => self.put_instance(by, request, &value, lease, before.as_ref())?,
            None => false,
        };
        if !as_instance {
            self.put_entry(request, value, lease, before.as_ref());
        }
        let prev_kv = before.filter(|_| request.prev_kv);
        Ok(PutResponse { header: self.header(), prev_kv })
    }

    fn put_entry(
        &mut self,
        request: &PutRequest,
        value: Bytes,
        lease: Option<LeaseId>,
        before: Option<&KeyValue>,
    ) {
        let entry = entry(request.key.clone(), value.clone(), lease);
        self.writes.add(Write::Put(Record::Entry(entry)));
        self.wrote(request.key.clone(), value, lease_to_wire(lease), before);
    }

    /// False: the value describes no instance, and the key is an ordinary one.
    fn put_instance(
        &mut self,
        by: &Projection,
        request: &PutRequest,
        value: &Bytes,
        lease: Option<LeaseId>,
        before: Option<&KeyValue>,
    ) -> Result<bool, Refusal> {
        let at = self.keys.at;
        let Some(place) = by.place(at, &request.key) else { return Ok(false) };
        let view = at.instance(&place);
        let Some(instance) = by.instance(view.map(|view| &**view), place, value) else {
            // What was an instance becomes an ordinary key.
            if let Some(view) = view {
                self.deregister(view);
            }
            return Ok(false);
        };
        // A lease that another protocol keeps by its own heartbeats is not detached by a put that names none.
        let own = view.and_then(|view| view.lease.as_ref()).filter(|lease| lease.implicit);
        let lease = lease.or(own.map(|lease| lease.id));
        let keep = lease.map_or(Keep::Forever, Keep::Lease);
        let raw = RecordKey::Entry(entry_key(request.key.clone()));
        if at.record(&raw).is_some() {
            self.writes.add(Write::Delete(raw));
        }
        let register = Register { instance, checks: None, keep };
        let planned = register.plan(at, self.now).map_err(Refusal::from)?;
        let changed = !planned.plan.writes.is_empty();
        planned.plan.writes.into_iter().for_each(|write| self.writes.add(write));
        if changed || before.is_none() {
            self.wrote(request.key.clone(), value.clone(), lease_to_wire(lease), before);
        }
        Ok(true)
    }

    fn wrote(&mut self, key: Bytes, value: Bytes, lease: i64, before: Option<&KeyValue>) {
        let revision = revision_to_wire(self.keys.at.revision().next());
        let (create_revision, version) =
            before.map_or((revision, 1), |before| (before.create_revision, before.version.saturating_add(1)));
        let kv =
            KeyValue { key: key.clone(), create_revision, mod_revision: revision, version, value, lease };
        self.written.insert(key, Some(kv));
    }

    fn delete(&mut self, request: &DeleteRangeRequest) -> DeleteRangeResponse {
        let range = KeyRange::from_wire(&request.key, &request.range_end);
        let gone: Vec<KeyValue> = self.current(&range).map(|item| item.to_wire()).collect();
        for kv in &gone {
            let raw = RecordKey::Entry(entry_key(kv.key.clone()));
            let at = self.keys.at;
            match self.keys.projections.of_key(&kv.key).and_then(|by| by.find(at, &kv.key)) {
                Some(view) if at.record(&raw).is_none() => self.deregister(view),
                _ => self.writes.add(Write::Delete(raw)),
            }
            self.written.insert(kv.key.clone(), None);
        }
        let deleted = i64::try_from(gone.len()).unwrap_or(i64::MAX);
        let prev_kvs = if request.prev_kv { gone } else { Vec::new() };
        DeleteRangeResponse { header: self.header(), deleted, prev_kvs }
    }

    fn deregister(&mut self, view: &InstanceView) {
        let gone = Deregister { key: view.key().clone() }.plan(self.keys.at, self.now);
        for write in gone.into_iter().flat_map(|planned| planned.plan.writes) {
            self.writes.add(write);
        }
    }
}

/// The revision of an answer: of the commit, or of the state that was found.
pub(crate) fn stamp(response: &mut Response, header: ResponseHeader, revision: Revision) {
    let header = Some(ResponseHeader { revision: revision_to_wire(revision), ..header });
    match response {
        Response::ResponseRange(response) => response.header = header,
        Response::ResponsePut(response) => response.header = header,
        Response::ResponseDeleteRange(response) => response.header = header,
        Response::ResponseTxn(response) => response.header = header,
    }
}
