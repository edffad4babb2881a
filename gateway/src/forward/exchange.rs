use std::sync::Arc;
use std::task::Context;

use http::{HeaderMap, StatusCode, header};
use switchboard_balance::{Outcome, RetryPermit, retry_after_seconds};

use crate::access::Record;
use crate::balance::Pick;
use crate::body::{BodyError, Finish, Upload};
use crate::config::AccessLog;
use crate::gateway::UnderWay;
use crate::upstream::Lease;

/// A request whose answer is on its way to the client.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) pick: Option<Pick>,
    pub(super) lease: Option<Lease>,
    pub(super) upload: Option<Arc<Upload>>,
    /// What the head of the answer says.
    pub(super) outcome: Outcome,
    pub(super) grpc: bool,
    pub(super) status: StatusCode,
    pub(super) record: Record,
    pub(super) log: AccessLog,
    /// Bytes of the answer, and what went wrong with it. None: the client went away.
    pub(super) end: Option<(u64, Option<String>)>,
    pub(super) _place: UnderWay,
    pub(super) _permit: Option<RetryPermit>,
}

impl Finish for Exchange {
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(lease) = &mut self.lease {
            lease.drive(cx);
        }
    }

    fn ended(mut self: Box<Self>, bytes: u64, trailers: Option<&HeaderMap>) {
        self.end = Some((bytes, None));
        // A stream of gRPC says how it went at its end.
        let said = trailers.filter(|_| self.grpc).and_then(of_grpc);
        if let Some(pick) = self.pick.take() {
            pick.finish(said.unwrap_or(self.outcome));
        }
        let done = self.upload.as_ref().is_none_or(|upload| upload.is_done());
        if let Some(lease) = self.lease.take().filter(|_| done) {
            lease.give_back();
        }
    }

    fn broke(mut self: Box<Self>, bytes: u64, why: &BodyError) {
        self.end = Some((bytes, Some(why.to_string())));
        let Some(pick) = self.pick.take() else { return };
        match why {
            BodyError::Sender(_) | BodyError::Idle(_) => {
                pick.endpoint().state.failed(&why.to_string());
                pick.finish(Outcome::FAILURE);
            }
            // Not the instance's fault.
            BodyError::Deadline | BodyError::TooLarge | BodyError::Replaced => {}
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        match self.end.take() {
            Some((bytes, why)) => self.record.log(self.status, bytes, why.as_deref(), self.log),
            None => self.record.log(self.status, 0, Some("the client went away"), self.log),
        }
    }
}

pub(super) fn of_http(status: StatusCode, headers: &HeaderMap) -> Outcome {
    let hint = || retry_after_seconds(headers.get(header::RETRY_AFTER)?.to_str().ok()?);
    let hint =
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS { hint() } else { None };
    Outcome::from_http(status.as_u16(), hint)
}

/// None: it does not say.
pub(super) fn of_grpc(headers: &HeaderMap) -> Option<Outcome> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let millis = || headers.get("grpc-retry-pushback-ms")?.to_str().ok()?.parse().ok();
    Some(Outcome::from_grpc(code, millis().map(std::time::Duration::from_millis)))
}
