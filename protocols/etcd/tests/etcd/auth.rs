//! Users, roles and tokens. The texts and codes were told by a real server.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use switchboard_protocol_etcd::etcdserverpb as pb;
use switchboard_protocol_etcd::etcdserverpb::request_op::Request as Op;
use switchboard_registry::Options;
use tonic::{Code, Status};

use crate::support::*;
use crate::users::*;

fn get(key: &str, end: &str) -> pb::RangeRequest {
    pb::RangeRequest { key: b(key), range_end: b(end), ..Default::default() }
}

fn put(key: &str) -> pb::PutRequest {
    pb::PutRequest { key: b(key), ..Default::default() }
}

fn delete(key: &str, end: &str) -> pb::DeleteRangeRequest {
    pb::DeleteRangeRequest { key: b(key), range_end: b(end), prev_kv: false }
}

fn txn(success: Vec<Op>) -> pb::TxnRequest {
    let op = |request| pb::RequestOp { request: Some(request) };
    pb::TxnRequest { success: success.into_iter().map(op).collect(), ..Default::default() }
}

fn nested(success: Vec<Op>) -> pb::TxnRequest {
    txn(vec![Op::RequestTxn(txn(vec![Op::RequestTxn(txn(success))]))])
}

#[tokio::test]
async fn it_cannot_be_turned_on_without_a_root_who_is_root() {
    let world = world_with(CHEAP, Options::default()).await;
    let mut auth = world.auth();
    let enable = pb::AuthEnableRequest {};
    let done = auth.client.auth_enable(enable).await;
    refused(done, Code::FailedPrecondition, "etcdserver: root user does not exist");
    auth.add_user("root").await;
    let done = auth.client.auth_enable(enable).await;
    refused(done, Code::FailedPrecondition, "etcdserver: root user does not have root role");
    let ask = pb::AuthenticateRequest { name: "root".to_owned(), password: "root".to_owned() };
    let done = auth.client.authenticate(ask).await;
    refused(done, Code::FailedPrecondition, "etcdserver: authentication is not enabled");
    auth.grant_role("root", "root").await;
    auth.client.auth_enable(enable).await.unwrap();
    let status = auth.client.auth_status(pb::AuthStatusRequest {}).await.unwrap().into_inner();
    assert!(status.enabled && status.auth_revision == 3, "{status:?}");
    auth.token = Some(auth.sign_in("root").await);
    // And root stays what it is for as long as it is on.
    let invalid = "etcdserver: invalid auth management";
    let ask = auth.with(pb::AuthUserDeleteRequest { name: "root".to_owned() });
    refused(auth.client.user_delete(ask).await, Code::InvalidArgument, invalid);
    let ask = auth.with(pb::AuthRoleDeleteRequest { role: "root".to_owned() });
    refused(auth.client.role_delete(ask).await, Code::InvalidArgument, invalid);
    let ask = auth.with(pb::AuthUserRevokeRoleRequest { name: "root".to_owned(), role: "root".to_owned() });
    refused(auth.client.user_revoke_role(ask).await, Code::InvalidArgument, invalid);
}

#[tokio::test]
async fn who_shows_nothing_may_do_nothing() {
    let world = guarded().await;
    let empty = |done: Result<(), Status>| {
        refused(done, Code::InvalidArgument, "etcdserver: user name is empty");
    };
    empty(world.kv().range(get("a", "")).await.map(|_| ()));
    empty(world.kv().put(put("a")).await.map(|_| ()));
    empty(world.kv().delete_range(delete("a", "")).await.map(|_| ()));
    empty(world.kv().txn(txn(vec![Op::RequestPut(put("a"))])).await.map(|_| ()));
    empty(world.kv().txn(txn(vec![Op::RequestRange(get("a", ""))])).await.map(|_| ()));
    empty(world.kv().compact(pb::CompactionRequest::default()).await.map(|_| ()));
    let bad = with(Some("nobodys.7"), get("a", ""));
    refused(world.kv().range(bad).await, Code::Unauthenticated, "etcdserver: invalid auth token");
    let wrong = pb::AuthenticateRequest { name: "root".to_owned(), password: "guess".to_owned() };
    let text = "etcdserver: authentication failed, invalid user ID or password";
    refused(world.auth().client.authenticate(wrong).await, Code::InvalidArgument, text);
    let unknown = pb::AuthenticateRequest { name: "guess".to_owned(), password: "guess".to_owned() };
    refused(world.auth().client.authenticate(unknown).await, Code::InvalidArgument, text);
}

