//! Clients that show one of the very certificates that are trusted, and none that these signed: one self-signed
//! certificate for everything is what small installations have. The library takes such a certificate for an authority's only.
//!
//! Whoever has its key could sign a certificate with any name, so that this lets nobody in who could not come in anyway.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use x509_cert::der::Decode;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::ExtendedKeyUsage;

const ANY_USE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");
const CLIENTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");

#[derive(Debug)]
pub(crate) struct AlsoThemselves {
    pub(crate) signed: Arc<dyn ClientCertVerifier>,
    pub(crate) trusted: Vec<CertificateDer<'static>>,
}

impl ClientCertVerifier for AlsoThemselves {
    fn offer_client_auth(&self) -> bool {
        self.signed.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.signed.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.signed.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let refused = match self.signed.verify_client_cert(shown, others, now) {
            Ok(verified) => return Ok(verified),
            Err(refused) => refused,
        };
        let is_itself = self.trusted.iter().any(|trusted| trusted == shown) && may_be_shown(shown, now);
        if is_itself { Ok(ClientCertVerified::assertion()) } else { Err(refused) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls12_signature(message, shown, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.signed.verify_tls13_signature(message, shown, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.signed.supported_verify_schemes()
    }
}

/// Whether it is of now, and of use to clients.
fn may_be_shown(certificate: &[u8], now: UnixTime) -> bool {
    let Ok(certificate) = x509_cert::Certificate::from_der(certificate) else { return false };
    let told = certificate.tbs_certificate();
    let (from, until) = (told.validity().not_before, told.validity().not_after);
    let is_of_now =
        (from.to_unix_duration().as_secs()..=until.to_unix_duration().as_secs()).contains(&now.as_secs());
    let is_of_use = match told.get_extension::<ExtendedKeyUsage>() {
        Ok(None) => true,
        Ok(Some((_, uses))) => uses.0.contains(&CLIENTS) || uses.0.contains(&ANY_USE),
        Err(_) => false,
    };
    is_of_now && is_of_use
}
