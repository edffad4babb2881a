//! Alarms. Here only somebody raises one, by hand; a store that cannot take writes says so to those who write.

use std::sync::atomic::{AtomicU8, Ordering};

use super::{Client, State};
use crate::plan::alarms::{Alarm, Change, Kind, raised};
use crate::plan::apply;
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb as pb;
use crate::wire::etcdserverpb::alarm_request::AlarmAction;
use crate::wire::etcdserverpb::request_op::Request;

/// Which kinds are raised, for those who write.
#[derive(Debug, Default)]
pub(super) struct Alarms(AtomicU8);

impl Alarms {
    pub(super) fn are(&self, raised: &[Alarm]) {
        let bits = raised.iter().fold(0, |bits, alarm| bits | Alarms::bit(alarm.kind));
        self.0.store(bits, Ordering::Release);
    }

    fn bit(kind: Kind) -> u8 {
        match kind {
            Kind::NoSpace => 1,
            Kind::Corrupt => 2,
        }
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.0.load(Ordering::Acquire) & Alarms::bit(kind) != 0
    }

    /// What writes at all.
    pub(super) fn let_write(&self) -> Result<(), Refusal> {
        if self.has(Kind::Corrupt) { Err(refusal::CORRUPT) } else { Ok(()) }
    }

    /// What takes space.
    pub(super) fn let_grow(&self) -> Result<(), Refusal> {
        self.let_write()?;
        if self.has(Kind::NoSpace) { Err(refusal::NO_SPACE) } else { Ok(()) }
    }

    pub(super) fn let_apply(&self, request: &Request) -> Result<(), Refusal> {
        let grows = match request {
            Request::RequestPut(_) => true,
            Request::RequestTxn(txn) => apply::puts(txn),
            Request::RequestRange(_) | Request::RequestDeleteRange(_) => false,
        };
        if grows { self.let_grow() } else { self.let_write() }
    }
}

impl State {
    pub(super) fn alarms(&self, client: &Client) -> Result<Vec<Alarm>, Refusal> {
        let found = raised(&*self.context.registry.view(client)?);
        // An archive may have brought others back.
        self.alarms.are(&found);
        Ok(found)
    }

    pub(super) async fn ask_alarms(
        &self,
        client: &Client,
        request: pb::AlarmRequest,
    ) -> Result<Vec<Alarm>, Refusal> {
        let kind = Kind::from_wire(request.alarm)?;
        let raise = match AlarmAction::try_from(request.action) {
            Ok(AlarmAction::Get) => {
                self.known(client)?;
                let all = self.alarms(client)?.into_iter();
                return Ok(all.filter(|alarm| kind.is_none_or(|kind| alarm.kind == kind)).collect());
            }
            Ok(AlarmAction::Activate) => true,
            Ok(AlarmAction::Deactivate) => false,
            Err(_) => return Err(refusal::NOT_CAPABLE),
        };
        self.root(client)?;
        let Some(kind) = kind else { return Ok(Vec::new()) };
        let alarm = Alarm { kind, member_id: request.member_id };
        let (found, all) = self.context.registry.submit(client, Change { alarm, raise }).await?.reply?;
        self.alarms.are(&all);
        Ok(if found { vec![alarm] } else { Vec::new() })
    }
}