/// CVE-2026-33413: maintenance, cluster and lease calls, and compaction, were open to whoever could connect.
#[tokio::test]
async fn every_path_asks_for_a_user() {
    let world = guarded().await;
    world.user("u", &[("a", "")], &[("a", "")]).await;
    let token = world.auth().sign_in("u").await;
    for (path, body, for_root) in [
        ("cluster/member/list", "{}", false),
        ("cluster/member/add", "{}", true),
        ("cluster/member/remove", "{}", true),
        ("cluster/member/update", "{}", true),
        ("cluster/member/promote", "{}", true),
        ("maintenance/alarm", "{}", false),
        ("maintenance/alarm", r#"{"action":"DEACTIVATE"}"#, true),
        ("maintenance/alarm", r#"{"action":"ACTIVATE","alarm":"NOSPACE"}"#, true),
        ("maintenance/status", "{}", false),
        ("maintenance/defragment", "{}", true),
        ("maintenance/hash", "{}", true),
        ("maintenance/hashkv", "{}", true),
        ("maintenance/snapshot", "{}", true),
        ("maintenance/transfer-leadership", "{}", true),
        ("maintenance/downgrade", "{}", true),
        ("kv/compaction", r#"{"revision":"1"}"#, true),
        ("lease/grant", r#"{"TTL":"60"}"#, false),
        ("lease/revoke", r#"{"ID":"7"}"#, false),
        ("lease/timetolive", r#"{"ID":"7"}"#, false),
        ("lease/leases", "{}", false),
        ("lease/keepalive", r#"{"ID":"7"}"#, false),
        ("auth/user/list", "{}", true),
        ("auth/user/add", r#"{"name":"x","password":"x"}"#, true),
        ("auth/user/changepw", r#"{"name":"root","password":"x"}"#, true),
        ("auth/role/list", "{}", true),
        ("auth/disable", "{}", true),
    ] {
        let text = |said: &serde_json::Value| {
            said["message"].as_str().or(said["error"]["message"].as_str()).unwrap_or_default().to_owned()
        };
        let (status, said) = world.post(&format!("/v3/{path}"), body).await;
        assert_eq!(
            (status, &*text(&said)),
            (StatusCode::BAD_REQUEST, "etcdserver: user name is empty"),
            "{path}"
        );
        let (status, said) = world.post_as(&token, &format!("/v3/{path}"), body).await;
        let denied = text(&said) == "etcdserver: permission denied" && status == StatusCode::FORBIDDEN;
        assert_eq!(denied, for_root, "{path}: {status} {said}");
        let (status, said) = world.post_as("nobodys.1", &format!("/v3/{path}"), body).await;
        assert_eq!(
            (status, &*text(&said)),
            (StatusCode::UNAUTHORIZED, "etcdserver: invalid auth token"),
            "{path}"
        );
    }
    // What tells whether the server is well needs no user.
    assert_eq!(world.http(Method::GET, "/health", "").await.0, StatusCode::OK);
    assert_eq!(world.post("/v3/auth/status", "{}").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_user_reads_and_writes_what_was_granted_and_nothing_else() {
    let world = guarded().await;
    let token = world.user("u", &[("a", "b"), ("b", "c")], &[("a", ""), ("w", "")]).await;
    let token = Some(&*token);
    let mut kv = world.kv();
    kv.range(with(token, get("a", "c"))).await.unwrap();
    denied(kv.range(with(token, get("a", "d"))).await);
    denied(kv.range(with(token, get("a", "\0"))).await);
    denied(kv.range(with(token, get("w", ""))).await);
    kv.put(with(token, put("a"))).await.unwrap();
    kv.put(with(token, put("w"))).await.unwrap();
    denied(kv.put(with(token, put("b"))).await);
    denied(kv.put(with(token, pb::PutRequest { prev_kv: true, ..put("w") })).await);
    kv.put(with(token, pb::PutRequest { prev_kv: true, ..put("a") })).await.unwrap();
    denied(kv.delete_range(with(token, pb::DeleteRangeRequest { prev_kv: true, ..delete("w", "") })).await);
    denied(kv.delete_range(with(token, delete("a", "b"))).await);
    kv.delete_range(with(token, delete("w", ""))).await.unwrap();
}

/// CVE-2026-33343: operations in nested transactions were not looked at. CVE-2026-44283: nor were prev_kv and leases
/// of nested puts.
#[tokio::test]
async fn a_nested_transaction_is_looked_at_to_the_bottom() {
    let world = guarded().await;
    let root = world.root().await;
    let lease = world.grant_as(root.token.as_deref(), 60).await;
    let secret = pb::PutRequest { lease, ..put("secret") };
    world.kv().put(with(root.token.as_deref(), secret)).await.unwrap();
    let token = world.user("u", &[("a", "")], &[("a", ""), ("w", "")]).await;
    let token = Some(&*token);
    let mut kv = world.kv();
    for op in [
        Op::RequestRange(get("secret", "")),
        Op::RequestRange(get("a", "\0")),
        Op::RequestPut(put("secret")),
        Op::RequestPut(pb::PutRequest { prev_kv: true, ..put("w") }),
        Op::RequestPut(pb::PutRequest { lease, ..put("a") }),
        Op::RequestDeleteRange(delete("secret", "")),
        Op::RequestDeleteRange(delete("a", "\0")),
        Op::RequestDeleteRange(pb::DeleteRangeRequest { prev_kv: true, ..delete("w", "") }),
        Op::RequestTxn(pb::TxnRequest {
            compare: vec![pb::Compare { key: b("secret"), ..Default::default() }],
            ..Default::default()
        }),
        Op::RequestTxn(pb::TxnRequest {
            compare: vec![pb::Compare { key: b("a"), range_end: b("\0"), ..Default::default() }],
            ..Default::default()
        }),
    ] {
        denied(kv.txn(with(token, txn(vec![op.clone()]))).await);
        denied(kv.txn(with(token, nested(vec![op.clone()]))).await);
        // Also on the branch that does not come true.
        let pb::TxnRequest { success: failure, .. } = nested(vec![op]);
        denied(kv.txn(with(token, pb::TxnRequest { failure, ..Default::default() })).await);
    }
    kv.txn(with(token, nested(vec![Op::RequestPut(put("a")), Op::RequestRange(get("a", ""))])))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_lease_belongs_to_those_who_may_write_its_keys() {
    let world = guarded().await;
    let root = world.root().await;
    let root = root.token.as_deref();
    let lease = world.grant_as(root, 60).await;
    world.kv().put(with(root, pb::PutRequest { lease, ..put("secret") })).await.unwrap();
    let token = world.user("u", &[("a", "")], &[("a", "")]).await;
    let token = Some(&*token);
    denied(world.kv().put(with(token, pb::PutRequest { lease, ..put("a") })).await);
    let mut leases = world.lease();
    denied(leases.lease_revoke(with(token, pb::LeaseRevokeRequest { id: lease })).await);
    denied(
        leases.lease_time_to_live(with(token, pb::LeaseTimeToLiveRequest { id: lease, keys: true })).await,
    );
    leases
        .lease_time_to_live(with(token, pb::LeaseTimeToLiveRequest { id: lease, keys: false }))
        .await
        .unwrap();
    denied(leases.lease_leases(with(token, pb::LeaseLeasesRequest {})).await);
    let beats = tokio_stream::iter([pb::LeaseKeepAliveRequest { id: lease }]);
    let mut beats = leases.lease_keep_alive(with(token, beats)).await.unwrap().into_inner();
    denied(beats.message().await);
    // Its own it may use.
    let own = world.grant_as(token, 60).await;
    world.kv().put(with(token, pb::PutRequest { lease: own, ..put("a") })).await.unwrap();
    leases.lease_revoke(with(token, pb::LeaseRevokeRequest { id: own })).await.unwrap();
    // Nobody has to be asked when a lease ends by itself.
    let short = world.grant_as(root, 2).await;
    world.kv().put(with(root, pb::PutRequest { lease: short, ..put("gone") })).await.unwrap();
    while world.kv().range(with(root, get("gone", ""))).await.unwrap().into_inner().count > 0 {
        tokio::task::yield_now().await;
    }
}

/// CVE-2026-73499: whoever might read one key could watch everything after it.
#[tokio::test]
async fn a_watch_is_let_in_by_its_whole_range() {
    let world = guarded().await;
    let token = world.user("u", &[("a", "")], &[]).await;
    for (token, key, end, reason) in [
        (None, "a", "", "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"),
        (
            Some("nobodys.1"),
            "a",
            "",
            "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token",
        ),
        (Some(&*token), "a", "\0", "rpc error: code = PermissionDenied desc = etcdserver: permission denied"),
        (Some(&*token), "a", "b", "rpc error: code = PermissionDenied desc = etcdserver: permission denied"),
        (Some(&*token), "", "\0", "rpc error: code = PermissionDenied desc = etcdserver: permission denied"),
        (Some(&*token), "a", "", ""),
    ] {
        let mut watches = world.watches_as(token).await;
        let said = watches.create(watch(key, end, 0)).await;
        assert_eq!((said.canceled, &*said.cancel_reason), (!reason.is_empty(), reason), "{key:?} {end:?}");
        assert_eq!((said.created, said.watch_id), (true, if reason.is_empty() { 0 } else { -1 }));
    }
}

#[tokio::test]
async fn locks_and_elections_ask_as_well_and_say_so_without_a_code() {
    use switchboard_protocol_etcd::{v3electionpb as election, v3lockpb as lock};
    let world = guarded().await;
    let token = world.user("u", &[("mine/", "mine0")], &[("mine/", "mine0"), ("half/", "half0")]).await;
    let mut locks = lock::lock_client::LockClient::new(world.channel.clone());
    let ask = |name: &str| lock::LockRequest { name: b(name), lease: 0 };
    refused(locks.lock(ask("mine")).await, Code::Unknown, "etcdserver: user name is empty");
    let bad = with(Some("nobodys.1"), ask("mine"));
    refused(locks.lock(bad).await, Code::Unknown, "etcdserver: invalid auth token");
    let token = Some(&*token);
    for name in ["theirs", "half"] {
        refused(locks.lock(with(token, ask(name))).await, Code::Unknown, "etcdserver: permission denied");
    }
    let key = locks.lock(with(token, ask("mine"))).await.unwrap().into_inner().key;
    let unlock = || lock::UnlockRequest { key: key.clone() };
    refused(locks.unlock(unlock()).await, Code::Unknown, "etcdserver: user name is empty");
    locks.unlock(with(token, unlock())).await.unwrap();
    let mut elections = election::election_client::ElectionClient::new(world.channel.clone());
    let ask = |name: &str| election::LeaderRequest { name: b(name) };
    let done = elections.leader(with(token, ask("theirs"))).await;
    refused(done, Code::Unknown, "etcdserver: permission denied");
    refused(elections.leader(with(token, ask("mine"))).await, Code::Unknown, "election: no leader");
    let mut seen = elections.observe(with(token, ask("theirs"))).await.unwrap().into_inner();
    refused(seen.message().await, Code::Unknown, "etcdserver: permission denied");
}

#[tokio::test]
async fn a_token_is_worth_nothing_once_its_user_is_another() {
    let world = guarded().await;
    let mut root = world.root().await;
    let token = world.user("u", &[("a", "")], &[]).await;
    let read = async |token: &str| world.kv().range(with(Some(token), get("a", ""))).await;
    let invalid = |done| refused(done, Code::Unauthenticated, "etcdserver: invalid auth token");
    read(&token).await.unwrap();
    // A role that is taken away is gone at once.
    let ask = root.with(pb::AuthUserRevokeRoleRequest { name: "u".to_owned(), role: "u".to_owned() });
    root.client.user_revoke_role(ask).await.unwrap();
    denied(read(&token).await);
    root.grant_role("u", "u").await;
    read(&token).await.unwrap();
    let (name, password) = ("u".to_owned(), "other".to_owned());
    let ask = pb::AuthUserChangePasswordRequest { name, password, ..Default::default() };
    root.client.user_change_password(root.with(ask)).await.unwrap();
    invalid(read(&token).await);
    let ask = pb::AuthenticateRequest { name: "u".to_owned(), password: "other".to_owned() };
    let token = world.auth().client.authenticate(ask).await.unwrap().into_inner().token;
    read(&token).await.unwrap();
    // The user of the same name who comes after is somebody else.
    root.client.user_delete(root.with(pb::AuthUserDeleteRequest { name: "u".to_owned() })).await.unwrap();
    invalid(read(&token).await);
    root.add_user("u").await;
    invalid(read(&token).await);
    // And what was on before authentication was off is over.
    root.client.auth_disable(root.with(pb::AuthDisableRequest {})).await.unwrap();
    world.kv().range(get("a", "")).await.unwrap();
    root.client.auth_enable(pb::AuthEnableRequest {}).await.unwrap();
    invalid(read(root.token.as_deref().unwrap()).await);
}

#[tokio::test]
async fn a_token_that_nobody_uses_ends() {
    let world = world_with(&format!("{CHEAP}\nauth_token_ttl = '100ms'"), Options::default()).await;
    let mut auth = world.auth();
    auth.add_user("root").await;
    auth.grant_role("root", "root").await;
    auth.client.auth_enable(pb::AuthEnableRequest {}).await.unwrap();
    let token = auth.sign_in("root").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let done = world.kv().range(with(Some(&token), get("a", ""))).await;
    refused(done, Code::Unauthenticated, "etcdserver: invalid auth token");
}

#[tokio::test]
async fn the_gateway_takes_a_token_with_and_without_its_kind() {
    let world = guarded().await;
    let (_, said) = world.post("/v3/auth/authenticate", r#"{"name":"root","password":"root"}"#).await;
    let token = said["token"].as_str().unwrap().to_owned();
    for token in [token.clone(), format!("Bearer {token}")] {
        assert_eq!(world.post_as(&token, "/v3/kv/put", r#"{"key":"a2V5"}"#).await.0, StatusCode::OK);
    }
}

#[tokio::test]
async fn users_and_roles_come_back_after_a_restart() {
    let world = guarded().await;
    let token = world.user("u", &[("a", "")], &[]).await;
    let again = world.restarted(CHEAP).await;
    refused(again.kv().range(get("a", "")).await, Code::InvalidArgument, "etcdserver: user name is empty");
    let old = with(Some(&token), get("a", ""));
    refused(again.kv().range(old).await, Code::Unauthenticated, "etcdserver: invalid auth token");
    let token = again.auth().sign_in("u").await;
    again.kv().range(with(Some(&token), get("a", ""))).await.unwrap();
    denied(again.kv().range(with(Some(&token), get("b", ""))).await);
}

#[tokio::test]
async fn passwords_are_kept_hashed_and_out_of_the_keys() {
    let world = guarded().await;
    let root = world.root().await;
    let everything = world.kv().range(with(root.token.as_deref(), get("\0", "\0"))).await.unwrap();
    assert_eq!(everything.into_inner().count, 0);
    let view = world.registry.view(&caller()).unwrap();
    let kept: Vec<Bytes> =
        view.entries(std::ops::Bound::Unbounded).map(|entry| entry.value.value.clone()).collect();
    assert!(kept.iter().any(|value| value.windows(7).any(|part| part == b"$2b$04$")), "hashed by bcrypt");
}
