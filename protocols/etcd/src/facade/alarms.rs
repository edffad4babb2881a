//! Whether an alarm is on: looked up with every write, so kept at hand, as the records say it.

use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use switchboard_model::Revision;
use switchboard_registry::{Caller, Snapshot};

use super::watch::feed::Feed;
use super::{Shared, State};
use crate::lens::alarms::{Alarm, alarms, all};
use crate::plan::permit::Who;
use crate::plan::sound::Sound;
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb::AlarmType;

#[derive(Debug, Default)]
pub(crate) struct Alarms {
    no_space: AtomicBool,
    corrupt: AtomicBool,
    /// What the two say is as of this revision.
    as_of: Mutex<Revision>,
}

impl Alarms {
    fn look(&self, at: &Snapshot) {
        let mut as_of = self.as_of.lock();
        if at.revision() < *as_of {
            return;
        }
        *as_of = at.revision();
        let on = |kind: AlarmType| alarms(at).any(|alarm| alarm.kind == i32::from(kind));
        self.no_space.store(on(AlarmType::Nospace), Ordering::Release);
        self.corrupt.store(on(AlarmType::Corrupt), Ordering::Release);
    }
}

impl State {
    pub(crate) fn learn_alarms(&self) {
        if let Ok(view) = self.context.registry.view(&Caller::internal("etcd")) {
            self.alarms.look(&view);
        }
    }

    pub(crate) fn is_corrupt(&self) -> bool {
        self.alarms.corrupt.load(Ordering::Acquire)
    }

    /// Whether something may be written that needs this many bytes; none: it makes room, or takes none.
    pub(crate) async fn admit(&self, bytes: u64) -> Result<(), Refusal> {
        if self.is_corrupt() {
            return Err(refusal::CORRUPT);
        }
        if bytes == 0 {
            return Ok(());
        }
        if self.alarms.no_space.load(Ordering::Acquire) {
            return Err(refusal::NO_SPACE);
        }
        if self.quota.has_room(bytes) || self.quota.has_room_after_a_look(self, bytes).await {
            return Ok(());
        }
        let alarm = Alarm { member: self.identity.member_id, kind: AlarmType::Nospace.into() };
        tracing::warn!(
            quota_bytes = self.config.quota_bytes,
            "keys and their history have reached `etcd.quota_bytes`, and nothing more can be put: compact, and disarm the alarm"
        );
        self.sound(&Caller::internal("etcd"), Who::Itself, alarm, true).await?;
        Err(refusal::NO_SPACE)
    }

    /// Raises or disarms it. Who is told so finds it so.
    pub(crate) async fn sound(
        &self,
        caller: &Caller,
        who: Who,
        alarm: Alarm,
        on: bool,
    ) -> Result<Option<Alarm>, Refusal> {
        let registry = &self.context.registry;
        let done = registry.submit(caller, Sound { who, alarm, on }).await?;
        self.alarms.look(&*registry.view(caller)?);
        done.reply
    }
}

/// Keeps up with alarms that came and went otherwise, as in an archive that was restored.
pub(super) async fn follow(state: Shared) {
    let caller = Caller::internal("etcd");
    let registry = &state.context.registry;
    let Ok(view) = registry.view(&caller) else { return };
    let Ok(mut feed) = Feed::open(registry.clone(), caller, all(), view.revision()) else { return };
    state.alarms.look(&view);
    drop(view);
    while feed.next().await.is_ok() {
        let Ok(view) = registry.view(&caller) else { return };
        state.alarms.look(&view);
    }
}
