//! TLS on the one port, and certificates as users.

use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::{PrivateKeyDer, ServerName};
use switchboard_protocol_etcd::etcdserverpb as pb;
use switchboard_protocol_etcd::etcdserverpb::kv_client::KvClient;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::support::*;
use crate::users::*;

/// Signs the server and its clients.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn signed(&self, common_name: &str) -> (rcgen::Certificate, KeyPair) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::OrganizationName, "not a name");
        params.distinguished_name.push(DnType::CommonName, common_name);
        (params.signed_by(&key, &self.0).unwrap(), key)
    }
}

/// The port with TLS of a world with users.
struct Secured {
    world: World,
    authority: Authority,
    address: SocketAddr,
    files: TempDir,
}

async fn secured(more: &str) -> Secured {
    let (world, authority) = (guarded().await, Authority::new());
    let files = tempfile::tempdir().unwrap();
    let (certificate, key) = authority.signed("the server");
    let file = |name: &str, text: String| {
        let path = files.path().join(name);
        std::fs::write(&path, text).unwrap();
        format!("'{}'", path.display())
    };
    let tls = format!(
        "{CHEAP}\ntls = {{ certificate = {}, key = {}, client_ca = {}{more} }}",
        file("server.pem", certificate.pem()),
        file("server.key", key.serialize_pem()),
        file("clients.pem", authority.0.pem()),
    );
    let address = serve(&tls, &world.registry, &world.stop).await;
    Secured { world, authority, address, files }
}

impl Secured {
    /// A connection with a certificate of this name, signed by `signer`, that offers to speak `alpn`.
    async fn connect(
        &self,
        shown: Option<(&Authority, &str)>,
        alpn: &str,
    ) -> std::io::Result<TlsStream<TcpStream>> {
        connector(&self.authority, shown, alpn)
            .connect(ServerName::IpAddress(self.address.ip().into()), TcpStream::connect(self.address).await?)
            .await
    }

    async fn channel(&self, shown: Option<(&Authority, &str)>) -> Result<Channel, tonic::transport::Error> {
        let (connector, address) = (connector(&self.authority, shown, "h2"), self.address);
        let connect = tower::service_fn(move |_| {
            let connector = connector.clone();
            async move {
                let name = ServerName::IpAddress(address.ip().into());
                let stream = connector.connect(name, TcpStream::connect(address).await?).await?;
                Ok::<_, std::io::Error>(TokioIo::new(stream))
            }
        });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        endpoint.connect_with_connector(connect).await
    }

    /// Whether it is answered at all.
    async fn lets_in(&self, shown: Option<(&Authority, &str)>) -> bool {
        self.lets_in_by(connector(&self.authority, shown, "http/1.1")).await
    }

