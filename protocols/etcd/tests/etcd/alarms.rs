//! What keys may take, and alarms. Texts, codes and what an alarm does to which call were told by a real server.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use switchboard_protocol_etcd::etcdserverpb as pb;
use switchboard_registry::Options;
use tonic::Code;

use crate::support::*;
use crate::users::{guarded, refused};

const NO_SPACE: &str = "etcdserver: mvcc: database space exceeded";
const CORRUPT: &str = "etcdserver: corrupt cluster";
const SMALL: &str = "quota_bytes = 20000";

impl World {
    async fn try_put(&self, key: &str, value: &str) -> Result<(), tonic::Status> {
        let request = pb::PutRequest { key: b(key), value: b(value), ..Default::default() };
        self.kv().put(request).await.map(|_| ())
    }

    async fn fill(&self) {
        for _ in 0..100 {
            if let Err(status) = self.try_put("fill", &"x".repeat(1000)).await {
                return refused(Err::<(), _>(status), Code::ResourceExhausted, NO_SPACE);
            }
        }
        panic!("it is never full");
    }

    async fn alarm(&self, request: Value) -> Value {
        let (status, answer) = self.post("/v3/maintenance/alarm", &request.to_string()).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer["alarms"].clone()
    }

    async fn disarm(&self) -> Value {
        let member = self.status().await["header"]["member_id"].clone();
        self.alarm(json!({ "action": "DEACTIVATE", "alarm": "NOSPACE", "memberID": member })).await
    }

    async fn status(&self) -> Value {
        self.post("/v3/maintenance/status", "{}").await.1
    }

    async fn size(&self) -> u64 {
        self.status().await["dbSize"].as_str().map_or(0, |size| size.parse().unwrap())
    }

    async fn compact_all(&self) {
        let revision = self.status().await["header"]["revision"].as_str().unwrap().parse().unwrap();
        self.kv().compact(pb::CompactionRequest { revision, physical: true }).await.unwrap();
    }

    /// Status and body of a page.
    async fn page(&self, path: &str) -> (u16, String) {
        let (status, body) = self.http(Method::GET, path, "").await;
        (status.as_u16(), String::from_utf8(body.to_vec()).unwrap())
    }
}

#[tokio::test]
async fn every_version_that_can_be_read_counts_and_is_counted_the_same_after_a_restart() {
    let world = world().await;
    assert_eq!(world.status().await["dbSizeQuota"], "2147483648");
    world.put("k", &"v".repeat(100)).await;
    let one = world.size().await;
    assert_eq!(one, 64 + 1 + 100);
    let newest = world.put("k", &"v".repeat(200)).await;
    assert_eq!(world.size().await, one + one + 100);
    world.put("gone", "").await;
    world.delete("gone").await;
    let all = one + one + 100 + 68 + 68;
    assert_eq!(world.size().await, all);
    let again = world.restarted("").await;
    assert_eq!(again.size().await, all);
    // Of what was replaced at the compacted revision itself, nobody can read anything either.
    let compact = pb::CompactionRequest { revision: newest, physical: true };
    again.kv().compact(compact).await.unwrap();
    assert_eq!(again.size().await, all - one);
    again.compact_all().await;
    assert_eq!(again.size().await, one + 100);
    assert_eq!(again.restarted("").await.size().await, one + 100);
}

#[tokio::test]
async fn what_is_no_longer_in_memory_is_counted_from_history() {
    let mut options = Options::default();
    options.bounds.ring = 8;
    let world = world_with("", options).await;
    for i in 100..200 {
        world.put(&i.to_string(), "").await;
        world.put(&i.to_string(), "v").await;
    }
    let request = pb::DeleteRangeRequest { key: b("1"), range_end: b("15"), ..Default::default() };
    assert_eq!(world.kv().delete_range(request).await.unwrap().into_inner().deleted, 50);
    let (versions, marks) = (100 * (64 + 3) + 100 * (64 + 4), 50 * (64 + 3));
    assert_eq!(world.size().await, versions + marks);
    world.compact_all().await;
    assert_eq!(world.size().await, 50 * (64 + 4));
}

