//! Tokens that are signed. What is refused and how was told by a real server, whose tokens are taken here, and the other
//! way round, with each method.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, SignatureAlgorithm};
use serde_json::{Value, json};
use switchboard_protocol_etcd::etcdserverpb as pb;
use switchboard_registry::Options;
use tonic::Code;

use crate::support::*;
use crate::users::{CHEAP, refused};

fn setting(options: &str) -> String {
    format!("{CHEAP}\nauth_token = 'jwt,{options}'")
}

/// With root and alice, who may write `a`.
async fn guarded_by(settings: &str) -> World {
    let world = world_with(settings, Options::default()).await;
    let mut auth = world.auth();
    auth.add_user("root").await;
    auth.grant_role("root", "root").await;
    auth.add_user("alice").await;
    let ask = pb::AuthRoleAddRequest { name: "writer".to_owned() };
    auth.client.role_add(ask).await.unwrap();
    auth.permit("writer", switchboard_protocol_etcd::authpb::permission::Type::Write, "a", "").await.unwrap();
    auth.grant_role("alice", "writer").await;
    auth.client.auth_enable(pb::AuthEnableRequest {}).await.unwrap();
    world
}

async fn put(world: &World, token: &str) -> (u16, String) {
    let (status, answer) = world.post_as(token, "/v3/kv/put", r#"{"key":"YQ=="}"#).await;
    (status.as_u16(), answer["message"].as_str().unwrap_or_default().to_owned())
}

fn part(token: &str, at: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(at).unwrap()).unwrap()).unwrap()
}

fn with_part(token: &str, at: usize, part: &Value) -> String {
    let mut parts: Vec<_> = token.split('.').map(str::to_owned).collect();
    parts[at] = URL_SAFE_NO_PAD.encode(part.to_string());
    parts.join(".")
}

fn kept(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A token that says this, signed by HS256 with this key.
fn signed(key: &[u8], claims: &Value) -> String {
    let parts = [json!({ "alg": "HS256" }), claims.clone()].map(|it| URL_SAFE_NO_PAD.encode(it.to_string()));
    let text = parts.join(".");
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, key);
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(ring::hmac::sign(&key, text.as_bytes())))
}

#[tokio::test]
async fn who_signs_in_is_given_one_that_says_who_it_is_and_as_of_when() {
    let folder = tempfile::tempdir().unwrap();
    let kinds: [(&str, &SignatureAlgorithm); 3] =
        [("ES256", &PKCS_ECDSA_P256_SHA256), ("ES384", &PKCS_ECDSA_P384_SHA384), ("EdDSA", &PKCS_ED25519)];
    for (method, kind) in kinds {
        let key = KeyPair::generate_for(kind).unwrap();
        let private = kept(folder.path(), "private", &key.serialize_pem());
        let public = kept(folder.path(), "public", &key.public_key_pem());
        let both = format!("priv-key={private},pub-key={public},sign-method={method},ttl=1h");
        let world = guarded_by(&setting(&both)).await;
        let token = world.auth().sign_in("alice").await;
        assert_eq!(part(&token, 0)["alg"], method);
        let claims = part(&token, 1);
        assert_eq!((&claims["username"], &claims["revision"]), (&json!("alice"), &json!(7)));
        assert_eq!(put(&world, &token).await, (200, String::new()), "{method}");
        // Another process that only has the public key takes it as well, and gives none.
        let reader = guarded_by(&setting(&format!("pub-key={public},sign-method={method}"))).await;
        assert_eq!(put(&reader, &token).await.0, 200, "{method}");
        let ask = pb::AuthenticateRequest { name: "alice".to_owned(), password: "alice".to_owned() };
        let said = "auth: token signing attempted with verify-only key";
        refused(reader.auth().client.authenticate(ask).await, Code::Unknown, said);
        // It cannot say another thing.
        let forged = with_part(&token, 1, &json!({ "username": "root", "revision": 7, "exp": 1e12 }));
        assert_eq!(put(&world, &forged).await, (401, "etcdserver: invalid auth token".to_owned()));
    }
}

