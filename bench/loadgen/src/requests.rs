//! The requests as bytes, and the instances they speak of.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::load::Script;

pub(crate) const SERVICE_SIZE: u64 = 10;

/// Long enough that nothing lapses while it is measured.
const TTL_SECONDS: u32 = 3600;

pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes()
}

pub(crate) fn look_up(service: &str) -> Vec<u8> {
    get(&format!("/v1/services/{service}"))
}

pub(crate) fn renew(id: &str) -> Vec<u8> {
    format!("PUT /v1/instances/{id}/renew HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n")
        .into_bytes()
}

pub(crate) fn watch(service: &str) -> Vec<u8> {
    format!(
        "GET /v1/watch?service={service} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n"
    )
    .into_bytes()
}

pub(crate) fn register(body: &[u8]) -> Vec<u8> {
    let mut request = Vec::new();
    register_into(&mut request, body);
    request
}

/// The n-th of any number of distinct instances, ten to a service: the body a service of the usual kind sends.
pub(crate) fn instance_body(prefix: &str, n: u64) -> Vec<u8> {
    instance_body_of_version(prefix, n, 0)
}

pub(crate) fn instance_body_of_version(prefix: &str, n: u64, version: u64) -> Vec<u8> {
    let mut body = Vec::with_capacity(192);
    Instance { prefix, n, version, named: false }.write(&mut body);
    body
}

/// The id of an instance that says its id itself, so that whoever renews it knows the path without the reply.
pub(crate) fn instance_id(prefix: &str, n: u64) -> String {
    format!("{prefix}-instance-{n:07}")
}

pub(crate) fn service_of(prefix: &str, n: u64) -> String {
    format!("{prefix}-{:06}", n / SERVICE_SIZE)
}

struct Instance<'a> {
    prefix: &'a str,
    n: u64,
    /// Another version is a change of the same instance.
    version: u64,
    /// Whether it says its id itself.
    named: bool,
}

impl Instance<'_> {
    fn write(&self, body: &mut Vec<u8>) {
        let Self { prefix, n, version, named } = *self;
        let [_, _, _, _, _, high, middle, low] = n.to_be_bytes();
        let service = n / SERVICE_SIZE;
        // Writing to memory does not fail.
        let _ = write!(
            body,
            r#"{{"service":"{prefix}-{service:06}","host":"10.{high}.{middle}.{low}","port":8080,"metadata":{{"version":"1.4.{version}","region":"us-east-1"}},"ttl":{TTL_SECONDS}"#
        );
        if named {
            let _ = write!(body, r#","id":"{}""#, instance_id(prefix, n));
        }
        body.push(b'}');
    }
}

fn register_into(request: &mut Vec<u8>, body: &[u8]) {
    request.clear();
    let _ = write!(
        request,
        "POST /v1/register HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    request.extend_from_slice(body);
}

/// Goes round the same prebuilt requests for ever.
pub(crate) struct Repeat {
    requests: Arc<Vec<Vec<u8>>>,
    next: usize,
}

impl Repeat {
    /// Connections that begin at different places do not all ask for the same record at once.
    pub(crate) fn starting_at(requests: Arc<Vec<Vec<u8>>>, next: usize) -> Self {
        Self { requests, next }
    }
}

impl Script for Repeat {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let Some(bytes) = self.requests.get(self.next % self.requests.len().max(1)) else { return false };
        self.next += 1;
        request.clear();
        request.extend_from_slice(bytes);
        true
    }
}

/// Registers the instances of a shared counter, each once, until the limit.
pub(crate) struct RegisterDistinct {
    pub(crate) prefix: &'static str,
    pub(crate) counter: Arc<AtomicU64>,
    pub(crate) limit: u64,
    pub(crate) named: bool,
    pub(crate) body: Vec<u8>,
}

impl Script for RegisterDistinct {
    fn next(&mut self, request: &mut Vec<u8>) -> bool {
        let n = self.counter.fetch_add(1, Ordering::Relaxed);
        if n >= self.limit {
            return false;
        }
        self.body.clear();
        Instance { prefix: self.prefix, n, version: 0, named: self.named }.write(&mut self.body);
        register_into(request, &self.body);
        true
    }
}
