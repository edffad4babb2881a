use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::TlsAcceptor;

use super::*;

/// A certificate for `web.example` that signs itself, and the file in which it stands as an authority.
pub(super) struct Authority {
    _folder: Folder,
    pub(super) file: std::path::PathBuf,
    certified: rcgen::CertifiedKey<rcgen::KeyPair>,
}

struct Folder(std::path::PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Authority {
    pub(super) fn new() -> Authority {
        let certified = rcgen::generate_simple_self_signed(["web.example".to_owned()]).unwrap();
        let folder = std::env::temp_dir().join(format!("switchboard-health-{:016x}", fastrand::u64(..)));
        std::fs::create_dir(&folder).unwrap();
        let file = folder.join("authorities.pem");
        std::fs::write(&file, certified.cert.pem()).unwrap();
        Authority { _folder: Folder(folder), file, certified }
    }

    pub(super) fn acceptor(&self, alpn: &str) -> TlsAcceptor {
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(self.certified.signing_key.serialize_der()));
        let mut config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(vec![self.certified.cert.der().clone()], key)
                .unwrap();
        config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

async fn https(acceptor: TlsAcceptor) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test]
async fn certificates_are_checked_unless_the_check_says_otherwise() {
    let authority = Authority::new();
    let port = https(authority.acceptor("http/1.1")).await;
    let trusting = Lab::new(Config { ca_file: Some(authority.file.clone()), ..Config::default() })
        .resolves(&[&["127.0.0.1"]]);
    let stranger = Lab::new(Config::default());
    let spec =
        |name: &str, tls_skip_verify| http(HttpProbe { tls: Some(name.into()), tls_skip_verify, ..get("/") });

    let outcome = trusting.ask("127.0.0.1", port, spec("web.example", false)).await;
    assert_eq!(outcome.answer, Answer::Pass, "{outcome:?}");
    let outcome = trusting.ask("web.example", port, spec("", false)).await;
    assert_eq!(outcome.answer, Answer::Pass, "{outcome:?}");

    let outcome = trusting.ask("127.0.0.1", port, spec("other.example", false)).await;
    let why = "TLS: the certificate is not valid for other.example";
    assert_eq!(outcome, Outcome::new(Answer::Fail, format!("Get \"https://127.0.0.1:{port}/\": {why}")));
    let outcome = stranger.ask("127.0.0.1", port, spec("web.example", false)).await;
    assert_eq!(outcome.answer, Answer::Fail);
    assert!(outcome.output.contains("health.ca_file"), "{outcome:?}");

    let outcome = stranger.ask("127.0.0.1", port, spec("other.example", true)).await;
    assert_eq!(outcome.answer, Answer::Pass, "{outcome:?}");
}

#[tokio::test]
async fn a_server_without_tls_fails_the_handshake() {
    let (server, _) = canned("HTTP/1.1 200 OK\r\n\r\n", Duration::from_secs(9)).await;
    let spec = http(HttpProbe { tls: Some("".into()), tls_skip_verify: true, ..get("/") });
    let outcome = Lab::new(Config::default()).ask("127.0.0.1", server.port(), spec).await;
    let why = "TLS: the server does not speak it as it should";
    assert_eq!(outcome, Outcome::new(Answer::Fail, format!("Get \"https://{server}/\": {why}")));
}

#[test]
fn a_file_of_authorities_that_cannot_be_used_is_named() {
    let error = Trust::load(Some("/nonexistent/authorities.pem".as_ref())).err().unwrap();
    assert_eq!(error.key, "ca_file");
    assert!(error.to_string().contains("/nonexistent/authorities.pem"), "{error}");
}
