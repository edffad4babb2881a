//! Errors as the gateway says them: in the shape of every release at once, because clients read either.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::{Empty, Full};
use serde_json::json;
use tonic::body::Body;
use tonic::{Code, Status};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

pub(super) fn cross_origin(headers: &mut HeaderMap) {
    headers.insert("access-control-allow-origin", HeaderValue::from_static("*"));
    let methods = HeaderValue::from_static("POST, GET, OPTIONS, PUT, DELETE");
    headers.insert("access-control-allow-methods", methods);
    let allowed = HeaderValue::from_static("accept, content-type, authorization");
    headers.insert("access-control-allow-headers", allowed);
}

pub(super) fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::new(Empty::new()));
    *response.status_mut() = status;
    response
}

fn json(status: StatusCode, body: &serde_json::Value) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(body.to_string()))));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

pub(super) fn unknown_path() -> Response<Body> {
    json(StatusCode::NOT_FOUND, &json!({ "code": 5, "message": "Not Found" }))
}

pub(super) fn wrong_method() -> Response<Body> {
    json(StatusCode::NOT_IMPLEMENTED, &json!({ "code": 12, "message": "Method Not Allowed" }))
}

pub(super) fn unary(status: &Status) -> Response<Body> {
    let text = status.message();
    let body = json!({ "error": text, "code": status.code() as i32, "message": text });
    json(http_status(status.code()), &body)
}

/// One line of a stream, or all of an answer if nothing was sent before.
pub(super) fn in_a_stream(status: &Status) -> serde_json::Value {
    let code = status.code() as i32;
    let http = http_status(status.code());
    json!({ "error": {
        "grpc_code": code,
        "http_code": http.as_u16(),
        "http_status": http.canonical_reason().unwrap_or_default(),
        "code": code,
        "message": status.message(),
    }})
}

pub(super) fn first_in_a_stream(status: &Status) -> Response<Body> {
    json(http_status(status.code()), &in_a_stream(status))
}

pub(super) fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::REQUEST_TIMEOUT),
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
    }
}
