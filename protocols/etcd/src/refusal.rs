//! Every rejection in etcd's words. Clients compare the texts, so they are etcd's to the letter.

use std::borrow::Cow;
use std::fmt::Display;

use switchboard_model::{Noun, Rejection, Unavailable};
use tonic::{Code, Status};

/// An answer that says no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: Code,
    pub(crate) text: Cow<'static, str>,
}

macro_rules! refusals {
    ($($name:ident = $code:ident $text:literal;)+) => {
        $(pub(crate) const $name: Refusal = Refusal { code: Code::$code, text: Cow::Borrowed($text) };)+
    };
}

refusals! {
    EMPTY_KEY = InvalidArgument "etcdserver: key is not provided";
    KEY_NOT_FOUND = InvalidArgument "etcdserver: key not found";
    VALUE_PROVIDED = InvalidArgument "etcdserver: value is provided";
    LEASE_PROVIDED = InvalidArgument "etcdserver: lease is provided";
    TOO_MANY_OPS = InvalidArgument "etcdserver: too many operations in txn request";
    DUPLICATE_KEY = InvalidArgument "etcdserver: duplicate key given in txn request";
    INVALID_SORT = InvalidArgument "etcdserver: invalid sort option";
    TOO_LARGE = InvalidArgument "etcdserver: request is too large";
    COMPACTED = OutOfRange "etcdserver: mvcc: required revision has been compacted";
    FUTURE = OutOfRange "etcdserver: mvcc: required revision is a future revision";
    TTL_TOO_LARGE = OutOfRange "etcdserver: too large lease TTL";
    NO_SPACE = ResourceExhausted "etcdserver: mvcc: database space exceeded";
    CORRUPT = DataLoss "etcdserver: corrupt cluster";
    LEASE_NOT_FOUND = NotFound "etcdserver: requested lease not found";
    LEASE_EXISTS = FailedPrecondition "etcdserver: lease already exists";
    MEMBER_NOT_FOUND = NotFound "etcdserver: member not found";
    NOT_CAPABLE = FailedPrecondition "etcdserver: not capable";
    NOT_A_LEARNER = FailedPrecondition "etcdserver: can only promote a learner member";
    BAD_TRANSFEREE = FailedPrecondition "etcdserver: bad leader transferee";
    NOT_ENOUGH_MEMBERS =
        Unknown "etcdserver: re-configuration failed due to not enough started members";
    BAD_DOWNGRADE_VERSION = InvalidArgument "etcdserver: wrong downgrade target version format";
    INVALID_DOWNGRADE_VERSION = InvalidArgument "etcdserver: invalid downgrade target version";
    NO_DOWNGRADE = FailedPrecondition "etcdserver: no inflight downgrade job";
    AUTH_DISABLED = FailedPrecondition "etcdserver: authentication is not enabled";
    AUTH_FAILED = InvalidArgument "etcdserver: authentication failed, invalid user ID or password";
    AUTH_OLD_REVISION = InvalidArgument "etcdserver: revision of auth store is old";
    INVALID_AUTH_MANAGEMENT = InvalidArgument "etcdserver: invalid auth management";
    INVALID_TOKEN = Unauthenticated "etcdserver: invalid auth token";
    USER_EMPTY = InvalidArgument "etcdserver: user name is empty";
    USER_EXISTS = FailedPrecondition "etcdserver: user name already exists";
    USER_NOT_FOUND = FailedPrecondition "etcdserver: user name not found";
    ROOT_USER_MISSING = FailedPrecondition "etcdserver: root user does not exist";
    ROOT_ROLE_MISSING = FailedPrecondition "etcdserver: root user does not have root role";
    ROLE_EMPTY = InvalidArgument "etcdserver: role name is empty";
    ROLE_EXISTS = FailedPrecondition "etcdserver: role name already exists";
    ROLE_NOT_FOUND = FailedPrecondition "etcdserver: role name not found";
    ROLE_NOT_GRANTED = FailedPrecondition "etcdserver: role is not granted to the user";
    PERMISSION_NOT_GIVEN = InvalidArgument "etcdserver: permission not given";
    PERMISSION_NOT_GRANTED =
        FailedPrecondition "etcdserver: permission is not granted to the role";
    NO_PASSWORD_USER =
        Unknown "auth: authentication failed, password was given for no password user";
    VERIFY_ONLY = Unknown "auth: token signing attempted with verify-only key";
    PASSWORD_TOO_LONG = Unknown "bcrypt: password length exceeds 72 bytes";
    TOO_MANY_REQUESTS = Unknown "etcdserver: too many requests";
    PERMISSION_DENIED = PermissionDenied "etcdserver: permission denied";
    NO_LEADER = Unavailable "etcdserver: no leader";
    STOPPED = Unavailable "etcdserver: server stopped";
    UNHEALTHY = Unavailable "etcdserver: unhealthy cluster";
    LEADER_FIELD = Unknown "\"leader\" field must be provided";
    ELECTION_NO_LEADER = Unknown "election: no leader";
}

