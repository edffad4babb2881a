use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::failure::Failure;

/// A connection takes no longer than this to come about.
const PATIENCE: Duration = Duration::from_secs(5);

/// Whose certificates are believed.
#[derive(Clone)]
pub(super) struct Trust(Arc<rustls::ClientConfig>);

impl Trust {
    /// Only what is named is trusted: a registry's certificate is rarely one that the world knows.
    pub(super) fn read(ca: Option<&Path>) -> Result<Trust, Failure> {
        let file = ca.ok_or_else(|| {
            Failure::usage("an https:// registry needs --ca FILE (SWITCHBOARD_CA)")
                .next("FILE holds the certificate that signed the registry's, or the registry's own, as PEM.")
        })?;
        let wrong = |why: String| Failure::usage(format!("--ca {}: {why}", file.display()));
        let mut roots = rustls::RootCertStore::empty();
        for certificate in CertificateDer::pem_file_iter(file).map_err(|error| wrong(error.to_string()))? {
            let added = certificate.map_err(|error| error.to_string());
            added.and_then(|it| roots.add(it).map_err(|error| error.to_string())).map_err(wrong)?;
        }
        if roots.is_empty() {
            return Err(wrong("it holds no certificate".to_owned()));
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let builder = builder.map_err(|error| wrong(error.to_string()))?;
        Ok(Trust(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
    }
}

/// A connection of either kind.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

pub(super) async fn connect(host: &str, port: u16, trust: Option<&Trust>) -> io::Result<Box<dyn Stream>> {
    let connecting = async {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        let Some(trust) = trust else { return Ok(Box::new(stream) as Box<dyn Stream>) };
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(trust.0.clone()).connect(name, stream).await?;
        Ok(Box::new(stream) as Box<dyn Stream>)
    };
    let late =
        |_| io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {} s", PATIENCE.as_secs()));
    tokio::time::timeout(PATIENCE, connecting).await.map_err(late)?
}
