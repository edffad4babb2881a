//! Answers that are ready and not read yet. A client may ask for many that are large and read none; as long as too many
//! bytes wait in that way, no further answer is made.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use prost::Message;
use tokio::sync::Notify;
use tonic::body::Body;
use tonic::{Code, Status};

use crate::refusal;

/// Answers that are shorter are not counted: who waits for a put should not wait for others' ranges.
const SHORT: usize = 16 * 1024;

/// Marks an answer that is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Large;

/// The answer, marked if it is large.
pub(super) fn weighed<T: Message>(answer: T) -> tonic::Response<T> {
    let is_large = answer.encoded_len() >= SHORT;
    let mut answer = tonic::Response::new(answer);
    if is_large {
        answer.extensions_mut().insert(Large);
    }
    answer
}

/// How long an answer waits for others to be read.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Unread {
    most: usize,
    bytes: AtomicUsize,
    read: Notify,
}

impl Unread {
    pub(super) fn new(most: usize) -> Arc<Unread> {
        Arc::new(Unread { most, bytes: AtomicUsize::new(0), read: Notify::new() })
    }

    pub(super) fn guard(self: &Arc<Unread>, answer: Response<Body>) -> Response<Body> {
        if answer.extensions().get::<Large>().is_none() {
            return answer;
        }
        answer.map(|body| Body::new(Guarded { body, unread: self.clone(), waiting: None, refused: false }))
    }

    fn is_full(&self) -> bool {
        self.bytes.load(Ordering::Acquire) >= self.most
    }

    /// Waits until others were read. False: that did not happen in time.
    pub(super) async fn room(self: Arc<Unread>) -> bool {
        let room = async {
            loop {
                let read = self.read.notified();
                if !self.is_full() {
                    return;
                }
                read.await;
            }
        };
        tokio::time::timeout(PATIENCE, room).await.is_ok()
    }
}

struct Guarded {
    body: Body,
    unread: Arc<Unread>,
    waiting: Option<Pin<Box<dyn Future<Output = bool> + Send>>>,
    refused: bool,
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.refused {
            return Poll::Ready(None);
        }
        // Before the next piece is made, not after.
        if self.waiting.is_none() && self.unread.is_full() {
            self.waiting = Some(Box::pin(self.unread.clone().room()));
        }
        if let Some(waiting) = &mut self.waiting {
            let in_time = ready!(waiting.as_mut().poll(cx));
            self.waiting = None;
            if !in_time {
                self.refused = true;
                return Poll::Ready(Some(Ok(Frame::trailers(trailers()))));
            }
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        let counted = |data: Bytes| match data.len() {
            ..SHORT => data,
            length => {
                self.unread.bytes.fetch_add(length, Ordering::AcqRel);
                Bytes::from_owner(Held { data, unread: self.unread.clone() })
            }
        };
        Poll::Ready(frame.map(|frame| frame.map(|frame| frame.map_data(counted))))
    }

    fn is_end_stream(&self) -> bool {
        self.refused || self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn trailers() -> HeaderMap {
    let status = Status::from(refusal::TOO_MANY_REQUESTS);
    let mut trailers = HeaderMap::new();
    // A text that is plain ASCII cannot fail to be a header.
    if status.add_header(&mut trailers).is_err() {
        trailers.insert("grpc-status", (Code::Unknown as i32).into());
    }
    trailers
}

/// Counts for as long as any part of it waits to be sent.
struct Held {
    data: Bytes,
    unread: Arc<Unread>,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.unread.bytes.fetch_sub(self.data.len(), Ordering::AcqRel);
        self.unread.read.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    fn answer(unread: &Arc<Unread>) -> Response<Body> {
        let mut answer = Response::new(Body::new(Full::new(Bytes::from(vec![0; 2 * SHORT]))));
        answer.extensions_mut().insert(Large);
        unread.guard(answer)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_waits_for_others_to_be_read_and_not_for_ever() {
        let unread = Unread::new(3 * SHORT);
        let mut first = answer(&unread).into_body();
        let mut second = answer(&unread).into_body();
        let held = (first.frame().await.unwrap().unwrap(), second.frame().await.unwrap().unwrap());
        // The third never is: nobody reads those before it.
        let refused = answer(&unread).into_body().collect().await.unwrap();
        let trailers = refused.trailers().unwrap();
        assert_eq!(Status::from_header_map(trailers).unwrap().message(), "etcdserver: too many requests");
        let mut fourth = answer(&unread).into_body();
        let (frame, ()) = tokio::join!(fourth.frame(), async { drop(held) });
        assert_eq!(frame.unwrap().unwrap().into_data().unwrap().len(), 2 * SHORT);
        assert_eq!(unread.bytes.load(Ordering::Acquire), 0);
    }
}