impl Refusal {
    pub(crate) fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal { code, text: text.into() }
    }

    /// As etcd's own library prints it, which is how clients of watches know it.
    pub(crate) fn in_go(&self) -> String {
        format!("rpc error: code = {:?} desc = {}", self.code, self.text)
    }
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Refusal {
        let said = format!("etcdserver: {rejection}");
        match rejection {
            Rejection::Invalid { .. } => Refusal::new(Code::InvalidArgument, said),
            Rejection::NotFound { noun: Noun::Lease, .. } => LEASE_NOT_FOUND,
            Rejection::NotFound { .. } => KEY_NOT_FOUND,
            Rejection::Ambiguous { .. } | Rejection::InUse { .. } => {
                Refusal::new(Code::FailedPrecondition, said)
            }
            Rejection::Conflict { .. } => Refusal::new(Code::Aborted, said),
            Rejection::Exists { noun: Noun::Lease, .. } => LEASE_EXISTS,
            Rejection::Exists { .. } => Refusal::new(Code::FailedPrecondition, said),
            // The only things that are limited and that a request can bring are keys, values and their like.
            Rejection::Limit { what, .. } if what == "watches" => TOO_MANY_REQUESTS,
            Rejection::Limit { .. } => TOO_LARGE,
            Rejection::Forbidden { .. } => PERMISSION_DENIED,
            Rejection::Compacted { .. } => COMPACTED,
            Rejection::NotYet { .. } => FUTURE,
            Rejection::Unavailable(Unavailable::Loading) => NO_LEADER,
            Rejection::Unavailable(Unavailable::Overloaded) => TOO_MANY_REQUESTS,
            Rejection::Unavailable(Unavailable::Stopping) => STOPPED,
            Rejection::Unavailable(Unavailable::Store { why }) => {
                tracing::debug!(why, "a request was refused because of the store");
                UNHEALTHY
            }
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Status {
        Status::new(refusal.code, refusal.text)
    }
}

/// What the library says when a message is too large or cannot be read, as etcd's own library says it.
pub(crate) fn of_the_library(status: &Status, limit: usize) -> Option<Status> {
    let said = status.message();
    if let Some(rest) = said.strip_prefix("Error, decoded message length too large: found ") {
        return Some(too_long(rest.split(' ').next()?, limit));
    }
    let why = said.strip_prefix("failed to decode Protobuf message: ")?;
    // Only transactions nest without end.
    if why.ends_with("recursion limit reached") {
        return Some(TOO_MANY_OPS.into());
    }
    Some(Status::new(Code::Internal, format!("grpc: error unmarshalling request: {why}")))
}

pub(crate) fn too_long(size: impl Display, limit: usize) -> Status {
    let text = format!("grpc: received message larger than max ({size} vs. {limit})");
    Status::new(Code::ResourceExhausted, text)
}
