//! What a request is taken to need, before it is known what it will write: as etcd reckons it.

use crate::wire::etcdserverpb::request_op::Request;
use crate::wire::etcdserverpb::{PutRequest, RequestOp, TxnRequest};

/// Of a key, beside what it and its value are long.
const AROUND_A_KEY: usize = 256;
/// Of a lease.
pub(crate) const LEASE: u64 = 64;

/// Zero: it needs nothing, and may make room.
pub(crate) fn of(request: &Request) -> u64 {
    match request {
        Request::RequestPut(put) => of_put(put),
        Request::RequestTxn(txn) => of_txn(txn),
        Request::RequestRange(_) | Request::RequestDeleteRange(_) => 0,
    }
}

fn of_put(put: &PutRequest) -> u64 {
    u64::try_from(AROUND_A_KEY + put.key.len() + put.value.len()).unwrap_or(u64::MAX)
}

/// Of the branch that needs more: which of them it will be depends on what is there by then.
fn of_txn(txn: &TxnRequest) -> u64 {
    let branch = |ops: &[RequestOp]| {
        ops.iter().filter_map(|op| op.request.as_ref()).map(of).fold(0, u64::saturating_add)
    };
    branch(&txn.success).max(branch(&txn.failure))
}
