//! Calls over gRPC, counted by method and by what came of them, under the names that gRPC's library for Go has: dashboards and
//! alerts of etcd look for these. A call costs a look at a table and two counters.

use std::collections::HashMap;
use std::fmt;
use std::pin::Pin;
use std::sync::OnceLock;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tonic::body::Body;
use tonic::{Code, Status};

use super::Shared;

/// Service, methods and how they stream.
const SERVICES: [(&str, &str, &[&str]); 14] = [
    ("etcdserverpb.KV", UNARY, &["Range", "Put", "DeleteRange", "Txn", "Compact"]),
    ("etcdserverpb.KV", SERVER, &["RangeStream"]),
    ("etcdserverpb.Watch", BOTH, &["Watch"]),
    ("etcdserverpb.Lease", UNARY, &["LeaseGrant", "LeaseRevoke", "LeaseTimeToLive", "LeaseLeases"]),
    ("etcdserverpb.Lease", BOTH, &["LeaseKeepAlive"]),
    (
        "etcdserverpb.Cluster",
        UNARY,
        &["MemberAdd", "MemberRemove", "MemberUpdate", "MemberList", "MemberPromote"],
    ),
    (
        "etcdserverpb.Maintenance",
        UNARY,
        &["Alarm", "Status", "Defragment", "Hash", "HashKV", "MoveLeader", "Downgrade"],
    ),
    ("etcdserverpb.Maintenance", SERVER, &["Snapshot"]),
    (
        "etcdserverpb.Auth",
        UNARY,
        &[
            "AuthEnable",
            "AuthDisable",
            "AuthStatus",
            "Authenticate",
            "UserAdd",
            "UserGet",
            "UserList",
            "UserDelete",
            "UserChangePassword",
            "UserGrantRole",
            "UserRevokeRole",
            "RoleAdd",
            "RoleGet",
            "RoleList",
            "RoleDelete",
            "RoleGrantPermission",
            "RoleRevokePermission",
        ],
    ),
    ("v3lockpb.Lock", UNARY, &["Lock", "Unlock"]),
    ("v3electionpb.Election", UNARY, &["Campaign", "Proclaim", "Leader", "Resign"]),
    ("v3electionpb.Election", SERVER, &["Observe"]),
    ("grpc.health.v1.Health", UNARY, &["Check"]),
    ("grpc.health.v1.Health", SERVER, &["Watch"]),
];
const UNARY: &str = "unary";
const SERVER: &str = "server_stream";
const BOTH: &str = "bidi_stream";

/// By number, as Go prints them.
const CODES: [&str; 17] = [
    "OK",
    "Canceled",
    "Unknown",
    "InvalidArgument",
    "DeadlineExceeded",
    "NotFound",
    "AlreadyExists",
    "PermissionDenied",
    "ResourceExhausted",
    "FailedPrecondition",
    "Aborted",
    "OutOfRange",
    "Unimplemented",
    "Internal",
    "Unavailable",
    "DataLoss",
    "Unauthenticated",
];

type Started = Family<[(&'static str, &'static str); 3], Counter>;
type Handled = Family<[(&'static str, &'static str); 4], Counter>;

#[derive(Debug)]
pub(super) struct Calls {
    started: Started,
    handled: Handled,
    by_path: HashMap<String, usize>,
    all: Vec<Call>,
}

#[derive(Debug)]
struct Call {
    labels: [(&'static str, &'static str); 3],
    is_unary: bool,
    started: Counter,
    /// Codes that have not been answered are not there, but for the good one.
    handled: [OnceLock<Counter>; CODES.len()],
}

impl Default for Calls {
    fn default() -> Calls {
        let (started, handled) = (Started::default(), Handled::default());
        let mut calls = Calls { started, handled, by_path: HashMap::new(), all: Vec::new() };
        let methods = SERVICES
            .iter()
            .flat_map(|(service, kind, methods)| methods.iter().map(move |it| (service, kind, it)));
        for (service, kind, method) in methods {
            let labels = [("grpc_type", *kind), ("grpc_service", *service), ("grpc_method", *method)];
            calls.by_path.insert(format!("/{service}/{method}"), calls.all.len());
            let started = calls.started.get_or_create_owned(&labels);
            let call = Call { labels, is_unary: *kind == UNARY, started, handled: Default::default() };
            calls.count(&call, Code::Ok, 0);
            calls.all.push(call);
        }
        calls
    }
}

