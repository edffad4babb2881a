//! The requests as bytes: the same for both servers.

pub(super) const SERVICE_SIZE: u64 = 10;

pub(super) fn put(path: &str, body: &str) -> Vec<u8> {
    format!("PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{body}", body.len())
        .into_bytes()
}

/// Instances come ten to a service.
pub(super) fn service_of(prefix: &str, n: u64) -> String {
    format!("{prefix}-{:05}", n / SERVICE_SIZE)
}

pub(super) fn id_of(prefix: &str, n: u64) -> String {
    format!("{prefix}-{n:06}")
}

/// The n-th instance, registered with the agent of the client's own host, alive for an hour without a word.
pub(super) fn agent_register(prefix: &str, n: u64, version: u64) -> Vec<u8> {
    let (service, id) = (service_of(prefix, n), id_of(prefix, n));
    let port = 1024 + n % 60_000;
    put(
        "/v1/agent/service/register",
        &format!(
            r#"{{"ID":"{id}","Name":"{service}","Tags":["v1","eu"],"Address":"10.1.2.3","Port":{port},"Meta":{{"version":"1.4.{version}"}},"Check":{{"TTL":"1h","Status":"passing"}}}}"#
        ),
    )
}

/// The n-th instance, written into the catalogue on one of a thousand nodes, with a check of its own.
pub(super) fn catalog_register(prefix: &str, n: u64) -> Vec<u8> {
    let (service, id) = (service_of(prefix, n), id_of(prefix, n));
    let node = n % 1000;
    let (high, low) = (node / 250, node % 250);
    put(
        "/v1/catalog/register",
        &format!(
            r#"{{"Node":"node-{node}","Address":"10.2.{high}.{low}","Service":{{"ID":"{id}","Service":"{service}","Tags":["v1","eu"],"Port":8080,"Meta":{{"version":"1.4.0"}}}},"Check":{{"CheckID":"service:{id}","Name":"alive","Status":"passing","ServiceID":"{id}"}}}}"#
        ),
    )
}
