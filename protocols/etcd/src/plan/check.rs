//! What is wrong with a request whatever the store holds.

use std::collections::HashSet;

use bytes::Bytes;
use prost::Message;

use super::apply::writes;
use crate::lens::range::KeyRange;
use crate::refusal::{self, Refusal};
use crate::wire::MAX_REQUEST;
use crate::wire::etcdserverpb::range_request::{SortOrder, SortTarget};
use crate::wire::etcdserverpb::request_op::Request;
use crate::wire::etcdserverpb::{DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest};

/// Nesting deeper than this is refused by the decoder before it gets here; one operation a level would allow more.
const MAX_DEPTH: usize = 64;

/// Bytes that etcd puts around a request before it measures it.
const AROUND: usize = 18;

type Checked = Result<(), Refusal>;

pub(crate) fn range(request: &RangeRequest) -> Checked {
    if request.key.is_empty() {
        return Err(refusal::EMPTY_KEY);
    }
    let known =
        SortOrder::try_from(request.sort_order).is_ok() && SortTarget::try_from(request.sort_target).is_ok();
    if known { Ok(()) } else { Err(refusal::INVALID_SORT) }
}

pub(crate) fn put(request: &PutRequest) -> Checked {
    if request.key.is_empty() {
        return Err(refusal::EMPTY_KEY);
    }
    if request.ignore_value && !request.value.is_empty() {
        return Err(refusal::VALUE_PROVIDED);
    }
    if request.ignore_lease && request.lease != 0 {
        return Err(refusal::LEASE_PROVIDED);
    }
    size(request)
}

pub(crate) fn delete(request: &DeleteRangeRequest) -> Checked {
    if request.key.is_empty() {
        return Err(refusal::EMPTY_KEY);
    }
    size(request)
}

/// `most`: operations in a transaction, and comparisons; a nested one has what its parent left over.
pub(crate) fn txn(request: &TxnRequest, most: usize) -> Checked {
    level(request, most, 0)?;
    for branch in [&request.success, &request.failure] {
        Touches::of(branch)?;
    }
    if writes(request) { size(request) } else { Ok(()) }
}

/// On the whole request, as etcd would replicate it. What only reads is as long as a message may be.
fn size(request: &impl Message) -> Checked {
    if request.encoded_len() + AROUND > MAX_REQUEST { Err(refusal::TOO_LARGE) } else { Ok(()) }
}

fn level(request: &TxnRequest, allowed: usize, depth: usize) -> Checked {
    let ops = request.compare.len().max(request.success.len()).max(request.failure.len());
    if ops > allowed || depth > MAX_DEPTH {
        return Err(refusal::TOO_MANY_OPS);
    }
    if request.compare.iter().any(|compare| compare.key.is_empty()) {
        return Err(refusal::EMPTY_KEY);
    }
    for op in request.success.iter().chain(&request.failure) {
        match &op.request {
            Some(Request::RequestRange(request)) => range(request)?,
            Some(Request::RequestPut(request)) => put(request)?,
            Some(Request::RequestDeleteRange(request)) => delete(request)?,
            Some(Request::RequestTxn(request)) => level(request, allowed - ops, depth + 1)?,
            None => return Err(refusal::KEY_NOT_FOUND),
        }
    }
    Ok(())
}

/// What a branch may write. A key may be put once, and not where the same branch deletes.
#[derive(Default)]
struct Touches {
    puts: HashSet<Bytes>,
    deletes: Vec<KeyRange>,
}

impl Touches {
    fn of(ops: &[RequestOp]) -> Result<Touches, Refusal> {
        let mut touches = Touches::default();
        for op in ops {
            if let Some(Request::RequestDeleteRange(delete)) = &op.request {
                touches.deletes.push(KeyRange::from_wire(&delete.key, &delete.range_end));
            }
        }
        for op in ops {
            if let Some(Request::RequestTxn(nested)) = &op.request {
                let (then, or_else) = (Touches::of(&nested.success)?, Touches::of(&nested.failure)?);
                // Only one of the two branches happens, so they may put the same key, or delete what the other puts.
                let puts: HashSet<Bytes> = then.puts.into_iter().chain(or_else.puts).collect();
                puts.into_iter().try_for_each(|key| touches.put(key))?;
                touches.deletes.extend(then.deletes.into_iter().chain(or_else.deletes));
            }
        }
        for op in ops {
            if let Some(Request::RequestPut(put)) = &op.request {
                touches.put(put.key.clone())?;
            }
        }
        Ok(touches)
    }

    fn put(&mut self, key: Bytes) -> Checked {
        let deleted = self.deletes.iter().any(|range| range.contains(&key));
        if deleted || !self.puts.insert(key) { Err(refusal::DUPLICATE_KEY) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(key: &str) -> Bytes {
        Bytes::from(key.to_owned())
    }

    fn p(name: &str) -> RequestOp {
        RequestOp { request: Some(Request::RequestPut(PutRequest { key: key(name), ..Default::default() })) }
    }

    fn d(from: &str, to: &str) -> RequestOp {
        let request = DeleteRangeRequest { key: key(from), range_end: key(to), prev_kv: false };
        RequestOp { request: Some(Request::RequestDeleteRange(request)) }
    }

    fn t(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
        RequestOp { request: Some(Request::RequestTxn(TxnRequest { compare: vec![], success, failure })) }
    }

    fn check(success: Vec<RequestOp>, expected: Checked) {
        let request = TxnRequest { compare: vec![], success, failure: vec![] };
        assert_eq!(txn(&request, 128), expected, "{request:?}");
    }

    #[test]
    fn a_key_is_put_once() {
        check(vec![p("a"), p("b")], Ok(()));
        check(vec![p("a"), p("a")], Err(refusal::DUPLICATE_KEY));
        check(vec![p("b"), d("a", "c")], Err(refusal::DUPLICATE_KEY));
        check(vec![p("c"), d("a", "c")], Ok(()));
        check(vec![d("a", "c"), d("b", "")], Ok(()));
        check(vec![t(vec![p("a")], vec![p("a")])], Ok(()));
        check(vec![t(vec![p("a")], vec![d("a", "")])], Ok(()));
        check(vec![t(vec![], vec![d("a", "")]), t(vec![p("a")], vec![])], Err(refusal::DUPLICATE_KEY));
        check(vec![t(vec![p("a")], vec![]), p("a")], Err(refusal::DUPLICATE_KEY));
        check(vec![t(vec![p("a")], vec![]), t(vec![p("a")], vec![])], Err(refusal::DUPLICATE_KEY));
        check(vec![d("a", ""), t(vec![], vec![p("a")])], Err(refusal::DUPLICATE_KEY));
    }

    #[test]
    fn a_nested_one_has_what_its_parent_left() {
        let many = |n: usize| (0..n).map(|i| p(&i.to_string())).collect::<Vec<_>>();
        check(many(128), Ok(()));
        check(many(129), Err(refusal::TOO_MANY_OPS));
        check(vec![t(many(127), vec![])], Ok(()));
        check(vec![t(many(128), vec![])], Err(refusal::TOO_MANY_OPS));
        check(vec![RequestOp { request: None }], Err(refusal::KEY_NOT_FOUND));
    }
}
