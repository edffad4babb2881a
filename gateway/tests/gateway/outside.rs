//! What is seen from outside of a request: TLS, what instances are told about the client, the access log, the time that all
//! of it may take.

use std::sync::Arc;

use http::StatusCode;
use parking_lot::Mutex;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::support::*;

/// The address of a world whose port speaks TLS, and how a client connects that trusts it.
async fn secured(files: &tempfile::TempDir) -> (World, rustls::RootCertStore) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (files.path().join("server.pem"), files.path().join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = format!("tls = {{ certificate = '{}', key = '{}' }}", certificate.display(), key.display());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    (world_with(&format!("{tls}\nforwarded.standard = true")).await, roots)
}

fn connector(roots: &rustls::RootCertStore, alpn: &[&[u8]]) -> TlsConnector {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.unwrap().with_root_certificates(roots.clone()).with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|it| it.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn tls_is_spoken_with_either_version_and_instances_are_told_so() {
    let files = tempfile::tempdir().unwrap();
    let ((world, roots), users) = (secured(&files).await, named("users").await);
    world.register("users", "a", users.address).await;
    for alpn in [None, Some(&b"http/1.1"[..]), Some(&b"h2"[..])] {
        let connector = connector(&roots, &alpn.into_iter().collect::<Vec<_>>());
        let stream = TcpStream::connect(world.address).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let mut stream = within(connector.connect(name, stream)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), alpn, "another protocol was chosen");
        if alpn == Some(b"h2") {
            let io = hyper_util::rt::TokioIo::new(stream);
            let executor = hyper_util::rt::TokioExecutor::new();
            let (mut send, connection) =
                hyper::client::conn::http2::handshake::<_, _, http_body_util::Full<bytes::Bytes>>(
                    executor, io,
                )
                .await
                .unwrap();
            tokio::spawn(connection);
            let request = http::Request::get("https://localhost/users/x").body(Default::default()).unwrap();
            assert_eq!(within(send.send_request(request)).await.unwrap().status(), StatusCode::OK);
            continue;
        }
        stream
            .write_all(b"GET /users/x HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut said = String::new();
        within(stream.read_to_string(&mut said)).await.unwrap();
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        assert!(said.contains(r#""x-forwarded-proto":"https""#), "{said}");
        assert!(said.contains("for=127.0.0.1") && said.contains("proto=https"), "{said}");
    }
    let mut plain = world.connect().await;
    plain.say("GET /users/x HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let said = within(async {
        let mut said = Vec::new();
        // The connection may also be reset.
        let _ = plain.0.read_to_end(&mut said).await;
        String::from_utf8_lossy(&said).into_owned()
    });
    assert!(!said.await.contains("200 OK"), "it was answered without TLS");
}

#[tokio::test]
async fn the_time_for_all_of_a_request_has_an_end() {
    let world = world_with("timeouts.total = '150ms'\ntimeouts.first_byte = '0s'").await;
    let silent = raw_backend(|mut raw| async move {
        raw.until("\r\n\r\n").await;
        std::future::pending().await
    })
    .await;
    world.register("silent", "a", silent).await;
    let refused = world.get("/silent/").await;
    assert_eq!(refused.status, StatusCode::GATEWAY_TIMEOUT);
    assert!(refused.text().contains("the time for the whole request is over"), "{}", refused.text());
}

/// Lines as a subscriber writes them.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// On one thread, so that the subscriber of this test hears it.
#[tokio::test]
async fn each_request_is_a_line_of_the_access_log() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt().json().with_writer(move || writer.clone()).finish();
    let _here = tracing::subscriber::set_default(subscriber);
    let (world, users) = (world_with("access_log = 'all'").await, named("users").await);
    world.register("users", "a", users.address).await;
    assert_eq!(world.get("/users/seven?secret=1").await.status, StatusCode::OK);
    assert_eq!(world.get("/nobody/x").await.status, StatusCode::NOT_FOUND);
    let logged = || {
        let text = String::from_utf8(lines.0.lock().clone()).unwrap();
        let all = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        all.filter(|line| line["target"] == "switchboard_gateway::access").collect::<Vec<_>>()
    };
    within(async {
        while logged().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let logged = logged();
    let (served, refused) = (&logged[0]["fields"], &logged[1]["fields"]);
    assert_eq!((&served["method"], &served["path"]), (&"GET".into(), &"\"/users/seven\"".into()), "{served}");
    assert_eq!((&served["status"], &served["attempts"]), (&200.into(), &1.into()), "{served}");
    assert_eq!(
        (&served["service"], &served["instance"]),
        (&"users".into(), &"default/users/a".into()),
        "{served}"
    );
    assert!(served["bytes"].as_u64().unwrap() > 0 && served["seconds"].as_f64().unwrap() > 0.0, "{served}");
    assert!(served["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{served}");
    assert_eq!(refused["status"], 404, "{refused}");
    assert!(refused["why"].as_str().unwrap().contains("there is no service"), "{refused}");
    assert!(!served.to_string().contains("secret"), "what a query says is nobody's business: {served}");
}

/// The README's table names tests that there are.
#[test]
fn the_tests_that_the_readme_names_are_there() {
    let mut sources = include_str!("../../../server/tests/cli/gateway.rs").to_owned();
    for entry in
        std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/gateway")).read_dir().unwrap()
    {
        sources.push_str(&std::fs::read_to_string(entry.unwrap().path()).unwrap());
    }
    let table = include_str!("../../README.md").split("## What holds it").nth(1).unwrap();
    let named = table.lines().filter(|line| line.starts_with("| ")).skip(1);
    let named: Vec<&str> = named
        .flat_map(|row| row.rsplit('|').nth(1).unwrap_or_default().split('`').skip(1).step_by(2))
        .collect();
    assert!(named.len() > 25, "{named:?}");
    for name in named {
        assert!(sources.contains(&format!("fn {name}(")), "there is no test {name}");
    }
}
