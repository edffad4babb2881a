//! What is counted.

use std::sync::atomic::Ordering;
use std::time::Duration;

use switchboard::metrics::Metrics;
use switchboard::{Fixed, HttpClient, Native, Registrar, Registration};

use crate::calls::Backend;
use crate::support::Server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_failures_ejections_and_registrations_are_counted() {
    let server = Server::start().await;
    let (good, bad) = (Backend::start("good").await, Backend::start("bad").await);
    bad.status.store(500, Ordering::SeqCst);
    let http = HttpClient::new(Fixed::new([good.instance(), bad.instance()]));
    let metrics = Metrics::new();
    metrics.add("http", &http);
    let native = Native::at(&format!("http://{}", server.native)).unwrap();
    let registrar = Registrar::start(native, Registration::new("greeter", "10.0.0.5", 80).unwrap());
    registrar.registered().await;
    metrics.add("me", &registrar);
    for _ in 0..20 {
        let _ = http.get("http://users/").await.unwrap();
    }
    let labels = r#"{client="http",service="users"}"#;
    let text = metrics.text();
    for line in [
        format!("switchboard_client_calls_total{labels} 20"),
        format!("switchboard_client_in_flight{labels} 0"),
        format!("switchboard_client_instances{labels} 2"),
        format!("switchboard_client_fresh{labels} 1"),
        format!("switchboard_client_call_seconds_count{labels} 20"),
        r#"switchboard_registrar_registered{service="greeter",id="greeter-10.0.0.5-80"} 1"#.to_owned(),
        r#"switchboard_registrar_again_total{service="greeter",id="greeter-10.0.0.5-80"} 0"#.to_owned(),
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in\n{text}");
    }
    for name in
        ["switchboard_client_calls", "switchboard_client_call_seconds", "switchboard_registrar_failures"]
    {
        assert_eq!(text.matches(&format!("# TYPE {name} ")).count(), 1, "{text}");
    }
    registrar.leave(Duration::ZERO).await;
    drop(http);
    assert!(!metrics.text().contains("users"), "what is gone is counted still");
}
