use super::*;

#[track_caller]
fn is(outcome: &Outcome, answer: Answer, output: &str) {
    assert_eq!(outcome.answer, answer, "{outcome:?}");
    assert!(outcome.output.contains(output), "{outcome:?}");
}

async fn ask(answer: &str, hold: Duration) -> Outcome {
    let (server, _) = canned(answer, hold).await;
    Lab::new(Config::default()).ask("127.0.0.1", server.port(), http(get("/health"))).await
}

#[tokio::test]
async fn the_status_is_the_verdict() {
    let empty = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n");
    is(&ask(&empty("200 Fine"), FOREVER).await, Answer::Pass, "/health: 200 OK");
    is(&ask(&empty("429 Slow"), FOREVER).await, Answer::Warn, "/health: 429 Too Many Requests");
    is(&ask(&empty("503 secret words"), FOREVER).await, Answer::Fail, "/health: 503 Service Unavailable");
}

#[tokio::test]
async fn what_the_other_side_says_is_passed_on_only_where_somebody_wants_that() {
    let answer = "HTTP/1.1 200 Fine\r\ncontent-length: 6\r\n\r\nall ok";
    for (show_bodies, end) in [(false, "/health: 200 OK"), (true, "/health: 200 OK Output: all ok")] {
        let (server, _) = canned(answer, FOREVER).await;
        let lab = Lab::new(Config { show_bodies, ..Config::default() });
        let outcome = lab.ask("127.0.0.1", server.port(), http(get("/health"))).await;
        assert_eq!(outcome, Outcome::new(Answer::Pass, format!("HTTP GET http://{server}{end}")));
    }
}

#[tokio::test]
async fn a_failure_says_what_was_asked() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let outcome = Lab::new(Config::default()).ask("127.0.0.1", closed.port(), http(get("/health"))).await;
    let why = format!("Get \"http://{closed}/health\": dial tcp {closed}: connect: connection refused");
    assert_eq!(outcome, Outcome::new(Answer::Fail, why));
}

#[tokio::test]
async fn the_request_is_what_the_check_says() {
    let (server, request) = canned("HTTP/1.1 204 No Content\r\n\r\n", Duration::ZERO).await;
    let spec = HttpProbe {
        method: "POST".into(),
        headers: [("X-Token".into(), "a".into()), ("x-token".into(), "b".into())].into(),
        body: "ping".into(),
        expect: [(204, 204)].into(),
        ..get("/deep?x=1")
    };
    let outcome = Lab::new(Config::default()).ask("127.0.0.1", server.port(), http(spec)).await;
    is(&outcome, Answer::Pass, "/deep?x=1: 204");
    let request = request.lock().clone();
    let host = format!("host: 127.0.0.1:{}\r\n", server.port());
    assert!(
        request.starts_with("POST /deep?x=1 HTTP/1.1\r\n") && request.ends_with("\r\n\r\nping"),
        "{request}"
    );
    for line in [
        &*host,
        "user-agent: switchboard-health\r\n",
        "x-token: a\r\n",
        "x-token: b\r\n",
        "content-length: 4\r\n",
    ] {
        assert!(request.contains(line), "{line:?} is not in {request}");
    }
}

/// Consul followed redirects once, and so could be sent anywhere (CVE-2022-29153).
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let canary = Canary::at("127.0.0.1:0").await;
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"] {
        let answer =
            format!("HTTP/1.1 {status}\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n", canary.address);
        is(&ask(&answer, Duration::ZERO).await, Answer::Fail, "/health: 30");
    }
    assert_eq!(canary.seen().await, 0);
}

#[tokio::test]
async fn whoever_hangs_is_given_up_in_time() {
    for (answer, why) in [
        ("", "no answer within 2s"),
        ("HTTP/1.1 200 OK\r\nx: ", "no answer within 2s"),
        ("HTTP/1.1 100 Continue\r\n\r\n", "no answer within 2s"),
    ] {
        let started = Instant::now();
        is(&ask(answer, FOREVER).await, Answer::Fail, why);
        assert!(started.elapsed() < FOREVER);
    }
    let started = Instant::now();
    let body_to_come = "HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\nx";
    is(&ask(body_to_come, FOREVER).await, Answer::Pass, "/health: 200 OK");
    assert!(started.elapsed() < FOREVER);
}

#[tokio::test]
async fn what_is_not_http_fails_and_is_not_repeated() {
    is(&ask("SSH-2.0-OpenSSH secret\r\n\r\n", FOREVER).await, Answer::Fail, "the answer is not HTTP/1");
    is(&ask("", Duration::ZERO).await, Answer::Fail, "the connection ended before the answer did");
    let endless = format!("HTTP/1.1 200 OK\r\nx: {}", "secret".repeat(100_000));
    let outcome = ask(&endless, FOREVER).await;
    assert_eq!(outcome.answer, Answer::Fail, "{outcome:?}");
    assert!(!outcome.output.contains("secret"));
}

#[tokio::test]
async fn a_large_body_is_not_read_to_its_end() {
    let large = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(50_000_000));
    let started = Instant::now();
    is(&ask(&large, FOREVER).await, Answer::Pass, "/health: 200 OK");
    assert!(started.elapsed() < FOREVER);
}
