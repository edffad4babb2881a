use std::collections::HashMap;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use foldhash::fast::RandomState;
use http::header::{self, HeaderValue};
use http::{Request, Response, Version};
use switchboard_discover::Source;
use switchboard_facade::RequestBody as FromClient;
use switchboard_facade::{Peer, Stop};
use switchboard_model::Name;
use tower_service::Service as TowerService;

use crate::balance::Bench;
use crate::body::ResponseBody;
use crate::config::Config;
use crate::headers::Told;
use crate::meters::Meters;
use crate::on_demand::{Learned, OnDemand};
use crate::refusal::Refusal;
use crate::route::{Asked, Meant, Route, Table, Target};
use crate::services::{Service, Services};
use crate::tunnel::Tunnels;
use crate::upstream::Dialer;
use crate::{forward, grpc, route};

/// What every request needs.
#[derive(Debug)]
pub(crate) struct Gateway {
    pub(crate) config: Config,
    pub(crate) table: Arc<Table>,
    pub(crate) services: Arc<Services>,
    /// The addresses of routes that go to no service, by the route's id.
    pub(crate) fixed: HashMap<Arc<str>, Arc<Service>, RandomState>,
    /// Where services come from that are asked for one by one.
    pub(crate) on_demand: Option<Arc<OnDemand>>,
    pub(crate) bench: Bench,
    pub(crate) told: Told,
    pub(crate) meters: Meters,
    pub(crate) tunnels: Tunnels,
    /// Where we listen.
    pub(crate) port: u16,
    pub(crate) tls: bool,
    under_way: AtomicUsize,
}

/// Where a request goes.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) route: Arc<Route>,
    /// Its host named the service: the path is the service's own.
    pub(crate) by_host: bool,
}

impl Gateway {
    pub(crate) fn new(
        config: Config,
        dialer: Dialer,
        port: u16,
        source: Option<Arc<dyn Source>>,
        stop: Stop,
    ) -> anyhow::Result<Gateway> {
        let table = Arc::new(Table::new(&config)?);
        let bench = Bench::new(&config).map_err(|error| anyhow::anyhow!("gateway.balance.{error}"))?;
        let dialer = Arc::new(dialer);
        let mut fixed = HashMap::default();
        for (_, route) in table.routes() {
            let Target::Fixed(addresses) = &route.target else { continue };
            for to in addresses {
                route::vet(&dialer, to).map_err(|why| anyhow::anyhow!("route {:?}: {why}", route.id))?;
            }
            fixed.insert(route.id.clone(), Arc::new(Service::fixed(&route.id, addresses, &bench, &dialer)));
        }
        let meters = Meters::default();
        let services = Arc::new(Services::new(&table, dialer, bench.clone()));
        let namespace = Name::parse("gateway.namespace", &config.namespace);
        let namespace = namespace.map_err(|rejection| anyhow::anyhow!("{rejection}"))?;
        let on_demand = source.map(|source| {
            services.set_ready();
            OnDemand::new(source, services.clone(), table.clone(), namespace, Default::default())
        });
        Ok(Gateway {
            services,
            on_demand,
            tunnels: Tunnels::new(&config, meters.tunnels.clone(), stop),
            fixed,
            bench,
            told: Told::new(fastrand::u64(..)),
            meters,
            port,
            tls: config.tls.is_some(),
            table,
            config,
            under_way: AtomicUsize::new(0),
        })
    }

    /// The route for a request. The configuration's come first, then those that services chose, then their names.
    pub(crate) fn find(&self, asked: &Asked<'_>) -> Result<Found, Refusal> {
        let meant = self.table.find(asked);
        if let Meant::Route(route) = meant {
            return Ok(Found { route: route.clone(), by_host: false });
        }
        if let Some(service) = self.services.by_path(asked.path)
            && let Some(route) = service.exposure().and_then(|exposure| exposure.route.clone())
        {
            return Ok(Found { route, by_host: false });
        }
        let no_route = || match self.services.is_ready() {
            true => Refusal::NoRoute { path: asked.path.to_owned() },
            false => Refusal::Loading,
        };
        let (Meant::Service { written, by_host }, Some(locator)) = (meant, self.table.locator()) else {
            return Err(no_route());
        };
        let no_service = || match self.services.is_ready() {
            true => Refusal::NoService { service: written.to_string() },
            false => Refusal::Loading,
        };
        let service = self.services.get(&locator.service(&written)).ok_or_else(no_service)?;
        if !locator.spells(&written, &service.registered) {
            return Err(no_service());
        }
        let exposure = service.exposure().ok_or_else(no_service)?;
        match &exposure.route {
            None => Err(Refusal::Hidden { service: service.registered.to_string() }),
            Some(_) if exposure.path.is_some() && !by_host => Err(no_route()),
            Some(route) => Ok(Found { route: route.clone(), by_host }),
        }
    }

