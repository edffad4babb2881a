use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ConfigError;
use crate::policy::Host;

/// Where operating systems keep the certificate authorities that they trust, as PEM.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Whose certificates are believed.
pub(crate) struct Trust {
    verifying: Arc<ClientConfig>,
    verifying_http2: Arc<ClientConfig>,
    /// Accepts any certificate.
    blind: Arc<ClientConfig>,
}

/// How to speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Verify,
    VerifyHttp2,
    /// For checks that ask for it in so many words.
    Blind,
}

impl Trust {
    pub(crate) fn load(ca_file: Option<&Path>) -> Result<Trust, ConfigError> {
        let roots = match ca_file {
            Some(file) => roots(file).map_err(|why| ConfigError {
                key: "ca_file",
                why: format!("cannot use {}: {why}", file.display()),
            })?,
            // Without authorities only the checks that need them fail.
            None => SYSTEM
                .iter()
                .find_map(|file| roots(Path::new(file)).ok())
                .unwrap_or_else(RootCertStore::empty),
        };
        Trust::new(roots).map_err(|error| ConfigError { key: "ca_file", why: error.to_string() })
    }

    fn new(roots: RootCertStore) -> Result<Trust, rustls::Error> {
        let provider = Arc::new(ring::default_provider());
        let builder =
            || ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
        let mut verifying = builder()?.with_root_certificates(roots).with_no_client_auth();
        let anyone = Arc::new(Anyone(provider.clone()));
        let mut blind = builder()?.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth();
        // A resumed session shows no certificate, and one that ran out is what a probe should find.
        verifying.resumption = Resumption::disabled();
        blind.resumption = Resumption::disabled();
        let mut http2 = verifying.clone();
        http2.alpn_protocols = vec![b"h2".to_vec()];
        verifying.alpn_protocols = vec![b"http/1.1".to_vec()];
        blind.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Trust { verifying: Arc::new(verifying), verifying_http2: Arc::new(http2), blind: Arc::new(blind) })
    }

    /// `name` is the server's name; empty: the host's.
    pub(super) async fn wrap(
        &self,
        stream: TcpStream,
        name: &str,
        host: &Host,
        mode: Mode,
    ) -> Result<TlsStream<TcpStream>, String> {
        let config = match mode {
            Mode::Verify => &self.verifying,
            Mode::VerifyHttp2 => &self.verifying_http2,
            Mode::Blind => &self.blind,
        };
        let name = if name.is_empty() { host.to_string() } else { name.to_owned() };
        let server =
            ServerName::try_from(name.clone()).map_err(|_| format!("{name:?} is not a TLS server name"))?;
        let connector = TlsConnector::from(config.clone());
        connector.connect(server, stream).await.map_err(|error| format!("TLS: {}", said(&error, &name)))
    }
}

/// Why a handshake failed, without the names that the certificate holds: they are the other side's words.
fn said(error: &io::Error, name: &str) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        )) => format!("the certificate is not valid for {name}"),
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "the certificate comes from an unknown authority; `health.ca_file` names the known ones"
                .to_owned()
        }
        Some(rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => "the certificate has expired".to_owned(),
        Some(rustls::Error::InvalidCertificate(_)) => "the certificate is not valid".to_owned(),
        Some(rustls::Error::AlertReceived(alert)) => format!("the server refused the handshake ({alert:?})"),
        Some(_) => "the server does not speak it as it should".to_owned(),
        None => error.kind().to_string(),
    }
}

fn roots(file: &Path) -> Result<RootCertStore, String> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        // Bundles of operating systems hold a few that are too old to be understood.
        let _ = roots.add(certificate.map_err(|error| error.to_string())?);
    }
    if roots.is_empty() { Err("it holds no certificate that can be used".to_owned()) } else { Ok(roots) }
}

/// Believes every certificate, but still makes the other side show that it has the key.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
