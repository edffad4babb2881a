use std::net::IpAddr;
use std::sync::Arc;

use domain::base::iana::{OptRcode, Rtype};
use switchboard_facade::{Asker, Context};
use switchboard_model::Rejection;
use switchboard_registry::{Caller, View};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::meters::Meters;
use super::reverse::Reverse;
use crate::answer::{Answer, Ground, Own, Transport, write};
use crate::config::Config;
use crate::names::{self, Zone};
use crate::refusal::refusal;
use crate::wire::{Flags, Query, Reply, Unreadable};

/// What every query needs.
#[derive(Debug)]
pub(super) struct State {
    pub(super) config: Config,
    zones: Vec<Zone>,
    own: Own,
    context: Context,
    pub(super) meters: Meters,
    reverse: Reverse,
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
    /// Who has this address is searched for.
    Reverse(IpAddr),
}

impl State {
    pub(super) fn new(config: Config, zones: Vec<Zone>, own: Own, context: Context, meters: Meters) -> State {
        let waiting = Arc::new(Semaphore::new(config.waiting));
        State { config, zones, own, context, meters, reverse: Reverse::default(), waiting }
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
            Ok(Found::Answer(answer, zone)) => self.write(&query, &answer, zone, transport, out),
            Ok(Found::Refused(rcode)) => self.refuse(&query, rcode, out),
            Ok(Found::Reverse(_)) => match self.waiting.clone().try_acquire_owned() {
                Ok(permit) => return Outcome::Wait(permit),
                Err(_) => {
                    self.meters.turned_away.inc();
                    self.refuse(&query, OptRcode::SERVFAIL, out);
                }
            },
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
            Ok(Found::Reverse(address)) => {
                let answer = match self.view() {
                    Ok(view) => self.reverse.answer(&view, address, self.first_zone()).await,
                    Err(rejection) => return self.refuse(&query, refusal(&rejection), out),
                };
                match answer {
                    Some(answer) => self.write_outside(&query, &answer, transport, out),
                    // Whose address that is, is for others to say.
                    None => self.refuse(&query, OptRcode::REFUSED, out),
                }
            }
            Ok(Found::Answer(answer, zone)) => self.write(&query, &answer, zone, transport, out),
            Ok(Found::Refused(rcode)) => self.refuse(&query, rcode, out),
            Err(rejection) => self.refuse(&query, refusal(&rejection), out),
        }
    }

    fn find<'z>(&'z self, query: &Query<'_>, peer: IpAddr) -> Result<Found<'z>, Rejection> {
        let mut zones = self.zones.iter();
        let inside = zones.find_map(|zone| zone.strip(&query.labels).map(|below| (zone, below)));
        let Some((zone, below)) = inside else {
            return Ok(match names::reverse(&query.labels) {
                Ok(Some(address)) if matches!(query.qtype, Rtype::PTR | Rtype::ANY) => {
                    Found::Reverse(address)
                }
                _ => Found::Refused(OptRcode::REFUSED),
            });
        };
        let subject = zone.scheme.read(below, query.qtype);
        let view = self.view()?;
        let network = query.edns.and_then(|edns| edns.subnet);
        let ground = Ground {
            config: &self.config,
            own: &self.own,
            at: &view,
            now_s: u32::try_from(self.context.registry.now().wall_ms / 1000).unwrap_or(u32::MAX),
            sets: &self.context.named_sets,
            asker: Asker {
                peer: Some(peer),
                network: network.map(|network| (network.address, network.prefix)),
            },
        };
        Ok(Found::Answer(ground.answer(zone, &subject, query.qtype), zone))
    }

    /// The one that is configured first, whose names are told where no domain was asked for.
    fn first_zone(&self) -> Option<&Zone> {
        self.zones.iter().min_by_key(|zone| zone.index)
    }

    fn view(&self) -> Result<View, Rejection> {
        self.context.registry.view(&Caller::internal("dns"))
    }

    fn write(
        &self,
        query: &Query<'_>,
        answer: &Answer,
        zone: &Zone,
        transport: Transport,
        out: &mut Vec<u8>,
    ) {
        self.meters.count(answer.rcode);
        write(answer, query, transport, zone.domain.as_bytes().len(), &self.config, out);
    }

    fn write_outside(&self, query: &Query<'_>, answer: &Answer, transport: Transport, out: &mut Vec<u8>) {
        self.meters.count(answer.rcode);
        write(answer, query, transport, 0, &self.config, out);
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
        Flags { authoritative: false, recursion: !self.config.recursors.is_empty() }
    }
}