#[tokio::test]
async fn it_is_worth_nothing_once_users_have_changed_or_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let key = kept(folder.path(), "key", "not much of a secret");
    let world = guarded_by(&setting(&format!("priv-key={key},sign-method=HS256"))).await;
    let token = |claims: Value| signed(b"not much of a secret", &claims);
    let invalid = (401, "etcdserver: invalid auth token".to_owned());
    let alice =
        |revision: Value, exp: Value| json!({ "username": "alice", "revision": revision, "exp": exp });
    for (claims, wanted) in [
        (alice(json!(7), json!(4e9)), (200, "")),
        (json!({ "username": "alice", "revision": 7 }), (200, "")),
        (alice(json!(7.9), json!(4e9)), (200, "")),
        (alice(json!(6), json!(4e9)), (400, "etcdserver: revision of auth store is old")),
        (alice(json!(0), json!(4e9)), (400, "etcdserver: user name is empty")),
        (json!({ "username": "nobody", "revision": 7, "exp": 4e9 }), (403, "etcdserver: permission denied")),
    ] {
        assert_eq!(put(&world, &token(claims.clone())).await, (wanted.0, wanted.1.to_owned()), "{claims}");
    }
    for claims in [
        alice(json!(7), json!(1)),
        alice(json!(7), json!("4000000000")),
        json!({ "username": "alice", "revision": 7, "nbf": 4e9 }),
        json!({ "username": "alice", "revision": "7" }),
        json!({ "username": 7, "revision": 7 }),
        json!({ "revision": 7 }),
        json!([]),
    ] {
        assert_eq!(put(&world, &token(claims.clone())).await, invalid, "{claims}");
    }
    let good = token(alice(json!(7), json!(4e9)));
    assert_eq!(put(&world, &signed(b"another", &part(&good, 1))).await, invalid);
    for method in ["none", "HS512", "hs256"] {
        assert_eq!(put(&world, &with_part(&good, 0, &json!({ "alg": method }))).await, invalid, "{method}");
    }
    for token in ["", ".", "..", "a.b.c", &good[..good.len() - 1], &format!("{good}=")] {
        assert_eq!(put(&world, token).await, invalid, "{token}");
    }
    assert_eq!(put(&world, &good).await.0, 200);
    let mut root = world.root().await;
    root.add_user("bob").await;
    assert_eq!(put(&world, &good).await.1, "etcdserver: revision of auth store is old");
    // A read wants the very users and roles of now, whatever it reads; a write only none that are older.
    for (revision, wanted) in [(7, 400), (8, 200), (9, 400)] {
        let token = token(alice(json!(revision), json!(4e9)));
        assert_eq!(world.post_as(&token, "/v3/kv/txn", "{}").await.0.as_u16(), wanted, "{revision}");
    }
    assert_eq!(put(&world, &token(alice(json!(9), json!(4e9)))).await.0, 200);
    // What is no matter of keys is anybody's who was known once, as in etcd.
    assert_eq!(world.post_as(&good, "/v3/cluster/member/list", "{}").await.0, StatusCode::OK);
    assert_eq!(put(&world, &world.auth().sign_in("alice").await).await.0, 200);
}

#[tokio::test]
async fn what_is_wrong_with_the_setting_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let [one, other] = ["one", "other"].map(|_| KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap());
    let private = kept(folder.path(), "private", &one.serialize_pem());
    let public = kept(folder.path(), "public", &other.public_key_pem());
    let (private, public) = (format!("priv-key={private}"), format!("pub-key={public}"));
    for (setting, said) in [
        ("jwt".to_owned(), "sign-method is missing"),
        ("signed".to_owned(), "neither \"simple\" nor"),
        ("simple,ttl=5m".to_owned(), "neither \"simple\" nor"),
        ("jwt,sign-method=ES257".to_owned(), "\"ES257\" is no sign-method"),
        ("jwt,sign-method=none".to_owned(), "\"none\" is no sign-method"),
        ("jwt,sign-method=ES256".to_owned(), "pub-key or priv-key is missing"),
        (format!("jwt,sign-method=HS256,{public}"), "priv-key is missing"),
        (format!("jwt,sign-method=ES256,{private},{public}"), "do not belong together"),
        (format!("jwt,sign-method=ES384,{private}"), "priv-key cannot be used"),
        (format!("jwt,sign-method=RS256,{private}"), "priv-key"),
        (format!("jwt,sign-method=ES256,{private},ttl=soon"), "\"soon\" is not a duration"),
        (format!("jwt,sign-method=ES256,{private},{private}"), "priv-key is there twice"),
        ("jwt,sign-method=ES256,key=x".to_owned(), "\"key\" is none of"),
        ("jwt,sign-method".to_owned(), "not of the form name=value"),
        ("jwt,sign-method=ES256,pub-key=/nowhere/key".to_owned(), "/nowhere/key"),
    ] {
        let section = toml::from_str(&format!("listen = '127.0.0.1:0'\nauth_token = '{setting}'")).unwrap();
        let error = (switchboard_protocol_etcd::PLUG.open)(&section).await.err().expect(&setting).to_string();
        assert!(error.contains(said) && error.contains("etcd.auth_token"), "{setting}: {error}");
    }
}
