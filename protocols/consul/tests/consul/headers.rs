use std::io::Read;

use http::StatusCode;

use crate::support::world;

#[tokio::test]
async fn cached_answers_say_so_and_are_never_old() {
    let world = world().await;
    world.register(r#"{"Name":"web"}"#).await;
    let cache = |answer: &crate::support::Answer| {
        let said = |name| answer.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        (said("x-cache"), said("age"))
    };
    let hit = (Some("HIT".to_owned()), Some("0".to_owned()));
    for path in [
        "/v1/catalog/services",
        "/v1/catalog/service/web",
        "/v1/catalog/datacenters",
        "/v1/health/service/web",
        "/v1/health/connect/web",
    ] {
        assert_eq!(cache(&world.get(&format!("{path}?cached")).await), hit, "{path}");
        assert_eq!(cache(&world.get(path).await), (None, None), "{path}");
    }
    assert_eq!(cache(&world.get("/v1/catalog/nodes?cached").await), (None, None), "never cached");
    for (control, expected) in [
        ("max-age=60", hit.clone()),
        ("Max-Age=60, stale-if-error=10", hit.clone()),
        ("max-age=0", (Some("MISS".to_owned()), None)),
        ("must-revalidate", (Some("MISS".to_owned()), None)),
    ] {
        let answer = world.get_with("/v1/health/service/web?cached", "cache-control", control).await;
        assert_eq!(cache(&answer), expected, "{control}");
    }
    for control in ["max-age=soon", "stale-if-error="] {
        let answer = world.get_with("/v1/health/service/web", "cache-control", control).await;
        assert_eq!(
            (answer.status, answer.text()),
            (StatusCode::BAD_REQUEST, "Invalid Cache-Control header.")
        );
    }
    let both = world.get("/v1/health/service/web?cached&consistent").await;
    assert_eq!(both.text(), "Cannot specify ?cached with ?consistent, conflicting semantics.");
}

#[tokio::test]
async fn every_query_says_how_far_it_can_be_trusted() {
    let world = world().await;
    for (path, consistency) in [
        ("/v1/catalog/nodes", "leader"),
        ("/v1/catalog/services?stale", "stale"),
        ("/v1/health/service/web?max_stale=5s", "stale"),
        ("/v1/health/service/web?max_stale=0s", "leader"),
        ("/v1/health/state/any?consistent", "consistent"),
        ("/v1/health/connect/web?stale", "stale"),
        ("/v1/query?stale", "stale"),
        ("/v1/operator/usage", "leader"),
    ] {
        let answer = world.get(path).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        for (name, value) in [
            ("x-consul-effective-consistency", consistency),
            ("x-consul-knownleader", "true"),
            ("x-consul-lastcontact", "0"),
            ("x-consul-query-backend", "blocking-query"),
            ("x-consul-default-acl-policy", "allow"),
        ] {
            assert_eq!(answer.headers[name], value, "{path} {name}");
        }
    }
    for also in ["", "stale&", "consistent&", "stale&consistent&"] {
        let bad = world.get(&format!("/v1/catalog/nodes?{also}max_stale=soon")).await;
        let expected = (StatusCode::BAD_REQUEST, "Invalid max_stale value \"soon\"");
        assert_eq!((bad.status, bad.text()), expected, "{also}");
    }
}

#[tokio::test]
async fn another_datacenter_has_no_path_whatever_is_asked_of_it() {
    let world = world().await;
    for path in [
        "/v1/catalog/nodes",
        "/v1/catalog/service/web",
        "/v1/health/service/web",
        "/v1/health/connect/web",
        "/v1/status/leader",
        "/v1/status/peers",
        "/v1/query",
        "/v1/query/x/execute",
        "/v1/coordinate/nodes",
        "/v1/operator/raft/configuration",
        "/v1/snapshot",
        "/v1/config/service-defaults",
    ] {
        for parameter in ["dc=nowhere", "datacenter=nowhere&dc=dc1"] {
            let answer = world.get(&format!("{path}?{parameter}")).await;
            assert_eq!((answer.status.as_u16(), answer.text()), (500, "No path to datacenter"), "{path}");
        }
        let own = world.get(&format!("{path}?datacenter=dc1&dc=nowhere")).await;
        assert_ne!(&*own.body, b"No path to datacenter", "{path}");
    }
    // An agent answers for itself, and the list of datacenters is everyone's.
    for path in [
        "/v1/agent/self",
        "/v1/agent/services",
        "/v1/event/list",
        "/v1/catalog/datacenters",
        "/v1/coordinate/datacenters",
    ] {
        assert_eq!(world.get(&format!("{path}?dc=nowhere")).await.status, StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn long_answers_are_zipped_for_whoever_takes_them_so() {
    let world = world().await;
    for n in 0..20 {
        world.register(format!(r#"{{"Name":"web","ID":"web-{n}","Port":80}}"#)).await;
    }
    let plain = world.get("/v1/health/service/web").await;
    assert!(plain.headers.get("content-encoding").is_none());
    for _ in 0..2 {
        let zipped = world.get_with("/v1/health/service/web", "accept-encoding", "gzip, br").await;
        assert_eq!(zipped.headers["content-encoding"], "gzip");
        assert_eq!(zipped.headers["vary"], "Accept-Encoding");
        assert!(zipped.body.len() < plain.body.len() / 4);
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(&*zipped.body).read_to_end(&mut text).unwrap();
        assert_eq!(text, plain.body);
    }
    for (path, accepted) in [("/v1/health/service/web", "gzip;q=0"), ("/v1/status/leader", "gzip")] {
        let answer = world.get_with(path, "accept-encoding", accepted).await;
        assert!(answer.headers.get("content-encoding").is_none(), "{path} {accepted}");
    }
}
