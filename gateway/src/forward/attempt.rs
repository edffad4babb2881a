use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use crate::body::{Pace, RequestBody, Upload};
use crate::upstream::{Failed, Lease, Pool};

/// How long things may take.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub(super) first_byte: Option<Duration>,
    pub(super) idle: Option<Duration>,
    pub(super) deadline: Option<Instant>,
}

impl Times {
    pub(super) fn pace(self) -> Pace {
        Pace { idle: self.idle, deadline: self.deadline }
    }
}

/// Why a try gave no answer.
#[derive(Debug)]
pub(super) enum Trouble {
    Failed(Failed),
    /// The head of the answer did not come in time.
    Late,
    /// The time for the whole request is over.
    Deadline,
}

/// Sends a request and waits for the head of its answer. While the client is still sending, nobody is late.
pub(super) async fn send(
    pool: &Arc<Pool>,
    request: Request<RequestBody>,
    upload: Option<&Arc<Upload>>,
    times: Times,
) -> Result<(Response<Incoming>, Lease), Trouble> {
    let sending = pool.send(request);
    if times.first_byte.is_none() && times.deadline.is_none() {
        return sending.await.map_err(Trouble::Failed);
    }
    tokio::pin!(sending);
    let began = Instant::now();
    loop {
        let from = upload.map_or(began, |upload| upload.last().max(began));
        let late = times.first_byte.map(|first_byte| from + first_byte);
        let Some(until) = [late, times.deadline].into_iter().flatten().min() else {
            return sending.await.map_err(Trouble::Failed);
        };
        if let Ok(sent) = timeout_at(until, &mut sending).await {
            return sent.map_err(Trouble::Failed);
        }
        let now = Instant::now();
        if times.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(Trouble::Deadline);
        }
        let still_sending = upload.is_some_and(|upload| !upload.is_done() && upload.last() > from);
        if !still_sending {
            return Err(Trouble::Late);
        }
    }
}
