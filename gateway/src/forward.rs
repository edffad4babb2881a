//! Passes a request on until an instance answers, or none is left to try.

mod attempt;
mod exchange;
mod outgoing;

use std::sync::Arc;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use switchboard_balance::{NoPick, Outcome, RetryPermit};
use switchboard_facade::Peer;
use switchboard_facade::RequestBody as FromClient;
use tokio::time::Instant;

use crate::access::Record;
use crate::balance::Pick;
use crate::body::{Fault, ResponseBody, Upload};
use crate::config::Protocol;
use crate::gateway::{Aim, Gateway, UnderWay};
use crate::refusal::Refusal;
use crate::route::{Asked, Route, Subset};
use crate::upstream::{Lease, Stage};
use crate::{grpc, headers, tunnel};
use attempt::{Times, Trouble};
use exchange::Exchange;
use outgoing::Outgoing;

/// A request, on its way.
struct Journey<'a> {
    gateway: &'a Arc<Gateway>,
    route: Arc<Route>,
    aims: Vec<Aim>,
    outgoing: Outgoing,
    upload: Option<Arc<Upload>>,
    grpc: bool,
    times: Times,
    record: &'a mut Record,
    tried: Vec<Arc<switchboard_model::InstanceKey>>,
    permit: Option<RetryPermit>,
}

/// An instance's answer, before it is decided whether the client gets it.
struct Answer {
    response: Response<Incoming>,
    lease: Lease,
    pick: Pick,
    service: Arc<crate::services::Service>,
}

pub(crate) async fn forward(
    gateway: &Arc<Gateway>,
    mut request: Request<FromClient>,
    peer: Option<Peer>,
    record: &mut Record,
) -> Result<Response<ResponseBody>, Refusal> {
    let place = gateway.enter()?;
    let checked = headers::check(request.method(), request.uri(), request.version(), request.headers())?;
    if gateway.told.has_been_here(request.headers()) {
        return Err(Refusal::Loop);
    }
    let limit = gateway.config.limits.body_bytes;
    if limit > 0 && checked.length.is_some_and(|length| length > limit) {
        return Err(Refusal::TooLarge { limit });
    }
    let (found, aims) = {
        let host = Asked::host(&checked.host);
        let path = request.uri().path();
        let (method, headers) = (request.method(), request.headers());
        gateway.route(&Asked { host: &host, path, method, headers }).await?
    };
    record.route = Some(found.route.id.clone());
    let grpc = grpc::is_grpc(request.headers());
    let asked_time = if grpc { grpc::timeout(request.headers()) } else { None };
    let settings = &found.route.settings;
    let total = [settings.total, asked_time].into_iter().flatten().min();
    let times = Times {
        first_byte: settings.first_byte,
        idle: settings.idle,
        deadline: total.map(|total| Instant::now() + total),
    };
    let upgrade = checked.websocket.then(|| hyper::upgrade::on(&mut request));
    let (parts, incoming) = request.into_parts();
    let outgoing = Outgoing::new(gateway, &found, parts, &checked, peer)?;
    let upload = if http_body::Body::is_end_stream(&incoming) {
        None
    } else {
        let room = if outgoing.is_idempotent() { gateway.config.retry.body_bytes } else { 0 };
        Some(Upload::new(incoming, room, limit))
    };
    let mut journey = Journey {
        gateway,
        route: found.route,
        aims,
        outgoing,
        upload,
        grpc,
        times,
        record,
        tried: Vec::new(),
        permit: None,
    };
    let answer = journey.run().await?;
    match upgrade {
        Some(upgrade) if answer.response.status() == StatusCode::SWITCHING_PROTOCOLS => {
            let Answer { response, lease, pick, service } = answer;
            service.meters.answered(response.status());
            tunnel::open(gateway, upgrade, response, (lease, pick, place))
        }
        _ => Ok(journey.finish(answer, place)),
    }
}

