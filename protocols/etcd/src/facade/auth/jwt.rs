//! Tokens that are signed (RFC 7519) instead of remembered: whoever has the key may make them, and they are good until they
//! end or users change. What they say is etcd's: `username`, `revision` of users and roles, and `exp`.

use std::fmt;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::KeyPair as _;
use ring::{hmac, signature};
use serde_json::{Value, json};
use switchboard_facade::Span;

use super::keys::{self, Files};
use crate::refusal::{self, Refusal};

/// As etcd's setting says it: `jwt,pub-key=FILE,priv-key=FILE,sign-method=RS256,ttl=5m`.
pub(crate) struct Jwt {
    method: Method,
    /// None: tokens are only looked at, and somebody else makes them.
    signer: Option<Signer>,
    verifier: Verifier,
    ttl: Duration,
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("method", &self.method.name)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}

/// How tokens are signed, by RFC 7518's name for it.
#[derive(Clone, Copy)]
pub(super) struct Method {
    name: &'static str,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Hmac(hmac::Algorithm),
    Rsa {
        sign: &'static dyn signature::RsaEncoding,
        verify: &'static dyn signature::VerificationAlgorithm,
    },
    Ec {
        sign: &'static signature::EcdsaSigningAlgorithm,
        verify: &'static dyn signature::VerificationAlgorithm,
    },
    Ed,
}

fn method(name: &str) -> Option<Method> {
    use signature::*;
    let (name, kind) = match name {
        "HS256" => ("HS256", Kind::Hmac(hmac::HMAC_SHA256)),
        "HS384" => ("HS384", Kind::Hmac(hmac::HMAC_SHA384)),
        "HS512" => ("HS512", Kind::Hmac(hmac::HMAC_SHA512)),
        "RS256" => ("RS256", Kind::Rsa { sign: &RSA_PKCS1_SHA256, verify: &RSA_PKCS1_2048_8192_SHA256 }),
        "RS384" => ("RS384", Kind::Rsa { sign: &RSA_PKCS1_SHA384, verify: &RSA_PKCS1_2048_8192_SHA384 }),
        "RS512" => ("RS512", Kind::Rsa { sign: &RSA_PKCS1_SHA512, verify: &RSA_PKCS1_2048_8192_SHA512 }),
        "PS256" => ("PS256", Kind::Rsa { sign: &RSA_PSS_SHA256, verify: &RSA_PSS_2048_8192_SHA256 }),
        "PS384" => ("PS384", Kind::Rsa { sign: &RSA_PSS_SHA384, verify: &RSA_PSS_2048_8192_SHA384 }),
        "PS512" => ("PS512", Kind::Rsa { sign: &RSA_PSS_SHA512, verify: &RSA_PSS_2048_8192_SHA512 }),
        "ES256" => {
            ("ES256", Kind::Ec { sign: &ECDSA_P256_SHA256_FIXED_SIGNING, verify: &ECDSA_P256_SHA256_FIXED })
        }
        "ES384" => {
            ("ES384", Kind::Ec { sign: &ECDSA_P384_SHA384_FIXED_SIGNING, verify: &ECDSA_P384_SHA384_FIXED })
        }
        "EdDSA" => ("EdDSA", Kind::Ed),
        _ => return None,
    };
    Some(Method { name, kind })
}

pub(super) enum Signer {
    Hmac(hmac::Key),
    Rsa(Box<signature::RsaKeyPair>, &'static dyn signature::RsaEncoding),
    Ec(Box<signature::EcdsaKeyPair>),
    Ed(Box<signature::Ed25519KeyPair>),
}

enum Verifier {
    Hmac(hmac::Key),
    Public(signature::UnparsedPublicKey<Vec<u8>>),
}

impl Signer {
    /// None: one key does both.
    fn public(&self) -> Option<&[u8]> {
        match self {
            Signer::Hmac(_) => None,
            Signer::Rsa(key, _) => Some(key.public_key().as_ref()),
            Signer::Ec(key) => Some(key.public_key().as_ref()),
            Signer::Ed(key) => Some(key.public_key().as_ref()),
        }
    }

    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, ring::error::Unspecified> {
        let random = SystemRandom::new();
        Ok(match self {
            Signer::Hmac(key) => hmac::sign(key, text).as_ref().to_vec(),
            Signer::Rsa(key, encoding) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(*encoding, &random, text, &mut signature)?;
                signature
            }
            Signer::Ec(key) => key.sign(&random, text)?.as_ref().to_vec(),
            Signer::Ed(key) => key.sign(text).as_ref().to_vec(),
        })
    }
}

impl Verifier {
    fn fits(&self, text: &[u8], signature: &[u8]) -> bool {
        match self {
            Verifier::Hmac(key) => hmac::verify(key, text, signature).is_ok(),
            Verifier::Public(key) => key.verify(text, signature).is_ok(),
        }
    }
}

