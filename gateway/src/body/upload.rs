use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use parking_lot::Mutex;
use switchboard_facade::RequestBody as FromClient;
use tokio::time::Instant;

use super::BodyError;

/// A request's body, shared by the tries that are made with it. Only the newest of them reads.
#[derive(Debug)]
pub(crate) struct Upload(Mutex<State>);

#[derive(Debug)]
struct State {
    incoming: FromClient,
    /// What was read, from the beginning; None: too much of it to keep.
    kept: Option<Vec<Part>>,
    room: usize,
    read: u64,
    limit: u64,
    /// The end was seen.
    ended: bool,
    /// Which try reads.
    newest: u32,
    failure: Option<Fault>,
    last: Instant,
}

#[derive(Clone, Debug)]
enum Part {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// Who is to blame for a body that broke off, where it was not the instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Client,
    TooLarge,
}

impl Upload {
    /// `room`: bytes that are kept for another try. `limit`: bytes at most.
    pub(crate) fn new(incoming: FromClient, room: usize, limit: u64) -> Arc<Upload> {
        // What says at once that it will not fit is not begun.
        let fits = incoming.size_hint().lower() <= room as u64;
        Arc::new(Upload(Mutex::new(State {
            incoming,
            kept: fits.then(Vec::new),
            room,
            read: 0,
            limit,
            ended: false,
            newest: 0,
            failure: None,
            last: Instant::now(),
        })))
    }

    /// The body from its beginning, for another try. Those before get no more of it.
    pub(crate) fn body(self: &Arc<Upload>) -> RequestBody {
        let mut state = self.0.lock();
        state.newest += 1;
        RequestBody::Shared { upload: self.clone(), number: state.newest, at: 0 }
    }

    /// Whether another try could read all of it.
    pub(crate) fn can_begin_again(&self) -> bool {
        let state = self.0.lock();
        state.failure.is_none() && (state.kept.is_some() || state.read == 0)
    }

    /// Whether all of it was passed on.
    pub(crate) fn is_done(&self) -> bool {
        self.0.lock().ended
    }

    pub(crate) fn fault(&self) -> Option<Fault> {
        self.0.lock().failure
    }

    /// When a part of it was read last.
    pub(crate) fn last(&self) -> Instant {
        self.0.lock().last
    }
}

impl Part {
    fn bytes(&self) -> u64 {
        match self {
            Part::Data(data) => data.len() as u64,
            Part::Trailers(_) => 0,
        }
    }
}

impl State {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        at: &mut usize,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(kept) = self.kept.as_ref().and_then(|kept| kept.get(*at)) {
            *at += 1;
            return Poll::Ready(Some(Ok(match kept.clone() {
                Part::Data(data) => Frame::data(data),
                Part::Trailers(trailers) => Frame::trailers(trailers),
            })));
        }
        if self.ended {
            return Poll::Ready(None);
        }
        let frame = match std::task::ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            None => {
                self.ended = true;
                return Poll::Ready(None);
            }
            Some(Err(error)) => {
                self.failure = Some(Fault::Client);
                return Poll::Ready(Some(Err(BodyError::Sender(error))));
            }
            Some(Ok(frame)) => frame,
        };
        self.last = Instant::now();
        if let Some(data) = frame.data_ref() {
            self.read += data.len() as u64;
            if self.limit > 0 && self.read > self.limit {
                self.failure = Some(Fault::TooLarge);
                return Poll::Ready(Some(Err(BodyError::TooLarge)));
            }
            if self.read > self.room as u64 {
                self.kept = None;
            }
            if let Some(kept) = &mut self.kept {
                kept.push(Part::Data(data.clone()));
                *at += 1;
            }
        } else if let (Some(trailers), Some(kept)) = (frame.trailers_ref(), &mut self.kept) {
            kept.push(Part::Trailers(trailers.clone()));
            *at += 1;
        }
        self.ended = self.incoming.is_end_stream();
        Poll::Ready(Some(Ok(frame)))
    }
}

/// What is sent to an instance.
#[derive(Debug)]
pub(crate) enum RequestBody {
    Empty,
    Shared {
        upload: Arc<Upload>,
        number: u32,
        /// Kept parts that were given.
        at: usize,
    },
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut *self {
            RequestBody::Empty => Poll::Ready(None),
            RequestBody::Shared { upload, number, at } => {
                let mut state = upload.0.lock();
                if state.newest != *number {
                    return Poll::Ready(Some(Err(BodyError::Replaced)));
                }
                state.poll(cx, at)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            RequestBody::Empty => true,
            RequestBody::Shared { upload, at, .. } => {
                let state = upload.0.lock();
                let given = state.kept.as_ref().is_none_or(|kept| *at >= kept.len());
                given && (state.ended || state.incoming.is_end_stream())
            }
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            RequestBody::Empty => SizeHint::with_exact(0),
            RequestBody::Shared { upload, at, .. } => {
                let state = upload.0.lock();
                let kept = state.kept.as_deref().unwrap_or_default();
                let again: u64 = kept.iter().skip(*at).map(Part::bytes).sum();
                let rest = state.incoming.size_hint();
                match rest.exact() {
                    Some(rest) => SizeHint::with_exact(rest + again),
                    None => SizeHint::default(),
                }
            }
        }
    }
}