impl Journey<'_> {
    /// Tries one instance after the other.
    async fn run(&mut self) -> Result<Answer, Refusal> {
        let attempts = self.route.settings.attempts;
        let mut last: Option<Result<Answer, Refusal>> = None;
        let mut stale = 0;
        while self.record.attempts < attempts {
            let (pick, service) = match self.pick() {
                Ok(picked) => picked,
                Err(refusal) => {
                    self.record.service = self.aims.first().map(|aim| aim.service.name.clone());
                    return last.unwrap_or(Err(refusal));
                }
            };
            self.record.service = Some(service.name.clone());
            self.record.attempts += 1;
            let again = self.can_be_repeated();
            match self.attempt(pick, &service).await {
                Ok(answer) => {
                    let status = answer.response.status();
                    let better = again && self.gateway.config.retry.on_status.contains(&status.as_u16());
                    if !better
                        || !self.can_be_repeated()
                        || self.record.attempts == attempts
                        || !self.may_retry(&answer)
                    {
                        return Ok(answer);
                    }
                    self.tried.push(answer.pick.endpoint().key.clone());
                    answer.pick.endpoint().state.failed(&format!("it answered with {status}"));
                    last = Some(Ok(answer));
                }
                Err(Told { refusal, next }) => {
                    let go_on = match next {
                        Next::Nothing => false,
                        Next::Unsent => true,
                        Next::Stale => {
                            stale += 1;
                            self.record.attempts -= 1;
                            again && stale <= 2 && self.can_be_repeated()
                        }
                        Next::Another => again && self.can_be_repeated() && self.take_permit(&service),
                    };
                    if !go_on {
                        return Err(refusal);
                    }
                    // An answer that was not good is still more than none.
                    if !matches!(last, Some(Ok(_))) {
                        last = Some(Err(refusal));
                    }
                }
            }
            self.gateway.meters.retries.inc();
        }
        last.unwrap_or_else(|| Err(Refusal::Overloaded))
    }

    /// Where nothing was sent yet, or what was sent may be sent twice.
    fn can_be_repeated(&self) -> bool {
        self.outgoing.is_idempotent() && self.upload.as_ref().is_none_or(|upload| upload.can_begin_again())
    }

    fn may_retry(&mut self, answer: &Answer) -> bool {
        let service = answer.service.clone();
        self.take_permit(&service)
    }

    fn take_permit(&mut self, service: &crate::services::Service) -> bool {
        self.permit = None;
        self.permit = service.everyone().retry();
        self.permit.is_some()
    }

    fn pick(&self) -> Result<(Pick, Arc<crate::services::Service>), Refusal> {
        let mut why = None;
        for Aim { service, part } in &self.aims {
            let chooser = part.as_ref().map_or(service.everyone(), |part| service.chooser(part));
            match chooser.pick(&self.tried) {
                Ok(pick) => return Ok((pick, service.clone())),
                Err(no) => why = why.or_else(|| Some(nobody(service, part.as_ref(), no))),
            }
        }
        Err(why.unwrap_or(Refusal::NoService { service: self.route.id.to_string() }))
    }

    async fn attempt(
        &mut self,
        mut pick: Pick,
        service: &Arc<crate::services::Service>,
    ) -> Result<Answer, Told> {
        let endpoint = pick.endpoint().clone();
        self.record.instance = Some(endpoint.key.clone());
        let name = || service.registered.to_string();
        let unreachable = |why: String| Refusal::Unreachable {
            service: name(),
            why: format!("{}: {why}", endpoint.key.id),
        };
        let way = match endpoint.way(&self.route.settings, self.grpc) {
            Ok(way) if self.outgoing.websocket && way.protocol == Protocol::H2c => {
                Err("it speaks HTTP/2, over which no WebSocket is opened".to_owned())
            }
            way => way,
        };
        let pool = match way {
            Ok(way) => endpoint.pool(way),
            Err(why) => {
                endpoint.state.failed(&why);
                self.tried.push(endpoint.key.clone());
                return Err(Told { refusal: unreachable(why), next: Next::Unsent });
            }
        };
        let repeatable = self.can_be_repeated();
        let request = self.outgoing.request(&endpoint, pool.way(), self.upload.as_ref(), repeatable);
        let sent = attempt::send(&pool, request, self.upload.as_ref(), self.times).await;
        let trouble = match sent {
            Ok((response, lease)) => {
                pick.answered();
                self.gateway.meters.seconds.observe(self.record.started.elapsed().as_secs_f64());
                if let Some(took) = endpoint.state.first_answer(self.gateway.bench.now()) {
                    self.gateway.meters.first_answer.observe(took.as_secs_f64());
                }
                return Ok(Answer { response, lease, pick, service: service.clone() });
            }
            Err(trouble) => trouble,
        };
        Err(match trouble {
            Trouble::Failed(failed) => {
                let broken =
                    Refusal::Broken { service: name(), why: format!("{}: {}", endpoint.key.id, failed.why) };
                match (self.upload.as_ref().and_then(|upload| upload.fault()), failed.stage) {
                    (Some(Fault::TooLarge), _) => {
                        let limit = self.gateway.config.limits.body_bytes;
                        Told { refusal: Refusal::TooLarge { limit }, next: Next::Nothing }
                    }
                    (Some(Fault::Client), _) => {
                        Told { refusal: Refusal::malformed("its body broke off"), next: Next::Nothing }
                    }
                    (None, Stage::Unsent(request)) => {
                        self.outgoing.take_back(*request);
                        endpoint.state.failed(&failed.why);
                        self.tried.push(endpoint.key.clone());
                        pick.finish(Outcome::FAILURE);
                        Told { refusal: unreachable(failed.why), next: Next::Unsent }
                    }
                    // The connection ended while it waited: that says nothing about the instance.
                    (None, Stage::Sent { stale: true }) => {
                        pool.flush();
                        Told { refusal: broken, next: Next::Stale }
                    }
                    (None, Stage::Sent { stale: false }) => {
                        pool.flush();
                        endpoint.state.failed(&failed.why);
                        self.tried.push(endpoint.key.clone());
                        pick.finish(Outcome::FAILURE);
                        Told { refusal: broken, next: Next::Another }
                    }
                }
            }
            Trouble::Late => {
                endpoint.state.failed("no answer in time");
                self.tried.push(endpoint.key.clone());
                pick.finish(Outcome::FAILURE);
                let refusal =
                    Refusal::Timeout { service: name(), what: "the head of its answer did not come" };
                Told { refusal, next: Next::Another }
            }
            // How long the client wants to wait says nothing about the instance, but waiting counts.
            Trouble::Deadline => {
                let refusal =
                    Refusal::Timeout { service: name(), what: "the time for the whole request is over" };
                Told { refusal, next: Next::Nothing }
            }
        })
    }

    /// The answer as the client gets it.
    fn finish(self, answer: Answer, place: UnderWay) -> Response<ResponseBody> {
        let Answer { response, mut lease, pick, service } = answer;
        if self.upload.as_ref().is_some_and(|upload| !upload.is_done()) {
            // What the client still sends must not wait for the client to read.
            lease.set_alone();
        }
        service.meters.answered(response.status());
        let (mut parts, incoming) = response.into_parts();
        headers::strip_response(&mut parts.headers);
        parts.version = http::Version::HTTP_11;
        parts.extensions.clear();
        let outcome = if self.grpc { exchange::of_grpc(&parts.headers) } else { None };
        let outcome = outcome.unwrap_or_else(|| exchange::of_http(parts.status, &parts.headers));
        let exchange = Exchange {
            pick: Some(pick),
            lease: Some(lease),
            upload: self.upload.clone(),
            outcome,
            grpc: self.grpc,
            status: parts.status,
            record: self.record.take(),
            log: self.gateway.config.access_log,
            end: None,
            _place: place,
            _permit: self.permit,
        };
        let pace = self.times.pace();
        Response::from_parts(parts, ResponseBody::stream(incoming, self.upload, pace, Box::new(exchange)))
    }
}

/// What came of a try, and what may come after it.
struct Told {
    refusal: Refusal,
    next: Next,
}

enum Next {
    Nothing,
    /// Nothing was sent: another may be asked in any case.
    Unsent,
    /// The same may be asked again.
    Stale,
    /// Another may be asked if the request can be repeated.
    Another,
}

fn nobody(service: &crate::services::Service, part: Option<&Subset>, no: NoPick) -> Refusal {
    let name = service.registered.to_string();
    match no {
        NoPick::Full => Refusal::Full { service: name },
        NoPick::CircuitOpen { .. } => {
            Refusal::NoInstance { service: name, why: "too many of its requests failed of late".to_owned() }
        }
        NoPick::AllTried => Refusal::NoInstance { service: name, why: "every instance was tried".to_owned() },
        NoPick::Empty | NoPick::NoneServing { .. } => {
            let why = service.why_nobody(part.unwrap_or(&Subset::default()));
            Refusal::NoInstance { service: name, why }
        }
    }
}
