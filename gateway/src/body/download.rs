use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Instant, Sleep};

use super::{BodyError, Upload};

/// What is sent to a client.
#[derive(Debug)]
pub(crate) struct ResponseBody(Kind);

#[derive(Debug)]
enum Kind {
    Empty,
    Full(Option<Bytes>),
    Stream(Box<Stream>),
}

/// Hears how an answer went. Dropped before any of the two: the client went away.
pub(crate) trait Finish: Send + std::fmt::Debug {
    /// Moves the connection on that the answer comes from.
    fn drive(&mut self, cx: &mut Context<'_>);
    fn ended(self: Box<Self>, bytes: u64, trailers: Option<&http::HeaderMap>);
    fn broke(self: Box<Self>, bytes: u64, why: &BodyError);
}

#[derive(Debug)]
struct Stream {
    incoming: Incoming,
    upload: Option<Arc<Upload>>,
    idle: Option<Duration>,
    deadline: Option<Instant>,
    last: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    bytes: u64,
    finish: Option<Box<dyn Finish>>,
}

/// When an answer's body has to have come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) idle: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
}

impl ResponseBody {
    pub(crate) fn empty() -> ResponseBody {
        ResponseBody(Kind::Empty)
    }

    pub(crate) fn full(text: impl Into<Bytes>) -> ResponseBody {
        ResponseBody(Kind::Full(Some(text.into())))
    }

    pub(crate) fn stream(
        incoming: Incoming,
        upload: Option<Arc<Upload>>,
        pace: Pace,
        finish: Box<dyn Finish>,
    ) -> ResponseBody {
        if incoming.is_end_stream() {
            finish.ended(0, None);
            return ResponseBody::empty();
        }
        let Pace { idle, deadline } = pace;
        let (last, finish) = (Instant::now(), Some(finish));
        let stream = Stream { incoming, upload, idle, deadline, last, timer: None, bytes: 0, finish };
        ResponseBody(Kind::Stream(Box::new(stream)))
    }
}

impl Stream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut polled = Pin::new(&mut self.incoming).poll_frame(cx);
        if polled.is_pending()
            && let Some(finish) = &mut self.finish
        {
            finish.drive(cx);
            polled = Pin::new(&mut self.incoming).poll_frame(cx);
        }
        match polled {
            Poll::Pending => {
                let error = std::task::ready!(self.poll_late(cx));
                self.broke(&error);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(None) => {
                self.ended(None);
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(error))) => {
                let error = BodyError::Sender(error);
                self.broke(&error);
                Poll::Ready(Some(Err(error)))
            }
            Poll::Ready(Some(Ok(frame))) => {
                self.last = Instant::now();
                self.bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                // Whoever reads it need not ask again when this was all.
                if self.incoming.is_end_stream() || frame.is_trailers() {
                    self.ended(frame.trailers_ref());
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    /// Ready when it is too late. The timer is not moved with every frame, but looked after when it rings.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<BodyError> {
        loop {
            let last = self.upload.as_ref().map_or(self.last, |upload| upload.last().max(self.last));
            let idle = self.idle.map(|idle| (last + idle, BodyError::Idle(idle)));
            let total = self.deadline.map(|deadline| (deadline, BodyError::Deadline));
            let nearest = [idle, total].into_iter().flatten().min_by_key(|(at, _)| *at);
            let Some((at, error)) = nearest else { return Poll::Pending };
            if at <= Instant::now() {
                return Poll::Ready(error);
            }
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            if timer.is_elapsed() {
                timer.as_mut().reset(at);
            }
            std::task::ready!(timer.as_mut().poll(cx));
        }
    }

    fn ended(&mut self, trailers: Option<&http::HeaderMap>) {
        if let Some(finish) = self.finish.take() {
            finish.ended(self.bytes, trailers);
        }
    }

    fn broke(&mut self, why: &BodyError) {
        if let Some(finish) = self.finish.take() {
            finish.broke(self.bytes, why);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Empty => Poll::Ready(None),
            Kind::Full(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Stream(stream) => stream.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(bytes) => bytes.is_none(),
            Kind::Stream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}
