//! Writing an answer.

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderValue, Response, StatusCode};
use http_body_util::Full;

use crate::refusal::Refusal;
use crate::wire::Form;

pub(crate) type Body = Full<Bytes>;

/// What an operation answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    body: Bytes,
    content_type: Option<&'static str>,
    is_packed: bool,
    allow: Option<&'static str>,
}

impl Answer {
    /// A status and nothing more: clients try to read what else there is.
    pub(crate) fn status(status: StatusCode) -> Answer {
        Answer { status, body: Bytes::new(), content_type: None, is_packed: false, allow: None }
    }

    pub(crate) fn ok() -> Answer {
        Answer::status(StatusCode::OK)
    }

    pub(crate) fn said(form: Form, body: impl Into<Bytes>) -> Answer {
        Answer { body: body.into(), content_type: Some(form.content_type()), ..Answer::ok() }
    }

    pub(crate) fn page(html: String) -> Answer {
        Answer { body: html.into(), content_type: Some("text/html; charset=utf-8"), ..Answer::ok() }
    }

    pub(crate) fn packed(mut self, is_packed: bool) -> Answer {
        self.is_packed = is_packed;
        self
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Answer {
        self.status = status;
        self
    }

    pub(crate) fn not_allowed(allow: &'static str) -> Answer {
        Answer { allow: Some(allow), ..Answer::status(StatusCode::METHOD_NOT_ALLOWED) }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding, X-Eureka-Accept"));
        }
        if self.is_packed {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        // The one content type that clients do not try to read an instance from.
        let content_type = (!refusal.text.is_empty()).then_some("text/plain; charset=utf-8");
        Answer { body: refusal.text.into(), content_type, ..Answer::status(refusal.status) }
    }
}
