use http::StatusCode;
use http_body_util::Full;
use switchboard_model::Lifecycle;

use crate::support::*;

#[tokio::test]
async fn a_service_is_reached_by_its_name_as_soon_as_it_registers() {
    let (world, users) = (world().await, named("users").await);
    let missing = world.get("/user-service/users/7").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.json()["code"], "no_service");
    assert_eq!(missing.json()["message"], "there is no service \"user-service\"");
    let key = world.register("User-Service", "a", users.address).await;
    let found = world.get("/user-service/users/7?x=1").await.json();
    assert_eq!((&found["name"], &found["path"]), (&"users".into(), &"/users/7?x=1".into()));
    assert_eq!(found["headers"]["x-forwarded-prefix"], "/user-service");
    assert_eq!(found["headers"]["x-forwarded-for"], "127.0.0.1");
    assert_eq!(found["headers"]["host"], world.address.to_string());
    assert_eq!(world.get("/USER-SERVICE").await.json()["path"], "/");
    let metrics = world.metrics();
    for count in ["propagation_seconds_count 1", "first_answer_seconds_count 1"] {
        assert!(metrics.contains(&format!("switchboard_gateway_{count}\n")), "{count} is not in {metrics}");
    }
    world.deregister(&key).await;
    assert_eq!(world.get("/user-service/").await.json()["code"], "no_service");
}

#[tokio::test]
async fn a_service_without_healthy_instances_is_unavailable_and_says_why() {
    let (world, users) = (world().await, named("users").await);
    let key = world.register("users", "a", users.address).await;
    world.set(&key, Lifecycle::OutOfService).await;
    let refused = world.get("/users/").await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers["retry-after"], "1");
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the provider set it to out_of_service"), "{message}");
    world.set(&key, Lifecycle::Up).await;
    assert_eq!(world.get("/users/").await.json()["name"], "users");
}

#[tokio::test]
async fn nothing_leads_from_nowhere() {
    let world = world().await;
    let refused = world.get("/").await;
    assert_eq!(
        (refused.status, refused.json()["code"].as_str().unwrap()),
        (StatusCode::NOT_FOUND, "no_route")
    );
}

#[tokio::test]
async fn configured_routes_come_first_and_match_host_header_and_method() {
    let (old, new, web) = (named("old").await, named("new").await, named("web").await);
    let world = world_with(&format!(
        r#"
        [[routes]]
        id = "new"
        paths = ["/users/**"]
        headers = {{ x-version = "~^2" }}
        service = "users"
        split = [{{ metadata = {{ version = "2" }}, weight = 1 }}]
        strip = 1
        prefix = "/v2"
        [[routes]]
        id = "write"
        paths = ["/users/**"]
        methods = ["POST"]
        to = ["http://{}"]
        [[routes]]
        id = "web"
        hosts = ["*.example"]
        preserve_host = false
        service = "web"
        "#,
        old.address
    ))
    .await;
    world.register_with("users", "1", old.address, "", &[("version", "1")]).await;
    world.register_with("users", "2", new.address, "", &[("version", "2")]).await;
    world.register("web", "w", web.address).await;
    for _ in 0..4 {
        let request = world.request("GET", "/users/7").header("x-version", "2.1");
        let found = world.answer(request.body(Full::default()).unwrap()).await.json();
        assert_eq!((&found["name"], &found["path"]), (&"new".into(), &"/v2/7".into()));
    }
    let posted = world.call("POST", "/users/7", "x").await.json();
    assert_eq!((&posted["name"], &posted["path"]), (&"old".into(), &"/users/7".into()));
    let request = world.request("GET", "/x").header("host", "a.example:80");
    let found = world.answer(request.body(Full::default()).unwrap()).await.json();
    assert_eq!(found["headers"]["host"], web.address.to_string());
    assert_eq!(found["headers"]["x-forwarded-host"], "a.example:80");
}

#[tokio::test]
async fn instances_choose_a_path_of_their_own_or_stay_hidden() {
    let (shop, hidden) = (named("shop").await, named("hidden").await);
    let world = world().await;
    let path = [("gateway.path", "/shop/{id}/**"), ("gateway.strip", "1")];
    world.register_with("shop-service", "a", shop.address, "", &path).await;
    world.register_with("internal", "a", hidden.address, "", &[("gateway.expose", "false")]).await;
    assert_eq!(world.get("/shop/7/x").await.json()["path"], "/7/x");
    assert_eq!(world.get("/shop-service/7").await.json()["code"], "no_route");
    assert_eq!(world.get("/internal/7").await.json()["code"], "not_exposed");
}

#[tokio::test]
async fn a_canary_gets_its_share_and_its_traffic_back_when_it_is_gone() {
    let (old, new) = (named("old").await, named("new").await);
    let world = world_with(
        r#"
        [[routes]]
        id = "canary"
        paths = ["/users/**"]
        service = "users"
        split = [{ metadata = { version = "1" }, weight = 50 }, { metadata = { version = "2" }, weight = 50 }]
        "#,
    )
    .await;
    world.register_with("users", "1", old.address, "", &[("version", "1")]).await;
    let canary = world.register_with("users", "2", new.address, "", &[("version", "2")]).await;
    for _ in 0..60 {
        assert_eq!(world.get("/users/").await.status, StatusCode::OK);
    }
    assert!(old.count() > 5 && new.count() > 5, "{} {}", old.count(), new.count());
    world.deregister(&canary).await;
    let before = new.count();
    for _ in 0..20 {
        assert_eq!(world.get("/users/").await.status, StatusCode::OK);
    }
    assert_eq!(new.count(), before);
}

