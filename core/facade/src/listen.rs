use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use x509_cert::der::asn1::{Ia5StringRef, ObjectIdentifier, PrintableStringRef};
use x509_cert::der::{Decode, Tag, Tagged};

use crate::certificate::{self, Shown, Unusable};
use crate::facade::Listening;
use crate::trusted::AlsoThemselves;

/// Where to listen, and how protected.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listen {
    pub address: SocketAddr,
    /// Listen beyond this machine without TLS. Off unless someone asked for it in so many words.
    #[serde(default)]
    pub insecure: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Tls>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tls {
    /// The certificate chain, as PEM.
    pub certificate: PathBuf,
    /// The private key, as PEM.
    pub key: PathBuf,
    /// Clients must show a certificate that one of these signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_ca: Option<PathBuf>,
    /// They may also show none. One that is shown must be signed all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub client_optional: bool,
}

/// Why nothing listens. Says which setting moves it.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    #[error(
        "{protocol}: port {} is already in use by another process ({address}).\n  \
         Move it with `--listen {protocol}=HOST:PORT` ({protocol}.listen in the configuration), \
         or leave this protocol out with `--disable {protocol}`.", address.port()
    )]
    InUse { protocol: String, address: SocketAddr },
    #[error(
        "{protocol}: refusing to listen on {address} without TLS: it can be reached from other machines.\n  \
         Set {protocol}.tls, or accept that with `--set {protocol}.insecure=true`, \
         or listen on 127.0.0.1 with `--listen {protocol}=127.0.0.1:{}`.", address.port()
    )]
    Exposed { protocol: String, address: SocketAddr },
    #[error(
        "{protocol}: refusing to listen on {address}: it can be reached from other machines, and what is spoken there \
         is not protected.\n  Accept that with `--set {protocol}.insecure=true`, \
         or listen on 127.0.0.1 with `--listen {protocol}=127.0.0.1:{}`.", address.port()
    )]
    ExposedDatagrams { protocol: String, address: SocketAddr },
    #[error(
        "{protocol}: cannot listen on {address}: {source}.\n  Choose another with `--listen {protocol}=HOST:PORT`."
    )]
    Bind { protocol: String, address: SocketAddr, source: io::Error },
    #[error("{protocol}: cannot use {}: {why}.\n  Check {protocol}.tls in the configuration.", file.display())]
    Tls { protocol: String, file: PathBuf, why: String },
}

/// A bound socket.
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    tls: Option<rustls::ServerConfig>,
    insecure: bool,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Short enough that a burst of clients after a restart is not turned away by the kernel.
const BACKLOG: i32 = 4096;

impl Listener {
    pub fn bind(protocol: &str, listen: &Listen) -> Result<Listener, ListenError> {
        let address = listen.address;
        let insecure = !address.ip().is_loopback() && listen.tls.is_none();
        let protocol = protocol.to_owned();
        if insecure && !listen.insecure {
            return Err(ListenError::Exposed { protocol, address });
        }
        let tls = listen.tls.as_ref().map(|tls| server_config(&protocol, tls)).transpose()?;
        let socket = socket(address).map_err(|source| not_bound(&protocol, address, source))?;
        let address = socket.local_addr().unwrap_or(address);
        Ok(Listener { socket, address, tls, insecure })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn listening(&self, what: &str) -> Listening {
        let insecure = self.insecure.then(|| "reachable from other machines, without TLS".to_owned());
        Listening { what: what.to_owned(), address: self.address, tls: self.tls.is_some(), insecure }
    }

    /// The next connection, before any handshake. Errors of a single connection are not errors of the listener.
    pub(crate) async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    // Small answers must not wait for more to come.
                    let _ = stream.set_nodelay(true);
                    return (stream, peer);
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, address = %self.address, "cannot accept connections; trying again");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }

    /// What shakes hands, if anything does. `alpn` names what is spoken.
    pub(crate) fn tls(&self, alpn: &[&[u8]]) -> Option<TlsAcceptor> {
        let mut config = self.tls.clone()?;
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Some(TlsAcceptor::from(Arc::new(config)))
    }
}

pub(crate) fn not_bound(protocol: &str, address: SocketAddr, source: io::Error) -> ListenError {
    let protocol = protocol.to_owned();
    match source.kind() {
        io::ErrorKind::AddrInUse => ListenError::InUse { protocol, address },
        _ => ListenError::Bind { protocol, address, source },
    }
}

fn socket(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(
        socket2::Domain::for_address(address),
        socket2::Type::STREAM,
        Some(socket2::Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn server_config(protocol: &str, tls: &Tls) -> Result<rustls::ServerConfig, ListenError> {
    let bad = |file: &Path, why: String| ListenError::Tls {
        protocol: protocol.to_owned(),
        file: file.to_owned(),
        why,
    };
    let unusable = |Unusable { file, why }| bad(&file, why);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let shown = Shown::read(&tls.certificate, &tls.key, provider.clone()).map_err(unusable)?;
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|e| bad(&tls.certificate, e.to_string()))?;
    let builder = match &tls.client_ca {
        None if tls.client_optional => {
            let why =
                "client_optional says that clients may show certificates, and client_ca does not say whose";
            return Err(bad(&tls.certificate, why.to_owned()));
        }
        None => builder.with_no_client_auth(),
        Some(file) => {
            let mut roots = rustls::RootCertStore::empty();
            let trusted = certificate::chain(file).map_err(unusable)?;
            for certificate in &trusted {
                roots.add(certificate.clone()).map_err(|e| bad(file, e.to_string()))?;
            }
            let verifier =
                rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = if tls.client_optional { verifier.allow_unauthenticated() } else { verifier };
            let signed = verifier.build().map_err(|e| bad(file, e.to_string()))?;
            builder.with_client_cert_verifier(Arc::new(AlsoThemselves { signed, trusted }))
        }
    };
    Ok(builder.with_cert_resolver(Arc::new(shown)))
}

/// The other end of a connection; HTTP carries it as an extension of each request.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// A connection, with or without TLS.
#[derive(Debug)]
pub enum Connection {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Connection {
    /// Whose certificate the other end showed, if it showed one; that it is signed was looked at.
    pub(crate) fn client_name(&self) -> Option<ClientName> {
        match self {
            Connection::Plain(_) => None,
            Connection::Tls(stream) => {
                let (_, session) = stream.get_ref();
                common_name(session.peer_certificates()?.first()?).map(|name| ClientName(name.into()))
            }
        }
    }
}

/// The common name of the certificate that the other end of a connection showed. HTTP carries it as an extension of
/// each request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientName(pub Arc<str>);

/// The last one, as Go takes it. None: the certificate has none.
fn common_name(certificate: &[u8]) -> Option<String> {
    const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let subject = certificate.tbs_certificate().subject();
    let named = subject.iter().filter(|part| part.oid == COMMON_NAME).last()?;
    let text = match named.value.tag() {
        Tag::Utf8String => named.value.decode_as::<String>().ok()?,
        Tag::PrintableString => named.value.decode_as::<PrintableStringRef<'_>>().ok()?.to_string(),
        Tag::Ia5String => named.value.decode_as::<Ia5StringRef<'_>>().ok()?.to_string(),
        _ => return None,
    };
    (!text.is_empty()).then_some(text)
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Connection::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Connection::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Connection::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Connection::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Connection::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Connection::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Connection::Plain(stream) => stream.is_write_vectored(),
            Connection::Tls(stream) => stream.is_write_vectored(),
        }
    }
}
