mod status;

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, Uri};
use http_body::Body;
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use parking_lot::Mutex;
use switchboard_balance::Outcome;
use switchboard_discover::{Instance, Query, Source};
use tokio::net::TcpStream;

use crate::body::{CallBody, http_outcome};
use crate::call::{Attempt, Call, run};
use crate::pool::{Picked, Pool, PoolError, PoolOptions, PoolStatus};
use crate::resolve::{Resolvers, TargetError};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// HTTP/2 to the instances of a service, for any client that tonic generates.
///
/// ```no_run
/// # use tonic_health::pb::health_client::HealthClient;
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::GrpcChannel;
///
/// let client = HealthClient::new(GrpcChannel::to("switchboard:///greeter")?);
/// let other = HealthClient::new(GrpcChannel::to("consul://10.0.0.1:8500/greeter?tag=v2")?);
/// # Ok(()) }
/// ```
///
/// Each call picks an instance, makes sure that there is a connection, and only then hands over the request: as long as
/// nothing was sent a call moves on to another instance, be it a stream. What was sent is not sent twice. The outcome of
/// a call is the status at its end, and a stream counts as a call on its way for as long as it lasts. A `grpc-timeout`
/// (tonic: `Request::set_timeout`) is kept here, too, until the answer begins.
///
/// A call that reaches nobody is answered as gRPC has it, `UNAVAILABLE` or `DEADLINE_EXCEEDED`, with all that was tried in
/// the message; the [`CallError`](crate::CallError) is among the extensions of the response.
///
/// It is what a resolver, a load balancer and subchannels are together in other gRPC libraries: a
/// [`Resolver`](crate::Resolver) makes a [`Source`] of a target, each [`Instance`] is an endpoint with one address and
/// attributes (its weight, zone and metadata), and the [`Policy`](crate::Policy) is the balancer.
pub struct GrpcChannel<B> {
    pool: Arc<Pool<Connection<B>>>,
}

/// How calls are made.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{Algorithm, GrpcChannel, GrpcOptions, Policy, PoolOptions, Resolvers};
///
/// let policy = Policy { algorithm: Algorithm::RoundRobin, ..Policy::default() };
/// let pool = PoolOptions { policy, ..PoolOptions::default() };
/// let options = GrpcOptions { pool, port_name: Some("grpc".to_owned()), ..GrpcOptions::default() };
/// let greeter: GrpcChannel<tonic::body::Body> = Resolvers::new().channel_with("etcd:///greeter", options)?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct GrpcOptions {
    /// How instances are picked.
    pub pool: PoolOptions,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// A connection is asked this often whether it is still there.
    pub ping_every: Duration,
    /// How long it may take to say so.
    pub ping_timeout: Duration,
    /// Instances are called on the port of this name. None: on their main port.
    pub port_name: Option<String>,
}

impl Default for GrpcOptions {
    fn default() -> GrpcOptions {
        GrpcOptions {
            pool: PoolOptions::default(),
            connect_timeout: Duration::from_secs(1),
            ping_every: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(5),
            port_name: None,
        }
    }
}

impl<B> GrpcChannel<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    /// Calls the service of a target such as `consul://127.0.0.1:8500/greeter`; see [`Resolvers`] for all that can be
    /// written, and to make several channels that share what they watch.
    pub fn to(target: &str) -> Result<GrpcChannel<B>, TargetError> {
        Resolvers::new().channel(target)
    }

    /// Calls the instances that the source gives for the query.
    pub fn new(source: &dyn Source, query: &Query) -> Result<GrpcChannel<B>, PoolError> {
        GrpcChannel::with(source, query, GrpcOptions::default())
    }

    /// With other options.
    pub fn with(
        source: &dyn Source,
        query: &Query,
        options: GrpcOptions,
    ) -> Result<GrpcChannel<B>, PoolError> {
        let pool = options.pool.clone();
        let options = Arc::new(options);
        let connection = move |instance: &Instance| Connection::to(instance, options.clone());
        Ok(GrpcChannel { pool: Arc::new(Pool::new(source, query, pool, connection)?) })
    }

    /// What it knows about the instances.
    pub fn status(&self) -> PoolStatus {
        self.pool.status()
    }
}

impl<B> tower_service::Service<Request<B>> for GrpcChannel<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<CallBody<Connection<B>>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Which instance has to be ready is only known with the request.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = self.pool.shared();
        let call = Call { hash: None, idempotent: false, timeout: status::timeout(request.headers()) };
        // As long as it was not sent it comes back here.
        let request = Arc::new(Mutex::new(Some(request)));
        Box::pin(async move {
            let result = run(&shared, call, |picked| send(picked, request.clone())).await;
            Ok(result.unwrap_or_else(|error| status::answer(error).map(|()| CallBody::none())))
        })
    }
}