#[tokio::test]
async fn the_gateway_is_no_instance_of_its_own_and_no_request_goes_round() {
    let world = world().await;
    world.register("loop", "a", world.address).await;
    world.register("page", "a", world.admin).await;
    for path in ["/loop/x", "/page/"] {
        let refused = world.get(path).await;
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(message.contains("it is the gateway itself"), "{message}");
    }
    let users = named("users").await;
    world.register("users", "a", users.address).await;
    let via = world.get("/users/").await.json()["headers"]["via"].as_str().unwrap().to_owned();
    let request = world.request("GET", "/users/").header("via", via);
    let refused = world.answer(request.body(Full::default()).unwrap()).await;
    assert_eq!(refused.json()["code"], "loop");
}

#[tokio::test]
async fn forbidden_addresses_are_refused_at_start_and_in_the_registry() {
    for (to, why) in [
        ("http://169.254.169.254:80", "link-local"),
        ("http://10.66.0.1:80", "gateway.deny"),
        ("http://0.0.0.0:80", "unspecified"),
    ] {
        let text = format!("deny = ['10.66.0.0/16']\n[[routes]]\nid = 'x'\npaths = ['/**']\nto = ['{to}']");
        let error = (switchboard_gateway::PLUG.effective)(&section(&text)).unwrap_err();
        assert!(error.why.contains(why) && error.key == "gateway.routes.0.to", "{error}");
    }
    let world = world().await;
    world.register("meta", "a", "169.254.169.254:80".parse().unwrap()).await;
    let message = world.get("/meta/").await.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("link-local"), "{message}");
}

#[tokio::test]
async fn a_route_to_itself_is_refused_at_start() {
    for to in ["127.0.0.1:8080", "localhost:8080", "127.0.0.1:7701"] {
        let text = format!("[[routes]]\nid = 'x'\npaths = ['/**']\nto = ['http://{to}']");
        let error = (switchboard_gateway::PLUG.effective)(&text.parse().unwrap()).unwrap_err();
        assert!(error.why.contains("the gateway itself") && error.key == "gateway.routes.0.to", "{error}");
    }
}

#[tokio::test]
async fn the_page_shows_who_is_there_and_is_for_this_machine() {
    let (world, users) = (world().await, named("users").await);
    world.register_with("users", "<b>", users.address, "", &[("gateway.strip", "x")]).await;
    let page = world.get_admin("/admin").await;
    assert!(page.text().contains("&lt;b&gt;") && page.text().contains("gateway.strip"), "{}", page.text());
    let request = http::Request::get(format!("http://{}/", world.admin)).header("host", "evil.example");
    let refused = world.answer(request.body(Full::default()).unwrap()).await;
    assert_eq!(refused.status, StatusCode::MISDIRECTED_REQUEST);
    let error = (switchboard_gateway::PLUG.open)(&section("admin.listen = '0.0.0.0:0'")).await.err().unwrap();
    assert!(error.to_string().contains("gateway.admin.listen"), "{error}");
}

impl World {
    async fn get_admin(&self, path: &str) -> Answer {
        let request = http::Request::get(format!("http://{}{path}", self.admin));
        self.answer(request.body(Full::default()).unwrap()).await
    }
}

#[tokio::test]
async fn instances_come_and_go_under_load_without_one_failed_request() {
    let world = world().await;
    let backends = [named("a").await, named("b").await, named("c").await];
    let stays = named("d").await;
    world.register("users", "d", stays.address).await;
    let stop = switchboard_facade::Stop::new();
    let load = async {
        let mut count = 0;
        while !stop.is_cancelled() {
            let answers = (0..8).map(|_| world.get("/users/x"));
            for answer in futures_like_join(answers.collect()).await {
                assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
                count += 1;
            }
        }
        count
    };
    let changes = async {
        for _ in 0..5 {
            let mut keys = Vec::new();
            for (i, backend) in backends.iter().enumerate() {
                keys.push(world.register("users", &format!("i{i}"), backend.address).await);
            }
            for key in &keys {
                world.deregister(key).await;
            }
        }
        stop.cancel();
    };
    let (count, ()) = tokio::join!(load, changes);
    assert!(count > 20, "{count}");
    assert!(backends.iter().all(|backend| backend.count() > 0));
    assert!(world.metrics().contains("switchboard_gateway_propagation_seconds_count"));
    assert!(
        world.metrics().contains("requests_by_service_total{service=\"users\",class=\"2xx\"}"),
        "{}",
        world.metrics()
    );
}

async fn futures_like_join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        for (future, done) in &mut running {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(cx)
            {
                *done = Some(output);
            }
        }
        match running.iter().all(|(_, done)| done.is_some()) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
    running.into_iter().filter_map(|(_, done)| done).collect()
}