impl Calls {
    pub(super) fn register(&self, metrics: &mut Registry) {
        metrics.register("grpc_server_started", "RPCs that were begun", self.started.clone());
        metrics.register("grpc_server_handled", "RPCs that have ended, by how", self.handled.clone());
    }

    fn count(&self, call: &Call, code: Code, by: u64) {
        let Some((counter, name)) = call.handled.get(code as usize).zip(CODES.get(code as usize)) else {
            return;
        };
        let [kind, service, method] = call.labels;
        let labels = [kind, service, method, ("grpc_code", *name)];
        counter.get_or_init(|| self.handled.get_or_create_owned(&labels)).inc_by(by);
    }
}

/// A call that has begun. One that is dropped before its end was canceled.
pub(super) struct Counting {
    state: Shared,
    call: usize,
    code: Code,
}

impl fmt::Debug for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counting").field("call", &self.call).finish_non_exhaustive()
    }
}

impl Counting {
    /// None: there is no such method.
    pub(super) fn begin(state: &Shared, path: &str) -> Option<Counting> {
        let call = *state.calls.by_path.get(path)?;
        state.calls.all.get(call)?.started.inc();
        Some(Counting { state: state.clone(), call, code: Code::Cancelled })
    }

    /// Of a stream it is known at its end.
    pub(super) fn answered(mut self, response: Response<Body>) -> Response<Body> {
        let is_unary = self.state.calls.all.get(self.call).is_some_and(|call| call.is_unary);
        match status(response.headers()) {
            Some(code) => self.code = code,
            None if is_unary => self.code = Code::Ok,
            None => return response.map(|body| Body::new(Counted { body, counting: self })),
        }
        response
    }
}

fn status(headers: &HeaderMap) -> Option<Code> {
    Some(Code::from_bytes(headers.get("grpc-status")?.as_bytes()))
}

impl Drop for Counting {
    fn drop(&mut self) {
        if let Some(call) = self.state.calls.all.get(self.call) {
            self.state.calls.count(call, self.code, 1);
        }
    }
}

/// The answer of a stream.
struct Counted {
    body: Body,
    counting: Counting,
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            Some(Ok(frame)) => {
                if let Some(code) = frame.trailers_ref().and_then(status) {
                    self.counting.code = code;
                }
            }
            Some(Err(status)) => self.counting.code = status.code(),
            None => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_counted_as_its_file_describes_it() {
        // The file of the health service comes with its crate.
        let health = [(UNARY, "Check"), (SERVER, "Watch")];
        let mut described: Vec<String> =
            health.map(|(kind, method)| format!("{kind} /grpc.health.v1.Health/{method}")).into();
        for file in [
            include_str!("../../proto/etcdserverpb.proto"),
            include_str!("../../proto/v3lockpb.proto"),
            include_str!("../../proto/v3electionpb.proto"),
        ] {
            let mut package = "";
            let mut service = "";
            for line in file.lines().map(str::trim) {
                let words: Vec<&str> =
                    line.split([' ', '(', ')', ';']).filter(|word| !word.is_empty()).collect();
                match words.as_slice() {
                    ["package", name, ..] => package = name,
                    ["service", name, ..] => service = name,
                    ["rpc", method, rest @ ..] => {
                        let kind = match rest.iter().filter(|word| **word == "stream").count() {
                            0 => UNARY,
                            1 => SERVER,
                            _ => BOTH,
                        };
                        described.push(format!("{kind} /{package}.{service}/{method}"));
                    }
                    _ => {}
                }
            }
        }
        let calls = Calls::default();
        let counted = calls.all.iter().map(|call| {
            let [(_, kind), (_, service), (_, method)] = call.labels;
            format!("{kind} /{service}/{method}")
        });
        let mut counted: Vec<String> = counted.collect();
        described.sort();
        counted.sort();
        assert_eq!(counted, described);
    }
}
