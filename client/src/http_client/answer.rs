use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use switchboard_discover::{Instance, InstanceKey};
use thiserror::Error;

use super::{HttpOptions, Place};
use crate::body::CallBody;
use crate::call::CallError;

/// What a service answered. Its head is here, its body is still to come.
///
/// The call counts as on its way until the body has ended or the answer is dropped.
///
/// ```no_run
/// # async fn example(http: switchboard::HttpClient) -> Result<(), switchboard::HttpError> {
/// let answer = http.get("http://user-service/users/1").await?;
/// println!("{} by {}", answer.status(), answer.instance().key);
/// let user: std::collections::BTreeMap<String, String> = answer.error_for_status().await?.json().await?;
/// # Ok(()) }
/// ```
pub struct HttpAnswer {
    response: Response<HttpBody>,
    from: Arc<Instance>,
    read_timeout: Duration,
    max_bytes: usize,
}

/// Why there is no answer, or not all of it. A [`CallError`] becomes one by `?`.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use switchboard::{Fixed, HttpClient, HttpError};
///
/// async fn name_of(http: &HttpClient) -> Result<String, HttpError> {
///     http.get("http://user-service/users/1/name").await?.error_for_status().await?.text().await
/// }
/// let error = name_of(&HttpClient::new(Fixed::new([]))).await.unwrap_err();
/// assert!(matches!(&error, HttpError::Call(_)));
/// assert_eq!(error.to_string(), "user-service: the service has no instances");
/// # }
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HttpError {
    /// There is no answer.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The answer says that it is an error: what [`HttpAnswer::error_for_status`] makes of it.
    #[error("{from} answered {status}: {body}")]
    Status {
        /// The instance.
        from: Arc<InstanceKey>,
        /// What it said.
        status: StatusCode,
        /// The beginning of the body.
        body: String,
    },
    /// The connection broke in the middle of the answer.
    #[error("the answer of {from} broke off: {error}")]
    Broken {
        /// The instance.
        from: Arc<InstanceKey>,
        /// How.
        error: hyper::Error,
    },
    /// Nothing more came of the answer for too long.
    #[error("{from} said nothing for {limit:?} in the middle of its answer (HttpOptions::read_timeout)")]
    Slow {
        /// The instance.
        from: Arc<InstanceKey>,
        /// How long it was waited for.
        limit: Duration,
    },
    /// The answer is longer than what is read whole.
    #[error(
        "the answer of {from} is longer than {limit} bytes (HttpOptions::max_answer_bytes); read it with into_response"
    )]
    TooLong {
        /// The instance.
        from: Arc<InstanceKey>,
        /// How much is read.
        limit: usize,
    },
    /// The answer is not the JSON that was expected.
    #[error("the answer of {from} is not the JSON that was expected: {error}")]
    Json {
        /// The instance.
        from: Arc<InstanceKey>,
        /// What is not.
        error: serde_json::Error,
    },
}

/// How much of an answer that says it is an error is told.
const TOLD_BYTES: usize = 300;

impl HttpAnswer {
    pub(super) fn new(
        response: Response<HttpBody>,
        from: Arc<Instance>,
        options: &HttpOptions,
    ) -> HttpAnswer {
        HttpAnswer { response, from, read_timeout: options.read_timeout, max_bytes: options.max_answer_bytes }
    }

    /// What it says about itself.
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// Its headers.
    pub fn headers(&self) -> &HeaderMap {
        self.response.headers()
    }

    /// Which instance it is from.
    pub fn instance(&self) -> &Instance {
        &self.from
    }

    /// An error if the status is 400 or more, with the beginning of the body.
    pub async fn error_for_status(self) -> Result<HttpAnswer, HttpError> {
        let status = self.status();
        if !status.is_client_error() && !status.is_server_error() {
            return Ok(self);
        }
        let from = self.from.key.clone();
        let body = match self.read(TOLD_BYTES).await {
            Ok(body) | Err((body, HttpError::TooLong { .. })) => body,
            Err((_, error)) => return Err(error),
        };
        let told = body.get(..TOLD_BYTES).unwrap_or(&body);
        let body = String::from_utf8_lossy(told).trim().to_owned();
        Err(HttpError::Status { from, status, body })
    }

    /// The whole body.
    pub async fn bytes(self) -> Result<Bytes, HttpError> {
        let most = self.max_bytes;
        self.read(most).await.map_err(|(_, error)| error)
    }

    /// The whole body as text. What is no UTF-8 in it is replaced.
    pub async fn text(self) -> Result<String, HttpError> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The whole body, read as JSON.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T, HttpError> {
        let from = self.from.key.clone();
        let bytes = self.bytes().await?;
        serde_json::from_slice(&bytes).map_err(|error| HttpError::Json { from, error })
    }

    /// As the crate `http` has it, to read the body part by part.
    pub fn into_response(self) -> Response<HttpBody> {
        self.response
    }

    /// The whole body, or what was read of it and why not the rest.
    async fn read(self, most: usize) -> Result<Bytes, (Bytes, HttpError)> {
        let HttpAnswer { response, from, read_timeout: limit, .. } = self;
        let from = from.key.clone();
        let mut body = response.into_body();
        let mut read = BytesMut::new();
        let error = loop {
            match tokio::time::timeout(limit, body.frame()).await {
                Err(_) => break HttpError::Slow { from, limit },
                Ok(None) => return Ok(read.freeze()),
                Ok(Some(Err(error))) => break HttpError::Broken { from, error },
                Ok(Some(Ok(frame))) => {
                    let Some(data) = frame.data_ref() else { continue };
                    read.extend_from_slice(data);
                    if read.len() > most {
                        break HttpError::TooLong { from, limit: most };
                    }
                }
            }
        };
        Err((read.freeze(), error))
    }
}

impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAnswer").field("from", &self.from.key).field("response", &self.response).finish()
    }
}

/// The body of an [`HttpAnswer`], part by part.
///
/// ```no_run
/// # async fn example(http: switchboard::HttpClient) -> Result<(), Box<dyn std::error::Error>> {
/// use http_body_util::BodyExt;
///
/// let mut body = http.get("http://files/large").await?.into_response().into_body();
/// while let Some(frame) = body.frame().await {
///     println!("{} bytes more", frame?.data_ref().map_or(0, |data| data.len()));
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct HttpBody(pub(super) CallBody<Place>);

impl Body for HttpBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.get_mut().0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