async fn send<B>(
    picked: Picked<Connection<B>>,
    request: Arc<Mutex<Option<Request<B>>>>,
) -> Attempt<Response<CallBody<Connection<B>>>>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let Some(connection) = picked.service().cloned() else { return Attempt::unsent("no instance") };
    let (mut sender, authority) = match connection.ready().await {
        Ok(ready) => ready,
        Err(error) => {
            picked.finish(Outcome::FAILURE);
            return Attempt::unsent(error);
        }
    };
    let Some(mut taken) = request.lock().take() else {
        return Attempt::broken("the request was sent before");
    };
    let path = taken.uri().path_and_query().cloned();
    let uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(authority)
        .path_and_query(path.unwrap_or_else(|| http::uri::PathAndQuery::from_static("/")));
    if let Ok(uri) = uri.build() {
        *taken.uri_mut() = uri;
    }
    match sender.try_send_request(taken).await {
        Ok(response) => {
            let (parts, body) = response.into_parts();
            if let Some(answer) = status::of_http(&parts) {
                picked.finish(http_outcome(parts.status.as_u16(), &parts.headers));
                return Attempt::Done(answer.map(|()| CallBody::none()));
            }
            let body = CallBody::grpc(body, picked, &parts.headers);
            Attempt::Done(Response::from_parts(parts, body))
        }
        Err(mut error) => {
            picked.finish(Outcome::FAILURE);
            match error.take_message() {
                Some(unsent) => {
                    *request.lock() = Some(unsent);
                    Attempt::unsent(error.into_error())
                }
                None => Attempt::broken(error.into_error()),
            }
        }
    }
}

/// The connection to one instance: made when it is first needed, and again after it broke.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use switchboard::{CallBody, Connection, GrpcChannel};
/// use tower_service::Service;
///
/// type Sent = tonic::body::Body;
/// type Answer = http::Response<CallBody<Connection<Sent>>>;
/// fn is_a_channel(_: impl Service<http::Request<Sent>, Response = Answer>) {}
/// is_a_channel(GrpcChannel::<Sent>::to("switchboard:///greeter")?);
/// # Ok(()) }
/// ```
pub struct Connection<B> {
    inner: Arc<Inner<B>>,
}

struct Inner<B> {
    /// None: the instance has no such port.
    place: Option<(String, u16, Authority)>,
    options: Arc<GrpcOptions>,
    /// Held while connecting, so that one connection comes of many calls.
    sender: tokio::sync::Mutex<Option<SendRequest<B>>>,
}

impl<B> Connection<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    fn to(instance: &Instance, options: Arc<GrpcOptions>) -> Connection<B> {
        let port = match &options.port_name {
            Some(name) => instance.port_named(name),
            None => instance.port(),
        };
        let place = port.and_then(|port| {
            let authority = Authority::try_from(instance.authority_at(port)).ok()?;
            Some((instance.host.to_string(), port, authority))
        });
        Connection { inner: Arc::new(Inner { place, options, sender: tokio::sync::Mutex::new(None) }) }
    }

    /// A connection that was there a moment ago.
    async fn ready(&self) -> Result<(SendRequest<B>, Authority), BoxError> {
        let Inner { place, options, sender } = &*self.inner;
        let Some((host, port, authority)) = place else { return Err("the instance has no such port".into()) };
        let mut slot = sender.lock().await;
        if let Some(sender) = slot.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok((sender.clone(), authority.clone()));
        }
        *slot = None;
        let connect = async {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .keep_alive_interval(options.ping_every)
                .keep_alive_timeout(options.ping_timeout)
                .handshake(TokioIo::new(stream))
                .await?;
            // It ends with the last sender, or when it breaks; calls on it hear of that themselves.
            tokio::spawn(connection);
            Ok::<_, BoxError>(sender)
        };
        let connected = tokio::time::timeout(options.connect_timeout, connect).await;
        let connected = connected
            .map_err(|_| BoxError::from(format!("no connection within {:?}", options.connect_timeout)))??;
        *slot = Some(connected.clone());
        Ok((connected, authority.clone()))
    }
}

impl<B> Clone for Connection<B> {
    fn clone(&self) -> Connection<B> {
        Connection { inner: self.inner.clone() }
    }
}

impl<B> fmt::Debug for Connection<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connection").field(&self.inner.place).finish()
    }
}

impl<B> Clone for GrpcChannel<B> {
    fn clone(&self) -> GrpcChannel<B> {
        GrpcChannel { pool: self.pool.clone() }
    }
}

impl<B> fmt::Debug for GrpcChannel<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("GrpcChannel").field(&self.pool).finish()
    }
}

#[cfg(feature = "metrics")]
impl<B> crate::metrics::Measure for GrpcChannel<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    fn reader(&self) -> Box<dyn Fn() -> Option<crate::metrics::Measured> + Send + Sync> {
        crate::metrics::of_pool(&self.pool)
    }
}
