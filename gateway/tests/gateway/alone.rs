use std::sync::Arc;

use http::{Request, StatusCode};
use http_body_util::Full;
use switchboard_discover::{Fixed, InstanceSet, Query, Source, Updates};
use switchboard_facade::{Metrics, Stop};
use switchboard_gateway::Alone;

use crate::support::*;

struct Standing {
    address: std::net::SocketAddr,
    stop: Stop,
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn stand(settings: &str, source: Arc<dyn Source>) -> Standing {
    let alone = Alone::open(&section(&format!("admin.enabled = false\n{settings}"))).unwrap();
    let (address, stop) = (alone.listening()[0].address, Stop::new());
    let told = stop.clone();
    tokio::spawn(async move { alone.serve(source, &Metrics::default(), told).await });
    Standing { address, stop }
}

impl Standing {
    async fn get(&self, path: &str) -> Answer {
        let request = Request::get(format!("http://{}{path}", self.address));
        answer_to(request.body(Full::default()).unwrap()).await
    }
}

fn instance(service: &str, id: &str, backend: &Backend) -> switchboard_discover::Instance {
    switchboard_discover::Instance::new(service, id, "127.0.0.1", backend.address.port()).unwrap()
}

#[tokio::test]
async fn a_service_is_asked_for_when_a_request_names_it_and_followed_from_then_on() {
    let (a, b) = (named("a").await, named("b").await);
    let source = Arc::new(Fixed::new([instance("Users", "a", &a)]));
    let routes = "[[routes]]\nid = 'r'\npaths = ['/people/**']\nservice = 'users'";
    let gateway = stand(routes, source.clone());
    assert_eq!(gateway.get("/users/7").await.json()["path"], "/7");
    assert_eq!(gateway.get("/people/7").await.json()["path"], "/people/7");
    assert_eq!(gateway.get("/nobody/7").await.json()["code"], "no_service");
    source.set([instance("Users", "b", &b), instance("nobody", "b", &b)]);
    within(async { while gateway.get("/users/7").await.json()["name"] != "b" {} }).await;
    within(async { while gateway.get("/nobody/7").await.status != StatusCode::OK {} }).await;
    source.set([]);
    within(async { while gateway.get("/users/7").await.status != StatusCode::NOT_FOUND {} }).await;
}

/// A registry that cannot be reached.
struct Silent;

impl Source for Silent {
    fn name(&self) -> &str {
        "silent"
    }

    fn watch(&self, _: &Query) -> Updates {
        let (tell, sets) = tokio::sync::watch::channel(InstanceSet::never());
        Updates::new(sets, Arc::new(tell))
    }
}

#[tokio::test]
async fn a_registry_that_says_nothing_is_not_an_empty_one() {
    let gateway = stand("", Arc::new(Silent));
    let refused = gateway.get("/users/7").await;
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (StatusCode::SERVICE_UNAVAILABLE, "loading".into())
    );
}
