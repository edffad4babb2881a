//! A watch as Server-Sent Events.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use switchboard_facade::Stop;
use switchboard_model::Revision;
use switchboard_registry::{Change, Delivery, Watch, WatchEnd};

use crate::answer::REVISION;
use crate::lens;

/// How often a quiet stream says how far it is. It also keeps intermediaries from taking it for dead.
const PROGRESS: Duration = Duration::from_secs(15);

/// Streams until the client goes away, falls too far behind, or the server stops.
pub(super) fn stream(watch: Watch, head: Revision, stop: Stop) -> Response {
    let greeting = VecDeque::from([progress(watch.cursor().min(head))]);
    let state = Some(Stream { watch, stop, pending: greeting });
    let events = stream::unfold(state, async |state| {
        let mut state = state?;
        let (event, last) = state.next().await;
        Some((Ok::<Bytes, Infallible>(event), if last { None } else { Some(state) }))
    });
    let mut response = Response::new(Body::from_stream(events));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    headers.insert(REVISION, HeaderValue::from(head.0));
    response
}

struct Stream {
    watch: Watch,
    stop: Stop,
    pending: VecDeque<Bytes>,
}

impl Stream {
    /// The next piece of the stream, and whether it is the last.
    async fn next(&mut self) -> (Bytes, bool) {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return (event, false);
            }
            let delivery = tokio::select! {
                delivery = self.watch.next() => delivery,
                () = tokio::time::sleep(PROGRESS) => return (progress(self.watch.cursor()), false),
                () = self.stop.cancelled() => return (ending("stopping", "the server stops; come back in a moment"), true),
            };
            match delivery {
                Ok(delivery) => self.pending = events(&delivery),
                Err(end) => return (ended(&end), true),
            }
        }
    }
}

/// The events of one commit. Only the last of them has the id: whoever loses the stream in between resumes before the
/// commit and hears all of it.
fn events(delivery: &Delivery) -> VecDeque<Bytes> {
    let items: Vec<&Change> = delivery.items().collect();
    let (revision, at_ms) = (delivery.revision().0, delivery.changes.at_ms);
    let last = items.len().saturating_sub(1);
    let encode = |(i, item): (usize, &&Change)| {
        let with_id = i == last;
        // Encoded once, for all streams.
        item.memo.get_or_encode(("native", u64::from(with_id)), || event(item, revision, at_ms, with_id))
    };
    items.iter().enumerate().map(encode).filter(|event| !event.is_empty()).collect()
}

fn event(item: &Change, revision: u64, at_ms: u64, with_id: bool) -> Bytes {
    let Some(change) = lens::change_to_wire(item, revision, at_ms) else { return Bytes::new() };
    let data = serde_json::to_string(&change).unwrap_or_default();
    let id = if with_id { format!("id: {revision}\n") } else { String::new() };
    format!("event: change\n{id}data: {data}\n\n").into()
}

fn progress(revision: Revision) -> Bytes {
    format!("event: progress\nid: {revision}\ndata: {{\"revision\":{revision}}}\n\n").into()
}

fn ended(end: &WatchEnd) -> Bytes {
    let again = "read everything anew and watch from the revision of that answer";
    match end {
        WatchEnd::Lagged { head } => {
            ending("lagged", &format!("too many changes were missed, the newest is {head}; {again}"))
        }
        WatchEnd::Compacted { floor } => {
            ending("compacted", &format!("history up to revision {floor} is gone; {again}"))
        }
        WatchEnd::Unavailable { why } => ending("unavailable", why),
        WatchEnd::Stopping => ending("stopping", "the server stops; come back in a moment"),
    }
}

fn ending(event: &str, message: &str) -> Bytes {
    let data = serde_json::json!({ "message": message });
    format!("event: {event}\ndata: {data}\n\n").into()
}
