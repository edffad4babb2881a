use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, Method, Request, Uri, Version};
use switchboard_facade::Peer;

use crate::body::{RequestBody, Upload};
use crate::config::Protocol;
use crate::gateway::{Found, Gateway};
use crate::headers::{self, Checked, Client};
use crate::refusal::Refusal;
use crate::route::Rewrite;
use crate::services::{Endpoint, Way};

/// A request as it goes on, whichever instance it goes to.
#[derive(Debug)]
pub(super) struct Outgoing {
    method: Method,
    target: PathAndQuery,
    headers: HeaderMap,
    /// None: the instance's own address.
    host: Option<HeaderValue>,
    pub(super) websocket: bool,
}

impl Outgoing {
    pub(super) fn new(
        gateway: &Gateway,
        found: &Found,
        parts: http::request::Parts,
        checked: &Checked,
        peer: Option<Peer>,
    ) -> Result<Outgoing, Refusal> {
        let mut headers = parts.headers;
        headers::strip_request(&mut headers, &checked.nominated);
        let plain = Rewrite::default();
        let rewrite = if found.by_host { &plain } else { &found.route.rewrite };
        let path = parts.uri.path();
        let (target, prefix) = if rewrite.is_nothing() {
            let whole = parts.uri.path_and_query().cloned();
            (whole.unwrap_or_else(|| PathAndQuery::from_static("/")), None)
        } else {
            let (mut new, taken) = rewrite.apply(path);
            if let Some(query) = parts.uri.query() {
                new.push('?');
                new.push_str(query);
            }
            let target = PathAndQuery::from_maybe_shared(Bytes::from(new))
                .map_err(|_| Refusal::malformed("its path cannot be passed on"))?;
            (target, Some(taken))
        };
        let client = Client {
            ip: peer.map_or_else(|| [0, 0, 0, 0].into(), |Peer(peer)| peer.ip()),
            tls: gateway.tls,
            port: gateway.port,
            host: &checked.host,
            prefix,
            version: parts.version,
        };
        headers::tell(&mut headers, &client, &gateway.config.forwarded, &gateway.told);
        if checked.websocket {
            headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        headers.remove(header::HOST);
        let keeps = found.route.settings.preserve_host && !checked.host.is_empty();
        let host = keeps.then(|| checked.host.clone());
        Ok(Outgoing { method: parts.method, target, headers, host, websocket: checked.websocket })
    }

    pub(super) fn is_idempotent(&self) -> bool {
        !self.websocket && self.method.is_idempotent()
    }

    /// The request for one instance. `keep`: it may have to be made again although it was sent.
    pub(super) fn request(
        &mut self,
        endpoint: &Endpoint,
        way: Way,
        upload: Option<&Arc<Upload>>,
        keep: bool,
    ) -> Request<RequestBody> {
        let body = upload.map_or(RequestBody::Empty, Upload::body);
        let mut request = Request::new(body);
        *request.method_mut() = self.method.clone();
        *request.headers_mut() = if keep { self.headers.clone() } else { std::mem::take(&mut self.headers) };
        let host = self.host.clone().or_else(|| own_host(endpoint, way));
        match way.protocol {
            Protocol::Http1 => {
                *request.uri_mut() = Uri::from(self.target.clone());
                if let Some(host) = host {
                    request.headers_mut().insert(header::HOST, host);
                }
            }
            Protocol::H2c => {
                *request.version_mut() = Version::HTTP_2;
                let mut parts = http::uri::Parts::default();
                parts.scheme = Some(Scheme::HTTP);
                parts.authority = host.and_then(|host| Authority::try_from(host.as_bytes()).ok());
                parts.path_and_query = Some(self.target.clone());
                *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
            }
        }
        request
    }

    /// Nothing of it was sent.
    pub(super) fn take_back(&mut self, request: Request<RequestBody>) {
        let (parts, _) = request.into_parts();
        self.headers = parts.headers;
        self.headers.remove(header::HOST);
    }
}

fn own_host(endpoint: &Endpoint, way: Way) -> Option<HeaderValue> {
    let host = &*endpoint.host;
    let text =
        if host.contains(':') { format!("[{host}]:{}", way.port) } else { format!("{host}:{}", way.port) };
    HeaderValue::from_str(&text).ok()
}