impl Jwt {
    /// Of what follows `jwt,` in the setting.
    pub(crate) fn open(options: &str) -> Result<Jwt, String> {
        let (mut files, mut named, mut ttl) = (Files::default(), None, Duration::from_secs(300));
        let mut seen = Vec::new();
        for option in options.split(',').filter(|option| !option.is_empty()) {
            let (name, value) =
                option.split_once('=').ok_or_else(|| format!("{option:?} is not of the form name=value"))?;
            if seen.contains(&name) {
                return Err(format!("{name} is there twice"));
            }
            seen.push(name);
            let read = || std::fs::read(value).map_err(|error| format!("{name} {value:?}: {error}"));
            match name {
                "pub-key" => files.public = Some(read()?),
                "priv-key" => files.private = Some(read()?),
                "sign-method" => named = Some(value),
                "ttl" => ttl = Span::parse(value)?.0,
                _ => {
                    return Err(format!("{name:?} is none of pub-key, priv-key, sign-method and ttl"));
                }
            }
        }
        let named = named.ok_or("sign-method is missing, such as sign-method=RS256")?;
        let method = method(named).ok_or_else(|| {
            format!(
                "{named:?} is no sign-method: take one of HS256, RS256, PS256, each also with 384 or 512, ES256, ES384 \
                 and EdDSA"
            )
        })?;
        let signer = keys::signer(&files, method.kind)?;
        let public = keys::public(&files)?;
        let verifier = match (&signer, method.kind) {
            (Some(Signer::Hmac(key)), _) => Verifier::Hmac(key.clone()),
            (_, Kind::Hmac(_)) => return Err("priv-key is missing: its bytes are the key".to_owned()),
            (Some(signer), Kind::Rsa { verify, .. } | Kind::Ec { verify, .. }) => {
                verifier(verify, same(signer, public)?)
            }
            (Some(signer), Kind::Ed) => verifier(&signature::ED25519, same(signer, public)?),
            (None, Kind::Rsa { verify, .. } | Kind::Ec { verify, .. }) => verifier(verify, given(public)?),
            (None, Kind::Ed) => verifier(&signature::ED25519, given(public)?),
        };
        Ok(Jwt { method, signer, verifier, ttl })
    }

    /// A token for somebody, as of this revision of users and roles. Moments are in seconds since 1970.
    pub(crate) fn sign(&self, user: &str, revision: u64, now: u64) -> Result<String, Refusal> {
        let signer = self.signer.as_ref().ok_or(refusal::VERIFY_ONLY)?;
        let ends = now.saturating_add(self.ttl.as_secs());
        let head = json!({ "alg": self.method.name, "typ": "JWT" });
        let claims = json!({ "username": user, "revision": revision, "exp": ends });
        let text = [head, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = signer.sign(text.as_bytes()).map_err(|error| {
            tracing::error!(%error, "a token cannot be signed");
            refusal::UNHEALTHY
        })?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// Whose it is, and as of which revision of users and roles. None: it is nobody's, or not any more.
    pub(crate) fn user(&self, token: &str, now: u64) -> Option<(String, u64)> {
        let (text, signature) = token.rsplit_once('.')?;
        let (head, claims) = text.split_once('.')?;
        let part = |part: &str| -> Option<Value> {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
        };
        // What the token says of its method is not believed: it has to be ours.
        if part(head)?.get("alg")?.as_str()? != self.method.name {
            return None;
        }
        if !self.verifier.fits(text.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?) {
            return None;
        }
        let claims = part(claims)?;
        let now = Duration::from_secs(now);
        // A moment that is none is none that has come.
        let moment = |name: &str| match claims.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => Duration::try_from_secs_f64(value.as_f64()?).ok().map(Some),
        };
        let has_ended = moment("exp")?.is_some_and(|ends| now >= ends);
        let has_begun = moment("nbf")?.is_none_or(|begins| now >= begins);
        if has_ended || !has_begun {
            return None;
        }
        let revision = claims.get("revision")?;
        // Go's numbers are floats.
        let revision = revision.as_u64().or_else(|| revision.as_f64()?.trunc().to_string().parse().ok())?;
        Some((claims.get("username")?.as_str()?.to_owned(), revision))
    }
}

fn verifier(by: &'static dyn signature::VerificationAlgorithm, public: Vec<u8>) -> Verifier {
    Verifier::Public(signature::UnparsedPublicKey::new(by, public))
}

fn given(public: Option<Vec<u8>>) -> Result<Vec<u8>, String> {
    public.ok_or_else(|| "pub-key or priv-key is missing".to_owned())
}

fn same(signer: &Signer, public: Option<Vec<u8>>) -> Result<Vec<u8>, String> {
    let own = signer.public().unwrap_or_default();
    match public {
        Some(public) if public != own => Err("pub-key and priv-key do not belong together".to_owned()),
        _ => Ok(own.to_vec()),
    }
}
