use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::EXPECT;
use http::{Request, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// As much as a Go server reads away.
const MOST: u64 = 256 * 1024;

/// A request's body.
///
/// Over HTTP/1 a connection whose request was not read to its end serves no other, and closing it may even take the answer
/// away from a client that is still writing. So what an operation leaves unread is read away once it lets go of the body,
/// within bounds: some clients send a few bytes where nobody asks for any.
#[derive(Debug)]
pub struct RequestBody {
    /// None: it has been read, or broke off.
    incoming: Option<Incoming>,
    /// How long the rest may take. None: it is no concern of the connection's, or nobody will send it.
    rest_within: Option<Duration>,
}

impl RequestBody {
    pub(crate) fn of(request: Request<Incoming>, rest_within: Duration) -> Request<RequestBody> {
        // Who waits to be told to send a body does not send it once there is an answer.
        let is_sent = request.version() <= Version::HTTP_11 && !request.headers().contains_key(EXPECT);
        request.map(|incoming| RequestBody {
            incoming: Some(incoming),
            rest_within: is_sent.then_some(rest_within),
        })
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(incoming) = &mut self.incoming else { return Poll::Ready(None) };
        let polled = Pin::new(incoming).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.incoming = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        let (Some(incoming), Some(within)) = (self.incoming.take(), self.rest_within) else { return };
        if incoming.is_end_stream() || incoming.size_hint().lower() > MOST {
            return;
        }
        // At most one a connection, which reads nothing else meanwhile. Without a runtime there is no connection either.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(tokio::time::timeout(within, read_away(incoming)));
        }
    }
}

async fn read_away(mut incoming: Incoming) {
    let mut left = MOST;
    while let Some(Ok(frame)) = incoming.frame().await {
        let length = frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(u64::MAX));
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}
