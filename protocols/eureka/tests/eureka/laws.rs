use http::{Method, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{World, but, java, world};

async fn write_back(world: &World, app: &str, id: &str) {
    for accept in ["application/json", "application/xml"] {
        let path =
            format!("/eureka/apps/{app}/{}", id.replace('%', "%25").replace('/', "%2F").replace('?', "%3F"));
        let path = path.replace(' ', "%20").replace('#', "%23");
        let read = world.ask(Method::GET, &path, &[("accept", accept)], "").await;
        assert_eq!(read.status, StatusCode::OK, "{path}");
        let before = world.head();
        let headers = [("content-type", accept)];
        let written =
            world.ask(Method::POST, &format!("/eureka/apps/{app}"), &headers, read.body.clone()).await;
        assert_eq!((written.status, written.text()), (StatusCode::NO_CONTENT, ""));
        assert_eq!(world.head(), before, "{}", read.text());
        let again = world.ask(Method::GET, &path, &[("accept", accept)], "").await;
        assert_eq!(without_renewal(again.text()), without_renewal(read.text()));
    }
}

/// Registering is a sign of life, and when the last one was is told.
fn without_renewal(text: &str) -> String {
    let Some((before, after)) = text.split_once("lastRenewalTimestamp") else { return text.to_owned() };
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit() || matches!(c, '"' | ':' | '>'));
    format!("{before}{rest}")
}

#[tokio::test]
async fn registering_twice_is_registering_once() {
    let world = world().await;
    for status in ["UP", "DOWN", "STARTING", "OUT_OF_SERVICE", "UNKNOWN"] {
        let instance = but(java("WEB", status), json!({ "status": status }));
        world.register(&instance).await;
        let before = world.head();
        world.register(&instance).await;
        assert_eq!(world.head(), before, "{status}");
        write_back(&world, "WEB", status).await;
    }
    world.put("/eureka/apps/WEB/UP/status?value=DOWN").await;
    write_back(&world, "WEB", "UP").await;
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-zA-Z0-9._:-]{1,20}", "\\PC{1,8}", Just("<&>\"'".to_owned()), Just("  ".to_owned())]
        .prop_filter("printable", |text| {
            !text.chars().any(|c| {
                c.is_control()
                    || ('\u{200e}'..='\u{202e}').contains(&c)
                    || ('\u{2066}'..='\u{2069}').contains(&c)
            })
        })
}

prop_compose! {
    fn instances()(
        id in "[a-zA-Z0-9._:/ -]{1,16}", main in proptest::option::of((-1..70_000_i32, any::<bool>())),
        secure in proptest::option::of((0..65_536_i32, any::<bool>())), host in "[a-z][a-z0-9.-]{0,10}",
        ip in prop_oneof![Just("10.1.2.3".to_owned()), Just("fe80::1".to_owned()), Just("web.example.com".to_owned())],
        status in prop_oneof![Just("UP"), Just("DOWN"), Just("STARTING"), Just("OUT_OF_SERVICE"), Just("UNKNOWN")],
        over in prop_oneof![Just(Value::Null), Just(json!("UNKNOWN")), Just(json!("DOWN")), Just(json!("OUT_OF_SERVICE"))],
        metadata in proptest::collection::btree_map(text(), text(), 0..4),
        urls in proptest::collection::vec(proptest::option::of(text()), 7),
        lease in proptest::option::of((-5..100_i64, 1..1_000_000_i64)), dirty in proptest::option::of(0..=i64::MAX),
        country in proptest::option::of(0..300_i32), amazon in any::<bool>(),
    ) -> Value {
        let port = |word: Option<(i32, bool)>| word.map(|(n, on)| json!({ "$": n, "@enabled": on.to_string() }));
        let place = if amazon {
            json!({ "@class": "com.netflix.appinfo.AmazonInfo", "name": "Amazon",
                "metadata": { "instance-id": "i-1", "availability-zone": "us-1c" } })
        } else {
            json!({ "name": "MyOwn" })
        };
        json!({
            "instanceId": id.trim_end().to_owned() + "x", "hostName": host, "app": "ANY", "ipAddr": ip, "status": status,
            "overriddenStatus": over, "port": port(main), "securePort": port(secure),
            "metadata": metadata, "homePageUrl": urls[0], "statusPageUrl": urls[1], "healthCheckUrl": urls[2],
            "vipAddress": urls[3], "secureVipAddress": urls[4], "asgName": urls[5], "appGroupName": urls[6],
            "leaseInfo": lease.map(|(r, d)| json!({ "renewalIntervalInSecs": r, "durationInSecs": d })),
            "lastDirtyTimestamp": dirty.map(|d| d.to_string()), "countryId": country, "dataCenterInfo": place,
        })
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn writing_back_what_was_read_makes_no_commit(all in proptest::collection::vec(instances(), 1..4)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let world = world().await;
            for instance in all {
                let answer = world.post("any", &json!({ "instance": instance })).await;
                assert_eq!((answer.status, answer.text()), (StatusCode::NO_CONTENT, ""), "{instance}");
                write_back(&world, "ANY", instance["instanceId"].as_str().unwrap()).await;
            }
        });
    }
}

#[tokio::test]
async fn an_instance_of_another_protocol_written_back_stays_what_it_is() {
    let world = world().await;
    world.register_elsewhere("u1", |_| {}).await;
    write_back(&world, "USER-SERVICE", "u1").await;
    assert_eq!(world.health("user-service", "u1"), switchboard_model::Health::Passing);
}