    /// The services that a route leads to, the one that was drawn first.
    pub(crate) fn services_of(&self, route: &Route) -> Result<Vec<Aim>, Refusal> {
        let parts = match &route.target {
            Target::Fixed(_) => {
                let fixed =
                    self.fixed.get(&route.id).map(|service| Aim { service: service.clone(), part: None });
                return Ok(fixed.into_iter().collect());
            }
            Target::Services(parts) => parts,
        };
        let drawn = route.target.part(fastrand::u32(..));
        let rest = parts.iter().filter(|part| part.weight > 0 && drawn.is_none_or(|drawn| drawn != *part));
        let mut aims = Vec::with_capacity(parts.len());
        for part in drawn.into_iter().chain(rest) {
            if let Some(service) = self.services.get(&part.service) {
                let part = (!part.subset.is_everyone()).then(|| part.subset.clone());
                aims.push(Aim { service, part });
            }
        }
        match (aims.is_empty(), drawn) {
            (false, _) => Ok(aims),
            (true, _) if !self.services.is_ready() => Err(Refusal::Loading),
            (true, Some(part)) => Err(Refusal::NoService { service: part.service.to_string() }),
            (true, None) => Err(Refusal::NoService { service: route.id.to_string() }),
        }
    }

    /// The same, where a service may have to be asked for first.
    pub(crate) async fn route(&self, asked: &Asked<'_>) -> Result<(Found, Vec<Aim>), Refusal> {
        let found = match (self.find(asked), &self.on_demand) {
            (Err(Refusal::NoService { .. } | Refusal::NoRoute { .. }), Some(on_demand)) => {
                let locator = self.table.locator();
                let name = locator.and_then(|locator| {
                    let (written, _) = locator.name(asked.host, asked.path)?;
                    Some(locator.service(&written).into_owned())
                });
                if let Some(name) = name {
                    learn(on_demand, &name).await?;
                }
                self.find(asked)?
            }
            (found, _) => found?,
        };
        let aims = match (self.services_of(&found.route), &self.on_demand) {
            (Err(Refusal::NoService { service }), Some(on_demand)) => {
                learn(on_demand, &service).await?;
                self.services_of(&found.route)?
            }
            (aims, _) => aims?,
        };
        Ok((found, aims))
    }

    /// A place for one more request.
    pub(crate) fn enter(self: &Arc<Gateway>) -> Result<UnderWay, Refusal> {
        let before = self.under_way.fetch_add(1, Ordering::AcqRel);
        self.meters.under_way.inc();
        let place = UnderWay(self.clone());
        if before < self.config.limits.requests { Ok(place) } else { Err(Refusal::Overloaded) }
    }
}

async fn learn(on_demand: &Arc<OnDemand>, name: &str) -> Result<(), Refusal> {
    match on_demand.learn(name).await {
        Learned::Everything => Ok(()),
        Learned::Nothing => Err(Refusal::Loading),
        Learned::Full => Err(Refusal::Overloaded),
    }
}

/// A service, or the instances of it that say something.
#[derive(Debug)]
pub(crate) struct Aim {
    pub(crate) service: Arc<Service>,
    pub(crate) part: Option<crate::route::Subset>,
}

/// A request that is under way.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Gateway>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
        self.0.meters.under_way.dec();
    }
}

/// The gateway as what a listener serves.
#[derive(Clone, Debug)]
pub(crate) struct Front(pub(crate) Arc<Gateway>);

impl TowerService<Request<FromClient>> for Front {
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<ResponseBody>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<FromClient>) -> Self::Future {
        let gateway = self.0.clone();
        Box::pin(async move { Ok(answer(gateway, request).await) })
    }
}

async fn answer(gateway: Arc<Gateway>, request: Request<FromClient>) -> Response<ResponseBody> {
    let (version, is_grpc) = (request.version(), grpc::is_grpc(request.headers()));
    let peer = request.extensions().get::<Peer>().copied();
    let mut record = crate::access::Record::new(&request, peer);
    match forward::forward(&gateway, request, peer, &mut record).await {
        Ok(response) => response,
        Err(refusal) => {
            gateway.meters.refused.inc();
            if let Some(service) = record.service.as_ref().and_then(|name| gateway.services.get(name)) {
                service.meters.refused();
            }
            let response = refuse(&refusal, version, is_grpc);
            record.refused(&refusal, gateway.config.access_log);
            response
        }
    }
}

fn refuse(refusal: &Refusal, version: Version, is_grpc: bool) -> Response<ResponseBody> {
    if is_grpc {
        return grpc::refuse(refusal);
    }
    let said = serde_json::json!({
        "status": "error",
        "code": refusal.code(),
        "message": refusal.to_string(),
    });
    let mut response = Response::new(ResponseBody::full(format!("{said}\n")));
    *response.status_mut() = refusal.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(seconds) = refusal.retry_after() {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if refusal.closes() && version < Version::HTTP_2 {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
