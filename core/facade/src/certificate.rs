//! The certificate that a listener shows, read anew when its files are others.
//!
//! Certificates are renewed while servers run. Every handshake looks at the two files; what is there and fits together is
//! shown from then on, and as long as it does not, what was shown before.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

/// Which file cannot be used, and why.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Unusable {
    pub(crate) file: PathBuf,
    pub(crate) why: String,
}

#[derive(Debug)]
pub(crate) struct Shown {
    certificate: PathBuf,
    key: PathBuf,
    provider: Arc<CryptoProvider>,
    now: Mutex<Now>,
}

#[derive(Debug)]
struct Now {
    /// Of the files as they were last read, whether or not they could be used.
    seen: Option<[Stamp; 2]>,
    shown: Arc<CertifiedKey>,
}

/// Changes when a file does, and when another takes its place.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Shown {
    pub(crate) fn read(
        certificate: &Path,
        key: &Path,
        provider: Arc<CryptoProvider>,
    ) -> Result<Shown, Unusable> {
        // In this order: what is written between the two is read once more.
        let seen = stamps(certificate, key);
        let shown = Arc::new(certified(certificate, key, &provider)?);
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        Ok(Shown { certificate, key, provider, now: Mutex::new(Now { seen, shown }) })
    }

    fn current(&self) -> Arc<CertifiedKey> {
        let found = stamps(&self.certificate, &self.key);
        let mut now = self.now.lock();
        if found.is_some() && found != now.seen {
            now.seen = found;
            match certified(&self.certificate, &self.key, &self.provider) {
                Ok(renewed) => {
                    tracing::info!(file = %self.certificate.display(), "shows the certificate that is there now");
                    now.shown = Arc::new(renewed);
                }
                Err(Unusable { file, why }) => {
                    tracing::warn!(file = %file.display(), why, "cannot use the new certificate, and shows the one from before");
                }
            }
        }
        now.shown.clone()
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current())
    }
}

/// None: one of them is not there, as it is while they are being put in place.
fn stamps(certificate: &Path, key: &Path) -> Option<[Stamp; 2]> {
    let stamp = |file: &Path| {
        let found = std::fs::metadata(file).ok()?;
        Some(Stamp { inode: found.ino(), bytes: found.size(), modified: (found.mtime(), found.mtime_nsec()) })
    };
    Some([stamp(certificate)?, stamp(key)?])
}

fn certified(certificate: &Path, key: &Path, provider: &CryptoProvider) -> Result<CertifiedKey, Unusable> {
    let bad = |why: String| Unusable { file: key.to_owned(), why };
    let chain = chain(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(error.to_string()))?;
    CertifiedKey::from_der(chain, private, provider).map_err(|error| bad(error.to_string()))
}

/// All certificates of a file, of which there is at least one.
pub(crate) fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, Unusable> {
    let bad = |why: String| Unusable { file: file.to_owned(), why };
    let found: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).map_err(|error| bad(error.to_string()))?.collect();
    match found.map_err(|error| bad(error.to_string()))? {
        found if found.is_empty() => Err(bad("it holds no certificate".to_owned())),
        found => Ok(found),
    }
}
