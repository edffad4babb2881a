//! One call through the gateway: a body of JSON in, one document or a stream of lines out.

use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{self, Stream, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use switchboard_facade::{Peer, RequestBody};
use tonic::body::Body;
use tonic::metadata::AsciiMetadataValue;
use tonic::{Code, Status};

use super::refuse;
use crate::facade::unread::{Large, Unread};
use crate::facade::{Shared, State, client, watch};
use crate::refusal;
use crate::wire::etcdserverpb::{LeaseKeepAliveRequest, WatchRequest};
use crate::wire::json;

pub(super) struct Call {
    pub(super) state: Shared,
    /// Whether it came with a method that is taken.
    pub(super) right: bool,
    pub(super) request: Request<RequestBody>,
}

type Served<T> = Result<tonic::Response<T>, Status>;

impl Call {
    pub(super) async fn unary<Q, A>(
        self,
        serve: impl AsyncFnOnce(Shared, tonic::Request<Q>) -> Served<A>,
    ) -> Response<Body>
    where
        Q: DeserializeOwned + Message,
        A: Serialize,
    {
        if !self.right {
            return refuse::wrong_method();
        }
        let (state, unread) = (self.state.clone(), self.state.unread.clone());
        let served = async {
            let request = self.read().await?;
            serve(state, request).await
        };
        match served.await {
            Ok(answer) => whole(&unread, &answer).await.unwrap_or_else(|status| refuse::unary(&status)),
            Err(status) => refuse::unary(&status),
        }
    }

    /// One document in, a stream of lines out.
    pub(super) async fn stream<Q, A>(
        self,
        serve: impl AsyncFnOnce(Shared, tonic::Request<Q>) -> Served<Answers<A>>,
    ) -> Response<Body>
    where
        Q: DeserializeOwned + Message,
        A: Serialize + Send + 'static,
    {
        if !self.right {
            return refuse::wrong_method();
        }
        let state = self.state.clone();
        let served = async {
            let request = self.read().await?;
            serve(state, request).await
        };
        match served.await {
            Ok(answers) => lines(answers.into_inner()).await,
            Err(status) => refuse::first_in_a_stream(&status),
        }
    }

    /// Documents one after the other in, lines out, as long as the client reads.
    pub(super) async fn watch(self) -> Response<Body> {
        if !self.right {
            return refuse::wrong_method();
        }
        let (state, limit) = (self.state.clone(), text_limit(self.state.config.limits.body_bytes));
        let (peer, body) = self.apart();
        let asked = documents::<WatchRequest>(body, limit);
        lines(watch::open(state, client(&peer), asked)).await
    }

    /// One line for each document, and then the end.
    pub(super) async fn keep_alive(self) -> Response<Body> {
        if !self.right {
            return refuse::wrong_method();
        }
        let (state, limit) = (self.state.clone(), text_limit(self.state.config.limits.body_bytes));
        let (peer, body) = self.apart();
        let client = client(&peer);
        let asked = documents::<LeaseKeepAliveRequest>(body, limit);
        let answers = asked.then(move |asked| {
            let state = state.clone();
            let client = client.clone();
            async move { Ok(State::keep_alive(&state, &client, &asked?).await?) }
        });
        lines(answers).await
    }

    fn apart(self) -> (tonic::Request<()>, RequestBody) {
        let (parts, body) = self.request.into_parts();
        let mut request = tonic::Request::new(());
        if let Some(peer) = parts.extensions.get::<Peer>() {
            request.extensions_mut().insert(*peer);
        }
        // A certificate is not passed on: as in etcd, who comes this way shows a token.
        let shown = ["authorization", "grpc-metadata-token", "grpc-metadata-authorization"];
        let shown = shown.into_iter().find_map(|name| parts.headers.get(name));
        if let Some(token) = shown.and_then(|token| AsciiMetadataValue::try_from(token.as_bytes()).ok()) {
            request.metadata_mut().insert("authorization", token);
        }
        (request, body)
    }

    async fn read<Q: DeserializeOwned + Message>(self) -> Result<tonic::Request<Q>, Status> {
        let limits = self.state.config.limits;
        let (peer, body) = self.apart();
        let whole = tokio::time::timeout(limits.body_timeout.0, gather(body, limits.body_bytes)).await;
        let whole =
            whole.map_err(|_| Status::deadline_exceeded("the request's body did not come in time"))??;
        let message: Q = json::whole(&whole).map_err(malformed)?;
        match message.encoded_len() {
            size if size > limits.body_bytes => Err(refusal::too_long(size, limits.body_bytes)),
            _ => Ok(peer.map(|()| message)),
        }
    }
}

type Answers<A> = Pin<Box<dyn Stream<Item = Result<A, Status>> + Send>>;

/// All of a body. One that is too long is heard to its end, or nearly, before that is said: clients read no answer while
/// they write.
async fn gather(mut body: RequestBody, limit: usize) -> Result<Bytes, Status> {
    let (most, mut length) = (text_limit(limit), 0_usize);
    let mut text = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| Status::cancelled(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        match length {
            length if length <= most => text.extend_from_slice(&data),
            length if length <= most.saturating_mul(8) => text = BytesMut::new(),
            _ => break,
        }
    }
    if length > most { Err(refusal::too_long(length, limit)) } else { Ok(text.freeze()) }
}

/// Bytes take four thirds of their length as text, and what is around them more.
fn text_limit(message: usize) -> usize {
    message.saturating_mul(4)
}

fn malformed(error: serde_json::Error) -> Status {
    let why = error.to_string();
    // Only transactions nest without end.
    match why.starts_with("recursion limit exceeded") {
        true => refusal::TOO_MANY_OPS.into(),
        false => Status::new(Code::InvalidArgument, why),
    }
}

/// An answer as one document; a large one once others have been read.
async fn whole(
    unread: &Arc<Unread>,
    answer: &tonic::Response<impl Serialize>,
) -> Result<Response<Body>, Status> {
    let large = answer.extensions().get::<Large>();
    if large.is_some() && !unread.clone().room().await {
        return Err(refusal::TOO_MANY_REQUESTS.into());
    }
    let text = serde_json::to_vec(answer.get_ref()).map_err(|error| Status::internal(error.to_string()))?;
    let mut response = document(Body::new(Full::new(Bytes::from(text))));
    if let Some(large) = large {
        response.extensions_mut().insert(*large);
    }
    Ok(response)
}

fn document(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert("grpc-metadata-content-type", HeaderValue::from_static("application/grpc"));
    response
}

#[derive(Serialize)]
struct Line<'a, A> {
    result: &'a A,
}

