use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use switchboard_balance::{Outcome, retry_after_seconds};

use crate::pool::Picked;

/// The body of an answer. The call counts as on its way until the body has ended or is dropped, and for gRPC the status
/// at its end says how it went.
///
/// ```no_run
/// # async fn example(channel: switchboard::GrpcChannel<tonic::body::Body>, request: http::Request<tonic::body::Body>) {
/// use http_body_util::BodyExt;
/// use tower_service::Service;
///
/// let mut channel = channel;
/// let answer = channel.call(request).await.unwrap();
/// let mut body = answer.into_body();
/// while let Some(Ok(frame)) = body.frame().await {
///     println!("{:?}", frame.trailers_ref());
/// }
/// # }
/// ```
pub struct CallBody<S> {
    /// None: there is none.
    inner: Option<Incoming>,
    picked: Option<Picked<S>>,
    /// How it went as far as is known; None: the end of the body says.
    outcome: Option<Outcome>,
}

impl<S> CallBody<S> {
    /// The status of the answer says how it went.
    pub(crate) fn http(inner: Incoming, picked: Picked<S>, outcome: Outcome) -> CallBody<S> {
        CallBody::new(inner, picked, Some(outcome))
    }

    /// The trailers say how it went, unless the answer is nothing but headers.
    pub(crate) fn grpc(inner: Incoming, picked: Picked<S>, headers: &HeaderMap) -> CallBody<S> {
        CallBody::new(inner, picked, grpc_outcome(headers))
    }

    /// Of an answer that no instance gave.
    pub(crate) fn none() -> CallBody<S> {
        CallBody { inner: None, picked: None, outcome: None }
    }

    fn new(inner: Incoming, mut picked: Picked<S>, outcome: Option<Outcome>) -> CallBody<S> {
        picked.answered();
        let is_over = inner.is_end_stream();
        let mut body = CallBody { inner: Some(inner), picked: Some(picked), outcome };
        if is_over {
            body.over();
        }
        body
    }

    fn over(&mut self) {
        if let Some(picked) = self.picked.take() {
            // What should have been said at the end and was not: whoever answered broke off.
            picked.finish(self.outcome.unwrap_or(Outcome::FAILURE));
        }
    }
}

impl<S> Body for CallBody<S> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some(inner) = &mut this.inner else { return Poll::Ready(None) };
        let frame = match Pin::new(&mut *inner).poll_frame(context) {
            Poll::Ready(frame) => frame,
            Poll::Pending => return Poll::Pending,
        };
        let is_over = inner.is_end_stream();
        match &frame {
            Some(Ok(frame)) => {
                if let Some(outcome) = frame.trailers_ref().and_then(grpc_outcome) {
                    this.outcome = Some(outcome);
                }
                if is_over {
                    this.over();
                }
            }
            Some(Err(_)) => {
                this.outcome = Some(Outcome::FAILURE);
                this.over();
            }
            None => this.over(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<S> Drop for CallBody<S> {
    fn drop(&mut self) {
        // Without a known outcome the caller lost interest in the middle: that says nothing about the instance.
        if self.outcome.is_some() {
            self.over();
        }
    }
}

impl<S> fmt::Debug for CallBody<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallBody").field("on", &self.picked).field("outcome", &self.outcome).finish()
    }
}

/// What `grpc-status` says, if it is there.
fn grpc_outcome(headers: &HeaderMap) -> Option<Outcome> {
    let code = headers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    let pushback = headers.get("grpc-retry-pushback-ms").and_then(|value| value.to_str().ok()?.parse().ok());
    Some(Outcome::from_grpc(code, pushback.map(Duration::from_millis)))
}

/// What the head of an HTTP answer says.
pub(crate) fn http_outcome(status: u16, headers: &HeaderMap) -> Outcome {
    let text = headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    let date = |text: &str| {
        let date = httpdate::parse_http_date(text).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    };
    Outcome::from_http(status, text.and_then(|text| retry_after_seconds(text).or_else(|| date(text))))
}