#[tokio::test]
async fn a_full_store_takes_what_makes_room_and_is_put_right_as_the_operators_guide_says() {
    let world = world_with(SMALL, Options::default()).await;
    world.grant(60).await;
    world.put("small", "").await;
    world.fill().await;
    let member = world.status().await["header"]["member_id"].clone();
    let on = json!([{ "memberID": member, "alarm": "NOSPACE" }]);
    assert_eq!(world.alarm(json!({})).await, on);
    let status = world.status().await;
    assert_eq!(status["errors"][0], format!("memberID:{}  alarm:NOSPACE", member.as_str().unwrap()));
    assert_eq!(status["dbSizeQuota"], "20000");
    // However little it is, and in whatever branch.
    refused(world.try_put("a", "").await, Code::ResourceExhausted, NO_SPACE);
    let put = json!({ "request_put": { "key": "YQ==" } });
    let nested = json!({ "request_txn": { "success": [put] } });
    for txn in [json!({ "success": [put] }), json!({ "failure": [put] }), json!({ "success": [nested] })] {
        let (status, answer) = world.post("/v3/kv/txn", &txn.to_string()).await;
        assert_eq!((status.as_u16(), answer["error"].as_str()), (429, Some(NO_SPACE)));
    }
    let grant = pb::LeaseGrantRequest { ttl: 60, id: 0 };
    refused(world.lease().lease_grant(grant).await, Code::ResourceExhausted, NO_SPACE);
    assert_eq!(world.post("/v3/lock/lock", r#"{"name":"bA=="}"#).await.0, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(world.all("small", 0).await.unwrap().len(), 1);
    assert_eq!(world.delete("small").await, 1);
    // There is no room yet.
    assert_eq!(world.disarm().await, on);
    assert_eq!(world.page("/health").await.0, 200);
    refused(world.try_put("a", &"x".repeat(1000)).await, Code::ResourceExhausted, NO_SPACE);
    assert_eq!(world.alarm(json!({})).await, on);
    world.compact_all().await;
    let defragmented = world.post("/v3/maintenance/defragment", "{}").await;
    assert_eq!(defragmented, (StatusCode::OK, json!({})));
    refused(world.try_put("a", "").await, Code::ResourceExhausted, NO_SPACE);
    assert_eq!(world.disarm().await, on);
    assert_eq!(world.disarm().await, Value::Null);
    world.put("a", &"x".repeat(1000)).await;
    assert_eq!(world.status().await["errors"], Value::Null);
}

#[tokio::test]
async fn without_a_quota_there_is_no_end() {
    let world = world_with("quota_bytes = 0", Options::default()).await;
    for _ in 0..30 {
        world.put("fill", &"x".repeat(1000)).await;
    }
    assert_eq!(world.status().await["dbSizeQuota"], Value::Null);
    assert!(world.size().await > 30_000);
}

#[tokio::test]
async fn alarms_are_of_whatever_member_and_outlive_a_restart() {
    let world = world().await;
    let raise = |alarm: &str, member: u64| json!({ "action": 1, "alarm": alarm, "memberID": member });
    assert_eq!(world.alarm(raise("NONE", 1)).await, Value::Null);
    let nospace = json!({ "memberID": "7", "alarm": "NOSPACE" });
    for _ in 0..2 {
        assert_eq!(world.alarm(raise("NOSPACE", 7)).await, json!([nospace]));
    }
    let corrupt = json!({ "alarm": "CORRUPT" });
    assert_eq!(world.alarm(raise("CORRUPT", 0)).await, json!([corrupt]));
    let again = world.restarted("").await;
    refused(again.try_put("a", "").await, Code::DataLoss, CORRUPT);
    assert_eq!(again.alarm(json!({})).await, json!([nospace, corrupt]));
    assert_eq!(again.alarm(json!({ "alarm": "CORRUPT", "memberID": "7" })).await, json!([corrupt]));
    let disarm = |alarm: &str, member: u64| json!({ "action": 2, "alarm": alarm, "memberID": member });
    assert_eq!(again.alarm(disarm("CORRUPT", 7)).await, Value::Null);
    assert_eq!(again.alarm(disarm("CORRUPT", 0)).await, json!([corrupt]));
    refused(again.try_put("a", "").await, Code::ResourceExhausted, NO_SPACE);
    assert_eq!(again.alarm(disarm("NOSPACE", 7)).await, json!([nospace]));
    again.put("a", "").await;
}

#[tokio::test]
async fn what_is_said_to_be_corrupt_is_read_and_not_written() {
    let world = world().await;
    world.put("a", "1").await;
    let lease = world.grant(60).await;
    world.alarm(json!({ "action": "ACTIVATE", "alarm": "CORRUPT", "memberID": "5" })).await;
    refused(world.try_put("a", "2").await, Code::DataLoss, CORRUPT);
    let delete = pb::DeleteRangeRequest { key: b("none"), ..Default::default() };
    refused(world.kv().delete_range(delete).await, Code::DataLoss, CORRUPT);
    let compact = pb::CompactionRequest { revision: 2, physical: false };
    refused(world.kv().compact(compact).await, Code::DataLoss, CORRUPT);
    let revoke = pb::LeaseRevokeRequest { id: lease };
    refused(world.lease().lease_revoke(revoke).await, Code::DataLoss, CORRUPT);
    refused(
        world.lease().lease_grant(pb::LeaseGrantRequest { ttl: 5, id: 0 }).await,
        Code::DataLoss,
        CORRUPT,
    );
    assert_eq!(world.all("a", 0).await.unwrap(), ["a=1@2"]);
    let (status, read) = world.post("/v3/kv/txn", r#"{"success":[{"request_range":{"key":"YQ=="}}]}"#).await;
    assert_eq!((status, &read["succeeded"]), (StatusCode::OK, &json!(true)));
}

#[tokio::test]
async fn pages_say_which_alarm_is_on_unless_it_was_excluded() {
    let world = world().await;
    let health = |alarm: &str| {
        let reason = if alarm.is_empty() { String::new() } else { format!("ALARM {alarm}") };
        let body = format!(r#"{{"health":"{}","reason":"{reason}"}}"#, alarm.is_empty());
        if alarm.is_empty() { (200, body) } else { (503, format!("{body}\n")) }
    };
    assert_eq!(world.page("/health").await, health(""));
    world.alarm(json!({ "action": "ACTIVATE", "alarm": "NOSPACE", "memberID": "5" })).await;
    for (path, alarm) in
        [("/health", "NOSPACE"), ("/health?exclude=CORRUPT", "NOSPACE"), ("/health?exclude=NOSPACE", "")]
    {
        assert_eq!(world.page(path).await, health(alarm), "{path}");
    }
    for path in ["/livez", "/readyz", "/readyz/data_corruption"] {
        assert_eq!(world.page(path).await, (200, "ok\n".to_owned()), "{path}");
    }
    world.alarm(json!({ "action": "ACTIVATE", "alarm": "CORRUPT", "memberID": "5" })).await;
    for (path, alarm) in [
        ("/health?serializable=true", "NOSPACE"),
        ("/health?exclude=NOSPACE", "CORRUPT"),
        ("/health?exclude=NOSPACE&exclude=CORRUPT", ""),
    ] {
        assert_eq!(world.page(path).await, health(alarm), "{path}");
    }
    assert_eq!(world.page("/livez").await.0, 200);
    let wrong = "[-]data_corruption failed: alarm activated: CORRUPT\n";
    assert_eq!(world.page("/readyz/data_corruption").await, (503, wrong.to_owned()));
    let (status, body) = world.page("/readyz").await;
    assert!(status == 503 && body.contains(wrong), "{body}");
    let (status, body) = world.page("/readyz?exclude=data_corruption&verbose").await;
    assert!(status == 200 && !body.contains("data_corruption"), "{body}");
}

#[tokio::test]
async fn only_root_raises_and_disarms_and_everybody_who_is_known_may_look() {
    let world = guarded().await;
    let alice = world.user("alice", &[], &[]).await;
    for action in ["ACTIVATE", "DEACTIVATE"] {
        for alarm in ["NONE", "NOSPACE"] {
            let ask = json!({ "action": action, "alarm": alarm, "memberID": "1" }).to_string();
            let (status, answer) = world.post_as(&alice, "/v3/maintenance/alarm", &ask).await;
            assert_eq!((status.as_u16(), answer["code"].as_u64()), (403, Some(7)), "{action} {alarm}");
            assert_eq!(world.post("/v3/maintenance/alarm", &ask).await.0, StatusCode::BAD_REQUEST);
        }
    }
    assert_eq!(world.post_as(&alice, "/v3/maintenance/alarm", "{}").await.0, StatusCode::OK);
    assert_eq!(world.post("/v3/maintenance/alarm", "{}").await.0, StatusCode::BAD_REQUEST);
}