/// Each answer is one line and one chunk. A refusal before anything else is the whole answer.
async fn lines<A, S>(answers: S) -> Response<Body>
where
    A: Serialize + Send + 'static,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
{
    let mut answers = Box::pin(answers);
    let first = match answers.next().await {
        Some(Err(status)) => return refuse::first_in_a_stream(&status),
        Some(Ok(first)) => Some(Ok(first)),
        None => None,
    };
    let all = stream::iter(first).chain(answers).map(|answer| {
        let mut line = match answer {
            Ok(answer) => serde_json::to_vec(&Line { result: &answer }).unwrap_or_default(),
            Err(status) => refuse::in_a_stream(&status).to_string().into_bytes(),
        };
        line.push(b'\n');
        Ok::<_, Status>(Frame::data(Bytes::from(line)))
    });
    document(Body::new(StreamBody::new(all)))
}

/// The documents of a body, as they come. None of them is longer than `limit`.
fn documents<T: DeserializeOwned + Send + 'static>(
    body: RequestBody,
    limit: usize,
) -> impl Stream<Item = Result<T, Status>> + Send + 'static {
    let reading = Reading { body, limit, text: BytesMut::new(), ended: false };
    stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.next::<T>().await {
            Ok(Some(document)) => Some((Ok(document), Some(reading))),
            Ok(None) => None,
            Err(status) => Some((Err(status), None)),
        }
    })
}

struct Reading {
    body: RequestBody,
    limit: usize,
    text: BytesMut,
    ended: bool,
}

impl Reading {
    async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Status> {
        loop {
            match json::first::<T>(&self.text) {
                Some(Ok((document, end))) => {
                    let _ = self.text.split_to(end);
                    return Ok(Some(document));
                }
                Some(Err(error)) if !error.is_eof() || self.ended => return Err(malformed(error)),
                None if self.ended => return Ok(None),
                Some(Err(_)) | None => {}
            }
            match self.body.frame().await {
                None => self.ended = true,
                Some(Err(error)) => return Err(Status::cancelled(error.to_string())),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.text.extend_from_slice(&data);
                    }
                }
            }
            if self.text.len() > self.limit {
                return Err(refusal::too_long(self.text.len(), self.limit));
            }
        }
    }
}
