//! Keys out of PEM files, in each of the forms that etcd reads.

use ring::rand::SystemRandom;
use ring::{hmac, signature};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::jwt::{Kind, Signer};

/// Whole files.
#[derive(Default)]
pub(super) struct Files {
    pub(super) public: Option<Vec<u8>>,
    pub(super) private: Option<Vec<u8>>,
}

/// What of the file is between lines with one of these names.
fn section(what: &str, file: &[u8], names: &[&str]) -> Result<pem::Pem, String> {
    let sections = pem::parse_many(file).map_err(|error| format!("{what} is no PEM file: {error}"))?;
    let found = sections.into_iter().find(|section| names.contains(&section.tag()));
    found.ok_or_else(|| format!("{what} has none of {}", names.join(", ")))
}

/// The key that signs. None: no file was given.
pub(super) fn signer(files: &Files, kind: Kind) -> Result<Option<Signer>, String> {
    let Some(file) = &files.private else { return Ok(None) };
    let bad = |error: ring::error::KeyRejected| format!("priv-key cannot be used: {error}");
    let own = |names: &[&str]| section("priv-key", file, names);
    Ok(Some(match kind {
        // As it is, with whatever ends its last line.
        Kind::Hmac(_) if file.is_empty() => return Err("priv-key is empty".to_owned()),
        Kind::Hmac(algorithm) => Signer::Hmac(hmac::Key::new(algorithm, file)),
        Kind::Rsa { sign, .. } => {
            let key = own(&["RSA PRIVATE KEY", "PRIVATE KEY"])?;
            let pair = match key.tag() {
                "PRIVATE KEY" => signature::RsaKeyPair::from_pkcs8(key.contents()),
                _ => signature::RsaKeyPair::from_der(key.contents()),
            };
            Signer::Rsa(Box::new(pair.map_err(bad)?), sign)
        }
        Kind::Ec { sign, .. } => {
            let key = own(&["EC PRIVATE KEY", "PRIVATE KEY"])?;
            let wrapped = match key.tag() {
                "PRIVATE KEY" => key.contents().to_vec(),
                _ => wrapped(key.contents(), sign).ok_or("priv-key is too long to be one")?,
            };
            let pair = signature::EcdsaKeyPair::from_pkcs8(sign, &wrapped, &SystemRandom::new());
            Signer::Ec(Box::new(pair.map_err(bad)?))
        }
        Kind::Ed => {
            let key = own(&["PRIVATE KEY"])?;
            let pair = signature::Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.contents());
            Signer::Ed(Box::new(pair.map_err(bad)?))
        }
    }))
}

/// The key that checks, bare. None: no file was given.
pub(super) fn public(files: &Files) -> Result<Option<Vec<u8>>, String> {
    let Some(file) = &files.public else { return Ok(None) };
    let key = section("pub-key", file, &["PUBLIC KEY", "CERTIFICATE", "RSA PUBLIC KEY"])?;
    let bad = |error: x509_cert::der::Error| format!("pub-key cannot be read: {error}");
    Ok(Some(match key.tag() {
        "PUBLIC KEY" => {
            let info = SubjectPublicKeyInfoRef::from_der(key.contents()).map_err(bad)?;
            info.subject_public_key.raw_bytes().to_vec()
        }
        "CERTIFICATE" => {
            let certificate = Certificate::from_der(key.contents()).map_err(bad)?;
            let info = certificate.tbs_certificate().subject_public_key_info();
            info.subject_public_key.raw_bytes().to_vec()
        }
        _ => key.into_contents(),
    }))
}

/// An elliptic curve's key of RFC 5915 in the form of RFC 5208, which says the curve outside of it.
fn wrapped(key: &[u8], by: &signature::EcdsaSigningAlgorithm) -> Option<Vec<u8>> {
    const EC_PUBLIC_KEY: &[u8] = &[0x06, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
    const P256: &[u8] = &[0x06, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
    const P384: &[u8] = &[0x06, 5, 0x2b, 0x81, 4, 0, 34];
    let is_p256 = *by == signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let algorithm = tagged(0x30, &[EC_PUBLIC_KEY, if is_p256 { P256 } else { P384 }].concat())?;
    tagged(0x30, &[[0x02, 1, 0].as_slice(), &algorithm, &tagged(0x04, key)?].concat())
}

fn tagged(tag: u8, contents: &[u8]) -> Option<Vec<u8>> {
    let [high, low] = u16::try_from(contents.len()).ok()?.to_be_bytes();
    let length: &[u8] = match (high, low) {
        (0, short) if short < 0x80 => &[short],
        (0, low) => &[0x81, low],
        (high, low) => &[0x82, high, low],
    };
    Some([&[tag], length, contents].concat())
}
