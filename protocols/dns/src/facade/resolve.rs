use std::net::IpAddr;
use std::sync::Arc;

use domain::base::iana::{OptRcode, Rtype};
use switchboard_facade::{Asker, Context};
use switchboard_model::Rejection;
use switchboard_registry::{Caller, View};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::meters::Meters;
use super::recursors::Recursors;
use super::reverse::Reverse;
use crate::answer::{Answer, EVERYONE, Ground, MOST_BEHIND_ALIAS, Own, Transport, most_bytes, write};
use crate::config::Config;
use crate::names::{self, Zone};
use crate::refusal::refusal;
use crate::wire::{DomainName, Flags, Query, Reply, Unreadable, relay};

/// What every query needs.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Config,
    zones: Vec<Zone>,
    own: Own,
    context: Context,
    pub(super) meters: Meters,
    reverse: Reverse,
    recursors: Recursors,
    waiting: Arc<Semaphore>,
}

/// What becomes of a message.
pub(super) enum Outcome {
    /// The answer is in the buffer.
    Answered,
    Silent,
    /// It takes time. The permit is for whoever takes it.
    Wait(OwnedSemaphorePermit),
}

/// What a query comes to without waiting for anyone.
enum Found<'z> {
    Answer(Answer, &'z Zone),
    Refused(OptRcode),
    /// It is somewhere else.
    Alias(Answer, &'z Zone, DomainName),
    /// Who has this address is searched for.
    Reverse(IpAddr),
    /// Others are asked.
    Outside,
}

/// From alias to alias at most so often.
const DEEPEST: usize = 3;

impl State {
    pub(super) fn new(config: Config, zones: Vec<Zone>, own: Own, context: Context, meters: Meters) -> State {
        let waiting = Arc::new(Semaphore::new(config.waiting));
        let recursors = Recursors::new(&config);
        State { config, zones, own, context, meters, reverse: Reverse::default(), recursors, waiting }
    }

    /// Answers what can be answered at once.
    pub(super) fn answer(
        &self,
        message: &[u8],
        peer: IpAddr,
        transport: Transport,
        out: &mut Vec<u8>,
    ) -> Outcome {
        let query = match Query::read(message) {
            Ok(query) => query,
            Err(unreadable) => return self.refuse_unreadable(unreadable, out),
        };
        match self.find(&query, peer) {
            Ok(Found::Answer(answer, zone)) => self.write(&query, &answer, Some(zone), transport, out),
            Ok(Found::Refused(rcode)) => self.refuse(&query, rcode, out),
            Ok(Found::Alias(..) | Found::Reverse(_) | Found::Outside) => {
                match self.waiting.clone().try_acquire_owned() {
                    Ok(permit) => return Outcome::Wait(permit),
                    Err(_) => {
                        self.meters.turned_away.inc();
                        self.refuse(&query, OptRcode::SERVFAIL, out);
                    }
                }
            }
            Err(rejection) => self.refuse(&query, refusal(&rejection), out),
        }
        Outcome::Answered
    }

    /// Answers what takes time.
    pub(super) async fn answer_in_time(
        &self,
        message: &[u8],
        peer: IpAddr,
        transport: Transport,
        out: &mut Vec<u8>,
    ) {
        let Ok(query) = Query::read(message) else { return };
        match self.find(&query, peer) {
            Ok(Found::Answer(answer, zone)) => self.write(&query, &answer, Some(zone), transport, out),
            Ok(Found::Refused(rcode)) => self.refuse(&query, rcode, out),
            Ok(Found::Alias(answer, zone, target)) => {
                let found = self.follow(target, query.qtype, peer).await;
                self.write(&query, &answer.followed_by(&found), Some(zone), transport, out);
            }
            Ok(Found::Reverse(address)) => match self.search(address).await {
                Ok(Some(answer)) => self.write(&query, &answer, None, transport, out),
                // Whose address that is, is for others to say.
                Ok(None) => self.forward(message, &query, transport, out).await,
                Err(rejection) => self.refuse(&query, refusal(&rejection), out),
            },
            Ok(Found::Outside) => self.forward(message, &query, transport, out).await,
            Err(rejection) => self.refuse(&query, refusal(&rejection), out),
        }
    }

    fn find<'z>(&'z self, query: &Query<'_>, peer: IpAddr) -> Result<Found<'z>, Rejection> {
        let Some((zone, below)) = self.zone(&query.labels) else {
            return Ok(match names::reverse(&query.labels) {
                Ok(Some(address)) if matches!(query.qtype, Rtype::PTR | Rtype::ANY) => {
                    Found::Reverse(address)
                }
                _ if self.recursors.are_there() => Found::Outside,
                _ => Found::Refused(OptRcode::REFUSED),
            });
        };
        let network = query.edns.and_then(|edns| edns.subnet);
        let network = network.map(|network| (network.address, network.prefix));
        let answer = self.look_up(zone, below, query.qtype, Asker { peer: Some(peer), network })?;
        Ok(match answer.alias.clone() {
            Some(target) if self.zone(&target.labels()).is_some() || self.recursors.are_there() => {
                Found::Alias(answer, zone, target)
            }
            _ => Found::Answer(answer, zone),
        })
    }

    /// The zone that a name is in, and the labels before its domain.
    fn zone<'z, 'l, 'a>(&'z self, labels: &'l [&'a [u8]]) -> Option<(&'z Zone, &'l [&'a [u8]])> {
        self.zones.iter().find_map(|zone| zone.strip(labels).map(|below| (zone, below)))
    }

    fn look_up(&self, zone: &Zone, below: &[&[u8]], qtype: Rtype, asker: Asker) -> Result<Answer, Rejection> {
        let subject = zone.scheme.read(below, qtype);
        let view = self.view()?;
        let ground = Ground {
            config: &self.config,
            own: &self.own,
            at: &view,
            now_s: u32::try_from(self.context.registry.now().wall_ms / 1000).unwrap_or(u32::MAX),
            sets: &self.context.named_sets,
            asker,
        };
        Ok(ground.answer(zone, &subject, qtype))
    }

    /// What is found where an alias leads, here or elsewhere. What is not found is left to whoever asks.
    async fn follow(&self, target: DomainName, qtype: Rtype, peer: IpAddr) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        let mut next = Some(target);
        for _ in 0..DEEPEST {
            let Some(target) = next.take() else { break };
            let labels = target.labels();
            let Some((zone, below)) = self.zone(&labels) else {
                let query = relay::ask(0, &target, qtype);
                let said = self.recursors.ask(&query, Transport::Udp, EVERYONE).await.unwrap_or_default();
                found.extend(relay::trail(&said, &target, qtype, MOST_BEHIND_ALIAS));
                break;
            };
            let asker = Asker { peer: Some(peer), network: None };
            let Ok(answer) = self.look_up(zone, below, qtype, asker) else { break };
            found.extend(answer.bodies().map(<[u8]>::to_vec));
            next = answer.alias;
        }
        found
    }

    async fn search(&self, address: IpAddr) -> Result<Option<Answer>, Rejection> {
        let view = self.view()?;
        // The domain that is configured first: no domain was asked for.
        let zone = self.zones.iter().min_by_key(|zone| zone.index);
        self.reverse.answer(&view, address, zone).await
    }

    async fn forward(&self, message: &[u8], query: &Query<'_>, transport: Transport, out: &mut Vec<u8>) {
        if !self.recursors.are_there() {
            return self.refuse(query, OptRcode::REFUSED, out);
        }
        let most = most_bytes(query, transport, &self.config);
        match self.recursors.ask(message, transport, most).await {
            // Whoever wants all of it asks again over TCP.
            Some(answer) if answer.len() > usize::from(most) => {
                self.meters.forwarded.inc();
                Reply::to(query, out).largest(most).flags(self.flags()).cut().finish();
            }
            Some(answer) => {
                self.meters.forwarded.inc();
                out.extend_from_slice(&answer);
            }
            None => self.refuse(query, OptRcode::SERVFAIL, out),
        }
    }

    fn view(&self) -> Result<View, Rejection> {
        self.context.registry.view(&Caller::internal("dns"))
    }

    fn write(
        &self,
        query: &Query<'_>,
        answer: &Answer,
        zone: Option<&Zone>,
        transport: Transport,
        out: &mut Vec<u8>,
    ) {
        self.meters.count(answer.rcode);
        let domain = zone.map_or(0, |zone| zone.domain.as_bytes().len());
        write(answer, query, transport, domain, &self.config, out);
    }

    fn refuse(&self, query: &Query<'_>, rcode: OptRcode, out: &mut Vec<u8>) {
        self.meters.count(rcode);
        Reply::to(query, out).rcode(rcode).flags(self.flags()).finish();
    }

    fn refuse_unreadable(&self, unreadable: Unreadable<'_>, out: &mut Vec<u8>) -> Outcome {
        match unreadable {
            Unreadable::Silent => {
                self.meters.silent.inc();
                Outcome::Silent
            }
            Unreadable::Refused { header, question, edns, rcode } => {
                self.meters.count(rcode);
                Reply::with(header, question, edns, rcode, out).flags(self.flags()).finish();
                Outcome::Answered
            }
        }
    }

    fn flags(&self) -> Flags {
        Flags { authoritative: false, recursion: self.recursors.are_there() }
    }
}
