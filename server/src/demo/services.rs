//! Three small services, as anyone might write them: they answer HTTP, send heartbeats, and find each other by name.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::{Client, segment};
use crate::failure::Failure;

/// Heartbeats come three times as often as they must.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// How long a service that was crashed by a reader stays away.
const AWAY: Duration = Duration::from_secs(10);

/// A service that runs, or does not.
pub(super) struct Service {
    pub(super) me: Arc<Me>,
    life: Option<JoinHandle<()>>,
}

/// What a service knows about itself.
pub(super) struct Me {
    name: &'static str,
    pub(super) address: SocketAddr,
    registry: Client,
    crash: Notify,
    asked: AtomicUsize,
}

impl Service {
    /// Takes a free port and answers on it.
    pub(super) async fn start(name: &'static str, registry: &Client) -> Result<Service, Failure> {
        let listener = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        let me = Me {
            name,
            address,
            registry: registry.clone(),
            crash: Notify::new(),
            asked: AtomicUsize::new(0),
        };
        let mut service = Service { me: Arc::new(me), life: None };
        service.live(listener);
        Ok(service)
    }

    /// Drops its listener and all of its connections at once, as a killed process does.
    pub(super) async fn kill(&mut self) {
        if let Some(life) = self.life.take() {
            life.abort();
            // Ends as cancelled, which is what we want of it.
            let _ = life.await;
        }
    }

    /// Starts it again where it was.
    pub(super) async fn revive(&mut self) -> Result<(), Failure> {
        let listener = bind(self.me.address).await?;
        self.live(listener);
        Ok(())
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.me.address)
    }

    /// The id that the registry makes where a registration names none.
    pub(super) fn id(&self) -> String {
        format!("{}-{}-{}", self.me.name, self.me.address.ip(), self.me.address.port())
    }

    pub(super) fn registration(&self) -> String {
        self.me.registration()
    }

    fn live(&mut self, listener: TcpListener) {
        self.life = Some(tokio::spawn(self.me.clone().live(listener)));
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(life) = self.life.take() {
            life.abort();
        }
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener, Failure> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|error| Failure::failed(format!("a service cannot listen on {address}: {error}")))
}

impl Me {
    /// Like the article's, with a check on top, so that a sudden death is noticed before the heartbeats are missed.
    fn registration(&self) -> String {
        format!(
            r#"{{"service":"{}","host":"{}","port":{},"metadata":{{"version":"v1.2","region":"east"}},"ttl":30,"check":{}}}"#,
            self.name,
            self.address.ip(),
            self.address.port(),
            r#"{"type":"http","path":"/health","interval":"1s","timeout":"1s","unhealthy_threshold":2}"#,
        )
    }

    /// Serves; when a reader crashes it, it is away for a while and comes back.
    async fn live(self: Arc<Me>, mut listener: TcpListener) {
        loop {
            self.clone().serve(listener).await;
            tokio::time::sleep(AWAY).await;
            match bind(self.address).await {
                Ok(again) => listener = again,
                Err(failure) => return tracing::warn!("{failure}"),
            }
        }
    }

    /// Returns when it crashes. Everything that it holds goes with it.
    async fn serve(self: Arc<Me>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        let mut heartbeat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT, HEARTBEAT);
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                    let me = self.clone();
                    let answer = service_fn(move |request| me.clone().answer(request));
                    let connection = hyper::server::conn::http1::Builder::new();
                    connections.spawn(connection.serve_connection(TokioIo::new(stream), answer));
                },
                _ = connections.join_next(), if !connections.is_empty() => {}
                _ = heartbeat.tick() => { tokio::spawn(self.clone().beat()); }
                () = self.crash.notified() => return,
            }
        }
    }

    /// A registry that has forgotten us is told again.
    async fn beat(self: Arc<Me>) {
        let id = format!("{}-{}-{}", self.name, self.address.ip(), self.address.port());
        let renew = format!("/v1/instances/{}/renew", segment(&id));
        let beat = self.registry.try_ask(Method::PUT, &renew, None).await;
        if beat.is_ok_and(|answer| answer.status == StatusCode::NOT_FOUND) {
            // The next heartbeat tries again.
            let _ = self.registry.ask(Method::POST, "/v1/register", Some(self.registration())).await;
        }
    }

    async fn answer(self: Arc<Me>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let path = request.uri().path().to_owned();
        let (status, text) = match (self.name, path.as_str()) {
            (_, "/health") => (StatusCode::OK, "fine\n".to_owned()),
            (_, "/crash") if request.method() == Method::POST => {
                self.crash.notify_one();
                (StatusCode::OK, "goodbye\n".to_owned())
            }
            ("user-service", path) if path.starts_with("/users/") => (StatusCode::OK, self.user(path)),
            ("order-service", path) if path.starts_with("/orders/") => match self.order(path).await {
                Ok(order) => (StatusCode::OK, order),
                Err(failure) => (StatusCode::BAD_GATEWAY, format!("{failure}\n")),
            },
            _ => (StatusCode::NOT_FOUND, "no such page\n".to_owned()),
        };
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status;
        Ok(response)
    }

    fn user(&self, path: &str) -> String {
        let id = number(path);
        format!("{{\"user\":{id},\"name\":\"Ada\",\"answered_by\":\"{}\"}}\n", self.address)
    }

    /// Asks the registry where user-service is, and one of its instances, in turn, who ordered.
    async fn order(&self, path: &str) -> Result<String, Failure> {
        let found = self.registry.ask(Method::GET, "/v1/services/user-service", None).await?;
        let instances = found.body.get("instances").and_then(Value::as_array).cloned().unwrap_or_default();
        let turn =
            self.asked.fetch_add(1, Ordering::Relaxed).checked_rem(instances.len()).unwrap_or_default();
        let instance = instances.get(turn).ok_or_else(|| Failure::failed("nobody serves user-service"))?;
        let host = instance.get("host").and_then(Value::as_str).unwrap_or_default();
        let port = instance.get("port").and_then(Value::as_u64).unwrap_or_default();
        let user =
            Client::new(&format!("http://{host}:{port}"), None)?.ask(Method::GET, "/users/42", None).await?;
        Ok(format!("{{\"order\":{},\"ordered_by\":{}}}\n", number(path), user.text.trim()))
    }
}

fn number(path: &str) -> u64 {
    path.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