    async fn lets_in_by(&self, connector: TlsConnector) -> bool {
        let name = ServerName::IpAddress(self.address.ip().into());
        let stream = TcpStream::connect(self.address).await.unwrap();
        let Ok(mut stream) = connector.connect(name, stream).await else { return false };
        let asked = stream.write_all(b"GET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        let mut said = String::new();
        asked.is_ok() && stream.read_to_string(&mut said).await.is_ok() && said.starts_with("HTTP/1.1 200 ")
    }

    async fn read(&self, shown: Option<(&Authority, &str)>, key: &str) -> Result<(), Status> {
        let request = pb::RangeRequest { key: b(key), ..Default::default() };
        let channel = self.channel(shown).await.map_err(|error| Status::unavailable(format!("{error:?}")))?;
        KvClient::new(channel).range(request).await.map(|_| ())
    }
}

fn connector(trusted: &Authority, shown: Option<(&Authority, &str)>, alpn: &str) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.0.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match shown {
        None => builder.with_no_client_auth(),
        Some((signer, name)) => {
            let (certificate, key) = signer.signed(name);
            let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
            builder.with_client_auth_cert(vec![certificate.der().clone()], key).unwrap()
        }
    };
    config.alpn_protocols = vec![alpn.as_bytes().to_vec()];
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn a_certificate_is_its_user() {
    let secured = secured("").await;
    secured.world.user("u", &[("a", "")], &[]).await;
    let shown = |name| Some((&secured.authority, name));
    secured.read(shown("u"), "a").await.unwrap();
    denied(secured.read(shown("u"), "b").await);
    denied(secured.read(shown("nobody"), "a").await);
    secured.read(shown("root"), "b").await.unwrap();
    // Who shows a token besides is who signed in.
    let mut auth = pb::auth_client::AuthClient::new(secured.channel(shown("u")).await.unwrap());
    let ask = pb::AuthenticateRequest { name: "root".to_owned(), password: "root".to_owned() };
    let token = auth.authenticate(ask).await.unwrap().into_inner().token;
    let mut kv = KvClient::new(secured.channel(shown("u")).await.unwrap());
    let get = || pb::RangeRequest { key: b("b"), ..Default::default() };
    kv.range(with(Some(&token), get())).await.unwrap();
    denied(kv.range(get()).await);
    let bad = kv.range(with(Some("nobodys.1"), get())).await;
    refused(bad, Code::Unauthenticated, "etcdserver: invalid auth token");
}

#[tokio::test]
async fn who_has_to_show_a_certificate_and_does_not_is_not_let_in() {
    let secured = secured("").await;
    let stranger = Authority::new();
    assert!(secured.lets_in(Some((&secured.authority, "anybody"))).await);
    assert!(!secured.lets_in(Some((&stranger, "root"))).await);
    assert!(!secured.lets_in(None).await);
}

#[tokio::test]
async fn who_may_show_a_certificate_and_does_not_is_nobody() {
    let secured = secured(", client_optional = true").await;
    let empty = secured.read(None, "a").await;
    refused(empty, Code::InvalidArgument, "etcdserver: user name is empty");
    secured.read(Some((&secured.authority, "root")), "a").await.unwrap();
    let stranger = Authority::new();
    assert!(!secured.lets_in(Some((&stranger, "root"))).await);
}

/// A certificate that was renewed on disk was shown only after a restart, and until then the old one, though it had
/// ended. etcd looks at the files in every handshake.
#[tokio::test]
async fn a_renewed_certificate_is_shown_without_a_restart() {
    let secured = secured("").await;
    let shown_by_it = async || {
        let stream = secured.connect(Some((&secured.authority, "anybody")), "h2").await.unwrap();
        stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
    };
    let before = shown_by_it().await;
    let (renewed, key) = secured.authority.signed("the server");
    // Between the two files they do not fit together.
    std::fs::write(secured.files.path().join("server.key"), key.serialize_pem()).unwrap();
    assert_eq!(shown_by_it().await, before);
    std::fs::write(secured.files.path().join("server.pem"), renewed.pem()).unwrap();
    assert_eq!(shown_by_it().await, *renewed.der());
    // Nobody is turned away while they are gone.
    std::fs::remove_file(secured.files.path().join("server.pem")).unwrap();
    assert_eq!(shown_by_it().await, *renewed.der());
}

/// Whoever had one self-signed certificate for everything, as etcd's guides make one, was turned away: it was an
/// authority's, and no client's.
#[tokio::test]
async fn a_trusted_certificate_may_be_shown_itself() {
    let secured = secured("").await;
    let show = async |authority: &Authority| {
        let roots = connector(&secured.authority, None, "http/1.1");
        let mut config = (**roots.config()).clone();
        let key = PrivateKeyDer::try_from(authority.0.key().serialize_der()).unwrap();
        let shown = rustls::sign::CertifiedKey::from_der(
            vec![authority.0.der().clone()],
            key,
            &rustls::crypto::ring::default_provider(),
        );
        config.client_auth_cert_resolver = Arc::new(rustls::sign::SingleCertAndKey::from(shown.unwrap()));
        secured.lets_in_by(TlsConnector::from(Arc::new(config))).await
    };
    assert!(show(&secured.authority).await);
    assert!(!show(&Authority::new()).await, "another one is a stranger's");
}

/// CVE-2026-73500: a connection that never shook hands was kept for as long as it liked.
#[tokio::test]
async fn who_does_not_shake_hands_is_hung_up_on() {
    let secured = secured(" }\nlimits = { handshake_timeout = '1s'").await;
    let mut silent = TcpStream::connect(secured.address).await.unwrap();
    assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    assert!(secured.lets_in(Some((&secured.authority, "anybody"))).await);
}

#[tokio::test]
async fn one_port_speaks_both_and_the_gateway_takes_no_certificate_for_a_user() {
    let secured = secured("").await;
    let shown = Some((&secured.authority, "root"));
    let h2 = secured.connect(shown, "h2").await.unwrap();
    assert_eq!(h2.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let mut http = secured.connect(shown, "http/1.1").await.unwrap();
    assert_eq!(http.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    let body = r#"{"key":"YQ=="}"#;
    let head = format!("host: x\r\nconnection: close\r\ncontent-length: {}", body.len());
    http.write_all(format!("POST /v3/kv/range HTTP/1.1\r\n{head}\r\n\r\n{body}").as_bytes()).await.unwrap();
    let mut said = String::new();
    http.read_to_string(&mut said).await.unwrap();
    assert!(said.starts_with("HTTP/1.1 400 ") && said.contains("etcdserver: user name is empty"), "{said}");
}
